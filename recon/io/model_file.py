"""Model files: self-describing HDF5 without code or pickle, with values to check the model when it is read."""

import json
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from jaxtyping import Float

from ..blend import Tile
from ..errors import ConfigError, DataError, Diagnostic
from ..fields.numpy_fields import MOTION
from ..frame import ModelFrame
from ..model import Model, ModelQuantity
from ..model_series import SERIES, ModelSeries
from ..series_axis import ORDER, SeriesAxis
from .atomic import write_atomically
from .hdf5_common import (
    FORMAT_VERSION,
    number_or_text,
    open_checked,
    read_json,
    read_numbers,
    text_of,
    write_root_attributes,
)
from .safe_hdf5 import new_hdf5

_log = logging.getLogger(__name__)

FORMAT = "unflat-model"
FILE_NAME = "model.h5"
_CONSENSUS_VERSION = "1.1"
"""Format version of a model with a consensus, which copies of an earlier `docs/read_model.py` cannot evaluate."""
_TILES_VERSION = "2.0"
"""Format version of a model of several tiles, which earlier versions of unflat refuse by its major number."""
_SERIES_VERSION = "3.0"
"""Format version of a model of a series, or of a field with a motion, which earlier versions of unflat refuse."""
TEST_POINTS = 96
TOLERANCE = 1e-6  # Of the largest deviation from the background: far above rounding, far below any wrong weight.
_TEXTS = ("name", "unit", "meaning")
_NUMBERS = ("background", "scale")
_LENGTHS = ("wavelength", "pixel_size_y", "pixel_size_x")  # Attributes of a frame that are in metres.
_INVERSE = "bragg_vector"


def write_model(model: Model | ModelSeries, path: str | os.PathLike[str]) -> None:
    """Write a model file, whole or not at all.

    Raises:
        DataError: If the disk refuses, or the model gives values that are not finite.
    """
    path, points = Path(path), _test_points(model.frame)
    tested = model.at(_test_position(model.axis)) if isinstance(model, ModelSeries) else model
    values = tested.at(points)
    if not np.isfinite(values).all():
        raise DataError(Diagnostic(str(path), "the model gives values that are not finite; it is not written"))
    with write_atomically(path) as temporary, new_hdf5(temporary) as file:
        write_root_attributes(file, FORMAT, model.kind, "frame", _version(model))
        file["architecture"] = json.dumps(dict(model.architecture))
        file["provenance"] = json.dumps(dict(model.provenance), default=str)
        _write_weights(_collection(file, "weights"), model.weights)
        _write_frame(_collection(file, "frame"), model.frame)
        if isinstance(model, ModelSeries):
            _write_series(_collection(file, SERIES), model.axis)
        elif model.tiles:
            _write_tiles(_collection(file, "tiles"), model.tiles, model.length_unit)
        _write_quantities(_collection(file, "quantities"), model.outputs)
        test = _collection(file, "selftest")
        test.create_dataset("points", data=points).attrs["units"] = "m"
        names, units = [q.name for q in tested.quantities], [q.unit for q in tested.quantities]
        test.create_dataset("values", data=values).attrs.update({"quantities": names, "units": units})


def read_model(path: str | os.PathLike[str], at: str | float | None = None, *, is_hint: bool = False) -> Model:
    """Read a model file, and check that the model has the values that it had when it was written.

    Args:
        path: A ``model.h5``, or the run folder that holds one.
        at: Position of a series, as a number in its unit or as text: ``time=12.5s``; by default the last acquisition,
            which is told.
        is_hint: Whether the position is ignored for a model of no series.

    Raises:
        ConfigError: If a position is given for a model of no series, or lies outside the series.
        DataError: If the file is missing, truncated, not a model, or fails its self-test.
    """
    path = _file_of(path)
    model = _read(path)
    if isinstance(model, Model):
        if at is not None and not is_hint:
            raise ConfigError(Diagnostic(str(path), "is no model of a series, and has no position", "leave out --at"))
        return model
    if at is None:
        others = "--at chooses another position"
        _log.warning("%s: a series, %s; shown at %s: %s", path, model.axis.range, _last(model.axis), others)
        return model.at(model.default)
    return model.at(model.axis.parse(at) if isinstance(at, str) else float(at))


