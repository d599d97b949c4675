"""Illumination: apertures of the light of each view, matrices of a turning specimen, and the instrument of both.

Apertures are n·sin θ along the image's (y, x), y down and x right; light of aperture na has the field
exp(2πi na·r/λ). They are the same in air and in the medium, because flat interfaces keep transverse frequencies. Angles
in the plane of the image go from +x towards +y.
"""

import numpy as np
from jaxtyping import Complex, Float, Num

from ....physics.optics.microscope import Illumination, Microscope
from ...acquisition import Acquisition
from ...volume import centred_axis
from .config_illumination import LightCorrection
from .schema import measured_views

DIRECTIONS = {"y": (1.0, 0.0), "-y": (-1.0, 0.0), "x": (0.0, 1.0), "-x": (0.0, -1.0)}


def led_grid_na(
    row_col: Num[np.ndarray, "view 2"],
    *,
    pitch: float,
    height: float,
    centre: tuple[float, float],
    row_axis: str = "y",
    column_axis: str = "x",
) -> Float[np.ndarray, "view 2"]:
    """Compute the apertures of the LEDs of a flat array.

    Args:
        row_col: Row and column of each view's LED.
        pitch: [m] Distance between neighbours.
        height: [m] Distance of the array from the specimen.
        centre: Row and column on the optical axis.
        row_axis: Direction (``y``, ``-y``, ``x``, ``-x``) in which the aperture grows with the row.
        column_axis: Direction in which the aperture grows with the column.

    Returns:
        sin θ in air along (y, x): position over distance.
    """
    offsets = (np.asarray(row_col, float) - np.asarray(centre, float)) * pitch
    return led_positions_na(offsets, height=height, row_axis=row_axis, column_axis=column_axis)


def led_positions_na(
    positions: Num[np.ndarray, "view 2"], *, height: float, row_axis: str = "y", column_axis: str = "x"
) -> Float[np.ndarray, "view 2"]:
    """Compute the apertures of LEDs in a plane.

    Args:
        positions: [m] Position of each view's LED along rows and columns, from the optical axis.
        height: [m] Distance of the plane from the specimen.
        row_axis: Direction (``y``, ``-y``, ``x``, ``-x``) in which the aperture grows with the row.
        column_axis: Direction in which the aperture grows with the column.

    Returns:
        sin θ in air along (y, x): position over distance.
    """
    distance = np.sqrt((positions**2).sum(axis=1, keepdims=True) + height**2)
    return np.asarray(positions / distance @ np.array([DIRECTIONS[row_axis], DIRECTIONS[column_axis]]))


def ring_na(
    views: int, *, na: float, count: int, start: float = 0.0, clockwise: bool = False
) -> Float[np.ndarray, "view 2"]:
    """Compute the apertures of evenly spaced directions on a cone.

    Args:
        views: Number of views, which take the first directions of the ring.
        na: Aperture of the ring.
        count: Directions on the whole ring.
        start: [rad] Angle of the first view, from +x towards +y.
        clockwise: Whether the views go from +x towards -y instead.

    Returns:
        Aperture (y, x) of each view.
    """
    turned = 2 * np.pi * np.arange(views) / count
    angle = start + (-turned if clockwise else turned)
    return na * np.stack([np.sin(angle), np.cos(angle)], axis=1)


def correct_directions(na: Float[np.ndarray, "n 2"], correction: LightCorrection) -> Float[np.ndarray, "n 2"]:
    """Apply a correction to apertures (y, x): its axes, then its scale and turn, then its shift."""
    along = na @ np.array([DIRECTIONS[axis] for axis in correction.axes])
    return np.asarray(correction.scale * along @ rotation_of(correction.turn).T + np.array(correction.shift))


def rotation_of(turn: float | int) -> Float[np.ndarray, "2 2"]:
    """Matrix that turns (y, x) by an angle [rad] from +x towards +y."""
    cosine, sine = np.cos(turn), np.sin(turn)
    return np.array([[cosine, sine], [-sine, cosine]])


def rotation_matrices(
    angles: Float[np.ndarray, " view"], axis: str, *, reverse: bool = False
) -> Float[np.ndarray, "view 3 3"]:
    """Compute the matrices that rotate the specimen's (z, y, x) into the laboratory's.

    A growing angle turns right-handed about the axis, where x is right, y down and z along the light: +z goes to +x
    about y, +y to +z about x, +x to +y about z.

    Args:
        angles: [rad] Angle of each view.
        axis: ``z``, ``y`` or ``x``.
        reverse: Whether to negate the angles.
    """
    place = {"z": 0, "y": 1, "x": 2}
    # A quarter turn carries the axis start into the axis end.
    start, end = {"y": ("z", "x"), "x": ("y", "z"), "z": ("x", "y")}[axis]
    first, second = place[start], place[end]
    cosine, sine = np.cos(angles), np.sin(-angles if reverse else angles)
    turned = np.zeros((len(angles), 3, 3))
    turned[:, place[axis], place[axis]] = 1
    turned[:, first, first] = turned[:, second, second] = cosine
    turned[:, second, first] = sine
    turned[:, first, second] = -sine
    return turned


def microscope_of(acquisition: Acquisition) -> Microscope:
    """Build the microscope of an acquisition.

    Raises:
        InstrumentError: If its numbers are impossible.
    """
    y, x = (float(size) for size in acquisition["pixel_size"])
    return Microscope(
        wavelength=float(acquisition["wavelength"]),
        numerical_aperture=float(acquisition["numerical_aperture"]),
        medium_index=float(acquisition["medium_index"]),
        pixel_size=(y, x),
    )


def illumination_of(acquisition: Acquisition) -> Illumination:
    """Build the illumination of each view: one plane wave, or several sources with their brightness.

    Raises:
        InstrumentError: If a view is dark.
    """
    views = len(measured_views(acquisition))
    defocus = acquisition["defocus"] if "defocus" in acquisition else np.zeros(views)
    if "pattern" not in acquisition:
        return Illumination.from_directions(acquisition["illumination_na"], defocus)
    # A view needs only the sources that shine in it: half of a condenser, a few of many LEDs.
    pattern = acquisition["pattern"]
    most = max(1, int((pattern > 0).sum(axis=1).max(initial=0)))
    lit = np.sort(np.argsort(-pattern, axis=1, kind="stable")[:, :most], axis=1)
    return Illumination(acquisition["source_na"][lit], np.take_along_axis(pattern, lit, axis=1), defocus)


def incident_wave(acquisition: Acquisition) -> Complex[np.ndarray, "view y x"]:
    """Compute the plane wave exp(2πi na·r/λ) of each view at the pixels of its complex field."""
    shape = acquisition["field"].shape[1:]
    y, x = (centred_axis(n, float(d)) for n, d in zip(shape, acquisition["pixel_size"], strict=True))
    cycles = acquisition["illumination_na"] / float(acquisition["wavelength"])
    along_y, along_x = np.exp(2j * np.pi * cycles[:, :1] * y), np.exp(2j * np.pi * cycles[:, 1:] * x)
    return np.asarray(along_y[:, :, None] * along_x[:, None, :], np.complex64)
