"""Files of a raw scan: a spec file and one TIFF for each frame, in a folder or a zip archive of one.

The frames are told apart by the numbers in their names, ``…_S0054_00000.tif``: of the scan, and of the frame.
"""

import logging
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import TypeAlias

from ...errors import DataError, Diagnostic
from ...io.file_names import natural_order
from ...io.spec import ScanText, SpecScan, split_scans
from ...io.text_table import decode_text

_log = logging.getLogger(__name__)
_SCAN_IN_NAME = re.compile(r"(?:^|[_-])S(\d+)(?=[_-])", re.IGNORECASE)
"""Number of the scan in the name of a frame."""
_FRAME_IN_NAME = re.compile(r"(\d+)$")
"""Number of the frame at the end of its name."""
_SHOWN = 6
"""Largest number of scans or frames that a message lists."""
_Place: TypeAlias = tuple[str, ScanText]
"""Path of a spec file, and one of its scans."""


@dataclass(frozen=True)
class ScanFiles:
    """Files of a scan in a folder or an archive.

    Args:
        path: Folder or archive.
        names: Paths inside it.
        read: Function that reads the bytes of a path.
    """

    path: Path
    names: tuple[str, ...]
    read: Callable[[str], bytes]

    @property
    def specs(self) -> tuple[str, ...]:
        """Paths of the spec files."""
        return tuple(name for name in self.names if is_spec_name(name))

    def find_image(self, word: str) -> str | None:
        """Find an image with a word in its name, such as ``dark`` or ``white``; None if there is none."""
        return next((n for n in self.names if _is_image(n) and word in PurePosixPath(n).name.lower()), None)

    @cached_property
    def frames(self) -> tuple[str, ...]:
        """Paths of the frames, sorted by the numbers in their names."""
        others = {self.find_image("dark"), self.find_image("white")}
        images = sorted((n for n in self.names if _is_image(n) and n not in others), key=natural_order)
        numbers = {name: _frame_number(name) for name in images}
        if None not in numbers.values():
            images.sort(key=lambda name: numbers[name] or 0)
        return tuple(images)


@dataclass(frozen=True)
class ScanFrames:
    """A scan with the frames that belong to its points.

    Args:
        spec: Path of the spec file.
        scan: The scan, its columns as long as there are frames.
        frames: Paths of the frames, one for each point.
    """

    spec: str
    scan: SpecScan
    frames: tuple[str, ...]


def is_spec_name(name: str) -> bool:
    """Whether a path is a spec file's by its name; hidden copies that an archive of macOS holds are none."""
    return name.lower().endswith(".spec") and not _is_hidden(name)


def read_scan(files: ScanFiles) -> ScanFrames:
    """Read the scan to which the frames belong, and match them with its points.

    Raises:
        DataError: If there is no spec file or no frame, the scan is ambiguous or damaged, or frames are missing.
    """
    if not files.specs:
        raise DataError(
            Diagnostic(str(files.path), "holds no spec file", "put the scan's .spec file beside the frames")
        )
    if not files.frames:
        raise DataError(Diagnostic(str(files.path), "holds no TIFF frames beside the spec file", "add the frames"))
    number = _scan_number(files)
    texts = [(spec, text) for spec in files.specs for text in split_scans(decode_text(files.read(spec)))]
    spec, text = _choose(files, texts, number)
    try:
        scan = text.parse()
    except ValueError as error:
        remedy = "copy the spec file again, or delete a last line that is cut off, with the frame that belongs to it"
        raise DataError(Diagnostic(f"{files.path}:{spec}", f"cannot be read: {error}", remedy)) from error
    return _match_frames(files, spec, scan)


def _scan_number(files: ScanFiles) -> int | None:
    """Return the number of the scan in the frames' names; None if they have none.

    Raises:
        DataError: If they belong to several scans.
    """
    numbers = Counter(
        int(match[1]) for name in files.frames if (match := _SCAN_IN_NAME.search(PurePosixPath(name).stem))
    )
    if len(numbers) > 1:
        listed = ", ".join(f"{count} of scan {number}" for number, count in sorted(numbers.items())[:_SHOWN])
        message = f"holds frames of {len(numbers)} scans: {listed}"
        raise DataError(Diagnostic(str(files.path), message, "put each scan's frames into a folder of its own"))
    return next(iter(numbers), None)


