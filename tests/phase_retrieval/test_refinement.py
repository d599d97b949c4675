"""Refinement lowers the deviance, recovers point-spread function and background, and uses the fitted pixels alone."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from unflat.physics.diffraction.far_field import deviance, far_field
from unflat.physics.psf import convolve_gaussian
from unflat.recon.phase_retrieval import refinement
from unflat.recon.phase_retrieval.data import DiffractionData
from unflat.recon.phase_retrieval.pattern import (
    DevicePattern,
    PointSpread,
    evaluate_fit,
    ideal_point_spread,
    predict_counts,
    to_device_pattern,
)
from unflat.recon.phase_retrieval.psf_fit import fit_point_spread
from unflat.recon.phase_retrieval.settings import RefineSettings

SHAPE = (24, 26, 22)
SIGMAS = np.array([0.5, 0.35, 0.6])


def crystal() -> tuple[np.ndarray, np.ndarray]:
    """Strained block of 3e6 counts and its support, in FFT order."""
    z, y, x = np.meshgrid(*[np.fft.ifftshift(np.arange(n) - n // 2) for n in SHAPE], indexing="ij")
    inside = (np.abs(z) <= 4) & (np.abs(y + z // 2) <= 4) & (np.abs(x) <= 3)
    density = inside * np.exp(1j * (0.05 * z * y + 0.2 * np.sin(x)))
    density = density * np.sqrt(3e6 / (np.sum(np.abs(density) ** 2) * density.size))
    return density.astype(np.complex64), inside.astype(np.float32)


def measured(background: float = 0.5, seed: int = 0, free: float = 0.05) -> DevicePattern:
    """Counts of the crystal, blurred and with noise."""
    intensity = jnp.asarray(np.abs(np.fft.fftn(crystal()[0])) ** 2, jnp.float32)
    expected = np.asarray(convolve_gaussian(intensity, jnp.asarray(SIGMAS, jnp.float32)), np.float64) + background
    counts = np.fft.fftshift(np.random.default_rng(seed).poisson(np.maximum(expected, 0)).astype(float))
    return to_device_pattern(DiffractionData(counts, np.ones(SHAPE)), free, 0)


def started(spoiled: float = 0.2) -> refinement.RefinementState:
    """Refinement state of the crystal with noise."""
    density, support = crystal()
    rng = np.random.default_rng(1)
    noise = spoiled * (rng.normal(size=SHAPE) + 1j * rng.normal(size=SHAPE)) * np.abs(density).max()
    return refinement.init_refinement(
        jnp.asarray((density + noise).astype(np.complex64)), jnp.asarray(support), ideal_point_spread()
    )


def run(
    state: refinement.RefinementState, pattern: DevicePattern, settings: RefineSettings, shrink: bool = False
) -> refinement.RefinementState:
    for i, count in enumerate(refinement.split_iterations(settings.iterations)):
        state = refinement.refine_block(state, pattern, count, settings, shrink=shrink and i % 4 == 0)
    return state


def test_every_block_lowers_the_deviance() -> None:
    pattern, state, settings = measured(), started(), RefineSettings()
    values = [float(evaluate_fit(state.density, state.point_spread, pattern).llk)]
    for _ in range(8):
        state = refinement.refine_block(state, pattern, 5, settings)
        values.append(float(evaluate_fit(state.density, state.point_spread, pattern).llk))
    assert values == sorted(values, reverse=True)
    assert values[-1] < 0.05 * values[0]


def test_widths_and_background_are_recovered_together_with_the_density() -> None:
    pattern = measured(background=5.0)
    state = run(started(), pattern, RefineSettings(iterations=100))
    np.testing.assert_allclose(state.point_spread.sigmas, SIGMAS, atol=0.02)
    # A little low: the density also fits part of the noise.
    assert float(state.point_spread.background) == pytest.approx(5.0, rel=0.25)
    result = evaluate_fit(state.density, state.point_spread, pattern)
    assert float(result.llk) < 1.1  # 1 is counting statistics, and the density fits some of the noise
    truth = crystal()[0]
    overlap = abs(np.vdot(truth, state.density)) / np.linalg.norm(truth) / np.linalg.norm(np.asarray(state.density))
    assert overlap > 0.995


def test_fishers_scoring_recovers_the_point_spread_for_the_true_density() -> None:
    pattern = measured()
    density, support = (jnp.asarray(array) for array in crystal())
    intensity = jnp.abs(far_field(density)) ** 2
    point_spread = PointSpread(jnp.full(3, 0.2, jnp.float32), jnp.zeros((), jnp.float32))
    values = []
    for _ in range(12):
        point_spread = fit_point_spread(density, support, pattern, point_spread)
        values.append(
            float(
                deviance(
                    pattern.counts,
                    convolve_gaussian(intensity, point_spread.sigmas) + point_spread.background,
                    pattern.fitted,
                )
            )
        )
    assert values == sorted(values, reverse=True)
    np.testing.assert_allclose(point_spread.sigmas, SIGMAS, atol=0.02)
    assert float(point_spread.background) == pytest.approx(0.5, abs=0.05)


def test_the_point_spread_does_not_widen_against_the_withheld_pixels() -> None:
    """The fitted pixels are blurred and the withheld ones are not: a wider point spread explains the former alone."""
    pattern = measured(free=0.2)
    density, support = (jnp.asarray(array) for array in crystal())
    sharp = jnp.abs(far_field(density)) ** 2 + 0.5
    disagreeing = pattern._replace(counts=jnp.where(pattern.free > 0, sharp, pattern.counts))
    for data, widens in ((pattern, True), (disagreeing, False), (pattern._replace(free=0 * pattern.free), True)):
        point_spread = fit_point_spread(density, support, data, ideal_point_spread())
        assert bool(jnp.all(point_spread.sigmas > 0)) == widens
    state = refinement.init_refinement(density, support, ideal_point_spread())
    state = refinement.refine_block(state, disagreeing, 1, RefineSettings())
    assert float(state.point_spread.background) > 0  # is fitted all the same
    assert not jnp.any(state.point_spread.sigmas > 0)


@pytest.mark.parametrize(("psf", "background"), [(False, False), (True, False), (False, True)])
def test_parameters_that_are_not_fitted_stay(psf: bool, background: bool) -> None:
    settings = RefineSettings(iterations=20, psf=psf, background=background)
    state = run(started(), measured(), settings)
    assert bool(jnp.any(state.point_spread.sigmas > 0)) == psf
    assert (float(state.point_spread.background) > 0) == background


def test_the_gradient_is_that_of_the_deviance() -> None:
    """The first search direction agrees with automatic differentiation."""
    pattern, state = measured(background=3.0), started()
    point_spread = PointSpread(jnp.asarray(SIGMAS, jnp.float32), jnp.asarray(3.0, jnp.float32))
    state = refinement.init_refinement(state.density, state.support, point_spread)

    def loss(real: jax.Array, imag: jax.Array) -> jax.Array:
        return deviance(
            pattern.counts, predict_counts(jax.lax.complex(real, imag), point_spread, pattern.exposure), pattern.fitted
        )

    gradient = np.array(jax.grad(loss, (0, 1))(state.density.real, state.density.imag))
    expected = (gradient[0] + 1j * gradient[1]) * np.asarray(state.support)
    first = refinement.refine_block(state, pattern, 1, RefineSettings(psf=False, background=False))
    moved = np.asarray(first.density - state.density)
    cosine = -np.vdot(expected, moved).real / np.linalg.norm(expected) / np.linalg.norm(moved)
    assert cosine == pytest.approx(1, abs=1e-3)


def test_the_updated_support_is_a_little_wider_and_the_density_is_zero_outside() -> None:
    pattern = measured()
    state = run(started(), pattern, RefineSettings(iterations=40), shrink=True)
    support = np.asarray(state.support)
    assert crystal()[1].sum() <= support.sum() < 3 * crystal()[1].sum()
    assert np.abs(np.asarray(state.density))[support == 0].max() == 0


def test_free_pixels_do_not_influence_the_refinement() -> None:
    pattern = measured()
    spoiled = pattern._replace(counts=jnp.where(pattern.free > 0, pattern.counts + 1000.0, pattern.counts))
    ways = [run(started(), one, RefineSettings(iterations=20)) for one in (pattern, spoiled)]
    np.testing.assert_array_equal(ways[0].density, ways[1].density)


def test_blocks_add_up() -> None:
    assert sum(refinement.split_iterations(203)) == 203
    assert refinement.split_iterations(0) == []
