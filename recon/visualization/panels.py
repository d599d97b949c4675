"""Panels of a live view: pictures that a kind of experiment draws of a run, with parameters that the user sets."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from ..sampled import Sampled
from .style import DIFFERENCE_COLOURS, IMAGE_COLOURS, colour_range


@dataclass(frozen=True)
class PanelSubject:
    """Part of a run that a panel shows.

    Args:
        folder: Folder of the run, or a file.
        specimen: Draw of a specimen that the view shows; None while there is no result.
        cell: Number of the specimen.
    """

    folder: Path
    specimen: Sampled | None
    cell: int = 0


@dataclass(frozen=True)
class PanelParameter:
    """A number that the user sets.

    Args:
        name: Name in requests.
        title: Title beside the control.
        low: Smallest value.
        high: Largest value.
        step: Step of the control.
        value: Value at first.
        unit: Unit; lengths are in metres.
    """

    name: str
    title: str
    low: float
    high: float
    step: float
    value: float
    unit: str = ""


@dataclass(frozen=True)
class PanelImage:
    """A picture of a panel.

    Args:
        title: Title.
        values: Values; NaN where there is none.
        low: Value of the first colour.
        high: Value of the last colour.
        caption: Further sentence.
        colours: Name of the colour map.
        unit: Unit of the values.
        pixel: [m] Size of a pixel; None where it is not known.
        scale: ``linear``, or ``log`` for values whose logarithm is shown.
    """

    title: str
    values: Float[np.ndarray, "h w"]
    low: float
    high: float
    caption: str = ""
    colours: str = IMAGE_COLOURS
    unit: str = ""
    pixel: float | None = None
    scale: str = "linear"


@dataclass(frozen=True)
class PanelContent:
    """Pictures of a panel, and a sentence on them."""

    images: tuple[PanelImage, ...] = ()
    text: str = ""


@dataclass(frozen=True)
class Panel:
    """A panel of the live view.

    Args:
        name: Name in requests.
        title: Title.
        parameters: Numbers that the user sets.
        draw: Function that draws the pictures for values of the parameters by name. It raises a `ConfigError` for
            values that cannot be, and a `DataError` where files of the run are damaged.
    """

    name: str
    title: str
    draw: Callable[[Mapping[str, float]], PanelContent]
    parameters: tuple[PanelParameter, ...] = ()


def difference_image(
    title: str, values: Float[np.ndarray, "h w"], pixel: float | None = None, caption: str = "", unit: str = ""
) -> PanelImage:
    """Make the picture of a difference, white at 0."""
    low, high = colour_range(np.abs(values), 0.0, outliers=2e-3)
    bound = max(abs(low), abs(high))
    return PanelImage(title, values, -bound, bound, caption, DIFFERENCE_COLOURS, unit, pixel)
