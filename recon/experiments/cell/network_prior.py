"""Prior of a network on what the light did not see of a cell, with a weight that hidden views set.

A network completes a begun fit, or the linear answer to some views. Only the part of the completion at frequencies that
the views do not determine is used: it is added to a specimen, or expected by a fit. How far it can be trusted is
measured: views of the steepest light are hidden from the beginning of a fit, and its completion is added to it by some
share. Where the whole predicts the hidden images clearly worse, they contradict it, and it is not used. Else the trust
is the largest share that does not predict them worse where some share predicts them better. Noise may hide the
difference, and a fit that expects the completion adapts to it: the views that are withheld from the fit decide between
the whole, that share, and nothing (`prior_choice`).
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple, Protocol, runtime_checkable

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from ...metrics.missing_cone import Aperture
from ...optimize.likelihood import Nuisance
from ...optimize.spectral_prior import SpectralPrior
from .corrections import corrected_light
from .initial_guess import STRENGTH, best_factor, invert_born_model, with_sign
from .likelihood import CellLikelihood
from .unseen import unseen_part, unseen_share

SHARES = (0.25, 0.5, 0.75, 1.0)
"""Shares of the completion that are tried."""
ERRORS = 1.0
"""Standard errors, by the hidden views, by which the logarithm of their loss must fall to be sure.

The logarithm, as views differ much in what they lose to an empty box."""
CONTRADICTION = 0.05
"""Rise of the logarithm of the hidden views' loss by the whole completion from which they contradict it.

