"""Choice of a cell's fit whether it expects what a network completes, and how firmly.

Hidden views set the trust (`network_prior`). They judge a completion that is added to a fit which did not expect it,
and trust a right one too little: unless they contradict it, a fit that is begun with the whole of it is tried first,
and stays if it predicts the withheld views no worse than one without. Else the trust is that of the hidden views, and
the withheld ones may not lose much by it: they judge the result.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import jax.numpy as jnp
import numpy as np

from ... import processes
from ...optimize.likelihood import Nuisance, Split
from ...optimize.steps import FEWEST_STEPS
from ...optimize.trial import BegunFit
from ...runs.context import RunContext
from .hidden_views import HiddenViews, choose_hidden_views, untestable
from .likelihood import CellLikelihood
from .network_prior import Completer, NetworkPrior, Trust, expected_completion
from .unseen import unseen_share

_log = logging.getLogger(__name__)

TOLERANCE = 1.05
"""Withheld residual of the begun fit with the prior, over that without, up to which the prior stays where the hidden
views are sure: early in a fit even that of the true specimen is larger by up to 2 %. Where they are not, it is 1."""
TRUST, HIDDEN_RATIO, WITHHELD_RATIO = "prior_trust", "prior_hidden_ratio", "prior_withheld_ratio"
VIEWS_HIDDEN = "prior_views_hidden"
NUMBERS = (TRUST, HIDDEN_RATIO, WITHHELD_RATIO, VIEWS_HIDDEN)
"""Numbers of the choice, in ``choices.json`` and ``metrics.json``."""
_PART = "prior"
"""Part of the run's checkpoints that holds what the prior expects."""

Begin = Callable[[str, CellLikelihood], BegunFit]


def tried_models(config: Any) -> int:
    """Number of fits that the choice begins, for the display of progress."""
    return 2 if config.fit.prior != "none" and config.fit.steps >= FEWEST_STEPS else 0


@dataclass
class PriorChoice:
    """Choice of one run.

    Args:
        likelihood: Likelihood under the choices before.
        context: Config and folder.
        completer: The network.
        begin: Begins a fit of a name and a likelihood, or returns it as it was begun before.
        numbers: Numbers of the choice, if the run has made it before.
    """

    likelihood: CellLikelihood
    context: RunContext
    completer: Completer
    begin: Begin
    numbers: dict[str, float] = field(default_factory=dict)
    _trust: Trust = field(default=Trust(0.0, 1.0, is_sure=False), init=False)

    def make(self, begun: BegunFit | None) -> BegunFit | None:
        """Make the choice, or take it as it was made before; `likelihood` then has the prior that is used.

        Args:
            begun: Fit without the prior that was begun before; None where none was.

        Returns:
            The fit to go on with; None to begin with the first step.

        Raises:
            Stopped: If the run was asked to end early.
        """
        if TRUST in self.numbers:
            return self._as_before(begun)
        chosen, fault = views_to_hide(self.likelihood)
        if fault:
            _log.warning("fit.prior: not used: it cannot be tested: %s", fault)
            self.numbers = {TRUST: 0.0, VIEWS_HIDDEN: 0.0}
            return begun
        self.numbers = self._test(chosen)
        if self._trust.is_contradicted:
            return begun
        return self._try(begun or self.begin("without-prior", self.likelihood))

    def _as_before(self, begun: BegunFit | None) -> BegunFit | None:
        """Take the prior of the run's folder, where it was used."""
        if not self.numbers[TRUST]:
            return begun
        stored = self.context.folder.latest_checkpoint(_PART)
        if stored is None:  # Its file is damaged; the fits are begun again.
            self._trust = Trust(self.numbers[TRUST], self.numbers[HIDDEN_RATIO], is_sure=True)
            return self._try(begun or self.begin("without-prior", self.likelihood))
        self.likelihood = self._with_prior(stored.arrays["mean"])
        return None  # From the start or a checkpoint: its first steps are those of the trial.

    def _test(self, chosen: HiddenViews) -> dict[str, float]:
        """Set the trust by hidden views."""
        trust = trust_of_hidden_views(self.likelihood, self.completer, self.begin, chosen)
        result = residual_text(trust, chosen)
        if trust.is_contradicted:
            _log.warning("fit.prior: not used: it leaves %s", result)
        else:
            _log.info("fit.prior: hidden views trust it by %.2f: it leaves %s", trust.share, result)
        self._trust = trust
        known = {TRUST: trust.share, HIDDEN_RATIO: trust.ratio}
        return known | {VIEWS_HIDDEN: float(len(chosen.hidden))}

    def _try(self, free: BegunFit) -> BegunFit:
        """Begin a fit with the prior, with all of it first, and go on with it unless the withheld views lose by it."""
        prior, views = NetworkPrior(self.likelihood, self.completer), self.likelihood.split().fitted

        def complete() -> tuple[dict[str, Any], dict[str, np.ndarray]]:
            contrast = free.values[0]
            return {}, {"mean": prior.orient_by_fit(contrast).complete(contrast, views)}

        completed = processes.current().share(complete)[1]["mean"]
        for share, limit in shares_to_try(self._trust):
            self.numbers[TRUST] = share
            with_prior = self._with_prior(completed)
            bound = self.begin("with-prior" if share == self._trust.share else "with-whole-prior", with_prior)
            ratio = bound.withheld / max(free.withheld, 1e-12) if np.isfinite(free.withheld) else 1.0
            self.numbers[WITHHELD_RATIO] = ratio
            _log.info("fit.prior: trusted by %.2f, the withheld residual is %.3f times that without it", share, ratio)
            if ratio <= limit:
                self.context.folder.save_checkpoint(0, {"mean": completed}, {}, _PART)
                self.likelihood = with_prior
                return bound
        _log.warning("fit.prior: not used: the withheld residual is larger with it")
        self.numbers[TRUST] = 0.0
        return free

    def _with_prior(self, completed: np.ndarray) -> CellLikelihood:
        """Return the likelihood that expects a completion where the views determine nothing."""
        views = self.likelihood.split().fitted
        share = unseen_share(self.likelihood, views[self.likelihood.is_bright[views]])
        return replace(self.likelihood, expected=expected_completion(completed, share, self.numbers[TRUST]))


