"""Simulated rocking curves that are not even, or belong to a series: as written, as read, and refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

import unflat
from unflat.physics.diffraction.bragg_geometry import real_space_steps
from unflat.physics.phantoms.crystals import far_field, far_field_of_frames
from unflat.recon.experiments.crystal.config import CrystalSettings
from unflat.recon.experiments.crystal.read import read
from unflat.recon.experiments.crystal.schema import SCHEMA
from unflat.recon.experiments.crystal.simulate import draw_crystal, simulate
from unflat.recon.experiments.crystal.simulated_frames import frame_positions
from unflat.recon.experiments.crystal.simulated_geometry import simulated_reflection
from unflat.recon.experiments.crystal.uneven_curve import OFFSETS, even_positions
from unflat.recon.io.write import write

SHAPE = (24, 20, 22)
UNEVEN = {"jitter": 0.3, "drift": 1.0, "reversals": 3, "lost": 2, "repeated": 1}


def config(**simulate_: Any) -> CrystalSettings:
    section = {"shape": list(SHAPE), "flaws": [], "strains": ["polynomial"], "phase": [1.0, 1.2]}
    return CrystalSettings.model_validate({"kind": "crystal", "seed": 3, "simulate": section | simulate_})


def test_frames_between_others_are_those_of_a_finer_curve() -> None:
    section = config().simulate
    curve = simulated_reflection(section)
    steps = real_space_steps(curve.basis, SHAPE)
    crystal = draw_crystal(section, curve, steps, 3)
    finer = far_field(crystal, steps, (2 * SHAPE[0], *SHAPE[1:]))
    positions = np.zeros((2 * SHAPE[0], 3))
    positions[:, 0] = (np.arange(2 * SHAPE[0]) - SHAPE[0]) / 2
    inner = slice(SHAPE[0] // 2, -SHAPE[0] // 2)  # Further ones lie beyond the curve.
    np.testing.assert_allclose(
        far_field_of_frames(crystal, steps, SHAPE, positions[inner]), finer[inner], atol=2e-3 * np.abs(finer).max()
    )
    even = far_field_of_frames(crystal, steps, SHAPE, even_positions(SHAPE[0]) + np.array([0, 0, 1]))
    np.testing.assert_allclose(
        even[:, :, :-1], far_field(crystal, steps, SHAPE)[:, :, 1:], atol=1e-4 * np.abs(even).max()
    )


def test_a_written_curve_is_read_at_the_positions_of_its_frames(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = config(rocking=UNEVEN)
    true = frame_positions(settings.simulate, np.random.default_rng([3, 2]))
    assert len(true) == SHAPE[0] - 1
    path = tmp_path / "scan.h5"
    acquisition = simulate(settings)
    write(acquisition, SCHEMA, path)
    scan = read(settings, path)
    assert "the crystal stepped back" in caplog.text
    along = (np.arange(len(true)) + scan[OFFSETS][:, 0]) * np.linalg.norm(scan["reciprocal_basis"][0])
    expected = np.sort(true[:, 0]) * np.linalg.norm(simulated_reflection(settings.simulate).basis[0])
    np.testing.assert_allclose(along - along[0], expected - expected[0], rtol=2e-3)
    np.testing.assert_array_equal(scan["images"], acquisition["images"][np.argsort(true[:, 0], kind="stable")])
    in_memory = unflat.simulate(settings).acquisition
    np.testing.assert_array_equal(in_memory["images"], scan["images"])
    np.testing.assert_allclose(in_memory[OFFSETS], scan[OFFSETS], atol=1e-9)


def test_a_file_may_give_the_angles_that_the_motor_was_told(tmp_path: Path) -> None:
    settings = config(rocking={"jitter": 0.4, "roll": 0.5, "read_back": False})
    write(simulate(settings), SCHEMA, tmp_path / "scan.h5")
    scan = read(settings, tmp_path / "scan.h5")
    assert OFFSETS not in scan
    even = simulated_reflection(settings.simulate).basis
    np.testing.assert_allclose(scan["reciprocal_basis"], even, rtol=5e-3, atol=0.01 * np.abs(even).max())


def test_strain_grows_and_frames_are_masked_along_a_series() -> None:
    def at(time: float, **more: Any) -> Any:
        return simulate(config(series={"time": f"{time} s", "duration": "30 s", "growth": 2.5} | more))

    first, last = at(0), at(30, views="1::2")
    assert (first.truth, last.truth) != (None, None)
    before, after = (acquisition.truth.values["phase"] for acquisition in (first, last))
    np.testing.assert_allclose(after, 2.5 * before, atol=1e-5)
    assert last.attributes["time"] == "30 s"
    assert last["mask"][::2].all()
    assert not last["mask"][1::2].any()
    assert not last["images"][::2].any()


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"frame": "orthogonal", "rocking": {"jitter": 0.1}}, "an orthogonal frame has no angles"),
        ({"rocking": {"reversals": 12}}, r"rocking\.reversals 12: at most 9 of 24 frames"),
        ({"rocking": {"lost": 7}}, r"rocking\.lost 7 and rocking\.repeated 0: at most 6 and 12"),
        ({"rocking": {"jitter": 2, "drift": -5}}, "jitter and drift at most 6 steps together"),
        ({"rocking": {"roll": 3}}, r"roll 2\.5 pixels"),
        ({"rocking": {"jitter": 0.1}, "detector": {"missing": 0.2}}, "missing frames need an even curve"),
        ({"series": {"time": "50 s"}}, r"time 50 s is beyond the duration of the change, 40 s"),
        ({"series": {"views": "30:"}}, r"'30:' selects none of 24 views"),
    ],
)
def test_curves_that_cannot_be_are_refused(section: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        config(**section)
