"""State of a watch: the folder that it watches, what is on its way, and why it has ended, beside its runs."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from ..io.atomic import write_atomically
from ..io.json_text import json_object

WATCH = "watch.json"


@dataclass(frozen=True)
class WatchState:
    """State of a watch.

    Args:
        arriving: Signs that acquisitions are not whole, by their names.
        ended: Reason of its end; empty while it goes on.
        is_complete: Whether it has ended as it was to, so that nothing is left.
        running: Name of the scan that is computed; empty while it waits.
        learning: Description of what the network learns, or has learned; empty where it does not.
    """

    arriving: Mapping[str, str] = field(default_factory=dict)
    ended: str = ""
    is_complete: bool = False
    running: str = ""
    learning: str = ""

    @classmethod
    def read(cls, folder: Path) -> "WatchState | None":
        """Read the state of a watch; None where its folder has none that is whole."""
        content = json_object(folder / WATCH)
        arriving = content.get("arriving")
        if not isinstance(arriving, dict):
            return None
        names = {str(name): str(reason) for name, reason in arriving.items()}
        running, learning = (str(content.get(name, "")) for name in ("running", "learning"))
        return cls(names, str(content.get("ended", "")), content.get("is_complete") is True, running, learning)

    def write(self, folder: Path) -> None:
        """Write the state."""
        with write_atomically(folder / WATCH) as temporary:
            temporary.write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")

    def summary(self) -> str:
        """Describe the state in a sentence."""
        if self.ended:
            return self.ended
        names = [f"{name} {reason}" for name, reason in self.arriving.items()]
        work = f"computes {self.running}" if self.running else "waits for scans"
        learning = [self.learning] if self.learning else []
        return "; ".join([work, *names[:3], *(["…"] if len(names) > 3 else []), *learning])
