"""Simulation of red blood cells and of their pictures, masks and segmented shapes.

A shape is segmented from the blurred stack, as for real cells: the mask is the threshold of the section, and equals the
middle slice of the volume.
"""

from dataclasses import dataclass, replace
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
from .config import ShapeSettings, ShapeSimulation
from .grids import centred_grid
from .schema import FIELD, OCCUPANCY
from .sections import Section, SectionPlane, cut_section, section_arrays

_MICRON = 1e-6


@dataclass(frozen=True)
class SimulatedImaging:
    """Staining, blur and exposure of a simulated cell.

    Args:
        stain: Brightness of membrane and interior.
        blur: Blur of the microscope.
        exposure: Photons and noise.
    """

    stain: light.Stain
    blur: light.MicroscopePsf
    exposure: light.FluorescenceExposure


@dataclass(frozen=True)
class SimulatedCell:
    """A simulated cell.

    Args:
        label: Class of the cell.
        level: Blurred stack, 1 inside: the shape is where it exceeds one half.
        image: Exposed picture of the section.
        spacing: [m] Distance between samples.
        filled: Filled share of each voxel, before the blur.
        imaging: Staining, blur and exposure.
    """

    label: str
    level: Float[np.ndarray, "z y x"]
    image: Float[np.ndarray, "y x"]
    spacing: float
    filled: Float[np.ndarray, "z y x"]
    imaging: SimulatedImaging

    @property
    def inside(self) -> Bool[np.ndarray, "z y x"]:
        """Voxels inside the cell."""
        return np.asarray(self.level > 0.5)

    @property
    def mask(self) -> Bool[np.ndarray, "y x"]:
        """Pixels of the section."""
        return np.asarray(self.inside[len(self.level) // 2])


def simulate_cell(rng: np.random.Generator, label: str | None = None, edge: int = 64) -> SimulatedCell:
    """Draw a random cell, and simulate its picture.

    Args:
        rng: Random generator.
        label: Class of the cell; None to draw it.
        edge: Number of samples along each axis.
    """
    spacing = FIELD / edge
    across = (np.arange(edge) - (edge - 1) / 2) * spacing
    cell = random_cell(rng, label)
    filled = sample_occupancy(cell.surface, (np.arange(edge) - edge // 2) * spacing, across, across)
    return simulate_picture(rng, cell.label, filled, spacing)


def rotate_cell(rng: np.random.Generator, inside: Bool[np.ndarray, "z y x"], label: str = "") -> SimulatedCell:
    """Rotate a real cell at random, and simulate its picture.

    Cells float in suspension, so that all orientations are alike. The axial stretch of the stack is undone before the
    rotation, and applied again after it.

    Args:
        rng: Random generator.
        inside: Voxels inside the cell, a cube.
        label: Class of the cell.
    """
    edge = inside.shape[1]
    stretch = np.diag([AXIAL_STRETCH, 1.0, 1.0])
    rotation = stretch @ random_rotation(rng) @ np.linalg.inv(stretch)
    centre = np.array([edge // 2, (edge - 1) / 2, (edge - 1) / 2])
    own = np.argwhere(inside).mean(axis=0)
    whole = float(inside.sum())
    filled = inside
    for scale in _SCALES:
        inverse = np.linalg.inv(rotation) / scale
        filled = affine_transform(inside.astype(np.float32), inverse, own - inverse @ centre, order=1)
        if filled.sum() > _IN_VIEW * whole * scale**3:
            break
    # The level is that of the segmented shape, which is blurred already.
    return replace(simulate_picture(rng, label, filled, FIELD / edge), level=filled)


def simulate_picture(
    rng: np.random.Generator, label: str, filled: Float[np.ndarray, "z y x"], spacing: float
) -> SimulatedCell:
    """Simulate the picture of a cell with random staining, blur and exposure."""
    stain = light.Stain(membrane=float(rng.uniform(*_MEMBRANE)))
    blur = light.MicroscopePsf(*(float(rng.uniform(*within)) for within in (_LATERAL, _AXIAL, _HALO, _HALO_WIDTH)))
    level = np.asarray(_segment(filled.astype(np.float32), spacing / _MICRON, stain, blur))
    exposure = light.FluorescenceExposure(photons=float(np.exp(rng.uniform(*np.log(_PHOTONS)))))
    image = light.expose_section(level[len(level) // 2], exposure, rng)
    return SimulatedCell(label, level, image, spacing, filled, SimulatedImaging(stain, blur, exposure))


def simulate_further_picture(
    rng: np.random.Generator, cell: SimulatedCell, plane: SectionPlane
) -> Float[np.ndarray, "y x"]:
    """Simulate the picture of a further section: the cell is turned, imaged as in the first, and cut at its height.

    Args:
        rng: Random generator of the noise.
        cell: The cell.
        plane: Place of the section.
    """
    centre, turn = np.array(cell.filled.shape) // 2, plane.rotation.T
    shift = turn @ (plane.height / cell.spacing, 0.0, 0.0)
    turned = affine_transform(cell.filled.astype(np.float32), turn, centre - turn @ centre + shift, order=1)
    level = np.asarray(_segment(turned, cell.spacing / _MICRON, cell.imaging.stain, cell.imaging.blur))
    return np.asarray(light.expose_section(level[len(level) // 2], cell.imaging.exposure, rng), np.float32)


_SCALES, _IN_VIEW = (1.0, 0.92, 0.84, 0.76), 0.985
"""Factors by which a rotated cell is shrunk until it fits the field of view, and the share of it that must do so."""
_MEMBRANE, _PHOTONS = (0.3, 1.2), (100.0, 1000.0)
"""Ranges of the brightness of the membrane and of the photons of a pixel."""
_LATERAL, _AXIAL, _HALO, _HALO_WIDTH = (0.12, 0.35), (0.35, 0.7), (0.15, 0.4), (0.5, 0.9)
"""Ranges of the blur: widths [µm] and share of the halo, as real pictures differ from one another."""


@partial(jax.jit, static_argnums=1)
def _segment(filled: jax.Array, step: float, stain: light.Stain, blur: light.MicroscopePsf) -> jax.Array:
    return light.simulate_stack(filled, (step, step, step), stain, blur)


def simulate(settings: ShapeSettings, progress: Progress = silent) -> Acquisition:
    """Simulate an acquisition of random cells, with their shapes as the truth.

    Args:
        settings: The config.
        progress: Callback after each cell.
    """
    section, cells, further = settings.simulate, [], []
    for number in range(section.cells):
        rng = np.random.default_rng([settings.seed, 7, number])
        cells.append(_simulate_visible(rng, section.classes[number % len(section.classes)], section.pixels))
        further.append(_simulate_sections(rng, cells[-1], section))
        progress(number + 1, section.cells)
    edge, spacing = section.pixels, cells[0].spacing
    z, y, x = centred_grid((edge,) * 3, (spacing,) * 3).axes
    occupancy = np.stack([cell.inside for cell in cells])[:, None].astype(np.uint8)
    arrays = {
        "images": np.stack([cell.image for cell in cells]).astype(np.float32),
        "mask": np.stack([cell.mask for cell in cells]).astype(np.float32),
        "voxel_size": np.full(3, spacing),
        "name": np.array([f"simulated_{cell.label}_{i:03d}" for i, cell in enumerate(cells)]),
        "label": np.array([cell.label for cell in cells]),
    }
    arrays |= section_arrays(further)
    truth = Volume("shape", z, y, x, {"occupancy": occupancy}, (OCCUPANCY,))
    return Acquisition("shape", arrays, "simulated", truth, {"specimen": "simulated red blood cells"})


def _simulate_sections(rng: np.random.Generator, cell: SimulatedCell, section: ShapeSimulation) -> tuple[Section, ...]:
    """Cut the masks of further sections from a cell, and simulate their pictures."""
    tilts = section.section_tilt or ((0.0, 0.0),) * len(section.section_height)
    voxel, sections = (cell.spacing,) * 3, []
    for number, (height, tilt) in enumerate(zip(section.section_height, tilts, strict=True)):
        plane = SectionPlane.tilted(height, tilt)
        mask = cut_section(cell.inside, plane, section.pixels, voxel)
        image = simulate_further_picture(rng, cell, plane)
        sections.append(Section(number, plane, mask.astype(np.float32), image))
    return tuple(sections)


def _simulate_visible(rng: np.random.Generator, label: str, pixels: int) -> SimulatedCell:
    """Draw cells until one has a section: a stomatocyte on its side may have none in the middle plane."""
    while True:
        cell = simulate_cell(rng, label, pixels)
        if np.count_nonzero(cell.mask) >= SMALLEST:
            return cell
