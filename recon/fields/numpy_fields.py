"""The architectures that a model file may hold, evaluated in NumPy.

An architecture turns a normalised point (z, y, x), −1 … 1 along each axis of the model's box, into K raw outputs. Each
is a small frozen object made from the model file's JSON description and its named weights. It can be asked at any
points (``at``) and on the product of three axes (``on_lattice``), where interpolation is separable and much faster.
"""

from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np

from ..errors import DataError
from .numpy_fourier import Fourier
from .numpy_pyramid import Pyramid
from .numpy_section import Section
from .numpy_voxels import Voxels

VERSION = 1


Field: TypeAlias = Pyramid | Voxels | Fourier | Section
ARCHITECTURES: dict[str, type[Field]] = {
    "pyramid": Pyramid,
    "voxels": Voxels,
    "fourier": Fourier,
    "section": Section,
}


def field_of(
    architecture: Mapping[str, Any], weights: Mapping[str, np.ndarray], dtype: type[np.floating[Any]] = np.float64
) -> Field:
    """Make the field that a model file describes, with its weights in one precision.

    Raises:
        DataError: If the description is of a type or version not known here, or a weight is missing or misshaped.
    """
    kind, version = str(architecture.get("type")), architecture.get("version")
    if kind not in ARCHITECTURES:
        raise DataError(f"unknown architecture {kind!r}; this version of unflat knows {', '.join(ARCHITECTURES)}")
    if version != VERSION:
        raise DataError(f"architecture {kind} of version {version!r}; this version of unflat reads version {VERSION}")
    try:
        return ARCHITECTURES[kind].load(architecture, {n: np.asarray(w, dtype) for n, w in weights.items()})
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"the description of the architecture {kind} is not complete: {error!r}") from error
