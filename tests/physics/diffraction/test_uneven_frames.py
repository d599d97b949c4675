"""Frames that are each at their own q: against a sum over points, the FFT, and the pairing with the adjoint."""

import jax.numpy as jnp
import numpy as np
import pytest

from unflat.physics.diffraction.far_field import fftshift3, ifftshift3
from unflat.physics.diffraction.frame_amplitudes import frame_amplitudes
from unflat.physics.diffraction.matrix_dft import SupportBox, far_field_matrices, far_field_of_box, frame_ramps
from unflat.physics.diffraction.matrix_dft import far_field_of_frames as far_field_of_box_frames
from unflat.physics.diffraction.uneven_frames import (
    FrameMatrices,
    adjoint_of_frames,
    blur_matrix,
    density_of_planes,
    far_field_of_frames,
    frame_matrices,
    invert_frames,
    planes_of_frames,
    restrict_planes,
)
from unflat.physics.psf import gaussian_taps

SHAPE = (10, 8, 6)
RNG = np.random.default_rng(3)
EVEN = np.stack([np.arange(10) - 5.0, np.zeros(10), np.zeros(10)], axis=1)
UNEVEN = EVEN + RNG.uniform(-0.5, 0.5, (10, 3)) * [1, 3, 3]


def drawn(shape: tuple[int, ...] = SHAPE) -> np.ndarray:
    return (RNG.standard_normal(shape) + 1j * RNG.standard_normal(shape)).astype(np.complex64)


def matrices(positions: np.ndarray) -> FrameMatrices:
    return frame_matrices(jnp.asarray(np.fft.ifftshift(positions, axes=0), jnp.float32), SHAPE)


def summed(density: np.ndarray, position: np.ndarray, y: int, x: int) -> complex:
    """Sum the waves of all voxels in one pixel, in float64."""
    z, v, u = np.meshgrid(*(np.arange(n) - n // 2 for n in SHAPE), indexing="ij")
    nz, ny, nx = SHAPE
    turns = position[0] * z / nz + (y - ny // 2 + position[1]) * v / ny + (x - nx // 2 + position[2]) * u / nx
    return complex(np.sum(density * np.exp(-2j * np.pi * turns)))


def test_pixels_are_sums_over_points() -> None:
    density = drawn()
    frames = fftshift3(np.asarray(far_field_of_frames(jnp.asarray(ifftshift3(density)), matrices(UNEVEN))))
    for frame, y, x in ((0, 0, 0), (9, 7, 5), (4, 3, 2), (6, 1, 4)):
        expected = summed(density, UNEVEN[frame], y, x)
        assert frames[frame, y, x] == pytest.approx(expected, abs=1e-4)
    np.testing.assert_allclose(frame_amplitudes(density, UNEVEN), frames, atol=1e-4)


def test_even_frames_are_the_fft() -> None:
    density, even = jnp.asarray(drawn()), matrices(EVEN)
    np.testing.assert_allclose(far_field_of_frames(density, even), jnp.fft.fftn(density), atol=1e-4)
    np.testing.assert_allclose(adjoint_of_frames(density, even), jnp.fft.ifftn(density), atol=1e-5)
    np.testing.assert_allclose(blur_matrix(jnp.float32(0.0), even), np.eye(10), atol=1e-6)
    taps = np.asarray(blur_matrix(jnp.float32(0.6), restrict_planes(even, jnp.ones(10))))[0]
    half = gaussian_taps(0.6)
    np.testing.assert_allclose(taps[:3], half[len(half) // 2 :][:3], atol=5e-3)


def test_the_adjoint_pairs_with_the_transform() -> None:
    """<A x, y> = N <x, Aᴴ y / N>."""
    x, y, own = jnp.asarray(drawn()), jnp.asarray(drawn()), matrices(UNEVEN)
    left = jnp.vdot(far_field_of_frames(x, own), y)
    right = np.prod(SHAPE) * complex(jnp.vdot(x, adjoint_of_frames(y, own)))
    assert complex(left) == pytest.approx(right, rel=1e-5)


def test_a_density_in_few_planes_is_restored() -> None:
    planes = np.zeros(10, np.float32)
    planes[[8, 9, 0, 1]] = 1
    density = drawn() * planes[:, None, None]
    own = matrices(UNEVEN)
    within = restrict_planes(own, jnp.asarray(planes))
    restored = density_of_planes(planes_of_frames(jnp.asarray(density), own), within)
    assert np.linalg.norm(restored - density) < 0.1 * np.linalg.norm(density)


def test_repeated_and_lost_frames_call_for_no_large_density() -> None:
    positions = UNEVEN.copy()
    positions[7:] = positions[6]
    inverse = invert_frames(jnp.asarray(drawn()), matrices(positions))
    assert np.isfinite(np.asarray(inverse)).all()
    assert float(jnp.linalg.norm(inverse.ravel())) < 6 * np.sqrt(2)  # at most 1/(2√λ) of the even one's


def test_a_box_diffracts_into_frames_at_their_own_q() -> None:
    box, offset = SupportBox((2, 2, 1), (4, 3, 3), SHAPE, 2), np.array([0.3, -0.2, 0.4])
    values, mats = drawn(box.samples), far_field_matrices(SupportBox((2, 2, 1), (4, 3, 3), SHAPE, 2), offset)
    parts = jnp.asarray(values.real), jnp.asarray(values.imag)
    even = far_field_of_box_frames(*parts, mats, frame_ramps(box, jnp.asarray(EVEN, jnp.float32), offset))
    np.testing.assert_allclose(even, far_field_of_box(*parts, mats), atol=1e-5)
    own = far_field_of_box_frames(*parts, mats, frame_ramps(box, jnp.asarray(UNEVEN, jnp.float32), offset))
    z, y, x = np.meshgrid(*box.axes, indexing="ij")
    q = (np.array([UNEVEN[3, 0], 7 - 4 + UNEVEN[3, 1], 2 - 3 + UNEVEN[3, 2]]) - offset) / SHAPE
    expected = np.sum(values * np.exp(-2j * np.pi * (q[0] * z + q[1] * y + q[2] * x))) / 8
    assert complex(own[3, 7, 2]) == pytest.approx(complex(expected), abs=1e-4)


def test_frames_are_weighted_by_their_part_of_the_curve() -> None:
    positions = EVEN.copy()
    positions[np.flatnonzero(EVEN[:, 0] == 2)[0], 0] = 1  # there twice, and 2 is lost
    cells = np.fft.fftshift(np.asarray(matrices(positions).roots)) ** 2
    np.testing.assert_allclose(np.asarray(matrices(EVEN).roots), 1, atol=1e-6)
    assert np.sum(cells) == pytest.approx(10)
    at = {int(p): float(np.sum(cells[positions[:, 0] == p])) for p in positions[:, 0]}
    assert at == pytest.approx({p: 1.5 if p in (1, 3) else 1 for p in at})
