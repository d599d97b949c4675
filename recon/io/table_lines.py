"""Lines of a text table: delimiter, head, and columns of numbers or text."""

import csv
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ..config.units import conversion_factor

_NUMBERS_ONLY = re.compile(r"[\d\seE.,;+−-]+")
_COMMENT = re.compile(r"\s*(?:#L\s|[#%!]+|//|;(?=\s*[^\s\d.+-]))\s*")
_REMARK = re.compile(r"\s#(?:\s.*)?$")
_NUMBER = re.compile(r"[-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eEdD][-+]?\d+)?|[-+]?inf", re.IGNORECASE)
_DECIMAL_COMMA = re.compile(r"[-+]?\d*,\d+(?:[eEdD][-+]?\d+)?")
_POINT = re.compile(r"[-+−]?(?:\d+\.\d*|\.\d+)(?:[eEdD][-+]?\d+)?")
_MISSING = frozenset(("", "nan", "na", "n/a", "null", "none", "-", "--"))
_HEAD = re.compile(
    r"(?P<name>.*?)\s*(?:\[(?P<unit>[^\[\]]*)\]|\((?P<word>[^()]+)\)|\s+in\s+(?P<end>\S+)|/\s*(?P<per>\S+))"
)
_SUFFIX = re.compile(r".*[^\W_]_(?P<unit>[^\W\d_]{2,})")
_WORDS = re.compile(r'"[^"]*"|\S+')
_HEAD_WORDS = re.compile(r'"[^"]*"|\S+(?:\s+[\[(][^\])]*[\])])?')


@dataclass(frozen=True)
class TextColumn:
    """Column of a table.

    Args:
        head: Text of the head; empty in a table without one.
        name: Head without its unit.
        unit: Unit in the head; empty if there is none.
        values: Numbers, NaN where one is missing; or text.
    """

    head: str
    name: str
    unit: str
    values: np.ndarray


