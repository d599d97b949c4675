"""``unflat status``: what became of many runs."""

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from . import console
from .options import PATH

if TYPE_CHECKING:
    from rich.table import Table

    from ..recon.runs.run_state import RunState

INTERVAL = 2.0
"""[s] Time between two looks at the folders."""
PLAIN_WIDTH = 160
"""Least width of a table that is no terminal's."""
_COLOURS = {
    "done": "green",
    "running": "cyan",
    "stopped": "yellow",
    "waiting": "dim",
    "silent": "yellow",
    "failed": "red",
    "died": "red",
    "sound": "green",
    "doubtful": "yellow",
}


@click.command()
@click.argument("runs", type=PATH, nargs=-1, required=True, metavar="RUNS...")
@click.option("--watch", is_flag=True, help="Refresh the table until no run is going on, or Ctrl-C.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON: a list with an object for each run.")
def command(runs: tuple[Path, ...], watch: bool, as_json: bool) -> None:
    """Show the states of the runs in RUNS: run folders, folders of a batch, or folders that hold such.

    A run is waiting, running, done, failed, stopped (with a checkpoint), died (its process ended without a word), or
    silent (on another machine, without a sign for 15 minutes). Of a run that died, the reason is sought: SLURM's
    record of its job, a restart of the machine, the time limit of the job, the memory that it asked for against the
    memory that there was. For what is left, the command that goes on is printed.

    \b
    Examples:
      unflat status RUNS
      unflat status RUNS --watch
      unflat status RUN1 RUN2 --json | jq '.[] | select(.state == "died")'
    """
    if watch and not as_json:
        _watch(runs)
        return
    states = _read(runs)
    if as_json:
        click.echo(json.dumps([_as_json(state) for state in states], indent=2))
        return
    _print(states)


def _read(runs: Sequence[Path]) -> "list[RunState]":
    from ..recon.runs.death import explain
    from ..recon.runs.run_state import find_runs

    return [explain(state) for state in find_runs(runs)]


def _watch(runs: Sequence[Path]) -> None:
    """Show a table that refreshes; the last one stays, with the commands that go on."""
    from rich.console import Console
    from rich.live import Live

    states = _read(runs)
    screen = Console()
    if screen.is_terminal:
        with Live(_table(states), console=screen, transient=True, auto_refresh=False) as live:
            while any(state.state == "running" for state in states):
                time.sleep(INTERVAL)
                states = _read(runs)
                live.update(_table(states), refresh=True)
    else:
        while any(state.state == "running" for state in states):
            console.print_line(_counts(states))
            time.sleep(INTERVAL)
            states = _read(runs)
    _print(states)


def _print(states: "Sequence[RunState]") -> None:
    from rich.console import Console

    if not console.is_quiet():
        screen = Console()
        if not screen.is_terminal:
            screen.width = max(screen.width, PLAIN_WIDTH)
        screen.print(_table(states))
    console.print_line(_counts(states))
    commands = dict.fromkeys(state.resume_command for state in states if state.state in ("stopped", "died", "waiting"))
    for line in filter(None, commands):
        console.print_line(f"go on with: {line}")
    for line in filter(None, dict.fromkeys(state.retry_command for state in states)):
        console.print_line(f"try those that failed again with: {line}")


def _table(states: "Sequence[RunState]") -> "Table":
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("run", "state", "verdict"):
        table.add_column(title, no_wrap=True)
    for title in ("step", "loss", "silent for"):
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("reason", overflow="fold")
    for state in states:
        verdict = "" if state.verdict is None else str(state.verdict.soundness)
        table.add_row(
            str(state.path),
            Text(state.state, style=_COLOURS.get(state.state, "")),
            Text(verdict, style=_COLOURS.get(verdict, "red")),
            "" if state.step is None else str(state.step),
            "" if state.loss is None else f"{state.loss:.4g}",
            _age(state),
            Text(_reason(state)),
        )
    return table


def _reason(state: "RunState") -> str:
    """Reason of the end; of a result that is not sound, those of its verdict."""
    if state.verdict is not None and state.verdict.reasons:
        return "; ".join(reason.text for reason in state.verdict.reasons)
    return state.reason


def _age(state: "RunState") -> str:
    if not state.last_sign:
        return ""
    seconds = max(time.time() - state.last_sign, 0)
    days, rest = divmod(int(seconds), 86400)
    return f"{days} d {rest // 3600} h" if days else console.format_duration(seconds)


def _counts(states: "Sequence[RunState]") -> str:
    counts: dict[str, int] = {}
    runs = [state for state in states if not state.is_watch]
    for state in runs:
        counts[state.state] = counts.get(state.state, 0) + 1
    plural = "s" if len(runs) != 1 else ""
    numbers = ", ".join(f"{count} {name}" for name, count in counts.items())
    return f"{len(runs)} run{plural}" + (f": {numbers}" if numbers else "")


def _as_json(state: "RunState") -> dict[str, Any]:
    verdict = state.verdict
    return {
        "run": str(state.path),
        "state": str(state.state),
        "verdict": None if verdict is None else str(verdict.soundness),
        "verdict_reasons": [] if verdict is None else [str(reason) for reason in verdict.reasons],
        "reason": state.reason,
        "step": state.step,
        "loss": state.loss,
        "last_sign": state.last_sign or None,
        "process": None if state.holder is None else str(state.holder),
        "resume": state.resume_command or None,
    }
