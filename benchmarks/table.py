"""Page of all results: one table, the machines, the figures."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from unflat.recon.runs import write_atomically

from .ledger import Row
from .machine import sentence

COLUMNS = ("", "figure", "ours", "reference", "goal", "how")


def write_page(folder: Path, names: Sequence[str], quick: bool) -> Path:
    """Write ``README.md`` with all results in a folder.

    Args:
        folder: Folder with a JSON file for each benchmark.
        names: Names of the benchmarks, in the order of the page.
        quick: Whether the results are of a trial with tiny sizes.
    """
    results = [json.loads(path.read_text("utf-8")) for name in names if (path := folder / f"{name}.json").is_file()]
    path = folder / "README.md"
    with write_atomically(path) as temporary:
        temporary.write_text(page(results, quick), encoding="utf-8")
    return path


def page(results: Sequence[Mapping[str, Any]], quick: bool) -> str:
    """Return the text of the page.

    Args:
        results: Contents of the results files.
        quick: Whether to warn that the results are of a trial.
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
    """Format a row as Markdown."""
    ours = "—" if row.ours is None else f"{row.ours:.{row.digits}f}{f' {row.unit}' if row.unit else ''}"
    goal = ""
    if row.goal is not None:
        sign, *limits = row.goal
        limit = f"{limits[0]:g} to {limits[1]:g}" if sign == "within" else f"{sign} {limits[0]:g}"
        goal = f"{limit}{'' if row.reached else ' (**missed**)'}"
    shown = f"**{ours}**" if row.reached else ours
    return "| " + " | ".join(escape(t) for t in (row.name, row.figure, shown, row.reference, goal, row.how)) + " |"


def spread(values: Sequence[float], digits: int) -> str:
    """Format the range of some values: ``least to most``, or the one value."""
    least, most = (f"{value:.{digits}f}" for value in (min(values), max(values)))
    return least if least == most else f"{least} to {most}"


def escape(text: str) -> str:
    """Escape text for a cell of a table."""
    return text.replace("|", "\\|").replace("\n", " ")


def _machines(results: Iterable[Mapping[str, Any]]) -> list[str]:
    """List each machine once, with the benchmarks that ran on it and their dates."""
    by_machine: dict[str, dict[str, str]] = {}
    for result in results:
        for origin in result["origins"] or [result]:
            dates = by_machine.setdefault(sentence(origin["machine"]), {})
            dates[result["benchmark"]] = max(dates.get(result["benchmark"], ""), origin["date"][:10])
    return [
        f"{', '.join(f'`{name}` ({date})' for name, date in ran.items())}: {text}" for text, ran in by_machine.items()
    ]


def _remarks(result: Mapping[str, Any]) -> list[str]:
    notes = list(result["notes"])
    if len({origin["source"] for origin in result["origins"]}) > 1:
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
