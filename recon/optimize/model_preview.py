"""Model of a fit that goes on, written now and then, so that it can be looked at before the end."""

import logging
import time
from collections.abc import Callable

from ..model import Model
from ..model_series import ModelSeries

INTERVAL = 10.0
"""[s] Least time between two models."""
SHARE = 0.01
"""Largest share of the time that writing them takes."""

_log = logging.getLogger(__name__)


class ModelPreview:
    """Model of a fit that goes on. A fault of a preview ends the previews, and nothing else.

    Args:
        build: Function that builds the model of the parameters so far.
        write: Function that writes it.
    """

    def __init__(self, build: Callable[[], Model | ModelSeries], write: Callable[[Model | ModelSeries], None]) -> None:
        self._build, self._write = build, write
        self._next = time.monotonic() + INTERVAL

    def offer(self) -> None:
        """Write the model, if that is due."""
        began = time.monotonic()
        if began < self._next:
            return
        try:
            self._write(self._build())
        except Exception as error:  # A lack of memory for the preview is none for the fit.
            self._next = float("inf")
            reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
            _log.warning("no more previews of the model: %s", reason)
            _log.debug("preview", exc_info=error)
            return
        ended = time.monotonic()
        self._next = ended + max(INTERVAL, (ended - began) / SHARE)