def read_model_series(path: str | os.PathLike[str]) -> ModelSeries:
    """Read the model of a series, as `read_model` does a single one.

    Raises:
        ConfigError: If the model is of no series.
        DataError: If the file is missing, truncated, not a model, or fails its self-test.
    """
    path = _file_of(path)
    model = _read(path)
    if isinstance(model, Model):
        message, remedy = "holds a model of no series", "name the run of several acquisitions: unflat fit --series"
        raise ConfigError(Diagnostic(str(path), message, remedy))
    return model


def read_whole_model(path: str | os.PathLike[str]) -> Model | ModelSeries:
    """Read a model file as `read_model` does, but a series as a whole.

    Raises:
        DataError: If the file is missing, truncated, not a model, or fails its self-test.
    """
    return _read(_file_of(path))


def read_series_axis(path: str | os.PathLike[str]) -> SeriesAxis | None:
    """Read the coordinate of the series that a model is of; None for a model of no series.

    Raises:
        DataError: If the file is missing, truncated, or not a model.
    """
    with open_checked(_file_of(Path(path)), FORMAT) as file:
        return _read_series(file[SERIES]) if SERIES in file else None


def _last(axis: SeriesAxis) -> str:
    return f"the last acquisition, {axis.describe(axis.positions[-1])}"


def _file_of(path: str | os.PathLike[str]) -> Path:
    """Find the model of a run folder.

    Raises:
        DataError: If it holds none.
    """
    path = Path(path)
    if not path.is_dir():
        return path
    if not (path / FILE_NAME).is_file():
        raise DataError(Diagnostic(str(path), f"holds no {FILE_NAME}", "name a finished run, or continue it"))
    return path / FILE_NAME


def _read(path: Path) -> Model | ModelSeries:
    with open_checked(path, FORMAT) as file:
        try:
            common = (
                _read_architecture(file["architecture"]),
                _read_weights(file["weights"]),
                _read_frame(file["frame"]),
                _read_quantities(file["quantities"]),
                text_of(file.attrs["kind"]),
            )
            provenance = read_json(file["provenance"]) if "provenance" in file else {}
            model: Model | ModelSeries
            if SERIES in common[0]:
                model = ModelSeries(*common, _read_series(file[SERIES]), provenance)
            else:
                model = Model(*common, provenance, _read_tiles(file["tiles"]) if "tiles" in file else ())
        except DataError as error:
            raise DataError(*(Diagnostic(str(path), fault.message, fault.remedy) for fault in error.faults)) from error
        points, expected = (
            read_numbers(_require_group(file["selftest"]), name, axes=(2,)) for name in ("points", "values")
        )
    tested = model.at(_test_position(model.axis)) if isinstance(model, ModelSeries) else model
    _self_test(tested, points, expected, path)
    return model


def _test_position(axis: SeriesAxis) -> float:
    """Position of the self-test of a series: a third of the way from the first to the second acquisition."""
    first, second = axis.positions[:2]
    return first + (second - first) / 3


def _write_series(group: h5py.Group, axis: SeriesAxis) -> None:
    group.attrs["name"] = axis.name
    positions = group.create_dataset("positions", data=np.array(axis.positions))
    positions.attrs.update({"units": axis.unit or "1", "long_name": axis.name})


def _read_series(group: h5py.Group) -> SeriesAxis:
    positions = read_numbers(_require_group(group), "positions", axes=(1,))
    unit = text_of(group["positions"].attrs.get("units", "1"))
    name = text_of(group.attrs.get("name", SERIES))
    return SeriesAxis(name, ORDER if unit == "1" else unit, tuple(map(float, positions)))


def _version(model: Model | ModelSeries) -> str:
    """Return the oldest format version whose readers can evaluate a model."""
    if isinstance(model, ModelSeries) or MOTION in model.architecture:
        return _SERIES_VERSION
    if model.tiles:
        return _TILES_VERSION
    return FORMAT_VERSION if model.consensus is None else _CONSENSUS_VERSION


