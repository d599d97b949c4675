"""Methods of reconstruction and training that kinds of experiment may offer."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Method:
    """Method of reconstruction or training; each is a command of the same name.

    Args:
        name: Name of the method and its command.
        hook: Member of `Experiment` that a kind overrides to offer the method.
        missing: Message for a kind that does not offer it, with ``{kind}`` for the kind's name.
        outputs: Names and patterns of the files that it leaves for people.
        convolutional: Whether convolutions are most of the work.
        joint: Whether several processes compute each step together, and not parts of the work by themselves.
    """

    name: str
    hook: str
    missing: str
    outputs: tuple[str, ...]
    convolutional: bool = False
    joint: bool = False


METHODS = {
    method.name: method
    for method in (
        Method("fit", "likelihood", "no neural field is fitted to a {kind} yet", ("model.h5", "volume.h5"), joint=True),
        Method("phase", "phase", "a {kind}'s measurement is not phased by projections", ("volume.h5",)),
        Method(
            "predict",
            "predict",
            "there is no network that predicts a {kind}",
            ("model.h5", "models", "volume.h5", "cells.csv", "scores.csv", "classes.csv", "network.h5"),
            convolutional=True,
        ),
        Method(
            "train",
            "train",
            "there is no network for a {kind} to train",
            ("network.h5", "network-*.h5", "teacher.h5", "teacher-*.h5", "metrics.jsonl"),
            convolutional=True,
            joint=True,
        ),
    )
}
RECONSTRUCTIONS = ("fit", "phase", "predict")
"""Methods that reconstruct a measurement."""
