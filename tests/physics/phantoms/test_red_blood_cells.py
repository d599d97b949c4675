"""Simulated red blood cells: known volumes, distances and invariances."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import cKDTree

from unflat.physics.phantoms.red_blood_cells import (
    CLASSES,
    Disc,
    Ellipsoid,
    PlacedSurface,
    SpiculatedSurface,
    Union,
    UnknownClassError,
    disc_volume,
    random_cell,
    sample_level,
    sample_occupancy,
    sample_signed_distance,
    signed_distance,
    spread_directions,
)


def axis(count: int = 40, width: float = 10.9e-6) -> np.ndarray:
    return (np.arange(count) - count // 2) * width / count


def radius_on(grid: np.ndarray) -> np.ndarray:
    return np.sqrt(grid[:, None, None] ** 2 + grid[:, None] ** 2 + grid**2)


def test_the_disc_is_evans_and_fungs() -> None:
    disc, step = Disc(3.91e-6), 1e-9
    assert disc.volume == pytest.approx(94.1e-18, rel=1e-3)
    thickness = {}
    for rho in (0.0, 0.7069):
        height = np.arange(0, 2e-6, step)
        points = np.stack([height, np.full_like(height, rho * 3.91e-6), np.zeros_like(height)], axis=1)
        thickness[rho] = 2 * step * int(np.argmax(disc.level(points) > 0))
    assert thickness[0.0] == pytest.approx(0.81e-6, abs=0.005e-6)
    assert thickness[0.7069] == pytest.approx(2.57e-6, abs=0.03e-6)


@pytest.mark.parametrize(("roundness", "bend", "saddle"), [(0.0, 0.0, 0.0), (0.3, 2.0e-6, 0.0), (0.15, 0.0, 1.5e-6)])
def test_bending_conserves_the_volume(roundness: float, bend: float, saddle: float) -> None:
    disc, grid = Disc(3.4e-6, roundness, bend, saddle), axis(64)
    filled = sample_occupancy(disc, grid, grid, grid)
    assert filled.sum() * (grid[1] - grid[0]) ** 3 == pytest.approx(disc_volume(3.4e-6, roundness), rel=0.01)


@pytest.mark.parametrize("count", [24, 40, 64])
def test_a_balls_distance_is_exact_whatever_the_grid(count: int) -> None:
    grid = axis(count)
    true = radius_on(grid) - 3e-6
    assert np.abs(sample_level(Disc(3e-6, 1.0), grid, grid, grid) - true).max() < 1e-10
    result = sample_signed_distance(Ellipsoid((3e-6, 3e-6, 3e-6)), grid, grid, grid)
    step = grid[1] - grid[0]
    assert np.abs(result - true)[np.abs(true) < 2 * step].max() < 0.1 * step
    assert np.sqrt(np.mean((result - true) ** 2)) < 0.12 * step


def test_distances_agree_with_those_from_many_points_of_the_surface() -> None:
    from skimage.measure import marching_cubes

    cell, grid = random_cell(5, "knizocyte"), axis(32)
    fine = axis(128)
    step = float(fine[1] - fine[0])
    vertices = marching_cubes(sample_level(cell.surface, fine, fine, fine), 0.0)[0] * step + fine[0]
    points = np.stack(np.meshgrid(grid, grid, grid, indexing="ij"), axis=-1)
    expected = cKDTree(vertices).query(points)[0]
    result = np.abs(cell.signed_distance(grid, grid, grid))
    assert np.sqrt(np.mean((result - expected) ** 2)) < 0.12 * (grid[1] - grid[0])


def test_the_distance_is_correct_for_any_level_of_the_surface() -> None:
    grid = axis(32)
    true = radius_on(grid) - 3e-6
    step = float(grid[1] - grid[0])
    bent = np.tanh(true / 1.5e-6).astype(np.float32)
    near = np.abs(true) < 3 * step
    result = signed_distance(bent, (step, step, step))
    assert np.abs(result - true)[near].max() < 0.3 * step
    assert (signed_distance(np.ones((8, 8, 8), np.float32), (step, step, step)) > 0).all()


def test_bumps_displace_the_surface_by_their_height() -> None:
    ball = SpiculatedSurface(Disc(3e-6, 1.0), np.array([[0.0, 0.0, 1.0]]), np.array([0.5e-6]), np.array([0.2]))
    along = np.array([[0.0, 0.0, 3.5e-6], [0.0, 3.0e-6, 0.0]])
    np.testing.assert_allclose(ball.level(along), 0, atol=1e-10)


def test_a_union_contains_its_parts_and_a_rotation_conserves_volume() -> None:
    left = PlacedSurface(Ellipsoid((1e-6, 2e-6, 1.5e-6)), np.eye(3), np.array([0.0, 0.0, -1e-6]))
    right = PlacedSurface(Disc(2e-6, 0.2), np.eye(3), np.array([0.0, 0.0, 1e-6]))
    both, grid = Union((left, right), 0.5e-6), axis(40)
    parts = np.minimum(sample_level(left, grid, grid, grid), sample_level(right, grid, grid, grid))
    assert (sample_level(both, grid, grid, grid) <= parts + 1e-12).all()
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]
    turned = sample_occupancy(PlacedSurface(both, turn, np.zeros(3)), grid, grid, grid, fineness=2)
    assert turned.sum() == pytest.approx(sample_occupancy(both, grid, grid, grid, fineness=2).sum(), rel=0.01)


def test_directions_keep_their_distance() -> None:
    spread = spread_directions(np.random.default_rng(0), 20)
    apart = spread @ spread.T - 2 * np.eye(20)
    np.testing.assert_allclose(np.linalg.norm(spread, axis=1), 1)
    assert np.degrees(np.arccos(apart.max())) > 20


@pytest.mark.parametrize("label", CLASSES)
def test_every_class_is_a_whole_cell_in_the_field_of_view(label: str) -> None:
    grid = axis(32)
    cell = random_cell(7, label)
    filled = cell.occupancy(grid, grid, grid)
    again = random_cell(7, label).occupancy(grid, grid, grid)
    np.testing.assert_array_equal(filled, again)
    assert cell.label == label
    volume = 1e18 * filled.sum() * (grid[1] - grid[0]) ** 3
    assert 60 < volume < 450
    faces = [filled.take(i, axis=a) for a in range(3) for i in (0, -1)]
    assert max(float(face.max()) for face in faces) < 0.02
    extent = [np.flatnonzero(filled.max(axis=tuple(b for b in range(3) if b != a)) > 0.5) for a in range(3)]
    assert all(abs((e[0] + e[-1]) / 2 - 16) <= 1 for e in extent)


@settings(max_examples=4, deadline=None)
@given(st.integers(0, 10_000))
def test_occupancy_does_not_depend_on_the_grid(seed: int) -> None:
    cell, coarse, fine = random_cell(seed), axis(32), axis(48)
    volumes = [
        cell.occupancy(g, g, g, fineness=k).sum() * (g[1] - g[0]) ** 3 for g, k in ((coarse, 2), (fine, 1), (fine, 2))
    ]
    assert max(volumes) < 1.02 * min(volumes)


def test_stretching_elongates_cells_along_z_only() -> None:
    grid = axis(48, 14e-6)
    plain = random_cell(3, "spherocyte", stretch=1.0).occupancy(grid, grid, grid)
    long = random_cell(3, "spherocyte", stretch=1.25).occupancy(grid, grid, grid)
    assert long.sum() == pytest.approx(1.25 * plain.sum(), rel=0.02)


def test_an_unknown_class_is_refused() -> None:
    with pytest.raises(UnknownClassError, match=r"'ovalocyte' is no class.*discocyte"):
        random_cell(0, "ovalocyte")
