"""Continuous fields: smooth, equal on a grid and at points, and equal to the NumPy reader of model files."""

from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unflat.recon.fields.base import SIGN_KNEE, Field, FieldGrid, constrained, grid_axes, unconstrained
from unflat.recon.fields.build import field_for
from unflat.recon.fields.fourier import Fourier
from unflat.recon.fields.numpy_fields import build_numpy_field
from unflat.recon.fields.pyramid import Pyramid, pyramid_levels
from unflat.recon.fields.splines import apply_matrices, cubic_at, cubic_matrix, least_squares, linear_matrix
from unflat.recon.fields.voxels import Voxels
from unflat.recon.optimize.settings import FitSettings

PYRAMID = Pyramid(((4, 5, 6), (7, 9, 8)), features=3, hidden=5, outputs=2)
VOXELS = Voxels((4, 6, 5), outputs=2)
FOURIER = Fourier(3, 3, 2, width=16, depth=3, skip=(1,), outputs=2)
FIELDS: list[Field] = [PYRAMID, VOXELS, FOURIER]
SIGNS = ["any", "nonnegative", "nonpositive"]
every = pytest.mark.parametrize("field", FIELDS, ids=lambda field: type(field).__name__.lower())


@pytest.fixture
def double() -> Iterator[None]:
    with jax.enable_x64(True):
        yield


def signed(field: Field, sign: str) -> Field:
    return type(field)(**{**vars(field), "sign": sign})


def drawn(field: Field, dtype: type = np.float32) -> dict[str, np.ndarray]:
    """Draw parameters of order 1, including those that are initially zero."""
    rng = np.random.default_rng(0)
    return {n: (w + rng.normal(0, 0.3, w.shape)).astype(dtype) for n, w in field.init(0).items()}


