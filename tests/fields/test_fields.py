"""Continuous fields: smooth, the same on a lattice as at points, and the same as the archive's reader says."""

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
from unflat.recon.fields.numpy_fields import field_of
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
    """Parameters of order 1, also those that a fit starts from zero."""
    rng = np.random.default_rng(0)
    return {n: (w + rng.normal(0, 0.3, w.shape)).astype(dtype) for n, w in field.init(0).items()}


def axes_in_the_box(seed: int, counts: tuple[int, int, int] = (5, 4, 6)) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Coordinates at random, from face to face."""
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
def test_lattice_points_and_the_archives_reader_have_the_same_values(field: Field, sign: str) -> None:
    """To float32, from face to face; the reader is plain NumPy, and has the description and the named arrays alone."""
    field = signed(field, sign)
    weights, axes = drawn(field), axes_in_the_box(1)
    lattice = on_grid(field, weights, axes)
    points = np.asarray(at(field, weights, product(axes).astype(np.float32))).T.reshape(lattice.shape)
    tolerance = 3e-5 * np.abs(lattice).max()
    np.testing.assert_allclose(points, lattice, atol=tolerance)
    reader = field_of(field.architecture, weights)
    np.testing.assert_allclose(lattice, reader.on_grid(*axes), atol=tolerance)
    np.testing.assert_allclose(points, reader.at(product(axes)).reshape(lattice.shape), atol=tolerance)


@every
def test_a_fresh_field_is_zero_and_its_seed_is_all_there_is_to_it(field: Field) -> None:
    first, again, other = (field.init(seed) for seed in (1, 1, 2))
    for name, array in first.items():
        assert array.dtype == np.float32
        np.testing.assert_array_equal(array, again[name])
    if not isinstance(field, Voxels):
        assert any(np.any(array != other[name]) for name, array in first.items())
    np.testing.assert_allclose(on_grid(field, first, axes_in_the_box(4)), 0, atol=1e-6)


@every
def test_fields_are_fields_that_jit_may_close_over(field: Field) -> None:
    assert isinstance(field, Field)
    assert hash(field) == hash(signed(field, "any"))


@every
def test_every_parameter_has_a_gradient(field: Field) -> None:
    """On the lattice that a fit uses."""
    parameters = {n: jnp.asarray(w) for n, w in drawn(field).items()}
    axes = grid_axes((8, 10, 9))
    gradients = jax.jit(jax.grad(lambda p: jnp.sum(field.on_grid(p, axes) ** 3)))(parameters)
    for name, gradient in gradients.items():
        assert np.all(np.isfinite(gradient)), name
        assert np.any(gradient != 0), name


@given(st.integers(4, 30), st.lists(st.floats(-1, 1), min_size=1, max_size=20))
@settings(deadline=None)
def test_a_splines_weights_are_a_partition_of_unity(coefficients: int, places: list[float]) -> None:
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


def test_a_spline_holds_every_straight_line_and_parabola() -> None:
    """Cubic B-splines of n coefficients reproduce polynomials up to the box's faces."""
    n = 9
    nodes = (np.arange(n) - 1) / (n - 3) * 2 - 1
    s = np.linspace(-1, 1, 50)
    spacing = 2 / (n - 3)
    np.testing.assert_allclose(cubic_matrix(s, n) @ nodes, s, atol=1e-12)
    np.testing.assert_allclose(cubic_matrix(s, n) @ (nodes**2 - spacing**2 / 3), s**2, atol=1e-12)


def test_linear_interpolation_is_exact_at_the_cells_centres_and_flat_beyond_them() -> None:
    values = np.array([3.0, -1.0, 2.0, 5.0])
    centres = grid_axes((4, 4, 4))[0]
    np.testing.assert_allclose(linear_matrix(centres, 4) @ values, values, atol=1e-12)
    np.testing.assert_allclose(linear_matrix(np.array([-1.0, -0.8, 0.9, 1.0]), 4) @ values, [3, 3, 5, 5], atol=1e-12)
    np.testing.assert_allclose(linear_matrix(np.array([0.0]), 4) @ values, 0.5)


@pytest.mark.parametrize("order", [1, 2])
def test_derivatives_run_on_across_the_nodes(order: int, double: None) -> None:
    """First and second derivatives exist everywhere: zooming in shows no pixel."""
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
    found = np.asarray(hessian(jnp.asarray(points, jnp.float32)))
    assert np.all(np.isfinite(found))
    assert np.any(found[:20] != 0)


def smooth_volume(axes: tuple[np.ndarray, ...]) -> np.ndarray:
    """Two quantities, of positive and negative values."""
    z, y, x = np.meshgrid(*axes, indexing="ij")
    return np.stack([np.exp(-3 * ((z - 0.1) ** 2 + y**2 + (x + 0.2) ** 2)), np.cos(2 * y + x) * (0.5 + z)])


def projected(field: Field, values: np.ndarray, axes: tuple[np.ndarray, np.ndarray, np.ndarray]) -> np.ndarray:
    parameters = field.fit_to_grid(field.init(0), values.astype(np.float32), axes)
    assert {n: a.dtype for n, a in parameters.items()} == {n: a.dtype for n, a in field.init(0).items()}
    return on_grid(field, parameters, axes)


