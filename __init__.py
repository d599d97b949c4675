"""unflat: continuous 3D models from flat measurements."""

from os import PathLike
from typing import TYPE_CHECKING

from .recon.version import __version__

if TYPE_CHECKING:
    from .recon.model import Model

__all__ = ["__version__", "load"]


def load(path: str | PathLike[str]) -> "Model":
    """Open a model file as a function of space.

    Args:
        path: A ``model.h5``, or the run folder that holds one.

    Returns:
        A callable: ``model(points)`` gives the model's first quantity at points (n, 3), ordered (z, y, x), in metres.

    Raises:
        DataError: If the file is missing, torn, or not an unflat model.
    """
    from .recon.io.model_file import read_model

    return read_model(path)
