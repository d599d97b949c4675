"""The architectures that a model file may hold, evaluated in NumPy.

An architecture turns a normalised point (z, y, x), −1 … 1 along each axis of the model's box, into K raw outputs. Each
is a small frozen object made from the model file's JSON description and its named weights. It is evaluated at any
points (``at``) or on the product of three axes (``on_grid``), where interpolation is separable and much faster.
"""

from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np

from ..errors import DataError
from .numpy_fourier import NumpyFourier
from .numpy_moved import NumpyMoved
from .numpy_pyramid import NumpyPyramid
from .numpy_section import NumpySection
from .numpy_voxels import NumpyVoxels

VERSION = 1
MOTION = "motion"
"""Entry of an architecture: shift and stretch of the whole field in its box."""

NumpyField: TypeAlias = NumpyPyramid | NumpyVoxels | NumpyFourier | NumpySection | NumpyMoved
ARCHITECTURES: dict[str, type[NumpyPyramid | NumpyVoxels | NumpyFourier | NumpySection]] = {
    "pyramid": NumpyPyramid,
    "voxels": NumpyVoxels,
    "fourier": NumpyFourier,
    "section": NumpySection,
}


def build_numpy_field(
    architecture: Mapping[str, Any], weights: Mapping[str, np.ndarray], dtype: type[np.floating[Any]] = np.float64
) -> NumpyField:
    """Build the field that a model file describes, with its weights in one precision.

    Raises:
        DataError: If the description is of a type or version not known here, or a weight is missing or misshaped.
    """
    kind, version = str(architecture.get("type")), architecture.get("version")
    if kind not in ARCHITECTURES:
        raise DataError(f"unknown architecture {kind!r}; this version of unflat knows {', '.join(ARCHITECTURES)}")
    if version != VERSION:
        raise DataError(f"architecture {kind} of version {version!r}; this version of unflat reads version {VERSION}")
    try:
        field = ARCHITECTURES[kind].load(architecture, {n: np.asarray(w, dtype) for n, w in weights.items()})
        return NumpyMoved.load(field, architecture[MOTION]) if MOTION in architecture else field
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"the description of the architecture {kind} is not complete: {error!r}") from error
