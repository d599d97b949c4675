"""Likelihood of a cell: box, lattices, and limits of the physics."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from unflat.recon.acquisition import Acquisition
from unflat.recon.errors import ConfigError
from unflat.recon.experiments.cell.diagnostics import specimen_numbers
from unflat.recon.experiments.cell.estimate import estimate
from unflat.recon.experiments.cell.geometry import geometry_of
from unflat.recon.experiments.cell.likelihood import CellLikelihood, likelihood
from unflat.recon.experiments.cell.schema import REFRACTIVE_INDEX
from unflat.recon.experiments.cell.view_selection import background_levels, drop_unlike_views
from unflat.recon.experiments.configs import parse_config
from unflat.recon.volume import Volume

VIEWS = 8


def acquisition(**arrays: Any) -> Acquisition:
    """Build an acquisition of an empty field under a ring of light."""
    angle = 2 * np.pi * np.arange(VIEWS) / VIEWS
    known: dict[str, Any] = {
        "images": np.ones((VIEWS, 24, 28), np.float32),
        "wavelength": np.array(500e-9),
        "numerical_aperture": np.array(0.6),
        "medium_index": np.array(1.33),
        "pixel_size": np.array([200e-9, 200e-9]),
        "illumination_na": 0.5 * np.stack([np.sin(angle), np.cos(angle)], axis=1),
    }
    given: Mapping[str, Any] = {name: value for name, value in (known | arrays).items() if value is not None}
    return Acquisition("cell", dict(given))


def settings(text: str = "", size: str = "auto") -> Any:
    return parse_config(f"kind: cell\nvolume: {{depth: 6 um, size: {size}}}\n{text}")


def test_an_empty_box_explains_an_empty_field() -> None:
    empty = likelihood(settings(), acquisition())
    values = jnp.zeros((1, *empty.grid.shape), jnp.float32)
    batch = empty.batch(np.arange(3))
    np.testing.assert_allclose(empty.predict(values, {}, batch), 1, atol=1e-5)


def test_a_masked_pixel_has_no_say_in_the_brightness_of_a_view() -> None:
    images, mask = np.full((VIEWS, 24, 28), 3, np.float32), np.zeros((24, 28), np.uint8)
    images[:, 5, 6], mask[5, 6] = np.nan, 1
    np.testing.assert_allclose(likelihood(settings(), acquisition(images=images, mask=mask)).levels, 3, rtol=1e-5)


def test_an_empty_box_has_a_loss_of_one_however_many_pixels_are_masked() -> None:
    images, mask = np.ones((VIEWS, 24, 28), np.float32), np.zeros((24, 28), np.uint8)
    images[:, :, :14] += 0.3 * np.random.default_rng(0).random((VIEWS, 24, 14), np.float32)
    mask[:, 10:] = 1
    masked = likelihood(settings("fit: {refine: {gain: false}}"), acquisition(images=images, mask=mask))
    values = jnp.zeros((1, *masked.grid.shape), jnp.float32)
    assert np.mean(masked.losses_of(values, {}, np.arange(VIEWS))) == pytest.approx(1, rel=1e-3)


def test_the_time_of_a_fit_includes_the_trials_of_sign_light_and_prior() -> None:
    texts = ("sign: any", "sign: auto", "sign: any, refine: {sources: rigid}", "sign: any, prior: shipped")
    seconds = [estimate(settings(f"fit: {{steps: 300, {text}}}"), acquisition()).seconds for text in texts]
    assert [one / seconds[0] for one in seconds[1:]] == pytest.approx([5 / 4, 5 / 4, 6 / 4])


def test_the_time_of_a_prediction_is_that_of_the_fits_that_it_begins_and_of_its_draws() -> None:
    def prediction(text: str) -> float:
        return estimate(settings(text), acquisition()).other_seconds["predict"]

    fit = estimate(settings("fit: {steps: 200, sign: any}"), acquisition())
    steps = fit.seconds / 200
    once, twice = (prediction(f"fit: {{steps: 200, sign: {sign}}}\npredict: {{draws: 8}}") for sign in ("any", "auto"))
    at_once, more, most = (prediction(f"predict: {{start: linear, draws: {draws}}}") for draws in (8, 16, 24))
    assert twice - once == pytest.approx(50 * steps)
    assert once - at_once == pytest.approx(50 * steps + fit.compile_seconds)
    assert most - more == pytest.approx(more - at_once)
    assert more > at_once
    refined = prediction("fit: {steps: 200, sign: any}\npredict: {draws: 8, refine: true}")
    assert refined - once == pytest.approx(200 * steps)
    assert fit.whole_seconds > 5  # Compilation, which takes longer than the steps on so few samples.
    assert fit.of_series([1, 1, 1]).compile_seconds == 2 * fit.compile_seconds
    assert not estimate(settings(), acquisition(rotation=np.tile(np.eye(3), (VIEWS, 1, 1)))).other_seconds


def test_the_box_covers_the_images_and_the_depth() -> None:
    box = likelihood(settings(), acquisition()).frame
    np.testing.assert_allclose((box.low[0], box.high[0]), (-3e-6, 3e-6))
    np.testing.assert_allclose(box.extent[1:], [24 * 200e-9, 28 * 200e-9])
    # Pixel n // 2 is on the axis.
    np.testing.assert_allclose(box.low[1:], [-12.5 * 200e-9, -14.5 * 200e-9])


@pytest.mark.parametrize("model", ["multislice", "ssnp"])
def test_slices_suit_the_physics(model: str) -> None:
    lattice = geometry_of(settings(f"physics: {{model: {model}}}"), acquisition()).lattice
    cycle = 500e-9 / 1.33
    assert lattice.pitch[0] <= 1.05 * (cycle / 3 if model == "ssnp" else 4 * cycle)


@pytest.mark.parametrize("depth", [2.0, 5.0, 6.3, 9.0])
def test_automatic_slices_fill_the_depth_about_its_middle(depth: float) -> None:
    config = parse_config(f"kind: cell\nvolume: {{depth: {depth} um, centre_z: 1 um}}")
    lattice = geometry_of(config, acquisition()).lattice
    assert lattice.thickness == pytest.approx(1e-6 * depth)
    np.testing.assert_allclose(lattice.planes, 2e-6 - lattice.planes[::-1], atol=1e-15)


@pytest.mark.parametrize(("pixels", "samples"), [(24, 0.0), (80, 30.0), (200, 30.0)])
def test_a_field_is_padded_for_the_pupils_rim_up_to_twice_its_width(pixels: int, samples: float) -> None:
    images = np.ones((VIEWS, pixels, pixels), np.float32)
    padded = geometry_of(settings(), acquisition(images=images)).padded
    width = padded.shape[1] * padded.pitch[1]
    assert width >= min(30 * 500e-9 / 0.6, 2 * pixels * 200e-9)
    assert width * 0.6 / 500e-9 >= samples
    assert padded.shape[1] <= 2 * pixels + 8


def test_thick_slices_are_refused_for_ssnp() -> None:
    config = parse_config(
        "kind: cell\nvolume: {depth: 6 um, spacing: [0.3 um, 0.2 um, 0.2 um]}\nphysics: {model: ssnp}"
    )
    with pytest.raises(ConfigError, match=r"300 nm are too thick.*at most 169"):
        geometry_of(config, acquisition())


def test_a_spacing_must_divide_the_pixel() -> None:
    config = parse_config("kind: cell\nvolume: {depth: 6 um, spacing: 0.15 um}")
    with pytest.raises(ConfigError, match="200 nm or 100 nm"):
        geometry_of(config, acquisition())


def test_a_missing_depth_is_an_error() -> None:
    with pytest.raises(ConfigError, match=r"--set volume\.depth="):
        geometry_of(parse_config("kind: cell"), acquisition())


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"images": None, "field": np.ones((VIEWS, 24, 24), np.complex64)}, "complex fields"),
        ({"rotation": np.tile(np.eye(3), (VIEWS, 1, 1))}, "turning specimen"),
    ],
)
def test_linear_theory_refuses_fields_and_turning_specimens(arrays: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        likelihood(settings("physics: {model: linear}"), acquisition(**arrays))


def test_a_finer_lattice_predicts_the_same_images() -> None:
    """Compare a smooth bead on the lattice of the pixels with one of half the pitch."""
    seen = []
    for spacing in ("[0.5 um, 0.2 um, 0.2 um]", "[0.25 um, 0.1 um, 0.1 um]"):
        fine = likelihood(parse_config(f"kind: cell\nvolume: {{depth: 6 um, spacing: {spacing}}}"), acquisition())
        seen.append(np.asarray(fine.predict(bead(fine), {}, fine.batch(np.arange(3)))))
    assert np.linalg.norm(seen[0] - seen[1]) < 0.1 * np.linalg.norm(seen[1] - 1)


def bead(fine: CellLikelihood) -> Any:
    z, y, x = np.meshgrid(*fine.geometry.lattice.axes, indexing="ij")
    return jnp.asarray(0.02 * np.exp(-((z / 1.2e-6) ** 2 + (y / 0.8e-6) ** 2 + (x / 0.8e-6) ** 2)), jnp.float32)[None]


def test_the_incident_wave_is_divided_from_a_complex_field() -> None:
    """The measured field is relative to the incident wave exp(2πi na·r/λ), up to a phase of each view."""
    made = acquisition()
    y, x = ((np.arange(n) - n // 2) * 200e-9 for n in (24, 28))
    na = made["illumination_na"][:, :, None, None]
    field = 1j * np.exp(2j * np.pi / 500e-9 * (na[:, 0] * y[:, None] + na[:, 1] * x))
    fields = likelihood(settings(), acquisition(images=None, field=field.astype(np.complex64)))
    np.testing.assert_allclose(fields.measured, 1, atol=1e-4)


def test_vignetted_views_are_recognised_by_their_brightness() -> None:
    na = np.stack([np.zeros(VIEWS), np.linspace(0, 0.599, VIEWS)], axis=1)
    images = np.random.default_rng(0).poisson(1000.0, (VIEWS, 24, 28)).astype(np.float32)
    images[-1] *= 0.3
    dim = acquisition(images=images, illumination_na=na)
    retained, _ = drop_unlike_views(dim, background_levels(dim))
    np.testing.assert_array_equal(retained["illumination_na"], na[:-1])
    np.testing.assert_array_equal(retained["images"], images[:-1])
    images[3] *= 0.3  # Well inside the aperture: a weak lamp, not the objective.
    weak = acquisition(images=images, illumination_na=na)
    retained, _ = drop_unlike_views(weak, background_levels(weak))
    np.testing.assert_array_equal(retained["illumination_na"], na[:-1])


def test_one_program_serves_all_scans_of_one_shape() -> None:
    """The numbers of a scan are arguments of the compiled program, so that the cache of programs knows it again."""

    def program(seed: int) -> str:
        images = np.random.default_rng(seed).poisson(1000, (VIEWS, 24, 28)).astype(np.float32)
        scan = likelihood(settings(), acquisition(images=images))
        values = jnp.zeros((1, *scan.grid.shape), jnp.float32)
        return str(
            jax.jit(lambda v, batch: scan.losses(v, {}, batch)).lower(values, scan.batch(np.arange(3))).as_text()
        )

    assert program(0) == program(1)


def test_a_specimen_that_the_border_of_the_images_cuts_is_seen_at_the_sides_of_its_box() -> None:
    def numbers(row: float, size: str = "auto") -> dict[str, float]:
        seen = likelihood(settings(size=size), acquisition())
        z, y, x = seen.geometry.lattice.axes
        distance = z[:, None, None] ** 2 + (y[None, :, None] - row) ** 2 + x[None, None, :] ** 2
        index = np.where(distance < 1.2e-6**2, 1.36, 1.33).astype(np.float32)
        return specimen_numbers(seen, Volume("cell", z, y, x, {"refractive_index": index}, (REFRACTIVE_INDEX,)))

    half_depth, sine = 3e-6, 0.6 / 1.33
    assert numbers(0.0)["contrast_at_sides"] < 1e-4
    cut = numbers(-2.4e-6)
    assert cut["contrast_at_sides"] > 0.9
    assert cut["light_reach"] == pytest.approx(half_depth * sine / np.sqrt(1 - sine**2) + 500e-9 / 0.6)
    assert "contrast_at_sides" not in numbers(-2.4e-6, "[8 um, 8 um]")


def test_a_specimen_that_is_drawn_out_through_the_box_makes_its_faces_alike() -> None:
    seen = likelihood(settings(), acquisition())
    z, y, x = seen.geometry.lattice.axes

    def numbers(tilt: float) -> dict[str, float]:
        """Numbers of a rod from face to face, whose axis is tilted by a tangent."""
        centre = tilt * z[:, None, None]
        inside = (y[None, :, None] - centre) ** 2 + x[None, None, :] ** 2 < 0.8e-6**2
        index = np.where(inside, 1.36, 1.33).astype(np.float32)
        return specimen_numbers(seen, Volume("cell", z, y, x, {"refractive_index": index}, (REFRACTIVE_INDEX,)))

    upright, tilted = numbers(0.0), numbers(0.6)
    assert upright["contrast_at_faces"] > 0.9
    assert tilted["contrast_at_faces"] > 0.9
    assert upright["faces_correlation"] == pytest.approx(1, abs=1e-6)
    assert tilted["faces_correlation"] < 0.2
