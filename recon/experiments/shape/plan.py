"""Plan of a prediction of shapes: pixels across a cell, detail of the shapes, and the spread that one section leaves.

``docs/explanation/planning.md`` derives the formulas. SI, or voxels where the voxel's size is unknown; without jax.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from ...acquisition import Acquisition
from ...io.network_file import Network, read
from ..plan import Gain, Plan, PlanNumber, PlanSection
from .cells import CellBatch, to_cell_batch
from .config import ShapeSettings
from .estimate import estimate
from .network.inputs import to_network_input
from .network.picture_quality import trained_pixel
from .network.shape_code import PITCH, PIXELS
from .network.thickness_prior import ThicknessPrior
from .schema import FIELD

FEWEST_PIXELS = 16.0
"""Pixels across a section below which its outline is coarser than the detail of the shapes."""
_QUANTILE = 1.645
"""Standard deviations of a normal distribution that 90 % of it lie within."""
_MANY_CELLS = 10


@dataclass(frozen=True)
class PlannedSections:
    """Sections of cells, measured or planned.

    Args:
        pixels: Pixels across the field of view.
        pixel: Pixel size in ``unit``.
        unit: ``m``, or ``voxels`` where the size is unknown.
        diameters: Diameter in ``unit`` of the disc as large as each section; empty if there are none.
        height_spreads: Standard deviation of the logarithm of the mean height of cells, given their pictures; empty
            if the network does not tell it.
    """

    pixels: int
    pixel: float
    unit: str
    diameters: Float[np.ndarray, " cell"]
    height_spreads: Float[np.ndarray, " known"]


def plan(settings: ShapeSettings, acquisition: Acquisition | None) -> Plan:
    """Plan a prediction.

    Args:
        settings: The config.
        acquisition: Sections with their masks; None for those that ``simulate:`` describes.

    Raises:
        DataError: If the network's file is damaged.
    """
    network = read(settings.predict.network, "shape")
    prior = ThicknessPrior.from_arrays(network.statistics)
    if acquisition is None:
        sections = _planned(settings, prior)
        source = "geometry of the config: simulate; the cells are those of the network's training"
    else:
        sections, source = _measured(to_cell_batch(acquisition), prior), f"geometry of {acquisition.source}"
    return Plan(
        "shape",
        source,
        (_pixels(sections), _detail(sections), _spread(sections, network)),
        tuple(_gains(sections, settings)),
        tuple(_assumptions(sections)),
        tuple(_warnings(sections, network)),
        (),
        estimate(settings, acquisition),
    )


def _planned(settings: ShapeSettings, prior: ThicknessPrior) -> PlannedSections:
    """Take the sections of the simulation, as large and as uncertain as the cells of the training."""
    pixels = settings.simulate.pixels
    areas = [np.exp(group.features[:, 0]) for group in prior.groups.values()]
    diameters = np.sqrt(np.concatenate(areas) * 4 / np.pi) * FIELD / PIXELS if areas else np.zeros(0)
    spreads = [group.predict(own)[1] for group in prior.groups.values() for own in group.features[:_MANY_CELLS]]
    return PlannedSections(pixels, FIELD / pixels, "m", diameters, np.array(spreads, float))


def _measured(cells: CellBatch, prior: ThicknessPrior) -> PlannedSections:
    """Measure the sections, and predict the spread of each cell's height from its picture."""
    pixel, unit = (1.0, "voxels") if cells.voxel is None else (cells.voxel[2], "m")
    areas = (cells.masks > 0.5).sum(axis=(1, 2)) * pixel**2
    spreads = []
    if prior.groups:
        pictures = (to_network_input(image, mask) for image, mask in zip(cells.images, cells.masks, strict=True))
        spreads = [prior.predict(picture)[1] for picture in pictures]
    diameters = np.sqrt(4 * areas / np.pi)
    return PlannedSections(int(cells.images.shape[2]), float(pixel), unit, diameters, np.array(spreads, float))


def _pixels(sections: PlannedSections) -> PlanSection:
    """Pixel, field of view, and cells within it."""
    numbers = [
        PlanNumber("pixel", "pixel", sections.pixel, sections.unit),
        PlanNumber("field_of_view", "field of view", sections.pixel * sections.pixels, sections.unit),
    ]
    if sections.diameters.size:
        middle = float(np.median(sections.diameters))
        numbers += [
            PlanNumber("cells", "cells", int(sections.diameters.size), "1"),
            PlanNumber("diameter", "diameter of a section, median", middle, sections.unit, note=_range(sections)),
            PlanNumber("pixels_across", "pixels across it", middle / sections.pixel, "pixels"),
        ]
    return PlanSection("sampling", tuple(numbers))


