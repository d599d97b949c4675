"""Brightness of a cell's images: dark level, exposure, dark fields on the scale of bright ones, lost light."""

import logging
from pathlib import Path
from typing import Any

import h5py
import jax.numpy as jnp
import numpy as np
import pytest

from unflat.cli.main import run
from unflat.recon.acquisition import Acquisition
from unflat.recon.errors import ConfigError, DataError
from unflat.recon.experiments.cell.absorption_test import absorption_ratio
from unflat.recon.experiments.cell.camera import camera_faults, correct_camera
from unflat.recon.experiments.cell.geometry import geometry_of
from unflat.recon.experiments.cell.likelihood import likelihood
from unflat.recon.experiments.cell.preprocess import normalise
from unflat.recon.experiments.cell.read import read
from unflat.recon.experiments.cell.simulate import simulate
from unflat.recon.experiments.cell.verdict import ABSORPTION_RATIO, assess
from unflat.recon.experiments.cell.view_selection import background_levels, drop_unlike_views, omit_views
from unflat.recon.experiments.configs import parse_config

from .numpy_microscope import DEPTH, MEDIUM, PITCH, SAMPLES, SLICES, STEP, WAVELENGTH, directions, image, index

APERTURE = 0.3
NA = np.array([[0, 0], [0, 0.1], [0.1, 0], [0, -0.2], [0, 0.4], [0.5, 0]])
BRIGHT = slice(0, 4)


def acquisition(**arrays: Any) -> Acquisition:
    """Build four bright fields of 1000 counts and two dark fields of 2."""
    rng = np.random.default_rng(0)
    level = np.array([1000.0, 1000, 1000, 1000, 2, 2])[:, None, None]
    known: dict[str, Any] = {
        "images": rng.poisson(level, (6, 24, 28)).astype(np.float32),
        "wavelength": np.array(532e-9),
        "numerical_aperture": np.array(APERTURE),
        "medium_index": np.array(MEDIUM),
        "pixel_size": np.array([4e-7, 4e-7]),
        "illumination_na": NA,
    }
    return Acquisition("cell", known | arrays)


def settings(text: str = "") -> Any:
    return parse_config(f"kind: cell\nvolume: {{depth: 6 um}}\n{text}")


@pytest.mark.parametrize("mode", ["auto", "view_mean", "background"])
def test_dark_fields_keep_the_scale_of_the_bright_fields(mode: str) -> None:
    background = np.where(NA[:, :1, None] ** 2 + NA[:, 1:, None] ** 2 < APERTURE**2, 1000.0, 0.0)
    arrays = {"background": np.broadcast_to(background, (6, 24, 28)).astype(np.float32)} if mode == "background" else {}
    images = normalise(acquisition(**arrays), mode)["images"]
    np.testing.assert_allclose(images[BRIGHT].mean(axis=(1, 2)), 1, rtol=0.01)
    np.testing.assert_allclose(images[4:].mean(axis=(1, 2)), 0.002, rtol=0.1)


def test_a_dark_field_of_several_sources_is_relative_to_all_of_them() -> None:
    """Two LEDs give bright fields of 2000 counts; the scale is that of one LED, times those that shine."""
    pattern = np.array([[1, 1, 0, 0], [0, 1, 0, 1], [0, 0, 1, 1]], float)
    images = np.stack([np.full((24, 28), level, np.float32) for level in (2000, 1000, 4)])
    na = np.array([[0, 0.1], [0.1, 0], [0, 0.4], [0.5, 0]])
    arrays = {"images": images, "source_na": na, "pattern": pattern}
    acquired = acquisition(**arrays)
    del acquired.arrays["illumination_na"]  # type: ignore[attr-defined]
    np.testing.assert_allclose(normalise(acquired)["images"].mean(axis=(1, 2)), [1, 1, 0.002], rtol=1e-5)


def test_dark_fields_alone_have_no_scale() -> None:
    made = acquisition()
    alone = acquisition(images=made["images"][4:], illumination_na=NA[4:])
    with pytest.raises(ConfigError, match=r"all 2 views are dark fields of the aperture 0.3.*normalise: none"):
        normalise(alone)


