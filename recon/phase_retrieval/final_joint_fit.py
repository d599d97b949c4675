"""Last joint fit of a density and the frames, in an array that reaches beyond the measured pixels.

What the rounds of `frame_refinement` leave wrong is smooth along the curve: its ends move in or out against its middle.
The counts hardly tell that from a change of the density, so that errors of the model decide. Two of them are avoided
here: sharp edges scatter beyond the detector, which an array without a margin folds back onto it; and a support that is
too tight moves the ends in, one that is too wide moves them out. What the counts leave open is held by a prior whose
widths are those of the corrections themselves (empirical Bayes), anew in each cycle: frames that tell little stay near
the stated values if the others do. What the fit gains in later cycles may be an error of the model: ends that move,
a support that follows them, and a prior that widens. So the withheld pixels choose among the cycles; but not one from
which a faint frame went on to stand out from the others, as long as there are later ones. Arrays are in FFT order.
"""

import logging
from collections.abc import Callable, Sequence
from itertools import takewhile
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Complex, Float

from ...physics.diffraction.far_field import fftshift3, ifftshift3
from .align import centring_shift
from .frame_fit import FrameParameters, Prior, corrected_pattern, with_positions
from .frame_gauge import bright_frames, fit_lines, remove_gauge
from .joint_frames import draw_deviations, fit_jointly, tight_support
from .margin import extend_pattern, resample_refinement
from .multiresolution import Shape, resample_density, resize
from .pattern import DevicePattern, PointSpread, evaluate_fit
from .refinement import RefinementState, init_refinement
from .settings import RefineSettings

THRESHOLD = 0.2
"""Threshold of the support: from the true density and angles of three simulated crystals the fit leaves the angles by
0.04 to 0.06 steps (rms); with 0.1 by 0.07 to 0.08, with 0.3 by 0.11 to 0.15; without a margin by 0.09 to 0.12."""
_NORMAL = 1.4826
"""Standard deviation of a normal distribution over its median absolute value."""
_OUTLYING = 3.0
"""Distance from the others, in standard deviations, from which on a frame stands out."""
_LEAST_SPREAD = 0.02
"""Smallest width of the prior [step, pixel, 1]."""
_WIDEST: Prior = (1.0, 1.0, 1.0, 0.2)
_log = logging.getLogger(__name__)


class FinalFit(NamedTuple):
    """Density and frames after the last joint fit, in the array with the margin.

    Args:
        density: Density.
        support: Support of the fit; 1 inside.
        point_spread: Point-spread function and background.
        stated: Pattern in this array, as the instrument states it.
        corrections: Corrections of the frames of this array, also of those beyond the measured ones.
        prior: Prior of the last cycle.
        has_strayed: Whether frames stood out in a cycle before, so that what it began with is not to be trusted.
    """

    density: Complex[Array, "z y x"]
    support: Float[Array, "z y x"]
    point_spread: PointSpread
    stated: DevicePattern
    corrections: FrameParameters
    prior: Prior
    has_strayed: bool = False

    def measured(self, shape: Shape) -> tuple[RefinementState, FrameParameters]:
        """Return density, within the support, and corrections in an array of the measured shape."""
        state = init_refinement(self.density, self.support, self.point_spread)
        return resample_refinement(state, shape), _resize_frames(self.corrections, shape[0])

    def free_llk(self) -> float:
        """Compute the Poisson deviance per withheld pixel, in the array with the margin."""
        pattern = corrected_pattern(self.stated, self.corrections)
        return float(evaluate_fit(self.density, self.point_spread, pattern).llk_free)

    def deviations(self, active: tuple[bool, bool, bool], count: int) -> Float[np.ndarray, "sample frame 4"]:
        """Draw deviations of the corrections of the measured frames, ``count`` in number."""
        fixed = self.support, self.point_spread, self.stated, self.corrections
        draws = draw_deviations(self.density, *fixed, active, self.prior)
        return np.stack([np.asarray(resize(jnp.asarray(draw), (count, 4))) for draw in draws])


