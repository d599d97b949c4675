"""Descriptions of the light: the eight orientations of its directions, both signs of the focus, and their settings."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from ....physics.optics.microscope import Illumination
from .config_acquisition import CellAcquisition
from .illumination import DIRECTIONS
from .light_names import ORIENTATIONS
from .schema import illumination_mode

AXES: tuple[tuple[str, str], ...] = (
    ("y", "x"),
    ("-x", "y"),
    ("-y", "-x"),
    ("x", "-y"),
    ("-y", "x"),
    ("y", "-x"),
    ("x", "y"),
    ("-x", "-y"),
)
"""Directions along which the two components of the light lie, for each orientation; the first is that described."""


class Description(NamedTuple):
    """A description of the light.

    Args:
        orientation: Index in `AXES`.
        reverses_focus: Whether the positions of the focal plane are negated.
    """

    orientation: int = 0
    reverses_focus: bool = False

    @property
    def name(self) -> str:
        """Name for people."""
        names = [ORIENTATIONS[self.orientation]] if self.orientation or not self.reverses_focus else []
        return ", ".join([*names, "focus reversed"] if self.reverses_focus else names)

    @property
    def matrix(self) -> Float[np.ndarray, "2 2"]:
        """Matrix whose rows are the directions of the two components: na @ matrix is turned or mirrored."""
        return np.array([DIRECTIONS[axis] for axis in AXES[self.orientation]])

    def light(self, described: Illumination) -> Illumination:
        """Turn or mirror the described light."""
        focus = -described.defocus if self.reverses_focus else described.defocus
        return Illumination(described.na @ self.matrix, described.weights, focus)


def settings_of(description: Description, config: CellAcquisition) -> list[str]:
    """List the settings that describe the light so, as ``--set`` takes them."""
    settings = [f"acquisition.reverse_defocus={str(not config.reverse_defocus).lower()}"]
    if not description.reverses_focus:
        settings = []
    if not description.orientation:
        return settings
    correction = config.light_correction
    if illumination_mode(config) == "led_grid" and config.led_grid and is_uncorrected(config):
        rows, columns = (_turned(axis, description) for axis in (config.led_grid.row_axis, config.led_grid.column_axis))
        return [f"acquisition.led_grid.row_axis={rows}", f"acquisition.led_grid.column_axis={columns}", *settings]
    axes = ",".join(_turned(axis, description) for axis in correction.axes)
    changed = [f"acquisition.light_correction.axes=[{axes}]"]
    if correction.turn and np.linalg.det(description.matrix) < 0:
        changed.append(f"acquisition.light_correction.turn={-np.rad2deg(correction.turn):g} deg")
    if any(correction.shift):
        y, x = (np.array(correction.shift) @ description.matrix).tolist()
        changed.append(f"acquisition.light_correction.shift=[{y:.4g},{x:.4g}]")
    return [*changed, *settings]


def is_uncorrected(config: CellAcquisition) -> bool:
    """Whether directions of the described light are those of the light, so that axes and centre of an array apply."""
    correction = config.light_correction
    return correction.turn == 0 and correction.axes == ("y", "x") and not any(correction.shift)


def _turned(axis: str, description: Description) -> str:
    """Name the direction that an axis of the described light takes."""
    direction = np.array(DIRECTIONS[axis]) @ description.matrix
    return next(name for name, vector in DIRECTIONS.items() if np.allclose(vector, direction))
