"""Resampling of a density to the laboratory, simulation, and evaluation: signs, sizes, frames and ambiguities."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from unflat.physics.diffraction.bragg_geometry import real_space_steps, sample_positions
from unflat.physics.phantoms.crystals.polyhedron import ShapeError
from unflat.physics.psf import gaussian_kernel
from unflat.recon.errors import ConfigError, DataError
from unflat.recon.experiments.crystal.config import CrystalSettings
from unflat.recon.experiments.crystal.evaluate import score
from unflat.recon.experiments.crystal.laboratory import LaboratoryFrame, Solution, to_laboratory
from unflat.recon.experiments.crystal.output import MeasurementModel, write_volume_file
from unflat.recon.experiments.crystal.read import read
from unflat.recon.experiments.crystal.schema import SCHEMA
from unflat.recon.experiments.crystal.simulate import simulate
from unflat.recon.io.volume_formats import read_volume
from unflat.recon.io.write import write
from unflat.recon.volume import Volume

SHAPE = (32, 36, 40)
BASIS = np.array([[4.5e6, 4e5, 0.0], [0.0, -4.2e6, 3e5], [5e5, 0.0, 3.8e6]])
G = np.array([0.0, 1.5e10, 2.0e10])
KNOWN = LaboratoryFrame(BASIS, G)


def strained(strength: float = 4e-4) -> Solution:
    """Ball that is strained along G on one side, in the detector's frame: u_G = strength · x_G² / (2 R)."""
    where = sample_positions(real_space_steps(BASIS, SHAPE), SHAPE)
    radius = 2.4e-7
    along = where @ (G / np.linalg.norm(G))
    u = strength * along**2 / (2 * radius)
    distance = np.linalg.norm(where, axis=-1)
    rim = np.clip((radius - distance) / 3e-8 + 0.5, 0, 1)
    density = rim * np.exp(-1j * np.linalg.norm(G) * u)
    return Solution(density.astype(np.complex64), rim > 0.1)


def at(volume: Volume, name: str, point: tuple[float, float, float]) -> float:
    index = tuple(int(np.argmin(np.abs(a - p))) for a, p in zip((volume.z, volume.y, volume.x), point, strict=True))
    return float(volume.values[name][index])