def _read_architecture(dataset: h5py.Dataset) -> dict[str, Any]:
    """Read the constants of a field.

    Raises:
        DataError: If they are none.
    """
    architecture = read_json(dataset)
    if not isinstance(architecture, dict):
        raise DataError("its architecture is no object of JSON")
    return architecture


def _collection(file: h5py.File, name: str) -> h5py.Group:
    group = file.create_group(name)
    group.attrs["NX_class"] = "NXcollection"
    return group


def _write_weights(group: h5py.Group, weights: Mapping[str, np.ndarray]) -> None:
    for name, array in weights.items():
        packed: dict[str, Any] = (
            {"compression": "gzip", "shuffle": True, "fletcher32": True} if array.size > 1024 else {}
        )
        group.create_dataset(name, data=np.asarray(array), **packed).attrs["units"] = "1"


def _read_weights(group: h5py.Group) -> dict[str, np.ndarray]:
    weights: dict[str, np.ndarray] = {}

    def collect(name: str, item: h5py.Group | h5py.Dataset) -> None:
        if isinstance(item, h5py.Dataset):
            weights[name] = read_numbers(group, name, "biufc")

    _require_group(group).visititems(collect)
    return weights


def _write_frame(group: h5py.Group, frame: ModelFrame) -> None:
    unit = frame.length_unit
    group.attrs.update({"axes": ["z", "y", "x"], "units": unit})
    affine = group.create_dataset("world_from_model", data=frame.world_from_model)
    affine.attrs["units"] = unit
    affine.attrs["long_name"] = f"takes (z, y, x, 1), -1 to 1 in the box, to {'metres' if unit == 'm' else 'voxels'}"
    group.create_dataset("bounding_box", data=[frame.low, frame.high]).attrs["units"] = unit
    if frame.spacing is not None:
        group.create_dataset("spacing", data=frame.spacing).attrs["units"] = unit
    for name, value in frame.attributes.items():
        dataset = group.create_dataset(name, data=value)
        if not isinstance(value, str):
            dataset.attrs["units"] = "m" if name in _LENGTHS else "1/m" if name.startswith(_INVERSE) else "1"


def _read_frame(group: h5py.Group) -> ModelFrame:
    own = ("world_from_model", "bounding_box", "spacing")
    box, affine = (read_numbers(_require_group(group), name, axes=(2,)) for name in own[1::-1])
    steps = read_numbers(group, "spacing", axes=(1,)) if "spacing" in group else np.ones(3)
    if box.shape != (2, 3) or affine.shape != (4, 4) or steps.shape != (3,) or not np.isfinite(box).all():
        raise DataError("its frame is none: it has a box (2, 3), an affine (4, 4) and a spacing (3,)")
    low, high = (tuple(map(float, corner)) for corner in box)
    spacing = tuple(map(float, steps)) if "spacing" in group else None
    scalars = {n: item for n, item in group.items() if n not in own and getattr(item, "shape", None) == ()}
    attributes = {name: number_or_text(item[()]) for name, item in scalars.items()}
    unit = text_of(group.attrs.get("units", "m"))
    matrix = affine[:3, :3]
    skewed = not np.array_equal(matrix, np.diag(np.diag(matrix)))
    edges = tuple(tuple(map(float, edge)) for edge in 2 * matrix.T) if skewed else None
    frame = ModelFrame(low, high, spacing, attributes, edges, "voxel" if unit == "voxel" else "m")  # type: ignore[arg-type]
    reach, within = np.abs(matrix).sum(axis=1), 1e-9 * min(frame.extent)
    pairs = ((affine, frame.world_from_model), (reach, frame.extent / 2))
    if not all(np.allclose(stored, derived, rtol=1e-9, atol=within) for stored, derived in pairs):
        raise DataError("its bounding box is not that of the image of its unit cube (/frame/world_from_model)")
    return frame


