"""Series of crystals: the initial guesses are aligned, and still give their own patterns."""

import numpy as np

from unflat.recon.experiments.crystal.guess_density import InitialGuess
from unflat.recon.experiments.crystal.laboratory import phase_ramp
from unflat.recon.experiments.crystal.series import _aligned
from unflat.recon.phase_retrieval.align import conjugate_twin, correlation
from unflat.recon.phase_retrieval.frame_corrections import FrameCorrections

SHAPE = (16, 18, 20)


def crystal() -> np.ndarray:
    z, y, x = np.meshgrid(*(np.arange(n) - n // 2 for n in SHAPE), indexing="ij")
    amplitude = np.exp(-((z / 2.5) ** 2) - ((y / 3) ** 2) - ((x / 2) ** 2)) + np.exp(-(z**2) - (y - 3) ** 2 - x**2)
    return np.asarray(amplitude * np.exp(1j * (0.3 * y + 0.02 * z * x + 0.03 * y**2)))


def pattern(guess: InitialGuess) -> np.ndarray:
    ramp = phase_ramp(2 * np.pi * guess.offset / np.array(SHAPE), SHAPE)
    return np.asarray(np.abs(np.fft.fftn(np.fft.ifftshift(guess.density * ramp))))


def test_a_guess_that_is_aligned_keeps_its_pattern_and_the_corrections_of_its_frames() -> None:
    frames = FrameCorrections(np.full((SHAPE[0], 3), 0.1), np.ones(SHAPE[0]))
    other = np.roll(conjugate_twin(crystal()), (1, -2, 1), axis=(0, 1, 2))
    other = other * phase_ramp(np.array([0.02, -0.05, 0.04]), SHAPE)
    reference, guess = (
        InitialGuess.from_density(density, np.array([0.1, 0.2, 0.3]), 2.0, own)
        for density, own in ((crystal(), None), (other, frames))
    )
    aligned = _aligned(guess, reference)
    assert correlation(aligned.density, reference.density) > 0.99
    np.testing.assert_allclose(pattern(aligned), pattern(guess), atol=2e-3 * pattern(guess).max())
    assert aligned.frames is frames
    assert (aligned.background, *aligned.sigmas) == (2.0, 0.1, 0.2, 0.3)