def shares_to_try(trust: Trust) -> list[tuple[float, float]]:
    """List the shares of a completion to try, and the withheld residual, over that without, up to which each stays."""
    if trust.is_contradicted:
        return []
    trusted = (trust.share, TOLERANCE if trust.is_sure else 1.0)
    whole = trusted if trust.share == 1 else (1.0, 1.0)
    return [whole, trusted] if 0 < trust.share < 1 else [whole]


def views_to_hide(likelihood: CellLikelihood) -> tuple[HiddenViews, str]:
    """Choose views to hide among those to fit, and say for what reason they cannot test a prior; empty if they can."""
    split = likelihood.split()
    chosen = choose_hidden_views(likelihood.illumination, split.fitted[likelihood.is_bright[split.fitted]])
    return chosen, untestable(chosen, likelihood.settings.fit.steps, has_withheld=len(split.withheld) > 0)


def residual_text(trust: Trust, chosen: HiddenViews) -> str:
    """Describe the residual of the hidden views, for the log."""
    text = f"{trust.ratio:.3f} times the residual that the fit alone leaves in {len(chosen.hidden)} hidden views "
    return text + chosen.text


def trust_of_hidden_views(likelihood: CellLikelihood, completer: Completer, begin: Begin, chosen: HiddenViews) -> Trust:
    """Find how far views that are hidden from a begun fit trust its completion.

    Args:
        likelihood: Likelihood under the choices.
        completer: The network.
        begin: Begins a fit of a name and a likelihood.
        chosen: Views to hide.
    """
    remaining = np.setdiff1d(likelihood.split().fitted, chosen.hidden)
    # A network's answer, which a refinement begins with, knows the views that are hidden here.
    blind = replace(likelihood, own_split=Split(remaining, chosen.hidden), first_values=None)
    fit, prior = begin("hidden-views", blind), NetworkPrior(blind, completer)

    def test() -> Trust:
        return prior.test(fit.values, _nuisance(fit), remaining, chosen.hidden)

    return Trust(*processes.current().share_or_compute(test))


def _nuisance(begun: BegunFit) -> Nuisance:
    """Corrections of the instrument by a begun fit, as arrays of this process."""
    return {name: jnp.asarray(np.asarray(value)) for name, value in begun.fit.state.mean_nuisance.items()}


def earlier_numbers(choices: Mapping[str, Any]) -> dict[str, float]:
    """Select the numbers of the choice from those that a run stored."""
    return {name: float(choices[name]) for name in NUMBERS if name in choices}
