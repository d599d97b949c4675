"""Sampled volumes, and the file formats that others read."""

from .formats import ENDINGS, read_stack, read_volume, save
from .volume import Quantity, Volume, centred_axis

__all__ = ["ENDINGS", "Quantity", "Volume", "centred_axis", "read_stack", "read_volume", "save"]
