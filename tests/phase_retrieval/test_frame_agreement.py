"""Starts compared under the fitted frames: those of one crystal agree there, those of another object do not."""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

from unflat.physics.diffraction.far_field import fftshift3, ifftshift3
from unflat.physics.diffraction.frame_amplitudes import frame_amplitudes
from unflat.recon.phase_retrieval import renewed_projections
from unflat.recon.phase_retrieval.align import align
from unflat.recon.phase_retrieval.data import DiffractionData
from unflat.recon.phase_retrieval.frame_agreement import refine_starts_anew
from unflat.recon.phase_retrieval.frame_fit import FrameParameters, corrected_pattern
from unflat.recon.phase_retrieval.pattern import DevicePattern, ideal_point_spread, to_device_pattern
from unflat.recon.phase_retrieval.refinement import RefinementState, free_llk, init_refinement, refine_block
from unflat.recon.phase_retrieval.settings import RefineSettings
from unflat.recon.phase_retrieval.solutions import align_solutions
from unflat.recon.phase_retrieval.stages import Stage

SHAPE = (20, 16, 16)
OFFSETS = np.random.default_rng(8).uniform(-0.5, 0.5, SHAPE[0])
SETTINGS = RefineSettings(psf=False, background=False, angles=True)


def crystal(bend: float = 0.3) -> np.ndarray:
    z, y, x = np.meshgrid(*[np.arange(n) - n // 2 for n in SHAPE], indexing="ij")
    inside = (np.abs(z) <= 3) & (np.abs(y + 0.4 * x) <= 3) & (np.abs(x) <= 3) & (z + y + x < 5)
    density = inside * np.exp(1j * (bend * np.sin(0.7 * z) + 0.05 * x * y))
    return np.asarray(density * np.sqrt(1e7 / (np.sum(np.abs(density) ** 2) * density.size)))


def other_object() -> np.ndarray:
    """The crystal with a wall between its halves, as a start that stagnated leaves it."""
    upper = np.arange(SHAPE[0])[:, None, None] > SHAPE[0] // 2
    return np.where(upper, -1.0, 1.0) * np.roll(crystal(), 1, axis=1)


def patterns() -> tuple[DevicePattern, DevicePattern]:
    """Pattern as the instrument states it, at even steps, and under the true angles."""
    positions = np.zeros((SHAPE[0], 3))
    positions[:, 0] = np.arange(SHAPE[0]) - SHAPE[0] // 2 + OFFSETS
    counts = np.random.default_rng(0).poisson(np.abs(frame_amplitudes(crystal(), positions)) ** 2)
    stated = to_device_pattern(DiffractionData(counts.astype(float), np.ones(SHAPE, np.float32)), 0.05, 1)
    along = np.fft.ifftshift(OFFSETS)
    offsets = np.stack([along, 0 * along, 0 * along], axis=1)
    true = FrameParameters(jnp.asarray(offsets, jnp.float32), jnp.zeros(SHAPE[0], jnp.float32))
    return stated, corrected_pattern(stated, true)


def refine(density: np.ndarray, pattern: DevicePattern, iterations: int = 30) -> RefinementState:
    start = jnp.asarray(ifftshift3(density), jnp.complex64)
    wide = jnp.asarray(ifftshift3(np.abs(crystal()) > 0), jnp.float32)
    state = init_refinement(start, wide, ideal_point_spread())
    return refine_block(state, pattern, iterations, SETTINGS)


@pytest.mark.slow
def test_starts_of_one_crystal_agree_under_the_fitted_frames_and_another_object_does_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(renewed_projections, "STAGES", (Stage("er", 0.7, 15, False, shrink_wrap=(1.0, 0.25)),))
    stated, pattern = patterns()
    rng, true = np.random.default_rng(3), crystal()
    noise = [rng.normal(0, 0.5, (2, *SHAPE)) for _ in range(2)]
    bent = [refine(true * (1 + re + 1j * im), stated) for re, im in noise]
    other = refine(other_object(), stated, 0)
    refined = dict(enumerate([*bent, other]))
    table: list[dict[str, Any]] = [{"number": number, "kept": False} for number in refined]
    align_solutions(refined, list(refined), table, stated)
    names, parts = [], []

    def refine_start(name: str, init: Callable[[], RefinementState]) -> RefinementState:
        names.append(name)
        if name.startswith("start 2"):
            return other  # Its projections do not lead out.
        return refine_block(init(), pattern, 30, SETTINGS)

    anew = refine_starts_anew(refined, table, stated, pattern, 3, parts.append, refine_start)
    assert sorted(names) == [f"start {number}, fitted frames" for number in range(3)]
    assert parts == [15] * 2
    assert [row["kept"] for row in table] == [True, True, False]
    assert table[2]["outcome"] == "DISAGREES"
    for number in range(2):
        assert table[number]["llk_free_refined"] == pytest.approx(free_llk(anew[number], pattern))
        error = 1 - align(fftshift3(np.asarray(anew[number].density)), true.astype(np.complex64)).correlation
        before = 1 - align(fftshift3(np.asarray(bent[number].density)), true.astype(np.complex64)).correlation
        assert error < 0.5 * before

    fewer = refine_starts_anew(refined, table, stated, pattern, 1, parts.append, refine_start)
    assert len(fewer) == 1
    assert sum(row["kept"] for row in table) == 1
