"""Parameters of requests: parsed, checked, and named in errors."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NoReturn, TypeVar

import numpy as np
from jaxtyping import Float

from ..errors import ConfigError
from ..slice_plane import SlicePlane
from .results import Draw, Selection

T = TypeVar("T")


class RequestError(ConfigError):
    """Fault of a parameter of a request."""


@dataclass(frozen=True)
class Query:
    """Parameters of a request, each given once.

    Args:
        values: Texts by name.
    """

    values: Mapping[str, str]

    def number(self, name: str, default: float | None = None) -> float:
        """Read a finite number.

        Raises:
            RequestError: If it is none, or is missing without a default.
        """
        value = self._parse(name, default, float, "number")
        if not np.isfinite(value):
            raise RequestError(f"{name}={self.values[name][:80]!r} is no number")
        return value

    def integer(self, name: str, default: int | None = None) -> int:
        """Read a whole number.

        Raises:
            RequestError: If it is none, or is missing without a default.
        """
        return self._parse(name, default, int, "whole number")

    def _parse(self, name: str, default: T | None, parse: Callable[[str], T], noun: str) -> T:
        """Parse a parameter, or return the default where it is missing."""
        text = self.values.get(name)
        if text is None:
            return _missing(name) if default is None else default
        try:
            return parse(text)
        except ValueError:
            raise RequestError(f"{name}={text[:80]!r} is no {noun}") from None

    def vector(self, name: str) -> Float[np.ndarray, " 3"]:
        """Read three numbers z,y,x.

        Raises:
            RequestError: If they are none.
        """
        text = self.values.get(name)
        if text is None:
            _missing(name)
        try:
            vector = np.array([float(part) for part in text.split(",")])
        except ValueError:
            vector = np.array([])
        if vector.shape != (3,) or not np.isfinite(vector).all():
            raise RequestError(f"{name}={text[:80]!r} is no vector z,y,x")
        return vector

    def text(self, name: str, default: str = "") -> str:
        """Read a text."""
        return self.values.get(name, default)

    def selection(self) -> Selection:
        """Read quantity, draw, specimen, and position in a series."""
        position = self.number("at") if "at" in self.values else None
        return Selection(self.text("quantity"), self._draw(), self.integer("cell", 0), position)

    def plane(self) -> SlicePlane:
        """Read a plane."""
        return SlicePlane(
            self.vector("origin"),
            self.vector("right"),
            self.vector("down"),
            self.integer("width"),
            self.integer("height"),
        )

    def _draw(self) -> Draw:
        text = self.text("draw", "mean")
        if text == "mean":
            return "mean"
        if text == "spread":
            return "spread"
        try:
            return int(text)
        except ValueError:
            raise RequestError(f"draw={text[:80]!r} is no number, and neither 'mean' nor 'spread'") from None


def _missing(name: str) -> NoReturn:
    raise RequestError(f"the parameter {name} is missing")
