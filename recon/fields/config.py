"""Settings of the continuous fields."""

from typing import Protocol, runtime_checkable

from pydantic import Field

from ..config.base import Settings
from ..config.value_types import LengthOrAuto

SLAB_POINTS = 1 << 15
"""Points of a grid whose features a pyramid holds at once. Defined here because memory estimates import no jax."""


class PyramidSettings(Settings):
    """Field on grids from coarse to fine, with cubic B-splines and a small decoder."""

    levels: int = Field(5, ge=1, le=12, description="Number of grids.")
    finest: LengthOrAuto = Field(
        "auto",
        description="Distance between the nodes of the finest grid. auto: half the finest detail, at least a sample.",
    )
    features: int = Field(3, ge=1, description="Number of features at each node.")
    hidden: int = Field(24, ge=0, description="Width of the decoder; 0 for splines only.")


class FourierSettings(Settings):
    """Field of radial and Fourier encodings into a multilayer perceptron, as in DeCAF."""

    frequencies_lateral: int = Field(6, ge=1, description="Number of octaves of the lateral encoding.")
    angles: int = Field(8, ge=1, description="Number of directions of the lateral encoding, over half a turn.")
    frequencies_axial: int = Field(5, ge=1, description="Number of octaves of the axial encoding.")
    width: int = Field(96, ge=1, description="Width of the hidden layers.")
    depth: int = Field(6, ge=1, description="Number of hidden layers.")


@runtime_checkable
class FieldChoice(Protocol):
    """Settings that name a field and its size."""

    field: str
    pyramid: PyramidSettings
    fourier: FourierSettings