class TestVolume:
    def test_a_known_displacement_has_its_size_and_sign(self) -> None:
        volume = to_laboratory(strained(), KNOWN)
        unit = G / np.linalg.norm(G)
        for s in (-1.2e-7, 0.0, 1.2e-7):
            point = tuple(float(c) for c in s * unit)
            assert at(volume, "strain", point) == pytest.approx(4e-4 * s / 2.4e-7, abs=5e-5)
        ends = [at(volume, "displacement", tuple(float(c) for c in s * unit)) for s in (-1.6e-7, 0.0, 1.6e-7)]
        assert ends[0] - ends[1] == pytest.approx(4e-4 * 1.6e-7**2 / (2 * 2.4e-7), rel=0.3)
        assert ends[2] - ends[1] == pytest.approx(4e-4 * 1.6e-7**2 / (2 * 2.4e-7), rel=0.3)
        inside = volume.values["support"] > 0
        phase, u = volume.values["phase"][inside], volume.values["displacement"][inside]
        np.testing.assert_allclose(phase, -np.linalg.norm(G) * u, atol=1e-4)

    def test_the_volume_of_the_crystal_does_not_depend_on_the_skewed_grid(self) -> None:
        volume = to_laboratory(strained(0.0), KNOWN)
        spacing = np.prod(volume.spacing)
        measured = float((volume.values["support"] > 0).sum() * spacing)
        assert measured == pytest.approx(4 / 3 * np.pi * 2.4e-7**3, rel=0.12)
        np.testing.assert_allclose(np.diff(volume.spacing), 0, atol=1e-15)

    @given(shift=st.tuples(*[st.integers(-15, 15)] * 3), ramp=st.tuples(*[st.floats(-0.45, 0.45)] * 3))
    @settings(max_examples=8, deadline=None)
    def test_neither_a_shift_nor_a_ramp_nor_a_phase_changes_it(
        self, shift: tuple[int, int, int], ramp: tuple[float, float, float]
    ) -> None:
        plain = strained()
        index = np.indices(SHAPE)
        turn = sum(2 * np.pi * r * i / n for r, i, n in zip(ramp, index, SHAPE, strict=True)) + 0.7
        moved = np.roll(plain.density * np.exp(1j * turn), shift, (0, 1, 2)).astype(np.complex64)
        one = to_laboratory(plain, KNOWN)
        other = to_laboratory(Solution(moved, np.roll(plain.support, shift, (0, 1, 2))), KNOWN)
        assert one.shape == other.shape
        core = one.values["amplitude"] > 0.9
        np.testing.assert_allclose(one.values["phase"][core], other.values["phase"][core], atol=0.02)
        np.testing.assert_allclose(one.values["strain"][core], other.values["strain"][core], atol=1e-5)

    def test_fragments_are_removed(self) -> None:
        plain = strained()
        crumbled, support = plain.density.copy(), plain.support.copy()
        crumbled[2:4, 3, 3], support[2:4, 3, 3] = 1j, True
        one, other = to_laboratory(plain, KNOWN), to_laboratory(Solution(crumbled, support), KNOWN)
        assert int(other.values["support"].sum()) == pytest.approx(int(one.values["support"].sum()), rel=0.02)

    def test_without_a_basis_it_is_in_voxels_and_says_so(self, tmp_path: Path) -> None:
        volume = to_laboratory(strained(), LaboratoryFrame(None, G))
        assert volume.length_unit == "voxel"
        assert volume.spacing == (1.0, 1.0, 1.0)
        assert "strain" not in volume.values
        solution = strained()
        measurement = MeasurementModel(gaussian_kernel((0, 0, 0)), 0.0, solution.support, np.ones(SHAPE[0]))
        write_volume_file(tmp_path / "v.h5", volume, solution, LaboratoryFrame(), measurement, {})
        with h5py.File(tmp_path / "v.h5") as file:
            assert file["volume/z"].attrs["units"].decode() == "voxel"
        again = read_volume(tmp_path / "v.h5")
        assert again.length_unit == "voxel"
        np.testing.assert_array_equal(again.z, volume.z)

    def test_an_empty_crystal_is_refused(self) -> None:
        plain = strained()
        for nothing in (Solution(plain.density, np.zeros(SHAPE, bool)), Solution(0 * plain.density, plain.support)):
            with pytest.raises(DataError, match=r"nothing is left of the crystal: .*another seed"):
                to_laboratory(nothing, KNOWN)

    def test_solutions_that_differ_give_an_uncertainty(self) -> None:
        plain = strained()
        rng = np.random.default_rng(0)
        noise = rng.normal(0, 0.1, (4, *SHAPE)) + 1j * rng.normal(0, 0.1, (4, *SHAPE))
        alternatives = (plain.density * (1 + noise)).astype(np.complex64)
        volume = to_laboratory(Solution(plain.density, plain.support, alternatives), KNOWN)
        core = volume.values["amplitude"] > 0.95
        assert 0.03 < float(np.median(volume.values["uncertainty_phase"][core])) < 0.12
        assert 0.03 < float(np.median(volume.values["uncertainty_amplitude"][core])) < 0.12
        np.testing.assert_allclose(
            volume.values["uncertainty_displacement"], volume.values["uncertainty_phase"] / np.linalg.norm(G), rtol=1e-4
        )
        assert "uncertainty_strain" in volume.values

    def test_the_counts_follow_from_the_file_alone(self, tmp_path: Path) -> None:
        """From the file alone: |FFT(density)|² ⊛ point_spread_function + background."""
        from scipy.ndimage import convolve

        solution, sigmas = strained(), (0.5, 0.4, 0.0)
        kernel = gaussian_kernel(sigmas)
        volume = to_laboratory(solution, KNOWN)
        flux = np.linspace(1.5, 0.5, SHAPE[0])
        measurement = MeasurementModel(kernel, 0.25, np.ones(SHAPE, bool), flux)
        write_volume_file(tmp_path / "v.h5", volume, solution, KNOWN, measurement, {"input": "scan.h5"})
        with h5py.File(tmp_path / "v.h5") as file:
            frame = file["detector_frame"]
            psf = frame["point_spread_function"][()]
            coherent = np.abs(np.fft.fftshift(np.fft.fftn(np.fft.ifftshift(frame["density"][()])))) ** 2
            modelled = convolve(coherent, psf, mode="wrap") + frame["background"][()]
            assert all(n % 2 for n in psf.shape)
            assert psf.sum() == pytest.approx(1)
            np.testing.assert_allclose(frame["reciprocal_basis"][()], BASIS)
            np.testing.assert_allclose(frame["exposure"][()], flux)
        total = float((np.abs(solution.density) ** 2).sum() * np.prod(SHAPE))
        assert modelled.sum() == pytest.approx(total + 0.25 * np.prod(SHAPE), rel=1e-5)
        again = read_volume(tmp_path / "v.h5")
        np.testing.assert_array_equal(again.values["strain"], volume.values["strain"])


def config(**simulate_: Any) -> CrystalSettings:
    section = {"shape": [32, 32, 32], "oversampling": 2.4, "flaws": [], "strains": ["polynomial"], "phase": [1.0, 1.2]}
    return CrystalSettings.model_validate({"kind": "crystal", "seed": 3, "simulate": section | simulate_})


