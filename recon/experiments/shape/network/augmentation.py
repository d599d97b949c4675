"""Cells of known shape, real or simulated, and looks at them: turned, mirrored and stretched in ever other ways."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from scipy.ndimage import gaussian_filter, map_coordinates, spline_filter

from ....metrics.shapes import signed_distance
from .inputs import PictureInput, to_network_input
from .shape_code import CLIP, PIXELS, UNIT, Code, code_points, pixel_centres

_COARSE = 2
"""[voxel] Pitch at which the distance of a specimen is kept: it is smooth."""
_SMOOTH = 0.4
"""[voxel] By which the steps of voxels are taken out of a distance."""
_SIZE, _STRETCH, _TALL, _BRIGHTER = 0.08, 0.04, 0.12, 0.08
"""Spread of the logarithm of size, of the stretch in the plane and along z, and of the brightness."""
_UNSURE = 0.03
"""By which the logarithm of the height that is told misses a shape's own: a draw need not keep it to the voxel."""
_REACH = 1.5 * CLIP * UNIT


@dataclass(frozen=True)
class TrainingCell:
    """A cell of known shape.

    Args:
        distance: [voxel] To its surface, negative inside: the cubic spline's coefficients, every `_COARSE` voxels.
        sight: Its picture and mask.
        log_height: Logarithm of its volume over its section's area, in voxels.
        label: Its class, or nothing.
        simulated: Whether it never lived.
    """

    distance: Float[np.ndarray, "32 32 32"]
    sight: PictureInput
    log_height: float
    label: str = ""
    simulated: bool = False


@dataclass(frozen=True)
class TrainingExample:
    """One example for the network; a batch of them has a leading axis."""

    code: Code
    seen: Float[np.ndarray, "y x channel"]


def prepare_cell(
    inside: Bool[np.ndarray, "z y x"],
    image: Float[np.ndarray, "h w"],
    mask: Float[np.ndarray, "h w"],
    label: str = "",
    simulated: bool = False,
) -> TrainingCell:
    """Prepare a cell.

    Args:
        inside: Its voxels, a cube whose slice ``n // 2`` is the section.
        image: Its picture.
        mask: Its section.
        label: Its class.
        simulated: Whether it never lived.
    """
    distance = np.clip(signed_distance(inside) * PIXELS / inside.shape[1], -_REACH, _REACH)
    distance = gaussian_filter(distance, _SMOOTH * inside.shape[1] / PIXELS)
    places = np.arange(-PIXELS / 2 + _COARSE / 2, PIXELS / 2, _COARSE)
    rows = [_index(places, n, planes=axis == 0) for axis, n in enumerate(inside.shape)]
    kept = map_coordinates(distance, np.meshgrid(*rows, indexing="ij"), order=1, mode="nearest")
    kept = spline_filter(kept, order=3, mode="mirror")  # Straight lines between its points would take off every tip.
    sight = to_network_input(image, mask)
    volume = inside.sum() * np.prod([PIXELS / n for n in inside.shape])
    log_height = float(np.log(max(volume, 1) / max(sight.area(), 1)))
    return TrainingCell(kept.astype(np.float16), sight, log_height, label, simulated)


def _index(places: Float[np.ndarray, " n"], count: int, planes: bool) -> Float[np.ndarray, " n"]:
    """Where positions stand among samples of a cube: along z, sample ``n // 2`` is in the middle."""
    return places * count / PIXELS + (count // 2 if planes else (count - 1) / 2)


def make_example(drawn: TrainingCell, rng: np.random.Generator | None = None) -> TrainingExample:
    """Look at a cell.

    Args:
        drawn: The cell.
        rng: Turns and stretches it in some way; as it stands if None.
    """
    turn, size, tall, brighter = _no_way() if rng is None else _way(rng)
    own, plane = code_points(), np.stack(np.meshgrid(code_points(), code_points(), indexing="ij"))
    y, x = np.einsum("ab,bij->aij", turn, plane)
    where = np.broadcast_arrays(own[:, None, None] * tall, y, x)
    rows = [(axis + PIXELS / 2) / _COARSE - 0.5 for axis in where]
    coefficients = drawn.distance.astype(np.float32)
    distance = map_coordinates(coefficients, rows, order=3, mode="nearest", prefilter=False) * size
    fine = np.stack(np.meshgrid(pixel_centres(), pixel_centres(), indexing="ij"))
    places = np.einsum("ab,bij->aij", turn, fine) - pixel_centres()[0]
    image = map_coordinates(drawn.sight.image, places, order=1, mode="constant") * brighter
    section = map_coordinates(drawn.sight.section, places, order=1, mode="nearest") * size
    code = np.clip(distance / UNIT, -CLIP, CLIP).astype(np.float32)
    unsure = 0.0 if rng is None else rng.normal(0, _UNSURE)
    log_height = drawn.log_height - np.log(np.abs(tall)) + unsure
    return TrainingExample(code, PictureInput(image, section).channels(log_height))


def _no_way() -> tuple[Float[np.ndarray, "2 2"], float, float, float]:
    return np.eye(2), 1.0, 1.0, 1.0


def _way(rng: np.random.Generator) -> tuple[Float[np.ndarray, "2 2"], float, float, float]:
    """Draw a turn and stretch of the plane, the size, the stretch along z with its sign, and the brightness."""
    angle = rng.uniform(0, 2 * np.pi)
    size, stretch, tall, brighter = np.exp(rng.normal(0, (_SIZE, _STRETCH, _TALL, _BRIGHTER)))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    mirror = np.diag([1.0, rng.choice([-1.0, 1.0])])
    inplane = turn @ mirror @ np.diag([stretch, 1 / stretch]) / size
    return inplane, float(size), float(rng.choice([-1.0, 1.0]) / (size * tall)), float(brighter)
