"""Our own acquisition format: files are read as they were written, in SI, with the truth."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unflat.recon.acquisition import Acquisition
from unflat.recon.errors import ConfigError, DataError
from unflat.recon.experiments.cell.crop import bin_weights
from unflat.recon.experiments.cell.preprocess import normalise
from unflat.recon.experiments.cell.read import read
from unflat.recon.experiments.cell.schema import SCHEMA
from unflat.recon.experiments.configs import parse_config
from unflat.recon.io.inspect import describe
from unflat.recon.io.read import read_file
from unflat.recon.io.write import write
from unflat.recon.sampled import Quantity
from unflat.recon.volume import Volume, centred_axis


def acquisition(views: int = 3, shape: tuple[int, int] = (10, 12), **more: Any) -> Acquisition:
    """Build an acquisition with plausible images of a microscope."""
    rng = np.random.default_rng(0)
    arrays: dict[str, np.ndarray] = {
        "images": rng.uniform(50, 150, (views, *shape)).astype(np.float32),
        "wavelength": np.array(515e-9),
        "numerical_aperture": np.array(0.65),
        "medium_index": np.array(1.33),
        "pixel_size": np.array([0.1e-6, 0.12e-6]),
        "illumination_na": rng.uniform(-0.3, 0.3, (views, 2)),
    }
    arrays.update(more)
    return Acquisition("cell", {name: a for name, a in arrays.items() if a is not None})


def cell(**values: Any) -> Any:
    """Build a config with an ``acquisition:`` section."""
    return parse_config("kind: cell", [f"acquisition.{key}={value}" for key, value in values.items()])


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    path = tmp_path / "scan.h5"
    write(acquisition(), SCHEMA, path)
    return path


def test_an_acquisition_is_read_as_it_was_written(tmp_path: Path) -> None:
    extra = {
        "background": np.full((10, 12), 90, np.float32),
        "mask": np.eye(10, 12).astype(np.uint8),
        "defocus": np.array([0, 1e-6, -1e-6]),
        "rotation": np.stack([np.eye(3)] * 3),
    }
    before = acquisition(**extra)
    write(before, SCHEMA, tmp_path / "a.h5")
    after = read_file(tmp_path / "a.h5", SCHEMA, {}, "cell")
    assert set(after.arrays) == set(before.arrays)
    for name, array in before.arrays.items():
        np.testing.assert_array_equal(after[name], array)
        assert after[name].dtype == array.dtype


def test_complex_fields_and_the_truth_are_read_as_they_were_written(tmp_path: Path) -> None:
    axes = [centred_axis(n, 0.2e-6) for n in (4, 5, 6)]
    index = Quantity("refractive_index", "1", "real part of the refractive index")
    truth = Volume("cell", *axes, {"refractive_index": np.full((4, 5, 6), 1.35)}, (index,), {"medium_index": 1.33})
    field = np.exp(1j * np.linspace(0, 3, 360)).reshape(3, 10, 12).astype(np.complex64)
    before = acquisition(images=None, field=field)
    before = Acquisition("cell", before.arrays, truth=truth, attributes={"specimen": "bead", "gain": 2.5})
    write(before, SCHEMA, tmp_path / "a.h5")
    after = read(cell(), tmp_path / "a.h5")
    np.testing.assert_array_equal(after["field"], field)
    assert after.truth is not None
    np.testing.assert_allclose(after.truth.main, truth.main)
    np.testing.assert_allclose(after.truth.x, truth.x)
    assert after.attributes == {"specimen": "bead", "gain": 2.5}


def test_the_file_names_its_format_and_its_plot(stored: Path) -> None:
    with h5py.File(stored) as file:
        assert file.attrs["format"].decode() == "unflat-acquisition"
        assert file.attrs["format_version"].decode() == "1.0"
        assert {"creator", "created", "kind"} <= set(file.attrs)
        group = file[file.attrs["default"]]
        assert group.attrs["NX_class"].decode() == "NXdata"
        signal = group[group.attrs["signal"]]
        assert [a for a in group.attrs["axes"].astype(str) if a != "."] == ["y", "x"]
        assert len(group["y"]) == signal.shape[1]
        assert group["y"][signal.shape[1] // 2] == 0
        datasets: list[Any] = []
        file.visititems(lambda _, node: datasets.append(node) if isinstance(node, h5py.Dataset) else None)
        assert all(d.attrs["units"] for d in datasets)


def test_large_images_are_chunked_by_image_and_compressed(tmp_path: Path) -> None:
    write(acquisition(shape=(64, 64), images=np.ones((3, 64, 64), np.float32)), SCHEMA, tmp_path / "a.h5")
    with h5py.File(tmp_path / "a.h5") as file:
        images = file["measurement/images"]
        assert (images.chunks, images.compression, images.shuffle) == ((1, 64, 64), "gzip", True)


def test_a_failed_write_leaves_the_old_file_and_no_other(stored: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = stored.read_bytes()
    monkeypatch.setattr("unflat.recon.io.write._write_axes", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        write(acquisition(views=5), SCHEMA, stored)
    assert stored.read_bytes() == old
    assert [p.name for p in stored.parent.iterdir()] == ["scan.h5"]


def test_info_summarises_an_acquisition(stored: Path) -> None:
    text = "\n".join(describe(stored))
    assert "3 intensity images of 10 x 12 pixels" in text
    assert "wavelength 515 nm, NA 0.65, medium index 1.33, pixel 100 nm x pixel 120 nm" in text
    assert "pixel_size  2  float64  [m]  = 1e-07, 1.2e-07" in text


@pytest.mark.parametrize(
    ("views", "numbers"), [("all", [0, 1, 2]), ("::2", [0, 2]), ("[2, 0]", [2, 0]), ("1:3", [1, 2])]
)
def test_selected_views_apply_to_every_array_with_a_view_axis(stored: Path, views: str, numbers: list[int]) -> None:
    whole, part = read(cell(), stored), read(cell(views=views), stored)
    np.testing.assert_array_equal(part["images"], whole["images"][numbers])
    np.testing.assert_array_equal(part["illumination_na"], whole["illumination_na"][numbers])


def test_the_middle_of_a_crop_is_on_the_optical_axis(stored: Path) -> None:
    whole = read(cell(), stored)
    part = read(cell(crop="[4, 6]", crop_centre="[5, 4]"), stored)
    np.testing.assert_array_equal(part["images"], whole["images"][:, 3:7, 1:7])
    assert part["images"][0, 4 // 2, 6 // 2] == whole["images"][0, 5, 4]


def test_a_crop_moves_the_truth_with_it(tmp_path: Path) -> None:
    axes = [centred_axis(n, 0.1e-6) for n in (4, 10, 12)]
    index = Quantity("refractive_index", "1", "")
    truth = Volume("cell", *axes, {"refractive_index": np.ones((4, 10, 12))}, (index,))
    write(Acquisition("cell", acquisition().arrays, truth=truth), SCHEMA, tmp_path / "a.h5")
    part = read(cell(crop="[4, 4]", crop_centre="[3, 8]"), tmp_path / "a.h5")
    assert part.truth is not None
    np.testing.assert_allclose(part.truth.y, truth.y + 2 * 0.1e-6)
    np.testing.assert_allclose(part.truth.x, truth.x - 2 * 0.12e-6)


@pytest.mark.parametrize("change", [{"crop": "[11, 4]"}, {"views": "[7]"}, {"bin": 11}, {"crop_centre": "[50, 2]"}])
def test_a_selection_beyond_the_file_is_a_fault_of_the_config(stored: Path, change: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"acquisition\.(crop|views|bin)"):
        read(cell(**change), stored)


@given(st.integers(3, 40), st.integers(1, 6))
@settings(max_examples=40, deadline=None)
def test_binned_pixels_are_centred_on_the_axis(count: int, factor: int) -> None:
    """Of a ramp that is 0 on the axis, each binned pixel (away from the border) has the value at its centre."""
    if count < factor:
        return
    weights = bin_weights(count, factor)
    ramp = np.arange(count) - count // 2.0
    coarse = weights @ ramp / weights.sum(axis=1)
    expected = factor * (np.arange(len(coarse)) - len(coarse) // 2.0)
    whole = np.isclose(weights.sum(axis=1), factor)
    np.testing.assert_allclose(coarse[whole], expected[whole], atol=1e-9)
    if len(coarse) >= 3:
        assert whole[len(coarse) // 2]


def test_binning_keeps_the_mean_of_good_pixels_and_widens_the_pixel(tmp_path: Path) -> None:
    images = np.full((2, 9, 9), 7, np.float32)
    images[:, 4, 4] = 1e6
    mask = np.zeros((9, 9), np.uint8)
    mask[4, 4] = 1
    arrays = acquisition(views=2, images=images, mask=mask, background=images[0])
    write(arrays, SCHEMA, tmp_path / "a.h5")
    after = read(cell(bin=3), tmp_path / "a.h5")
    np.testing.assert_allclose(after["images"], np.full((2, 3, 3), 7), rtol=1e-6)
    np.testing.assert_allclose(after["background"], np.full((3, 3), 7), rtol=1e-6)
    np.testing.assert_allclose(after["pixel_size"], [0.3e-6, 0.36e-6])
    assert not after["mask"].any()


def test_fields_are_binned_as_complex_means(tmp_path: Path) -> None:
    """Opposite fields cancel, where their intensities would not."""
    field = np.ones((1, 9, 9), np.complex64) * np.where(np.arange(9) % 3 == 1, -2, 1)
    write(acquisition(views=1, images=None, field=field), SCHEMA, tmp_path / "a.h5")
    np.testing.assert_allclose(read(cell(bin=3), tmp_path / "a.h5")["field"], 0, atol=1e-6)


def test_each_view_is_normalised_by_its_own_light() -> None:
    """A specimen in the middle hardly changes the estimate of the background around it."""
    rng = np.random.default_rng(1)
    specimen = np.ones((64, 64))
    specimen[20:44, 20:44] = rng.uniform(0.4, 1.8, (24, 24))
    light = np.array([100, 1000])[:, None, None]
    images = rng.poisson(light * specimen).astype(np.float32)
    result = normalise(acquisition(views=2, images=images))["images"]
    np.testing.assert_allclose(result[:, :16].mean(axis=(1, 2)), 1, atol=0.03)
    by_background = normalise(acquisition(views=2, images=images, background=np.full((64, 64), 50, np.float32)))
    np.testing.assert_allclose(by_background["images"], images / 50)
    assert "background" not in by_background
    same = normalise(acquisition(views=2, images=images), "view_mean")["images"]
    np.testing.assert_allclose(same.mean(axis=(1, 2)), 1, rtol=1e-5)


def test_fields_lose_the_phase_of_their_background() -> None:
    field = np.full((2, 32, 32), 1, np.complex64) * np.array([2j, -0.5])[:, None, None].astype(np.complex64)
    field[:, 8:24, 8:24] *= np.complex64(np.exp(0.7j))
    straight = np.zeros((2, 2))
    result = normalise(acquisition(views=2, images=None, field=field, illumination_na=straight))["field"]
    np.testing.assert_allclose(result[:, 0], 1, rtol=1e-6)
    np.testing.assert_allclose(np.angle(result[:, 16, 16]), 0.7, rtol=1e-5)


def test_tilted_fields_become_the_incident_wave_where_there_is_no_specimen() -> None:
    na = np.array([[0.2, -0.1], [0.0, 0.3]])
    y, x = centred_axis(32, 0.1e-6), centred_axis(32, 0.12e-6)
    cycles = na[:, :1, None] * y[:, None] + na[:, 1:, None] * x
    incident = np.exp(2j * np.pi * cycles / 515e-9)
    field = (incident * np.array([3j, 0.2])[:, None, None]).astype(np.complex64)
    result = normalise(acquisition(views=2, images=None, field=field, illumination_na=na))["field"]
    np.testing.assert_allclose(result, incident, atol=1e-5)


def test_division_by_a_missing_background_is_refused() -> None:
    with pytest.raises(ConfigError, match="no background"):
        normalise(acquisition(), "background")


def test_schema_and_reader_agree_on_what_is_required(tmp_path: Path) -> None:
    write(acquisition(images=None, wavelength=None), SCHEMA, tmp_path / "a.h5")
    with pytest.raises(DataError) as caught:
        read_file(tmp_path / "a.h5", SCHEMA, {}, "cell")
    text = str(caught.value)
    assert "/measurement/images" in text
    assert "/instrument/wavelength" in text
