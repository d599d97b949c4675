"""Conversion of a laboratory's description of light to apertures."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unflat.recon.acquisition import Acquisition
from unflat.recon.errors import DataError
from unflat.recon.experiments.cell.illumination import (
    illumination_of,
    led_grid_na,
    microscope_of,
    ring_na,
    rotation_matrices,
)
from unflat.recon.experiments.cell.read import read
from unflat.recon.experiments.configs import parse_config

angles = st.floats(-7, 7)
axes = st.sampled_from("zyx")


@given(st.integers(-16, 16), st.integers(-16, 16))
def test_led_direction_is_the_line_to_the_specimen(row: int, column: int) -> None:
    pitch, height = 4e-3, 79e-3
    led = np.array([[row, column]])
    na = led_grid_na(led, pitch=pitch, height=height, centre=(0, 0), row_axis="-y", column_axis="x")
    direction = np.array([-row * pitch, column * pitch, height])
    np.testing.assert_allclose(na[0], (direction / np.linalg.norm(direction))[:2], atol=1e-15)


def test_axes_of_an_led_grid_can_be_swapped_and_reversed() -> None:
    led = np.array([[3, 5]])
    numbers: dict[str, Any] = {"pitch": 1.0, "height": 10.0, "centre": (1, 1)}
    plain = led_grid_na(led, **numbers)
    np.testing.assert_allclose(led_grid_na(led, **numbers, row_axis="x", column_axis="-y"), plain[:, ::-1] * [-1, 1])


@given(st.integers(1, 30), angles, st.booleans())
def test_ring_directions_are_evenly_spaced_on_a_circle(count: int, start: float, clockwise: bool) -> None:
    na = ring_na(count, na=0.6, count=count, start=start, clockwise=clockwise)
    np.testing.assert_allclose(np.hypot(*na.T), 0.6)
    if count > 1:
        np.testing.assert_allclose(na.sum(axis=0), 0, atol=1e-12)


def test_a_ring_goes_from_x_towards_y() -> None:
    np.testing.assert_allclose(ring_na(3, na=1, count=4), [[0, 1], [1, 0], [0, -1]], atol=1e-15)
    np.testing.assert_allclose(ring_na(2, na=1, count=4, clockwise=True), [[0, 1], [-1, 0]], atol=1e-15)


@given(angles, angles, axes)
@settings(deadline=None)
def test_rotations_are_orthonormal_and_additive(first: float, second: float, axis: str) -> None:
    one, other, both = rotation_matrices(np.array([first, second, first + second]), axis)
    np.testing.assert_allclose(one @ one.T, np.eye(3), atol=1e-12)
    np.testing.assert_allclose(np.linalg.det(one), 1)
    np.testing.assert_allclose(one @ other, both, atol=1e-12)
    np.testing.assert_allclose(rotation_matrices(np.array([first]), axis, reverse=True)[0], one.T, atol=1e-12)


@pytest.mark.parametrize(("axis", "start", "end"), [("y", "z", "x"), ("x", "y", "z"), ("z", "x", "y")])
def test_a_quarter_turn_is_right_handed(axis: str, start: str, end: str) -> None:
    """x right, y down, z along the light: x × y = z."""
    unit = dict(zip("zyx", np.eye(3), strict=True))
    quarter = rotation_matrices(np.array([np.pi / 2]), axis)[0]
    np.testing.assert_allclose(quarter @ unit[start], unit[end], atol=1e-15)
    np.testing.assert_allclose(quarter @ unit[axis], unit[axis], atol=1e-15)


def scan(path: Path, **more: Any) -> Path:
    with h5py.File(path, "w") as file:
        file["measurement/images"] = np.full((4, 6, 6), 10.0)
        for name, value in {"wavelength": 5e-7, "numerical_aperture": 0.6, "medium_index": 1.33, **more}.items():
            file[f"instrument/{name}"] = value
        file["instrument/pixel_size"] = [1e-7, 1e-7]
    return path


def cell(**acquisition: Any) -> Any:
    return parse_config("kind: cell", [f"acquisition.{k}={v}" for k, v in acquisition.items()])


def test_a_ring_covers_all_views_of_the_file(tmp_path: Path) -> None:
    acquisition = read(cell(ring="{na: 0.4, count: 8}", views="[3, 1]"), scan(tmp_path / "a.h5"))
    np.testing.assert_allclose(acquisition["illumination_na"], ring_na(8, na=0.4, count=8)[[3, 1]])
    with pytest.raises(DataError, match="the ring has 3 directions, and the file 4 views"):
        read(cell(ring="{na: 0.4, count: 3}"), scan(tmp_path / "a.h5"))


def test_missing_light_is_an_error(tmp_path: Path) -> None:
    path = scan(tmp_path / "a.h5")
    assert not read(cell(illumination="normal", views="[0]"), path)["illumination_na"].any()
    with pytest.raises(DataError, match=r"light of each view is not described.*acquisition\.illumination: normal"):
        read(cell(), path)


def test_a_view_may_have_several_sources(tmp_path: Path) -> None:
    na, pattern = [[0.1, 0.0], [0.0, 0.2]], [[1, 0], [0, 1], [1, 1], [0.5, 0.25]]
    acquisition = read(cell(), scan(tmp_path / "a.h5", source_na=na, pattern=pattern, defocus=[0, 0, 1e-6, 2e-6]))
    assert "illumination_na" not in acquisition
    light = illumination_of(acquisition)
    assert light.na.shape == (4, 2, 2)
    np.testing.assert_allclose(light.weights, pattern)
    np.testing.assert_allclose(light.defocus, [0, 0, 1e-6, 2e-6])


def test_one_defocus_applies_to_all_views(tmp_path: Path) -> None:
    acquisition = read(cell(ring="{na: 0.3, count: 4}", defocus="2 um"), scan(tmp_path / "a.h5"))
    np.testing.assert_allclose(acquisition["defocus"], [2e-6] * 4)


def test_light_of_the_config_overrides_that_of_the_file(tmp_path: Path) -> None:
    path = scan(tmp_path / "a.h5", illumination_na=np.full((4, 2), 7.0))
    assert not read(cell(illumination="normal", views="[0]"), path)["illumination_na"].any()
    with pytest.raises(DataError, match="exceed the medium's index"):
        read(cell(), path)


def test_degrees_without_a_unit_are_refused(tmp_path: Path) -> None:
    path = scan(tmp_path / "a.h5")
    with h5py.File(path, "a") as file:
        file["angle"] = [0.0, 90.0, 180.0, 270.0]
    turn = "{axis: y, angles: /angle%s}"
    with pytest.raises(DataError, match=r"look like degrees.*'/angle in deg'"):
        read(cell(illumination="normal", turn=turn % ""), path)
    acquisition = read(cell(illumination="normal", turn=turn % " in deg"), path)
    np.testing.assert_allclose(acquisition["rotation"][1] @ [1, 0, 0], [0, 0, 1], atol=1e-15)


def test_a_turning_specimen_is_cropped_about_its_axis(tmp_path: Path) -> None:
    path = scan(tmp_path / "a.h5")
    turn = "{axis: y, angles: [0, 0.1, 0.2, 0.3]}"
    along = read(cell(illumination="normal", turn=turn, crop="[2, 4]", crop_centre="[2, 3]"), path)
    assert along["images"].shape == (4, 2, 4)
    with pytest.raises(Exception, match="off the axis about which the specimen turns"):
        read(cell(illumination="normal", turn=turn, crop="[2, 2]", crop_centre="[2, 2]"), path)


def test_microscope_and_light_of_an_acquisition() -> None:
    arrays = {
        "images": np.ones((2, 4, 4), np.float32),
        "wavelength": np.array(5e-7),
        "numerical_aperture": np.array(0.6),
        "medium_index": np.array(1.33),
        "pixel_size": np.array([1e-7, 2e-7]),
        "illumination_na": np.array([[0.1, 0], [0, 0.2]]),
    }
    acquisition = Acquisition("cell", arrays)
    assert microscope_of(acquisition).pixel_size == (1e-7, 2e-7)
    light = illumination_of(acquisition)
    np.testing.assert_allclose(light.na[:, 0], arrays["illumination_na"])
    np.testing.assert_allclose(light.weights, 1)


def field_scan(path: Path, *, tilted: bool) -> Path:
    """Write fields of empty views under four directions, with or without the tilt of their light."""
    na = np.array([[0.5, 0.1], [-0.2, 0.4], [0.3, -0.4], [-0.5, 0.0]])
    y, x = ((np.arange(n) - n // 2) * 1e-7 for n in (48, 40))
    phase = 2 * np.pi / 5e-7 * (na[:, 0, None, None] * y[:, None] + na[:, 1, None, None] * x)
    with h5py.File(scan(path, illumination_na=na), "r+") as file:
        del file["measurement/images"]
        file["measurement/field"] = np.exp(1j * phase) if tilted else np.ones_like(phase, complex)
    return path


def test_fields_have_the_tilt_of_the_described_light_or_none(tmp_path: Path) -> None:
    tilted, bare = (field_scan(tmp_path / f"{name}.h5", tilted=name == "tilted") for name in ("tilted", "bare"))
    restored = read(cell(field_tilt="removed"), bare)["field"]
    np.testing.assert_allclose(restored, read(cell(), tilted)["field"], atol=1e-5)
    with pytest.raises(DataError, match=r"do not include the tilt .* 100% .* set acquisition\.field_tilt: removed"):
        read(cell(), bare)
    with pytest.raises(DataError, match=r"include the tilt of their light.* set acquisition\.field_tilt: included"):
        read(cell(field_tilt="removed"), tilted)
    with pytest.raises(
        DataError, match=r"that transposed explains 100% .* set acquisition\.light_correction\.axes=\[y,x\]"
    ):
        read(cell(light_correction="{axes: [x, y]}"), tilted)
    with pytest.raises(DataError, match=r"turned by 180° .*axes=\[y,x\]; or negate the phases"):
        read(cell(light_correction="{axes: [-y, -x]}"), tilted)


def test_fields_are_divided_by_those_without_the_specimen(tmp_path: Path) -> None:
    """Phase and amplitude of the optics vanish, and the tilt of the light stays, whether or not the files have it."""
    y, x = np.meshgrid(np.linspace(-1, 1, 48), np.linspace(-1, 1, 40), indexing="ij")
    optics = (1 + 0.2 * x) * np.exp(1j * (x**2 + 0.5 * y))
    specimen = np.exp(0.7j * np.exp(-8 * (x**2 + y**2)))
    expected = None
    for tilted in (True, False):
        path = field_scan(tmp_path / f"{tilted}.h5", tilted=tilted)
        with h5py.File(path, "r+") as file:
            light = file["measurement/field"][()]
            file["measurement/field"][...] = light * optics * specimen
            file["empty"] = light * optics
            file["counts"] = light * optics
        config = cell(empty_field="/empty", field_tilt="included" if tilted else "removed")
        divided = read(config, path)
        assert "empty_field" not in divided
        expected = light * specimen if tilted else expected
        np.testing.assert_allclose(divided["field"], expected, atol=1e-5)
        with pytest.raises(DataError, match=r"background holds complex numbers.*acquisition\.empty_field"):
            read(cell(background="/counts"), path)
    with pytest.raises(DataError, match=r"/empty.*that transposed explains.*axes=\[y,x\]"):
        read(cell(empty_field="/empty", light_correction="{axes: [x, y]}"), tmp_path / "True.h5")


def test_an_empty_field_that_cannot_divide_the_fields_is_refused(tmp_path: Path) -> None:
    y, x = np.meshgrid(np.linspace(-1, 1, 48), np.linspace(-1, 1, 40), indexing="ij")
    optics = np.exp(1j * (4 * x**2 + 3 * x * y))  # It hides the tilt at the border of the fields.
    tilted, bare = (field_scan(tmp_path / f"{name}.h5", tilted=name == "tilted") for name in ("tilted", "bare"))
    light = None
    for path in (tilted, bare):
        with h5py.File(path, "r+") as file:
            light = file["measurement/field"][()] if light is None else light
            file["measurement/field"][...] *= optics
            file["one"], file["each"], file["dark"] = optics, light * optics, 0 * light
            file["half_dark"] = light * np.array([1, 0, 1, 0])[:, None, None]
    for path, name, tilt in ((tilted, "one", "included"), (bare, "each", "removed")):
        with pytest.raises(DataError, match=rf"/{name}: divided by .* still have a tilt.*one of both includes"):
            read(cell(empty_field=f"/{name}", field_tilt=tilt), path)
    for name, views in (("dark", " in views 0, 1, 2, 3"), ("half_dark", " in views 1, 3")):
        with pytest.raises(DataError, match=rf"/{name}: .* is dark .*{views};"):
            read(cell(empty_field=f"/{name}"), tilted)
    images = scan(tmp_path / "images.h5", illumination_na=np.zeros((4, 2)))
    with h5py.File(images, "r+") as file:
        file["one"] = np.ones(file["measurement/images"].shape[1:], complex)
    with pytest.raises(DataError, match=r"/one: .*of intensities.*acquisition\.background"):
        read(cell(empty_field="/one"), images)
