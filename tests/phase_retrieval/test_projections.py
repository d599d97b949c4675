"""Projections, updates and their limits, supports, and withheld islands."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unflat.physics.diffraction.far_field import ifftshift3
from unflat.physics.psf import convolve_gaussian
from unflat.recon.phase_retrieval.data import DiffractionData
from unflat.recon.phase_retrieval.holdout import free_pixels
from unflat.recon.phase_retrieval.pattern import DevicePattern, evaluate_fit, ideal_point_spread, to_device_pattern
from unflat.recon.phase_retrieval.projections import (
    UNMEASURED,
    UPDATES,
    UpdateCoefficients,
    apply_update,
    cap_amplitude,
    modulus_projection,
    partially_coherent_projection,
    update_gps_dual,
)
from unflat.recon.phase_retrieval.recipe import ProjectionState, final_density, init_state, run_stage
from unflat.recon.phase_retrieval.settings import PhaseSettings
from unflat.recon.phase_retrieval.stages import Stage, build_stages
from unflat.recon.phase_retrieval.support import autocorrelation_support, half_support, random_density, shrink_wrap

SHAPE = (14, 12, 10)


def drawn(seed: int, shape: tuple[int, ...] = SHAPE) -> jax.Array:
    """Random complex array."""
    rng = np.random.default_rng(seed)
    return jnp.asarray(rng.normal(size=shape) + 1j * rng.normal(size=shape), jnp.complex64)


def amplitudes(seed: int) -> jax.Array:
    """Moduli of a random pattern, a tenth of which is not measured."""
    rng = np.random.default_rng(seed)
    values = np.abs(np.fft.fftn(rng.normal(size=SHAPE)))
    return jnp.asarray(np.where(rng.random(SHAPE) < 0.1, UNMEASURED, values), jnp.float32)


def box(shape: tuple[int, ...], size: tuple[int, ...]) -> np.ndarray:
    """1 in a box around index 0, across the edges."""
    inside = np.zeros(shape, np.float32)
    inside[tuple(slice((n - w) // 2, (n - w) // 2 + w) for n, w in zip(shape, size, strict=True))] = 1
    return np.asarray(np.fft.ifftshift(inside))


@pytest.mark.parametrize("seed", [0, 1])
def test_the_modulus_projection_is_a_projection(seed: int) -> None:
    density, amplitude = drawn(seed), amplitudes(seed + 7)
    once = modulus_projection(density, amplitude)
    np.testing.assert_allclose(modulus_projection(once, amplitude), once, atol=2e-5)
    measured = np.asarray(amplitude) >= 0
    wave = np.fft.fftn(np.asarray(once))
    np.testing.assert_allclose(np.abs(wave)[measured], np.asarray(amplitude)[measured], rtol=1e-4, atol=1e-3)
    # Unmeasured pixels are left unchanged, not set to 0.
    np.testing.assert_allclose(wave[~measured], np.fft.fftn(np.asarray(density))[~measured], rtol=1e-4, atol=1e-3)


def test_the_modulus_projection_is_the_nearest_density_with_the_measured_moduli() -> None:
    density, amplitude = drawn(2), amplitudes(3)
    nearest = float(jnp.linalg.norm((modulus_projection(density, amplitude) - density).ravel()))
    for seed in range(5):
        other = modulus_projection(density + 0.3 * drawn(10 + seed), amplitude)
        assert float(jnp.linalg.norm((other - density).ravel())) >= nearest * (1 - 1e-5)


def test_without_a_point_spread_function_both_projections_agree() -> None:
    density, amplitude = drawn(4), amplitudes(5)
    zero = jnp.zeros((), jnp.float32)
    plain = modulus_projection(density, amplitude)
    np.testing.assert_allclose(partially_coherent_projection(density, amplitude, jnp.zeros(3), zero), plain, atol=2e-4)


def test_a_density_that_explains_blurred_counts_is_unchanged() -> None:
    density, sigmas = drawn(6), jnp.asarray([0.5, 0.3, 0.6], jnp.float32)
    background = jnp.asarray(2.0, jnp.float32)
    amplitude = jnp.sqrt(convolve_gaussian(jnp.abs(jnp.fft.fftn(density)) ** 2, sigmas) + background)
    np.testing.assert_allclose(
        partially_coherent_projection(density, amplitude, sigmas, background), density, atol=1e-4
    )


@pytest.mark.parametrize("method", UPDATES)
def test_where_projections_agree_every_update_is_the_identity(method: str) -> None:
    support = jnp.asarray(box(SHAPE, (6, 5, 4)))
    density = drawn(8) * support.astype(jnp.complex64)
    np.testing.assert_allclose(apply_update(density, density, support, UPDATES[method](0.8)), density, atol=1e-6)


@pytest.mark.parametrize(("method", "beta"), [("hio", 0.0), ("raar", 0.5), ("dm", 1.0), ("cf", 1.0)])
def test_inside_the_support_updates_are_error_reduction(method: str, beta: float) -> None:
    support = jnp.asarray(box(SHAPE, (6, 5, 4)))
    projected, iterate = drawn(9), drawn(10)
    plain = apply_update(projected, iterate, support, UPDATES["er"](0.9))
    inside = apply_update(projected, iterate, support, UPDATES[method](beta)) * support.astype(jnp.complex64)
    np.testing.assert_allclose(inside, plain, atol=1e-6)


def test_outside_the_support_updates_are_those_of_the_literature() -> None:
    projected, iterate, nowhere, beta = drawn(11), drawn(12), jnp.zeros(SHAPE, jnp.float32), 0.7
    expected = {
        "er": 0 * projected,
        "hio": iterate - beta * projected,
        "raar": beta * iterate + (1 - 2 * beta) * projected,
        "dm": iterate - beta * projected,
        "cf": -projected,
    }
    for method, right in expected.items():
        np.testing.assert_allclose(apply_update(projected, iterate, nowhere, UPDATES[method](beta)), right, atol=1e-5)


def test_a_ceiling_cuts_what_exceeds_the_amplitude_of_the_crystal_and_nothing_else() -> None:
    support = box(SHAPE, (6, 5, 4))
    uniform = np.where(support > 0, 3.0, 0.5) * np.exp(1j * np.angle(drawn(13)))
    ceiling = jnp.asarray(1.2, jnp.float32)
    even = cap_amplitude(jnp.asarray(uniform, jnp.complex64), jnp.asarray(support), ceiling)
    np.testing.assert_allclose(even, uniform, rtol=1e-5)  # the outside too, where the amplitude is another one
    piled = uniform.copy()
    piled[0, 0, 0] *= 3
    for scale in (1.0, 1e4):
        capped = cap_amplitude(jnp.asarray(scale * piled, jnp.complex64), jnp.asarray(support), ceiling) / scale
        assert 3.6 < abs(capped[0, 0, 0]) < 0.6 * abs(piled[0, 0, 0])
        assert np.angle(capped[0, 0, 0]) == pytest.approx(np.angle(piled[0, 0, 0]), abs=1e-5)
        np.testing.assert_allclose(np.delete(capped.ravel(), 0), np.delete(piled.ravel(), 0), rtol=1e-5)


def test_hio_and_the_difference_map_are_one_at_beta_1() -> None:
    assert UPDATES["dm"](1.0) == UPDATES["hio"](1.0) == UpdateCoefficients(1.0, 0.0, -1.0, 1.0)


def test_the_dual_of_gps_is_zero_inside_the_support_and_at_a_solution() -> None:
    support = jnp.asarray(box(SHAPE, (6, 5, 4)))
    dual = update_gps_dual(drawn(0), drawn(1), drawn(2), support, 0.9)
    assert float(jnp.abs(dual * support.astype(jnp.complex64)).max()) == 0
    inside = drawn(3) * support.astype(jnp.complex64)
    assert float(jnp.abs(update_gps_dual(jnp.zeros_like(inside), inside, inside, support, 0.9)).max()) == 0


def test_shrink_wrap_surrounds_the_object() -> None:
    shape, truth = (24, 22, 20), box((24, 22, 20), (8, 7, 9))
    density = jnp.asarray(truth * np.exp(0.4j * np.arange(20)), jnp.complex64)
    support = jnp.asarray(box(shape, (18, 16, 16)))
    for sigma in (2.0, 1.5, 1.0, 0.5):
        support = shrink_wrap(density, support, sigma, 0.3)
    result = np.asarray(support)
    assert np.sum(result * (1 - truth)) < 0.6 * truth.sum()  # at most a rim of a voxel
    assert np.all(result[truth > 0] == 1)


def test_a_support_is_never_empty() -> None:
    support = jnp.asarray(box(SHAPE, (4, 4, 4)))
    np.testing.assert_array_equal(shrink_wrap(jnp.zeros(SHAPE, jnp.complex64), support, 1.0, 0.2), support)


def test_the_autocorrelation_support_contains_the_object_and_is_symmetric() -> None:
    truth = box((24, 22, 20), (8, 7, 9))
    counts = jnp.asarray(np.abs(np.fft.fftn(truth)) ** 2, jnp.float32)
    result = np.asarray(autocorrelation_support(counts, jnp.ones_like(counts), 0.05))
    assert np.all(result[truth > 0] == 1)
    assert result.sum() < 8 * truth.sum()
    flipped = np.roll(result[::-1, ::-1, ::-1], 1, axis=(0, 1, 2))
    np.testing.assert_array_equal(flipped, result)
    full = np.abs(np.fft.fftn(np.asarray(counts)))
    np.testing.assert_array_equal(result, full > 0.05 * max(full[0, 0, 1], full[0, 1, 0], full[1, 0, 0]))


def test_a_background_does_not_shrink_the_autocorrelation_s_support() -> None:
    counts = jnp.asarray(np.abs(np.fft.fftn(box((24, 22, 20), (8, 7, 9)))) ** 2, jnp.float32)
    good = jnp.ones_like(counts)
    plain, foggy = (autocorrelation_support(c, good, 0.1) for c in (counts, counts + 2 * jnp.mean(counts)))
    np.testing.assert_array_equal(plain, foggy)


def test_half_a_support_is_cut_through_the_middle_also_across_the_edges() -> None:
    truth = box((24, 22, 20), (8, 6, 10))
    for shift in (0, 5, 12):
        moved = np.roll(truth, shift, axis=(0, 1, 2))
        half = np.asarray(half_support(jnp.asarray(moved, jnp.complex64), jnp.asarray(moved), jnp.asarray([1.0, 0, 0])))
        assert 0.4 <= half.sum() / moved.sum() <= 0.6
        assert np.all(half <= moved)


def test_a_random_start_has_the_measured_counts() -> None:
    counts = jnp.asarray(np.random.default_rng(0).poisson(5, SHAPE), jnp.float32)
    support = jnp.asarray(box(SHAPE, (6, 5, 4)))
    density = random_density(jax.random.key(0), counts, jnp.ones(SHAPE, jnp.float32), support)
    modelled = np.abs(np.fft.fftn(np.asarray(density))) ** 2
    assert modelled.sum() == pytest.approx(float(counts.sum()), rel=1e-4)
    assert float(jnp.abs(density * (1 - support).astype(jnp.complex64)).max()) == 0


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000), fraction=st.floats(0.01, 0.2))
def test_free_pixels_are_islands_of_good_pixels_away_from_the_centre(seed: int, fraction: float) -> None:
    weights = (np.random.default_rng(1).random((30, 26, 28)) > 0.1).astype(np.float32)
    free = free_pixels(weights, fraction, seed)
    good = np.count_nonzero(weights)
    assert not np.any(free & (weights == 0))
    assert fraction * good <= np.count_nonzero(free) <= fraction * good + 123
    assert not free[14:17, 12:15, 13:16].any()
    np.testing.assert_array_equal(free, free_pixels(weights, fraction, seed))


def test_no_free_pixels_are_near_the_peak_wherever_it_is() -> None:
    weights = np.ones((30, 26, 28), np.float32)
    np.testing.assert_array_equal(free_pixels(weights, 0.3, 1), free_pixels(weights, 0.3, 1, peak=(15, 13, 14)))
    free = np.any([free_pixels(weights, 0.3, seed, peak=(11, 4, 24)) for seed in range(8)], axis=0)
    assert not free[10:13, 3:6, 23:26].any()
    assert free[14:17, 12:15, 13:16].any()  # pixels in the array's middle may be withheld like others


def test_bad_and_free_pixels_are_never_used() -> None:
    rng = np.random.default_rng(3)
    counts, weights = rng.poisson(20, (24, 24, 24)).astype(float), np.ones((24, 24, 24), np.float32)
    weights[3:6, :, 11] = 0
    free = free_pixels(weights, 0.05, 4)
    spoiled = np.where(free | (weights == 0), 1e6, counts)
    ways = [to_device_pattern(DiffractionData(one, weights), 0.05, 4) for one in (counts, spoiled)]
    stages = (Stage("hio", 0.9, 7, False, (1.5, 0.2)), Stage("raar", 0.9, 5, True), Stage("gps", 0.9, 5, False))
    result = []
    for pattern in ways:
        state = init_state(pattern, jax.random.key(0), 0.3)
        for stage in stages:
            state = run_stage(state, pattern, stage)
        result.append(
            (
                np.asarray(final_density(state, pattern)),
                evaluate_fit(final_density(state, pattern), state.point_spread, pattern),
            )
        )
    np.testing.assert_array_equal(result[0][0], result[1][0])
    assert float(result[0][1].llk) == float(result[1][1].llk)
    assert float(result[0][1].llk_free) != float(result[1][1].llk_free)
    np.testing.assert_array_equal(ifftshift3(free) > 0, np.asarray(ways[0].free) > 0)


def test_a_stage_of_error_reduction_never_raises_the_error() -> None:
    rng = np.random.default_rng(5)
    truth = np.fft.ifftshift(box((20, 20, 20), (7, 8, 6))) * np.exp(1j * rng.normal(0, 0.3, (20, 20, 20)))
    counts = np.abs(np.fft.fftn(np.fft.ifftshift(truth))) ** 2
    pattern = to_device_pattern(DiffractionData(np.fft.fftshift(counts), np.ones_like(counts)), 0.0, 0)
    state = init_state(pattern, jax.random.key(1), 0.1)
    errors = []
    for _ in range(4):
        state = run_stage(state, pattern, Stage("er", 0.9, 10, False))
        errors.append(float(evaluate_fit(final_density(state, pattern), ideal_point_spread(), pattern).chi_rms))
    assert errors == sorted(errors, reverse=True)


def test_a_recipe_has_one_stage_with_half_a_support() -> None:
    chosen = PhaseSettings.model_validate(
        {
            "recipe": [
                {"raar": {"iterations": 110, "support": {"every": 25, "threshold": 0.3, "sigma": [2.0, 0.5]}}},
                {"er": {"iterations": 20, "support": None, "psf": True}},
            ]
        }
    )
    stages = build_stages(chosen)
    assert sum(stage.iterations for stage in stages if not stage.has_half_support) == 130
    assert [stage.has_half_support for stage in stages].index(True) == 2
    assert [stage.shrink_wrap[0] for stage in stages if stage.shrink_wrap] == pytest.approx([2.0, 1.5, 1.0, 0.5])
    assert stages[-1] == Stage("er", 0.9, 20, True)
    assert not any(stage.has_half_support for stage in build_stages(chosen.model_copy(update={"twin": False})))


@pytest.mark.slow
def test_starts_computed_together_equal_starts_computed_alone() -> None:
    """Groups of starts as on a GPU."""
    from unflat.recon.phase_retrieval.starts import (
        finish_start,
        init_starts,
        refinements_of_starts,
        run_group_stage,
    )

    truth = box((16, 16, 16), (5, 6, 4))
    counts = np.fft.fftshift(np.abs(np.fft.fftn(truth)) ** 2)
    pattern = to_device_pattern(DiffractionData(counts, np.ones_like(counts)), 0.05, 0)
    chosen = PhaseSettings.model_validate(
        {
            "recipe": [{"hio": {"iterations": 12}}, {"gps": {"iterations": 3, "psf": True}}],
            "refine": {"iterations": 30},
        }
    )
    stages = build_stages(chosen)

    def ended(numbers: list[int]) -> list[np.ndarray]:
        state: ProjectionState = init_starts(pattern, 3, numbers, 0.1)
        state, stage = run_group_stage(state, pattern, stages, 0, lambda: None, lambda iterations: None)
        assert stage == len(stages)
        refinements = refinements_of_starts(state, len(numbers), pattern, len(truth))
        pairs = zip(refinements, numbers, strict=True)
        return [finish_start(refined, pattern, number, chosen.refine).density for refined, number in pairs]

    together, alone = ended([0, 1]), ended([1])[0]
    np.testing.assert_allclose(together[1], alone, atol=2e-2 * np.abs(alone).max())


def test_patterns_are_float32_in_fft_order() -> None:
    counts = np.arange(60.0).reshape(3, 4, 5)
    pattern: DevicePattern = to_device_pattern(DiffractionData(counts, np.ones((3, 4, 5))), 0.0, 0)
    assert pattern.counts.dtype == jnp.float32
    assert float(pattern.counts[0, 0, 0]) == counts[1, 2, 2]
