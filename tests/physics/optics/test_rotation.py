"""Rotation of a sampled specimen: agreement with the specimen at rotated points, adjoint and energy."""

from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unflat.physics.optics.rotation import rotate, shear_angles
from unflat.physics.phantoms.cells import random_rotation
from unflat.physics.rotation import axis_rotation

angles = st.floats(-7, 7)
turned = jax.jit(rotate, static_argnums=1)


@pytest.fixture(autouse=True)
def double() -> Iterator[None]:
    with jax.enable_x64(True):
        yield


def blobs(shape: tuple[int, int, int], rotation: np.ndarray | None = None) -> np.ndarray:
    """Smooth specimen without symmetry, rotated: its value at R·r is that of the upright one at r."""
    axes = [np.arange(n) - n // 2 for n in shape]
    points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    points = points if rotation is None else points @ rotation  # rows: R⁻¹ r
    values = np.zeros(len(points))
    for height, centre, width in (
        (1.0, (3.0, -2.0, 4.0), 2.2),
        (0.7, (-4.0, 1.0, 2.0), 2.6),
        (-0.5, (1.0, 5.0, -3.0), 2.0),
    ):
        values += height * np.exp(-np.sum((points - centre) ** 2, axis=1) / width**2)
    return values.reshape(1, *shape)


def relative(result: jax.Array, expected: np.ndarray) -> float:
    return float(np.linalg.norm(np.asarray(result) - expected) / np.linalg.norm(expected))


@given(st.sampled_from([0, 1, 2]), angles, angles)
def test_matrices_of_rotations_about_one_axis(axis: int, first: float, second: float) -> None:
    matrix = axis_rotation(axis, first)
    np.testing.assert_allclose(matrix @ matrix.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(matrix) == pytest.approx(1)
    np.testing.assert_allclose(matrix @ axis_rotation(axis, second), axis_rotation(axis, first + second), atol=1e-12)
    np.testing.assert_array_equal(matrix @ np.eye(3)[axis], np.eye(3)[axis])


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_quarter_turn_takes_the_next_axis_to_the_one_after(axis: int) -> None:
    first, second = np.eye(3)[(axis + 1) % 3], np.eye(3)[(axis + 2) % 3]
    np.testing.assert_allclose(axis_rotation(axis, np.pi / 2) @ first, second, atol=1e-12)


@given(st.integers(0, 10_000))
@settings(max_examples=50)
def test_any_rotation_is_decomposed_into_rotations_about_axes(seed: int) -> None:
    rotations = np.stack([random_rotation(np.random.default_rng([seed, i])) for i in range(4)])
    axes, parts = shear_angles(rotations)
    for rotation, part in zip(rotations, parts, strict=True):
        product = np.eye(3)
        for axis, angle in zip(axes, part, strict=True):
            product = axis_rotation(axis, angle) @ product
        np.testing.assert_allclose(product, rotation, atol=1e-9)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_rotations_about_one_axis_stay_one_rotation(axis: int) -> None:
    sweep = np.linspace(-3, 3, 9)
    axes, parts = shear_angles(np.stack([axis_rotation(axis, a) for a in sweep]))
    assert axes == (axis,)
    np.testing.assert_allclose(parts[:, 0], sweep, atol=1e-12)


def test_rotations_that_leave_z_upright_among_others() -> None:
    """Euler angles are degenerate there."""
    flipped = np.diag([-1.0, -1.0, 1.0])
    rotations = np.stack(
        [np.eye(3), axis_rotation(0, 0.4), axis_rotation(1, 0.3), flipped, flipped @ axis_rotation(0, 1.0)]
    )
    rotations = np.concatenate([rotations, rotations.astype(np.float32) + np.float32(3e-8)])
    axes, parts = shear_angles(rotations)
    for rotation, part in zip(rotations, parts, strict=True):
        product = np.eye(3)
        for axis, angle in zip(axes, part, strict=True):
            product = axis_rotation(axis, angle) @ product
        np.testing.assert_allclose(product, rotation, atol=1e-6)


def test_a_small_tilt_is_not_ignored() -> None:
    """A milliradian is larger than rounding."""
    leaning = np.stack([axis_rotation(0, 0.5) @ axis_rotation(1, 1e-3), axis_rotation(0, 0.7)])
    axes, parts = shear_angles(leaning)
    assert len(axes) == 3
    product = axis_rotation(0, parts[0, 2]) @ axis_rotation(2, parts[0, 1]) @ axis_rotation(0, parts[0, 0])
    np.testing.assert_allclose(product, leaning[0], atol=1e-9)


def test_a_mirror_is_refused_also_among_rotations_about_one_axis() -> None:
    with pytest.raises(ValueError, match="not a rotation"):
        shear_angles(np.stack([axis_rotation(0, 0.3), np.diag([1.0, 1.0, -1.0])]))


@pytest.mark.parametrize("wrong", [np.diag([1.0, 1.0, -1.0]), 1.1 * np.eye(3), np.ones((3, 3)) / np.sqrt(3)])
def test_matrices_that_are_not_rotations_are_refused(wrong: np.ndarray) -> None:
    with pytest.raises(ValueError, match="not a rotation"):
        shear_angles(np.stack([axis_rotation(0, 0.3) @ axis_rotation(1, 0.2), wrong]))


@pytest.mark.parametrize("size", [32, 33])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_rotated_specimen_is_the_specimen_at_rotated_points(axis: int, size: int) -> None:
    """All angles, for even and odd numbers of samples."""
    there = blobs((size,) * 3)
    for angle in (0.0, 0.3, -0.7, 1.1, np.pi / 2, 2.5, np.pi, -1.9):
        result = turned(there, (axis,), np.array([angle]))
        assert relative(result, blobs((size,) * 3, axis_rotation(axis, angle))) < 2e-3


@pytest.mark.parametrize("seed", range(3))
def test_a_general_rotation_is_the_specimen_at_rotated_points(seed: int) -> None:
    rotation = random_rotation(np.random.default_rng(seed))
    axes, parts = shear_angles(np.stack([rotation]))
    result = turned(blobs((36,) * 3), axes, parts[0])
    assert relative(result, blobs((36,) * 3, rotation)) < 0.01


def test_the_axis_itself_may_have_another_number_of_samples() -> None:
    shape = (22, 33, 33)
    result = turned(blobs(shape), (0,), np.array([0.8]))
    assert relative(result, blobs(shape, axis_rotation(0, 0.8))) < 2e-3


@given(angles, angles)
@settings(max_examples=20, deadline=None)
def test_two_rotations_about_an_axis_add_their_angles(first: float, second: float) -> None:
    there = blobs((32,) * 3)
    twice = turned(turned(there, (1,), np.array([first])), (1,), np.array([second]))
    assert relative(twice, blobs((32,) * 3, axis_rotation(1, first + second))) < 5e-3


@given(st.integers(0, 1000), st.sampled_from([8, 9]))
@settings(max_examples=10, deadline=None)
def test_the_adjoint_is_the_inverse_rotation(seed: int, size: int) -> None:
    """For any values, white noise included, ⟨T a, b⟩ = ⟨a, T⁻¹ b⟩, as shears are shifts.

    Up to 45°: beyond, quarter turns come first in both directions, which is equal for smooth specimens only.
    """
    rng = np.random.default_rng(seed)
    a, b = rng.normal(0, 1, (2, 2, size, size, size))
    axes, by = (0, 2, 0), rng.uniform(-0.78, 0.78, 3)
    there, back = turned(a, axes, by), turned(b, axes[::-1], -by[::-1])
    assert np.vdot(there, b) == pytest.approx(np.vdot(a, back), abs=1e-9)


def test_the_inverse_rotation_restores_the_specimen_and_energy_is_conserved() -> None:
    there, by = blobs((33,) * 3), np.array([0.4, -1.2, 2.0])
    result = turned(there, (0, 2, 0), by)
    assert float(jnp.linalg.norm(result)) == pytest.approx(np.linalg.norm(there), rel=1e-6)
    assert relative(turned(result, (0, 2, 0), -by[::-1]), there) < 1e-4


def test_the_gradient_with_respect_to_the_angle_is_that_of_finite_differences() -> None:
    there, reference = jnp.asarray(blobs((16,) * 3)), jnp.asarray(blobs((16,) * 3, axis_rotation(2, 0.5)))

    def misfit(angle: jax.Array) -> jax.Array:
        return jnp.sum((rotate(there, (2,), angle[None]) - reference) ** 2)

    value, slope, step = jax.jit(misfit), jax.jit(jax.grad(misfit))(0.3), 1e-5
    difference = (value(0.3 + step) - value(0.3 - step)) / (2 * step)
    assert float(slope) == pytest.approx(float(difference), rel=1e-6)


def test_views_are_rotated_together() -> None:
    there, by = blobs((16,) * 3), np.array([[0.2], [1.9], [-2.8]])
    together = jax.jit(jax.vmap(rotate, in_axes=(None, None, 0)), static_argnums=1)(there, (1,), by)
    for one, angle in zip(together, by, strict=True):
        np.testing.assert_allclose(one, turned(there, (1,), angle), atol=1e-12)


def test_single_precision_suffices() -> None:
    there, by = blobs((32,) * 3).astype(np.float32), np.array([0.4, -1.2, 2.0], np.float32)
    rotation = axis_rotation(0, 2.0) @ axis_rotation(2, -1.2) @ axis_rotation(0, 0.4)
    assert relative(turned(there, (0, 2, 0), by), blobs((32,) * 3, rotation)) < 0.01