def fit_finally(
    state: RefinementState,
    corrections: FrameParameters,
    stated: DevicePattern,
    settings: RefineSettings,
    cycles: int,
    step_done: Callable[[], None] = lambda: None,
    active: tuple[bool, bool, bool] | None = None,
) -> FinalFit:
    """Fit density and frames in an array with a margin, up to the best cycle.

    It is the one that explains the withheld pixels best, of those after the last one in which frames stand out.

    Args:
        state: Density under the corrections.
        corrections: Corrections of the frames.
        stated: Pattern as the instrument states it.
        settings: Margin, and choice of what is fitted.
        cycles: Number of cycles.
        step_done: Callback after each step; it may raise to end the fit.
        active: Whether to fit the angles, the rolls and the fluxes; None for what the settings ask.
    """
    active = settings.fitted_frames if active is None else active
    extended = with_positions(stated)
    if settings.margin > 0:
        extended = extend_pattern(extended, settings.margin)
    nz, ny, nx = extended.counts.shape
    bright = bright_frames(extended)
    frames = _resize_frames(corrections, nz)
    fit = FinalFit(
        *_centre(resample_density(state.density, (nz, ny, nx))), state.point_spread, extended, frames, _WIDEST
    )
    course: list[tuple[bool, float, FinalFit]] = []
    for _ in range(cycles):
        density, support = _centre(fit.density)
        frames = reset_outliers(fit.corrections, bright)
        prior = estimate_prior(frames, bright)
        fixed = support, fit.point_spread, extended, frames
        density, frames = fit_jointly(density, *fixed, active, prior, step_done)
        fit = fit._replace(density=density, support=support, corrections=frames, prior=prior)
        outliers, llk_free = find_outliers(frames, bright) & bright, fit.free_llk()
        _log.info("frames, last fit: %d stand out, free LLK %.4g with the margin", outliers.sum(), llk_free)
        course.append((bool(outliers.any()), llk_free, fit))
    best = _choose(course)
    density, frames = remove_gauge(best.density, best.corrections, extended)
    return best._replace(density=density, corrections=frames)


def _choose(course: Sequence[tuple[bool, float, FinalFit]]) -> FinalFit:
    """Choose among the cycles: whether frames stand out, free LLK, and fit of each."""
    later = list(takewhile(lambda cycle: not cycle[0], reversed(course)))
    fit = min(later or course, key=lambda cycle: cycle[1])[2]
    return fit._replace(has_strayed=0 < len(later) < len(course))


def estimate_prior(corrections: FrameParameters, bright: np.ndarray) -> Prior:
    """Estimate the standard deviations of the frames' corrections from those of the bright frames.

    Args:
        corrections: Corrections of the frames.
        bright: Mask of the frames that count.
    """
    offsets, flux = np.asarray(corrections.offsets, np.float64), np.asarray(corrections.flux, np.float64)
    if bright.sum() < 3:
        return _WIDEST
    rest = (offsets - fit_lines(offsets, bright))[bright]
    spreads = _spread(rest[:, 0]), _spread(rest[:, 1:]), _spread(rest[:, 1:]), np.std(flux[bright])
    a, y, x, f = (float(np.clip(spread, _LEAST_SPREAD, most)) for spread, most in zip(spreads, _WIDEST, strict=True))
    return a, y, x, f


def find_outliers(corrections: FrameParameters, bright: np.ndarray) -> Bool[np.ndarray, " frame"]:
    """Mask the frames whose angle or rolls stand out from those of the others, beside mean and slope of all.

    Args:
        corrections: Corrections of the frames.
        bright: Mask of the frames that count.
    """
    offsets = np.array(corrections.offsets, np.float64)
    if bright.sum() < 3:
        return np.zeros(len(offsets), bool)
    rest = offsets - fit_lines(offsets, bright)
    spreads = [max(_spread(rest[bright][:, axis]), _LEAST_SPREAD) for axis in range(3)]
    return np.asarray((np.abs(rest) > _OUTLYING * np.array(spreads)).any(axis=1))


def reset_outliers(corrections: FrameParameters, bright: np.ndarray) -> FrameParameters:
    """Put frames that stand out from the others back to the stated angles and rolls.

    A faint frame at an end of the curve may have moved away to where no other frame tells what the crystal scatters,
    and may do so again while the density is still wrong.

    Args:
        corrections: Corrections of the frames.
        bright: Mask of the frames that count.
    """
    away = jnp.asarray(find_outliers(corrections, bright))
    return corrections._replace(offsets=jnp.where(away[:, None], 0.0, corrections.offsets))


def _spread(values: np.ndarray) -> float:
    """Estimate a standard deviation by the median, which a few values far away hardly change."""
    return float(_NORMAL * np.median(np.abs(values)))


def _centre(density: Complex[Array, "z y x"]) -> tuple[Complex[Array, "z y x"], Float[Array, "z y x"]]:
    """Centre a density about the origin; return it with the support of the fit."""
    centred = fftshift3(np.asarray(density))
    centred = np.roll(centred, centring_shift(np.abs(centred) ** 2), axis=(0, 1, 2))
    support = tight_support(centred, THRESHOLD).astype(np.float32)
    return jnp.asarray(ifftshift3(centred)), jnp.asarray(ifftshift3(support))


def _resize_frames(corrections: FrameParameters, count: int) -> FrameParameters:
    """Take the frames of an array with fewer planes, or add frames without corrections."""
    offsets, flux = corrections
    return FrameParameters(resize(offsets, (count, 3)), resize(flux, (count,)))
