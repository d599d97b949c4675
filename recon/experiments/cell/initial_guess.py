"""The first answer: the closed-form linear inverse, at the scale that the nonlinear physics likes best.

Linear theory misjudges what a thick cell does to light. Its answer is judged by the physics that the fit will use: it
is scaled, and what explains the measured images best is taken; nothing, if an empty box explains them better.
"""

from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from .forward import margins

if TYPE_CHECKING:
    from .likelihood import CellLikelihood

STRENGTH = 0.03
"""Tikhonov's α, as a share of the largest gain of the transfer functions."""
FACTORS = (0.5, 1.0, 1.5)
"""Scales of the linear answer that are tried."""
JUDGES = 4
"""Views that judge."""


def linear_answer(problem: "CellLikelihood", views: np.ndarray, strength: float) -> Float[np.ndarray, "k z y x"]:
    """Invert some views by linear theory."""
    lattice, padded = problem.geometry.lattice, problem.geometry.padded
    measured = problem.measured[views]
    gains = measured.mean(axis=(1, 2), keepdims=True)
    fine = np.kron(measured / gains, np.ones((1, lattice.binning, lattice.binning), np.float32))
    framed = np.pad(fine, [(0, 0), *_frame(problem)], constant_values=1)
    inverse = jax.jit(problem.weak_camera.inverse)
    found = inverse(framed, problem.batch(views)["light"], jnp.float32(strength))
    (top, _), (left, _) = margins(lattice.shape[1:], padded.shape[1:])
    height, width = lattice.shape[1:]
    return np.asarray(found[:, :, top : top + height, left : left + width])


def linear_start(problem: "CellLikelihood", views: np.ndarray) -> Float[np.ndarray, "k z y x"] | None:
    """Find the linear answer to start from, or None where an empty box explains the images better."""
    sign = problem.settings.fit.sign
    judges = views[np.linspace(0, len(views) - 1, min(JUDGES, len(views))).astype(int)]
    batch, nuisance = problem.batch(judges), {name: jnp.asarray(v) for name, v in problem.nuisance_parameters.items()}
    misfit = jax.jit(lambda values: jnp.mean(problem.losses(values, nuisance, batch)))
    best, chosen = 1.0, None
    answer = linear_answer(problem, views, STRENGTH)
    if sign != "any":
        answer = np.maximum(answer, 0) if sign == "nonnegative" else np.minimum(answer, 0)
    for factor in FACTORS:
        found = float(misfit(factor * answer))
        if found < best:
            best, chosen = found, factor * answer
    return chosen


def _frame(problem: "CellLikelihood") -> list[tuple[int, int]]:
    """Samples to add around the images' pixels to fill the padded lattice."""
    k = problem.geometry.lattice.binning
    before = []
    for size, n in zip(problem.geometry.image, problem.geometry.padded.shape[1:], strict=True):
        first = n // 2 - k // 2 - k * (size // 2)
        before.append((first, n - first - k * size))
    return before
