"""Masks of further sections of which only a picture is known, by a threshold that the cell's first section teaches.

The first section has a picture and a mask. The threshold at which its picture agrees best with its mask, with or
without holes, draws the outline of the cell's other pictures. They must have its exposure: a picture without the cell
is then empty. How well the first mask is met says how far such an outline can be trusted.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float

from .cell_crops import SMALLEST
from .sections import Section

_SMOOTHING = 1.0
"""[pixel] Standard deviation of the Gaussian that removes the noise of a picture."""
_BRIGHT_PERCENTILE = 99.0
"""[%] Percentile of the brightness within the first mask up to which thresholds are tried."""
_LEVELS = np.linspace(0.08, 0.92, 29)
"""Thresholds that are tried, from the background of the first picture to its bright parts."""


@dataclass(frozen=True)
class PictureThreshold:
    """Threshold of the pictures of a cell.

    Args:
        level: Brightness from which a pixel is inside.
        fills_holes: Whether holes are inside.
        agreement: Overlap (IoU) of the first mask with the threshold of the first picture.
    """

    level: float
    fills_holes: bool
    agreement: float

    @classmethod
    def of_first(cls, image: Float[np.ndarray, "y x"], mask: Float[np.ndarray, "y x"]) -> "PictureThreshold":
        """Find the threshold at which the first picture agrees best with the first mask.

        Args:
            image: Picture of the first section.
            mask: Share of each pixel in the section.
        """
        inside = mask > 0.5
        low, high = float(np.median(image[~inside])), float(np.percentile(image[inside], _BRIGHT_PERCENTILE))
        smooth, best = _smooth(image), cls(high, False, 0.0)
        for level in low + _LEVELS * (high - low):
            for fills_holes in (False, True):
                own = _cut(smooth, float(level), fills_holes)
                agreement = float((own & inside).sum() / max((own | inside).sum(), 1))
                if agreement > best.agreement:
                    best = cls(float(level), fills_holes, agreement)
        return best

    def mask(self, image: Float[np.ndarray, "y x"]) -> Float[np.ndarray, "y x"]:
        """Draw the mask of another picture of the cell."""
        return _cut(_smooth(image), self.level, self.fills_holes).astype(np.float32)


def draw_masks(
    sections: Sequence[Section], image: Float[np.ndarray, "y x"], mask: Float[np.ndarray, "y x"]
) -> tuple[Section, ...]:
    """Draw the masks of the sections of a cell that have a picture alone.

    Args:
        sections: Further sections of the cell.
        image: Picture of the first section.
        mask: Share of each pixel in the first section.
    """
    if all(one.mask is not None or one.image is None for one in sections):
        return tuple(sections)
    threshold = PictureThreshold.of_first(image, mask)
    return tuple(
        replace(one, mask=threshold.mask(one.image), has_own_mask=False)
        if one.mask is None and one.image is not None
        else one
        for one in sections
    )


def _smooth(image: Float[np.ndarray, "y x"]) -> Float[np.ndarray, "y x"]:
    from scipy.ndimage import gaussian_filter

    return np.asarray(gaussian_filter(image.astype(np.float32), _SMOOTHING))


def _cut(smooth: Float[np.ndarray, "y x"], level: float, fills_holes: bool) -> Bool[np.ndarray, "y x"]:
    """Pixels above a level, without pieces of few pixels."""
    from scipy.ndimage import binary_fill_holes, label

    pieces = label(smooth > level)[0]
    large = np.bincount(pieces.ravel()) >= SMALLEST
    large[0] = False
    return np.asarray(binary_fill_holes(large[pieces]) if fills_holes else large[pieces])
