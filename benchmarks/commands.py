"""Commands of unflat as a user gives them, in a process of their own, with what they cost."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Options = Mapping[str, Any]
"""Values of a config by their dotted names."""


class CommandFailed(RuntimeError):  # noqa: N818 - a failure of another program
    """A command ended with a status that is no success."""


@dataclass(frozen=True)
class Cost:
    """What a process took.

    Args:
        seconds: [s] From start to end.
        cpu_seconds: [s] Of all cores.
        peak_bytes: Most memory at a time.
    """

    seconds: float
    cpu_seconds: float
    peak_bytes: int


def run(
    words: Sequence[str], *, log: Path, folder: Path | None = None, environment: Mapping[str, str] | None = None
) -> Cost:
    """Run a program and measure it.

    Args:
        words: Program and arguments.
        log: File for all that it prints.
        folder: Where it runs.
        environment: Variables to set beside those that are.

    Raises:
        CommandFailed: With the end of what it printed.
    """
    with log.open("wb") as out:
        began = time.monotonic()
        process = subprocess.Popen(
            list(words),
            stdout=out,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            cwd=folder,
            env={**os.environ, **(environment or {})},
        )
        try:
            _, status, usage = os.wait4(process.pid, 0)
        except BaseException:
            process.terminate()
            process.wait()
            raise
        seconds = time.monotonic() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        tail = "\n".join(log.read_text("utf-8", errors="replace").splitlines()[-12:])
        raise CommandFailed(f"{' '.join(words)} ended with {process.returncode}; the end of {log}:\n{tail}")
    unit = 1 if sys.platform == "darwin" else 1024
    return Cost(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * unit)


def unflat(
    *words: str | Path, log: Path, folder: Path | None = None, environment: Mapping[str, str] | None = None
) -> Cost:
    """Run ``unflat`` with some words; arguments as for `run`."""
    return run([sys.executable, "-m", "unflat", *map(str, words)], log=log, folder=folder, environment=environment)


def settings_of(options: Options) -> list[str]:
    """Options as ``--set`` has them."""
    return [f"{name}={value if isinstance(value, str) else json.dumps(value)}" for name, value in options.items()]


def assigned(options: Options) -> list[str]:
    """Options as words of a command line."""
    return [word for assignment in settings_of(options) for word in ("--set", assignment)]


def fit(config: Path, acquisition: Path, output: Path, options: Options, device: str = "auto") -> dict[str, float]:
    """Run ``unflat fit``; as `reconstruct`."""
    return reconstruct("fit", config, acquisition, output, options, device)


def phase(config: Path, acquisition: Path, output: Path, options: Options, device: str = "auto") -> dict[str, float]:
    """Run ``unflat phase``; as `reconstruct`."""
    return reconstruct("phase", config, acquisition, output, options, device)


def reconstruct(
    way: str, config: Path, acquisition: Path, output: Path, options: Options, device: str
) -> dict[str, float]:
    """Run a way back from the measurement, replacing what is there.

    Returns:
        The run's own metrics, with ``wall_seconds``, ``cpu_seconds`` and ``peak_bytes`` of the whole process.
    """
    words = (way, config, acquisition, "-o", output, "--force", "--device", device, *assigned(options))
    cost = unflat(*words, log=output.parent / f"{output.name}.log", folder=output.parent)
    numbers: dict[str, float] = json.loads((output / "metrics.json").read_text("utf-8"))
    return numbers | {
        "wall_seconds": cost.seconds,
        "cpu_seconds": cost.cpu_seconds,
        "peak_bytes": float(cost.peak_bytes),
    }


def starts_of(run: Path) -> list[dict[str, Any]]:
    """What a phase retrieval tells of each start: llk, llk_free, chi_rms, support."""
    lines = (json.loads(line) for line in (run / "metrics.jsonl").read_text("utf-8").splitlines())
    return list({line["start"]: line for line in lines if "start" in line}.values())
