"""Prediction of a cell: a network's completion of a begun fit, or of the linear answer, refined by a fit on demand.

Fit and linear answer are those of the fitted views; those that a fit would withhold are hidden from the network too,
and judge the result through the physics.
"""

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from ....fields.voxels import Voxels
from ....io.model_file import write_model
from ....metrics import metric_named
from ....model import DRAWS, Model
from ....optimize.fit import FITTED_VIEWS, CompareWithTruth, provenance_of
from ....optimize.likelihood import Nuisance
from ....runs.context import Gate, RunContext, RunOutcome
from ..choices import Choices
from ..estimate import require_one_piece
from ..initial_guess import best_factor, with_sign
from ..light_ranking import light_ranking_numbers
from ..likelihood import CellLikelihood, likelihood
from ..linear_checks import require_linear_theory
from ..network_prior import Completer, NetworkPrior, Trust
from ..output import write_result
from ..refined_draws import RefinedLikelihood
from ..summary import DRAWS_COVERAGE
from ..unseen import unseen_part, unseen_share
from ..verdict import leave_out_known_side
from .completion import Completion
from .trusted_completion import mix_with_fit, trust_of_completion

_SECONDS, _LINEAR = "seconds_of_answer", "residual_withheld_linear"
_log = logging.getLogger(__name__)

Draws = Float[np.ndarray, "draw z y x"]
FitFrom = Callable[[RunContext, CellLikelihood], RunOutcome]


def predict(context: RunContext, compare_with_truth: CompareWithTruth, fit: FitFrom) -> RunOutcome:
    """Predict the refractive index of a cell, and write the result.

    Args:
        context: Config, measurement and folder.
        compare_with_truth: Accuracy of a model against the truth of the acquisition.
        fit: Fits a likelihood from its first values on, and writes the result.

    Returns:
        The outcome; ``seconds_of_answer`` is the time of the begun fit, or the linear answer, and the network.

    Raises:
        ConfigError: If linear theory knows no such measurement.
        DataError: If there is no such network.
        DeviceError: If the begun fit needs more memory than there is.
        Stopped: If the begun fit or the refinement was asked to end early.
    """
    settings = context.config
    require_linear_theory(context.measurement, "unflat predict")
    measured = likelihood(settings, context.measurement)
    if not settings.predict.refine:  # The network knows no absorption; a refinement may fit it.
        measured = measured.with_choices(absorbs=False)
    if settings.predict.start == "fit":
        require_one_piece(settings, context.measurement)
    start = time.monotonic()
    completion = Completion.load(settings.predict.network)
    chosen, draws, numbers = draw_contrasts(measured, completion, completion.steps, context)
    numbers[_SECONDS] = time.monotonic() - start
    if completion.coverage is not None:
        numbers[DRAWS_COVERAGE] = float(completion.coverage)
    if settings.predict.refine:  # It reads the choices from the folder.
        outcome = fit(context, _refined_likelihood(measured, draws))
        return replace(outcome, numbers=_refined_numbers(settings.fit.ensemble, numbers, outcome.numbers))
    context.folder.remove_trials()
    model = _model(chosen, draws, provenance_of(context))
    write_model(model, context.folder.path / "model.h5")
    numbers |= write_result(context.folder.path, model, chosen, chosen.split(), draws[:1], _nuisance(chosen))
    numbers |= compare_with_truth(model, context.measurement.truth)
    numbers = leave_out_known_side(numbers | light_ranking_numbers(chosen), settings.fit.sign)
    return RunOutcome(numbers, _gate(settings.predict.gate, numbers))


class _Start(NamedTuple):
    """Contrast that the network completes, and the network for it.

    Args:
        contrast: Index contrast of a begun fit, or the linear answer.
        prior: The network for the likelihood under the choices, and the specimen's side of the medium.
        numbers: Numbers of the choices.
        steps: Number of steps before it, for the display of progress.
        trust: Trust of hidden views in the completion of a begun fit; None where it is taken as it is.
    """

    contrast: Float[np.ndarray, "z y x"]
    prior: NetworkPrior
    numbers: dict[str, float]
    steps: int = 0
    trust: Trust | None = None


def draw_contrasts(
    measured: CellLikelihood, completion: Completer, steps: int, context: RunContext
) -> tuple[CellLikelihood, Draws, dict[str, float]]:
    """Compute the network's mean, mixed with the begun fit where the data do not trust it, and draws about it.

    Args:
        measured: Likelihood of the measurement.
        completion: The network.
        steps: Number of steps of a draw, for the display of progress.
        context: Folder and progress callback.

    Returns:
        The likelihood, with the sign and the corrections of the instrument that the begun fit found; index contrasts,
        the mean first; and the residuals of mean, draws and linear answer.
    """
    section, fitted = measured.settings.predict, measured.split().fitted
    bright, count = fitted[measured.is_bright[fitted]], section.draws * steps
    is_fit = section.start == "fit"
    given = _begin_fit(measured, completion, context, count) if is_fit else _invert(measured, completion, bright)
    prior, measured = given.prior, given.prior.likelihood

    def report(done: int) -> None:
        context.progress(given.steps + done, given.steps + count)

    mean = prior.complete(given.contrast, bright, is_fit=is_fit)
    drawn = prior.draws(given.contrast, bright, section.draws, measured.settings.seed, report, is_fit=is_fit)
    numbers: dict[str, float] = {}
    if given.trust is not None:
        mean, drawn, numbers = mix_with_fit(prior, given.contrast, mean, drawn, given.trust, bright)
    draws = np.concatenate([mean[None], drawn])
    if not is_fit:  # Linear theory misjudges what a thick cell does to light.
        draws *= best_factor(measured, draws[:1], bright) or 1.0
    draws = np.asarray(draws, np.float32)
    answer = prior.linear_answer(bright) if is_fit else given.contrast
    numbers |= given.numbers | _residuals(measured, draws, answer)
    return measured, draws, numbers | {"draws": float(section.draws)}


