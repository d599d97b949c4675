"""Description of a metric: title, unit, direction, and meaning."""

import re
from dataclasses import dataclass, replace
from typing import Literal

VISIBLE_SUFFIX = "_seen"
"""Suffix of the names of metrics that leave the missing cone out."""

Better = Literal["higher", "lower", "neither"]


@dataclass(frozen=True)
class Metric:
    """Description of a number that a result is judged by.

    Args:
        name: Key in ``metrics.json`` and in ``--json``.
        title: Title in tables and reports.
        unit: SI unit, ``dB``, a word such as ``pixels``, or empty.
        better: Direction of improvement.
        meaning: One sentence.
        seen: Whether frequencies in the missing cone are left out of result and truth.
        is_label: Whether the number names one of several things, so that a mean of several has no meaning.
    """

    name: str
    title: str
    unit: str
    better: Better
    meaning: str
    seen: bool = False
    is_label: bool = False

    def with_reference(self) -> "Metric":
        """Describe the metric for a comparison with a reference that is not known to be true, such as another run."""
        title, meaning = (_reference_words(text) for text in (self.title, self.meaning))
        return replace(self, title=title, meaning=meaning)

    def text(self, value: float) -> str:
        """Format a value: lengths in µm, volumes in µm³, times in s or min, memory in MB."""
        if value != value:
            return "none"
        if value in (float("inf"), float("-inf")):
            return "∞" if value > 0 else "−∞"
        if self.unit == "m":
            return f"{value * 1e6:.3g} µm"
        if self.unit == "m³":
            return f"{value * 1e18:.4g} µm³"
        if self.unit == "rad":
            return f"{value:.3g} rad"
        if self.unit == "s":
            return f"{value:.3g} s" if value < 180 else f"{value / 60:.1f} min"
        if self.unit == "B":
            return f"{value / 1e6:,.1f} MB"
        if self.unit == "dB":
            return f"{value:.2f} dB"
        number = f"{value:,.0f}" if float(value).is_integer() and abs(value) >= 10 else f"{value:.4g}"
        return f"{number} {self.unit}".rstrip()


def _reference_words(text: str) -> str:
    """Replace the words of a truth by those of a reference."""
    text = re.sub(r"\b(?:true|truth)\b", "reference", text)
    return re.sub(r"\b(?:True|Truth)\b", "Reference", text)
