"""A specimen that turns once about the vertical."""

from collections.abc import Iterator

import numpy as np

from ..results import Result, background_of, quantity_of
from .frames import Frame, draw_frame
from .projection import Along, Projector, turned
from .style import colour_range, label_of


def spin_frames(
    result: Result,
    count: int = 60,
    *,
    elevation: float = 0.0,
    along: Along = "maximum",
    quantity: str | None = None,
    limits: tuple[float, float] | None = None,
    size: int = 480,
    samples: int = 128,
) -> Iterator[Frame]:
    """Draw the frames of one whole turn; after the last comes the first.

    Args:
        result: A model or a volume.
        count: Frames in the turn.
        elevation: [rad] From how far above it is seen.
        along: What of the values on the line of sight is shown.
        quantity: Which; the first, if absent.
        limits: Values of the first and the last colour; from the first frame and a quarter turn on if absent.
        size: [pixel] Width and height.
        samples: Samples along the box's longest edge.
    """
    projector = Projector(result, quantity=quantity, along=along, size=samples)
    angles = np.arange(count) / count * 2 * np.pi
    reach = np.max([projector.reach(turned(angle, elevation)) for angle in np.linspace(0, 2 * np.pi, 73)], axis=0)
    if limits is None:
        views = [projector(turned(angle, elevation)).values.ravel() for angle in (0.0, np.pi / 2)]
        limits = colour_range(np.concatenate(views), background_of(result, quantity))
    label = label_of(quantity_of(result, quantity))
    for angle in angles:
        plane = projector(turned(float(angle), elevation), reach)
        yield draw_frame(plane, limits, label, text=f"{np.degrees(angle):.0f}°", size=size)