@pytest.mark.parametrize("shape", [(), (6,), (24, 28), (6, 24, 28)])
def test_the_dark_level_is_subtracted_from_images_and_background(shape: tuple[int, ...]) -> None:
    pedestal = acquisition()["images"] + 100
    background = np.full((24, 28), 1100, np.float32)
    corrected = correct_camera(acquisition(images=pedestal, background=background, dark=np.full(shape, 100.0)))
    np.testing.assert_allclose(corrected["images"], acquisition()["images"], atol=1e-3)
    np.testing.assert_allclose(corrected["background"], 1000)
    assert "dark" not in corrected


def test_a_longer_exposure_is_divided_out() -> None:
    exposure = np.array([1.0, 1, 1, 1, 50, 50])
    longer = acquisition()["images"] * exposure[:, None, None].astype(np.float32)
    corrected = correct_camera(acquisition(images=longer, exposure=exposure))
    np.testing.assert_allclose(corrected["images"], acquisition()["images"], rtol=1e-5)


def test_noise_below_zero_is_accepted_and_a_contrast_is_refused() -> None:
    rng = np.random.default_rng(1)
    noisy = acquisition()["images"] + rng.normal(0, 3, (6, 24, 28)).astype(np.float32)
    assert (noisy < 0).any()
    assert not camera_faults(acquisition(images=noisy))
    contrast = acquisition()["images"] / 1000 - 1
    (fault,) = camera_faults(acquisition(images=contrast))
    assert "negative" in fault.message


