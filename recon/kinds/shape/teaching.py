"""What `unflat train` asks of a config for shapes before the training: what it learns from, and what may grow."""

from pathlib import Path

from .settings import ShapeSettings


def data_of(settings: ShapeSettings) -> Path | None:
    """The cells of known shape that the config names."""
    return None if settings.train.data is None else Path(settings.train.data)


def may_grow(settings: ShapeSettings) -> tuple[str, ...]:
    """What may be larger when a training goes on: of a cross-validation nothing.

    Its networks are trained one after the other, and of those that are done only the weights are kept: they could not
    take more steps, and would be fewer steps old than the others.
    """
    return () if settings.train.folds else ("train.steps",)
