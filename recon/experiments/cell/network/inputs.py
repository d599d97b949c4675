"""Input of the network from a begun fit or a linear answer of any microscope, and its output on the grid of that input.

The network's voxel is tied to the finest detail that light and objective transfer: half of it laterally, a quarter of
it axially. In these units the missing cone looks much alike for all apertures; numbers of the instrument tell the rest.
The contrast is scaled so that its strong parts are about 1. Its sign stays: a linear answer has no mean, and around a
large cell its lobes of the wrong sign outweigh the cell.

Notation
--------
δ      finest detail (z, y, x) that is transferred [m] (`geometry.resolution_of`)
c      input: index contrast n − n_m of a fit, or of a linear answer
s      its scale, √(Σc⁴/Σc²), which does not depend on the fraction of the box that the specimen fills
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy import ndimage

from .....physics.optics.microscope import Microscope
from ....metrics.missing_cone import Aperture
from ..geometry import resolution_of

INSTRUMENT_NUMBERS = 7
"""Number of numbers that describe an instrument and the strength of the specimen."""
LATERAL_SAMPLES, AXIAL_SAMPLES = 2.0, 4.0
"""Samples of the network to the finest detail."""
TILE = 64
"""Samples along y and x of the widest field that is not cut."""
OVERLAP = 16
"""Samples that neighbouring tiles share."""
_LEAST_SCALE = 1e-9
"""Floor of the scale, so that an empty answer has a finite one."""

Spacing = tuple[float, float, float]
Values = Float[np.ndarray, "_z _y _x"]


@dataclass(frozen=True)
class NetworkInput:
    """Input in the network's units.

    Args:
        contrast: c/s on the network's grid, padded with zeros.
        inside: Mask of the samples in the box, 1 or 0.
        instrument: Numbers of the instrument, about 1 (`instrument_numbers`).
        scale: s, the factor from the network's contrast to an index contrast.
        shape: Number of samples (z, y, x) of the network's grid in the box, before the padding.
    """

    contrast: Values
    inside: Values
    instrument: Float[np.ndarray, " number"]
    scale: float
    shape: tuple[int, int, int]

    def to_contrast(self, values: Values, shape: tuple[int, int, int]) -> Values:
        """Convert values of the network to an index contrast on a grid of so many samples in the same box."""
        return self.scale * resample(crop(values, self.shape), shape)


def network_spacing(aperture: Aperture) -> Spacing:
    """[m] Choose the distance between the network's samples (z, y, x)."""
    z, y, x = finest_detail(aperture)
    return z / AXIAL_SAMPLES, y / LATERAL_SAMPLES, x / LATERAL_SAMPLES


def grid_shape(extent: Float[np.ndarray, " 3"], aperture: Aperture) -> tuple[int, int, int]:
    """Count the network's samples (z, y, x) in a box of an extent [m]."""
    z, y, x = (max(1, round(float(n))) for n in extent / network_spacing(aperture))
    return z, y, x


def samples_in_tiles(extent: Float[np.ndarray, " 3"], aperture: Aperture) -> float:
    """Count the samples that the network works on in a box of an extent [m], once for each tile that holds them."""
    z, *lateral = grid_shape(extent, aperture)
    return float(z * np.prod([n if n <= TILE else n * TILE / (TILE - OVERLAP) for n in lateral]))


def finest_detail(aperture: Aperture) -> Spacing:
    """[m] Compute the finest detail (z, y, x) that light and objective transfer."""
    microscope = Microscope(aperture.wavelength, aperture.numerical_aperture, aperture.medium_index, (1.0, 1.0))
    return resolution_of(microscope, aperture.illumination_na, turning=False)


def to_network_input(
    contrast: Values, spacing: Spacing, aperture: Aperture, multiple: int, *, is_fit: bool
) -> NetworkInput:
    """Bring a begun fit or a linear answer to the network's grid and units.

    Args:
        contrast: Contrast of the fit, or the linear answer.
        spacing: [m] Distance between its samples (z, y, x).
        aperture: Apertures of light and objective.
        multiple: Number that each padded edge is a multiple of.
        is_fit: Whether it is that of a fit.
    """
    extent = np.array(contrast.shape) * spacing
    z, y, x = grid_shape(extent, aperture)
    scale = scale_of(contrast)
    values = resample(contrast / scale, (z, y, x))
    sizes = [-(-n // multiple) * multiple for n in (z, y, x)]
    instrument = instrument_numbers(extent / (z, y, x), aperture, scale, is_fit=is_fit)
    return NetworkInput(pad(values, sizes), pad(np.ones_like(values), sizes), instrument, scale, (z, y, x))


def scale_of(contrast: Values) -> float:
    """Compute s."""
    squares = contrast.astype(np.float64) ** 2
    return max(float(np.sqrt((squares**2).sum() / max(squares.sum(), 1e-300))), _LEAST_SCALE)


def instrument_numbers(
    spacing: Float[np.ndarray, " 3"], aperture: Aperture, scale: float, *, is_fit: bool
) -> Float[np.ndarray, " number"]:
    """Collect what the network is told of an instrument and of the strength of the specimen.

    Args:
        spacing: [m] Distance between the network's samples.
        aperture: Apertures of light and objective.
        scale: s, whose delay of the phase over the finest axial detail tells how far linear theory holds.
        is_fit: Whether the input is that of a fit, and not a linear answer.
    """
    detail = np.array(finest_detail(aperture))
    delay = 2 * np.pi * scale * detail[0] / aperture.wavelength
    numbers = (
        aperture.numerical_aperture / aperture.medium_index,
        aperture.illumination_na / aperture.medium_index,
        np.log2(detail[0] / detail[1]) / 2 - 1,
        AXIAL_SAMPLES * spacing[0] / detail[0] - 1,
        LATERAL_SAMPLES * spacing[1] / detail[1] - 1,
        np.log10(np.clip(delay, 1e-4, 1e2)) / 2 + 0.5,
        float(is_fit),
    )
    return np.array(numbers, np.float32)


def resample(values: Values, shape: tuple[int, int, int]) -> Values:
    """Resample to another number of samples in the same box, by cubic splines."""
    if values.shape == shape:
        return values.astype(np.float32)
    factors = [new / old for new, old in zip(shape, values.shape, strict=True)]
    zoomed = ndimage.zoom(values.astype(np.float32), factors, order=3, mode="nearest", grid_mode=True)
    return np.asarray(zoomed, np.float32)


def pad(values: Values, sizes: list[int]) -> Values:
    """Pad with zeros on both sides to so many samples."""
    return np.pad(values, [((m - n) // 2, m - n - (m - n) // 2) for n, m in zip(values.shape, sizes, strict=True)])


def crop(values: Values, shape: tuple[int, int, int]) -> Values:
    """Undo `pad`."""
    starts = [(m - n) // 2 for n, m in zip(shape, values.shape, strict=True)]
    return values[tuple(slice(start, start + n) for start, n in zip(starts, shape, strict=True))]
