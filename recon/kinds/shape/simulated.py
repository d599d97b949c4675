"""Simulated cells as a microscope shows them: the stack, its section and its mask, and the shape that a threshold finds.

The shape is that of the blurred stack, as it is for real cells: a mask is the section's threshold, and equals the
volume's middle slice.
"""

from dataclasses import dataclass

import jax
import numpy as np
from jaxtyping import Bool, Float

from ....physics import fluorescence as light
from ....physics.shapes import random_cell, sample_occupancy

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
        found: np.ndarray = self.level > 0.5
        return found

    @property
    def mask(self) -> Bool[np.ndarray, "y x"]:
        """Its section."""
        return self.inside[len(self.level) // 2]


def simulated_cell(rng: np.random.Generator, label: str | None = None, edge: int = 64) -> SimulatedCell:
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
    stain = light.Stain(membrane=float(rng.uniform(*_MEMBRANE)))
    blur = light.Blur(axial=float(rng.uniform(*_AXIAL)))
    level = np.asarray(_segmented(filled.astype(np.float32), spacing / _MICRON, stain, blur))
    photons = float(np.exp(rng.uniform(*np.log(_PHOTONS))))
    image = light.exposed(level[edge // 2], light.Exposure(photons=photons), rng)
    return SimulatedCell(cell.label, level, image, spacing)


_MEMBRANE, _AXIAL, _PHOTONS = (0.3, 0.9), (0.35, 0.5), (100.0, 1000.0)
"""Ranges of the membrane's brightness, of the blur along z [µm], and of the photons of a pixel."""


@jax.jit
def _segmented(filled: jax.Array, step: jax.Array, stain: light.Stain, blur: light.Blur) -> jax.Array:
    return light.segmented(filled, (step, step, step), stain, blur)
