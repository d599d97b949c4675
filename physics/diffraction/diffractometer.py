"""Diffractometers: their circles, and the steps of q along the axes of a rocking curve.

The laboratory's frame is right-handed: z along the beam, y up, and x across, so that a rotation about y takes z to x.
Vectors are written in the order (z, y, x). Circles are listed from the outermost, which carries the others, to the
innermost; the detector at rest faces the beam from +z.

    k_in = k ẑ,  k_out = k n̂,  n ∥ R_detector (D ẑ + pixels),  q = k_out − k_in,  k = 2π/λ

One pixel p further along a unit vector e of the detector at rest changes q by (k p/|n|) (1 − n̂ n̂ᵀ) R_detector e. When
the crystal turns by dθ about an axis a (as the circles outside it have turned that axis), a fixed q of the laboratory
moves through the crystal by −dθ a × q: Pfeifer et al., Nature 442, 63 (2006), supplement.

The circles and senses of the beamlines are those of cohere (cohere-ui, ``aps_34idc``) for 34-ID-C; of bcdi
(``DiffractometerID01``, ``DiffractometerP10``, and the beamlines' detector orientations) and cdiutils
(``Geometry.from_setup``), which agree, in this same frame (z downstream, y up, x outboard), for ID01 and P10.
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
        ValueError: If no circle turns the crystal, two circles share a name, or rows and columns are parallel.
    """

    sample: tuple[Circle, ...]
    detector: tuple[Circle, ...]
    rows: str
    columns: str

    def __post_init__(self) -> None:
        names = [circle.name for circle in self.circles]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise ValueError(f"two circles are named {twice!r}")
        if not self.sample:
            raise ValueError("no circle turns the crystal")
        if not {self.rows, self.columns} <= set(DIRECTIONS) or self.rows[-1] == self.columns[-1]:
            raise ValueError(f"rows along {self.rows!r} and columns along {self.columns!r} are no two directions")

    @property
    def circles(self) -> tuple[Circle, ...]:
        """All circles: the crystal's, then the detector's."""
        return (*self.sample, *self.detector)


APS_34IDC = Diffractometer(
    (Circle("Theta", "y"), Circle("Chi", "-z"), Circle("Phi", "y")),
    (Circle("Delta", "y"), Circle("Gamma", "-x")),
    rows="-y",
    columns="x",
)
ESRF_ID01 = Diffractometer(
    (Circle("mu", "-y"), Circle("eta", "-x"), Circle("phi", "-y")),
    (Circle("nu", "-y"), Circle("delta", "-x")),
    rows="-y",
    columns="x",
)
PETRA_P10 = Diffractometer(
    # The chi stage is upright at 90 degrees (bcdi's default offset).
    (Circle("mu", "y"), Circle("om", "-x"), Circle("chi", "z", rest=np.pi / 2), Circle("phi", "-y")),
    (Circle("gamma", "y"), Circle("delta", "-x")),
    rows="-y",
    columns="-x",
)
BEAMLINES = {"34-ID-C": APS_34IDC, "ID01": ESRF_ID01, "P10": PETRA_P10}
"""Diffractometers by the beamline's name."""


@dataclass(frozen=True)
class Goniometer:
    """Positions of a diffractometer's circles during a rocking curve.

    Args:
        machine: Diffractometer.
        angles: [rad] Readings by circle, one number or one for each frame; a circle that is left out is at rest.
        scanned: Name of the circle that turns from frame to frame.
        direct_beam: Pixel (y, x) at which the detector's angles point; None for the middle of the frames.
    """

    machine: Diffractometer
    angles: Mapping[str, np.ndarray]
    scanned: str
    direct_beam: tuple[float, float] | None = None

    @property
    def step(self) -> float:
        """[rad] Rotation from frame to frame, by a straight line through the readings."""
        readings = np.ravel(self.angles[self.scanned])
        return float(np.polyfit(np.arange(len(readings)), readings, 1)[0])

    def at(self, frame: float) -> dict[str, float]:
        """Compute the reading [rad] of every circle in one frame."""
        angles = {circle.name: circle.rest for circle in self.machine.circles}
        angles |= {name: float(np.mean(values)) for name, values in self.angles.items()}
        middle = (np.size(self.angles[self.scanned]) - 1) / 2
        return angles | {self.scanned: angles[self.scanned] + (frame - middle) * self.step}


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
    machine: Diffractometer,
    angles: Mapping[str, float],
    scanned: str,
    step: float,
    *,
    wavelength: float,
    distance: float,
    pixel_size: Sequence[float],
    offset: tuple[float, float] = (0.0, 0.0),
) -> Reflection:
    """Compute the Bragg vector and the steps of q.

    Args:
        machine: Diffractometer.
        angles: [rad] Reading of every circle by its name, in the middle of the scan.
        scanned: Name of the sample's circle that turns from frame to frame.
        step: [rad] Rotation from frame to frame.
        wavelength: [m] Wavelength of the X-rays.
        distance: [m] Distance of the detector from the crystal.
        pixel_size: [m] Size of the detector's pixels (y, x).
        offset: [pixel] From the point at which the detector's angles point to the middle of the frames (y, x).

    Raises:
        ValueError: If the scanned circle is not one of the sample's.
    """
    names = [circle.name for circle in machine.sample]
    if scanned not in names:
        raise ValueError(f"the circle {scanned!r} does not turn the crystal; those that do are {', '.join(names)}")
    k = 2 * np.pi / wavelength
    forward = np.array([1.0, 0.0, 0.0])
    detector = _combined_rotation(machine.detector, angles)
    pixels = [size * _direction(name) for size, name in zip(pixel_size, (machine.rows, machine.columns), strict=True)]
    pointing = detector @ (distance * forward + offset[0] * pixels[0] + offset[1] * pixels[1])
    far = float(np.linalg.norm(pointing))
    q = k * (pointing / far - forward)
    across = np.eye(3) - np.outer(pointing, pointing) / far**2
    rows, columns = (k / far * (across @ detector @ pixel) for pixel in pixels)
    position = names.index(scanned)
    axis = _combined_rotation(machine.sample[:position], angles) @ _direction(machine.sample[position].axis)
    return Reflection(np.stack([-step * _cross(axis, q), rows, columns]), q)


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
