"""Priors whose strengths mean the same for any specimen, spacing and box."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unflat.recon.fields.base import FieldGrid
from unflat.recon.optimize import program
from unflat.recon.optimize.program import ROUNDING

BOX = (6e-6, 8e-6, 8e-6)
RESOLUTION = (1.5e-6, 0.6e-6, 0.6e-6)
total_variation = jax.jit(program.total_variation, static_argnums=(1, 2))  # As in a fit.
tikhonov = jax.jit(program.tikhonov)


def sampled(counts: tuple[int, int, int], scale: float = 1.0) -> tuple[jax.Array, FieldGrid]:
    """Sample a smooth specimen of order 1 on any grid, with all lengths scaled by a factor."""
    z, y, x = np.meshgrid(
        *(((2 * np.arange(n) + 1) / n - 1) * b / 2 for n, b in zip(counts, BOX, strict=True)), indexing="ij"
    )
    values = np.exp(-((z / 1.5e-6) ** 2 + (y / 1.8e-6) ** 2 + ((x - 0.6e-6) / 1.4e-6) ** 2))
    pitch = (scale * BOX[0] / counts[0], scale * BOX[1] / counts[1], scale * BOX[2] / counts[2])
    resolution = (scale * RESOLUTION[0], scale * RESOLUTION[1], scale * RESOLUTION[2])
    return jnp.asarray(values[None], jnp.float32), FieldGrid(counts, pitch, resolution)


@pytest.mark.parametrize("counts", [(48, 32, 32), (24, 64, 64), (32, 40, 72)])
def test_priors_do_not_depend_on_the_sampling(counts: tuple[int, int, int]) -> None:
    reference, other = sampled((24, 32, 32)), sampled(counts)
    assert float(total_variation(*other, 1.0)) == pytest.approx(float(total_variation(*reference, 1.0)), rel=0.03)
    assert float(tikhonov(other[0])) == pytest.approx(float(tikhonov(reference[0])), rel=0.01)


@given(st.floats(0.01, 100))
@settings(max_examples=4, deadline=None)
def test_priors_do_not_depend_on_the_length_scale(scale: float) -> None:
    """All lengths are scaled, including the resolution."""
    expected = float(total_variation(*sampled((12, 16, 16)), 0.7))
    assert float(total_variation(*sampled((12, 16, 16), scale), 0.7)) == pytest.approx(expected, rel=1e-4)


def test_total_variation_is_the_mean_length_of_the_gradient() -> None:
    """Compared with the analytic gradient, in units of the lateral resolution."""
    counts = (40, 64, 64)
    values, sampling = sampled(counts)
    gradients = np.gradient(np.asarray(values[0], float), *sampling.pitch)
    expected = np.mean(np.sqrt(sum(g**2 for g in gradients))) * RESOLUTION[1]
    assert float(total_variation(values, sampling, 1.0)) == pytest.approx(expected, rel=0.03)


def test_total_variation_of_an_edge_is_its_height() -> None:
    """Independent of its steepness, unlike a quadratic penalty, which blurs edges."""
    sampling = FieldGrid((1, 1, 100), (1e-6, 1e-6, 0.1e-6), (1e-6, 1e-6, 1e-6))
    x = np.arange(100)
    costs = [
        float(
            total_variation(
                jnp.asarray(np.clip((x - 50) / w + 0.5, 0, 1)[None, None, None], jnp.float32), sampling, 1.0
            )
        )
        for w in (1, 5, 20)
    ]
    assert costs == pytest.approx([costs[0]] * 3, rel=0.02)


def test_axial_weight_applies_to_z_only() -> None:
    counts = (24, 16, 16)
    _, sampling = sampled(counts)
    ramp = np.linspace(0, 3, 24)
    along_z = jnp.asarray(np.broadcast_to(ramp[:, None, None], counts)[None], jnp.float32)
    one, half, none = (float(total_variation(along_z, sampling, w)) for w in (1.0, 0.5, 0.0))
    assert half == pytest.approx(one / 2, rel=0.02)
    assert none == pytest.approx(0, abs=1e-6)
    along_x = jnp.asarray(np.broadcast_to(ramp[:16], counts)[None], jnp.float32)
    lateral = [float(total_variation(along_x, sampling, w)) for w in (0.0, 1.0)]
    assert lateral[0] == pytest.approx(lateral[1], rel=1e-6)


def test_a_constant_specimen_has_zero_priors_and_a_finite_gradient() -> None:
    flat, sampling = jnp.full((2, 6, 5, 4), 0.7), FieldGrid((6, 5, 4), (1e-6,) * 3, (2e-6,) * 3)
    cost, slope = jax.jit(jax.value_and_grad(program.total_variation), static_argnums=(1, 2))(flat, sampling, 1.0)
    assert float(cost) == pytest.approx(0, abs=1e-9)
    assert np.all(np.isfinite(slope))
    assert float(tikhonov(0 * flat)) == 0


def test_total_variation_is_quadratic_for_small_and_linear_for_large_gradients() -> None:
    """Small ripples are smoothed, edges are preserved."""
    sampling = FieldGrid((1, 1, 64), (1e-6,) * 3, (1e-6,) * 3)
    wave = jnp.asarray(np.sin(np.arange(64.0))[None, None, None], jnp.float32)

    def cost(size: float) -> float:
        return float(total_variation(size * wave, sampling, 1.0))

    assert cost(0.2 * ROUNDING) / cost(0.1 * ROUNDING) == pytest.approx(4, rel=0.05)
    assert cost(200 * ROUNDING) / cost(100 * ROUNDING) == pytest.approx(2, rel=0.05)


def test_a_single_plane_has_no_axial_variation() -> None:
    values = jnp.asarray(np.random.default_rng(0).normal(0, 1, (1, 1, 8, 8)), jnp.float32)
    sampling = FieldGrid((1, 8, 8), (1e-6,) * 3, (1e-6,) * 3)
    assert float(total_variation(values, sampling, 1.0)) == float(total_variation(values, sampling, 0.0))