def parse_columns(text: str) -> tuple[TextColumn, ...]:
    """Parse the columns of a table.

    Args:
        text: Content of the file.

    Raises:
        ValueError: If the lines make no table; the message quotes the first line that does not fit.
    """
    lines = [(number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
    comments = [_COMMENT.sub("", line, count=1) for _, line in lines if _COMMENT.match(line)]
    lines = [(number, _REMARK.sub("", line)) for number, line in lines if not _COMMENT.match(line)]
    if not lines:
        raise ValueError("it holds no line of numbers")
    divisions = [_DividedLines.of(lines, delimiter) for delimiter in "\t;, "]
    best = max(divisions, key=lambda division: division.score)
    # Numbers in lines of several lengths are no column of text.
    uneven = next((other for other in divisions if other.fault and other.is_numeric), best)
    fault = best.fault or (uneven.fault if not best.score[1] else "")
    if fault:
        raise ValueError(fault)
    return best.columns(comments)


@dataclass(frozen=True)
class _DividedLines:
    """Lines of a table divided at one delimiter.

    Args:
        delimiter: The delimiter; a space stands for any white space.
        comma: Whether numbers may have a decimal comma.
        heads: Lines before the first line of numbers.
        rows: Cells of each line of numbers.
        is_numeric: Whether most lines hold nothing but numbers.
        fault: Message about the first line that does not fit; empty if all fit.
    """

    delimiter: str
    comma: bool
    heads: Sequence[str]
    rows: Sequence[Sequence[str]]
    is_numeric: bool
    fault: str

    @classmethod
    def of(cls, lines: Sequence[tuple[int, str]], delimiter: str) -> "_DividedLines":
        """Divide lines at a delimiter."""
        cells = [_divide(line, delimiter) for _, line in lines]
        comma = delimiter != "," and not any(_POINT.fullmatch(cell) for row in cells for cell in row)
        with_numbers = [row for row in cells if any(_is_number(cell, comma) for cell in row)]
        counts = Counter(map(len, with_numbers))
        count = counts.most_common(1)[0][0] if counts else len(cells[0])
        numeric = _numeric_places([row for row in with_numbers if len(row) == count], comma)
        fits = (len(row) == count and all(_is_number_or_missing(row[i], comma) for i in numeric) for row in cells)
        first = list(fits).index(True)
        if not counts and count > 1 and len(cells) > 1:  # Text alone: the first of several columns' lines is the head.
            first = 1
        is_plain = [bool(_NUMBERS_ONLY.fullmatch(line)) for _, line in lines]
        misfits = (i for i, row in enumerate(cells) if (i > first and len(row) != count) or (i < first and is_plain[i]))
        fault = ""
        if (misfit := next(misfits, None)) is not None:
            (number, line), size = lines[misfit], len(cells[misfit])
            fault = f"line {number} holds {size} value{'s' * (size != 1)} and others {count}: {line.strip()[:40]!r}"
        is_numeric = 2 * sum(is_plain) > len(lines)
        rows = cells[first:]
        if count > 1 and not any(row[-1] for row in rows):  # A delimiter at the end of each line.
            rows = [row[:-1] for row in rows]
        return cls(delimiter, comma, [line for _, line in lines[:first]], rows, is_numeric, fault)

    @property
    def score(self) -> tuple[bool, float, bool]:
        """Quality of the division: whether all lines fit, share of columns of numbers, whether there are several."""
        columns = list(zip(*self.rows, strict=False))
        numeric = sum(_is_numeric(column, self.comma) for column in columns)
        return not self.fault, numeric / len(columns), len(columns) > 1

    def columns(self, comments: Sequence[str]) -> tuple[TextColumn, ...]:
        """Convert the cells to columns, with their heads."""
        cells = list(zip(*self.rows, strict=True))
        heads, units = self._heads(comments, len(cells))
        return tuple(
            TextColumn(head, divide_head(head)[0], unit or divide_head(head)[1], _values(column, self.comma))
            for head, unit, column in zip(heads, units, cells, strict=True)
        )

    def _heads(self, comments: Sequence[str], count: int) -> tuple[Sequence[str], Sequence[str]]:
        """Find the heads of the columns, and the units of a second line of heads; empty texts without any."""
        none = [""] * count
        rows = [row for head in self.heads if (row := _divide_head_line(head, self.delimiter, count))]
        units = next((i for i, row in enumerate(rows) if i and _are_units(row)), None)
        if rows and units is not None:
            return rows[units - 1], [word.strip("[]()") for word in rows[units]]
        if rows:
            return rows[-1], none
        rows = [row for text in comments if (row := _divide_head_line(text, self.delimiter, count))]
        if count == 1:  # Any comment is one cell: only a word or a text with a unit is a head.
            rows = [row for row in rows if len(row[0].split()) == 1 or divide_head(row[0])[1]]
        return (rows[-1] if rows else none), none


def divide_head(text: str) -> tuple[str, str]:
    """Divide the head of a column into name and unit.

    Units stand in brackets, or, where they are known, in parentheses, after ``in``, a slash or an underscore:
    ``angle [deg]``, ``z (um)``, ``z/um``, ``angle in deg``, ``z_um``.

    Args:
        text: The head.

    Returns:
        Name, and unit; without a unit the whole text and an empty one.
    """
    text = text.strip()
    match = _HEAD.fullmatch(text)
    if match:
        unit = match["unit"] or next((match[key] for key in ("word", "end", "per") if match[key]), "")
        if match["name"] and (match["unit"] is not None or is_unit(unit.strip())):
            return match["name"], unit.strip()
    suffix = _SUFFIX.fullmatch(text)
    if suffix and is_unit(suffix["unit"], "m", "rad", "J"):
        return text, suffix["unit"]
    return text, ""


def is_unit(text: str, *dimensions: str) -> bool:
    """Whether a text is a known unit.

    Args:
        text: The text.
        dimensions: SI units of the dimensions in question; any if none is given.
    """
    for expected in dimensions or ("m", "rad", "s", "J", "1/m"):
        try:
            conversion_factor(text, expected)
        except ValueError:
            continue
        return True
    return False


def _are_units(row: Sequence[str]) -> bool:
    """Whether a second line of heads holds the units of the columns."""
    words = [word.strip("[]()") for word in row]
    return any(words) and all(not word or is_unit(word) or word in ("-", "1") for word in words)


def _divide(line: str, delimiter: str) -> list[str]:
    """Divide a line into its cells."""
    if delimiter == " ":
        return [word.strip('"') for word in _WORDS.findall(line)]
    try:
        row = next(csv.reader([line], delimiter=delimiter, skipinitialspace=True))
    except csv.Error as error:
        raise ValueError(f"{line.strip()[:40]!r}: {error}") from error
    return [cell.strip() for cell in row]


def _divide_head_line(line: str, delimiter: str, count: int) -> list[str] | None:
    """Divide a line of heads into a number of cells by any usual delimiter; None if none gives that number."""

    def divisions() -> Iterator[list[str]]:
        for other in (delimiter, *"\t;,"):
            if other != " ":
                yield _divide(line, other)
        yield [word.strip('"') for word in _HEAD_WORDS.findall(line)]
        yield re.split(r"\s{2,}", line.strip())

    rows = (row[:-1] if len(row) == count + 1 and not row[-1] else row for row in divisions())
    return next((row for row in rows if len(row) == count and any(row) and all(map(_is_closed, row))), None)


def _is_closed(cell: str) -> bool:
    """Whether every bracket of a cell is closed in it: a title such as ``places (x, y) in mm`` is no head."""
    return all(cell.count(left) == cell.count(right) for left, right in ("()", "[]"))


def _is_number(cell: str, comma: bool) -> bool:
    """Whether a cell holds a number, with a decimal point or perhaps a comma."""
    cell = cell.replace("−", "-")
    return bool(_NUMBER.fullmatch(cell) or (comma and _DECIMAL_COMMA.fullmatch(cell)))


def _is_number_or_missing(cell: str, comma: bool) -> bool:
    return cell.lower() in _MISSING or _is_number(cell, comma)


def _numeric_places(rows: Sequence[Sequence[str]], comma: bool) -> list[int]:
    """List the columns that hold numbers in more than half of the rows."""
    counts = [sum(_is_number(cell, comma) for cell in column) for column in zip(*rows, strict=True)]
    return [i for i, n in enumerate(counts) if 2 * n > len(rows)]


def _is_numeric(column: Sequence[str], comma: bool) -> bool:
    """Whether a column holds numbers, some of which may be missing."""
    return any(_is_number(cell, comma) for cell in column) and all(_is_number_or_missing(c, comma) for c in column)


def _values(column: Sequence[str], comma: bool) -> np.ndarray:
    """Convert a column to numbers, or to text where it holds others than numbers."""
    if not _is_numeric(column, comma):
        return np.array(column, dtype=np.str_)
    plain = (cell.replace("−", "-").replace(",", ".") for cell in column)
    numbers = (cell.upper().replace("D", "E") if _NUMBER.fullmatch(cell) else "nan" for cell in plain)
    return np.array([float(number) for number in numbers])
