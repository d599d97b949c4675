"""Names of files: their natural order, and distinct ones that are valid on any file system."""

import re
from collections.abc import Sequence

_ESCAPED = re.compile("[\ud800-\udfff]")
"""Surrogates, by which Python stands for bytes that it cannot decode."""


def distinct_file_names(names: Sequence[str], default: str = "cell") -> list[str]:
    """Derive names of files, without an extension, from names of specimens.

    Args:
        names: Names of specimens, perhaps with duplicates.
        default: Name of a specimen without one.

    Returns:
        Name of each specimen, followed by its number where another has that name already.
    """
    files: list[str] = []
    used: set[str] = set()
    for number, name in enumerate(names):
        plain = "".join(c if c.isalnum() or c in "-_.+" else "_" for c in name) or default
        while plain.casefold() in used:  # Some file systems ignore case.
            plain = f"{plain}-{number}"
        used.add(plain.casefold())
        files.append(plain)
    return files


def readable(text: str) -> str:
    """Replace the bytes of file names that are not UTF-8, which no text file holds, by a replacement character."""
    return _ESCAPED.sub("\N{REPLACEMENT CHARACTER}", text)


def natural_order(name: str) -> list[tuple[int, str]]:
    """Sort key that orders names by the numbers in them: ``image_2`` before ``image_10``."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", name) if part]