def test_a_smooth_volume_passes_through_the_closed_form_start() -> None:
    axes = grid_axes((14, 18, 16))
    values = smooth_volume(axes)
    for field, tolerance in (
        (Pyramid(((5, 5, 5), (10, 12, 11)), 3, 8, 2), 0.01),
        (Pyramid(((8, 10, 9),), 2, 0, 2), 0.02),
        (Voxels((14, 18, 16), 2), 1e-4),
        (Voxels((10, 12, 11), 2), 0.05),
    ):
        error = np.linalg.norm(projected(field, values, axes) - values) / np.linalg.norm(values)
        assert error < tolerance, field


@pytest.mark.parametrize(("sign", "factor"), [("nonnegative", 1), ("nonpositive", -1)])
def test_a_start_of_one_sign_passes_through_too(sign: str, factor: int) -> None:
    """But for a little of the background, that its gradient may not vanish."""
    axes = grid_axes((14, 18, 16))
    values = factor * np.abs(smooth_volume(axes))[:1]
    for field in (Pyramid(((5, 5, 5), (12, 14, 13)), 1, 8, 1, sign), Voxels((14, 18, 16), 1, sign)):
        found = projected(field, values, axes)
        assert np.all(factor * found >= 0)
        assert np.abs(found - values).max() < (SIGN_KNEE if isinstance(field, Voxels) else 3 * SIGN_KNEE)


def test_fouriers_start_is_what_it_was() -> None:
    values = smooth_volume(grid_axes((6, 6, 6))).astype(np.float32)
    start = FOURIER.init(3)
    after = FOURIER.fit_to_grid(start, values, grid_axes((6, 6, 6)))
    for name, array in start.items():
        np.testing.assert_array_equal(after[name], array)


@given(st.floats(-50, 50, width=32), st.sampled_from(["nonnegative", "nonpositive"]))
@settings(deadline=None)
def test_a_sign_is_kept_and_large_values_pass(raw: float, sign: str) -> None:
    factor = 1 if sign == "nonnegative" else -1
    found = factor * float(constrained(jnp.float32(raw), sign))
    assert found >= 0
    straight = max(factor * raw, 0)
    assert abs(found - straight) <= SIGN_KNEE + 1e-5


@given(st.floats(0.02, 20), st.sampled_from(["nonnegative", "nonpositive"]))
@settings(deadline=None)
def test_the_bend_can_be_undone(value: float, sign: str) -> None:
    factor = 1.0 if sign == "nonnegative" else -1.0
    raw = unconstrained(np.array([factor * value]), sign)
    assert float(constrained(jnp.asarray(raw, jnp.float32), sign)[0]) == pytest.approx(
        factor * value, rel=1e-4, abs=1e-6
    )


def test_splines_by_matrices_are_splines_by_points() -> None:
    grid = np.random.default_rng(6).normal(0, 1, (2, 5, 7, 6)).astype(np.float32)
    axes = axes_in_the_box(7)
    matrices = tuple(cubic_matrix(s, n) for s, n in zip(axes, grid.shape[1:], strict=True))
    lattice = np.asarray(apply_matrices(jnp.asarray(grid), matrices))
    points = np.asarray(jax.jit(cubic_at)(jnp.asarray(grid), jnp.asarray(product(axes), jnp.float32)))
    np.testing.assert_allclose(points.T.reshape(lattice.shape), lattice, atol=2e-5)


def test_least_squares_finds_the_coefficients_that_made_the_values() -> None:
    grid = np.random.default_rng(8).normal(0, 1, (1, 5, 6, 7))
    axes = grid_axes((20, 24, 28))
    matrices = tuple(cubic_matrix(s, n) for s, n in zip(axes, grid.shape[1:], strict=True))
    values = np.einsum("fabc,za,yb,xc->fzyx", grid, *matrices)
    np.testing.assert_allclose(least_squares(values, matrices, damping=1e-12), grid, atol=1e-6)


@given(st.tuples(*[st.integers(1, 200)] * 3), st.tuples(*[st.floats(1, 8)] * 3), st.integers(1, 8))
def test_levels_grow_evenly_up_to_the_finest(
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
def test_the_settings_name_the_field(name: str) -> None:
    sampling = FieldGrid((10, 40, 30), (0.5e-6, 0.2e-6, 0.2e-6), (2e-6, 0.5e-6, 0.5e-6))
    field = field_for(FitSettings(field=name), sampling, 2, "nonnegative")
    assert field.architecture["type"] == name
    assert field.architecture["outputs"] == 2
    assert field.architecture["sign"] == "nonnegative"
    field_of(field.architecture, field.init(0))


def test_the_finest_nodes_are_as_far_apart_as_the_settings_say() -> None:
    sampling = FieldGrid((12, 40, 30), (0.5e-6, 0.2e-6, 0.2e-6), (2e-6, 0.8e-6, 0.8e-6))
    auto = field_for(FitSettings(), sampling, 1)
    assert isinstance(auto, Pyramid)
    assert auto.levels[-1] == (3 + 6, 3 + 20, 3 + 15)  # half the resolution: 2, 2 and 2 samples
    wide = field_for(FitSettings(pyramid={"finest": 1e-6, "levels": 3}), sampling, 1)
    assert isinstance(wide, Pyramid)
    assert wide.levels[-1] == (3 + 6, 3 + 8, 3 + 6)
    assert len(wide.levels) == 3
