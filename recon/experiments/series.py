"""Fit of a series of acquisitions as one model: likelihood, strength of the prior, a result of each."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace

from ..acquisition import Acquisition
from ..model_series import ModelSeries
from ..optimize.fit import fit_field
from ..optimize.series_likelihood import PREFIX, SeriesLikelihood
from ..optimize.steps import SERIES_STRENGTHS, series_trial_steps
from ..optimize.trial import BegunFit, Trial
from ..runs.contents import SERIES
from ..runs.context import RunContext, RunOutcome
from ..runs.verdict import Reason, SpecimenVerdict, Verdict
from .base import Experiment
from .series_input import Series
from .series_output import write_acquisitions

_log = logging.getLogger(__name__)

DEFAULT_STRENGTH = 4.0
"""Strength where nothing is withheld, or the steps are too few to choose."""
_CHOSEN = "series_smoothness"


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
    likelihood, begun = _with_strength(likelihood, context)

    def compare(model: ModelSeries, _truth: object) -> dict[str, float]:
        return _truth_numbers(experiment, model, series.acquisitions)

    outcome = fit_field(likelihood, context, compare, begun)
    context.folder.remove_trials()
    whole, each = _split_numbers(outcome.numbers, len(series.acquisitions))
    whole |= {_CHOSEN: likelihood.smoothness} | _means(each, whole)
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


def _with_strength(likelihood: SeriesLikelihood, context: RunContext) -> tuple[SeriesLikelihood, BegunFit | None]:
    """Take the strength of the config, or the one whose begun fit predicts the withheld views best.

    Raises:
        Stopped: If the run was asked to end early.
    """
    fit, earlier = context.config.fit, context.folder.read_choices()
    if fit.series.smoothness != "auto":
        return likelihood.with_smoothness(fit.series.smoothness), None
    if _CHOSEN in earlier:
        return likelihood.with_smoothness(float(earlier[_CHOSEN])), None
    if not len(likelihood.split().withheld) or not series_trial_steps(fit.steps):
        _log.info("fit.series.smoothness: %g, as the steps or the views are too few to choose", likelihood.smoothness)
        return likelihood, None
    trial = Trial(context, len(SERIES_STRENGTHS))
    begun = {s: trial.begin(f"smoothness-{s:g}", likelihood.with_smoothness(s)) for s in SERIES_STRENGTHS}
    best = min(begun, key=lambda strength: begun[strength].withheld)
    residuals = ", ".join(f"{own.withheld:.4f} with {strength:g}" for strength, own in begun.items())
    _log.info("fit.series.smoothness: %g (withheld residual %s)", best, residuals)
    context.folder.write_choices(context.folder.read_choices() | {_CHOSEN: best})
    return likelihood.with_smoothness(best), trial.choose(begun[best])


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
    """Average the numbers that all acquisitions have and the whole has not."""
    common = set.intersection(*map(set, each)) - set(whole)
    return {name: sum(numbers[name] for numbers in each) / len(each) for name in each[0] if name in common}
