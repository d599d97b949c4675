"""Volumes between and outside their samples."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import scipy.ndimage
from hypothesis import given, settings
from hypothesis import strategies as st

from unflat.recon.errors import ConfigError, DataError
from unflat.recon.sampled import Quantity
from unflat.recon.volume import Volume, centred_axis

STEP = 5e-9


def smooth_volume() -> Volume:
    """A phase that grows along x by 0.01 rad/nm, an amplitude, a support, and the complex density."""
    axes = [centred_axis(n, STEP) for n in (20, 22, 24)]
    phase = np.broadcast_to(1e7 * axes[2], (20, 22, 24)).copy()
    amplitude = np.exp(-((axes[0] / 3e-8) ** 2))[:, None, None] * np.ones_like(phase)
    support = amplitude > 0.5
    values = {"amplitude": amplitude, "phase": phase, "support": support, "density": amplitude * np.exp(1j * phase)}
    quantities = tuple(Quantity(name, "rad" if name == "phase" else "1", "") for name in values)
    return Volume("crystal", axes[0], axes[1], axes[2], values, quantities)


def test_points_outside_a_volume_get_its_background() -> None:
    axes = [centred_axis(n, STEP) for n in (6, 7, 8)]
    values = {
        "refractive_index": np.full((6, 7, 8), 1.39, np.float32),
        "amplitude": np.ones((6, 7, 8)),
        "signed_distance": np.linspace(-2e-8, 3e-8, 6 * 7 * 8).reshape(6, 7, 8),
    }
    quantities = tuple(Quantity(name, "1", "") for name in values)
    volume = Volume("cell", axes[0], axes[1], axes[2], values, quantities, {"medium_index": 1.337})
    inside, outside = (0.0, 0.0, 0.0), (0.0, 0.0, 1.0)
    assert volume.contains(np.array([inside, outside])).tolist() == [True, False]
    table = volume.at([inside, outside])
    np.testing.assert_allclose(table[0, :2], [1.39, 1.0], atol=1e-6)
    np.testing.assert_allclose(table[1], [1.337, 0.0, 3e-8], atol=1e-9)
    assert volume.background("refractive_index") == pytest.approx(1.337)


@given(st.integers(0, 2**31))
@settings(max_examples=8, deadline=None)
def test_a_volume_has_the_same_values_at_points_and_on_axes(seed: int) -> None:
    volume, rng = smooth_volume(), np.random.default_rng(seed)
    axes = [rng.uniform(axis[0] - STEP, axis[-1] + STEP, 4) for axis in (volume.z, volume.y, volume.x)]
    points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    np.testing.assert_allclose(volume.sample(*axes, quantity="phase").ravel(), volume(points, "phase"), atol=1e-12)
    own = volume.sample(volume.z, volume.y, volume.x, "amplitude")
    np.testing.assert_array_equal(own, volume.values["amplitude"])


def test_a_support_between_samples_is_that_of_the_nearest_sample() -> None:
    points = np.random.default_rng(0).uniform(-4e-8, 4e-8, (50, 3))
    volume = smooth_volume()
    assert set(volume(points, "support")) == {0.0, 1.0}
    axes = [np.sort(points[:6, axis]) for axis in range(3)]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    np.testing.assert_array_equal(volume.sample(*axes, quantity="support").ravel(), volume(grid, "support"))


def test_quantities_sampled_in_turn_are_filtered_once(monkeypatch: pytest.MonkeyPatch) -> None:
    filtered: list[int] = []
    volume, spline_filter = smooth_volume(), scipy.ndimage.spline_filter

    def count(*args: Any, **options: Any) -> Any:
        filtered.append(1)
        return spline_filter(*args, **options)

    monkeypatch.setattr(scipy.ndimage, "spline_filter", count)
    axes = [np.linspace(-3e-8, 3e-8, 5)] * 3
    names = ["amplitude", "phase"] * 8
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda name: volume.sample(*axes, quantity=name), names))
    assert len(filtered) == 2
    for name, values in zip(names, answers, strict=True):
        np.testing.assert_array_equal(values, volume.sample(*axes, quantity=name))


def test_single_precision_is_kept_between_samples() -> None:
    axis, rng = np.arange(9.0), np.random.default_rng(0)
    values = rng.normal(1.35, 0.01, (9, 9, 9))
    places = rng.uniform(0, 8, (100, 3))

    def at(dtype: Any) -> Any:
        quantity = Quantity("refractive_index", "1", "")
        return Volume("cell", axis, axis, axis, {quantity.name: values.astype(dtype)}, (quantity,))(places)

    double = at(np.float64)
    np.testing.assert_allclose(at(np.float32), double, atol=1e-6)
    np.testing.assert_allclose(at(">f4"), double, atol=1e-6)
    np.testing.assert_allclose(at(np.float16), double, atol=2e-3)


def test_complex_and_unknown_quantities_are_refused() -> None:
    volume = smooth_volume()
    assert [q.name for q in volume.real_quantities] == ["amplitude", "phase", "support"]
    assert volume.at([(0.0, 0.0, 0.0)]).shape == (1, 3)
    for name, message in (("density", "is complex: choose a real quantity"), ("mass", "no quantity 'mass'")):
        with pytest.raises(ConfigError, match=message):
            volume(np.zeros((1, 3)), name)
    with pytest.raises(DataError, match="density is complex"):
        volume.only("density")(np.zeros((1, 3)))
    with pytest.raises(DataError, match=r"points of the shape \(3,\)"):
        volume(np.zeros(3))


def test_cells_and_draws_are_selected() -> None:
    axis = centred_axis(2, 1.0)
    values = {"occupancy": np.arange(2 * 3 * 8, dtype=np.float32).reshape(2, 3, 2, 2, 2)}
    many = Volume("shape", axis, axis, axis, values, (Quantity("occupancy", "1", ""),))
    assert (many.cells, many.draws) == (2, 3)
    np.testing.assert_array_equal(many.cell(1, 2).main, values["occupancy"][1, 2])
    np.testing.assert_allclose(many.cell(0).main, values["occupancy"][0].mean(axis=0))
    with pytest.raises(ConfigError, match="no draw 3: they are numbered 0 to 2"):
        many.cell(0, 3)
    with pytest.raises(DataError, match="holds 2 cells"):
        many.draw(0)
    with pytest.raises(DataError, match="choose one cell"):
        many(np.zeros((1, 3)))


def test_wrapped_phases_are_interpolated_on_the_circle() -> None:
    axis = np.arange(24) * 1e-8
    slope = np.broadcast_to(0.7 * np.arange(24) - 8, (5, 6, 24))
    wrapped = np.angle(np.exp(1j * slope)).astype(np.float32)
    small = (0.1 * wrapped).astype(np.float32)
    quantities = tuple(Quantity(name, "rad", "") for name in ("wrapped", "slope", "small"))
    values = {"wrapped": wrapped, "slope": slope, "small": small}
    volume = Volume("crystal", axis[:5], axis[:6], axis, values, quantities)
    points = np.stack([np.full(201, 2.3e-8), np.full(201, 3.1e-8), np.linspace(4e-8, 19e-8, 201)], axis=1)
    phase, plain = volume.at(points, ["wrapped"])[:, 0], volume.at(points, ["slope"])[:, 0]
    assert np.abs(np.angle(np.exp(1j * (phase - plain)))).max() < 2e-3
    assert np.abs(phase).max() <= np.pi
    on_axes = volume.sample(points[:1, 0], points[:1, 1], points[:, 2], "wrapped")[0, 0]
    np.testing.assert_allclose(on_axes, phase, atol=1e-12)
    straight = scipy.ndimage.map_coordinates(small.astype(float), points.T / 1e-8, order=3, mode="mirror")
    np.testing.assert_allclose(volume.at(points, ["small"])[:, 0], straight, atol=1e-6)