def axes_in_the_box(seed: int, counts: tuple[int, int, int] = (5, 4, 6)) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw coordinates from face to face."""
    rng = np.random.default_rng(seed)
    z, y, x = (np.sort(np.append(rng.uniform(-1, 1, n - 2), (-1, 1))) for n in counts)
    return z, y, x


def product(axes: tuple[np.ndarray, ...]) -> np.ndarray:
    return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)


at = jax.jit(lambda field, weights, points: field.at(weights, points), static_argnums=0)


def on_grid(field: Field, weights: dict[str, np.ndarray], axes: tuple[np.ndarray, ...]) -> np.ndarray:
    return np.asarray(jax.jit(lambda weights: field.on_grid(weights, axes))(weights))


@every
@pytest.mark.parametrize("sign", SIGNS)
def test_grid_points_and_numpy_reader_have_equal_values(field: Field, sign: str) -> None:
    """To float32, from face to face; the reader has only the architecture and the named arrays."""
    field = signed(field, sign)
    weights, axes = drawn(field), axes_in_the_box(1)
    lattice = on_grid(field, weights, axes)
    points = np.asarray(at(field, weights, product(axes).astype(np.float32))).T.reshape(lattice.shape)
    tolerance = 3e-5 * np.abs(lattice).max()
    np.testing.assert_allclose(points, lattice, atol=tolerance)
    reader = build_numpy_field(field.architecture, weights)
    np.testing.assert_allclose(lattice, reader.on_grid(*axes), atol=tolerance)
    np.testing.assert_allclose(points, reader.at(product(axes)).reshape(lattice.shape), atol=tolerance)


@every
def test_an_initial_field_is_zero_and_reproducible_from_its_seed(field: Field) -> None:
    first, again, other = (field.init(seed) for seed in (1, 1, 2))
    for name, array in first.items():
        assert array.dtype == np.float32
        np.testing.assert_array_equal(array, again[name])
    if not isinstance(field, Voxels):
        assert any(np.any(array != other[name]) for name, array in first.items())
    np.testing.assert_allclose(on_grid(field, first, axes_in_the_box(4)), 0, atol=1e-6)


@every
def test_fields_are_hashable_and_fulfil_the_protocol(field: Field) -> None:
    assert isinstance(field, Field)
    assert hash(field) == hash(signed(field, "any"))


@every
def test_every_parameter_has_a_gradient(field: Field) -> None:
    """On the grid of a fit."""
    parameters = {n: jnp.asarray(w) for n, w in drawn(field).items()}
    axes = grid_axes((8, 10, 9))
    gradients = jax.jit(jax.grad(lambda p: jnp.sum(field.on_grid(p, axes) ** 3)))(parameters)
    for name, gradient in gradients.items():
        assert np.all(np.isfinite(gradient)), name
        assert np.any(gradient != 0), name


@given(st.integers(4, 30), st.lists(st.floats(-1, 1), min_size=1, max_size=20))
@settings(deadline=None)
def test_spline_weights_are_a_partition_of_unity(coefficients: int, places: list[float]) -> None:
    matrix = cubic_matrix(np.array(places), coefficients)
    np.testing.assert_allclose(matrix.sum(axis=1), 1, atol=1e-12)
    assert matrix.min() >= 0
    assert np.all((matrix > 0).sum(axis=1) <= 4)


@given(st.integers(1, 30), st.lists(st.floats(-1, 1), min_size=1, max_size=20))
@settings(deadline=None)
def test_linear_weights_are_a_partition_of_unity(cells: int, places: list[float]) -> None:
    matrix = linear_matrix(np.array(places), cells)
    np.testing.assert_allclose(matrix.sum(axis=1), 1, atol=1e-12)
    assert matrix.min() >= 0


def test_splines_reproduce_polynomials_up_to_second_order() -> None:
    """Cubic B-splines of n coefficients reproduce polynomials up to the box's faces."""
    n = 9
    nodes = (np.arange(n) - 1) / (n - 3) * 2 - 1
    s = np.linspace(-1, 1, 50)
    spacing = 2 / (n - 3)
    np.testing.assert_allclose(cubic_matrix(s, n) @ nodes, s, atol=1e-12)
    np.testing.assert_allclose(cubic_matrix(s, n) @ (nodes**2 - spacing**2 / 3), s**2, atol=1e-12)


def test_linear_interpolation_is_exact_at_cell_centres_and_constant_beyond_them() -> None:
    values = np.array([3.0, -1.0, 2.0, 5.0])
    centres = grid_axes((4, 4, 4))[0]
    np.testing.assert_allclose(linear_matrix(centres, 4) @ values, values, atol=1e-12)
    np.testing.assert_allclose(linear_matrix(np.array([-1.0, -0.8, 0.9, 1.0]), 4) @ values, [3, 3, 5, 5], atol=1e-12)
    np.testing.assert_allclose(linear_matrix(np.array([0.0]), 4) @ values, 0.5)


@pytest.mark.parametrize("order", [1, 2])
def test_derivatives_are_continuous_across_nodes(order: int, double: None) -> None:
    """First and second derivatives exist everywhere."""
    parameters = {n: jnp.asarray(w) for n, w in drawn(PYRAMID, np.float64).items()}

    def value(x: jax.Array) -> jax.Array:
        return PYRAMID.at(parameters, jnp.stack([0.1 + 0 * x, -0.3 + 0 * x, x])[None])[0, 0]

    slope = value
    for _ in range(order):
        slope = jax.grad(slope)
    slope = jax.jit(slope)
    nodes = np.concatenate([-1 + 2 * np.arange(1, m) / m for m in (3, 5)])  # of both levels
    for node in nodes:
        before, there, after = (float(slope(jnp.asarray(node + step))) for step in (-1e-7, 0.0, 1e-7))
        assert np.isfinite(there)
        assert before == pytest.approx(after, abs=1e-4)
        assert there == pytest.approx(after, abs=1e-4)
    step, less = 1e-5, jax.jit(value if order == 1 else jax.grad(value))
    difference = (less(jnp.asarray(0.37 + step)) - less(jnp.asarray(0.37 - step))) / (2 * step)
    assert float(slope(jnp.asarray(0.37))) == pytest.approx(float(difference), rel=1e-5)


