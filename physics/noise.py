"""What a camera makes of light: counts, with the noise of photons and of read-out.

    counts = gain · (Poisson(photons · I + background) + Normal(0, read_noise²))

I is the intensity relative to an empty field. Mean and variance of the counts are gain·(photons·I + background) and
gain²·(photons·I + background + read_noise²).
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float


class DetectorError(ValueError):
    """Numbers that describe no detector."""


@dataclass(frozen=True)
class Detector:
    """A camera.

    Args:
        photons: Photons that each pixel detects where there is no specimen; None for a camera without any noise.
        read_noise: Standard deviation of the read-out, in electrons.
        background: Stray light and dark current, in electrons a pixel.
        gain: Counts an electron.

    Raises:
        DetectorError: If a number is negative, or the photons or the gain are zero.
    """

    photons: float | int | None = None
    read_noise: float | int = 0.0
    background: float | int = 0.0
    gain: float | int = 1.0

    def __post_init__(self) -> None:
        for name, value in (("photons", self.photons), ("gain", self.gain)):
            if value is not None and not value > 0:
                raise DetectorError(f"{name} {value:g} is not positive")
        for name, value in (("read noise", self.read_noise), ("background", self.background)):
            if not value >= 0:
                raise DetectorError(f"{name} {value:g} is negative")

    @property
    def scale(self) -> float:
        """Counts that intensity 1 gives, without the background."""
        return self.gain * (1.0 if self.photons is None else self.photons)

    def expose(self, intensity: Float[np.ndarray, "*shape"], rng: np.random.Generator) -> Float[np.ndarray, "*shape"]:
        """Take images.

        Args:
            intensity: Relative to an empty field, at least 0.
            rng: Source of randomness.

        Returns:
            Counts, in float32. A read-out below zero is cut off at zero, as a camera without an offset does.
        """
        if self.photons is None:
            return (self.gain * (intensity + self.background)).astype(np.float32)
        electrons = rng.poisson(self.photons * intensity.astype(np.float64) + self.background).astype(np.float64)
        if self.read_noise > 0:
            electrons += rng.normal(0, self.read_noise, intensity.shape)
        return np.maximum(self.gain * electrons, 0).astype(np.float32)
