"""Data of a run for its report. Each part may be missing, and none makes the report fail."""

import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from ..config.advice import shell
from ..errors import DataError, Diagnostic, UnflatError
from ..io.hdf5_common import open_checked, text_of
from ..io.json_text import json_records, parse_json
from ..io.metadata import VolumeOptions
from ..io.result import read_result
from ..io.volume_hdf5 import holds_draws
from ..runs.batch_files import is_batch
from ..runs.contents import SERIES, SERIES_TABLE, Sentinel, read_ending
from ..runs.launch import CommandLine, read_launch
from ..runs.logs import without_absolute_paths
from ..runs.verdict import Verdict
from ..sampled import Sampled
from ..series_axis import LAST

_WARNING = re.compile(r"^\S+ \S+ (?:WARNING|ERROR|CRITICAL) +[\w.]+: (.+)$")
_FAR = re.compile(r"^(\.\./){2,}(.*/)?")
"""Way to a file of a command from far above the folder that it was given in: most of an absolute path."""
_SHOWN_VIEWS = 6


@dataclass(frozen=True)
class PredictedViews:
    """Some measured images beside the model's predictions of them.

    Args:
        numbers: Index of each view in the acquisition.
        withheld: Whether a view was withheld from the fit.
        measured: Images.
        modelled: Predictions.
        count: Number of stored views: all that were withheld, and some that were fitted.
        count_withheld: Number of withheld views.
    """

    numbers: tuple[int, ...]
    withheld: tuple[bool, ...]
    measured: Float[np.ndarray, "view y x"]
    modelled: Float[np.ndarray, "view y x"]
    count: int
    count_withheld: int


@dataclass(frozen=True)
class RunData:
    """Contents of a run's folder.

    Args:
        name: Name of the folder.
        ending: Sentinel of the run and its reason; None while it is running.
        config: Config as run.
        records: Lines of ``metrics.jsonl``.
        metrics: Final numbers; None where one is not finite.
        provenance: Command, versions and input of the result.
        warnings: Warnings and errors of the log, each once.
        views: Measured and modelled images.
        result: Model, or volume; None for a volume of many draws, too.
        pictures: Pictures that the run left in ``figures/``.
        gaps: Parts that could not be read, and why.
        folder: Path of the folder, for figures of files that only its kind reads.
        verdict: Verdict on the result; None where there is none.
    """

    name: str
    ending: tuple[Sentinel, str] | None
    config: str = ""
    records: tuple[dict[str, Any], ...] = ()
    metrics: Mapping[str, float | None] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    views: PredictedViews | None = None
    result: Sampled | None = None
    pictures: tuple[Path, ...] = ()
    gaps: tuple[str, ...] = ()
    folder: Path = Path()
    verdict: Verdict | None = None

    @property
    def kind(self) -> str:
        """Kind of experiment, from the result or the config; empty where neither names it."""
        match = re.search(r"^kind: *(\w+)", self.config, re.MULTILINE)
        return getattr(self.result, "kind", "") or (match[1] if match else "")


def gather(run: Path, end: tuple[Sentinel, str] | None = None) -> RunData:
    """Read a run's folder.

    Args:
        run: The folder.
        end: Sentinel and reason of a run that is about to end, while its sentinel is not yet written.

    Raises:
        DataError: If it is no folder, or holds nothing of a run.
    """
    if not run.is_dir():
        raise DataError(Diagnostic(str(run), "no such folder", "name the folder that -o of `unflat fit` made"))
    known = ("config.yaml", "run.log", "metrics.jsonl", "metrics.json", "model.h5", "volume.h5", *Sentinel)
    if not any((run / name).exists() for name in known):
        raise DataError(Diagnostic(str(run), "holds no run", "name the folder that -o of `unflat fit` made"))
    gaps: list[str] = []
    result = None if _holds_only_stacks(run) else _result(run, gaps)
    content = _metrics(run / "metrics.json", gaps)
    return RunData(
        name=run.resolve().name,
        ending=end or read_ending(run),
        config=without_absolute_paths(_text(run / "config.yaml", gaps)),
        records=_records(run / "metrics.jsonl", gaps),
        metrics=_numbers(content),
        verdict=Verdict.from_json(content),
        provenance=_provenance(run, result),
        warnings=_warnings(run / "debug.log"),
        views=_views(run / "predictions.h5", gaps),
        result=result,
        pictures=tuple(sorted((run / "figures").glob("*.png"))),
        gaps=tuple(without_absolute_paths(gap) for gap in gaps),
        folder=run,
    )


def _holds_only_stacks(run: Path) -> bool:
    """Whether the result is one volume of many draws, of which figures read only what they show."""
    file = run / "volume.h5"
    return (run / "config.yaml").is_file() and file.is_file() and not (run / "model.h5").exists() and holds_draws(file)


def _result(run: Path, gaps: list[str]) -> Sampled | None:
    try:
        return read_result(run, VolumeOptions(is_hint=True, at=LAST))
    except UnflatError as error:
        missing = not any((run / name).is_file() for name in ("model.h5", "volume.h5"))
        gaps.append("there is no model and no volume" if missing else str(error))
        return None


