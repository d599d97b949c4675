"""Plan of an experiment: the numbers that follow from its geometry alone, before anything is measured or computed.

Numbers are in SI and carry their unit; ``docs/explanation/planning.md`` gives the formula of each.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..config.source import Source
from ..memory import format_bytes
from ..runs.estimate import Estimate
from ..visualization.fourier_section import FourierSection

_PREFIXES = ((1.0, ""), (1e-3, "m"), (1e-6, "u"), (1e-9, "n"), (1e-12, "p"))
_NO_SHARE = 1e-6
"""Largest share that is written as 0."""


@dataclass(frozen=True)
class PlanNumber:
    """A number of a plan, or one for each axis.

    Args:
        name: Name in JSON.
        title: Name in the table.
        value: Value in SI, NaN where there is none; one for each axis if there are several.
        unit: SI unit: ``m``, ``1/m``, ``rad``, ``1``, ``%`` for a share, or a noun such as ``photons``.
        axes: Names of the axes, separated by spaces; empty for a single number.
        note: Remark in the table.
    """

    name: str
    title: str
    value: float | int | tuple[float | int, ...]
    unit: str = "1"
    axes: str = ""
    note: str = ""

    @property
    def text(self) -> str:
        """Value with its unit, for people."""
        if isinstance(self.value, tuple):
            return f"{' x '.join(format_value(v, self.unit) for v in self.value)} ({', '.join(self.axes.split())})"
        return format_value(self.value, self.unit)

    def as_json(self) -> dict[str, Any]:
        """Value, unit and axes; a share is a number from 0 to 1."""
        value = list(self.value) if isinstance(self.value, tuple) else self.value
        entry: dict[str, Any] = {"value": _finite(value), "unit": "1" if self.unit == "%" else self.unit}
        if self.axes:
            entry["axes"] = self.axes.split()
        return entry | ({"note": self.note} if self.note else {})


@dataclass(frozen=True)
class PlanSection:
    """Numbers of one subject.

    Args:
        title: Heading.
        numbers: The numbers.
        lines: Sentences below them.
    """

    title: str
    numbers: tuple[PlanNumber, ...] = ()
    lines: tuple[str, ...] = ()


@dataclass(frozen=True)
class Gain:
    """Effect of one more measurement.

    Args:
        change: Addition, in a phrase.
        before: Number without the addition.
        after: Number with the addition.
    """

    change: str
    before: PlanNumber
    after: PlanNumber

    @property
    def text(self) -> str:
        """Effect in one line."""
        return f"{self.change}: {self.before.title} {self.before.text} -> {self.after.text}"


@dataclass(frozen=True)
class Plan:
    """Plan of an experiment.

    Args:
        kind: Kind of experiment.
        source: Origin of the geometry, in a phrase.
        sections: Numbers by subject.
        gains: Effects of one more view, focus, frame or photon, the most useful first.
        assumptions: Assumptions of the numbers, in sentences.
        warnings: Doubts about the experiment, in sentences.
        pictures: Sections of Fourier space; empty where there is nothing to draw.
        estimate: Memory and time; None where they are not known.
    """

    kind: str
    source: str
    sections: tuple[PlanSection, ...]
    gains: tuple[Gain, ...] = ()
    assumptions: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    pictures: tuple[FourierSection, ...] = ()
    estimate: Estimate | None = None

    def number(self, name: str) -> PlanNumber:
        """Look up a number by its name.

        Raises:
            KeyError: If the plan lacks it.
        """
        for section in self.sections:
            for number in section.numbers:
                if number.name == name:
                    return number
        raise KeyError(name)

    def lines(self) -> list[str]:
        """Write the plan as a table of text."""
        lines = [f"{self.kind}: {self.source}"]
        width = max((len(n.title) for section in self.sections for n in section.numbers), default=0)
        for section in self.sections:
            lines += ["", section.title]
            for n in section.numbers:
                lines.append(f"  {n.title:<{width}}  {n.text}{f'  ({n.note})' if n.note else ''}")
            lines += [f"  {line}" for line in section.lines]
        if self.gains:
            lines += ["", "what one more would bring", *(f"  {gain.text}" for gain in self.gains)]
        if self.estimate is not None and self.estimate.seconds:
            time = f"about {_duration(self.estimate.whole_seconds)} on the CPU"
            lines += ["", "cost", f"  memory about {format_bytes(self.estimate.memory_bytes)}, time {time}"]
            lines += [f"  {line}" for line in self.estimate.lines]
        if self.assumptions:
            lines += ["", "assumptions", *(f"  {sentence}" for sentence in self.assumptions)]
        return lines

    def as_json(self) -> dict[str, Any]:
        """All numbers in SI, by name."""
        document: dict[str, Any] = {"kind": self.kind, "source": self.source}
        document["numbers"] = {n.name: n.as_json() for section in self.sections for n in section.numbers}
        document["gains"] = [
            {"change": g.change, "number": g.before.name, "before": g.before.as_json(), "after": g.after.as_json()}
            for g in self.gains
        ]
        if self.estimate is not None:
            has_time = self.estimate.seconds > 0
            document["memory_bytes"] = self.estimate.memory_bytes if has_time else None
            document["seconds"] = self.estimate.whole_seconds if has_time else None
        return document | {"assumptions": list(self.assumptions), "warnings": list(self.warnings)}


def literal_of(source: Any) -> np.ndarray | None:
    """Look up the value of an acquisition's entry in the config itself; None for a place in a file, and for none."""
    return source.value if isinstance(source, Source) and source.is_literal and source.literal is not None else None


def describe_origin(names: Sequence[str]) -> str:
    """Describe in a phrase the sections of a config that a planned acquisition comes from.

    Args:
        names: Keys that its section ``acquisition:`` states itself.
    """
    return f"simulate and acquisition ({', '.join(names)})" if names else "simulate"


def format_value(value: float | int, unit: str, *, digits: int = 3) -> str:
    """Write a number with its unit, in a prefix that suits a length; angles in degrees, shares in percent; NaN as -."""
    if np.isnan(value):
        return "-"
    if unit == "rad":
        return f"{np.degrees(value):.{digits}g} deg"
    if unit == "%":
        return f"{100 * value if abs(value) > _NO_SHARE else 0:.{digits}g} %"
    if unit in ("m", "1/m") and np.isfinite(value) and value:
        length = abs(value) if unit == "m" else 1 / abs(value)
        factor, prefix = next(((f, p) for f, p in _PREFIXES if length >= 0.9995 * f), _PREFIXES[-1])
        return f"{value / factor:.{digits}g} {prefix}m" if unit == "m" else f"{value * factor:.{digits}g} 1/{prefix}m"
    number = f"{value:.{digits}g}" if abs(value) < 1e5 else f"{value:.2e}"
    number = str(value) if isinstance(value, int) and abs(value) < 1e6 else number
    return number if unit == "1" else f"{number} {unit}"


def _finite(value: Any) -> Any:
    """Replace numbers that JSON lacks by None."""
    if isinstance(value, list):
        return [_finite(item) for item in value]
    return value if np.isfinite(value) else None


def _duration(seconds: float) -> str:
    """Write a time: seconds below two minutes, minutes below two hours, hours beyond."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