class TestSimulation:
    def test_the_same_seed_gives_the_same_curve_and_another_another(self) -> None:
        one, two = simulate(config()), simulate(config())
        np.testing.assert_array_equal(one["images"], two["images"])
        other = simulate(config().model_copy(update={"seed": 4}))
        assert not np.array_equal(one["images"], other["images"])

    def test_counts_gap_and_missing_frames_follow_the_config(self) -> None:
        detector = {"counts": 3e5, "gap": 3, "missing": 0.25, "hot_pixels": 2}
        acquisition = simulate(config(detector=detector))
        good = acquisition["mask"] == 0
        assert not good[24:].any()
        assert not good[:, 17:20].any()
        assert good[:24, :17].all()
        whole = simulate(config(detector={"counts": 3e5}))
        assert whole["images"].sum() == pytest.approx(3e5, rel=0.01)

    @pytest.mark.parametrize(
        ("detector", "message"),
        [
            ({"psf": [0.3, -0.1, 0.0]}, r"psf \[0\.3, -0\.1, 0\.0\]: a width is not negative"),
            ({"counts": None, "hot_pixels": 2}, r"hot_pixels: with counts: null nothing but"),
            ({"counts": None, "aliens": 1, "saturation": 100.0}, r"aliens and saturation: with counts: null"),
        ],
    )
    def test_a_detector_that_cannot_be_is_refused(self, detector: dict[str, Any], message: str) -> None:
        with pytest.raises(ValidationError, match=message):
            config(detector=detector)

    def test_a_crystal_beyond_its_array_is_refused(self) -> None:
        with pytest.raises(
            ConfigError, match=r"simulate\.radius: a crystal of 4000 nm is .* times as wide as its array"
        ):
            simulate(config(radius="4 um"))

    def test_a_crystal_that_cannot_be_drawn_is_a_fault_of_the_config(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def flawed(*arguments: Any, **options: Any) -> Any:
            raise ShapeError("the flaws leave nothing of the crystal")

        monkeypatch.setattr("unflat.recon.experiments.crystal.simulate.random_crystal", flawed)
        with pytest.raises(ConfigError, match=r"simulate: the flaws leave nothing of the crystal; see simulate"):
            simulate(config())

    @pytest.mark.parametrize("frame", ["skewed", "orthogonal"])
    def test_the_crystal_has_the_oversampling_of_the_config(self, frame: str) -> None:
        made = simulate(config(frame=frame, oversampling=2.4))
        truth = made.truth
        assert truth is not None
        steps = real_space_steps(made["reciprocal_basis"], (32, 32, 32))
        index = np.argwhere(truth.values["support"] > 0)
        where = (index - np.array(truth.shape) // 2) * np.array(truth.spacing)
        widths = np.ptp(where @ np.linalg.inv(steps), axis=0)
        assert 2.2 < float(np.min(32 / widths)) < 3.1

    def test_it_is_written_and_read_with_its_truth(self, tmp_path: Path) -> None:
        made = simulate(config())
        write(made, SCHEMA, tmp_path / "scan.h5")
        acquisition = read(config(), tmp_path / "scan.h5")
        assert acquisition.truth is not None
        assert made.truth is not None
        np.testing.assert_array_equal(acquisition.truth.values["density"], made.truth.values["density"])
        np.testing.assert_array_equal(acquisition["images"], made["images"])


@pytest.fixture(scope="module")
def truth() -> Volume:
    made = simulate(config())
    assert made.truth is not None
    return made.truth


class TestEvaluation:
    def test_the_truth_is_perfect(self, truth: Volume) -> None:
        numbers = score(truth, truth)
        assert numbers["correlation"] == pytest.approx(1, abs=1e-6)
        assert numbers["support_overlap"] == pytest.approx(1, abs=1e-6)
        assert numbers["phase_error"] < 1e-3
        assert numbers["strain_correlation"] == pytest.approx(1, abs=1e-4)
        assert numbers["twin"] == 0

    def test_twin_shift_ramp_and_phase_are_no_errors(self, truth: Volume) -> None:
        density = np.conj(truth.values["density"])[::-1, ::-1, ::-1] * np.exp(0.4j)
        wider = np.pad(density, ((3, 1), (0, 2), (2, 2)))
        index = np.indices(wider.shape)
        ramp = np.exp(2j * np.pi * (0.2 * index[0] / wider.shape[0] - 0.1 * index[2] / wider.shape[2]))
        axes = [np.arange(n) * truth.spacing[0] for n in wider.shape]
        other = Volume(
            "crystal", *axes, {"density": (wider * ramp).astype(np.complex64)}, truth.quantities, truth.attributes
        )
        numbers = score(other, truth)
        assert numbers["twin"] == 1
        assert numbers["correlation"] > 0.995
        assert numbers["phase_error"] < 0.1
        assert numbers["strain_correlation"] > 0.97

    def test_a_strain_of_the_wrong_sign_is_detected(self, truth: Volume) -> None:
        """The conjugate in place of the twin, as a wrong sign convention gives it."""
        wrong = Volume(
            "crystal",
            truth.z,
            truth.y,
            truth.x,
            {"density": np.conj(truth.values["density"])},
            truth.quantities,
            truth.attributes,
        )
        numbers = score(wrong, truth)
        assert numbers["correlation"] < 0.95
        assert numbers["strain_correlation"] < 0

    def test_voxels_of_unknown_size_cannot_be_compared(self, truth: Volume) -> None:
        with pytest.raises(DataError, match=r"the result is in voxel and the truth in m"):
            score(to_laboratory(strained(), LaboratoryFrame()), truth)

    def test_a_volume_without_density_cannot_be_compared(self, truth: Volume) -> None:
        with pytest.raises(DataError, match=r"the result has no complex density: it holds amplitude"):
            score(truth.only("amplitude"), truth)