def _provenance(run: Path, result: Sampled | None) -> dict[str, Any]:
    """Command, versions and input: those of the model, or of the volume's file."""
    launch, whose = read_launch(run), "run"
    if launch is not None and launch.command is None and is_batch(run.parent):
        launch, whose = read_launch(run.parent), "batch"
    own = {} if launch is None or launch.command is None else _describe_command(launch.command, whose)
    stored = getattr(result, "provenance", None)
    return own | dict(stored or _file_provenance(run / "volume.h5")) | own  # First, and not replaced.


def _describe_command(command: CommandLine, whose: str) -> dict[str, str]:
    """Write a command, and the folder in which it was given, from which its paths lead.

    Args:
        command: The command.
        whose: Whose it is: ``run``, or ``batch`` for that of all scans.
    """
    folder = Path(command.folder).as_posix()
    if set(folder) > {".", "/"}:
        folder = _FAR.sub("…/", folder)
    words = (_FAR.sub("…/", word) for word in command.words)
    return {"command": shell("unflat", *words), "given in": f"{folder}, relative to the {whose}'s folder"}


def _file_provenance(file: Path) -> dict[str, Any]:
    """Read program and input from the root of a volume's file; nothing of one without."""
    try:
        with open_checked(file) as h5:
            content = parse_json(text_of(h5.attrs.get("provenance", "{}")))
            program, _, version = text_of(h5.attrs.get("creator", "")).partition(" ")
    except (UnflatError, ValueError):
        return {}
    return (content if isinstance(content, dict) else {}) | ({program: version} if version else {})


def _text(file: Path, gaps: list[str]) -> str:
    try:
        return file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        gaps.append(f"there is no {file.name}")
        return ""


def _records(file: Path, gaps: list[str]) -> tuple[dict[str, Any], ...]:
    """Whole lines of a file whose last one may be truncated."""
    try:
        return tuple(json_records(file))
    except OSError:
        gaps.append(f"there is no {file.name}")
        return ()


def _metrics(file: Path, gaps: list[str]) -> dict[str, Any]:
    """Content of ``metrics.json``."""
    text = _text(file, gaps)
    if not text:
        return {}
    try:
        content = parse_json(text)
    except ValueError as error:
        gaps.append(f"{file.name} cannot be read: {error}")
        return {}
    return content if isinstance(content, dict) else {}


def _numbers(content: Mapping[str, Any]) -> dict[str, float | None]:
    """Numbers by name, nested ones as ``outer.inner``."""
    numbers: dict[str, float | None] = {}

    def collect(prefix: str, value: object) -> None:
        if isinstance(value, dict):
            for name, inner in value.items():
                collect(f"{prefix}.{name}" if prefix else str(name), inner)
        elif value is None:
            numbers[prefix] = None
        elif isinstance(value, int | float) and not isinstance(value, bool):
            is_huge = isinstance(value, int) and abs(value) > sys.float_info.max
            numbers[prefix] = None if is_huge else float(value)

    collect("", content)
    return numbers


def _warnings(log: Path) -> tuple[str, ...]:
    """Warnings and errors of the long log, each once, in order."""
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ()
    return tuple(dict.fromkeys(match[1] for line in lines if (match := _WARNING.match(line))))


def _views(file: Path, gaps: list[str]) -> PredictedViews | None:
    if not file.is_file():
        if (file.parent / SERIES_TABLE).is_file():
            gaps.append(f"measured and modelled data are in the report of an acquisition: unflat report {SERIES}/NAME")
        else:
            gaps.append("there are no predicted images (predictions.h5)")
        return None
    try:
        with open_checked(file) as h5:
            if "views" not in h5 and "format" in h5.attrs:  # Another kind of prediction, which its kind draws.
                return None
            numbers, withheld = np.ravel(h5["views"]).astype(int), np.ravel(h5["withheld"]).astype(bool)
            if len(numbers) != len(withheld):
                raise DataError(Diagnostic(str(file), f"{len(numbers)} views, of which {len(withheld)} are flagged"))
            chosen = _chosen(withheld)
            measured, modelled = (np.stack([_real(h5[name][i]) for i in chosen]) for name in ("measured", "modelled"))
    except UnflatError as error:
        gaps.append(f"{file.name} cannot be read: {error.faults[0].message}")
        return None
    return PredictedViews(
        tuple(int(numbers[i]) for i in chosen),
        tuple(bool(withheld[i]) for i in chosen),
        measured,
        modelled,
        len(withheld),
        int(withheld.sum()),
    )


def _chosen(withheld: np.ndarray) -> list[int]:
    """A few views, evenly spread: half of them withheld ones, where there are as many."""
    hidden, fitted = np.flatnonzero(withheld), np.flatnonzero(~withheld)
    few = min(len(hidden), max(_SHOWN_VIEWS // 2, _SHOWN_VIEWS - len(fitted)))
    return [*_spread(fitted, _SHOWN_VIEWS - few), *_spread(hidden, few)]


def _spread(items: np.ndarray, count: int) -> list[int]:
    count = min(count, len(items))
    return [int(items[i]) for i in np.linspace(0, len(items) - 1, count).round().astype(int)] if count else []


def _real(image: np.ndarray) -> Float[np.ndarray, "y x"]:
    """An image; the magnitude of a complex field."""
    return np.asarray(np.abs(image) if np.iscomplexobj(image) else image, np.float64)
