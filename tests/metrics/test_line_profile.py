"""Line profiles through a crystal, widths of its edges, and commands that write them."""

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import erf

from unflat.recon.errors import ConfigError, DataError
from unflat.recon.io.volume_formats import save
from unflat.recon.metrics.edge_profile import (
    TEN_TO_NINETY,
    centre_of_mass,
    fit_edges,
    median_edge_width,
    sample_central_lines,
    write_csv,
)
from unflat.recon.sampled import Quantity
from unflat.recon.visualization.curves import draw_profiles
from unflat.recon.visualization.style import render_png
from unflat.recon.volume import Volume, centred_axis

from ..commands import run_here

STEP = 5e-9
HALF = (60e-9, 75e-9, 90e-9)
QUANTITIES = (
    Quantity("amplitude", "1", ""),
    Quantity("phase", "rad", ""),
    Quantity("support", "1", ""),
    Quantity("density", "1", ""),
)


def block(sigma: float = 8e-9, centre: tuple[float, float, float] = (0.0, 10e-9, -20e-9)) -> Volume:
    """A box with faces blurred by a Gaussian, whose phase grows along x by 0.01 rad/nm."""
    axes = [centred_axis(n, STEP) for n in (48, 54, 64)]
    faces = []
    for axis, half, middle in zip(axes, HALF, centre, strict=True):
        s = axis - middle
        faces.append((erf((s + half) / (np.sqrt(2) * sigma)) - erf((s - half) / (np.sqrt(2) * sigma))) / 2)
    amplitude = faces[0][:, None, None] * faces[1][:, None] * faces[2]
    phase = np.broadcast_to(1e7 * axes[2], amplitude.shape).copy()
    values = {
        "amplitude": amplitude,
        "phase": phase,
        "support": (amplitude > 0.5).astype(np.uint8),
        "density": amplitude * np.exp(1j * phase),
    }
    return Volume("crystal", axes[0], axes[1], axes[2], values, QUANTITIES)


def test_the_middle_is_that_of_the_crystal_and_not_of_the_array() -> None:
    np.testing.assert_allclose(centre_of_mass(block()), [0.0, 10e-9, -20e-9], atol=0.5e-9)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_edges_are_at_the_faces_and_as_wide_as_their_blur(axis: int) -> None:
    line = sample_central_lines(block())[axis]
    low, high = fit_edges(line, "amplitude")
    assert (low.place, high.place) == pytest.approx((-HALF[axis], HALF[axis]), abs=0.3e-9)
    assert (low.width, high.width) == pytest.approx((TEN_TO_NINETY * 8e-9,) * 2, rel=0.03)


@given(st.floats(0.8, 2.2), st.tuples(*[st.floats(-2e-8, 2e-8)] * 3))
@settings(max_examples=8, deadline=None)
def test_the_width_of_edges_is_that_of_the_blur_at_any_position(
    samples: float, centre: tuple[float, float, float]
) -> None:
    assert median_edge_width(block(samples * STEP, centre), "amplitude") == pytest.approx(
        TEN_TO_NINETY * samples * STEP, rel=0.05
    )


def test_a_crystal_that_fills_its_array_has_no_edges() -> None:
    full = block()
    full.values["amplitude"][:] = 1.0
    assert np.isnan(median_edge_width(full, "amplitude"))


def test_an_empty_volume_has_no_middle() -> None:
    empty = block()
    empty.values["support"][:] = 0
    with pytest.raises(DataError, match="empty"):
        sample_central_lines(empty)


def test_values_between_samples_are_those_of_a_smooth_quantity() -> None:
    points = np.random.default_rng(0).uniform(-9e-8, 9e-8, (50, 3))
    np.testing.assert_allclose(block().at(points, ("phase",))[:, 0], 1e7 * points[:, 2], atol=1e-6)


@pytest.mark.parametrize(("name", "message"), [("density", "is complex: choose .*amplitude"), ("mass", "no quantity")])
def test_quantities_without_a_profile_are_named(name: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        block().at(np.zeros((1, 3)), (name,))


def test_the_table_names_line_place_and_units(tmp_path: Path) -> None:
    lines = sample_central_lines(block())
    write_csv(lines, tmp_path / "profiles.csv")
    with (tmp_path / "profiles.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == [
        "line",
        "position [m]",
        "z [m]",
        "y [m]",
        "x [m]",
        "amplitude [1]",
        "phase [rad]",
        "support [1]",
    ]
    along_x = [row for row in rows if row["line"] == "x"]
    assert len(along_x) == 2 * 64 - 1
    np.testing.assert_allclose([float(r["phase [rad]"]) for r in along_x], lines[2].values["phase"], rtol=1e-6)


def test_the_figure_is_drawn() -> None:
    lines = sample_central_lines(block())
    assert render_png(draw_profiles(lines, ["amplitude", "phase"])).startswith(b"\x89PNG")


class TestQuery:
    def test_a_volume_in_voxels_takes_no_points_in_metres(self, tmp_path: Path) -> None:
        save(replace(block(), length_unit="voxel"), tmp_path / "volume.h5")
        line = ("--line", "0um,0um,0um", "0um,0um,1um")
        done = run_here("query", tmp_path / "volume.h5", "-o", tmp_path / "line.csv", *line)
        assert done.returncode == 2
        assert "in voxels of unknown size" in done.stderr

    def test_a_line_through_a_volume(self, tmp_path: Path) -> None:
        save(block(), tmp_path / "volume.h5")
        line = ("--line", "0nm,0nm,-50nm", "0nm,0nm,50nm", "--samples", "21")
        done = run_here("query", tmp_path, "-o", tmp_path / "profile.csv", *line)
        assert done.returncode == 0, done.stderr
        table = np.genfromtxt(tmp_path / "profile.csv", delimiter=",", names=True, deletechars="")
        assert table.dtype.names[:3] == ("z_[m]", "y_[m]", "x_[m]")
        np.testing.assert_allclose(table["x_[m]"], np.linspace(-5e-8, 5e-8, 21), atol=1e-15)
        np.testing.assert_allclose(table["phase_[rad]"], 1e7 * table["x_[m]"], atol=1e-6)

    @pytest.mark.parametrize(
        ("words", "message"),
        [
            ((), "POINTS or --line is needed"),
            (("--line", "0nm,0nm", "0nm,0nm,5nm"), "is no point z,y,x"),
            (("--line", "0nm,0nm,0s", "0nm,0nm,5nm"), "is no point z,y,x"),
        ],
    )
    def test_an_invalid_line_is_a_usage_error(self, tmp_path: Path, words: tuple[str, ...], message: str) -> None:
        save(block(), tmp_path / "volume.h5")
        done = run_here("query", tmp_path / "volume.h5", "-o", tmp_path / "profile.csv", *words)
        assert done.returncode == 2
        assert message in done.stderr
