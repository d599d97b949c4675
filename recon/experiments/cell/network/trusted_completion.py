"""Mixture of a begun fit and its completion by a network, by as much as hidden and withheld views trust the completion.

A prediction shows what a network says of a specimen that it may not know. Views of the steepest light, hidden from a
second begun fit, tell how far its completion can be trusted, as for the prior of a fit (`prior_choice`).
"""

import logging
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from ..initial_guess import with_sign
from ..likelihood import CellLikelihood
from ..network_prior import Completer, NetworkPrior, Trust
from ..prior_choice import (
    HIDDEN_RATIO,
    TRUST,
    VIEWS_HIDDEN,
    WITHHELD_RATIO,
    Begin,
    residual_text,
    shares_to_try,
    trust_of_hidden_views,
    views_to_hide,
)
from ..unseen import unseen_part, unseen_share

_log = logging.getLogger(__name__)

Contrast = Float[np.ndarray, "z y x"]
Draws = Float[np.ndarray, "draw z y x"]


class HiddenTest(NamedTuple):
    """Outcome of the test of a completion by hidden views.

    Args:
        trust: Share that is trusted; None where no test is possible.
        numbers: Numbers of the test, for ``metrics.json``.
    """

    trust: Trust | None
    numbers: dict[str, float]


def trust_of_completion(likelihood: CellLikelihood, completer: Completer, begin: Begin) -> HiddenTest:
    """Test by hidden views how far the completion of a begun fit can be trusted, and say so.

    Args:
        likelihood: Likelihood under the choices.
        completer: The network.
        begin: Begins a fit of a name and a likelihood.
    """
    chosen, fault = views_to_hide(likelihood)
    if fault:
        _log.warning("predict.test: the completion is taken as it is: it cannot be tested: %s", fault)
        return HiddenTest(None, {VIEWS_HIDDEN: 0.0})
    trust = trust_of_hidden_views(likelihood, completer, begin, chosen)
    result = residual_text(trust, chosen)
    if trust.is_contradicted:
        _log.warning("predict.test: the completion is not used: it leaves %s", result)
    else:
        _log.info("predict.test: hidden views trust the completion by %.2f: it leaves %s", trust.share, result)
    return HiddenTest(trust, {HIDDEN_RATIO: trust.ratio, VIEWS_HIDDEN: float(len(chosen.hidden))})


def mix_with_fit(
    prior: NetworkPrior, fit: Contrast, mean: Contrast, draws: Draws, trust: Trust, bright: Int[np.ndarray, " view"]
) -> tuple[Contrast, Draws, dict[str, float]]:
    """Add to a begun fit the trusted share of its completion, where the light did not see.

    The withheld views judge the whole completion first, and the trusted share of it where they lose by the whole, as
    for the prior of a fit; where they contradict both, the share is 0. The draws then differ by what is not trusted as
    well: the truth may be on either side.

    Args:
        prior: The network for the likelihood under the choices, with the corrections of the begun fit.
        fit: Contrast of the begun fit.
        mean: Completion of it.
        draws: Draws about the completion.
        trust: Trust by the hidden views.
        bright: Bright fields that the fit knows.

    Returns:
        Mixture, draws about it, and the numbers of the mixture.
    """
    likelihood, numbers = prior.likelihood, dict[str, float]()
    addition = unseen_part(mean - fit, unseen_share(likelihood, bright))
    alone = max(_residual(likelihood, fit), 1e-12)
    for share, limit in shares_to_try(trust):
        numbers[WITHHELD_RATIO] = _residual(likelihood, fit + np.float32(share) * addition) / alone
        if numbers[WITHHELD_RATIO] <= limit:
            break
        text = "predict.test: trusted by %.2f, the completion leaves %.3f times the withheld residual of the fit alone"
        _log.warning(text, share, numbers[WITHHELD_RATIO])
    else:
        share = 0.0
    mixed = with_sign(fit + np.float32(share) * addition, likelihood.sign)
    sides = np.where(np.arange(len(draws)) % 2, -1, 1).reshape(-1, 1, 1, 1)
    doubt = (np.float32(1 - share) * sides * addition).astype(np.float32)
    about = with_sign(mixed + (draws - mean) + doubt, likelihood.sign)
    return mixed, about, numbers | {TRUST: share}


def _residual(likelihood: CellLikelihood, contrast: Contrast) -> float:
    """Residual of the withheld views."""
    nuisance = {name: jnp.asarray(value) for name, value in likelihood.nuisance_parameters.items()}
    return likelihood.metric(likelihood.losses_of(contrast[None], nuisance, likelihood.split().withheld))
