"""Acquisitions: what an instrument measured, read from its own files or ours, and written as ours."""

from .acquisition import Acquisition, Entry
from .describing import describe
from .locating import ComplexSource
from .reading import collect, read_file
from .writing import write

__all__ = ["Acquisition", "ComplexSource", "Entry", "collect", "describe", "read_file", "write"]
