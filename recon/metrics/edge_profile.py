"""Line profiles through a volume, and the widths of its edges along them.

Values between samples come from cubic splines; real quantities only. An edge is fitted by a blurred step

    a(s) = ½ A [1 + erf(±(s − s₀)/(√2 σ))]

whose width from 10 to 90 % is 2.563 σ: the image of a sharp face under a Gaussian of full width 2.355 σ.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from ..errors import DataError
from ..sampled import Points, Quantity
from ..volume import Volume

TEN_TO_NINETY = 2.5631
"""Width of a blurred step from 10 to 90 %, in standard deviations."""
_FIT_SAMPLES = 5.0
"""Samples on either side of an edge to which its step is fitted."""
_POINTS_PER_SAMPLE = 2
"""Points of a line for each sample."""
_LEAST_PLATEAU_POINTS = 6
"""Points of a plateau that an edge needs."""


@dataclass(frozen=True)
class Line:
    """Values along a line.

    Args:
        name: ``z``, ``y`` or ``x``.
        position: [m] Distance along the line, 0 at the middle of the specimen.
        points: [m] Points (z, y, x).
        values: Values by the quantity's name.
        quantities: Unit and meaning of each.
    """

    name: str
    position: Float[np.ndarray, " n"]
    points: Points
    values: dict[str, Float[np.ndarray, " n"]]
    quantities: tuple[Quantity, ...]


@dataclass(frozen=True)
class Edge:
    """A blurred step.

    Args:
        place: [m] Position of the half level along the line.
        width: [m] Width from 10 to 90 %.
    """

    place: float
    width: float


def sample_central_lines(volume: Volume, names: Sequence[str] = ()) -> tuple[Line, Line, Line]:
    """Sample quantities along z, y and x through the middle of the specimen in a volume."""
    middle = centre_of_mass(volume)
    quantities = tuple(volume.quantity(name) for name in names) or volume.real_quantities
    lines = []
    for axis, name in enumerate("zyx"):
        own = (volume.z, volume.y, volume.x)[axis]
        places = np.linspace(own[0], own[-1], _POINTS_PER_SAMPLE * (len(own) - 1) + 1)
        points = np.tile(middle, (len(places), 1))
        points[:, axis] = places
        table = volume.at(points, [q.name for q in quantities])
        values = {q.name: table[:, i] for i, q in enumerate(quantities)}
        lines.append(Line(name, places - middle[axis], points, values, quantities))
    return lines[0], lines[1], lines[2]


def centre_of_mass(volume: Volume) -> Float[np.ndarray, " 3"]:
    """[m] Centre of mass (z, y, x) of the support, or of the main quantity's modulus.

    Raises:
        DataError: If the volume is empty.
    """
    weight = np.abs(volume.values.get("support", volume.main)).astype(np.float64)
    if not weight.sum() > 0:
        raise DataError("the volume is empty: it has no middle")
    sums = [weight.sum(axis=tuple(i for i in range(3) if i != axis)) for axis in range(3)]
    axes = (volume.z, volume.y, volume.x)
    return np.array([float((line * axis).sum() / line.sum()) for line, axis in zip(sums, axes, strict=True)])


def fit_edges(line: Line, name: str) -> tuple[Edge, ...]:
    """Fit the outermost edges of a line: the first rise to half of its plateau, and the last fall below it.

    Args:
        line: Line through a specimen.
        name: Quantity that is 0 outside the specimen.

    Returns:
        Two edges; fewer where the line ends before one, or no step can be fitted.
    """
    values, position = line.values[name], line.position
    above = values[values > 0.5 * np.percentile(values, 98)]
    if len(above) < _LEAST_PLATEAU_POINTS:
        return ()
    plateau = float(np.median(above))
    inner = np.flatnonzero(values > plateau / 2)
    fitted = [
        _edge(position, values, int(inner[0]), plateau),
        _edge(-position[::-1], values[::-1], len(values) - 1 - int(inner[-1]), plateau),
    ]
    signs = (1.0, -1.0)
    return tuple(Edge(sign * e.place, e.width) for sign, e in zip(signs, fitted, strict=True) if e is not None)


def median_edge_width(volume: Volume, name: str) -> float:
    """[m] Median width of the edges along z, y and x, from 10 to 90 %; NaN where there is none."""
    widths = [edge.width for line in sample_central_lines(volume, (name,)) for edge in fit_edges(line, name)]
    return float(np.median(widths)) if widths else float("nan")


def write_csv(lines: Sequence[Line], path: Path, unit: str = "m") -> None:
    """Write lines as one table: name of the line, position, point and values, with units in the header."""
    quantities = lines[0].quantities
    head = ["line", *(f"{name} [{unit}]" for name in ("position", "z", "y", "x"))]
    head += [f"{quantity.name} [{quantity.unit}]" for quantity in quantities]
    rows = [",".join(head)]
    for line in lines:
        columns = [line.position, *line.points.T, *(line.values[quantity.name] for quantity in quantities)]
        rows += [",".join([line.name, *(f"{number:.9g}" for number in row)]) for row in np.stack(columns, axis=-1)]
    path.write_text("\n".join(rows) + "\n", "utf-8")


def _edge(
    position: Float[np.ndarray, " n"], values: Float[np.ndarray, " n"], first: int, plateau: float
) -> Edge | None:
    """Fit a rising step around the first sample above half of the plateau; None if no step fits."""
    from scipy.optimize import curve_fit
    from scipy.special import erf

    step = float(position[1] - position[0])
    reach = round(_FIT_SAMPLES * _POINTS_PER_SAMPLE)
    near = slice(max(first - reach, 0), first + reach + 1)
    if first == 0 or near.stop > len(values):
        return None

    def blurred(s: np.ndarray, place: float, sigma: float, level: float) -> np.ndarray:
        return np.asarray(level / 2 * (1 + erf((s - place) / (np.sqrt(2) * sigma))))

    guess = (float(position[first]), _POINTS_PER_SAMPLE * step, plateau)
    low = (float(position[near][0]), 0.05 * step, 0.5 * plateau)
    high = (float(position[near][-1]), reach * step, 2.0 * plateau)
    try:
        fitted, _ = curve_fit(blurred, position[near], values[near], guess, bounds=(low, high))
    except (RuntimeError, ValueError):  # It did not converge: no step.
        return None
    return Edge(float(fitted[0]), TEN_TO_NINETY * float(fitted[1]))
