"""Output of a prediction: a continuous model of each cell, sampled consensus and draws, and tables of scores."""

import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from jaxtyping import Bool, Float, UInt8

from ...grid import Grid
from ...io.file_names import distinct_file_names
from ...io.hdf5_common import mark_as_plot, write_root_attributes
from ...io.hdf5_file import open_careful
from ...io.model_file import write_model
from ...io.volume_hdf5 import CONSENSUS, write_cell_arrays
from ...io.volume_stack import STACK_AXES
from ...model import Model
from ...runs import RunContext, new_hdf5, write_atomically
from ...runs.verdict import SpecimenVerdict
from ...volume import SIGNED_DISTANCE
from .cell_table import numbers_of_draws, section_overlap, sections_agreement, tabulate_cells
from .cells import CellBatch
from .config import ShapeSettings
from .grids import centred_grid, cube_grid, resample_shapes
from .model import build_model
from .network.consensus import PredictedCodes
from .network.inputs import PictureInput
from .places import ARRAY_COLUMNS, place_arrays, place_row, with_places
from .schema import OCCUPANCY
from .scores import score_shapes
from .sections import HEIGHT, MASK, section_arrays
from .verdict import assess_cell, summarize

_log = logging.getLogger(__name__)
MODEL, MODELS, VOLUME = "model.h5", "models", "volume.h5"
TRAINING_NOTE = "training"
"""Root attribute of the volume with a sentence on the training of the network."""
CELLS, SCORES, CLASSES = "cells.csv", "scores.csv", "classes.csv"
_FULL_OCCUPANCY = 255
"""Value of a filled voxel in memory, where occupancies are 8-bit numbers."""


