"""Counts of a detector that integrates charge, as a CCD, in photons: without the dark level, over those of a photon.

The likelihood is that of photons. A gain of 300 would make noise look 300 times as improbable, and single photons, each
of 300 counts, look like hot pixels.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float

from ...acquisition import Acquisition
from ...config.entries import Entry
from ...io.lazy_arrays import Index, LazyArray

PHOTON_ENTRY = Entry(
    "counts_per_photon", "/measurement/counts_per_photon", ((),), "counts", "counts of one photon before the conversion"
)
"""Counts of one photon in the file of a detector; a file that states it holds photons, and is not converted again."""
_LEAST_VOXELS = 200
"""Least number of voxels with counts from which a common divisor is no chance."""
_FAINTEST = 200
"""Number of the smallest counts whose differences are compared: those of large ones are not exact."""
_NEAR = 1000
"""Multiples of a first divisor that refine it: it is by no more than a part in ten thousand too small."""
_LARGEST_ROOT = 200.0
"""Largest root of which float32 tells whether its square is whole."""
_NEAR_WHOLE = 0.02
"""Distance from a whole number within which a square is one."""
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
        The acquisition without the dark level, and a sentence about a divisor that was not given, or one that was given
        for photons; else empty.
    """
    arrays = {name: array for name, array in acquisition.arrays.items() if name != "dark"}
    if PHOTON_ENTRY.name in acquisition:
        is_asked = photon is not None and photon != 1
        sentence = "the counts were converted to photons before: acquisition.photon and dark are left alone"
        return replace(acquisition, arrays=arrays), sentence if is_asked else ""
    images, dark = acquisition["images"], acquisition.arrays.get("dark", np.zeros(()))
    guess = find_common_divisor(images[good]) if photon is None and not dark.any() else 1.0
    scale = PhotonScale(photon or guess, dark)
    arrays["images"] = scale.to_photons(images)
    if not scale.is_identity:
        arrays[PHOTON_ENTRY.name] = np.array(scale.photon)
    sentence = ""
    if guess != 1:
        sentence = f"all counts are whole multiples of {guess:.6g}, which is taken to be one photon; "
        sentence += "acquisition.photon sets another number (1: they are photons)"
    return replace(acquisition, arrays=arrays), sentence


def scale_of(acquisition: Acquisition, arrays: Mapping[str, LazyArray], region: tuple[Index, Index]) -> PhotonScale:
    """Return the scale of an acquisition that was converted, for a region of the frames of its open file."""
    if PHOTON_ENTRY.name in arrays or PHOTON_ENTRY.name not in acquisition:
        return PhotonScale()
    dark = arrays.get("dark")
    level = 0.0 if dark is None else np.asarray(dark.fetch(region if dark.shape else ()))
    return PhotonScale(float(acquisition[PHOTON_ENTRY.name]), level)


def find_common_divisor(counts: Float[np.ndarray, " n"]) -> float:
    """Find the largest number of which all counts are whole multiples; 1 if they are whole, or there is none."""
    lit = np.unique(counts[counts > 0]).astype(np.float64)
    if np.count_nonzero(counts > 0) < _LEAST_VOXELS or lit.size < 2 or lit[0] == 1:
        return 1.0
    finest = min(lit[0], float(np.diff(lit[:_FAINTEST]).min()))
    few = lit[lit < _NEAR * finest]
    if few.size:  # Differences of float32 numbers are less exact than the numbers.
        wholes = np.rint(few / finest)
        finest = float(few @ wholes / (wholes @ wholes))
    if finest < 1 and lit[0] > 1.5 * finest and _is_power_of_ten(finest):
        return 1.0  # Corrected counts that were rounded to decimals.
    multiples = lit / finest
    error = np.abs(multiples - np.rint(multiples))
    near = multiples * _TOLERANCE < 0.1  # Far multiples of a number that is not exact in float32 tell nothing.
    if near.sum() < 2 or (error[near] > np.maximum(1e-4, _TOLERANCE * multiples[near])).any():
        return 1.0
    return 1.0 if np.isclose(finest, 1, rtol=_TOLERANCE) else float(finest)


def are_amplitudes(counts: Float[np.ndarray, " n"]) -> bool:
    """Whether numbers are the roots of counts: they are not whole, and all of their squares are."""
    lit = counts[(counts > 0) & (counts < _LARGEST_ROOT)].astype(np.float64)
    squares = lit**2
    is_root = np.abs(lit - np.rint(lit)) > _NEAR_WHOLE
    if np.count_nonzero(is_root) < _LEAST_VOXELS:
        return False
    return bool((np.abs(squares - np.rint(squares)) < _NEAR_WHOLE).all())


def _is_power_of_ten(number: float) -> bool:
    return bool(np.isclose(number, 10.0 ** np.rint(np.log10(number)), rtol=_TOLERANCE))