@pytest.mark.parametrize("field", [PYRAMID, FOURIER], ids=["pyramid", "fourier"])
def test_second_derivatives_are_finite_everywhere(field: Field) -> None:
    field = signed(field, "nonnegative")
    parameters = {n: jnp.asarray(w) for n, w in drawn(field).items()}
    hessian = jax.jit(jax.vmap(jax.hessian(lambda p: field.at(parameters, p[None])[0, 1])))
    points = np.concatenate([np.random.default_rng(5).uniform(-1, 1, (20, 3)), np.ones((1, 3)), -np.ones((1, 3))])
    second = np.asarray(hessian(jnp.asarray(points, jnp.float32)))
    assert np.all(np.isfinite(second))
    assert np.any(second[:20] != 0)


def smooth_volume(axes: tuple[np.ndarray, ...]) -> np.ndarray:
    """Compute two quantities of positive and negative values."""
    z, y, x = np.meshgrid(*axes, indexing="ij")
    return np.stack([np.exp(-3 * ((z - 0.1) ** 2 + y**2 + (x + 0.2) ** 2)), np.cos(2 * y + x) * (0.5 + z)])


def fit_and_evaluate(field: Field, values: np.ndarray, axes: tuple[np.ndarray, np.ndarray, np.ndarray]) -> np.ndarray:
    parameters = field.fit_to_grid(field.init(0), values.astype(np.float32), axes)
    assert {n: a.dtype for n, a in parameters.items()} == {n: a.dtype for n, a in field.init(0).items()}
    return on_grid(field, parameters, axes)


def test_fit_to_grid_reproduces_a_smooth_volume() -> None:
    axes = grid_axes((14, 18, 16))
    values = smooth_volume(axes)
    for field, tolerance in (
        (Pyramid(((5, 5, 5), (10, 12, 11)), 3, 8, 2), 0.01),
        (Pyramid(((8, 10, 9),), 2, 0, 2), 0.02),
        (Voxels((14, 18, 16), 2), 1e-4),
        (Voxels((10, 12, 11), 2), 0.05),
    ):
        error = np.linalg.norm(fit_and_evaluate(field, values, axes) - values) / np.linalg.norm(values)
        assert error < tolerance, field


@pytest.mark.parametrize(("sign", "factor"), [("nonnegative", 1), ("nonpositive", -1)])
def test_fit_to_grid_reproduces_a_volume_of_one_sign(sign: str, factor: int) -> None:
    """Up to a small offset of the background, without which its gradient would vanish."""
    axes = grid_axes((14, 18, 16))
    values = factor * np.abs(smooth_volume(axes))[:1]
    for field in (Pyramid(((5, 5, 5), (12, 14, 13)), 1, 8, 1, sign), Voxels((14, 18, 16), 1, sign)):
        fitted = fit_and_evaluate(field, values, axes)
        assert np.all(factor * fitted >= 0)
        assert np.abs(fitted - values).max() < (SIGN_KNEE if isinstance(field, Voxels) else 3 * SIGN_KNEE)


def test_fit_to_grid_leaves_the_fourier_field_unchanged() -> None:
    values = smooth_volume(grid_axes((6, 6, 6))).astype(np.float32)
    start = FOURIER.init(3)
    after = FOURIER.fit_to_grid(start, values, grid_axes((6, 6, 6)))
    for name, array in start.items():
        np.testing.assert_array_equal(after[name], array)


@given(st.floats(-50, 50, width=32), st.sampled_from(["nonnegative", "nonpositive"]))
@settings(deadline=None)
def test_constrained_values_have_the_sign_and_large_ones_are_unchanged(raw: float, sign: str) -> None:
    factor = 1 if sign == "nonnegative" else -1
    bent = factor * float(constrained(jnp.float32(raw), sign))
    assert bent >= 0
    straight = max(factor * raw, 0)
    assert abs(bent - straight) <= SIGN_KNEE + 1e-5


