"""What a kind of experiment is, in one place.

Commands and the fit loop ask this description; none of them knows a kind by name. Every callable imports what it needs
when it is called (``deferred``), so that a description is cheap to load: `unflat --help`, `init`, `check` and `info`
import no jax.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from ..acquisition import Acquisition
from ..config.entries import Entry
from ..errors import Diagnostic
from ..sampled import Quantity

if TYPE_CHECKING:
    from ..config.base import Settings
    from ..grid import Grid
    from ..io.table import Table
    from ..model import Model
    from ..optimize.likelihood import Likelihood
    from ..runs.estimate import Estimate
    from ..visualization.report_figures import DeferredFigure
    from ..visualization.run_data import RunData
    from ..visualization.summary import Finding


class Evaluation(Protocol):
    """Accuracy of many specimens."""

    @property
    def numbers(self) -> Mapping[str, float]:
        """Means over all."""
        ...

    @property
    def cells(self) -> "Table":
        """A row for each."""
        ...

    @property
    def classes(self) -> "Table":
        """A row for each class, and one for all."""
        ...


@dataclass(frozen=True)
class Lesson:
    """How a network of a kind is trained.

    Args:
        run: ``run(settings, work)``: trains; gives the numbers of its ``metrics.json``.
        judged: Says, from those numbers, how the network did on specimens that it did not learn from; empty if nothing
            is known of it.
        data: The files that it learns from, as the config names them; None where it learns from simulated ones alone.
        may_grow: Settings that may be larger when a training with these settings goes on.
    """

    run: "Callable[..., dict[str, float]]"
    judged: Callable[[Mapping[str, float]], str]
    data: Callable[[Any], Path | None] = lambda _settings: None
    may_grow: Callable[[Any], tuple[str, ...]] = lambda _settings: ("train.steps",)


@dataclass(frozen=True)
class Experiment:
    """A kind of experiment.

    Args:
        name: ``cell``, ``crystal`` or ``shape``.
        summary: One line for help texts.
        settings: The pydantic model of its config.
        schema: What an acquisition holds.
        quantities: What a model of it gives at each point; the first is the main one.
        validate: Faults of an acquisition that follow from physics (an aperture above the medium's index).
        read: Reads the acquisition that the config names or describes, cropped and selected as it says.
        simulate: ``simulate(settings, progress=silent)``: an acquisition with its truth, from a config; told of each
            image.
        estimate: Memory and time that a fit takes, from shapes alone: nothing is computed.
        score: ``score(result, truth, register=False)``: accuracy of a model or volume against the truth, as names and
            numbers; it may be moved onto the truth first.
        scores: ``scores(result, truth, names, labels)``: the same of many specimens, as ``numbers`` of all and as
            tables of ``cells`` and ``classes``. None where a result is of one.
        sentence: Says, from the numbers of a result's ``metrics.json``, how well it explains the measurement.
        lines: Says what else a person wants to know at once.
        measure: ``measure(volume, level=None, features="standard")``: numbers of one specimen that need no truth, as a
            table of one row.
        lattice: ``lattice(model, features)``: where a model is sampled for a set of features that asks for samples of
            its own; None where it does not, or where no set does.
        way: The reconstruction of someone who has no preference, as a command: ``fit``, ``phase``. A demo takes it.
        smaller: What makes a run smaller, as an instruction, for one that this machine cannot hold.
        start: ``start(settings)``: the file that ``fit.start`` names, seen to be one that a fit can begin with; None
            where it names none. None where no fit of the kind begins with a file.
        problem: ``problem(settings, acquisition, work=None)``: the fit's view of a measurement: its lattice, its
            likelihood, its start, which it may first have to find. None where no neural field is fitted.
        phase: ``phase(settings, acquisition, work)``: iterative phase retrieval at a `Workplace`; gives the numbers of
            its ``metrics.json``. None where no phase is lost.
        predict: ``predict(settings, acquisition, work)``: a network's answer, likewise.
            None where there is no network.
        train: How a network for this kind is trained. None where there is none.
        findings: What a report says of a run, if not what it says of a fit to views.
        pictures: What a report shows of a run, likewise.
    """

    name: str
    summary: str
    settings: "type[Settings]"
    schema: tuple[Entry, ...]
    quantities: tuple[Quantity, ...]
    validate: Callable[[Acquisition], list[Diagnostic]]
    read: Callable[[Any, Path], Acquisition]
    simulate: Callable[..., Acquisition]
    estimate: "Callable[[Any, Acquisition | None], Estimate]"
    score: "Callable[..., dict[str, float]]"
    sentence: Callable[[Mapping[str, float]], str]
    lines: Callable[[Mapping[str, float]], list[str]]
    measure: "Callable[..., Table]"
    way: str
    smaller: str
    start: Callable[[Any], Path | None] | None = None
    problem: "Callable[..., Likelihood] | None" = None
    phase: "Callable[..., dict[str, float]] | None" = None
    predict: "Callable[..., dict[str, float]] | None" = None
    train: Lesson | None = None
    scores: "Callable[..., Evaluation] | None" = None
    lattice: "Callable[[Model, str], Grid | None] | None" = None
    findings: "Callable[[RunData], list[Finding]] | None" = None
    pictures: "Callable[[RunData], list[DeferredFigure]] | None" = None


def deferred(package: str, module: str, name: str) -> Callable[..., Any]:
    """Stand for a function of a module that is imported at the first call.

    Args:
        package: The kind's own package: ``__name__``.
        module: A module of it, such as ``.simulation``.
        name: The function.
    """

    def call(*arguments: Any, **options: Any) -> Any:
        return getattr(import_module(module, package), name)(*arguments, **options)

    return call
