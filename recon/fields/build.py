"""Fields from settings."""

from .base import Field, FieldGrid
from .config import FieldChoice
from .fourier import Fourier
from .pyramid import Pyramid, pyramid_levels
from .voxels import Voxels


def field_for(settings: FieldChoice, grid: FieldGrid, outputs: int, sign: str = "any") -> Field:
    """Build the field that the settings name, of a size that suits the measurement.

    Args:
        settings: Type and size of the field.
        grid: Grid of the fit, and the finest detail to expect.
        outputs: Number of outputs.
        sign: Sign to which the outputs are constrained: ``any``, ``nonnegative`` or ``nonpositive``.
    """
    if settings.field == "voxels":
        return Voxels(grid.shape, outputs, sign)
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
        finest = tuple(max(1.0, 0.5 * r / p) for r, p in zip(grid.resolution, grid.pitch, strict=True))
    else:
        finest = tuple(max(1.0, pyramid.finest / p) for p in grid.pitch)
    z, y, x = finest
    levels = pyramid_levels(grid.shape, (z, y, x), pyramid.levels)
    return Pyramid(levels, max(pyramid.features, outputs), pyramid.hidden, outputs, sign)