def test_a_file_of_dark_subtracted_floats_is_sound(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    noisy = acquisition()["images"] + np.random.default_rng(1).normal(0, 3, (6, 24, 28)).astype(np.float32)
    path = tmp_path / "scan.h5"
    with h5py.File(path, "w") as file:
        file["I"], file["na"], file["raw"] = noisy, NA, noisy + 100
    text = (
        "acquisition: {images: /I, wavelength: 0.532 um, numerical_aperture: 0.3, medium_index: 1.333, "
        "pixel_size: 0.4 um, illumination_na: /na}"
    )
    with caplog.at_level(logging.WARNING):
        acquired = read(settings(text), path)
    assert len(acquired["images"]) == 6
    assert "below 0 by the noise" in caplog.text
    with_dark = read(settings(text.replace("/I,", "/raw, dark: 100,")), path)
    np.testing.assert_allclose(with_dark["images"], noisy, atol=1e-3)
    with pytest.raises(DataError, match="negative"):
        read(settings(text.replace("/I,", "/raw, dark: 900,")), path)


def test_a_dark_level_in_the_dark_fields_is_reported(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "scan.h5"
    with h5py.File(path, "w") as file:
        file["I"], file["na"] = acquisition()["images"] + 100, NA
    text = (
        "acquisition: {images: /I, wavelength: 0.532 um, numerical_aperture: 0.3, medium_index: 1.333, "
        "pixel_size: 0.4 um, illumination_na: /na}"
    )
    with caplog.at_level(logging.WARNING):
        read(settings(text), path)
    assert "acquisition.dark" in caplog.text
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        read(settings(text.replace("/I,", "/I, dark: 100,")), path)
    assert "dark fields, on one scale" in caplog.text
    assert "acquisition.dark" not in caplog.text


def test_a_bright_image_of_light_outside_the_aperture_is_left_out(caplog: pytest.LogCaptureFixture) -> None:
    images = acquisition()["images"].copy()
    images[5] = images[0]
    made = acquisition(images=images)
    with caplog.at_level(logging.WARNING):
        remaining, _ = drop_unlike_views(made, background_levels(made))
    assert len(remaining["images"]) == len(remaining["illumination_na"]) == 5
    assert "as bright as in a bright field: 5" in caplog.text


def test_dark_fields_are_sampled_finely_enough_for_their_waves() -> None:
    """Waves of a dark field reach to the aperture beyond the light's: λ / 2(NA + na) = 332 nm at na 0.5."""
    lattice = geometry_of(settings(), acquisition()).lattice
    assert lattice.binning == 2
    bright = acquisition(images=acquisition()["images"][BRIGHT], illumination_na=NA[BRIGHT])
    assert geometry_of(settings(), bright).lattice.binning == 1


def test_an_empty_box_leaves_a_residual_of_one_with_dark_fields() -> None:
    model = likelihood(settings(), acquisition())
    values = jnp.zeros((1, *model.grid.shape), jnp.float32)
    np.testing.assert_allclose(
        model.predict(values, {}, model.batch(np.array([0, 4]))).mean(axis=(1, 2)), [1, 0], atol=0.01
    )
    losses = model.losses(values, {}, model.batch(np.arange(6)))
    assert model.metric(np.asarray(losses)) == pytest.approx(1, rel=0.05)


def test_a_dark_field_measures_the_strength_of_the_contrast() -> None:
    """With a gain of its own, a dark field of half the amplitude would be explained as well."""
    model = likelihood(settings(), acquisition())
    z, y, x = np.meshgrid(*model.geometry.lattice.axes, indexing="ij")
    bead = jnp.asarray(0.02 * np.exp(-(z**2 + y**2 + x**2) / 1e-12), jnp.float32)[None]
    batch = model.batch(np.array([4, 5]))
    batch["measured"] = np.asarray(model.predict(bead, {}, batch))
    exact, half = (np.asarray(model.losses(factor * bead, {}, batch)) for factor in (1.0, 0.5))
    assert (exact < 0.2 * half).all()


def test_linear_theory_leaves_dark_fields_out(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        model = likelihood(settings("physics: {model: linear}"), acquisition())
    assert model.views == 4
    assert "2 dark field(s) left out" in caplog.text


def test_one_background_for_all_views_stays_whole_where_views_are_left_out() -> None:
    """Its rows may be as many as the views."""
    background = np.full((6, 28), 1000.0, np.float32)
    remaining = omit_views(acquisition(images=np.ones((6, 6, 28), np.float32), background=background), np.array([4, 5]))
    assert remaining["images"].shape == (4, 6, 28)
    assert remaining["background"].shape == (6, 28)


def test_simulated_dark_fields_hold_the_light_that_the_specimen_scatters() -> None:
    """Weak scattering: the light in a dark field grows with the square of the contrast."""
    means = []
    for contrast in (0.2, 0.4):
        made = simulate(parse_config(config_text(contrast, "photons: null, read_noise: 0")))
        dark = made["exposure"] > 1
        assert dark.any()
        np.testing.assert_allclose(made["images"][~dark].mean(), 1, rtol=0.01)
        means.append((made["images"] / made["exposure"][:, None, None])[dark].mean())
    assert 1e-7 < means[0] < 1e-2
    assert means[1] / means[0] == pytest.approx(4, rel=0.05)


def config_text(contrast: float, camera: str) -> str:
    return (
        "kind: cell\nsimulate: {specimen: beads, shape: [32, 32], depth: 4 um, radius: 0.8 um, "
        f"contrast: {contrast}, numerical_aperture: 0.4, {camera}, dark_field_exposure: 10, "
        "illumination: {pattern: grid, count: 9, na: 0.6}}"
    )


def write_stack(path: Path, n: np.ndarray, na: np.ndarray, photons: float, scale: float = 1.0) -> None:
    """Write photographs of the independent microscope."""
    clean = np.stack([image(n, direction, APERTURE) for direction in na])
    counts = np.random.default_rng(0).poisson(photons * clean)
    with h5py.File(path, "w") as file:
        file["I"], file["na"] = (counts * (scale / photons)).astype(np.float32), na


CONFIG = (
    "kind: cell\nacquisition: {images: /I, numerical_aperture: 0.3, medium_index: 1.333, "
    f"wavelength: {WAVELENGTH} um, pixel_size: {2 * PITCH} um, illumination_na: /na}}\nvolume: {{depth: {DEPTH} um}}\n"
    "physics: {absorption: false}\nfit: {steps: 40, sign: nonnegative}\n"
)


@pytest.mark.slow
@pytest.mark.usefixtures("no_report")
def test_bright_and_dark_fields_on_one_scale_give_the_strength_of_a_cell(tmp_path: Path) -> None:
    """Compare with an independent simulation; a scale of its own for each dark field gave a slope of 0.21."""
    n, na = index(), directions(36, 0.5)
    write_stack(tmp_path / "scan.h5", n, na, photons=1e6, scale=1.36)
    (tmp_path / "run.yaml").write_text(CONFIG)
    assert run(["fit", str(tmp_path / "run.yaml"), str(tmp_path / "scan.h5"), "-o", str(tmp_path / "R")]) == 0
    assert slope(tmp_path / "R" / "volume.h5", n) > 0.65


def slope(path: Path, n: np.ndarray) -> float:
    """Regress the fitted contrast on the true one at the samples of the result."""
    from scipy.interpolate import RegularGridInterpolator

    with h5py.File(path) as file:
        fitted = file["volume/refractive_index"][:] - MEDIUM
        axes = [file[f"volume/{a}"][:] * 1e6 for a in "zyx"]
    lattice = [(np.arange(k) - k // 2) * d for k, d in ((SLICES, STEP), (SAMPLES, PITCH), (SAMPLES, PITCH))]
    interpolate = RegularGridInterpolator(lattice, n - MEDIUM, bounds_error=False, fill_value=0)
    true = interpolate(np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1))
    return float((fitted * true).sum() / (true**2).sum())


@pytest.mark.slow
@pytest.mark.parametrize("absorption", [0.0, 0.12])
def test_linear_theory_tells_a_stained_cell_from_a_clear_one(tmp_path: Path, absorption: float) -> None:
    n = index()
    write_stack(tmp_path / "scan.h5", n + 1j * absorption * (n - MEDIUM), directions(13, 0.27), photons=2e4)
    config: Any = parse_config(CONFIG)
    ratio = absorption_ratio(likelihood(config, read(config, tmp_path / "scan.h5")))
    assert ratio is not None
    assert (ratio < ABSORPTION_RATIO) == (absorption > 0)
    warned = any("physics.absorption=true" in reason.remedy for reason in assess({"absorption_ratio": ratio}))
    assert warned == (absorption > 0)


def test_uneven_light_is_told_and_divided_out_without_a_background(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    y, x = np.linspace(-1, 1, 48)[:, None], np.linspace(-1, 1, 40)
    specimen = 1 + 0.3 * np.exp(-((y - 0.1) ** 2 + x**2) / 0.1) * np.cos(9 * y)
    light = np.stack([1 + 0.2 * y - 0.1 * x * y, 1 - 0.15 * x + 0.1 * y**2])
    even, uneven = (
        acquisition(images=np.float32(500 * specimen * shape), illumination_na=NA[:2])
        for shape in (np.ones_like(light), light)
    )
    flat, known = normalise(uneven, "polynomial")["images"], normalise(even)["images"]
    np.testing.assert_allclose(flat, known, atol=0.03)
    np.testing.assert_allclose(normalise(even, "polynomial")["images"], known, atol=0.02)
    assert np.abs(normalise(uneven)["images"] - known).max() > 0.1
    for each, name in ((even, "even"), (uneven, "uneven")):
        with h5py.File(tmp_path / f"{name}.h5", "w") as file:
            file["measurement/images"] = each["images"]
            for number in ("wavelength", "numerical_aperture", "medium_index", "pixel_size", "illumination_na"):
                file[f"instrument/{number}"] = each[number]
        caplog.clear()
        read(settings(), tmp_path / f"{name}.h5")
        assert ("set acquisition.normalise: polynomial" in caplog.text) == (name == "uneven")


def test_specimens_up_to_the_rim_are_no_uneven_light(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    y, x = np.linspace(-1, 1, 150)[:, None], np.linspace(-1, 1, 132)
    light = 1 + 0.3 * y - 0.2 * x * y
    textured = light * (1 + 0.4 * np.sign(np.sin(25 * y) * np.sin(23 * x)))
    known = acquisition(images=np.float32([light]), illumination_na=NA[:1])
    np.testing.assert_allclose(normalise(known, "polynomial")["images"], 1, atol=1e-3)
    with h5py.File(tmp_path / "scan.h5", "w") as file:
        file["measurement/images"] = np.float32([textured])
        for number in ("wavelength", "numerical_aperture", "medium_index", "pixel_size", "illumination_na"):
            file[f"instrument/{number}"] = known[number]
    for mode, is_warned in (("auto", False), ("polynomial", True)):
        caplog.clear()
        read(settings(f"acquisition: {{normalise: {mode}}}"), tmp_path / "scan.h5")
        assert "acquisition.background" not in caplog.text
        assert ("no rim of the images is empty field" in caplog.text) == is_warned
