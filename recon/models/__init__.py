"""Models: continuous functions of space, in NumPy, and their self-describing file."""

from .frame import Frame
from .model import Model, ModelQuantity

__all__ = ["Frame", "Model", "ModelQuantity"]
