"""The ``cell`` kind: from a microscope's images of a cell to its refractive index.

Only names are looked up here; what needs jax is imported when it is called.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...acquisition.acquisition import Acquisition
from ...errors import Fault
from ...runs.progress import Progress, silent
from ...volumes.volume import Quantity, Volume
from ..base import Kind
from .schema import SCHEMA
from .settings import CellSettings

if TYPE_CHECKING:
    from ...fitting.problem import Problem, Workplace
    from ...runs.estimate import Estimate


def _validate(acquisition: Acquisition) -> list[Fault]:
    from .validate import validate

    return validate(acquisition)


def _read(settings: CellSettings, path: Path) -> Acquisition:
    from .read import read

    return read(settings, path)


def _problem(settings: CellSettings, acquisition: Acquisition, _work: "Workplace | None" = None) -> "Problem":
    from .problem import problem

    return problem(settings, acquisition)


def _simulate(settings: CellSettings, progress: Progress = silent) -> Acquisition:
    from .simulation import simulate

    return simulate(settings, progress)


def _estimate(settings: CellSettings, acquisition: Acquisition | None) -> "Estimate":
    from .estimate import estimate

    return estimate(settings, acquisition)


def _score(result: Any, truth: Volume, register: bool = False) -> dict[str, float]:
    from .score import score

    return score(result, truth, register=register)


KIND = Kind(
    name="cell",
    summary="refractive index of a cell, from images under tilted or patterned light, several foci, or turning",
    settings=CellSettings,
    schema=SCHEMA,
    quantities=(
        Quantity("refractive_index", "1", "real part of the refractive index"),
        Quantity("absorption", "1", "imaginary part of the refractive index"),
    ),
    validate=_validate,
    read=_read,
    problem=_problem,
    simulate=_simulate,
    estimate=_estimate,
    score=_score,
    smaller="crop or bin the images, widen volume.spacing, or use a machine with more memory",
)
