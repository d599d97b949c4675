"""Training cells of known shape, and their augmentation by random rotations, mirrorings and stretches."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from scipy.ndimage import gaussian_filter, map_coordinates, spline_filter

from ....metrics.shapes import signed_distance
from .inputs import PictureInput, to_network_input
from .shape_code import CLIP, PIXELS, UNIT, Code, code_points, pixel_centres

_PITCH = 2
"""[voxel] Sample spacing of the stored distances, which are smooth."""
_SMOOTHING = 0.4
"""[voxel] Standard deviation of the Gaussian that removes the voxel steps from a distance."""
_SIZE, _STRETCH, _HEIGHT, _BRIGHTNESS = 0.08, 0.04, 0.12, 0.08
"""Standard deviations of the logarithms of size, in-plane stretch, stretch along z, and brightness."""
_HEIGHT_ERROR = 0.03
"""Standard deviation of the error of the given logarithm of the height: draws need not keep it to the voxel."""
_LARGEST_DISTANCE = 1.5 * CLIP * UNIT


@dataclass(frozen=True)
class TrainingCell:
    """A cell of known shape.

    Args:
        distance: [voxel] Signed distance to the surface, negative inside: cubic spline coefficients every 2 voxels.
        inputs: Picture and mask.
        log_height: Logarithm of volume over section area, in voxels.
        label: Class; empty if unknown.
        simulated: Whether the picture is simulated.
    """

    distance: Float[np.ndarray, "32 32 32"]
    inputs: PictureInput
    log_height: float
    label: str = ""
    simulated: bool = False


@dataclass(frozen=True)
class TrainingExample:
    """Code and input channels of an augmented cell."""

    code: Code
    seen: Float[np.ndarray, "y x channel"]


def prepare_cell(
    inside: Bool[np.ndarray, "z y x"],
    image: Float[np.ndarray, "h w"],
    mask: Float[np.ndarray, "h w"],
    label: str = "",
    simulated: bool = False,
) -> TrainingCell:
    """Compute distance, network input and height of a cell.

    Args:
        inside: Voxels inside the cell, a cube whose slice ``n // 2`` is the section.
        image: Picture of the section.
        mask: Share of each pixel in the section.
        label: Class; empty if unknown.
        simulated: Whether the picture is simulated.
    """
    distance = signed_distance(inside) * PIXELS / inside.shape[1]
    distance = np.clip(distance, -_LARGEST_DISTANCE, _LARGEST_DISTANCE)
    distance = gaussian_filter(distance, _SMOOTHING * inside.shape[1] / PIXELS)
    places = np.arange(-PIXELS / 2 + _PITCH / 2, PIXELS / 2, _PITCH)
    rows = [_sample_index(places, n, along_z=axis == 0) for axis, n in enumerate(inside.shape)]
    samples = map_coordinates(distance, np.meshgrid(*rows, indexing="ij"), order=1, mode="nearest")
    coefficients = spline_filter(samples, order=3, mode="mirror")  # Linear interpolation would cut off every tip.
    inputs = to_network_input(image, mask)
    volume = inside.sum() * np.prod([PIXELS / n for n in inside.shape])
    log_height = float(np.log(max(volume, 1) / max(inputs.area(), 1)))
    return TrainingCell(coefficients.astype(np.float16), inputs, log_height, label, simulated)


def _sample_index(places: Float[np.ndarray, " n"], count: int, along_z: bool) -> Float[np.ndarray, " n"]:
    """Index of positions among samples of a cube: along z, sample ``n // 2`` is at the centre."""
    return places * count / PIXELS + (count // 2 if along_z else (count - 1) / 2)


def make_example(cell: TrainingCell, rng: np.random.Generator | None = None) -> TrainingExample:
    """Sample the code and the input channels of a cell.

    Args:
        cell: The cell.
        rng: Generator of the augmentation; None for the cell as it is.
    """
    plane, size, stretch_z, brightness = _identity() if rng is None else _random_transform(rng)
    points = code_points()
    y, x = np.einsum("ab,bij->aij", plane, np.stack(np.meshgrid(points, points, indexing="ij")))
    places = np.broadcast_arrays(points[:, None, None] * stretch_z, y, x)
    index = [(axis + PIXELS / 2) / _PITCH - 0.5 for axis in places]
    coefficients = cell.distance.astype(np.float32)
    distance = map_coordinates(coefficients, index, order=3, mode="nearest", prefilter=False) * size
    centres = np.stack(np.meshgrid(pixel_centres(), pixel_centres(), indexing="ij"))
    pixels = np.einsum("ab,bij->aij", plane, centres) - pixel_centres()[0]
    image = map_coordinates(cell.inputs.image, pixels, order=1, mode="constant") * brightness
    section = map_coordinates(cell.inputs.section, pixels, order=1, mode="nearest") * size
    code = np.clip(distance / UNIT, -CLIP, CLIP).astype(np.float32)
    error = 0.0 if rng is None else rng.normal(0, _HEIGHT_ERROR)
    log_height = cell.log_height - np.log(np.abs(stretch_z)) + error
    return TrainingExample(code, PictureInput(image, section).channels(log_height))


def _identity() -> tuple[Float[np.ndarray, "2 2"], float, float, float]:
    return np.eye(2), 1.0, 1.0, 1.0


def _random_transform(rng: np.random.Generator) -> tuple[Float[np.ndarray, "2 2"], float, float, float]:
    """Draw the in-plane transform, the size, the stretch along z with its sign, and the brightness."""
    angle = rng.uniform(0, 2 * np.pi)
    size, stretch, height, brightness = np.exp(rng.normal(0, (_SIZE, _STRETCH, _HEIGHT, _BRIGHTNESS)))
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    mirror = np.diag([1.0, rng.choice([-1.0, 1.0])])
    plane = rotation @ mirror @ np.diag([stretch, 1 / stretch]) / size
    return plane, float(size), float(rng.choice([-1.0, 1.0]) / (size * height)), float(brightness)
