"""What the network sees of a cell: its picture and its mask, as it knows them.

The picture is `PIXELS`² pixels; brightness is told relative to the cell's own, for no two microscopes agree on it.
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
"""[voxel] A mean height, and the spread of its logarithm, in which heights are told."""
_BRIGHT = 99.0
"""[%] Quantile of the brightness within the mask that counts as 1."""
_STEPS = 0.6
"""[pixel] By which the steps of the mask's pixels are taken out of the outline that a surface passes through."""


@dataclass(frozen=True)
class PictureInput:
    """A cell as the network sees it.

    Args:
        image: Brightness, 1 in the brightest parts of the section.
        section: [pixel] Signed distance within the plane to the mask's outline, negative inside.
    """

    image: Float[np.ndarray, "y x"]
    section: Float[np.ndarray, "y x"]

    def area(self) -> float:
        """[voxel²] Of the section."""
        return float(self._soft().sum()) * (PIXELS / len(self.section)) ** 2

    def channels(self, log_height: float) -> Float[np.ndarray, "y x channel"]:
        """The planes that the network is given: brightness, distance to the outline, mask with a soft rim, height.

        Args:
            log_height: Logarithm of the mean height in voxels that the shape is to have.
        """
        distance = np.clip(self.section / UNIT, -CLIP, CLIP)
        high = np.full_like(distance, (log_height - np.log(_HEIGHT)) / _HEIGHTS)
        return np.stack([self.image, distance, self._soft(), high], axis=-1).astype(np.float32)

    def _soft(self) -> Float[np.ndarray, "y x"]:
        found: np.ndarray = np.clip(0.5 - self.section, 0, 1)
        return found

    def outline(self) -> Float[np.ndarray, "m m"]:
        """The distance to the outline at the points of the section's own spline (`code.rim`)."""
        smooth = gaussian_filter(self.section.astype(np.float64), _STEPS * len(self.section) / PIXELS)
        rows = (section_points() - pixel_centres()[0]) * len(self.section) / PIXELS
        where = np.meshgrid(rows, rows, indexing="ij")
        found: np.ndarray = map_coordinates(smooth, where, order=1, mode="nearest")
        far = np.abs(section_points())
        beyond = np.maximum(far[:, None], far[None]) - PIXELS / 2  # Nothing is known to be there: there is nothing.
        return np.where(beyond > 0, np.maximum(found, beyond), found)


def to_network_input(image: Float[np.ndarray, "h w"], mask: Float[np.ndarray, "h w"]) -> PictureInput:
    """Bring a picture and its mask to the network.

    Args:
        image: Fluorescence, in any unit.
        mask: Of the section, inside above one half.
    """
    inside = mask > 0.5
    scale = (PIXELS / image.shape[0], PIXELS / image.shape[1])
    section = signed_distance(inside) * scale[0]
    if scale != (1.0, 1.0):
        image, section = (zoom(array, scale, order=1, grid_mode=True, mode="nearest") for array in (image, section))
    bright = np.percentile(image[section < 0], _BRIGHT) if np.any(section < 0) else 0.0
    return PictureInput(image / max(float(bright), 1e-12), section)
