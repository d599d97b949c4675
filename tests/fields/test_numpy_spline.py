"""Cubic B-splines in NumPy, and the basis that they share with jax."""

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unflat.recon.errors import DataError
from unflat.recon.fields import numpy_spline


@given(st.lists(st.floats(-1, 1), min_size=1, max_size=40), st.integers(4, 30))
@settings(max_examples=50, deadline=None)
def test_the_weights_are_a_partition_of_unity(s: list[float], count: int) -> None:
    band = numpy_spline.spline_band(np.array(s), count)
    assert band.weights.min() >= 0
    np.testing.assert_allclose(band.weights.sum(axis=1), 1, atol=1e-12)


@given(st.integers(4, 12), st.integers(4, 12), st.integers(4, 12), st.integers(0, 99))
@settings(max_examples=25, deadline=None)
def test_linear_functions_are_reproduced(nz: int, ny: int, nx: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    a, b, s = rng.normal(), rng.normal(size=3), rng.uniform(-1, 1, (50, 3))
    # Coefficient k of n stands at the normalised coordinate 2(k − 1)/(n − 3) − 1.
    knots = np.meshgrid(*[2 * (np.arange(n) - 1) / (n - 3) - 1 for n in (nz, ny, nx)], indexing="ij")
    grid = a + sum(slope * knot for slope, knot in zip(b, knots, strict=True))
    np.testing.assert_allclose(numpy_spline.at_points(grid[None], s)[0], a + s @ b, atol=1e-12)


def test_a_grid_and_its_points_agree() -> None:
    grid = np.random.default_rng(0).normal(size=(2, 6, 7, 9))
    z, y, x = (np.linspace(-1, 1, n) for n in (5, 11, 13))
    points_of = np.stack(np.meshgrid(z, y, x, indexing="ij"), axis=-1).reshape(-1, 3)
    bands = [numpy_spline.spline_band(a, n) for a, n in zip((z, y, x), grid.shape[1:], strict=True)]
    values = numpy_spline.on_grid(grid, *bands).reshape(2, -1)
    np.testing.assert_allclose(values, numpy_spline.at_points(grid, points_of), atol=1e-12)


def test_too_few_coefficients_are_refused() -> None:
    with pytest.raises(DataError, match="at least 4 coefficients along each axis, not 3"):
        numpy_spline.spline_band(np.zeros(1), 3)


def test_the_basis_is_the_same_in_jax() -> None:
    s = np.linspace(-1.2, 1.2, 41, dtype=np.float32)
    index, fraction = numpy_spline.interval(s, 9)
    index_jax, fraction_jax = numpy_spline.interval(jnp.asarray(s), 9, jnp)
    np.testing.assert_array_equal(index, index_jax)
    np.testing.assert_allclose(numpy_spline.basis(fraction), numpy_spline.basis(fraction_jax, jnp), atol=1e-6)