def _write_tiles(group: h5py.Group, tiles: tuple[Tile, ...], unit: str) -> None:
    group.attrs["axes"] = ["z", "y", "x"]
    group.create_dataset("bounding_box", data=[(tile.low, tile.high) for tile in tiles]).attrs["units"] = unit
    window = group.create_dataset("window", data=[tile.window for tile in tiles])
    meaning = "per axis: rises from 0 at the first to 1 at the second, and falls from the third to the fourth"
    window.attrs.update({"units": unit, "long_name": meaning})


def _read_tiles(group: h5py.Group) -> tuple[Tile, ...]:
    boxes, windows = (read_numbers(_require_group(group), name, axes=(3,)) for name in ("bounding_box", "window"))
    count = len(boxes)
    if not count or boxes.shape != (count, 2, 3) or windows.shape != (count, 3, 4):
        raise DataError("its tiles are none: they have boxes (tile, 2, 3) and windows (tile, 3, 4)")
    if not (np.isfinite(boxes).all() and np.isfinite(windows).all()):
        raise DataError("the boxes or windows of its tiles are not finite")
    rows = zip(boxes.astype(float).tolist(), windows.astype(float).tolist(), strict=True)
    return tuple(Tile(tuple(low), tuple(high), tuple(map(tuple, window))) for (low, high), window in rows)  # type: ignore[arg-type]


def _write_quantities(group: h5py.Group, quantities: tuple[ModelQuantity, ...]) -> None:
    for key in _TEXTS:
        group.create_dataset(key, data=[getattr(q, key) for q in quantities], dtype=h5py.string_dtype())
    for key in _NUMBERS:
        data = [getattr(q, key) for q in quantities]
        group.create_dataset(key, data=data).attrs["units"] = [q.unit for q in quantities]


def _read_quantities(group: h5py.Group) -> tuple[ModelQuantity, ...]:
    texts = [[text_of(v) for v in np.atleast_1d(group[key][()])] for key in _TEXTS]
    numbers = [read_numbers(group, key, axes=(1,)).astype(float).tolist() for key in _NUMBERS]
    if len({len(column) for column in (*texts, *numbers)}) > 1:
        raise DataError("its table of quantities has columns of different lengths")
    return tuple(ModelQuantity(*row) for row in zip(*texts, *numbers, strict=True))


def _require_group(item: h5py.Group | h5py.Dataset) -> h5py.Group:
    """Return a group.

    Raises:
        DataError: If it is an array.
    """
    if not isinstance(item, h5py.Group):
        raise DataError(f"{item.name} is an array; expected a group")
    return item


def _test_points(frame: ModelFrame) -> Float[np.ndarray, "n 3"]:
    """Return points in the box, its corners, and points outside it; equal in every file."""
    drawn = np.random.default_rng(0).uniform(-1, 1, (TEST_POINTS, 3))
    corners = np.stack(np.meshgrid(*[[-1.0, 1.0]] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    s = np.concatenate([drawn, corners, 1.5 * corners])
    points: np.ndarray = s @ frame.world_from_model[:3, :3].T + frame.world_from_model[:3, 3]
    return points


def _self_test(model: Model, points: np.ndarray, expected: np.ndarray, path: Path) -> None:
    """Compare the model's values at test points with those that were written.

    Raises:
        DataError: If one differs.
    """
    where = Diagnostic(f"{path}:/selftest", "")
    if expected.shape != (len(points), len(model.quantities)):
        raise DataError(Diagnostic(where.where, f"values of the shape {expected.shape} for {len(points)} points"))
    values = model.at(points)
    backgrounds = [model.background(q.name) for q in model.quantities]
    allowed = TOLERANCE * np.abs(expected - backgrounds).max(axis=0) + 1e-12 * np.abs(expected).max(axis=0)
    wrong = ~(np.abs(values - expected) <= allowed)
    if wrong.any():
        point, column = np.argwhere(wrong)[0]
        raise DataError(
            Diagnostic(
                where.where,
                f"the model gives {model.quantities[column].name} {values[point, column]:.9g} where it was "
                f"{expected[point, column]:.9g} when it was written ({wrong.any(axis=1).sum()} of {len(points)} wrong)",
                "the file is damaged: copy it again, or fit again",
            )
        )
