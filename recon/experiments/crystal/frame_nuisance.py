"""Angles, rolls and fluxes of the frames, fitted with the field: parameters of a fit besides the crystal.

They are fitted about the values that the goniometer, or the phasing of the initial guess, gives. The mean of each and
the slope of the offsets with the position stay as given, weighted by the frames' counts: they are a phase ramp, a
stretch or a shear of the crystal (`phase_retrieval.frame_fit`).
"""

from dataclasses import dataclass, replace
from functools import cached_property

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ...optimize.likelihood import Nuisance
from ...phase_retrieval.frame_corrections import FrameCorrections
from .config import CrystalRefine
from .preprocess import PreprocessedScan

_OFFSETS, _FLUX = "frame_offsets", "frame_flux"
_SCALE = 0.1
"""[step, pixel] Expected size of an offset, the unit of its parameter."""
_FLUX_SCALE = 0.05
"""Expected size of the logarithm of a flux's factor."""


@dataclass(frozen=True, eq=False)
class FrameNuisance:
    """Parameters of the frames.

    Args:
        scan: Measurement, whose positions and exposure are the stated ones.
        refine: Choice of what is fitted.
    """

    scan: PreprocessedScan
    refine: CrystalRefine

    @property
    def parameters(self) -> dict[str, np.ndarray]:
        """Parameters to fit, 0 for the frames as stated."""
        count = len(self.scan.counts)
        parameters = {_OFFSETS: np.zeros((count, 3), np.float32)} if self.refine.angles or self.refine.rolls else {}
        return parameters | ({_FLUX: np.zeros(count, np.float32)} if self.refine.flux else {})

    def positions(self, nuisance: Nuisance) -> Float[Array, "frame 3"] | None:
        """Compute the positions of the frames, centred; None for an even curve."""
        if _OFFSETS not in nuisance:
            stated = self.scan.positions
            return None if stated is None else jnp.asarray(stated, jnp.float32)
        mask = jnp.asarray([[self.refine.angles, self.refine.rolls, self.refine.rolls]], jnp.float32)
        offsets = jnp.asarray(self._gauge, jnp.float32) @ (_SCALE * mask * nuisance[_OFFSETS])
        return jnp.asarray(self.scan.frame_positions, jnp.float32) + offsets

    def exposure(self, nuisance: Nuisance) -> Float[Array, " frame"]:
        """Compute the relative flux of each frame."""
        stated = jnp.asarray(self.scan.exposure, jnp.float32)
        if _FLUX not in nuisance:
            return stated
        logarithm = nuisance[_FLUX]
        weights = jnp.asarray(self._weights, jnp.float32)
        return stated * jnp.exp(_FLUX_SCALE * (logarithm - jnp.sum(weights * logarithm)))

    def corrected(self, nuisance: Nuisance) -> PreprocessedScan:
        """Return the measurement with the fitted positions and fluxes."""
        positions = self.positions(nuisance)
        own = None if positions is None else np.asarray(positions, np.float64)
        return replace(self.scan, positions=own, exposure=np.asarray(self.exposure(nuisance), np.float64))

    def numbers(self, nuisance: Nuisance, before: FrameCorrections | None) -> dict[str, float]:
        """Summarise the corrections, with those of the initial guess; nothing where none was fitted."""
        if not nuisance.keys() & {_OFFSETS, _FLUX} and before is None:
            return {}
        corrected = self.corrected(nuisance)
        offsets = corrected.frame_positions - self.scan.frame_positions
        flux = corrected.exposure / self.scan.exposure
        if before is not None:
            offsets, flux = offsets + before.offsets, flux * before.flux
        return FrameCorrections(offsets, flux).numbers()

    @cached_property
    def _weights(self) -> Float[np.ndarray, " frame"]:
        """Share of each frame in the counts."""
        totals = self.scan.counts.sum(axis=(1, 2), dtype=np.float64)
        return np.asarray(totals / totals.sum())

    @cached_property
    def _gauge(self) -> Float[np.ndarray, "frame frame"]:
        """Matrix that removes the weighted mean and the weighted slope of offsets."""
        basis = np.stack([np.ones(len(self.scan.counts)), self.scan.frame_positions[:, 0]], axis=1)
        weighted = basis * self._weights[:, None]
        return np.asarray(np.eye(len(basis)) - basis @ np.linalg.solve(basis.T @ weighted, weighted.T))
