"""Options for what a file leaves open: kind, channel, time, labels and medium of a volume, position in a series."""

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

import click

from .options import KIND, kind_name

F = TypeVar("F", bound=Callable[..., Any])


def _kind(context: click.Context, param: click.Parameter, value: str | None) -> str:
    return "" if value is None else kind_name(context, param, value)


def specimen_options(command: F) -> F:
    """Add options for volumes of other programs, and for series: an argument ``opening: SpecimenOptions``.

    The command has an option ``--spacing`` of its own, whose value is passed on, and may have ``--quantity``; else that
    is added, and passed on too.
    """
    own = {option for name in getattr(command, "__click_params__", ()) for option in name.opts}

    @click.option("--kind", **KIND | {"callback": _kind}, help="Kind of specimen, for a volume that does not give it.")
    @click.option("--time", type=click.IntRange(0), help="Number of the time, of a stack with several.")
    @click.option(
        "--at",
        metavar="POSITION",
        help="Position in the model of a series, such as time=12.5s, first or last; last by default, with a warning.",
    )
    @click.option("--position", metavar="NAME", help="Name or number of the stage's position, of a file with several.")
    @click.option("--label", type=click.IntRange(1), help="Number of the only label, of a stack of labels.")
    @click.option(
        "--labels/--no-labels",
        "labels",
        default=None,
        help="Take whole numbers as labels, each of one body, or as grey values; by default they are told apart.",
    )
    @click.option(
        "--medium-index",
        "medium",
        type=click.FloatRange(1, 3),
        help="Refractive index of the medium, for a volume of a cell that does not give it.",
    )
    @wraps(command)
    def wrapper(
        *args: Any,
        kind: str,
        time: int | None,
        at: str | None,
        position: str | None,
        label: int | None,
        labels: bool | None,
        medium: float | None,
        spacing: tuple[float, float, float] | None = None,
        **kwargs: Any,
    ) -> Any:
        from ..recon.experiments.specimens import SpecimenOptions
        from ..recon.io.metadata import VolumeOptions

        quantity = None if "--quantity" in own else kwargs.pop("quantity")
        reading = VolumeOptions(spacing=spacing, quantity=quantity, time=time, position=position, at=at)
        return command(*args, opening=SpecimenOptions(reading, kind, labels, label, medium), **kwargs)

    if "--quantity" not in own:
        wrapper = click.option(
            "--quantity",
            "--channel",
            "quantity",
            metavar="NAME",
            help="Name or number of the quantity or channel, if there are many.",
        )(wrapper)
    return wrapper  # type: ignore[return-value]
