"""Results of measurements as numbers for JSON and as the lines of a table."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

import jax

from ..version import __version__
from .machine import load_average, machine
from .measurement import BenchmarkResult
from .scaling import Scaling, scalings

EXPONENT_GOAL = 1.1
"""Largest exponent of the growth of a time with the number of samples that is aimed at."""
_DASH = "-"


@dataclass(frozen=True)
class Conditions:
    """Machine and device of the measurements.

    Args:
        bandwidth: [byte/s] Memory that a copy reads and writes in a second.
        load: Mean number of processes of the last minute when the measurements began; None where it is not known.
        onednn: Whether XLA computes convolutions and matrix products on a CPU by oneDNN.
    """

    bandwidth: float
    load: float | None
    onednn: bool = False

    @property
    def cores(self) -> int:
        """Number of CPU cores of this process."""
        return int(machine()["cores"])

    @property
    def is_busy(self) -> bool:
        """Whether more processes ran than there are cores."""
        return self.load is not None and self.load > self.cores

    def lines(self) -> list[str]:
        """Describe the machine, the device and the load."""
        known, devices = machine(), jax.local_devices()
        lines = [
            f"{len(devices)} x {devices[0].device_kind} ({devices[0].platform}), {known['cores']} CPU cores "
            f"({known['cpu']}), {known['memory']} of memory",
            f"unflat {__version__}, jax {known['jax']}, numpy {known['numpy']}, Python {known['python']}",
            f"copy bandwidth {self.bandwidth / 1e9:.1f} GB/s",
        ]
        if self.onednn and devices[0].platform == "cpu":
            lines.append("convolutions by oneDNN, as in predict and train; fit and phase run without it")
        if self.is_busy:
            lines.append(
                f"LOADED MACHINE: {self.load:.1f} processes on {self.cores} cores when this began; ratios in CPU time "
                "hold better than times, and no goal is judged"
            )
        elif self.load is not None:
            lines.append(f"load {self.load:.1f} on {self.cores} cores")
        return lines


def bandwidth_share(measurement: BenchmarkResult, bandwidth: float) -> float | None:
    """Share of the copy bandwidth at which a function does its least reading and writing; None for other bounds."""
    if not measurement.bytes_moved:
        return None
    return measurement.bytes_moved / (measurement.seconds * measurement.steps) / bandwidth


def to_json(
    measurements: Sequence[BenchmarkResult], conditions: Conditions, omitted: Sequence[str] = (), ended: str = ""
) -> dict[str, Any]:
    """Collect everything that was measured.

    Args:
        measurements: The measurements.
        conditions: Machine and device.
        omitted: Descriptions of what was left out, and why.
        ended: Reason for an early end; empty where there is none.
    """
    devices = jax.local_devices()
    return {
        "format": "unflat-bench",
        "unflat": __version__,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "device": {"platform": devices[0].platform, "kind": devices[0].device_kind, "count": len(devices)},
        "load": {
            "before": conditions.load,
            "after": load_average(),
            "cores": conditions.cores,
            "busy": conditions.is_busy,
        },
        "copy_bandwidth": conditions.bandwidth,
        "onednn": conditions.onednn,
        "omitted": list(omitted),
        "ended": ended,
        "measurements": [_numbers(one, conditions) for one in measurements],
        "scalings": [
            asdict(one) | {"sizes": [size._asdict() for size in one.sizes], "goal": EXPONENT_GOAL}
            for one in scalings(measurements)
        ],
    }


def _numbers(measurement: BenchmarkResult, conditions: Conditions) -> dict[str, Any]:
    timing = measurement.timing
    return {
        "kind": measurement.kind,
        "name": measurement.name,
        **measurement.size._asdict(),
        "batch_name": measurement.batch_name,
        "sweep": measurement.sweep,
        "seconds": measurement.seconds,
        "floor_seconds": measurement.floor_seconds,
        "floor": measurement.floor_work,
        "ratio": timing.ratio,
        "ratio_least": float(min(timing.ratios)),
        "ratio_most": float(max(timing.ratios)),
        "ratio_cpu": timing.cpu_ratio,
        "goal": measurement.goal,
        "goal_met": None if conditions.is_busy else measurement.meets_goal,
        "pairs": len(timing.seconds),
        "steps": measurement.steps,
        "bytes_moved": measurement.bytes_moved,
        "bandwidth_share": bandwidth_share(measurement, conditions.bandwidth),
    }


def table_lines(measurements: Sequence[BenchmarkResult], conditions: Conditions) -> list[str]:
    """Lines of the table: a function at its size, its floor, and their ratio.

    On a CPU the last column is the ratio in CPU time, on a GPU the share of the copy bandwidth.
    """
    on_accelerator = jax.local_devices()[0].platform != "cpu"
    rows = [["kind", "function", "size", "time", "floor", "ratio", "(least-most)", "goal", "pairs"]]
    rows[0] += ["bandwidth" if on_accelerator else "CPU time"]
    for one in measurements:
        if not one.sweep:
            rows.append(_row(one, conditions, on_accelerator=on_accelerator))
    return _aligned(rows)


def _row(one: BenchmarkResult, conditions: Conditions, *, on_accelerator: bool) -> list[str]:
    ratios, share = one.timing.ratios, bandwidth_share(one, conditions.bandwidth)
    row = [
        one.kind,
        one.name,
        one.size.describe(one.batch_name),
        format_seconds(one.seconds),
        format_seconds(one.floor_seconds),
    ]
    spread = f"({min(ratios):.2f}-{max(ratios):.2f})" if one.is_spread_known else _DASH
    goal = _DASH if one.goal is None else _judged(one.goal, None if conditions.is_busy else one.meets_goal)
    row += [f"{one.timing.ratio:.2f}", spread, goal, f"{len(ratios)}"]
    if on_accelerator:
        return [*row, _DASH if share is None else f"{share:.0%}"]
    return [*row, f"{one.timing.cpu_ratio:.2f}"]


def _judged(goal: float, is_met: bool | None) -> str:
    """Write a goal, and whether it is met where that is sure."""
    return f"{goal:g}" + {True: " met", False: " missed", None: " ?"}[is_met]


def scaling_lines(measurements: Sequence[BenchmarkResult], conditions: Conditions) -> list[str]:
    """Lines of the table of sizes: each function's time a step at every size, and the exponent."""
    rows = [["kind", "function", "size", "time", "floor", "ratio", "exponent", "of floor", "goal"]]
    for scaling in scalings(measurements):
        own = [one for one in measurements if (one.kind, one.name) == (scaling.kind, scaling.name)]
        for number, one in enumerate(one for one in own if one.sweep in ("", scaling.sweep)):
            head = [one.kind, one.name] if number == 0 else ["", ""]
            tail = _exponents(scaling, conditions) if number == len(scaling.sizes) - 1 else ["", "", ""]
            times = [format_seconds(one.seconds), format_seconds(one.floor_seconds), f"{one.timing.ratio:.2f}"]
            rows.append([*head, one.size.describe(one.batch_name), *times, *tail])
    return _aligned(rows) if len(rows) > 1 else []


def _exponents(scaling: Scaling, conditions: Conditions) -> list[str]:
    goal = _judged(EXPONENT_GOAL, None if conditions.is_busy else scaling.exponent <= EXPONENT_GOAL)
    return [f"{scaling.exponent:.2f}", f"{scaling.floor_exponent:.2f}", goal]


def _aligned(rows: Iterable[Sequence[str]]) -> list[str]:
    listed = list(rows)
    widths = [max(map(len, column)) for column in zip(*listed, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in listed]


def format_seconds(seconds: float) -> str:
    """Write a time with three digits: ``2.35 ms``."""
    units: Mapping[str, float] = {"s": 1.0, "ms": 1e-3, "us": 1e-6}
    unit = next((name for name, value in units.items() if seconds >= value), "us")
    return f"{seconds / units[unit]:#.3g}".rstrip(".") + f" {unit}"