def write_prediction(
    settings: ShapeSettings,
    cells: CellBatch,
    shapes: PredictedCodes,
    inputs: Sequence[PictureInput],
    work: RunContext,
    known: Sequence[Mapping[str, float]],
    note: str,
) -> tuple[dict[str, float], tuple[SpecimenVerdict, ...]]:
    """Write models, sampled shapes, and scores where the truth is known.

    Args:
        settings: The config.
        cells: Measured pictures and masks.
        shapes: Codes of the cells.
        inputs: Input of the network for each cell.
        work: Context of the run: folder, provenance and progress callback.
        known: Numbers of each picture by the quantity of their criterion.
        note: Sentence on the training of the network, which the report shows.

    Returns:
        Numbers for ``metrics.json``, and the verdict on each cell.
    """
    folder, edge = work.folder.path, settings.volume.edge
    filled, consensus, numbers = _write_models(settings, cells, shapes, inputs, work)
    truth = (
        None
        if cells.inside is None
        else resample_shapes(cells.inside, _unit_cube(len(cells.inside[0])), _unit_cube(edge))
    )
    _write_volume(folder / VOLUME, cells, filled, consensus, truth, {TRAINING_NOTE: note, **_provenance(work)})
    inside = filled > _FULL_OCCUPANCY // 2
    warn_if_cut_off(inside)
    sections = np.stack([_resize_mask(cell.mask, edge) > 0.5 for cell in cells])
    overlaps = [section_overlap(own, mask) for own, mask in zip(inside, sections, strict=True)]
    numbers |= {
        "section": float(np.mean(overlaps)),
        "volume_bytes": float((folder / VOLUME).stat().st_size),
    }
    volumes = _volumes(inside, cells, edge)
    numbers |= _volume_numbers(volumes, cells)
    best = None if consensus is None else _volumes(consensus[:, None] > _FULL_OCCUPANCY // 2, cells, edge)[:, 0]
    if best is not None:
        numbers["volume_of_consensus" + ("" if cells.voxel is not None else "_voxels")] = float(best.mean())
    judged = [
        {**own, **numbers_of_draws(draws, mask), **sections_agreement(draws, cells, i, cells.masks[i])}
        for i, (own, draws, mask) in enumerate(zip(known, inside, sections, strict=True))
    ]
    if agreements := [own["sections_agreement"] for own in judged if "sections_agreement" in own]:
        numbers["sections_agreement"] = float(np.mean(agreements))
    verdicts = [assess_cell(own) for own in judged]
    numbers |= summarize(judged, verdicts)
    tabulate_cells(cells, best, volumes, judged, verdicts).save(folder / CELLS)
    if truth is not None:
        numbers |= _write_scores(cells, truth, sections, work)
    files = _model_files(cells)
    rows = zip(cells.names, verdicts, files, strict=True)
    return numbers, tuple(SpecimenVerdict(str(name), verdict, file) for name, verdict, file in rows)


def _write_models(
    settings: ShapeSettings,
    cells: CellBatch,
    shapes: PredictedCodes,
    inputs: Sequence[PictureInput],
    work: RunContext,
) -> tuple[UInt8[np.ndarray, "cell draw n m k"], UInt8[np.ndarray, "cell n m k"] | None, dict[str, float]]:
    """Write a continuous model of each cell, and sample its draws and their consensus."""
    folder, edge = work.folder.path, settings.volume.edge
    filled = np.empty((*shapes.draws.shape[:2], edge, edge, edge), np.uint8)
    consensus = None if shapes.consensus is None else np.empty((len(filled), edge, edge, edge), np.uint8)
    size, parameters = 0, 0
    files = _model_files(cells)
    provenance = dict(work.provenance) | {"seed": settings.seed}
    for i, (cell, picture) in enumerate(zip(cells, inputs, strict=True)):
        draws, one = shapes.of_cell(i)
        model = build_model(cell, draws, picture, provenance, edge, one)
        path = folder / files[i]
        path.parent.mkdir(exist_ok=True)
        write_model(model, path)
        size, parameters = size + path.stat().st_size, parameters + model.size
        for draw, member in enumerate(model.split_members()):
            filled[i, draw] = np.rint(_FULL_OCCUPANCY * occupancy(member, edge))
        if consensus is not None and model.consensus is not None:
            consensus[i] = np.rint(_FULL_OCCUPANCY * occupancy(model.consensus, edge))
        work.progress(i + 1, len(cells))
    return filled, consensus, {"model_bytes": float(size), "model_parameters": float(parameters)}


def _model_files(cells: CellBatch) -> list[str]:
    """Path of each cell's model in the folder of the run."""
    if len(cells) == 1:
        return [MODEL]
    return [f"{MODELS}/{name}.h5" for name in distinct_file_names([cell.name for cell in cells])]


def _write_scores(
    cells: CellBatch, truth: Bool[np.ndarray, "cell z y x"], sections: Bool[np.ndarray, "cell y x"], work: RunContext
) -> dict[str, float]:
    """Write the tables of scores; return their means."""
    folder, image = work.folder.path, next(iter(cells)).image
    scale = image.shape[0] / truth.shape[-1]
    with open_careful(folder / VOLUME) as file:  # The stored, rounded values: 'unflat evaluate' gets the same scores.
        scores = score_shapes(
            file["volume/occupancy"],
            truth,
            labels=cells.labels,
            names=cells.names,
            masks=sections,
            spacing=None if cells.voxel is None else [float(v) * scale for v in cells.voxel],
            consensus=file.get(f"{CONSENSUS}/occupancy"),
            progress=work.progress,
        )
    with_places(scores.cells, [place_row(place) for place in cells.places]).save(folder / SCORES)
    scores.classes.save(folder / CLASSES)
    return scores.numbers


def occupancy(model: Model, edge: int) -> Float[np.ndarray, "z y x"]:
    """Sample the filled fraction of each voxel of a model's cube."""
    grid = cube_grid(model, edge)
    distance = model.sample(grid.z, grid.y, grid.x, SIGNED_DISTANCE)
    return np.asarray(np.clip(0.5 - distance / model.spacing[1], 0, 1))


def warn_if_cut_off(inside: Bool[np.ndarray, "cell draw z y x"]) -> None:
    """Warn of shapes that end at the faces of their cube along z."""
    cut = inside[:, :, [0, -1]].any(axis=(2, 3, 4))
    cells = int(np.count_nonzero(cut.sum(axis=1)))
    if cells:
        message = "draws that reach the cube's faces along z and end there, and may be larger: %d of %d, of cells: %d"
        _log.warning(message, cut.sum(), cut.size, cells)


def _volumes(
    inside: Bool[np.ndarray, "cell draw z y x"], cells: CellBatch, edge: int
) -> Float[np.ndarray, "cell draw"]:
    """Volume of each draw, in the cells' unit of length cubed."""
    voxel = float(np.prod(cells.voxel_lengths)) * (cells.images.shape[1] / edge) ** 3
    return np.asarray(inside.sum(axis=(2, 3, 4)) * voxel)


def _volume_numbers(volumes: Float[np.ndarray, "cell draw"], cells: CellBatch) -> dict[str, float]:
    """Mean volume, and its relative standard deviation over the draws of a cell."""
    numbers = {"volume_mean" if cells.voxel is not None else "volume_mean_voxels": float(volumes.mean())}
    if volumes.shape[1] > 1:
        relative = volumes.std(axis=1, ddof=1) / np.maximum(volumes.mean(axis=1), 1e-300)
        numbers["volume_spread"] = float(relative.mean())
    return numbers


def _resize_mask(mask: Float[np.ndarray, "h w"], edge: int) -> Float[np.ndarray, "n n"]:
    """Resize a mask to so many pixels along each edge."""
    if mask.shape == (edge, edge):
        return mask
    from scipy.ndimage import zoom

    return np.asarray(zoom(mask, edge / mask.shape[0], order=1, grid_mode=True, mode="nearest"))


def _unit_cube(edge: int) -> Grid:
    """Grid of a cube whose edge is 1."""
    return centred_grid((edge,) * 3, (1 / edge,) * 3)


def _write_volume(
    path: Path,
    cells: CellBatch,
    filled: UInt8[np.ndarray, "cell draw n m k"],
    consensus: UInt8[np.ndarray, "cell n m k"] | None,
    truth: Bool[np.ndarray, "cell n m k"] | None,
    attributes: Mapping[str, str],
) -> None:
    """Write the occupancies of draws and consensus, and under ``/seen`` the measurement and the truth, for figures."""
    edge = filled.shape[2]
    first = next(iter(cells))
    step = np.array(first.voxel) * first.image.shape[0] / edge
    with write_atomically(path) as temporary, new_hdf5(temporary) as file:
        write_root_attributes(file, "unflat-volume", "shape", "volume")
        file.attrs.update(attributes)
        group = file.create_group("volume")
        mark_as_plot(group, "occupancy", STACK_AXES)
        for name, axis in zip("zyx", centred_grid((edge,) * 3, step).axes, strict=True):
            unit = first.length_unit
            group.create_dataset(name, data=axis).attrs.update({"units": unit, "long_name": f"{name} ({unit})"})
        _write_occupancy(group, filled)
        if consensus is not None:
            one = file.create_group(CONSENSUS)
            _write_occupancy(one, consensus)
            for name in "zyx":
                one[name] = group[name]
            mark_as_plot(one, "occupancy", STACK_AXES[1:])
        _write_names(file, cells)
        seen = {"images": cells.images, "mask": cells.masks}
        seen |= section_arrays(cells.sections) | ({} if truth is None else {"truth": truth.astype(np.uint8)})
        for name, array in seen.items():
            dataset = file.create_dataset(
                f"seen/{name}", data=array, chunks=(1, *array.shape[1:]), compression="gzip", fletcher32=True
            )
            dataset.attrs["units"] = first.length_unit if name == HEIGHT else "1"
        _mark_drawn_masks(file["seen"], cells)


def _mark_drawn_masks(seen: h5py.Group, cells: CellBatch) -> None:
    """Mark the masks of further sections that were drawn from their pictures, if any."""
    masked = [(i, section) for i, own in enumerate(cells.sections) for section in own if section.mask is not None]
    drawn = [(i, section.number) for i, section in masked if not section.has_own_mask]
    if drawn:
        marks = np.zeros(seen[MASK].shape[:2], np.uint8)
        marks[tuple(np.transpose(drawn))] = 1
        dataset = seen.create_dataset(f"{MASK}_drawn", data=marks)
        dataset.attrs.update({"units": "1", "long_name": "1 for a mask that was drawn from its picture"})
        seen[MASK].attrs["drawn_from_pictures"] = f"{len(drawn)} of {len(masked)} masks"


def _provenance(work: RunContext) -> dict[str, str]:
    """Root attribute of the volume with the origin of the run, as other volumes have it."""
    return {"provenance": json.dumps(dict(work.provenance), default=str)}


def _write_occupancy(group: h5py.Group, filled: UInt8[np.ndarray, "cell *shape"]) -> None:
    """Write occupancies, converted cell by cell."""
    chunks = (*[1] * (filled.ndim - 3), *filled.shape[-3:])
    packed: dict[str, Any] = {"compression": "gzip", "compression_opts": 1, "shuffle": True, "fletcher32": True}
    data = group.create_dataset("occupancy", filled.shape, np.float16, chunks=chunks, **packed)
    for i, own in enumerate(filled):
        data[i] = own / np.float16(_FULL_OCCUPANCY)
    data.attrs.update({"units": "1", "long_name": OCCUPANCY.meaning})


def _write_names(file: h5py.File, cells: CellBatch) -> None:
    texts = {"name": np.array(cells.names, np.str_), "label": np.array(cells.labels, np.str_)}
    write_cell_arrays(file, texts | place_arrays(cells.places), ARRAY_COLUMNS)