def _range(sections: PlannedSections) -> str:
    low, high = (PlanNumber("", "", float(f(sections.diameters)), sections.unit).text for f in (np.min, np.max))
    return f"{low} to {high}"


def code_detail(sections: PlannedSections) -> float:
    """Finest period that the code of a shape holds, two of its points, in the unit of the sections."""
    return float(2 * PITCH * sections.pixel * sections.pixels / PIXELS)


def _detail(sections: PlannedSections) -> PlanSection:
    """Detail of the predicted shapes."""
    network_pixel = sections.pixel * sections.pixels / PIXELS
    numbers = (
        PlanNumber("network_pixel", "pixel that the network sees", network_pixel, sections.unit),
        PlanNumber("outline", "detail of the section's outline", 2 * max(network_pixel, sections.pixel), sections.unit),
        PlanNumber("detail", "detail of the shape above and below it", code_detail(sections), sections.unit),
    )
    return PlanSection("resolution", numbers)


def volume_spread(sections: PlannedSections) -> float | None:
    """Relative standard deviation of a cell's volume, the root mean square over cells; None if it is not known."""
    if not sections.height_spreads.size:
        return None
    return float(np.sqrt(np.mean(np.expm1(sections.height_spreads**2))))


def _spread(sections: PlannedSections, network: Network) -> PlanSection:
    """Spread that the section leaves, by the network's own statistics."""
    spread, numbers = volume_spread(sections), []
    if spread is not None:
        middle = float(np.median(sections.height_spreads))
        low, high = (math.expm1(sign * _QUANTILE * middle) for sign in (-1, 1))
        interval = f"90 % within {100 * low:+.0f} and {100 * high:+.0f} %"
        numbers.append(PlanNumber("volume_spread", "spread of a cell's volume", spread, "%", note=interval))
    known = network.provenance.get("numbers", {})
    held_out = "real" if known.get("held_out_real") else "simulated"
    for name, title in (
        ("held_out_overlap_error", "1 - IoU of a draw"),
        ("held_out_overlap_error_of_mean", "1 - IoU of the mean shape"),
    ):
        if name in known:
            numbers.append(PlanNumber(name, title, float(known[name]), "1", note=f"{held_out} cells not trained on"))
    lines = ("the section itself is fixed: every shape passes through the mask",)
    return PlanSection("what one section leaves open", tuple(numbers), lines)


def spread_error(draws: int) -> float:
    """Relative standard error of a standard deviation from a number of draws."""
    return 1 / math.sqrt(2 * (draws - 1)) if draws > 1 else math.inf


def _gains(sections: PlannedSections, settings: ShapeSettings) -> list[Gain]:
    """List what more cells and more draws would bring."""
    gains, spread = [], volume_spread(sections)
    if spread is not None:
        number = PlanNumber("volume_spread", "error of the mean volume", spread, "%")
        after = replace(number, value=spread / math.sqrt(_MANY_CELLS))
        gains.append(Gain(f"{_MANY_CELLS} cells for one", number, after))
    draws = settings.predict.draws
    if draws > 1 and not settings.predict.mean:
        number = PlanNumber("spread_error", "error of the spread itself", spread_error(draws), "%")
        gains.append(Gain(f"{4 * draws} draws for {draws}", number, replace(number, value=spread_error(4 * draws))))
    return gains


def _assumptions(sections: PlannedSections) -> list[str]:
    """State the assumptions of the numbers."""
    sentences = ["heights are log-normal, as the Gaussian process of the network's cells predicts them from a picture"]
    sentences.append("errors of different cells are taken as independent: one that all share, as of the scale, stays")
    if sections.unit != "m":
        sentences.append("the size of a voxel is unknown: lengths are in pixels of the images")
    return sentences


def _warnings(sections: PlannedSections, network: Network) -> list[str]:
    """List doubts about the pictures."""
    warnings = []
    coarse = _count_below(sections.diameters, FEWEST_PIXELS * sections.pixel)
    if coarse:
        warnings.append(
            f"{coarse} of {sections.diameters.size} sections are less than {FEWEST_PIXELS:.0f} pixels across: their "
            "outline is coarser than the shapes; use a higher magnification"
        )
    trained = trained_pixel(network)
    own = sections.pixel * sections.pixels / PIXELS
    if trained is not None and sections.unit == "m" and not 0.5 < own / trained < 2:
        warnings.append(
            f"the network was trained on pixels of {trained * 1e6:.2g} um and sees pixels of {own * 1e6:.2g} um: set "
            "acquisition.spacing to those of the training, or train a network"
        )
    return warnings


def _count_below(values: Sequence[float] | Float[np.ndarray, " n"], limit: float) -> int:
    return int(np.count_nonzero(np.asarray(values) < limit))
