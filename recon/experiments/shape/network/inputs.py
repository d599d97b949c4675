"""Input of the network: the picture of a cell and its mask.

The picture has `PIXELS`² pixels; its brightness is relative to the cell's own, as that of microscopes differs.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.ndimage import gaussian_filter, map_coordinates, zoom

from ....metrics.shapes import signed_distance
from .shape_code import CLIP, PIXELS, UNIT, pixel_centres, section_points

CHANNELS = 4
SCALARS = 5
_HEIGHT, _HEIGHTS = 30.0, 0.3
"""[voxel] Typical mean height, and the standard deviation of its logarithm, which normalise heights."""
_BRIGHT_PERCENTILE = 99.0
"""[%] Percentile of the brightness within the mask that counts as 1."""
_SMOOTHING = 0.6
"""[pixel] Standard deviation of the Gaussian that removes the pixel steps from the outline of a mask."""


@dataclass(frozen=True)
class PictureInput:
    """Picture and mask of a cell, scaled for the network.

    Args:
        image: Brightness, 1 in the brightest parts of the section.
        section: [pixel] Signed distance within the plane to the mask's outline, negative inside.
    """

    image: Float[np.ndarray, "y x"]
    section: Float[np.ndarray, "y x"]

    def area(self) -> float:
        """[voxel²] Area of the section."""
        return float(self._soft_mask().sum()) * (PIXELS / len(self.section)) ** 2

    def channels(self, log_height: float) -> Float[np.ndarray, "y x channel"]:
        """Stack the input channels: brightness, distance to the outline, mask with a soft edge, height.

        Args:
            log_height: Logarithm of the mean height in voxels that the shape is to have.
        """
        distance = np.clip(self.section / UNIT, -CLIP, CLIP)
        height = np.full_like(distance, (log_height - np.log(_HEIGHT)) / _HEIGHTS)
        return np.stack([self.image, distance, self._soft_mask(), height], axis=-1).astype(np.float32)

    def _soft_mask(self) -> Float[np.ndarray, "y x"]:
        return np.asarray(np.clip(0.5 - self.section, 0, 1))

    def outline(self) -> Float[np.ndarray, "m m"]:
        """[pixel] Sample the distance to the outline at the points of the section's spline (`section_points`)."""
        smooth = gaussian_filter(self.section.astype(np.float64), _SMOOTHING * len(self.section) / PIXELS)
        rows = (section_points() - pixel_centres()[0]) * len(self.section) / PIXELS
        distance = map_coordinates(smooth, np.meshgrid(rows, rows, indexing="ij"), order=1, mode="nearest")
        reach = np.abs(section_points())
        beyond = np.maximum(reach[:, None], reach[None]) - PIXELS / 2  # Outside the picture nothing is assumed.
        return np.asarray(np.where(beyond > 0, np.maximum(distance, beyond), distance))


def to_network_input(image: Float[np.ndarray, "h w"], mask: Float[np.ndarray, "h w"]) -> PictureInput:
    """Scale a picture and its mask to the size and brightness of the network's input.

    Args:
        image: Fluorescence, in any unit.
        mask: Share of each pixel in the section, inside above one half.
    """
    inside = mask > 0.5
    scale = (PIXELS / image.shape[0], PIXELS / image.shape[1])
    section = signed_distance(inside) * scale[0]
    if scale != (1.0, 1.0):
        image, section = (zoom(array, scale, order=1, grid_mode=True, mode="nearest") for array in (image, section))
    bright = np.percentile(image[section < 0], _BRIGHT_PERCENTILE) if np.any(section < 0) else 0.0
    return PictureInput(image / max(float(bright), 1e-12), section)