Of 22 simulated specimens, two networks, it rose by up to 0.017 where the completion was right, or nearly, and by 0.11
and more where it was clearly wrong."""
PRECISION = 10.0
"""Precision of the prior at a trust of one half; it grows as trust/(1 − trust)."""
_MOST_TRUST = 0.9

Contrast = Float[np.ndarray, "z y x"]
Views = Int[np.ndarray, " view"]


@runtime_checkable
class Completer(Protocol):
    """Network that completes begun fits and linear answers; see `network.completion.Completion`."""

    def mean(
        self, contrast: Contrast, spacing: tuple[float, float, float], aperture: Aperture, *, is_fit: bool
    ) -> Contrast:
        """Compute the posterior mean of the index contrast."""
        ...

    def draws(
        self,
        contrast: Contrast,
        spacing: tuple[float, float, float],
        aperture: Aperture,
        count: int,
        seed: int,
        progress: Callable[[int], None] = lambda step: None,
        *,
        is_fit: bool,
    ) -> Float[np.ndarray, "draw z y x"]:
        """Draw index contrasts from the posterior."""
        ...


class Trust(NamedTuple):
    """Outcome of the test by hidden views.

    Args:
        share: Largest share of the completion that predicts them no worse than the fit alone; 0 where none does better,
            or they contradict the whole.
        ratio: Residual of the hidden views with that share, or where it is 0 with the best tried one, or with the whole
            where they contradict it, over that without any.
        is_sure: Whether the best share predicts them better by more than chance would explain.
        is_contradicted: Whether they are predicted clearly worse with the whole completion.
    """

    share: float
    ratio: float
    is_sure: bool
    is_contradicted: bool = False


@dataclass(frozen=True)
class NetworkPrior:
    """Prior of a network for one measurement.

    Args:
        likelihood: Likelihood of the measurement.
        completer: The network.
        is_below: Whether a specimen whose sign is open is mostly less dense than its medium.
    """

    likelihood: CellLikelihood
    completer: Completer
    is_below: bool = False

    def complete(self, contrast: Contrast, views: Views, *, is_fit: bool = True) -> Contrast:
        """Compute the posterior mean given a begun fit of some views, or the linear answer to them.

        Args:
            contrast: Contrast of the fit, or the linear answer.
            views: Views that it knows; the bright fields among them see what it shows.
            is_fit: Whether it is that of a fit.
        """
        known = (self._orientation * contrast, self.likelihood.grid.pitch, self.aperture(views))
        return with_sign(self._orientation * self.completer.mean(*known, is_fit=is_fit), self.likelihood.sign)

    def draws(
        self,
        contrast: Contrast,
        views: Views,
        count: int,
        seed: int,
        progress: Callable[[int], None],
        *,
        is_fit: bool = True,
    ) -> Float[np.ndarray, "draw z y x"]:
        """Draw contrasts of the specimen's sign; arguments as for `complete` and `Completer.draws`."""
        known = (self._orientation * contrast, self.likelihood.grid.pitch, self.aperture(views))
        drawn = self.completer.draws(*known, count, seed, progress, is_fit=is_fit)
        return with_sign(self._orientation * drawn, self.likelihood.sign)

    @property
    def _orientation(self) -> np.float32:
        """Factor that makes the specimen denser than its medium, as nine in ten of the training are."""
        return np.float32(-1 if self.is_below or self.likelihood.sign == "nonpositive" else 1)

    def orient(self, answer: Contrast, bright: Views) -> "NetworkPrior":
        """Return the prior of a denser or a less dense specimen, by some bright fields, where its sign is open.

        Args:
            answer: Linear answer, which has no mean that would tell.
            bright: Bright fields.
        """
        if self.likelihood.sign != "any":
            return self
        nuisance = {name: jnp.asarray(value) for name, value in self.likelihood.nuisance_parameters.items()}
        losses = []
        for prior in (self, replace(self, is_below=True)):
            values = np.zeros((len(self.likelihood.quantities), *answer.shape), np.float32)
            values[0] = prior.complete(answer, bright, is_fit=False)
            values *= best_factor(self.likelihood, values, bright) or 1.0
            losses.append((float(self.likelihood.losses_of(values, nuisance, bright).mean()), prior))
        return min(losses, key=lambda each: each[0])[1]

    def orient_by_fit(self, contrast: Contrast) -> "NetworkPrior":
        """Return the prior of a denser or a less dense specimen, by the strong parts of a fit of open sign."""
        return replace(self, is_below=bool(np.sum(contrast.astype(np.float64) ** 3) < 0))

    def linear_answer(self, bright: Views) -> Contrast:
        """Invert bright fields by linear theory, under the light that a fit begins with."""
        parameters = {name: jnp.asarray(value) for name, value in self.likelihood.nuisance_parameters.items()}
        light = self.likelihood.batch(bright)["light"]
        corrected = corrected_light(light, parameters, bright, self.likelihood.microscope.medium_index)
        inverse: Contrast = invert_born_model(self.likelihood, bright, STRENGTH, corrected)[0]
        return inverse

    def aperture(self, views: Views) -> Aperture:
        """Largest apertures of the light of some views, dark fields aside, and of the objective."""
        scope, light = self.likelihood.microscope, self.likelihood.illumination
        bright = views[self.likelihood.is_bright[views]]
        na = np.hypot(light.na[bright, :, 0], light.na[bright, :, 1])
        widest = float(np.where(light.weights[bright] > 0, na, 0).max(initial=0))
        return Aperture(scope.wavelength, scope.medium_index, widest, scope.numerical_aperture)

    def test(
        self,
        values: Float[np.ndarray, "k z y x"],
        nuisance: Nuisance,
        remaining: Int[np.ndarray, " remaining"],
        hidden: Int[np.ndarray, " hidden"],
    ) -> Trust:
        """Find the share of the completion of some views that hidden ones trust.

        Args:
            values: Result of a fit to the remaining views, on the grid.
            nuisance: Corrections of the instrument by it.
            remaining: Views that the fit knows.
            hidden: Views that it does not.
        """
        unseen = unseen_share(self.likelihood, remaining[self.likelihood.is_bright[remaining]])
        addition = unseen_part(self.orient_by_fit(values[0]).complete(values[0], remaining) - values[0], unseen)

        def losses(share: float) -> Float[np.ndarray, " hidden"]:
            added = np.zeros_like(values)
            added[0] = share * addition
            return self.likelihood.losses_of(values + added, nuisance, hidden)

        alone = losses(0.0)
        tried = {share: losses(share) for share in SHARES}
        falls = {share: np.log(alone / each) for share, each in tried.items()}
        best = max(SHARES, key=lambda share: float(falls[share].mean()))
        fall = float(falls[best].mean())
        is_contradicted = bool(falls[SHARES[-1]].mean() < -CONTRADICTION)
        no_worse = [share for share in SHARES if falls[share].mean() >= 0] if fall > 0 and not is_contradicted else []
        trusted = max(no_worse, default=0.0)
        error = falls[best].std(ddof=1) / np.sqrt(len(hidden)) if len(hidden) > 1 else np.inf
        shown = trusted or (SHARES[-1] if is_contradicted else best)
        ratio = self.likelihood.metric(tried[shown]) / max(self.likelihood.metric(alone), 1e-12)
        return Trust(trusted, ratio, bool(trusted and fall > ERRORS * error), is_contradicted)


def expected_completion(completed: Contrast, share: Float[np.ndarray, "z y f"], trust: float) -> SpectralPrior:
    """Make the prior of a fit that expects a completion.

    Args:
        completed: Completion of the fitted views.
        share: Share of each coefficient that they do not determine.
        trust: Share of the completion that is trusted.
    """
    bounded = min(trust, _MOST_TRUST)
    precision = PRECISION * bounded / (1 - bounded)
    return SpectralPrior(np.asarray(completed, np.float32), np.asarray(precision * share, np.float32))
