"""Commands of unflat in a process of their own, with their time and memory."""

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
    """Command that ended with another status than 0."""


@dataclass(frozen=True)
class Cost:
    """Time and memory of a process.

    Args:
        seconds: [s] Wall time.
        cpu_seconds: [s] CPU time of all cores.
        peak_bytes: [bytes] Peak memory.
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
        log: File for its output.
        folder: Working folder.
        environment: Additional environment variables.

    Raises:
        CommandFailed: With the end of its output.
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
    """Run ``unflat`` with some arguments; see `run`."""
    return run([sys.executable, "-m", "unflat", *map(str, words)], log=log, folder=folder, environment=environment)


def settings_of(options: Options) -> list[str]:
    """Format options as values of ``--set``."""
    return [f"{name}={value if isinstance(value, str) else json.dumps(value)}" for name, value in options.items()]


def assigned(options: Options) -> list[str]:
    """Format options as arguments of a command line."""
    return [word for assignment in settings_of(options) for word in ("--set", assignment)]


def fit(config: Path, acquisition: Path, output: Path, options: Options, device: str = "auto") -> dict[str, float]:
    """Run ``unflat fit``; see `reconstruct`."""
    return reconstruct("fit", config, acquisition, output, options, device)


def phase(config: Path, acquisition: Path, output: Path, options: Options, device: str = "auto") -> dict[str, float]:
    """Run ``unflat phase``; see `reconstruct`."""
    return reconstruct("phase", config, acquisition, output, options, device)


def reconstruct(
    method: str, config: Path, acquisition: Path, output: Path, options: Options, device: str
) -> dict[str, float]:
    """Run a method of reconstruction, replacing a former run.

    Args:
        method: Name of the command.
        config: Path of the config.
        acquisition: Path of the measurement.
        output: Run folder.
        options: Options set in the config.
        device: Device to compute on.

    Returns:
        The metrics of the run, with ``wall_seconds``, ``cpu_seconds`` and ``peak_bytes`` of the whole process.
    """
    words: tuple[str | Path, ...] = (
        method,
        config,
        acquisition,
        "-o",
        output,
        "--force",
        "--device",
        device,
        *assigned(options),
    )
    cost = unflat(*words, log=output.parent / f"{output.name}.log", folder=output.parent)
    numbers: dict[str, float] = json.loads((output / "metrics.json").read_text("utf-8"))
    return numbers | {
        "wall_seconds": cost.seconds,
        "cpu_seconds": cost.cpu_seconds,
        "peak_bytes": float(cost.peak_bytes),
    }


def starts_of(run: Path) -> list[dict[str, Any]]:
    """Read the metrics of each start of a phase retrieval: llk, llk_free, chi_rms, support."""
    lines = (json.loads(line) for line in (run / "metrics.jsonl").read_text("utf-8").splitlines())
    return list({line["start"]: line for line in lines if "start" in line}.values())
