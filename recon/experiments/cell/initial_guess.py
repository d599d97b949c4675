"""Initial guess of a cell: the closed-form linear inverse, at the scale that the nonlinear physics explains best.

Linear theory misjudges what a thick cell does to light. Its inverse is therefore compared with the measurement by the
physics of the fit, at several scales; none is taken if an empty box explains the images better.
"""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from ....physics.optics.illumination import PlaneWaves
from .corrections import corrected_light
from .forward_model import CellForwardModel
from .imaging import padding_widths

STRENGTH = 0.03
"""Tikhonov's α, as a fraction of the largest gain of the transfer functions."""
FACTORS = (0.5, 1.0, 1.5)
"""Scales of the linear inverse that are tried."""
TRIAL_VIEWS = 4
"""Views that the scales are compared on."""


def invert_born_model(
    forward_model: CellForwardModel, views: np.ndarray, strength: float, light: PlaneWaves | None = None
) -> Float[np.ndarray, "k z y x"]:
    """Invert some views by linear theory.

    Args:
        forward_model: Measured views and their linear theory.
        views: Indices of the views.
        strength: Tikhonov's α, as a fraction of the largest gain of the transfer functions.
        light: Light of these views, if another than that described.

    Returns:
        Index contrast on the fit's grid.
    """
    lattice, padded = forward_model.geometry.lattice, forward_model.geometry.padded
    measured = forward_model.measured[views]
    gains = measured.mean(axis=(1, 2), keepdims=True)
    fine = np.kron(measured / gains, np.ones((1, lattice.binning, lattice.binning), np.float32))
    images = np.pad(fine, [(0, 0), *_image_padding(forward_model)], constant_values=1)
    chosen = light if light is not None else forward_model.batch(views)["light"]
    contrast = np.asarray(forward_model.loss_function.born_inverse(images, chosen, jnp.float32(strength)))
    (top, _), (left, _) = padding_widths(lattice.shape[1:], padded.shape[1:])
    height, width = lattice.shape[1:]
    return contrast[:, :, top : top + height, left : left + width]


def find_initial_guess(forward_model: CellForwardModel, views: np.ndarray) -> Float[np.ndarray, "k z y x"] | None:
    """Scale the linear inverse of some views to explain them best, or give None where an empty box does better."""
    nuisance = {name: jnp.asarray(value) for name, value in forward_model.nuisance_parameters.items()}
    light = corrected_light(forward_model.batch(views)["light"], nuisance, views, forward_model.microscope.medium_index)
    inverse = with_sign(invert_born_model(forward_model, views, STRENGTH, light), forward_model.settings.fit.sign)
    factor = best_factor(forward_model, inverse, views)
    return None if factor is None else factor * inverse


def best_factor(
    forward_model: CellForwardModel, contrast: Float[np.ndarray, "k z y x"], views: np.ndarray
) -> float | None:
    """Find the factor on a contrast that explains some views best; None where an empty box does better."""
    trial = views[np.linspace(0, len(views) - 1, min(TRIAL_VIEWS, len(views))).astype(int)]
    nuisance = {name: jnp.asarray(value) for name, value in forward_model.nuisance_parameters.items()}
    least, best = 1.0, None
    for factor in FACTORS:
        loss = float(np.mean(forward_model.losses_of(factor * contrast, nuisance, trial)))
        if loss < least:
            least, best = loss, factor
    return best


def with_sign(contrast: Float[np.ndarray, "*n"], sign: str) -> Float[np.ndarray, "*n"]:
    """Set contrast of the wrong sign to 0."""
    if sign in ("any", "auto"):
        return contrast
    signed: np.ndarray = np.maximum(contrast, 0) if sign == "nonnegative" else np.minimum(contrast, 0)
    return signed


def _image_padding(forward_model: CellForwardModel) -> list[tuple[int, int]]:
    """Count the samples to add around the images' pixels to fill the padded lattice."""
    k = forward_model.geometry.lattice.binning
    widths = []
    for size, n in zip(forward_model.geometry.image, forward_model.geometry.padded.shape[1:], strict=True):
        before = n // 2 - k // 2 - k * (size // 2)
        widths.append((before, n - before - k * size))
    return widths
