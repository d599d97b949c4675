"""Instruments of the training: any microscope, and light by tilted waves, or by a condenser at several foci."""

from dataclasses import dataclass

import numpy as np

from .....physics.optics.condenser import condenser_sources
from .....physics.optics.lattice import Lattice, lateral_padding
from .....physics.optics.microscope import Illumination, Microscope
from .....physics.optics.patterns import PATTERNS
from ....metrics.missing_cone import Aperture
from .inputs import network_spacing

FIELD = 48
"""[voxel] Width of a training's field."""
BEYOND = 72
"""[voxel] Width of the part of the specimen that light crosses."""
_MOST_PADDED = 112
"""[voxel] Largest width of the wave's lattice."""
_MEDIA = (1.333, 1.337, 1.34, 1.4, 1.515)
_STACKED = 0.06
"""Share of the instruments that take a stack of foci under a condenser."""
_CONDENSER = 16
"""Sources of a condenser."""
_SPACING = 0.1
"""Largest relative deviation of a voxel from the network's own."""


@dataclass(frozen=True)
class Instrument:
    """Instrument of a shard.

    Args:
        microscope: Microscope.
        illumination: Light and focus of each view.
        aperture: Apertures of light and objective.
        lattice: Voxels of the field.
    """

    microscope: Microscope
    illumination: Illumination
    aperture: Aperture
    lattice: Lattice

    @property
    def padded(self) -> Lattice:
        """Lattice of the wave, with a margin for tilted light."""
        steepest = max(self.aperture.illumination_na, self.aperture.numerical_aperture) / self.aperture.medium_index
        pitch = self.lattice.pitch[1]
        margin = min(lateral_padding(self.lattice.thickness, steepest), (_MOST_PADDED - FIELD) * pitch)
        return self.lattice.pad(max(margin, (BEYOND - FIELD) * pitch))


def draw_instrument(rng: np.random.Generator, slices: int) -> Instrument:
    """Draw an instrument.

    Args:
        rng: Random number generator.
        slices: Number of voxels along z.
    """
    medium, wavelength = float(rng.choice(_MEDIA)), float(rng.uniform(400e-9, 700e-9))
    na = medium * float(rng.uniform(0.2, 0.85))
    light = na * float(rng.uniform(0.4, 1.0))
    aperture = Aperture(wavelength, medium, light, na)
    pitch = np.array(network_spacing(aperture)) * rng.uniform(1 - _SPACING, 1 + _SPACING, 3)[[0, 1, 1]]
    z, y, x = map(float, pitch)
    lattice = Lattice((slices, FIELD, FIELD), (z, y, x), wavelength, medium)
    microscope = Microscope(wavelength, na, medium, (y, x))
    if rng.random() < _STACKED:
        illumination = _condenser(rng, light, lattice.thickness)
    else:
        pattern = str(rng.choice(["ring", "spiral", "spiral", "grid"]))
        illumination = Illumination.from_directions(PATTERNS[pattern](int(rng.integers(8, 33)), light))
    return Instrument(microscope, illumination, aperture, lattice)


def disturb(rng: np.random.Generator, illumination: Illumination, na: float) -> Illumination:
    """Move the light as an instrument's differs from its description: by less than a hundredth of the aperture."""
    offset = rng.normal(0, 0.004 * na, 2)
    moved = illumination.na * (1 + float(rng.normal(0, 0.005))) + offset
    radius = np.sqrt((moved**2).sum(axis=-1, keepdims=True))
    inside = moved * np.minimum(1, 0.999 * na / np.maximum(radius, 1e-12))  # None becomes a dark field.
    return Illumination(inside, illumination.weights, illumination.defocus)


def _condenser(rng: np.random.Generator, light: float, depth: float) -> Illumination:
    """Draw a stack of foci under the whole condenser, or under each half of it."""
    sources = condenser_sources(light, _CONDENSER)
    shares, planes = [np.ones(len(sources))], int(rng.integers(5, 12))
    if rng.random() < 0.6:
        planes = int(rng.integers(2, 5))
        shares = [(sources[:, axis] * sign > 0).astype(float) for axis in (0, 1) for sign in (1, -1)]
    foci = np.linspace(-0.5, 0.5, planes) * depth
    weights = np.repeat(np.stack(shares), len(foci), axis=0)
    na = np.broadcast_to(sources, (len(weights), *sources.shape))
    return Illumination(na, weights, np.tile(foci, len(shares)))