def _choose(files: ScanFiles, texts: Sequence[_Place], number: int | None) -> _Place:
    """Choose the frames' scan: by its number, or the only one; of several, the one with as many points as frames.

    Raises:
        DataError: If there is none, or several would do.
    """
    where = f"{files.path}:{files.specs[0]}" if len(files.specs) == 1 else str(files.path)
    candidates = [item for item in texts if number is None or item[1].number == number]
    if len(candidates) == 1:
        return candidates[0]
    count = len(files.frames)
    fitting = next((c for more in (0, 1) if (c := [item for item in candidates if item[1].points == count - more])), [])
    if not candidates and len(texts) == 1 and texts[0][1].points == count:
        _log.warning("%s: the frames are named after scan %s; the only scan, %s, is used", where, number, _list(texts))
        return texts[0]
    if not candidates or number is None:
        frames = "name no scan" if number is None else f"belong to scan {number}"
        message = f"the frames' names {frames}, and the spec file holds the scans: {_list(texts) or 'none'}"
        remedy = "use the spec file of these frames; they are named after their scan, as a_S0054_00000.tif"
        raise DataError(Diagnostic(where, message, remedy))
    message = f"scan {number} stands there {len(candidates)} times: {_list(candidates)}"
    if len({text.content for _, text in fitting}) != 1:
        counted = f"{len(fitting) or 'none'} of them with as many points as there are frames, {count}"
        remedy = "in a copy of the spec file delete the lines of those that are not the frames' scan"
        raise DataError(Diagnostic(where, f"{message}; {counted}", remedy))
    spec, text = fitting[-1]
    _log.warning("%s: %s; %s is used, for %d frames", where, message, text.label, count)
    return spec, text


def _list(places: Sequence[_Place]) -> str:
    """List scans with what tells them apart."""
    shown = [
        f"{text.label} ({text.points} points; {text.command}; {text.date}; line {text.line} of {spec})"
        for spec, text in places[:_SHOWN]
    ]
    return ", ".join(shown) + (", …" if len(places) > _SHOWN else "")


def _match_frames(files: ScanFiles, spec: str, scan: SpecScan) -> ScanFrames:
    """Give each point of a scan its frame, by the frames' numbers.

    One frame more than points is dropped: it was begun when the scan was stopped.

    Raises:
        DataError: If a frame is missing or there twice, or there are several more than points.
    """
    where, points = str(files.path), len(next(iter(scan.columns.values()), ()))
    numbers = [_frame_number(name) for name in files.frames]
    first, count = numbers[0], len(numbers)
    if first is not None and None not in numbers:
        _require_consecutive(files, [number for number in numbers if number is not None])
    if count == points:
        return ScanFrames(spec, scan, files.frames)
    shown = f"{count} frames, and scan {scan.number} of the spec file has {points} points"
    if count == points + 1 and first is not None:
        _log.warning("%s: %s; the last frame, %s, is left out", where, shown, files.frames[-1])
        return ScanFrames(spec, scan, files.frames[:-1])
    if first == 0 and 0 < count < points:
        _log.warning("%s: %s; the last %d points have no frame and are left out", where, shown, points - count)
        columns = {name: column[:count] for name, column in scan.columns.items()}
        return ScanFrames(spec, replace(scan, columns=columns), files.frames)
    remedy = "add the missing frames" if count < points else "remove the frames that do not belong to the scan"
    raise DataError(Diagnostic(where, shown, remedy))


def _require_consecutive(files: ScanFiles, numbers: Sequence[int]) -> None:
    """Refuse frames of which one is missing between others, or there twice.

    Raises:
        DataError: If the numbers are not consecutive.
    """
    twice = next((i for i in range(1, len(numbers)) if numbers[i] == numbers[i - 1]), None)
    if twice is not None:
        message = f"two frames have the number {numbers[twice]}: {files.frames[twice - 1]} and {files.frames[twice]}"
        raise DataError(Diagnostic(str(files.path), message, "remove the one that does not belong to the scan"))
    missing = sorted(set(range(numbers[0], numbers[-1] + 1)) - set(numbers))
    if missing:
        listed = ", ".join(map(str, missing[:_SHOWN])) + (", …" if len(missing) > _SHOWN else "")
        noun = "frame is" if len(missing) == 1 else "frames are"
        message = f"{len(missing)} {noun} missing, of those from {numbers[0]} to {numbers[-1]}: {listed}"
        remedy = "add the missing frames: q grows evenly from frame to frame"
        raise DataError(Diagnostic(str(files.path), message, remedy))


def _frame_number(name: str) -> int | None:
    """Number of a frame, at the end of its name; None if it has none."""
    match = _FRAME_IN_NAME.search(PurePosixPath(name).stem)
    return None if match is None else int(match[1])


def _is_image(name: str) -> bool:
    return name.lower().endswith((".tif", ".tiff")) and not _is_hidden(name)


def _is_hidden(name: str) -> bool:
    return any(part.startswith(("._", "__MACOSX")) for part in PurePosixPath(name).parts)
