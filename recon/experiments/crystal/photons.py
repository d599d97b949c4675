"""Counts of a detector that integrates charge, as a CCD, in photons: without the dark level, over those of a photon.

The likelihood is that of photons. A gain of 300 would make noise look 300 times as improbable, and single photons, each
of 300 counts, look like hot pixels.
"""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float

from ...acquisition import Acquisition

COUNTS_PER_PHOTON = "counts_per_photon"
"""Array of an acquisition: counts of one photon in its file; absent where they are photons."""
_LEAST_VOXELS = 200
"""Least number of voxels with counts from which a common divisor is no chance."""
_FAINTEST = 1000
"""Number of the smallest counts whose differences are compared: those of large ones are not exact."""
_TOLERANCE = 1e-5
"""Relative error of the float32 numbers."""


@dataclass(frozen=True)
class PhotonScale:
    """Conversion of counts to photons.

    Args:
        photon: [counts] Counts of one photon.
        dark: [counts] Counts of a pixel without a photon: a number, or one for each pixel.
    """

    photon: float = 1.0
    dark: Float[np.ndarray, "..."] | float = 0.0

    @property
    def is_identity(self) -> bool:
        """Whether the counts are photons already."""
        return self.photon == 1 and not np.any(self.dark)

    def to_photons(self, counts: Float[np.ndarray, "frame y x"]) -> Float[np.ndarray, "frame y x"]:
        """Convert counts to whole photons; NaN stays."""
        if self.is_identity:
            return counts
        photons = np.rint((counts - self.dark) / self.photon)
        return np.asarray(np.where(photons < 0, 0, photons), np.float32)


def convert_to_photons(
    acquisition: Acquisition, good: Bool[np.ndarray, "frame y x"], photon: float | None
) -> tuple[Acquisition, str]:
    """Convert the images to photons.

    Args:
        acquisition: Acquisition with counts, and perhaps the dark level.
        good: Mask of its good voxels.
        photon: [counts] Counts of one photon; None for the largest number of which all counts are whole multiples.

    Returns:
        The acquisition without the dark level, and a sentence about a divisor that was not given; else empty.
    """
    images, dark = acquisition["images"], acquisition.arrays.get("dark", np.zeros(()))
    guess = find_common_divisor(images[good]) if photon is None and not dark.any() else 1.0
    scale = PhotonScale(photon or guess, dark)
    arrays = {name: array for name, array in acquisition.arrays.items() if name != "dark"}
    arrays["images"] = scale.to_photons(images)
    if scale.photon != 1:
        arrays[COUNTS_PER_PHOTON] = np.array(scale.photon)
    sentence = ""
    if guess != 1:
        sentence = f"all counts are whole multiples of {guess:.6g}, which is taken to be one photon; "
        sentence += "acquisition.photon sets another number (1: they are photons)"
    return replace(acquisition, arrays=arrays), sentence


def scale_of(acquisition: Acquisition, dark: Float[np.ndarray, "..."] | None) -> PhotonScale:
    """Return the scale of an acquisition that was converted, for further frames of its file."""
    photon = acquisition.arrays.get(COUNTS_PER_PHOTON, np.ones(()))
    return PhotonScale(float(photon), 0.0 if dark is None else dark)


def find_common_divisor(counts: Float[np.ndarray, " n"]) -> float:
    """Find the largest number of which all counts are whole multiples; 1 if they are whole, or there is none."""
    lit = np.unique(counts[counts > 0]).astype(np.float64)
    if np.count_nonzero(counts > 0) < _LEAST_VOXELS or lit.size < 2 or lit[0] == 1:
        return 1.0
    finest = min(lit[0], float(np.diff(lit[:_FAINTEST]).min()))
    multiples = lit / finest
    error = np.abs(multiples - np.rint(multiples))
    near = multiples * _TOLERANCE < 0.1  # Far multiples of a number that is not exact in float32 tell nothing.
    if near.sum() < 2 or (error[near] > np.maximum(1e-4, _TOLERANCE * multiples[near])).any():
        return 1.0
    return 1.0 if np.isclose(finest, 1, rtol=_TOLERANCE) else float(finest)
