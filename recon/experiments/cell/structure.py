"""Structure of the images that a result leaves unexplained, beyond the noise of the camera.

The squared misfit R² of a result in some views lies between that of the truth, N², which noise alone makes, and that of
an empty box, E². The unexplained structure (R² − N²) / (E² − N²) is 0 for the truth and 1 for an empty box, however
noisy the images are. All misfits are mean squares of amplitudes, of complex fields of their differences.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Num
from scipy import ndimage

from .field_noise import FieldNoise
from .image_noise import ImageNoise

LEAST_STRUCTURE = 0.02
"""Structure of the images, E² − N², relative to E², below which they hold nothing but noise."""
_WORST_SHARE = 0.1
"""Share of the pixels where most structure is left."""
_BLUR = 2.0
"""[pixel] Standard deviation of the filter of a map of the misfit: noise of single pixels hides all else."""


class Misfit(NamedTuple):
    """Mean squares of amplitudes in some views.

    Args:
        result: Misfit of the result, R².
        empty: Misfit of an empty box in the same views, E².
        noise: Misfit that noise alone makes, N²; None where the noise is not known.
        noise_error: Relative standard error of N² and of the noise in R².
    """

    result: float
    empty: float
    noise: float | None
    noise_error: float = 0.0

    @property
    def over_empty(self) -> float:
        """Residual over that of an empty box."""
        return float(np.sqrt(self.result / self.empty)) if self.empty > 0 else 1.0

    @property
    def noise_floor(self) -> float | None:
        """Residual over that of an empty box that noise alone makes; None where the noise is not known."""
        return None if self.noise is None or self.empty <= 0 else float(np.sqrt(self.noise / self.empty))

    @property
    def unexplained(self) -> float | None:
        """Structure that is left; None where the noise is not known or the images hold nothing else."""
        if self.noise is None or self.empty - self.noise <= LEAST_STRUCTURE * self.empty:
            return None
        return (self.result - self.noise) / (self.empty - self.noise)

    @property
    def unexplained_error(self) -> float | None:
        """Standard error of the structure that is left, by the chance of noise in so few pixels."""
        if self.noise is None or self.unexplained is None:
            return None
        return self.noise_error * self.noise / (self.empty - self.noise)


@dataclass(frozen=True)
class ComparedViews:
    """Some views as measured and as modelled, with the misfit of each pixel.

    Args:
        measured: Normalised images, or complex fields.
        modelled: Images or fields of the result, at the brightness of the measured ones.
        is_bright: Whether each view is a bright field or a complex one: an empty box is then 1, and else 0.
        weights: 1 for good pixels, 0 for bad ones.
        has_gain: Whether the brightness of each bright field, or the factor of each complex one, is free.
        noise: Noise of these views; None where it is not known.
    """

    measured: Num[np.ndarray, "view y x"]
    modelled: Num[np.ndarray, "view y x"]
    is_bright: Bool[np.ndarray, " view"]
    weights: Float[np.ndarray, "view y x"]
    has_gain: bool
    noise: ImageNoise | FieldNoise | None

    def misfits(self) -> tuple[Float[np.ndarray, "view y x"], Float[np.ndarray, "view y x"]]:
        """Compute the squared difference of amplitudes of the result, and of an empty box at its best brightness."""
        measured, modelled = _amplitudes(self.measured), _amplitudes(self.modelled)
        level = self.is_bright.astype(np.float64)
        if self.has_gain:
            level = level * _mean(measured, self.weights)
        return np.abs(modelled - measured) ** 2, np.abs(measured - level[:, None, None]) ** 2

    def noise_error(self) -> Float[np.ndarray, "view y x"] | None:
        """Compute the misfit of each pixel that noise alone makes."""
        return None if self.noise is None else self.noise.misfit_of(self.measured)

    def misfit(self, chosen: Bool[np.ndarray, " view"]) -> Misfit:
        """Compute the misfit of some of the views."""
        parts = [*self.misfits(), self.noise_error()]
        weights = self.weights[chosen]
        count = max(float(weights.sum()), 1.0)
        result, empty, noise = (None if p is None else float((p[chosen] * weights).sum() / count) for p in parts)
        error = 0.0 if self.noise is None else float(np.sqrt(2 / count + self.noise.error**2))
        return Misfit(float(result or 0), float(empty or 0), noise, error)

    def concentration(self) -> float | None:
        """Compute the part of the structure left that lies in the worst tenth of the pixels; None without noise."""
        noise = self.noise_error()
        if noise is None:
            return None
        excess = np.maximum(misfit_map(self.misfits()[0] - noise, self.weights), 0).ravel()
        worst = np.sort(excess)[-max(1, round(_WORST_SHARE * excess.size)) :]
        return float(worst.sum() / max(excess.sum(), 1e-30))


def misfit_map(
    misfit: Float[np.ndarray, "view y x"], weights: Float[np.ndarray, "view y x"]
) -> Float[np.ndarray, "y x"]:
    """Average the misfit of each pixel over the views, and over its neighbours."""
    total, count = (
        ndimage.gaussian_filter(part.sum(axis=0), _BLUR, mode="nearest") for part in (misfit * weights, weights)
    )
    return np.asarray(np.where(count > 1e-3, total / np.maximum(count, 1e-3), 0), np.float64)


def structure_numbers(views: ComparedViews, withheld: Bool[np.ndarray, " view"]) -> dict[str, float]:
    """Compute the numbers of ``metrics.json`` on structure and noise.

    Args:
        views: Some fitted views, and the withheld ones.
        withheld: Whether each view is withheld.

    Returns:
        ``noise_floor``, ``structure_unexplained`` and its standard error ``structure_error`` of the withheld views, or
        of the fitted ones where none is; ``structure_unexplained_fitted`` of the fitted ones beside withheld ones;
        ``structure_concentration``; ``noise_photons``. Those that the images do not tell are absent.
    """
    judged = views.misfit(withheld if withheld.any() else ~withheld)
    numbers: dict[str, float | None] = {"noise_floor": judged.noise_floor, "structure_unexplained": judged.unexplained}
    numbers["structure_error"] = judged.unexplained_error
    if withheld.any() and not withheld.all():
        numbers["structure_unexplained_fitted"] = views.misfit(~withheld).unexplained
    numbers["structure_concentration"] = views.concentration()
    numbers["noise_photons"] = views.noise.photons if isinstance(views.noise, ImageNoise) else None
    return {name: value for name, value in numbers.items() if value is not None and np.isfinite(value)}


def _amplitudes(views: Num[np.ndarray, "view y x"]) -> Num[np.ndarray, "view y x"]:
    """Take the roots of images; complex fields are amplitudes already."""
    if np.iscomplexobj(views):
        return views.astype(np.complex128)
    return np.asarray(np.sqrt(np.maximum(views, 0).astype(np.float64)))


def _mean(values: Num[np.ndarray, "view y x"], weights: Float[np.ndarray, "view y x"]) -> Num[np.ndarray, " view"]:
    return np.asarray((values * weights).sum(axis=(1, 2)) / np.maximum(weights.sum(axis=(1, 2)), 1))
