"""Far field of a box: agreement with the FFT and with the continuous Fourier transform."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unflat.physics.diffraction.matrix_dft import SupportBox, far_field_matrices, far_field_of_box

SHAPE = (18, 20, 15)
BOX = SupportBox((5, 6, 4), (7, 6, 8), SHAPE)
NONE = np.zeros(3)


def far_field(density: np.ndarray, box: SupportBox, offset: np.ndarray = NONE) -> np.ndarray:
    matrices = far_field_matrices(box, offset)
    parts = (jnp.asarray(part, jnp.float32) for part in (density.real, density.imag))
    return np.asarray(far_field_of_box(*parts, matrices))


def drawn(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.normal(size=shape) + 1j * rng.normal(size=shape)


def transformed(array: np.ndarray) -> np.ndarray:
    return np.fft.fftshift(np.fft.fftn(np.fft.ifftshift(array)))


def test_one_sample_a_voxel_is_the_fft_of_the_padded_crystal() -> None:
    density = drawn(BOX.samples)
    padded = np.zeros(SHAPE, complex)
    padded[BOX.slices] = density
    expected = transformed(padded)
    np.testing.assert_allclose(far_field(density, BOX), expected, atol=2e-6 * np.abs(expected).max())


@given(st.tuples(*[st.floats(-0.5, 0.5)] * 3))
@settings(max_examples=6, deadline=None)
def test_an_offset_is_a_ramp_of_the_density(offset: tuple[float, float, float]) -> None:
    density = drawn(BOX.samples)
    padded = np.zeros(SHAPE, complex)
    padded[BOX.slices] = density
    index = np.indices(SHAPE) - np.array(SHAPE).reshape(3, 1, 1, 1) // 2
    turns = sum(d * i / n for d, i, n in zip(offset, index, SHAPE, strict=True))
    expected = transformed(padded * np.exp(2j * np.pi * turns))
    result = far_field(density, BOX, np.array(offset))
    np.testing.assert_allclose(result, expected, atol=3e-6 * np.abs(expected).max())


@pytest.mark.parametrize(("fineness", "error"), [(1, 0.3), (2, 1e-5), (3, 3e-6)])
def test_finer_samples_give_the_continuous_transform(fineness: int, error: float) -> None:
    """A Gaussian, whose transform is known; with one sample per voxel its tail is aliased into the window."""
    box = SupportBox((2, 2, 2), (14, 14, 14), (18, 18, 18), fineness)
    width, centre = 0.55, np.array([0.3, -0.2, 0.1])
    lines = [np.exp(-((axis - c) ** 2) / (2 * width**2)) for axis, c in zip(box.axes, centre, strict=True)]
    density = lines[0][:, None, None] * lines[1][:, None] * lines[2] + 0j
    k = (np.arange(18) - 9) / 18
    exact = [width * np.sqrt(2 * np.pi) * np.exp(-2 * (np.pi * width * k) ** 2 - 2j * np.pi * k * c) for c in centre]
    expected = exact[0][:, None, None] * exact[1][:, None] * exact[2]
    result = far_field(density, box)
    assert np.abs(result - expected).max() == pytest.approx(0, abs=error * np.abs(expected).max())
    if fineness == 1:
        assert np.abs(result - expected).max() > 0.1 * np.abs(expected).max()


def test_the_transpose_is_the_adjoint() -> None:
    box = SupportBox(BOX.first, BOX.count, SHAPE, 2)
    matrices = far_field_matrices(box, np.array([0.2, 0.1, -0.3]))

    def parts(real: jax.Array, imaginary: jax.Array) -> tuple[jax.Array, jax.Array]:
        field = far_field_of_box(real, imaginary, matrices)
        return field.real, field.imag

    rng = np.random.default_rng(0)
    x = [jnp.asarray(rng.normal(size=box.samples), jnp.float32) for _ in range(2)]
    y = [jnp.asarray(rng.normal(size=SHAPE), jnp.float32) for _ in range(2)]
    forward, back = jax.vjp(parts, *x)
    one = sum(float(jnp.vdot(a, b)) for a, b in zip(forward, y, strict=True))
    other = sum(float(jnp.vdot(a, b)) for a, b in zip(x, back(tuple(y)), strict=True))
    assert one == pytest.approx(other, rel=1e-4)
