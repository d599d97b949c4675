"""Verdict on predicted shapes: limits of the numbers of each cell, and of their share in a run.

The limits are calibrated on cells of known shape: ``benchmarks/verdicts_shape.py``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ...metrics import Metric
from ...runs.verdict import Reason, SpecimenVerdict, Verdict
from .labels import list_some

_NOTABLE_SHARE = 0.2
"""Share of doubtful cells from which a run of several is doubtful."""


@dataclass(frozen=True)
class Criterion:
    """Limit of a number of a cell.

    Args:
        name: Name of the reason.
        quantity: Name of the number, a column of ``cells.csv``.
        limit: Value beyond which the cell is doubtful.
        text: Sentence on one or several cells, with fields for the words that depend on their number, and ``value``.
        remedy: Advice.
        title: Title of the reason in tables.
        meaning: Meaning of the number in one sentence.
        below: Whether the cell is doubtful below the limit instead of above it.
        fatal: Value from which the shapes of the cell have failed; None where they never have.
        form: Format of the value.
    """

    name: str
    quantity: str
    limit: float
    text: str
    remedy: str
    title: str
    meaning: str
    below: bool = False
    fatal: float | None = None
    form: str = ".2g"

    @property
    def count(self) -> str:
        """Name of the metric that counts the cells beyond the limit."""
        return "cells_" + self.name.replace("-", "_")

    @property
    def worst(self) -> str:
        """Name of the metric that holds the value of the worst cell."""
        return f"worst_{self.quantity}"

    def exceeds(self, value: float) -> bool:
        """Whether a cell of such a value is doubtful."""
        return value < self.limit if self.below else value > self.limit

    def reason(self, value: float, doubtful: int = 1, cells: int = 1) -> Reason:
        """State the reason.

        Args:
            value: Value of the worst cell.
            doubtful: Number of cells beyond the limit.
            cells: Number of all cells.
        """
        one = cells == 1
        words = {"cells": "the cell" if one else f"{doubtful} of {cells} cells", "are": "is" if one else "are"}
        words |= {"their": "its" if one else "their"}
        bound = "" if one or doubtful == 1 else "down to " if self.below else "up to "
        fatal = self.fatal is not None and value >= self.fatal and doubtful == cells
        text = self.text.format(value=f"{bound}{value:{self.form}}", limit=f"{self.limit:{self.form}}", **words)
        return Reason(self.name, text, self.remedy, fatal)


CRITERIA = (
    Criterion(
        "empty-draws",
        "empty_draws",
        0.0,
        "{value} of the draws of {cells} are empty",
        "check the mask and the picture of the cell",
        "Cells with empty draws",
        "share of the draws without any voxel inside",
        fatal=1.0,
        form=".0%",
    ),
    Criterion(
        "full-draws",
        "full_draws",
        0.0,
        "{value} of the draws of {cells} fill their whole cube",
        "check that the mask is no inverted one (acquisition.outside)",
        "Cells with draws that fill the cube",
        "share of the draws that fill nearly all voxels",
        fatal=1.0,
        form=".0%",
    ),
    Criterion(
        "unlike-training",
        "novelty",
        1.0,
        "{cells} {are} unlike those that the network was trained on, at {value} times the "
        "distance within which cells are like them",
        "train a network with such cells: unflat train",
        "Cells unlike the training",
        "distance from the cells of the training; above 1 the cell is unlike them",
    ),
    Criterion(
        "no-contrast",
        "contrast",
        2.0,
        "{cells} {are} hardly brighter than {their} surroundings: contrast {value}, at least {limit} is usual",
        "check that picture and mask belong together, and that the stain is bright on a dark background",
        "Cells without contrast",
        "difference of the picture's brightness inside and outside of the mask, in standard deviations",
        below=True,
    ),
    Criterion(
        "mask-elsewhere",
        "mask_correlation",
        0.7,
        "the mask of {cells} is not what is bright in the picture: correlation {value}, at least {limit} is usual",
        "check that the mask belongs to the picture and is neither shifted nor of another scale",
        "Cells whose mask is elsewhere",
        "correlation of the picture with the blurred mask",
        below=True,
    ),
    Criterion(
        "cut-by-border",
        "outline_at_border",
        0.2,
        "the border of the picture cuts {cells}, along {value} of the outline",
        "take an image that holds the whole cell",
        "Cells cut by the border",
        "share of the mask's outline that lies on the border of the picture",
        form=".0%",
    ),
    Criterion(
        "other-pixel-size",
        "pixel_deviation",
        1.5,
        "the pixels differ from those that the network was trained with by a factor of {value}",
        "correct acquisition.voxel_size if it is wrong; else train a network with such cells: unflat train",
        "Cells of another pixel size",
        "ratio of the pixel size to that of the training, or its inverse, whichever is above 1",
    ),
    Criterion(
        "section-disagrees",
        "section_agreement",
        0.9,
        "the drawn sections of {cells} agree with the mask by {value} only (IoU)",
        "a cell of a few pixels needs a smaller acquisition.spacing",
        "Cells whose sections disagree",
        "overlap (IoU) of the drawn sections with the mask, mean of the draws",
        below=True,
    ),
    Criterion(
        "sections-contradict",
        "sections_contradiction",
        0.25,
        "the sections of {cells} contradict one another: no shape agrees with masks that differ along {value} of the "
        "line where their planes cross",
        "check heights, tilts and the direction of their axes, and that the masks are of one cell",
        "Cells whose sections contradict one another",
        "share of the line where two planes cross along which their masks differ",
        form=".0%",
    ),
    Criterion(
        "sections-disagree",
        "sections_agreement",
        0.7,
        "the draws of {cells} agree with the further sections by {value} only, with the worst of them (IoU)",
        "check heights and tilts of the sections, and their masks; thin parts may be finer than the shapes resolve",
        "Cells whose further sections disagree",
        "overlap (IoU) of the draws with the further section that they agree with least, mean of the draws",
        below=True,
    ),
    Criterion(
        "wide-draws",
        "volume_spread",
        0.6,
        "the volumes of the draws of {cells} spread by {value}",
        "take their range, and no single draw: the picture does not determine the shape",
        "Cells whose draws differ much",
        "standard deviation of the volume over the draws, relative to their mean",
        form=".0%",
    ),
    Criterion(
        "cut-by-cube",
        "cut_area",
        0.3,
        "the draws of {cells} end at the faces of their cube along z, with {value} of the area of the mask there",
        "a larger acquisition.spacing gives them room",
        "Cells cut by their cube",
        "area of the draws on the faces of their cube along z, relative to the mask, mean of the draws",
        form=".0%",
    ),
)
"""Criteria of a cell, the gravest first."""
_OF_PICTURES = ("contrast", "mask_correlation", "outline_at_border", "pixel_deviation", "sections_contradiction")
PICTURE_CRITERIA = tuple(one for one in CRITERIA if one.quantity in _OF_PICTURES)
"""Criteria that need no draws, beside the novelty."""
METRICS = (
    Metric("cells_doubtful", "Doubtful cells", "", "lower", "Whose shapes are doubtful or have failed."),
    Metric("cells_failed", "Failed cells", "", "lower", "Whose shapes have failed."),
    *(Metric(one.count, one.title, "", "lower", f"Number of them, by the {one.meaning}.") for one in CRITERIA),
    *(
        Metric(one.worst, f"{one.title}: worst value", "", "higher" if one.below else "lower", f"{one.meaning}.")
        for one in CRITERIA
    ),
)
"""Metrics of verdicts."""


def assess_cell(values: Mapping[str, float], criteria: Sequence[Criterion] = CRITERIA) -> Verdict:
    """Judge the shapes of one cell.

    Args:
        values: Numbers of the cell by quantity; unknown ones are absent.
        criteria: Criteria to judge by.
    """
    known = [(one, values[one.quantity]) for one in criteria if one.quantity in values]
    return Verdict.of(one.reason(value) for one, value in known if one.exceeds(value))


def summarize(cells: Sequence[Mapping[str, float]], verdicts: Sequence[Verdict]) -> dict[str, float]:
    """Count the doubtful cells of a run by criterion, with the value of the worst; criteria that hold give no number.

    Args:
        cells: Numbers of each cell by quantity.
        verdicts: Verdict on each cell.
    """
    numbers = {"cells": float(len(cells)), "cells_doubtful": float(sum(bool(one.reasons) for one in verdicts))}
    numbers["cells_failed"] = float(sum(any(r.fatal for r in one.reasons) for one in verdicts))
    for criterion in CRITERIA:
        values = [cell[criterion.quantity] for cell in cells if criterion.quantity in cell]
        if count := sum(criterion.exceeds(value) for value in values):
            numbers[criterion.count] = float(count)
            numbers[criterion.worst] = min(values) if criterion.below else max(values)
    return numbers


def assess(numbers: Mapping[str, float]) -> list[Reason]:
    """Judge a run by the numbers of ``metrics.json``: it is as doubtful as a notable share of its cells."""
    if numbers.get("cells_doubtful", 0) < _NOTABLE_SHARE * numbers.get("cells", 0):
        return []
    return list_reasons(numbers)


def list_reasons(numbers: Mapping[str, float]) -> list[Reason]:
    """List the reasons to doubt any cell, by the counts of `summarize`."""
    cells = int(numbers.get("cells", 0))
    counts = [(one, int(numbers.get(one.count, 0))) for one in CRITERIA]
    return [one.reason(numbers.get(one.worst, one.limit), count, cells) for one, count in counts if count]


def doubtful_note(specimens: Sequence[SpecimenVerdict]) -> str:
    """Name the doubtful cells of a run in one line; empty if there are none."""
    doubtful = [
        f"{one.name} ({', '.join(r.name for r in one.verdict.reasons)})" for one in specimens if one.verdict.reasons
    ]
    if not doubtful:
        return ""
    return f"{len(doubtful)} of {len(specimens)} cells are doubtful, see cells.csv: {list_some(doubtful)}"
