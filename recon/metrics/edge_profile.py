"""Line profiles through a sampled volume, and how sharp its edges are along them.

Values between samples come from cubic splines; real quantities only. An edge is fitted by a blurred step

    a(s) = ½ A [1 + erf(±(s − s₀)/(√2 σ))]

whose width from 10 to 90 % is 2.563 σ: what a point-spread function of the full width 2.355 σ makes of a sharp face.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from ..errors import DataError
from ..volume import Quantity, Volume

TEN_TO_NINETY = 2.5631
"""Width of a blurred step from 10 to 90 %, in standard deviations."""
_REACH = 5.0
"""Samples on either side of an edge to which its step is fitted."""
_FINER = 2
_LEAST = 6

Points = Float[np.ndarray, "n 3"]


@dataclass(frozen=True)
class Line:
    """Values along a line.

    Args:
        name: ``z``, ``y`` or ``x``; ``line`` for any other.
        position: [m] Along the line, 0 where it passes the crystal's middle, or at its first point.
        points: [m] Where (z, y, x).
        values: By the quantity's name.
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
        width: [m] From 10 to 90 %.
    """

    place: float
    width: float


def interpolate(volume: Volume, points: Points, names: Sequence[str] = ()) -> Float[np.ndarray, "n q"]:
    """Interpolate a volume's real quantities at any points; 0 outside its samples.

    Args:
        volume: The volume.
        points: [m] Places (z, y, x).
        names: Quantities; all real ones if none are named.

    Raises:
        DataError: If a quantity is complex, or there is none of that name.
    """
    from scipy.ndimage import map_coordinates

    chosen = [quantity.name for quantity in real_quantities(volume, names)]
    steps = np.array([step or 1.0 for step in volume.spacing])
    index = (points - [float(axis[0]) for axis in (volume.z, volume.y, volume.x)]) / steps
    inside = np.all((index > -0.501) & (index < np.array(volume.shape) - 0.499), axis=1)
    clipped = np.clip(index, 0, np.array(volume.shape) - 1).T
    columns = []
    for name in chosen:
        order = 0 if volume.values[name].dtype.kind in "biu" else 3  # A support is a choice, and no number.
        array = volume.values[name].astype(np.float64)
        columns.append(np.where(inside, map_coordinates(array, clipped, order=order, mode="mirror"), 0.0))
    return np.stack(columns, axis=-1)


def real_quantities(volume: Volume, names: Sequence[str] = ()) -> tuple[Quantity, ...]:
    """The quantities of those names; all that are real, if none are named.

    Raises:
        DataError: If one of them is complex, or absent.
    """
    for name in names:
        if name not in volume.values:
            raise DataError(f"no quantity {name!r}; there are {', '.join(volume.values)}")
        if np.iscomplexobj(volume.values[name]):
            raise DataError(f"{name} is complex; ask for amplitude and phase")
    known = (q for q in volume.quantities if not np.iscomplexobj(volume.values[q.name]))
    return tuple(q for q in known if not names or q.name in names)


def line_between(
    volume: Volume, start: Sequence[float], end: Sequence[float], count: int, names: Sequence[str] = ()
) -> Line:
    """Give the values along a straight line.

    Args:
        volume: The volume.
        start: [m] First point (z, y, x).
        end: [m] Last point.
        count: Points on it.
        names: Quantities; all real ones if none are named.
    """
    share = np.linspace(0, 1, count)[:, None]
    points = np.asarray(start, np.float64) + share * (np.asarray(end, np.float64) - np.asarray(start, np.float64))
    return _line("line", np.linalg.norm(points - points[0], axis=1), points, volume, names)


def lines_through_middle(volume: Volume, names: Sequence[str] = ()) -> tuple[Line, Line, Line]:
    """Give the values along z, y and x through the middle of what the volume holds."""
    middle = centre_of_mass(volume)
    lines = []
    for axis, name in enumerate("zyx"):
        own = (volume.z, volume.y, volume.x)[axis]
        places = np.linspace(own[0], own[-1], _FINER * (len(own) - 1) + 1)
        points = np.tile(middle, (len(places), 1))
        points[:, axis] = places
        lines.append(_line(name, places - middle[axis], points, volume, names))
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


def fit_edges(line: Line, name: str = "amplitude") -> tuple[Edge, ...]:
    """Fit the outermost edges of a line: where it rises to half of its plateau, and where it falls for good.

    Args:
        line: Through something.
        name: Its quantity that is 0 outside.

    Returns:
        Two edges; fewer where the line ends before one, or no step can be fitted.
    """
    values, position = line.values[name], line.position
    above = values[values > 0.5 * np.percentile(values, 98)]
    if len(above) < _LEAST:
        return ()
    plateau = float(np.median(above))
    inner = np.flatnonzero(values > plateau / 2)
    found = [
        _edge(position, values, int(inner[0]), plateau),
        _edge(-position[::-1], values[::-1], len(values) - 1 - int(inner[-1]), plateau),
    ]
    signs = (1.0, -1.0)
    return tuple(Edge(sign * e.place, e.width) for sign, e in zip(signs, found, strict=True) if e is not None)


def median_edge_width(volume: Volume) -> float:
    """[m] Median width of the edges along z, y and x, from 10 to 90 %; NaN where there is none."""
    widths = [edge.width for line in lines_through_middle(volume, ("amplitude",)) for edge in fit_edges(line)]
    return float(np.median(widths)) if widths else float("nan")


def write_csv(lines: Sequence[Line], path: Path, unit: str = "m") -> None:
    """Write lines as one table: which line, the position on it, where, and the values, units in the header."""
    quantities = lines[0].quantities
    head = ["line", *(f"{name} [{unit}]" for name in ("position", "z", "y", "x"))]
    head += [f"{quantity.name} [{quantity.unit}]" for quantity in quantities]
    rows = [",".join(head)]
    for line in lines:
        columns = [line.position, *line.points.T, *(line.values[quantity.name] for quantity in quantities)]
        rows += [",".join([line.name, *(f"{number:.9g}" for number in row)]) for row in np.stack(columns, axis=-1)]
    path.write_text("\n".join(rows) + "\n", "utf-8")


def _line(name: str, position: Float[np.ndarray, " n"], points: Points, volume: Volume, names: Sequence[str]) -> Line:
    quantities = real_quantities(volume, names)
    table = interpolate(volume, points, [q.name for q in quantities])
    return Line(name, position, points, {q.name: table[:, i] for i, q in enumerate(quantities)}, quantities)


def _edge(
    position: Float[np.ndarray, " n"], values: Float[np.ndarray, " n"], first: int, plateau: float
) -> Edge | None:
    """Fit a rising step around the sample that is the first above half of the plateau."""
    from scipy.optimize import curve_fit
    from scipy.special import erf

    step = float(position[1] - position[0])
    reach = round(_REACH * _FINER)
    near = slice(max(first - reach, 0), first + reach + 1)
    if first == 0 or near.stop > len(values):
        return None

    def blurred(s: np.ndarray, place: float, sigma: float, level: float) -> np.ndarray:
        return np.asarray(level / 2 * (1 + erf((s - place) / (np.sqrt(2) * sigma))))

    guess = (float(position[first]), _FINER * step, plateau)
    low = (float(position[near][0]), 0.05 * step, 0.5 * plateau)
    high = (float(position[near][-1]), reach * step, 2.0 * plateau)
    try:
        found, _ = curve_fit(blurred, position[near], values[near], guess, bounds=(low, high))
    except (RuntimeError, ValueError):  # It did not converge: no step.
        return None
    return Edge(float(found[0]), TEN_TO_NINETY * float(found[1]))
