"""Phase retrieval of a crystal's diffraction by iterative projections, and refinement by the likelihood of the counts.

Public: `PhaseSettings`, and in `procedure`, which loads jax, `Measured`, `Phased` and `phase`.
"""

from .settings import PhaseSettings

__all__ = ["PhaseSettings"]
