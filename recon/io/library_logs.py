"""Log records of the libraries that read files."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def silence(library: str) -> Iterator[None]:
    """Suppress a library's log records about a file: an error is raised and reported, and anything else is harmless.

    Args:
        library: Name of the library's logger.
    """
    logger = logging.getLogger(library)
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)
