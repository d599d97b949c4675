"""Simulated cells and beads do not depend on the grid."""

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unflat.physics.phantoms.cells import (
    Body,
    CellOptics,
    Specimen,
    ball,
    bead_specimen,
    cell_specimen,
    cluster_specimen,
    random_rotation,
)
from unflat.physics.rotation import axis_rotation

SPECIMENS: dict[str, Callable[[int], Specimen]] = {
    "cell": cell_specimen,
    "beads": lambda seed: bead_specimen(seed, size=(5e-6, 5e-6, 5e-6)),
    "cluster": cluster_specimen,
}


def axes_over(extent: tuple[float, ...], spacing: tuple[float, ...], shift: float = 0.0) -> list[np.ndarray]:
    """Centred axes that extend a voxel beyond a box, shifted by a fraction of a voxel."""
    counts = [2 * int(np.ceil(e / d / 2)) + 4 for e, d in zip(extent, spacing, strict=True)]
    return [(np.arange(n) - n // 2 + shift) * d for n, d in zip(counts, spacing, strict=True)]


def total(specimen: Specimen, spacing: tuple[float, ...], shift: float = 0.0) -> float:
    """[m³] The index contrast, integrated over space."""
    axes = axes_over(specimen.extent, spacing, shift)
    return float(specimen.sample(*axes).sum(dtype=float) * np.prod(spacing))


@given(
    st.floats(0.1e-6, 1e-6),
    st.tuples(*[st.floats(0.08e-6, 0.5e-6)] * 3),
    st.floats(-0.5, 0.5),
)
@settings(max_examples=25, deadline=None)
def test_a_ball_has_its_volume_on_any_grid(radius: float, spacing: tuple[float, ...], shift: float) -> None:
    volume = total(ball(radius, 1.4, 1.3), spacing, shift) / 0.1
    assert volume == pytest.approx(4 / 3 * np.pi * radius**3, rel=0.01)


@given(st.integers(0, 99), st.tuples(*[st.floats(0.2e-6, 1.2e-6)] * 3), st.floats(0.1e-6, 0.3e-6))
@settings(max_examples=20, deadline=None)
def test_an_ellipsoid_in_any_orientation_has_its_volume(
    seed: int, semi_axes: tuple[float, ...], spacing: float
) -> None:
    rng = np.random.default_rng(seed)
    body = Body(rng.uniform(-1e-7, 1e-7, 3), np.array(semi_axes), 1.4, orientation=random_rotation(rng))
    volume = total(Specimen((body,), 1.3), (spacing,) * 3) / 0.1
    assert volume == pytest.approx(4 / 3 * np.pi * np.prod(semi_axes), rel=0.01)


@pytest.mark.parametrize("name", SPECIMENS)
def test_the_integrated_index_is_the_same_on_every_grid(name: str) -> None:
    specimen = SPECIMENS[name](3)
    fine = total(specimen, (0.1e-6,) * 3)
    for spacing in ((0.2e-6,) * 3, (0.4e-6, 0.2e-6, 0.2e-6), (0.3e-6, 0.15e-6, 0.25e-6), (0.5e-6,) * 3):
        assert total(specimen, spacing, shift=0.3) == pytest.approx(fine, rel=4e-3)


def distance_from_parts(specimen: Specimen, spacing: float) -> float:
    """Relative distance of a sampling from the mean of a sampling four times as fine."""
    coarse = [np.arange(-n, n) * spacing for n in (5, 12, 12)]
    fine = [(np.arange(-4 * n, 4 * n) + 0.5 - 2) * spacing / 4 for n in (5, 12, 12)]
    parts = specimen.sample(*fine).reshape(10, 4, 24, 4, 24, 4).mean((1, 3, 5))
    return float(np.abs(specimen.sample(*coarse) - parts).sum() / parts.sum())


@pytest.mark.parametrize("name", SPECIMENS)
def test_a_voxel_holds_the_mean_of_its_parts(name: str) -> None:
    for spacing in (0.4e-6, 0.2e-6):
        assert distance_from_parts(SPECIMENS[name](4), spacing) < 0.04


def test_refinement_converges() -> None:
    """A cell's membrane, and a ball where every voxel is at an edge."""
    membrane = Specimen(cell_specimen(4).bodies[:1], 1.337)
    for specimen, spacings in ((membrane, (0.8e-6, 0.4e-6)), (ball(1e-6, 1.4, 1.3), (0.4e-6, 0.2e-6, 0.1e-6))):
        errors = [distance_from_parts(specimen, spacing) for spacing in spacings]
        assert all(second < 0.6 * first for first, second in pairwise(errors))


@pytest.mark.parametrize("name", SPECIMENS)
def test_the_bounding_box_contains_the_specimen_and_the_index_is_within_those_of_its_parts(name: str) -> None:
    specimen = SPECIMENS[name](5)
    axes = axes_over(tuple(1.3 * e for e in specimen.extent), (0.25e-6,) * 3)
    contrast = specimen.sample(*axes)
    beyond = [np.abs(a) > e / 2 + 0.3e-6 for a, e in zip(axes, specimen.extent, strict=True)]
    assert not contrast[beyond[0]].any()
    assert not contrast[:, beyond[1]].any()
    assert not contrast[:, :, beyond[2]].any()
    parts = [body.index for body in specimen.bodies]
    assert contrast.min() >= 0
    assert contrast.max() <= max(parts) - specimen.medium_index + 1e-6
    assert contrast.max() > 0.7 * (max(parts) - specimen.medium_index)


def test_a_seed_determines_the_specimen() -> None:
    axes = [np.linspace(-4e-6, 4e-6, 17)] * 3
    for make in SPECIMENS.values():
        first, again, other = (make(seed).sample(*axes) for seed in (1, 1, 2))
        np.testing.assert_array_equal(first, again)
        assert np.any(first != other)


def test_a_cell_has_a_nucleus_nucleoli_and_organelles_inside() -> None:
    optics = CellOptics(absorption=1e-3)
    for seed in range(4):
        specimen = cell_specimen(seed, optics=optics)
        cell, nucleus, *parts = specimen.bodies
        counts = {n: sum(p.index == n for p in parts) for n in (optics.nucleolus, optics.mitochondrion, optics.lipid)}
        assert 1 <= counts[optics.nucleolus] <= 3
        assert counts[optics.mitochondrion] >= 10
        assert counts[optics.lipid] >= 7
        for part in parts:
            host = nucleus if part.index == optics.nucleolus else cell
            assert host.contains(part.centre[None])[0]
            assert nucleus.contains(part.centre[None])[0] == (host is nucleus)


def test_a_membrane_is_rough_and_closed() -> None:
    cell = cell_specimen(6).bodies[0]
    rng = np.random.default_rng(0)
    directions = rng.normal(size=(500, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    outward = np.linspace(0.5, 1.5, 400)
    points = np.linalg.solve(cell.to_unit_ball, (directions[:, None] * outward[:, None]).reshape(-1, 3).T).T
    inside = cell.contains(points).reshape(500, 400)
    assert np.all(np.diff(inside.astype(int), axis=1) <= 0)  # each ray leaves the cell once
    radii = outward[inside.sum(axis=1)]
    assert 0.01 < radii.std() < 0.08


def test_rotating_the_specimen_rotates_its_samples() -> None:
    """A quarter turn about z takes +y to +x."""
    cell = cell_specimen(7)
    axis, z = np.arange(-24, 25) * 0.25e-6, np.arange(-3, 4) * 0.5e-6
    turned = cell.rotate(axis_rotation(0, np.pi / 2)).sample(z, axis, axis)
    there = cell.sample(z, axis, axis)
    np.testing.assert_allclose(turned, there[:, :, ::-1].transpose(0, 2, 1), atol=1e-6)


@given(st.integers(0, 1000))
@settings(max_examples=10, deadline=None)
def test_a_rotated_specimen_contains_the_rotated_points(seed: int) -> None:
    rng = np.random.default_rng(seed)
    cell, rotation = cell_specimen(8), random_rotation(rng)
    turned = cell.rotate(rotation)
    points = rng.uniform(-4e-6, 4e-6, (300, 3))
    for body, other in zip(cell.bodies, turned.bodies, strict=True):
        np.testing.assert_array_equal(body.contains(points), other.contains(points @ rotation.T))


def test_absorption_is_sampled_as_the_index_is() -> None:
    stained = cell_specimen(9, optics=CellOptics(absorption=2e-3))
    axes = axes_over(stained.extent, (0.25e-6,) * 3)
    absorption = stained.absorption(*axes)
    assert stained.absorbs
    assert absorption.min() >= 0
    assert absorption.max() == pytest.approx(4e-3, rel=1e-3)
    nucleus = Specimen((stained.bodies[1],), 1.337)
    assert np.all((absorption > 0) <= (nucleus.sample(*axes) > 0) | (absorption < 1e-4))
    assert not cell_specimen(9).absorbs


def test_scaling_the_contrast_changes_nothing_else() -> None:
    axes = [np.linspace(-4e-6, 4e-6, 21)] * 3
    cell = cell_specimen(10)
    np.testing.assert_allclose(cell.scale_contrast(2.5).sample(*axes), 2.5 * cell.sample(*axes), atol=1e-6)


def test_a_plane_and_an_empty_medium_can_be_sampled() -> None:
    axis = np.linspace(-4e-6, 4e-6, 41)
    section = cell_specimen(11).sample(np.zeros(1), axis, axis)
    assert section.shape == (1, 41, 41)
    assert section[0, 20, 20] > 0.01
    assert not Specimen((), 1.33).sample(axis, axis, axis).any()
    assert Specimen((), 1.33).extent == (0, 0, 0)
