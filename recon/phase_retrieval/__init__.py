"""Phase retrieval from diffraction by iterative projections, and refinement by the likelihood of the counts.

Public: `PhaseSettings`, and in the modules that load jax, `data.DiffractionData`, `pipeline.phase` and
`result.PhasingResult`.
"""

from .settings import PhaseSettings

__all__ = ["PhaseSettings"]
