"""Remarks on the pictures of a measurement before shapes are drawn: the network's training, and doubtful cells."""

from collections.abc import Sequence

from ....acquisition import Acquisition
from ....io.network_file import Network, read
from ....runs.verdict import SpecimenVerdict, Verdict
from ..cells import CellBatch, to_cell_batch
from ..config import ShapeSettings
from ..sections import SectionPlane, contradiction
from ..verdict import PICTURE_CRITERIA, assess_cell, list_reasons, summarize
from .inputs import PictureInput, to_network_input
from .novelty import compare_with_training
from .picture_quality import picture_numbers, trained_pixel, training_note
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
    numbers = [picture_numbers(picture, pixel, trained) for picture in pictures]
    return [own | _section_numbers(cells, i) for i, own in enumerate(numbers)]


def _section_numbers(cells: CellBatch, number: int) -> dict[str, float]:
    """Contradiction of the sections of a cell; nothing for a cell with one."""
    further = [(s.plane, s.mask > 0.5) for s in cells.sections[number] if s.mask is not None] if cells.sections else []
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
    return [training_note(network)], [warning for warning in warnings if warning]


def picture_warnings(names: Sequence[str], numbers: Sequence[dict[str, float]]) -> list[str]:
    """Warn of pictures and masks beyond the limits of a criterion, with the names of the cells."""
    verdicts = [assess_cell(own, PICTURE_CRITERIA) for own in numbers]
    specimens = [SpecimenVerdict(str(name), verdict) for name, verdict in zip(names, verdicts, strict=True)]
    verdict = Verdict.of(list_reasons(summarize(numbers, verdicts))).with_names(specimens)
    return [str(reason) for reason in verdict.reasons]