def _begin_fit(measured: CellLikelihood, completion: Completer, context: RunContext, following: int) -> _Start:
    """Begin a fit under the choices that a fit makes, but without a prior.

    Args:
        measured: Likelihood of the measurement.
        completion: The network.
        context: Folder and progress callback.
        following: Number of steps after it, for the display of progress.
    """
    choices = Choices(measured.with_choices(prior="none"), context, following)
    choices.make()
    begun = choices.begun or choices.begin()
    corrections = {name: np.asarray(value) for name, value in begun.fit.state.mean_nuisance.items()}
    prior = NetworkPrior(replace(choices.likelihood, first_corrections=corrections), completion)
    contrast, numbers, trust = begun.values[0], choices.numbers, None
    if measured.settings.predict.test:
        test = trust_of_completion(choices.likelihood, completion, choices.begin_trial)
        trust, numbers = test.trust, numbers | test.numbers
    return _Start(contrast, prior.orient_by_fit(contrast), numbers, choices.planned_steps, trust)


def _invert(measured: CellLikelihood, completion: Completer, bright: Int[np.ndarray, " view"]) -> _Start:
    """Invert bright fields by linear theory."""
    prior = NetworkPrior(measured, completion)
    answer = prior.linear_answer(bright)
    return _Start(answer, prior.orient(answer, bright), {})


def _residuals(measured: CellLikelihood, draws: Draws, answer: Float[np.ndarray, "z y x"]) -> dict[str, float]:
    """Compute the residuals of the mean and of each draw in views that were withheld, and of the mean in the others."""
    split, names = measured.split(), measured.metric_names
    nuisance = _nuisance(measured)

    def residual(contrast: Float[np.ndarray, "z y x"], views: np.ndarray) -> float:
        return measured.metric(measured.losses_of(contrast[None], nuisance, views))

    shown = split.fitted[:: max(1, len(split.fitted) // FITTED_VIEWS)]
    numbers = {names.fitted: residual(draws[0], shown), "views": float(measured.views)}
    judges = split.withheld if len(split.withheld) else shown
    each = [residual(draw, judges) for draw in draws[1:]]
    numbers |= {"residual_draws": float(np.mean(each)), "residual_draws_most": float(np.max(each))}
    if not len(split.withheld):
        return numbers
    linear = with_sign(answer, measured.settings.fit.sign)
    factor = best_factor(measured, linear[None], split.fitted[measured.is_bright[split.fitted]])
    return numbers | {
        names.withheld: residual(draws[0], split.withheld),
        names.initial: residual((factor or 0.0) * linear, split.withheld),
    }


def _nuisance(measured: CellLikelihood) -> Nuisance:
    """Corrections of the instrument by the begun fit, or those that a fit would begin with."""
    return {name: jnp.asarray(value) for name, value in measured.nuisance_parameters.items()}


def _model(measured: CellLikelihood, draws: Draws, provenance: Mapping[str, Any]) -> Model:
    """Make the model of the mean, with the draws as its members, on the samples of the answer."""
    grid = Voxels(measured.grid.shape)
    sets = [{"grid": np.asarray(one[None] / measured.scales[0], np.float32)} for one in draws]
    architecture = dict(grid.architecture) | {"members": DRAWS}
    kind, frame, quantities = measured.settings.kind, measured.frame, measured.quantities
    return Model.ensemble(architecture, sets[1:], frame, quantities, kind, provenance, consensus=sets[0])


def _refined_likelihood(measured: CellLikelihood, draws: Draws) -> RefinedLikelihood:
    """Make the likelihood of a fit that begins with the mean; its draws deviate where the views determine nothing."""
    fitted = measured.split().fitted
    share = unseen_share(measured, fitted[measured.is_bright[fitted]])
    deviations = np.stack([unseen_part(one - draws[0], share) for one in draws[1:]])
    given = {each.name: getattr(measured, each.name) for each in fields(CellLikelihood)}
    return RefinedLikelihood(**given | {"first_values": draws[:1]}, deviations=deviations)


def _refined_numbers(ensemble: int, answer: Mapping[str, float], refined: Mapping[str, float]) -> dict[str, float]:
    """Add to a fit's numbers those of the answer that stay true: the fit began with the network, not the linear one."""
    numbers = dict(refined) | {name: answer[name] for name in (_SECONDS, _LINEAR) if name in answer}
    if ensemble == 1 and "tiles" not in refined:
        return numbers | {name: answer[name] for name in ("draws", DRAWS_COVERAGE) if name in answer}
    _log.warning("predict.refine: the result has no draws: a fit in tiles, and an ensemble of fits, leave them out")
    return numbers


def _gate(limit: float | None, numbers: Mapping[str, float]) -> Gate | None:
    if limit is None:
        return None
    name = "residual_withheld" if "residual_withheld" in numbers else "residual_fitted"
    remedy = "refine it with --refine, or use unflat fit"
    return Gate(metric_named(name).title.lower(), numbers[name], limit, remedy)
