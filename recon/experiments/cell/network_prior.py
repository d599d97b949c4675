"""Prior of a network on what the light did not see of a cell, with a weight that hidden views set.

A network completes the linear answer of some views. Only the part of it at frequencies that they do not determine is
used: it is added to a specimen, or expected by a fit. How far it can be trusted is measured: views of the steepest
light are hidden from the beginning of a fit, and the completion of the others is added to that by some share. Their
linear answer is the measured one, as the network has learned, or that of the fit as if it scattered weakly, which is
free of what multiple scattering does to a linear inverse; the hidden views choose. The share that predicts their images
best is the trust; where none does better than the fit alone, the prior is not used.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple, Protocol, runtime_checkable

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from ....physics.optics.illumination import PlaneWaves
from ...metrics.missing_cone import Aperture
from ...optimize.likelihood import Nuisance
from ...optimize.spectral_prior import SpectralPrior
from .corrections import corrected_light
from .initial_guess import (
    STRENGTH,
    answer_of_weak_specimen,
    best_factor,
    invert_born_model,
    with_sign,
)
from .likelihood import CellLikelihood
from .unseen import unseen_part, unseen_share

SHARES = (0.25, 0.5, 0.75, 1.0)
"""Shares of the completion that are tried."""
ERRORS = 2.0
"""Standard errors, by the hidden views, by which the logarithm of their loss must fall for the completion to be used.

