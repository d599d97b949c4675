"""The cells that a folder or a file holds, before they are brought to one grid."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ...acquisition.crops import Crop
from ...errors import ConfigError, Fault
from ...settings.fields import selected
from .acquisition_settings import ShapeAcquisition

_MOST = 20
"""Faults that are told one by one."""


@dataclass(frozen=True)
class Found:
    """Cells, as large as they were found.

    Args:
        crops: The cells.
        size: Pixels along each edge of the grid that they are brought to.
        several: What is to be done with a mask of two cells, as `crop_faults` takes it.
        attributes: Plain facts of all of them.
        places: Where each array was found, as messages name it.
        faults: Of the files whose cells are not among them.
    """

    crops: Sequence[Crop]
    size: int
    several: str
    attributes: Mapping[str, float | str] = field(default_factory=dict)
    places: Mapping[str, str] = field(default_factory=dict)
    faults: Sequence[Fault] = ()


def chosen(wanted: ShapeAcquisition, counts: Sequence[int]) -> list[tuple[int, int]]:
    """Say which cells are wanted: the number of the picture, and that of the cell in it, for each.

    Args:
        wanted: The config.
        counts: Cells in each picture.

    Raises:
        ConfigError: If there is no such cell.
    """
    cells = [(picture, cell) for picture, count in enumerate(counts) for cell in range(count)]
    try:
        return [cells[i] for i in selected(wanted.cells, len(cells))]
    except ValueError as error:
        message = str(error).replace("view", "cell")
        raise ConfigError(Fault("acquisition.cells", message, f"there are cells 0 to {len(cells) - 1}")) from error


def few(faults: list[Fault], path: Path) -> list[Fault]:
    """The first of many faults, and how many more there are."""
    unique = list(dict.fromkeys(faults))
    more = len(unique) - _MOST
    return unique if more <= 0 else [*unique[:_MOST], Fault(str(path), f"and {more} more faults like these")]
