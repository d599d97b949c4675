"""What `unflat train` asks of a config for shapes before the training: what it learns from, and what may grow."""

from pathlib import Path

from .config import ShapeSettings


def data_of(settings: ShapeSettings) -> Path | None:
    """The cells of known shape that the config names."""
    return None if settings.train.data is None else Path(settings.train.data)


def may_grow(settings: ShapeSettings) -> tuple[str, ...]:
    """What may be larger when a training goes on: the steps of its last part; of a cross-validation nothing.

    Of what is done, be it a network of a cross-validation or one before it is distilled, only the weights are kept: it
    could not take more steps.
    """
    if settings.train.folds:
        return ()
    return ("train.distil",) if settings.train.distil else ("train.steps",)
