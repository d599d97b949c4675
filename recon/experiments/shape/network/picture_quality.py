"""Numbers of a picture and its mask that show, before any shape is drawn, whether they suit a network."""

import numpy as np
from jaxtyping import Bool
from scipy.ndimage import gaussian_filter

from ....errors import DataError
from ....io.network_file import Network, read
from ..config import ShapeSettings
from ..masks import outline_at_border
from ..schema import FIELD
from .inputs import PictureInput
from .shape_code import PIXELS
from .thickness_prior import ThicknessPrior

_SIMULATED = "simulated"
"""Group of the cells that were simulated, whose pixel size is known."""
_MASK_BLUR = 1.5
"""[pixel] Standard deviation of the Gaussian that blurs a mask like a picture."""


def picture_numbers(
    picture: PictureInput, pixel: float | None, trained: float | None, at_border: float = 0.0
) -> dict[str, float]:
    """Compute the numbers of a picture by the quantity of their criterion.

    Args:
        picture: Picture and mask.
        pixel: [m] Pixel size of the network's input; None if unknown.
        trained: [m] Pixel size of the training; None if unknown.
        at_border: Share of the outline on the border of the image that the picture was cut out of.
    """
    inside = picture.section < 0
    numbers = {
        "contrast": _contrast(picture.image, inside),
        "mask_correlation": mask_correlation(picture.image, inside),
    }
    numbers["outline_at_border"] = max(outline_at_border(inside), at_border)
    if pixel is not None and trained is not None:
        numbers["pixel_deviation"] = max(pixel / trained, trained / pixel)
    return numbers


def _contrast(image: np.ndarray, inside: Bool[np.ndarray, "y x"]) -> float:
    """Difference of the mean brightness inside and outside, in standard deviations; 0 for a flat picture."""
    if inside.all() or not inside.any():
        return 0.0
    within, beyond = image[inside], image[~inside]
    deviation = float(np.sqrt((within.var() + beyond.var()) / 2))
    difference = float(within.mean() - beyond.mean())
    return difference / deviation if deviation > 0 else float(np.sign(difference)) * 1e3


def mask_correlation(image: np.ndarray, inside: Bool[np.ndarray, "y x"]) -> float:
    """Compute the correlation of a picture with its blurred mask; 0 where one of the two is flat."""
    soft = gaussian_filter(inside.astype(np.float64), _MASK_BLUR)
    if np.ptp(image) == 0 or np.ptp(soft) == 0:
        return 0.0
    return float(np.corrcoef(image.ravel(), soft.ravel())[0, 1])


def trained_pixel(network: Network) -> float | None:
    """[m] Pixel size of the pictures that a network was trained with: that of simulated cells; None without them."""
    return FIELD / PIXELS if _SIMULATED in ThicknessPrior.from_arrays(network.statistics).groups else None


def resampled_pixel(settings: ShapeSettings) -> float | None:
    """[m] Pixel size of the network's input that pictures are resampled to; None if they are not, or it is unknown."""
    if not settings.predict.resample or settings.acquisition.spacing != "auto":
        return None
    try:
        return trained_pixel(read(settings.predict.network, "shape"))
    except DataError:  # A prediction names the fault; all else needs no network.
        return None


def training_note(network: Network) -> str:
    """Describe in one line the cells that a network was trained on, with their pixels and sections."""
    note = f"the network was trained on {network.trained_on or 'cells that its file does not name'}"
    groups = ThicknessPrior.from_arrays(network.statistics).groups.values()
    if not groups:
        return note
    areas, pixel = np.exp(np.concatenate([group.features[:, 0] for group in groups])), trained_pixel(network)
    step, unit = (1.0, "pixels") if pixel is None else (pixel * 1e6, "um2")
    if pixel is not None and "pixels" not in network.trained_on:
        note += f", pixels of {step:.2g} um"
    return f"{note}, sections of {areas.min() * step**2:.0f} to {areas.max() * step**2:.0f} {unit}"
