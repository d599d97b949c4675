"""Fit of a series of acquisitions as one model: likelihood, strength of the prior, a result of each."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import isfinite

from ..acquisition import Acquisition
from ..metrics import metric_named
from ..model_series import ModelSeries
from ..optimize.fit import fit_field
from ..optimize.series_likelihood import PREFIX, SeriesLikelihood
from ..optimize.trial import TRIAL_STEPS, BegunFit, Trial
from ..runs.contents import SERIES
from ..runs.context import RunContext, RunOutcome
from ..runs.verdict import Reason, SpecimenVerdict, Verdict
from .base import Experiment
from .series_input import Series
from .series_output import write_acquisitions

_log = logging.getLogger(__name__)

DEFAULT_STRENGTH = 4.0
"""Strength where nothing is withheld, or the steps are too few to choose."""
_SMOOTHNESS, _SPATIAL = "series_smoothness", "series_spatial"
_TRIED = "residual_tried_"
"""Beginning of the names of the withheld residuals with each strength that was tried."""


def fit_series(experiment: Experiment, context: RunContext, series: Series) -> RunOutcome:
    """Fit the acquisitions of a series as one model.

    Args:
        experiment: Kind of experiment.
        context: Config and folder.
        series: The acquisitions.

    Raises:
        ConfigError: If the physics that the config names does not hold for an acquisition.
        Stopped: If it was asked to end early.
    """
    contexts = [replace(context, acquisition=acquisition) for acquisition in series.acquisitions]
    parts = tuple(experiment.series_likelihoods(contexts))
    moves = context.config.fit.series.motion and experiment.series_moves
    likelihood = SeriesLikelihood(parts, series.axis, series.names, DEFAULT_STRENGTH, moves)
    likelihood, begun, tried = _with_strengths(likelihood, context)

    def compare(model: ModelSeries, _truth: object) -> dict[str, float]:
        return _truth_numbers(experiment, model, series.acquisitions)

    outcome = fit_field(likelihood, context, compare, begun)
    context.folder.remove_trials()
    whole, each = _split_numbers(outcome.numbers, len(series.acquisitions))
    each = [
        dict(experiment.check_series(context, part, numbers))
        for part, numbers in zip(likelihood.parts, each, strict=True)
    ]
    whole |= {_SMOOTHNESS: likelihood.smoothness, _SPATIAL: likelihood.spatial} | tried | _means(each, whole)
    verdicts = [Verdict.of(experiment.assess(numbers)) for numbers in each]
    write_acquisitions(experiment, context, series, each, verdicts)
    specimens = tuple(
        SpecimenVerdict(series.axis.describe(position), verdict, f"{SERIES}/{name}/model.h5")
        for position, name, verdict in zip(series.axis.positions, series.names, verdicts, strict=True)
    )
    verdict = _verdict_of_all(verdicts).with_names(specimens)
    notes = tuple(
        f"{specimen.name}: {experiment.summary_line(numbers)}; {specimen.verdict.soundness}"
        for specimen, numbers in zip(specimens, each, strict=True)
    )
    return replace(outcome, numbers=whole, notes=notes, verdict=verdict, specimens=specimens)


def _verdict_of_all(verdicts: Sequence[Verdict]) -> Verdict:
    """Join the verdicts on all acquisitions: each reason once, a fatal one before one that is not."""
    reasons: dict[str, Reason] = {}
    for reason in (reason for verdict in verdicts for reason in verdict.reasons):
        if reason.name not in reasons or (reason.fatal and not reasons[reason.name].fatal):
            reasons[reason.name] = reason
    return Verdict.of(reasons.values())


def _with_strengths(
    likelihood: SeriesLikelihood, context: RunContext
) -> tuple[SeriesLikelihood, BegunFit | None, dict[str, float]]:
    """Take the strengths of the config, or those whose begun fit predicts the withheld data best.

    First the smoothness is tried, then, with the best, the factor of the priors in space.

    Returns:
        The likelihood, the fit to go on with, and the steps and withheld residuals of what was tried.

    Raises:
        Stopped: If the run was asked to end early.
    """
    fit, earlier = context.config.fit, context.folder.read_choices()
    smoothnesses, factors = fit.series_smoothnesses, fit.series_factors
    likelihood = likelihood.with_strengths(DEFAULT_STRENGTH if len(smoothnesses) > 1 else smoothnesses[0], factors[0])
    if len(smoothnesses) == len(factors) == 1:
        return likelihood, None, {}
    if _SMOOTHNESS in earlier:
        chosen = (float(earlier.get(name, 1.0)) for name in (_SMOOTHNESS, _SPATIAL))
        tried = {name: float(value) for name, value in earlier.items() if name.startswith((TRIAL_STEPS, _TRIED))}
        return likelihood.with_strengths(*chosen), None, tried
    if not len(likelihood.split().withheld) or not fit.series_trial_steps:
        text = "fit.series.smoothness: %g, spatial: %g, as the steps or the views are too few to choose"
        _log.info(text, likelihood.smoothness, likelihood.spatial)
        return likelihood, None, {}
    trial, tried = Trial(context, len(smoothnesses) + len(factors) - 1), dict[str, float]()
    best = _best_of(trial, likelihood, smoothnesses, "smoothness", tried)
    best = _best_of(trial, best[0], factors, "spatial", tried, {factors[0]: best[1]})
    likelihood, begun = best[0], trial.choose(best[1])
    tried[TRIAL_STEPS] = float(begun.other_steps)
    strengths = {_SMOOTHNESS: likelihood.smoothness, _SPATIAL: likelihood.spatial}
    context.folder.write_choices(context.folder.read_choices() | strengths | tried)
    return likelihood, begun, tried


def _best_of(
    trial: Trial,
    likelihood: SeriesLikelihood,
    values: Sequence[float],
    name: str,
    tried: dict[str, float],
    begun: Mapping[float, BegunFit] | None = None,
) -> tuple[SeriesLikelihood, BegunFit]:
    """Begin a fit with each value of a strength, and select the one that predicts the withheld data best.

    Args:
        trial: Trial in which the fits are begun.
        likelihood: Likelihood of the series.
        values: Values to try.
        name: Name of the strength, as a setting.
        tried: Dictionary to which the withheld residual with each value is added.
        begun: Fits that were begun before, by the value.

    Raises:
        Stopped: If the run was asked to end early.
    """
    own = {"smoothness": likelihood.smoothness, "spatial": likelihood.spatial}
    each = {value: likelihood.with_strengths(**(own | {name: value})) for value in values}
    fits = dict(begun or {})
    for value, other in each.items():
        if value not in fits:
            fits[value] = trial.begin(f"smoothness-{other.smoothness:g}-spatial-{other.spatial:g}", other)
    best = min(fits, key=lambda value: fits[value].withheld)
    if len(values) > 1:
        residuals_tried = {f"{_TRIED}{name}_{value:g}": fits[value].withheld for value in values}
        tried |= {key: residual for key, residual in residuals_tried.items() if isfinite(residual)}
        residuals = ", ".join(f"{fits[value].withheld:.4f} with {value:g}" for value in values)
        _log.info("fit.series.%s: %g (withheld residual %s)", name, best, residuals)
    return each[best], fits[best]


def _truth_numbers(
    experiment: Experiment, model: ModelSeries, acquisitions: tuple[Acquisition, ...]
) -> dict[str, float]:
    """Compare the model at each acquisition with its truth, where it is known."""
    numbers: dict[str, float] = {}
    for i, (own, acquisition) in enumerate(zip(model.at_acquisitions(), acquisitions, strict=True)):
        each = experiment.compare_with_truth(own, acquisition.truth)
        numbers |= {f"{PREFIX}{i}/{name}": value for name, value in each.items()}
    return numbers


def _split_numbers(numbers: Mapping[str, float], count: int) -> tuple[dict[str, float], list[dict[str, float]]]:
    """Separate the numbers of the whole from those of each acquisition."""
    whole: dict[str, float] = {}
    each: list[dict[str, float]] = [{} for _ in range(count)]
    for name, value in numbers.items():
        head, _, rest = name.partition("/")
        if head.startswith(PREFIX) and rest:
            each[int(head.removeprefix(PREFIX))][rest] = value
        else:
            whole[name] = value
    return whole, each


def _means(each: list[dict[str, float]], whole: Mapping[str, float]) -> dict[str, float]:
    """Average the numbers that all acquisitions have and the whole has not, without those that only name something."""
    common = set.intersection(*map(set, each)) - set(whole)
    names = [name for name in each[0] if name in common and not metric_named(name).is_label]
    return {name: sum(numbers[name] for numbers in each) / len(each) for name in names}
