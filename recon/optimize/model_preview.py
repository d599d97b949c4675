"""Model of a fit that goes on, written now and then, so that it can be looked at before the end."""

import time
from collections.abc import Callable

from ..model import Model

INTERVAL = 10.0
"""[s] Least time between two models."""
SHARE = 0.01
"""Largest share of the time that writing them takes."""


class ModelPreview:
    """Model of a fit that goes on.

    Args:
        build: Function that builds the model of the parameters so far.
        write: Function that writes it.
    """

    def __init__(self, build: Callable[[], Model], write: Callable[[Model], None]) -> None:
        self._build, self._write = build, write
        self._next = time.monotonic() + INTERVAL

    def offer(self) -> None:
        """Write the model, if that is due."""
        began = time.monotonic()
        if began < self._next:
            return
        self._write(self._build())
        ended = time.monotonic()
        self._next = ended + max(INTERVAL, (ended - began) / SHARE)