The logarithm, as views differ much in what they lose to an empty box."""
PRECISION = 10.0
"""Precision of the prior at a trust of one half; it grows as trust/(1 − trust)."""
_MOST_TRUST = 0.9

Contrast = Float[np.ndarray, "z y x"]
Views = Int[np.ndarray, " view"]


@runtime_checkable
class Completer(Protocol):
    """Network that completes linear answers; see `network.completion.Completion`."""

    def mean(self, contrast: Contrast, spacing: tuple[float, float, float], aperture: Aperture) -> Contrast:
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
    ) -> Float[np.ndarray, "draw z y x"]:
        """Draw index contrasts from the posterior."""
        ...


class Trust(NamedTuple):
    """Outcome of the test by hidden views.

    Args:
        share: Share of the completion that predicts them best; 0 where none does better than the fit alone.
        ratio: Residual of the hidden views with that share of the completion, or with the best tried one, over that
            without any.
        from_fit: 1 where the linear answer is that of the fit, as if it scattered weakly; 0 where it is measured.
    """

    share: float
    ratio: float
    from_fit: float


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

    def complete(self, views: Views, nuisance: Nuisance | None = None, contrast: Contrast | None = None) -> Contrast:
        """Complete the linear answer of some views.

        Args:
            views: Views that are known; dark fields among them tell linear theory nothing.
            nuisance: Corrections of the instrument; those that a fit begins with by default.
            contrast: Specimen whose answer is completed, as if it scattered weakly; the measured one by default.
        """
        bright = views[self.likelihood.is_bright[views]]
        completed = self.mean(self.linear_answer(bright, nuisance, contrast), bright)
        if contrast is not None:
            return completed
        values = np.zeros((len(self.likelihood.quantities), *completed.shape), np.float32)
        values[0] = completed
        # Linear theory misjudges what a thick cell does to light.
        return np.asarray((best_factor(self.likelihood, values, bright) or 1.0) * completed)

    def mean(self, answer: Contrast, bright: Views) -> Contrast:
        """Compute the posterior mean given the linear answer to some bright fields, of the specimen's sign."""
        mean = self.completer.mean(self._orientation * answer, self.likelihood.grid.pitch, self.aperture(bright))
        return with_sign(self._orientation * mean, self.likelihood.sign)

    def draws(
        self, answer: Contrast, bright: Views, count: int, seed: int, progress: Callable[[int], None]
    ) -> Float[np.ndarray, "draw z y x"]:
        """Draw contrasts of the specimen's sign; arguments as for `mean` and `Completer.draws`."""
        known = (self._orientation * answer, self.likelihood.grid.pitch, self.aperture(bright))
        return with_sign(self._orientation * self.completer.draws(*known, count, seed, progress), self.likelihood.sign)

    @property
    def _orientation(self) -> np.float32:
        """Factor that makes the specimen denser than its medium, as nine in ten of the training are."""
        return np.float32(-1 if self.is_below or self.likelihood.sign == "nonpositive" else 1)

    def orient(self, answer: Contrast, bright: Views) -> "NetworkPrior":
        """Return the prior of a denser or a less dense specimen, by some bright fields, where its sign is open."""
        if self.likelihood.sign != "any":
            return self
        nuisance = {name: jnp.asarray(value) for name, value in self.likelihood.nuisance_parameters.items()}
        losses = []
        for prior in (self, replace(self, is_below=True)):
            values = np.zeros((len(self.likelihood.quantities), *answer.shape), np.float32)
            values[0] = prior.mean(answer, bright)
            values *= best_factor(self.likelihood, values, bright) or 1.0
            losses.append((float(self.likelihood.losses_of(values, nuisance, bright).mean()), prior))
        return min(losses, key=lambda each: each[0])[1]

    def linear_answer(
        self, bright: Views, nuisance: Nuisance | None = None, contrast: Contrast | None = None
    ) -> Contrast:
        """Invert bright fields by linear theory, or those of a specimen as if it scattered weakly; see `complete`."""
        light = self._light(bright, nuisance)
        if contrast is None:
            inverse: Contrast = invert_born_model(self.likelihood, bright, STRENGTH, light)[0]
            return inverse
        return answer_of_weak_specimen(self.likelihood, bright, contrast, light)

    def aperture(self, views: Views) -> Aperture:
        """Largest apertures of the light of some views, and of the objective."""
        scope, light = self.likelihood.microscope, self.likelihood.illumination
        na = np.hypot(light.na[views, :, 0], light.na[views, :, 1])
        widest = float(np.where(light.weights[views] > 0, na, 0).max())
        return Aperture(scope.wavelength, scope.medium_index, widest, scope.numerical_aperture)

    def _light(self, views: Views, nuisance: Nuisance | None) -> PlaneWaves:
        known = self.likelihood.nuisance_parameters if nuisance is None else nuisance
        parameters = {name: jnp.asarray(value) for name, value in known.items()}
        light = self.likelihood.batch(views)["light"]
        return corrected_light(light, parameters, views, self.likelihood.microscope.medium_index)

    def test(
        self,
        values: Float[np.ndarray, "k z y x"],
        nuisance: Nuisance,
        remaining: Int[np.ndarray, " remaining"],
        hidden: Int[np.ndarray, " hidden"],
    ) -> Trust:
        """Find the share of the completion of some views that predicts hidden ones best.

        Args:
            values: Result of a fit to the remaining views, on the grid.
            nuisance: Corrections of the instrument by it.
            remaining: Views that the fit knows.
            hidden: Views that it does not.
        """
        bright = remaining[self.likelihood.is_bright[remaining]]
        unseen = unseen_share(self.likelihood, bright)

        def losses(share: float, completed: Contrast) -> Float[np.ndarray, " hidden"]:
            added = np.zeros_like(values)
            added[0] = share * unseen_part(completed - values[0], unseen)
            return self.likelihood.losses_of(values + added, nuisance, hidden)

        alone = losses(0.0, values[0])
        tried = []
        for from_fit in (0.0, 1.0):
            completed = self.complete(bright, nuisance, values[0] if from_fit else None)
            tried += [(losses(share, completed), share, from_fit) for share in SHARES]
        best, share, from_fit = min(tried, key=lambda each: float(each[0].mean()))
        falls = np.log(alone / best)
        is_sure = len(falls) > 1 and falls.mean() > ERRORS * falls.std(ddof=1) / np.sqrt(len(falls))
        ratio = self.likelihood.metric(best) / max(self.likelihood.metric(alone), 1e-12)
        return Trust(share if is_sure else 0.0, ratio, from_fit)


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
