"""The ``crystal`` kind: from a rocking curve of Bragg diffraction to a crystal's density and strain.

Only names are looked up here; what needs jax is imported when it is called.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...acquisition.acquisition import Acquisition
from ...errors import Fault
from ...runs.estimate import Estimate
from ...runs.progress import Progress, silent
from ...volumes.volume import Quantity, Volume
from ..base import Kind
from .schema import SCHEMA
from .settings import CrystalSettings

if TYPE_CHECKING:
    from ...fitting.problem import Problem, Workplace
    from ...reports.figures import Drawing
    from ...reports.gather import RunFacts
    from ...reports.summary import Statement


def _validate(acquisition: Acquisition) -> list[Fault]:
    from .validate import validate

    return validate(acquisition)


def _read(settings: CrystalSettings, path: Path) -> Acquisition:
    from .read import read

    return read(settings, path)


def _simulate(settings: CrystalSettings, progress: Progress = silent) -> Acquisition:
    from .simulation import simulate

    return simulate(settings, progress)


def _estimate(settings: CrystalSettings, acquisition: Acquisition | None) -> Estimate:
    from .estimate import estimate

    return estimate(settings, acquisition)


def _score(result: Any, truth: Volume, register: bool = False) -> dict[str, float]:
    from .score import score

    return score(result, truth, register=register)


def _problem(settings: CrystalSettings, acquisition: Acquisition, work: "Workplace | None" = None) -> "Problem":
    from .problem import problem

    return problem(settings, acquisition, work)


def _phase(*arguments: Any) -> dict[str, float]:
    from .reconstruct import phase

    return phase(*arguments)


def _findings(facts: "RunFacts") -> "list[Statement]":
    from .report import findings

    return findings(facts)


def _pictures(facts: "RunFacts") -> "list[Drawing]":
    from .report import pictures

    return pictures(facts)


KIND = Kind(
    name="crystal",
    summary="density and strain of a crystal, from a rocking curve of its Bragg diffraction",
    settings=CrystalSettings,
    schema=SCHEMA,
    quantities=(
        Quantity("amplitude", "1", "density of the crystal's lattice"),
        Quantity("phase", "rad", "phase of the density, -G.u"),
        Quantity("displacement", "m", "displacement of the lattice along G"),
        Quantity("strain", "1", "change of the displacement along G"),
        Quantity("occupancy", "1", "0 outside the crystal, 1 inside"),
    ),
    validate=_validate,
    read=_read,
    simulate=_simulate,
    estimate=_estimate,
    score=_score,
    smaller="crop or bin the patterns (acquisition.crop, acquisition.bin), or use a machine with more memory",
    problem=_problem,
    phase=_phase,
    findings=_findings,
    pictures=_pictures,
)
