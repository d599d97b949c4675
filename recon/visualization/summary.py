"""How good a result is, in sentences: what each number says, and what it does not."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from ..metrics import metric_named
from ..runs.contents import Sentinel
from .run_data import RunData

_GATED = ("residual_withheld", "residual_fitted", "llk_free", "llk")
"""What a gate is set for, the first that there is."""

Level = Literal["good", "fair", "poor", "plain"]

NOTHING = "This result explains the images no better than an empty box: look at the light's directions and the units."


@dataclass(frozen=True)
class Finding:
    """One finding.

    Args:
        level: How good it is; ``plain`` where it is neither good nor bad.
        title: What is judged.
        value: The number, or a word.
        text: What it means.
    """

    level: Level
    title: str
    value: str
    text: str


def summarise(facts: RunData) -> list[Finding]:
    """Judge a run: how it ended, whether it predicts views that it never saw, and how near it is to a known truth."""
    kind = facts.kind
    said = kind.findings(facts) if kind is not None and kind.findings is not None else _of_fit(facts)
    return [_ending(facts), *said]


def _of_fit(facts: RunData) -> list[Finding]:
    """Judge a fit to views."""
    found: list[Finding] = []
    numbers = {name: value for name, value in facts.metrics.items() if value is not None}
    withheld = numbers.get("residual_withheld", _last(facts, "withheld"))
    if withheld is not None:
        found.append(_withheld(withheld, numbers, facts))
    elif facts.records:
        text = "No view was withheld from the fit: nothing here shows that it would predict a new image."
        found.append(Finding("plain", "Withheld views", "none", text))
    if "residual_withheld_linear" in numbers and withheld is not None:
        found.append(_against_linear(withheld / max(numbers["residual_withheld_linear"], 1e-12)))
    if "ncc" in numbers:
        found.append(_truth(numbers))
    return found


def _ending(facts: RunData) -> Finding:
    if facts.ending is None:
        text = "The folder holds no sentinel: the run is still going on, or it was killed. Numbers are the latest."
        return Finding("fair", "Run", "not ended", text)
    sentinel, reason = facts.ending
    if sentinel is Sentinel.DONE and _misses_gate(facts.metrics):
        return Finding("poor", "Run", "above its gate", _sentence(reason))
    if sentinel is Sentinel.DONE:
        return Finding("good", "Run", "done", reason or "The run ended by itself.")
    if sentinel is Sentinel.STOPPED:
        text = f"{_sentence(reason)} The checkpoint is kept: the same command with --resume goes on from there."
        return Finding("fair", "Run", "stopped", text)
    return Finding("poor", "Run", "failed", f"{_sentence(reason)} What was reached before is shown below.")


def _misses_gate(numbers: Mapping[str, float | None]) -> bool:
    gate = numbers.get("gate")
    residual = next((numbers[name] for name in _GATED if name in numbers), None)
    return gate is not None and (residual is None or residual > gate)  # None: it is not finite.


def _withheld(value: float, numbers: Mapping[str, float], facts: RunData) -> Finding:
    count = round(numbers.get("views_withheld", facts.views.count_withheld if facts.views else 0))
    views = f"{count} view{'s' if count != 1 else ''}" if count else "the views"
    text = (
        f"Root-mean-square misfit of {views} that the fit never saw, over that of an empty box: 1 explains nothing, "
        "and noise keeps it above 0. It is the honest measure where no truth is known: fitting noise cannot lower it."
    )
    level: Level = "plain"
    fitted = numbers.get("residual_fitted")
    if value >= 1:
        shown = metric_named("residual_withheld").text(value)
        return Finding("poor", "Withheld residual", shown, f"{text} {NOTHING}")
    if fitted is not None and fitted > 0:
        ratio = value / fitted
        level = "good" if ratio < 1.25 else "fair" if ratio < 2 else "poor"
        text += f" It is {ratio:.2f} times that of the fitted views"
        text += {
            "good": ": the model explains what it has not seen as well as what it has.",
            "fair": ": some of what was fitted is noise, or too few views were used.",
            "poor": ": most of what was fitted does not carry over; use more views or stronger regularisation.",
        }[level]
    return Finding(level, "Withheld residual", metric_named("residual_withheld").text(value), text)


def _against_linear(ratio: float) -> Finding:
    level: Level = "good" if ratio <= 0.8 else "fair" if ratio < 1 else "poor"
    text = "Withheld residual over that of the closed-form linear reconstruction of the same views. "
    text += (
        "Below 1, the fit knows more than single scattering tells." if ratio < 1 else "The fit did not improve on it."
    )
    return Finding(level, "Against linear", f"× {ratio:.2f}", text)


def _truth(numbers: Mapping[str, float]) -> Finding:
    ncc = numbers["ncc"]
    parts = [metric_named(n).title + " " + metric_named(n).text(numbers[n]) for n in ("snr", "psnr") if n in numbers]
    text = f"Correlation with the known truth{': ' + ', '.join(parts) if parts else ''}."
    if "ncc_seen" in numbers:
        text += (
            f" On the frequencies that the light can see, without the missing cone, it is {numbers['ncc_seen']:.3f}."
        )
    level: Level = "good" if ncc > 0.9 else "fair" if ncc > 0.7 else "poor"
    return Finding(level, "Against the truth", f"NCC {ncc:.3f}", text)


def _last(facts: RunData, key: str) -> float | None:
    values = [r[key] for r in facts.records if isinstance(r.get(key), int | float)]
    return float(values[-1]) if values else None


def _sentence(reason: str) -> str:
    """The reason with a full stop, its first line only."""
    line = reason.splitlines()[0].strip() if reason.strip() else "No reason was given"
    return line if line.endswith((".", "!", "?")) else line + "."
