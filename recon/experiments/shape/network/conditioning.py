"""Conditioning of draws on all sections of their cell, by the gain of an ensemble (Evensen, 2003).

The network knows the first section only. Of a pool of its draws, those nearest to all sections are taken, and the
others form an ensemble, whose covariance between the code and the distances on the planes of the sections tells how a
shape changes elsewhere if it is to pass through their outlines. A gain from the same draws that it is applied to would
take their chance correlations for knowledge and narrow them too much (Houtekamer & Mitchell, 1998); one from others
leaves them as far from one another as from the truth. Chance correlations are damped with the distance between point
and plane (localisation). The gain is applied several times, since a section bounds the distance off its outline and
does not fix it.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from .section_constraints import SectionConstraints
from .shape_code import code_points

_POOL = 160
"""Least number of draws of the pool."""
_REACH = 20.0
"""[voxel] Standard deviation of the Gaussian of the localisation."""
_ERROR = 4.0
"""[voxel] Standard deviation of the error of a section's distances."""
_ROUNDS = 3
"""Number of applications of the gain."""

Codes = Float[np.ndarray, "draw z y x"]


@dataclass(frozen=True)
class SectionConditioning:
    """Change of codes that makes them agree with the sections of a cell.

    Args:
        constraints: Sections of the cell.
        gain: Change of the code [unit of codes] for a change of the distance at each point [voxel].
    """

    constraints: SectionConstraints
    gain: Float[np.ndarray, "point code"]

    @classmethod
    def of_ensemble(cls, codes: Codes, constraints: SectionConstraints) -> "SectionConditioning":
        """Compute the gain of an ensemble.

        Args:
            codes: Codes of draws from the first section, other ones than the gain is to change.
            constraints: Sections of the cell.
        """
        flat = codes.reshape(len(codes), -1)
        deviations = flat - flat.mean(axis=0)
        distances = deviations @ constraints.matrix.T
        points = np.stack(np.meshgrid(*[code_points()] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
        own = constraints.positions
        cross = deviations.T @ distances / (len(codes) - 1) * _localisation(points, own)
        covariance = distances.T @ distances / (len(codes) - 1) * _localisation(own, own)
        covariance[np.diag_indices(len(own))] += _ERROR**2
        return cls(constraints, np.linalg.solve(covariance, cross.T).astype(np.float32))

    def apply(self, codes: Codes) -> Codes:
        """Change codes so that they agree with the sections."""
        flat = codes.reshape(len(codes), -1)
        for _ in range(_ROUNDS):
            flat = flat + self.constraints.misfit(flat @ self.constraints.matrix.T) @ self.gain
        return np.asarray(flat.reshape(codes.shape), np.float32)


def pool_size(draws: int) -> int:
    """Number of draws of the pool from which some are taken."""
    return max(_POOL, 2 * draws)


def nearest_draws(
    pool: Float[np.ndarray, "pool z y x"], constraints: SectionConstraints, count: int
) -> tuple[Codes, SectionConditioning]:
    """Take the draws nearest to the sections of their cell, and compute the gain of the others.

    Args:
        pool: Codes of draws from the first section, `pool_size` of them.
        constraints: Sections of the cell.
        count: Number of draws to take.

    Returns:
        Codes of the draws as they are, in the order of the pool, and the conditioning to apply to them.
    """
    distances = pool.reshape(len(pool), -1) @ constraints.matrix.T
    squares = (constraints.misfit(distances) ** 2).mean(axis=1)
    nearest = np.sort(np.argsort(squares, kind="stable")[:count])
    return pool[nearest], SectionConditioning.of_ensemble(np.delete(pool, nearest, axis=0), constraints)


def _localisation(a: Float[np.ndarray, "n 3"], b: Float[np.ndarray, "m 3"]) -> Float[np.ndarray, "n m"]:
    """Damping of the covariance between points, by their distance."""
    squares = (a**2).sum(axis=1)[:, None] + (b**2).sum(axis=1) - 2 * a @ b.T
    return np.asarray(np.exp(-0.5 * squares / _REACH**2), np.float32)
