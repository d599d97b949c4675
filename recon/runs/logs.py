"""The two logs of a run: a short one for its owner, a long one for whoever looks for a fault."""

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from copy import copy
from pathlib import Path

_PACKAGE = __name__.partition(".")[0]
_ABSOLUTE = re.compile(r"(?<![\w./~…])/[^\s/:'\"]+/(?:[^\s:'\"]*/)?")


class RunLogs:
    """Sends the package's log records to ``run.log`` (short) and ``debug.log`` (long) until closed.

    Args:
        short: File for notices and warnings, one line each.
        long: File for everything, with times, places and tracebacks.
    """

    def __init__(self, short: Path, long: Path) -> None:
        self._logger = logging.getLogger(_PACKAGE)
        self._former_level = self._logger.level
        self._logger.setLevel(logging.DEBUG)
        self._handlers: tuple[logging.Handler, ...] = (
            _handler(short, logging.INFO, _ShortFormatter("%(asctime)s  %(message)s", "%Y-%m-%d %H:%M:%S")),
            _handler(long, logging.DEBUG, _LongFormatter("%(asctime)s %(levelname)-7s %(name)s: %(message)s")),
        )
        for handler in self._handlers:
            self._logger.addHandler(handler)

    def close(self) -> None:
        """Send no more records."""
        for handler in self._handlers:
            self._logger.removeHandler(handler)
            handler.close()
        self._logger.setLevel(self._former_level)
        self._handlers = ()


def without_absolute_paths(text: str) -> str:
    """Shorten each absolute path of this machine to its last part.

    A run's folder can be moved and given away: no name of a place outside may stand in it. Names inside an HDF5 file
    also begin with a slash; they are no place on this machine, and stay.
    """

    def shorten(found: re.Match[str]) -> str:
        top = "/" + found[0].split("/")[1]
        return "…/" if Path(top).exists() else found[0]

    return _ABSOLUTE.sub(shorten, text)


class _LongFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return without_absolute_paths(super().format(record))


class _ShortFormatter(_LongFormatter):
    def format(self, record: logging.LogRecord) -> str:
        plain = copy(record)
        plain.exc_info = plain.exc_text = plain.stack_info = None  # A traceback is for debug.log.
        return super().format(plain)


class _FileHandler(logging.FileHandler):
    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the name is logging's
        """Stay silent: a disk that is full refuses the checkpoint too, and that is said once, in one line."""


def _handler(path: Path, level: int, formatter: logging.Formatter) -> logging.Handler:
    handler = _FileHandler(path, encoding="utf-8")
    handler.setLevel(level)
    handler.setFormatter(formatter)
    return handler


@contextmanager
def hushed(library: str) -> Iterator[None]:
    """Keep a library from logging what it finds wrong with a file: what matters of it is raised, and told by us."""
    logger = logging.getLogger(library)
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)
