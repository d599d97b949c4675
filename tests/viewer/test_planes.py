"""Planes of the view: the same values as the model's own at the same points, for every field, at any angle."""

from typing import Any

import numpy as np
import pytest

from unflat.physics.rotation import rotation_matrix
from unflat.recon.blend import Tile
from unflat.recon.errors import ConfigError
from unflat.recon.fields.density_head import PLANE
from unflat.recon.frame import ModelFrame
from unflat.recon.model import Model, ModelQuantity
from unflat.recon.sampled import Quantity, Sampled
from unflat.recon.slice_plane import SlicePlane
from unflat.recon.viewer.planes import sample_plane, sample_profile
from unflat.recon.volume import Volume

from .builders import ABSORPTION, FRAME, INDEX, voxel_model

PYRAMID: dict[str, Any] = {
    "type": "pyramid",
    "version": 1,
    "levels": [[4, 5, 6], [7, 9, 8], [13, 17, 15]],
    "features": 3,
    "hidden": 5,
    "outputs": 2,
    "sign": ["nonnegative", "any"],
}
FOURIER: dict[str, Any] = {
    "type": "fourier",
    "version": 1,
    "frequencies_lateral": 2,
    "angles": 3,
    "frequencies_axial": 2,
    "width": 8,
    "depth": 3,
    "skip": [1, 2],
    "outputs": 1,
    "sign": "any",
}
SECTION: dict[str, Any] = {"type": "section", "version": 1, "shape": [7, 9, 9], "section": [12, 12], "width": 0.3}
HEAD = {"type": "crystal", "version": 1, "sharpness": 4.0, "surface": 0.2, "step": [1e-5, 2e-5, 0.0], "length": 1e-9}
CRYSTAL: dict[str, Any] = {**PYRAMID, "outputs": 3, "features": 3, "sign": "any", "head": HEAD}
DENSITY = tuple(
    ModelQuantity(name, unit, name, 0.0, 1.0)
    for name, unit in (
        ("amplitude", "1"),
        ("phase", "rad"),
        ("occupancy", "1"),
        ("displacement", "m"),
        ("strain", "1"),
    )
)


def pyramid_weights(rng: np.random.Generator, architecture: dict[str, Any]) -> dict[str, np.ndarray]:
    features, levels = architecture["features"], architecture["levels"]
    hidden, outputs = architecture["hidden"], architecture["outputs"]
    shapes = {f"grid_{i}": (features, *level) for i, level in enumerate(levels)}
    shapes |= {"decoder/w0": (len(levels) * features, hidden), "decoder/b0": (hidden,)}
    shapes |= {"decoder/w1": (hidden, outputs), "decoder/b1": (outputs,)}
    return {name: (0.4 * rng.standard_normal(shape)).astype(np.float32) for name, shape in shapes.items()}


def pyramid(members: int = 1) -> Model:
    rng = np.random.default_rng(3)
    sets = [pyramid_weights(rng, PYRAMID) for _ in range(members)]
    return Model.ensemble(PYRAMID, sets, FRAME, (INDEX, ABSORPTION), "cell", {})


def fourier() -> Model:
    rng, encoded = np.random.default_rng(4), 3 + 4 * 2 * 3 + 2 * 2
    weights: dict[str, np.ndarray] = {}
    for i in range(4):
        inward, outward = (8 if i else encoded) + encoded * (i in (1, 2)), 8 if i < 3 else 1
        weights[f"layer_{i}/w"] = (0.3 * rng.standard_normal((inward, outward))).astype(np.float32)
        weights[f"layer_{i}/b"] = (0.3 * rng.standard_normal(outward)).astype(np.float32)
    return Model(FOURIER, weights, FRAME, (INDEX,), "cell", {})


def section() -> Model:
    rng = np.random.default_rng(5)
    weights = {"grid": rng.standard_normal((1, 7, 9, 9)), "rim": 0.2 * rng.standard_normal((1, 12, 12))}
    plain = {name: array.astype(np.float32) for name, array in weights.items()}
    return Model(SECTION, plain, FRAME, (ModelQuantity("signed_distance", "m", "distance", 1e-6, 1e-6),), "shape", {})


def crystal(skewed: bool = True) -> Model:
    rng = np.random.default_rng(6)
    weights = pyramid_weights(rng, CRYSTAL) | {PLANE: np.array([0.1, 0.2, -0.1, 0.3])}
    weights["grid_0"][1] += 2.0  # The wave stays away from 0, where its phase has no value.
    edges = np.array([[3e-6, 0.4e-6, 0], [0, 6e-6, 1e-6], [0.5e-6, 0, 9e-6]])
    frame = ModelFrame.skewed(np.zeros(3), edges) if skewed else FRAME
    return Model(CRYSTAL, weights, frame, DENSITY, "crystal", {})


def tiled() -> Model:
    parts = [voxel_model(seed) for seed in (1, 2)]
    (z0, y0, x0), (z1, y1, x1) = FRAME.low, FRAME.high
    whole = ((z0, z0, z1, z1), (y0, y0, y1, y1))
    left = Tile((z0, y0, x0), (z1, y1, 1e-6), (*whole, (x0, x0, 0.0, 1e-6)))
    right = Tile((z0, y0, 0.0), (z1, y1, x1), (*whole, (0.0, 1e-6, x1, x1)))
    return Model.blend(parts, [left, right], FRAME)


