"""Logs of a run: a short one for users, and a detailed one for debugging."""

import logging
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from copy import copy
from pathlib import Path

_PACKAGE = __name__.partition(".")[0]
_ABSOLUTE = re.compile(r"(?<![\w./~…])/[^\s/:'\"]+/(?:[^\s:'\"]*/)?")


class RunLogs:
    """Handlers that write the package's log records to ``run.log`` (short) and ``debug.log`` (long) until closed.

    Args:
        short: Path of the log of notices and warnings, one line each.
        long: Path of the log of all records, with times, loggers and tracebacks.
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

    def add(self, records: Iterable[logging.LogRecord]) -> None:
        """Write records of the time before the logs were there."""
        for record in records:
            for handler in self._handlers:
                if record.levelno >= handler.level:
                    handler.handle(record)

    def close(self) -> None:
        """Remove the handlers."""
        for handler in self._handlers:
            self._logger.removeHandler(handler)
            handler.close()
        self._logger.setLevel(self._former_level)
        self._handlers = ()


@contextmanager
def collect_records() -> Iterator[list[logging.LogRecord]]:
    """Collect the records of the package's log, for a log that is opened later."""
    records: list[logging.LogRecord] = []
    handler = _Collector(records)
    logger = logging.getLogger(_PACKAGE)
    former = logger.level
    logger.setLevel(logging.DEBUG)
    logger.addHandler(handler)
    try:
        yield records
    finally:
        logger.removeHandler(handler)
        logger.setLevel(former)


class _Collector(logging.Handler):
    """Handler that keeps its records."""

    def __init__(self, records: list[logging.LogRecord]) -> None:
        super().__init__()
        self._records = records

    def emit(self, record: logging.LogRecord) -> None:
        self._records.append(record)


def without_absolute_paths(text: str) -> str:
    """Shorten each absolute path of this machine in a text to its last part.

    Paths inside an HDF5 file also begin with a slash; since they do not exist on this machine, they stay.
    """

    def shorten(match: re.Match[str]) -> str:
        top = "/" + match[0].split("/")[1]
        return "…/" if Path(top).exists() else match[0]

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
        """Ignore the error: on a full disk the checkpoint fails too, and that is reported once."""


def _handler(path: Path, level: int, formatter: logging.Formatter) -> logging.Handler:
    handler = _FileHandler(path, encoding="utf-8", errors="backslashreplace")
    handler.setLevel(level)
    handler.setFormatter(formatter)
    return handler
