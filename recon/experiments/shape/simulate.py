"""Simulated cells as a microscope shows them: stack, section and mask, and the shape that a threshold finds.

The shape is that of the blurred stack, as it is for real cells: a mask is the section's threshold, and equals the
volume's middle slice.

Simulated acquisitions of cells: pictures, masks, and the shapes behind them.
"""

from dataclasses import dataclass
from functools import partial

import jax
import numpy as np
from jaxtyping import Bool, Float
from scipy.ndimage import affine_transform

from ....physics import fluorescence as light
from ....physics.phantoms.random import random_rotation
from ....physics.phantoms.red_blood_cells import AXIAL_STRETCH, random_cell, sample_occupancy
from ...acquisition import Acquisition
from ...runs.context import Progress, silent
from ...volume import Volume
from .cell_crops import SMALLEST
from .config import ShapeSettings
from .grids import cube
from .schema import OCCUPANCY

FIELD = 10.9e-6
"""[m] Edge of the cube in which a cell stands."""
_MICRON = 1e-6


@dataclass(frozen=True)
class SimulatedCell:
    """A cell that never lived.

    Args:
        label: Its class.
        level: The blurred stack, 1 inside: the shape is where it is above one half.
        image: Its section, exposed.
        spacing: [m] Of the samples.
    """

    label: str
    level: Float[np.ndarray, "z y x"]
    image: Float[np.ndarray, "y x"]
    spacing: float

    @property
    def inside(self) -> Bool[np.ndarray, "z y x"]:
        """Its voxels."""
        return np.asarray(self.level > 0.5)

    @property
    def mask(self) -> Bool[np.ndarray, "y x"]:
        """Its section."""
        return np.asarray(self.inside[len(self.level) // 2])


def simulate_cell(rng: np.random.Generator, label: str | None = None, edge: int = 64) -> SimulatedCell:
    """Draw a cell, and take its picture.

    Args:
        rng: Of all that is drawn.
        label: Its class; None to draw it.
        edge: Samples along each axis.
    """
    spacing = FIELD / edge
    across = (np.arange(edge) - (edge - 1) / 2) * spacing
    cell = random_cell(rng, label)
    filled = sample_occupancy(cell.surface, (np.arange(edge) - edge // 2) * spacing, across, across)
    return _pictured(rng, cell.label, filled, spacing)


def rotate_cell(rng: np.random.Generator, inside: Bool[np.ndarray, "z y x"], label: str = "") -> SimulatedCell:
    """Turn a real cell in space, and take a picture of it that never was.

    Cells float: in any other pose it would have been as real. What the stack's stretch along z has done to it is undone
    before, and done again after.

    Args:
        rng: Of all that is drawn.
        inside: Its voxels, a cube.
        label: Its class.
    """
    edge = inside.shape[1]
    stretch = np.diag([AXIAL_STRETCH, 1.0, 1.0])
    turn = stretch @ random_rotation(rng) @ np.linalg.inv(stretch)
    middle = np.array([edge // 2, (edge - 1) / 2, (edge - 1) / 2])
    own = np.argwhere(inside).mean(axis=0)
    whole = float(inside.sum())
    filled = inside
    for scale in _SCALES:
        back = np.linalg.inv(turn) / scale
        filled = affine_transform(inside.astype(np.float32), back, own - back @ middle, order=1)
        if filled.sum() > _KEPT * whole * scale**3:
            break
    # Its level is that of the shape: it was blurred when it was real.
    found = _pictured(rng, label, filled, FIELD / edge)
    return SimulatedCell(label, filled, found.image, found.spacing)


def _pictured(
    rng: np.random.Generator, label: str, filled: Float[np.ndarray, "z y x"], spacing: float
) -> SimulatedCell:
    """Take the picture of a cell, exposed in some way."""
    stain = light.Stain(membrane=float(rng.uniform(*_MEMBRANE)))
    blur = light.MicroscopePsf(*(float(rng.uniform(*within)) for within in (_LATERAL, _AXIAL, _HALO, _HALO_WIDTH)))
    level = np.asarray(_segmented(filled.astype(np.float32), spacing / _MICRON, stain, blur))
    photons = float(np.exp(rng.uniform(*np.log(_PHOTONS))))
    image = light.expose_section(level[len(level) // 2], light.FluorescenceExposure(photons=photons), rng)
    return SimulatedCell(label, level, image, spacing)


_SCALES, _KEPT = (1.0, 0.92, 0.84, 0.76), 0.985
"""A turned cell that does not fit the field of view is made smaller; so much of it must be in view."""
_MEMBRANE, _PHOTONS = (0.3, 1.2), (100.0, 1000.0)
"""Ranges of the membrane's brightness and of the photons of a pixel."""
_LATERAL, _AXIAL, _HALO, _HALO_WIDTH = (0.12, 0.35), (0.35, 0.7), (0.15, 0.4), (0.5, 0.9)
"""Ranges of the blur: widths [µm] and share of the halo. Real pictures differ as much from one another."""


@partial(jax.jit, static_argnums=1)
def _segmented(filled: jax.Array, step: float, stain: light.Stain, blur: light.MicroscopePsf) -> jax.Array:
    return light.simulate_stack(filled, (step, step, step), stain, blur)


def simulate(settings: ShapeSettings, progress: Progress = silent) -> Acquisition:
    """Draw cells, and take their pictures.

    Args:
        settings: The config.
        progress: Told of each cell.
    """
    wanted, cells = settings.simulate, []
    for number in range(wanted.cells):
        rng = np.random.default_rng([settings.seed, 7, number])
        cells.append(_seen(rng, wanted.classes[number % len(wanted.classes)], wanted.pixels))
        progress(number + 1, wanted.cells)
    edge, spacing = wanted.pixels, cells[0].spacing
    z, y, x = cube((edge,) * 3, (spacing,) * 3).axes
    occupancy = np.stack([cell.inside for cell in cells])[:, None].astype(np.uint8)
    arrays = {
        "images": np.stack([cell.image for cell in cells]).astype(np.float32),
        "mask": np.stack([cell.mask for cell in cells]).astype(np.float32),
        "voxel_size": np.full(3, spacing),
        "name": np.array([f"simulated_{cell.label}_{i:03d}" for i, cell in enumerate(cells)]),
        "label": np.array([cell.label for cell in cells]),
    }
    truth = Volume("shape", z, y, x, {"occupancy": occupancy}, (OCCUPANCY,))
    return Acquisition("shape", arrays, "simulated", truth, {"specimen": "simulated red blood cells"})


def _seen(rng: np.random.Generator, label: str, pixels: int) -> SimulatedCell:
    """A cell that has a section: a bowl on its side may have none in the middle plane, or no more than a speck."""
    while True:
        cell = simulate_cell(rng, label, pixels)
        if np.count_nonzero(cell.mask) >= SMALLEST:
            return cell
