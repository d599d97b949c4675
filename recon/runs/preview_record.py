"""Newest preview of a watch: its words and its picture, beside the runs."""

import base64
import json
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from ..io.atomic import write_atomically
from ..io.json_text import json_object

PREVIEW = "preview.json"


@dataclass(frozen=True)
class PreviewRecord:
    """Preview of a scan that is under way.

    Args:
        scan: Name of the scan.
        frames: Number of frames that it was made from.
        total: Number of frames that there will be.
        method: Method in one word.
        trust: Statement of how far it can be trusted.
        outlook: Statement of whether more frames would change it.
        picture: PNG in base64; empty for none.
        file: Path of the whole scan, relative to the folder of the runs.
        time: [s] Time since 1970 at which it was made.
    """

    scan: str
    frames: int
    total: int
    method: str = ""
    trust: str = ""
    outlook: str = ""
    picture: str = ""
    file: str = ""
    time: float = 0.0

    @property
    def clock(self) -> str:
        """Time of the day at which it was made, here."""
        return datetime.fromtimestamp(self.time, UTC).astimezone().strftime("%H:%M:%S")

    @staticmethod
    def encode(png: bytes) -> str:
        """Encode a picture."""
        return base64.b64encode(png).decode("ascii")

    @classmethod
    def read(cls, folder: Path) -> "PreviewRecord | None":
        """Read the newest preview of a folder; None where there is none that is whole."""
        content = json_object(folder / PREVIEW)
        try:
            frames, total = int(content["frames"]), int(content["total"])
            texts = {name: str(content[name]) for name in ("scan", "method", "trust", "outlook", "picture", "file")}
            return cls(frames=frames, total=total, time=float(content["time"]), **texts)
        except (KeyError, TypeError, ValueError):
            return None

    def write(self, folder: Path) -> None:
        """Write the preview in place of the last one."""
        with write_atomically(folder / PREVIEW) as temporary:
            temporary.write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")

    @staticmethod
    def remove(folder: Path) -> None:
        """Remove the preview of a folder, if there is one."""
        with suppress(OSError):  # What is no folder is refused by others.
            (folder / PREVIEW).unlink(missing_ok=True)
