"""Numbers of the draws of each cell, and the table of the cells with their verdicts."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Bool, Float

from ...io.table import Cell, Column, Table
from ...runs.verdict import Verdict
from .cells import CellBatch
from .places import COLUMNS, place_row
from .sections import cut_section
from .verdict import CRITERIA

_FULL = 0.98
"""Share of the voxels of a cube from which a shape fills it."""
_LEAST_AREA = 0.1
"""Area that the difference of small sections is relative to, as a share of that of the first section."""


def numbers_of_draws(inside: Bool[np.ndarray, "draw z y x"], mask: Bool[np.ndarray, "y x"]) -> dict[str, float]:
    """Compute the numbers of the draws of a cell by the quantity of their criterion.

    Args:
        inside: Voxels inside each draw.
        mask: Section of the cell on the same samples.
    """
    filled = inside.mean(axis=(1, 2, 3))
    cut = inside[:, [0, -1]].sum(axis=(2, 3)).max(axis=1) / max(int(mask.sum()), 1)
    numbers = {
        "empty_draws": float(np.mean(filled == 0)),
        "full_draws": float(np.mean(filled > _FULL)),
        "cut_area": float(np.mean(cut)),
        "section_agreement": section_overlap(inside, mask),
    }
    if len(inside) > 1 and filled.any():
        numbers["volume_spread"] = float(filled.std(ddof=1) / filled.mean())
    return numbers


def _next_columns(unit: str) -> tuple[Column, ...]:
    """Columns of the further section that would tell most."""
    height = ("next_section_height", unit) if unit == "um" else ("next_section_height_voxels", "")
    return (
        Column(*height, "height of the further section that would narrow the draws most"),
        Column("next_section_tilt_y", "deg", "tilt of the specimen in it about y, which takes x towards z"),
        Column("next_section_tilt_x", "deg", "tilt of the specimen in it about x, which takes z towards y"),
        Column("next_section_gain", "", "share of the draws' variance that it is expected to remove"),
        Column("next_section_gain_volume", "", "share of the volume's variance that it is expected to remove"),
    )


def section_overlap(inside: Bool[np.ndarray, "draw z y x"], mask: Bool[np.ndarray, "y x"]) -> float:
    """Mean intersection over union of the draws' sections and the mask."""
    sections = inside[:, inside.shape[1] // 2]
    both, either = (sections & mask).sum(axis=(1, 2)), (sections | mask).sum(axis=(1, 2))
    return float(np.mean(both / np.maximum(either, 1)))


def sections_agreement(
    inside: Bool[np.ndarray, "draw z y x"], cells: CellBatch, number: int, mask: Float[np.ndarray, "h w"]
) -> dict[str, float]:
    """Compute the agreement of a cell's draws with the worst of its further masks; nothing without any.

    Args:
        inside: Voxels inside each draw.
        cells: All cells.
        number: Number of the cell.
        mask: First section of the cell, a share of whose area is the least that a small section is compared with.
    """
    values = []
    for plane, share in cells.further_masks(number):
        known, size = share > 0.5, len(share)
        least = _LEAST_AREA * max(int((mask > 0.5).sum()), 1)
        cuts = [cut_section(one, plane, size, cells.voxel_lengths) for one in inside]
        values.append(np.mean([1 - (cut ^ known).sum() / max((cut | known).sum(), least) for cut in cuts]))
    return {"sections_agreement": float(min(values))} if values else {}


def tabulate_cells(
    cells: CellBatch,
    consensus: Float[np.ndarray, " cell"] | None,
    volumes: Float[np.ndarray, "cell draw"],
    numbers: Sequence[Mapping[str, float]],
    verdicts: Sequence[Verdict],
) -> Table:
    """Tabulate the cells: names, places in the images, sections, volumes, and verdicts with their numbers.

    Args:
        cells: The cells.
        consensus: [length_unit³] Volume of the consensus of each cell; None without one.
        volumes: [length_unit³] Volume of each draw.
        numbers: Numbers of each cell by the quantity of their criterion.
        verdicts: Verdict on each cell.
    """
    unit, factor = ("um", 1e6) if cells.voxel is not None else ("voxel", 1.0)
    pixel = cells.voxel_lengths[1] * cells.voxel_lengths[2] * factor**2
    criteria = [one for one in CRITERIA if cells.sections or not one.quantity.startswith("sections_")]
    columns = (
        Column("name", "", "name of the cell"),
        Column("label", "", "class of the cell"),
        *(COLUMNS if cells.places else ()),
        Column("section_area", f"{unit}2", "area of the mask"),
        *(() if consensus is None else (Column("volume", f"{unit}3", "volume of the consensus, the one to take"),)),
        Column("volume_mean", f"{unit}3", "mean volume of the draws"),
        Column("volume_std", f"{unit}3", "standard deviation of the volume over the draws"),
        *(Column(one.quantity, "", one.meaning) for one in criteria),
        *(_next_columns(unit) if "next_section_gain" in numbers[0] else ()),
        Column("verdict", "", "sound, doubtful or failed"),
        Column("verdict_reasons", "", "reasons of the verdict"),
    )
    rows: list[dict[str, Cell]] = []
    columns_of = zip(cells, volumes * factor**3, numbers, verdicts, strict=True)
    for i, (cell, own, known, verdict) in enumerate(columns_of):
        row: dict[str, Cell] = {"name": cell.name, "label": cell.label, **place_row(cell.place), **known}
        if (height := known.get("next_section_height")) is not None:
            row["next_section_height"] = float(height * factor)
        row |= {"section_area": float((cell.mask > 0.5).sum() * pixel), "volume_mean": float(own.mean())}
        if consensus is not None:
            row["volume"] = float(consensus[i] * factor**3)
        if len(own) > 1:
            row["volume_std"] = float(own.std(ddof=1))
        row |= {"verdict": str(verdict.soundness), "verdict_reasons": "; ".join(r.text for r in verdict.reasons)}
        rows.append(row)
    return Table(columns, tuple(rows))