def volume() -> Volume:
    values = np.random.default_rng(7).random((9, 11, 13)).astype(np.float32)
    axes = (np.linspace(low, high, n) for low, high, n in zip(FRAME.low, FRAME.high, values.shape, strict=True))
    return Volume("cell", *axes, {"density": values}, (Quantity("density", "1", "density"),))


SPECIMENS: dict[str, Any] = {
    "voxels": voxel_model,
    "pyramid": pyramid,
    "ensemble": lambda: pyramid(3),
    "draws": lambda: voxel_model(members=3, draws=True),
    "fourier": fourier,
    "section": section,
    "crystal": crystal,
    "tiles": tiled,
    "volume": volume,
}


def plane_through(specimen: Sampled, turn: np.ndarray, reach: float = 1.3, edge: int = 41) -> SlicePlane:
    """A plane about the middle of a box, and somewhat larger."""
    low, high = (np.array(corner) for corner in specimen.bounds)
    step = reach * (high - low).max() / edge
    down, right = turn @ np.array([0.0, 1.0, 0.0]), turn @ np.array([0.0, 0.0, 1.0])
    centre = (low + high) / 2 + turn @ np.array([0.07, 0.02, -0.03]) * (high - low)
    return SlicePlane(centre, step * right, 0.8 * step * down, edge, edge - 4)


TURNS = {
    "z": np.eye(3),
    "y": np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]]),
    "x, mirrored": np.array([[0.0, 0, -1], [0, -1, 0], [-1, 0, 0]]),
    "oblique": rotation_matrix((0.3, 0.8, -0.5), 0.7),
    "along x": rotation_matrix((0.0, 0.0, 1.0), 0.4),
}


@pytest.mark.parametrize("turn", TURNS)
@pytest.mark.parametrize("name", SPECIMENS)
def test_a_plane_has_the_values_of_the_model_at_its_points(name: str, turn: str) -> None:
    specimen = SPECIMENS[name]()
    plane = plane_through(specimen, TURNS[turn])
    inside = specimen.contains(plane.points()).reshape(plane.height, plane.width)
    assert 0.1 < inside.mean() < 1
    for quantity in specimen.real_quantities:
        values = sample_plane(specimen, quantity.name, plane)
        expected = specimen.at(plane.points(), [quantity.name])[:, 0].reshape(values.shape)
        assert (np.isnan(values) == ~inside).all()
        contrast = np.ptp(expected[inside])
        assert contrast > 0
        error = np.abs(values - expected)[inside]
        if name == "crystal":  # Where the surface is between two roundings, the phase is 0 in one and not in the other.
            error = np.sort(error)[: int(0.995 * error.size)]
        assert error.max() < 1e-4 * contrast, quantity.name


def test_rows_go_down_and_columns_right_from_the_corner() -> None:
    plane = SlicePlane(np.array([1.0, 2, 3]), np.array([0.0, 0, 1]), np.array([0.0, 2, 0]), 3, 2)
    points = plane.points().reshape(2, 3, 3)
    np.testing.assert_allclose(points[0, 0], [1, 1, 2])
    np.testing.assert_allclose(points[1, 2], [1, 3, 4])
    np.testing.assert_allclose(points.mean(axis=(0, 1)), [1, 2, 3])


def test_a_plane_outside_the_box_is_empty() -> None:
    far = SlicePlane(np.array([1.0, 0, 0]), np.array([0, 0, 1e-6]), np.array([0, 1e-6, 0]), 5, 4)
    turned = SlicePlane(np.array([1.0, 0, 0]), np.array([0, 1e-6, 1e-6]), np.array([1e-6, 1e-6, 0]), 5, 4)
    for plane in (far, turned):
        values = sample_plane(voxel_model(), "refractive_index", plane)
        assert values.shape == (4, 5)
        assert np.isnan(values).all()


@pytest.mark.parametrize(
    ("right", "down", "width", "height"),
    [
        ((0, 0, 1), (0, 0, 2), 4, 4),
        ((0, 0, 0), (0, 1, 0), 4, 4),
        ((0, 0, np.nan), (0, 1, 0), 4, 4),
        ((0, 0, 1), (0, 1, 0), 0, 4),
    ],
)
def test_what_is_no_plane_is_refused(right: Any, down: Any, width: int, height: int) -> None:
    with pytest.raises(ConfigError):
        SlicePlane(np.zeros(3), np.array(right, float), np.array(down, float), width, height)


def test_a_plane_too_large_is_refused() -> None:
    plane = SlicePlane(np.zeros(3), np.array([0, 0, 1e-9]), np.array([0, 1e-9, 0]), 4, 2049)
    with pytest.raises(ConfigError, match="2049"):
        sample_plane(voxel_model(), "refractive_index", plane)


def test_a_profile_is_the_model_along_a_line() -> None:
    model, start, end = voxel_model(), np.array([-1e-6, -2e-6, -3e-6]), np.array([0.5e-6, 2e-6, 9e-6])
    distance, values = sample_profile(model, "refractive_index", start, end, 50)
    points = start + np.linspace(0, 1, 50)[:, None] * (end - start)
    np.testing.assert_allclose(distance[-1], np.linalg.norm(end - start))
    inside = model.contains(points)
    assert (np.isnan(values) == ~inside).all()
    np.testing.assert_allclose(values[inside], model.at(points[inside])[:, 0])
