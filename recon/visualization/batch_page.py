"""Page of a batch: a row for each scan, with its verdict, its numbers, a small picture and the way to its report."""

import base64
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from urllib.parse import quote

from ..io.atomic import write_atomically
from ..io.file_names import readable
from ..metrics import Metric
from ..runs.batch_files import PAGE
from ..runs.batch_record import ScanRecord, State
from ..runs.contents import REPORT
from ..runs.learning_record import LearningRecord
from ..runs.preview_record import PreviewRecord
from ..runs.verdict import Verdict
from .templates import load_template

THUMBNAIL = "figures/thumbnail.jpg"
_HEIGHT, _WIDTH = 88, 264
"""[pixel] Largest size of a small picture."""
_MOST_EMBEDDED = 100
"""Rows whose picture is in the page itself, which a browser loads again every few seconds."""
_PICTURE = re.compile(r'<img src="data:image/\w+;base64,([A-Za-z0-9+/=]+)"')


@dataclass(frozen=True)
class BatchRow:
    """Row of the page.

    Args:
        scan: Record of the scan.
        verdict: Verdict on its result; None where there is none.
        numbers: Numbers of its result.
    """

    scan: ScanRecord
    verdict: Verdict | None = None
    numbers: Mapping[str, float] = field(default_factory=dict)


def write_batch_page(folder: Path, rows: Sequence[BatchRow], metrics: Sequence[Metric], *, is_running: bool) -> None:
    """Write ``index.html``, which needs no other file but the reports that it leads to, and pictures of further rows.

    Args:
        folder: Folder of the batch.
        rows: Rows in order.
        metrics: Metrics of the columns; those that no row has are left out.
        is_running: Whether the page is to load itself again.

    Raises:
        DataError: If the disk refuses.
    """
    shown = [metric for metric in metrics if any(metric.name in row.numbers for row in rows)]
    page = load_template("batch_page.html").render(
        title=folder.resolve().name,
        summary=_summary(rows),
        metrics=[{"title": metric.title, "meaning": metric.meaning} for metric in shown],
        rows=[_row(folder, row, shown, embeds=number < _MOST_EMBEDDED) for number, row in enumerate(rows)],
        is_running=is_running,
        preview=_preview(folder, rows) if is_running else None,
        learning=LearningRecord.read(folder).summary,
        written=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
    )
    with write_atomically(folder / PAGE) as temporary:
        temporary.write_text(readable(page), encoding="utf-8")


def _preview(folder: Path, rows: Sequence[BatchRow]) -> PreviewRecord | None:
    """Newest preview, unless its scan has had a result since."""
    preview = PreviewRecord.read(folder)
    if preview is None:
        return None
    ended = (row.scan for row in rows if row.scan.status in (State.DONE, State.FAILED))
    return None if any(one.file == preview.file and one.noted >= preview.time for one in ended) else preview


def write_thumbnail(run: Path) -> None:
    """Write the first picture of a run's report at a small size; nothing where there is none."""
    from PIL import Image

    with suppress(OSError, ValueError):  # A row without a picture is a row.
        match = _PICTURE.search((run / REPORT).read_text("utf-8"))
        if match is None:
            return
        picture = Image.open(BytesIO(base64.b64decode(match[1]))).convert("RGB")
        picture.thumbnail((_WIDTH, _HEIGHT))
        (run / THUMBNAIL).parent.mkdir(exist_ok=True)
        picture.save(run / THUMBNAIL, quality=75)


def _summary(rows: Sequence[BatchRow]) -> str:
    """Numbers of scans in each state and of each verdict."""
    counts: dict[str, int] = {}
    for row in rows:
        word = _word(row)
        counts[word] = counts.get(word, 0) + 1
    plural = "s" if len(rows) != 1 else ""
    return f"{len(rows)} scan{plural}: " + ", ".join(f"{count} {word}" for word, count in counts.items())


def _word(row: BatchRow) -> str:
    """Verdict of a result, and the state of a scan without one."""
    if row.verdict is not None:
        return str(row.verdict.soundness)
    return "no result" if row.scan.status is State.FAILED else str(row.scan.status)


def _row(folder: Path, row: BatchRow, metrics: Sequence[Metric], *, embeds: bool) -> dict[str, object]:
    scan, run = row.scan, folder / row.scan.name
    reasons = [] if row.verdict is None else [reason.text for reason in row.verdict.reasons]
    if scan.fault and not (row.verdict and row.verdict.reasons):
        reasons = scan.fault.splitlines()
    return {
        "name": scan.name,
        "link": f"{quote(scan.name)}/{REPORT}" if (run / REPORT).is_file() else "",
        "word": _word(row),
        "level": "failed" if scan.status is State.FAILED else _word(row),
        "reasons": reasons,
        "numbers": [metric.text(row.numbers[metric.name]) if metric.name in row.numbers else "" for metric in metrics],
        "seconds": f"{scan.seconds:.3g} s" if scan.seconds else "",
        "picture": _data_address(run / THUMBNAIL) if embeds else _link(folder, run / THUMBNAIL),
    }


def _link(folder: Path, file: Path) -> str:
    """Address of a file from the page; empty where there is none."""
    return quote(file.relative_to(folder).as_posix()) if file.is_file() else ""


def _data_address(picture: Path) -> str:
    """Address of a picture that holds the picture itself; empty where there is none."""
    try:
        return "data:image/jpeg;base64," + base64.b64encode(picture.read_bytes()).decode("ascii")
    except OSError:
        return ""
