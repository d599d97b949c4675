"""Build the field that the settings name, of a size that suits the measurement."""

from .base import Field, FieldGrid
from .config import FieldChoice
from .fourier import Fourier
from .pyramid import Pyramid, pyramid_levels
from .voxels import Voxels


def field_for(settings: FieldChoice, sampling: FieldGrid, outputs: int, sign: str = "any") -> Field:
    """Make the field that the settings name, of a size that suits the measurement.

    Args:
        settings: The fit's settings.
        sampling: Where the field will be evaluated, and the finest detail to expect.
        outputs: Number of outputs.
        sign: That the outputs are held to: ``any``, ``nonnegative`` or ``nonpositive``.
    """
    if settings.field == "voxels":
        return Voxels(sampling.shape, outputs, sign)
    if settings.field == "fourier":
        choice = settings.fourier
        return Fourier(
            choice.frequencies_lateral,
            choice.angles,
            choice.frequencies_axial,
            choice.width,
            choice.depth,
            (choice.depth // 2,),
            outputs,
            sign,
        )
    pyramid = settings.pyramid
    if pyramid.finest == "auto":
        finest = tuple(max(1.0, 0.5 * r / p) for r, p in zip(sampling.resolution, sampling.pitch, strict=True))
    else:
        finest = tuple(max(1.0, pyramid.finest / p) for p in sampling.pitch)
    z, y, x = finest
    levels = pyramid_levels(sampling.shape, (z, y, x), pyramid.levels)
    return Pyramid(levels, max(pyramid.features, outputs), pyramid.hidden, outputs, sign)
