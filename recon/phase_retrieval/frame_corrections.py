"""Corrections of the frames of a rocking curve that were fitted with the density, on the host."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float


class FrameCorrections(NamedTuple):
    """Fitted corrections of the frames, in their order.

    Args:
        offsets: Offsets along the curve [step] and along y and x [pixel], beside those that the instrument states.
        flux: Factor of the flux of each frame.
        deviations: Standard deviations of the offsets [step, pixel] and of the logarithm of the flux, 0 for what was
            not fitted; None if they were not computed.
    """

    offsets: Float[np.ndarray, "frame 3"]
    flux: Float[np.ndarray, " frame"]
    deviations: Float[np.ndarray, "frame 4"] | None = None

    def numbers(self) -> dict[str, float]:
        """Summarise the corrections, beside the mean and the slope of each, which the density can make up for."""
        frames = np.arange(len(self.offsets))
        rest = self.offsets - np.stack([np.polyval(np.polyfit(frames, v, 1), frames) for v in self.offsets.T], axis=1)
        rolls = np.linalg.norm(rest[:, 1:], axis=1)
        numbers = {
            "angle_correction_rms": float(np.sqrt(np.mean(rest[:, 0] ** 2))),
            "angle_correction_largest": float(np.abs(rest[:, 0]).max()),
            "roll_rms": float(np.sqrt(np.mean(rolls**2))),
            "flux_correction_rms": float(np.std(self.flux)),
        }
        if self.deviations is None or not self.deviations[:, 0].any():
            return numbers
        angles = self.deviations[:, 0]
        return numbers | {
            "angle_deviation_median": float(np.median(angles)),
            "angle_deviation_largest": float(angles.max()),
            "undetermined_angles": float(np.sum(angles > numbers["angle_correction_rms"])),
        }