@given(st.floats(0.02, 20), st.sampled_from(["nonnegative", "nonpositive"]))
@settings(deadline=None)
def test_unconstrained_inverts_constrained(value: float, sign: str) -> None:
    factor = 1.0 if sign == "nonnegative" else -1.0
    raw = unconstrained(np.array([factor * value]), sign)
    assert float(constrained(jnp.asarray(raw, jnp.float32), sign)[0]) == pytest.approx(
        factor * value, rel=1e-4, abs=1e-6
    )


def test_splines_by_matrices_equal_splines_at_points() -> None:
    grid = np.random.default_rng(6).normal(0, 1, (2, 5, 7, 6)).astype(np.float32)
    axes = axes_in_the_box(7)
    matrices = tuple(cubic_matrix(s, n) for s, n in zip(axes, grid.shape[1:], strict=True))
    lattice = np.asarray(apply_matrices(jnp.asarray(grid), matrices))
    points = np.asarray(jax.jit(cubic_at)(jnp.asarray(grid), jnp.asarray(product(axes), jnp.float32)))
    np.testing.assert_allclose(points.T.reshape(lattice.shape), lattice, atol=2e-5)


def test_least_squares_recovers_coefficients() -> None:
    grid = np.random.default_rng(8).normal(0, 1, (1, 5, 6, 7))
    axes = grid_axes((20, 24, 28))
    matrices = tuple(cubic_matrix(s, n) for s, n in zip(axes, grid.shape[1:], strict=True))
    values = np.einsum("fabc,za,yb,xc->fzyx", grid, *matrices)
    np.testing.assert_allclose(least_squares(values, matrices, damping=1e-12), grid, atol=1e-6)


@given(st.tuples(*[st.integers(1, 200)] * 3), st.tuples(*[st.floats(1, 8)] * 3), st.integers(1, 8))
def test_levels_grow_by_a_constant_factor(
    counts: tuple[int, int, int], finest: tuple[float, float, float], number: int
) -> None:
    levels = pyramid_levels(counts, finest, number)
    assert len(levels) == number
    for axis in range(3):
        sizes = [level[axis] for level in levels]
        assert min(sizes) >= 4
        assert sizes == sorted(sizes)
        assert sizes[-1] == 3 + max(1, round(max(1.0, counts[axis] / finest[axis])))


@pytest.mark.parametrize("name", ["pyramid", "voxels", "fourier"])
def test_field_is_built_as_the_settings_name_it(name: str) -> None:
    sampling = FieldGrid((10, 40, 30), (0.5e-6, 0.2e-6, 0.2e-6), (2e-6, 0.5e-6, 0.5e-6))
    field = field_for(FitSettings(field=name), sampling, 2, "nonnegative")
    assert field.architecture["type"] == name
    assert field.architecture["outputs"] == 2
    assert field.architecture["sign"] == "nonnegative"
    build_numpy_field(field.architecture, field.init(0))


def test_finest_nodes_have_the_spacing_of_the_settings() -> None:
    sampling = FieldGrid((12, 40, 30), (0.5e-6, 0.2e-6, 0.2e-6), (2e-6, 0.8e-6, 0.8e-6))
    auto = field_for(FitSettings(), sampling, 1)
    assert isinstance(auto, Pyramid)
    assert auto.levels[-1] == (3 + 6, 3 + 20, 3 + 15)  # half the resolution: 2, 2 and 2 samples
    wide = field_for(FitSettings(pyramid={"finest": 1e-6, "levels": 3}), sampling, 1)
    assert isinstance(wide, Pyramid)
    assert wide.levels[-1] == (3 + 6, 3 + 8, 3 + 6)
    assert len(wide.levels) == 3
