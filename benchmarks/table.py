"""The page that shows all figures: one table, the machine, the pictures."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from unflat.recon.runs import write_atomically

from .ledger import Row
from .machine import sentence

COLUMNS = ("", "figure", "ours", "reference", "goal", "how")


def write_page(folder: Path, names: Sequence[str], quick: bool) -> Path:
    """Write README.md of all results that a folder holds, in the given order.

    Args:
        folder: With a JSON file a benchmark.
        names: Of all benchmarks.
        quick: Whether the figures are only of a trial.
    """
    found = [json.loads(path.read_text("utf-8")) for name in names if (path := folder / f"{name}.json").is_file()]
    path = folder / "README.md"
    with write_atomically(path) as temporary:
        temporary.write_text(page(found, quick), encoding="utf-8")
    return path


def page(results: Sequence[Mapping[str, Any]], quick: bool) -> str:
    """The page's text.

    Args:
        results: What each benchmark's file holds.
        quick: Whether to warn that the figures are only of a trial.
    """
    lines = ["# What unflat reaches", "", "Written by `python -m benchmarks`; figures as measured.", ""]
    if quick:
        lines += ["**A trial with tiny sizes (`--quick`): no figure here means anything.**", ""]
    lines += [f"- {text}" for text in _machines(results)] + [""]
    lines += [f"| {' | '.join(COLUMNS)} |", f"|{'---|' * 2}{'--:|'}{'---|' * 3}"]
    for result in results:
        lines += [line(Row(**row)) for row in result["rows"]]
        if result["outcome"] != "complete":
            lines.append(f"| {result['benchmark']} | *{escape(result['outcome'])}* | | | | |")
    lines.append("")
    for result in results:
        lines += _remarks(result)
    return "\n".join(lines).rstrip() + "\n"


def line(row: Row) -> str:
    """A row as Markdown."""
    ours = "—" if row.ours is None else f"{row.ours:.{row.digits}f}{f' {row.unit}' if row.unit else ''}"
    goal = ""
    if row.goal is not None:
        sign, *limits = row.goal
        wanted = f"{limits[0]:g} to {limits[1]:g}" if sign == "within" else f"{sign} {limits[0]:g}"
        goal = f"{wanted}{'' if row.reached else ' (**missed**)'}"
    # A goal is given as in a list of pairs once it has been through JSON; Row takes either.
    shown = f"**{ours}**" if row.reached else ours
    return "| " + " | ".join(escape(t) for t in (row.name, row.figure, shown, row.reference, goal, row.how)) + " |"


def spread(values: Sequence[float], digits: int) -> str:
    """``least to most``, or the one value."""
    least, most = (f"{value:.{digits}f}" for value in (min(values), max(values)))
    return least if least == most else f"{least} to {most}"


def escape(text: str) -> str:
    """What stands in a cell of a table."""
    return text.replace("|", "\\|").replace("\n", " ")


def _machines(results: Iterable[Mapping[str, Any]]) -> list[str]:
    """Each machine once, with what ran on it and when; parts of one benchmark may be of several."""
    by_machine: dict[str, dict[str, str]] = {}
    for result in results:
        parts = list(result["parts"].values()) or [result]
        for part in parts:
            known = by_machine.setdefault(sentence(part["machine"]), {})
            known[result["benchmark"]] = max(known.get(result["benchmark"], ""), part["date"][:10])
    return [
        f"{', '.join(f'`{name}` ({date})' for name, date in ran.items())}: {text}" for text, ran in by_machine.items()
    ]


def _remarks(result: Mapping[str, Any]) -> list[str]:
    notes = list(result["notes"])
    if len({part["source"] for part in result["parts"].values()}) > 1:
        notes.append(
            "**Its parts were made by different states of the code**: run it with `--again` before quoting it."
        )
    if not notes and not result["figures"]:
        return []
    lines = [f"## {result['benchmark']}", ""]
    lines += [f"- {note}" for note in notes] + ([""] if notes else [])
    for name in result["figures"]:
        lines += [f"![{Path(name).stem}](figures/{name})", ""]
    return lines
