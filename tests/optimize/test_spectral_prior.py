"""Prior on the spectrum of a field."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from unflat.recon.optimize.spectral_prior import SpectralPrior, spectral_penalty


@pytest.mark.parametrize("width", [5, 6])
def test_with_one_precision_everywhere_it_is_the_mean_square_of_the_deviation(width: int) -> None:
    rng = np.random.default_rng(0)
    raw, mean = rng.normal(size=(2, 3, 4, width)).astype(np.float32)
    precision = np.full((3, 4, width // 2 + 1), 0.7, np.float32)
    penalty = spectral_penalty(jnp.asarray(raw), SpectralPrior(2 * mean, precision), 2.0)
    assert float(penalty) == pytest.approx(0.7 * np.mean((raw - mean) ** 2), rel=1e-5)


def test_it_bends_no_frequency_of_no_precision() -> None:
    rng = np.random.default_rng(1)
    precision = (rng.random((3, 4, 4)) > 0.5).astype(np.float32)
    # The conjugates of frequencies that rfftn holds twice must agree, as those of any real filter do.
    for plane in (0, 3):
        precision[..., plane] = np.maximum(precision[..., plane], np.roll(precision[::-1, ::-1, plane], 1, (0, 1)))
    prior = SpectralPrior(np.zeros((3, 4, 6), np.float32), precision)
    raw = jnp.asarray(rng.normal(size=(3, 4, 6)), jnp.float32)
    gradient = np.fft.rfftn(jax.grad(spectral_penalty)(raw, prior, 1.0))
    assert np.abs(gradient[precision == 0]).max() < 1e-6
    assert np.abs(gradient[precision > 0]).min() > 1e-4
