"""Contents of a run folder: what belongs to a run, and what must be refused, removed or kept when a new one begins."""

import logging
import re
import shutil
from contextlib import suppress
from enum import StrEnum
from pathlib import Path

from ..errors import ConfigError, DataError, Diagnostic
from ..io.atomic import is_temporary, remove_stale, write_atomically
from ..io.json_text import parse_json
from .launch import LAUNCH
from .lock import LOCK
from .provenance import fingerprint_path

_log = logging.getLogger(__name__)

REPORT = "report.html"
METRICS = "metrics.json"
SERIES_TABLE = "series.csv"
"""Table of the acquisitions of a series, in their order."""
SERIES = "series"
"""Folder of the results of single acquisitions of a series, a folder each."""
_FILES = (
    "config.yaml",
    "run.log",
    "debug.log",
    "metrics.jsonl",
    METRICS,
    "choices.json",
    LAUNCH,
    "start.h5",
    "former.h5",
    "model.h5",
    "volume.h5",
    "predictions.h5",
    "profiles.csv",
    "network.h5",
    "teacher.h5",
    "cells.csv",
    "scores.csv",
    "classes.csv",
    SERIES_TABLE,
    REPORT,
)
_NUMBERED_FILES = re.compile(r"(network|teacher)-\d+\.h5")
"""Networks of a cross-validation; the config gives their number."""
CHECKPOINTS = "checkpoint"
"""Folder of the checkpoints of a run; those of its parts are in folders in it."""
MODEL_PREVIEW = f"{CHECKPOINTS}/preview.h5"
"""Model of a fit that goes on."""
TRIALS = "trials"
"""Folder of the states of trials before a run."""
_FOLDERS = ("figures", "crystals", SERIES, "starts", TRIALS)
_NO_REASON = "the disk had no room for the reason"
_LONGEST_REASON = 1 << 16
"""[byte] Part of a sentinel that is read."""
_MODELS = "models"
"""Folder of models named after specimens: only their format marks them as results of a run."""


class Sentinel(StrEnum):
    """Outcome of a run; its value is the name of the file that is written last."""

    DONE = "DONE"
    FAILED = "FAILED"
    STOPPED = "STOPPED"


def read_ending(path: Path) -> tuple[Sentinel, str] | None:
    """Read the outcome of the run in a folder.

    Args:
        path: A run folder.

    Returns:
        The sentinel and the reason in it; None while the run goes on, and if it was killed.
    """
    for sentinel in Sentinel:
        file = path / sentinel
        if file.is_file():
            return sentinel, _reason_in(file) or _NO_REASON
    return None


def _reason_in(file: Path) -> str:
    """Read the reason in a sentinel; no run writes a link, which could name any file of the reader's."""
    if file.is_symlink():
        return ""
    with file.open("rb") as stream:
        return stream.read(_LONGEST_REASON).decode("utf-8", "replace").strip()


def is_run(folder: Path) -> bool:
    """Whether a folder holds a run, in whatever state."""
    return fingerprint_path(folder).is_file() or any((folder / sentinel).is_file() for sentinel in Sentinel)


def files_of_run(folder: Path) -> list[Path]:
    """List the files of a run that commands read, but not its report; empty for any other folder."""
    names = ("model.h5", "volume.h5", *Sentinel)
    if not folder.is_dir() or not (fingerprint_path(folder).is_file() or any((folder / n).is_file() for n in names)):
        return []
    files = [folder / name for name in (*_FILES, *Sentinel) if name != REPORT]
    files += [file for file in folder.iterdir() if _NUMBERED_FILES.fullmatch(file.name)]
    return [
        file
        for file in (*files, *folder.glob(f"{_MODELS}/*.h5"), *folder.glob(f"{CHECKPOINTS}/**/*"))
        if file.is_file()
    ]


def is_occupied(folder: Path) -> bool:
    """Whether a folder holds anything but leftovers of a process that was killed before its run began."""
    return any(not _is_leftover(entry) for entry in folder.iterdir())


def require_run(folder: Path, *, replaceable: bool) -> None:
    """Refuse a folder whose contents a new run must not touch.

    Args:
        folder: A folder that is not empty.
        replaceable: Whether a run in it may be continued or replaced.

    Raises:
        ConfigError: If the folder holds something other than a run, or a run that is not replaceable.
    """
    if not is_run(folder):
        raise ConfigError(Diagnostic(str(folder), "holds files, but no run of unflat", "name an empty or a new folder"))
    if not replaceable:
        remedy = "name another folder, go on with it (--resume) or replace it (--force)"
        raise ConfigError(Diagnostic(str(folder), "already holds a run", remedy))


def remove_results(folder: Path) -> None:
    """Remove all files of a former run but its fingerprint; other files stay.

    The fingerprint stays, so that a folder that a killed process has half cleared is still recognised as a run's.
    """
    for name in _FILES:
        (folder / name).unlink(missing_ok=True)
    for file in folder.iterdir():
        if _NUMBERED_FILES.fullmatch(file.name):
            file.unlink()
    for name in _FOLDERS:
        if (folder / name).is_dir():
            shutil.rmtree(folder / name)
    _remove_models(folder / _MODELS)
    for entry in (folder / CHECKPOINTS).iterdir():
        if entry.is_dir():
            shutil.rmtree(entry)
        elif entry != fingerprint_path(folder):
            entry.unlink()


def remove_sentinels(folder: Path) -> None:
    """Remove the sentinel of a former run."""
    for sentinel in Sentinel:
        (folder / sentinel).unlink(missing_ok=True)


def truncate_metrics(file: Path, last_step: int) -> None:
    """Keep the complete lines of ``metrics.jsonl`` up to a step."""
    if not file.is_file():
        return
    lines = []
    for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            if parse_json(line)["step"] <= last_step:
                lines.append(line + "\n")
        except (ValueError, KeyError, TypeError, RecursionError):
            _log.debug("dropped an incomplete line of metrics.jsonl")
    with write_atomically(file) as temporary:
        temporary.write_text("".join(lines), encoding="utf-8")


def _is_leftover(entry: Path) -> bool:
    if entry.name == CHECKPOINTS and entry.is_dir():
        return all(is_temporary(file) for file in entry.iterdir())
    return entry.name == LOCK or is_temporary(entry)


def _remove_models(folder: Path) -> None:
    """Remove the models of a former run, and their folder if it is then empty."""
    if not folder.is_dir():
        return
    from ..io.hdf5_common import open_checked

    for file in folder.glob("*.h5"):
        with suppress(DataError):  # Not a model of unflat: it stays.
            with open_checked(file, "unflat-model"):
                pass
            file.unlink()
    remove_stale(folder)
    with suppress(OSError):
        folder.rmdir()
