"""Formats of the experiments' own, beside the generic ones of ``io``."""

from ..io.inspect import Describer
from ..io.open import Reader


def instrument_readers() -> tuple[Reader, ...]:
    """Collect the readers of all experiments, to open a path whose kind of experiment is unknown."""
    from .crystal.aps_34idc import READER

    return (READER,)


def describers() -> tuple[Describer, ...]:
    """Collect the functions of all experiments that describe formats without a tree of arrays."""
    from .shape.section_files import describe_folder

    return (describe_folder,)
