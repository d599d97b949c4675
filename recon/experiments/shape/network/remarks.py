"""Remarks on the pictures of a measurement before shapes are drawn: the network's training, and doubtful cells."""

from collections.abc import Sequence

import numpy as np

from ....acquisition import Acquisition
from ....io.network_file import Network, read
from ....runs.verdict import SpecimenVerdict, Verdict
from ..cells import CellBatch, to_cell_batch
from ..config import ShapeSettings
from ..section_faults import count_sections
from ..sections import SectionPlane, contradiction
from ..verdict import PICTURE_CRITERIA, assess_cell, list_reasons, summarize
from .inputs import PictureInput, to_network_input
from .novelty import compare_with_training
from .picture_quality import mask_correlation, picture_numbers, trained_pixel, training_note
from .shape_code import PIXELS


def numbers_of_pictures(cells: CellBatch, pictures: Sequence[PictureInput], network: Network) -> list[dict[str, float]]:
    """Compute the numbers of each picture by the quantity of their criterion.

    Args:
        cells: The cells.
        pictures: Input of the network for each.
        network: The network.
    """
    pixel = None if cells.voxel is None else cells.voxel[2] * cells.images.shape[2] / PIXELS
    trained = trained_pixel(network)
    shares = cells.at_border or (0.0,) * len(cells)
    numbers = [picture_numbers(one, pixel, trained, share) for one, share in zip(pictures, shares, strict=True)]
    for i, own in enumerate(numbers):
        further = _further_correlations(cells, i)
        own["mask_correlation"] = min(own["mask_correlation"], *further) if further else own["mask_correlation"]
    return [own | _section_numbers(cells, i) for i, own in enumerate(numbers)]


def _further_correlations(cells: CellBatch, number: int) -> list[float]:
    """Correlations of the pictures of further sections with the masks that were given for them."""
    correlations = []
    for section in cells.sections[number] if cells.sections else ():
        if section.image is not None and section.mask is not None and section.has_own_mask and section.mask.any():
            correlations.append(mask_correlation(section.image, section.mask > 0.5))
    return correlations


def _section_numbers(cells: CellBatch, number: int) -> dict[str, float]:
    """Contradiction of the sections of a cell; nothing for a cell with one."""
    further = [(plane, mask > 0.5) for plane, mask in cells.further_masks(number)]
    if not further:
        return {}
    first = SectionPlane.tilted(0.0), cells.masks[number] > 0.5
    return {"sections_contradiction": contradiction([first, *further], cells.voxel_lengths)}


def remarks(settings: ShapeSettings, acquisition: Acquisition) -> tuple[list[str], list[str]]:
    """Note on the training of a config's network, and warnings of cells that it does not suit."""
    network = read(settings.predict.network, "shape")
    cells = to_cell_batch(acquisition)
    pictures = [to_network_input(image, mask) for image, mask in zip(cells.images, cells.masks, strict=True)]
    novelty = compare_with_training(network, cells.names, pictures)
    warnings = [novelty.warning(), *picture_warnings(cells.names, numbers_of_pictures(cells, pictures, network))]
    notes = [training_note(network), *_sections_note(cells)]
    return notes, [warning for warning in warnings if warning]


def _sections_note(cells: CellBatch) -> list[str]:
    """Describe the further sections of all cells in one line; nothing without any."""
    sections = [section for own in cells.sections for section in own]
    if not sections:
        return []
    having = sum(bool(own) for own in cells.sections)
    drawn = sum(not section.has_own_mask for section in sections)
    scale, unit = (1e6, "um") if cells.voxel is not None else (1.0, "pixels")
    heights = [section.plane.height * scale for section in sections]
    tilts = [np.rad2deg(np.arccos(np.clip(section.plane.rotation[0, 0], -1, 1))) for section in sections]
    masks = f"{len(sections) - drawn} with masks, {drawn} with pictures alone" if drawn else "all with masks"
    places = f"{_range_text(heights, '.3g')} {unit} high, tilted by {_range_text(tilts, '.0f')} deg"
    return [f"{count_sections(len(sections))} of {having} of {len(cells)} cells, {masks}: {places}"]


def _range_text(values: Sequence[float], form: str) -> str:
    """Write the smallest and the largest number, or one if they do not differ."""
    low, high = format(min(values), form), format(max(values), form)
    return low if low == high else f"{low} to {high}"


def picture_warnings(names: Sequence[str], numbers: Sequence[dict[str, float]]) -> list[str]:
    """Warn of pictures and masks beyond the limits of a criterion, with the names of the cells."""
    verdicts = [assess_cell(own, PICTURE_CRITERIA) for own in numbers]
    specimens = [SpecimenVerdict(str(name), verdict) for name, verdict in zip(names, verdicts, strict=True)]
    verdict = Verdict.of(list_reasons(summarize(numbers, verdicts))).with_names(specimens)
    return [str(reason) for reason in verdict.reasons]
