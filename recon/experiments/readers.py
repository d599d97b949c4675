"""Readers of instrument formats that the experiments add to the generic ones."""

from ..io.open import Reader


def instrument_readers() -> tuple[Reader, ...]:
    """Collect the readers of all experiments, to open a path whose kind of experiment is unknown."""
    from .crystal.aps_34idc import READER

    return (READER,)
