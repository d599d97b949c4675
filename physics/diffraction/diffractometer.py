"""Diffractometers: their circles, and the steps of q along the axes of a rocking curve.

The laboratory's frame is right-handed: z along the beam, y up, and x across, so that a rotation about y takes z to x.
Vectors are written in the order (z, y, x). Circles are listed from the outermost, which carries the others, to the
innermost; the detector at rest faces the beam from +z.

    k_in = k ẑ,  k_out = k n̂,  n ∥ R_detector (D ẑ + pixels),  q = k_out − k_in,  k = 2π/λ

One pixel p further along a unit vector e of the detector at rest changes q by (k p/|n|) (1 − n̂ n̂ᵀ) R_detector e. When
the crystal turns by dθ about an axis a (as the circles outside it have turned that axis), a fixed q of the laboratory
moves through the crystal by −dθ a × q: Pfeifer et al., Nature 442, 63 (2006), supplement. When a circle of the detector
turns by dθ about an axis b, a pixel's own q changes by dθ b × k_out. Motions of several circles add; a circle that
carries both crystal and detector has both terms.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from ..rotation import rotation_matrix

Vector = Float[np.ndarray, " 3"]
Basis = Float[np.ndarray, "3 3"]

DIRECTIONS = ("x", "-x", "y", "-y", "z", "-z")
_AXES = {"x": (1.0, 0.0, 0.0), "y": (0.0, 1.0, 0.0), "z": (0.0, 0.0, 1.0)}
_FORWARD = np.array([1.0, 0.0, 0.0])
"""Direction (z, y, x) of the beam."""


@dataclass(frozen=True)
class Circle:
    """Circle of a diffractometer.

    Args:
        name: Name in the scan's file.
        axis: Axis ``x``, ``y`` or ``z`` of right-handed rotation; ``-x`` is left-handed.
        rest: [rad] Reading without rotation.

    Raises:
        ValueError: If the axis is none of the six.
    """

    name: str
    axis: str
    rest: float = 0.0

    def __post_init__(self) -> None:
        if self.axis not in DIRECTIONS:
            raise ValueError(f"circle {self.name!r} turns about {self.axis!r}; axes are {', '.join(DIRECTIONS)}")

    @classmethod
    def parse(cls, text: str) -> "Circle":
        """Read ``eta -x``: a name, and the axis about which it turns right-handed.

        Raises:
            ValueError: If it is not of this form.
        """
        words = text.split()
        if len(words) != 2:
            raise ValueError(f"{text!r} is no circle; write its name and its axis, as 'eta -x'")
        return cls(words[0], words[1])

    def rotation(self, angle: float) -> Basis:
        """Compute the rotation matrix at a reading [rad]."""
        sign = -1.0 if self.axis.startswith("-") else 1.0
        return rotation_matrix(_AXES[self.axis[-1]], sign * (angle - self.rest))


@dataclass(frozen=True)
class Diffractometer:
    """Circles of a beamline, and the directions of its detector's rows and columns.

    Args:
        sample: Circles that carry the crystal, the outermost first.
        detector: Circles that carry the detector, the outermost first.
        rows: Direction of increasing rows, for the detector at rest: ``-y`` is down.
        columns: Direction of increasing columns.

    Raises:
        ValueError: If no circle turns the crystal, two circles share a name, or rows and columns are parallel. One
            circle may carry both crystal and detector.
    """

    sample: tuple[Circle, ...]
    detector: tuple[Circle, ...]
    rows: str
    columns: str

    def __post_init__(self) -> None:
        twice = _name_of_two(self.sample) or _name_of_two(self.detector) or _name_of_two(self.circles)
        if twice is not None:
            raise ValueError(f"two circles are named {twice!r}")
        if not self.sample:
            raise ValueError("no circle turns the crystal")
        if not {self.rows, self.columns} <= set(DIRECTIONS) or self.rows[-1] == self.columns[-1]:
            raise ValueError(f"rows along {self.rows!r} and columns along {self.columns!r} are no two directions")

    @property
    def circles(self) -> tuple[Circle, ...]:
        """All circles: the crystal's, then the detector's; one that carries both is listed once."""
        return tuple(dict.fromkeys((*self.sample, *self.detector)))


@dataclass(frozen=True)
class Goniometer:
    """Positions of a diffractometer's circles during a rocking curve.

    Args:
        machine: Diffractometer.
        angles: [rad] Readings by circle, one number or one for each frame; a circle that is left out is at rest. A
            circle with one reading for each frame moves evenly, along the straight line through its readings.
        scanned: Name of the circle that turns the crystal from frame to frame, most of several.
        direct_beam: Pixel (y, x) at which the detector's angles point; None for the middle of the frames.
    """

    machine: Diffractometer
    angles: Mapping[str, np.ndarray]
    scanned: str
    direct_beam: tuple[float, float] | None = None

    @property
    def steps(self) -> dict[str, float]:
        """[rad] Rotation from frame to frame of each circle with a reading for each frame."""
        return {name: float(_line(readings)[0]) for name, readings in self.angles.items() if np.size(readings) > 1}

    def at(self, frame: float) -> dict[str, float]:
        """Compute the reading [rad] of every circle in one frame."""
        angles = {circle.name: circle.rest for circle in self.machine.circles}
        lines = {name: _line(readings) for name, readings in self.angles.items()}
        return angles | {name: float(slope * frame + start) for name, (slope, start) in lines.items()}


@dataclass(frozen=True)
class DetectorView:
    """X-rays and the detector's pixels, as one point of the detector sees them.

    Args:
        wavelength: [m] Wavelength of the X-rays.
        distance: [m] Distance of the detector from the crystal.
        pixel_size: [m] Size of the detector's pixels (y, x).
        offset: [pixel] From the point at which the detector's angles point to the one that is seen (y, x).
    """

    wavelength: float
    distance: float
    pixel_size: tuple[float, float]
    offset: tuple[float, float] = (0.0, 0.0)


@dataclass(frozen=True)
class Reflection:
    """Position and steps of a rocking curve in reciprocal space.

    Args:
        basis: [1/m] Rows: change of q for one step of (frame, y, x), laboratory (z, y, x).
        bragg_vector: [1/m] q at the middle of the frames.
    """

    basis: Basis
    bragg_vector: Vector


def compute_reflection(
    machine: Diffractometer, angles: Mapping[str, float], steps: Mapping[str, float], view: DetectorView
) -> Reflection:
    """Compute the Bragg vector and the steps of q.

    Args:
        machine: Diffractometer.
        angles: [rad] Reading of every circle by its name, in the middle of the scan.
        steps: [rad] Rotation from frame to frame of the circles that move.
        view: Detector, seen at the middle of the frames.

    Raises:
        ValueError: If a circle that moves is not one of the diffractometer's.
    """
    motions = compute_motions(machine, angles, view)
    unknown = [name for name in steps if name not in motions]
    if unknown:
        raise ValueError(f"there is no circle {unknown[0]!r}; there are {', '.join(motions)}")
    k = 2 * np.pi / view.wavelength
    detector = _combined_rotation(machine.detector, angles)
    pixels = _pixels(machine, view)
    pointing = detector @ _point(pixels, view)
    far = float(np.linalg.norm(pointing))
    across = np.eye(3) - np.outer(pointing, pointing) / far**2
    rows, columns = (k / far * (across @ detector @ pixel) for pixel in pixels)
    frames = sum((step * motions[name] for name, step in steps.items()), np.zeros(3))
    return Reflection(np.stack([frames, rows, columns]), k * (pointing / far - _FORWARD))


def compute_motions(machine: Diffractometer, angles: Mapping[str, float], view: DetectorView) -> dict[str, Vector]:
    """Compute the change of q in the crystal [1/m per rad] as each circle turns, laboratory (z, y, x).

    Args:
        machine: Diffractometer.
        angles: [rad] Reading of every circle by its name.
        view: Detector, seen at the point whose q is meant.
    """
    k = 2 * np.pi / view.wavelength
    pointing = _combined_rotation(machine.detector, angles) @ _point(_pixels(machine, view), view)
    out = k * pointing / np.linalg.norm(pointing)
    motions = {circle.name: np.zeros(3) for circle in machine.circles}
    for circles, vector in ((machine.sample, k * _FORWARD - out), (machine.detector, out)):
        for position, circle in enumerate(circles):
            axis = _combined_rotation(circles[:position], angles) @ _direction(circle.axis)
            motions[circle.name] = motions[circle.name] + _cross(axis, vector)
    return motions


def _pixels(machine: Diffractometer, view: DetectorView) -> list[Vector]:
    """Return the steps [m] of one pixel along (y, x), on the detector at rest."""
    directions = (machine.rows, machine.columns)
    return [size * _direction(name) for size, name in zip(view.pixel_size, directions, strict=True)]


def _point(pixels: Sequence[Vector], view: DetectorView) -> Vector:
    """Return the point [m] that is seen, on the detector at rest."""
    return np.asarray(view.distance * _FORWARD + view.offset[0] * pixels[0] + view.offset[1] * pixels[1])


def _line(readings: np.ndarray) -> tuple[float, float]:
    """Fit a straight line to readings of the frames 0, 1, 2, …: slope and start; a single reading has no slope."""
    values = np.ravel(readings)
    if len(values) < 2:
        return 0.0, float(values[0])
    slope, start = np.polyfit(np.arange(len(values)), values, 1)
    return float(slope), float(start)


def _name_of_two(circles: Sequence[Circle]) -> str | None:
    """Name that two of the circles share; None if all differ."""
    names = [circle.name for circle in circles]
    return next((name for name in names if names.count(name) > 1), None)


def _combined_rotation(circles: Sequence[Circle], angles: Mapping[str, float]) -> Basis:
    matrix = np.eye(3)
    for circle in circles:
        matrix = matrix @ circle.rotation(angles[circle.name])
    return matrix


def _direction(name: str) -> Vector:
    sign = -1.0 if name.startswith("-") else 1.0
    return sign * np.array(_AXES[name[-1]])[::-1]


def _cross(one: Vector, other: Vector) -> Vector:
    """Compute the cross product of a right-handed (x, y, z) for vectors written (z, y, x)."""
    return np.asarray(np.cross(one[::-1], other[::-1])[::-1])
