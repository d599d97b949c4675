"""A result in whichever form it comes: a continuous model, a sampled volume, or the run folder that holds them.

Metrics, pictures and reports ask a result for values on a lattice of their own choosing. A model is evaluated there; a
volume is interpolated by cubic splines. Outside a result's box stands its background: the medium.

Axes are ``z y x``, slowest first, in metres.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from jaxtyping import Float

from .errors import ConfigError, DataError, Diagnostic
from .model import Model
from .volume import Quantity, Volume

Result = Model | Volume
Point3 = tuple[float, float, float]
Axis = Float[np.ndarray, " _n"]
Sampler = Callable[[Axis, Axis, Axis], Float[np.ndarray, "z y x"]]


def open_result(path: Path) -> Result:
    """Open a model file, a volume file, or a run folder (its model, or its volume where there is no model).

    Raises:
        DataError: If there is nothing there, or it is neither a model nor a volume.
    """
    if path.is_dir():
        for name in ("model.h5", "volume.h5"):
            if (path / name).is_file():
                return open_result(path / name)
        if any((path / name).is_file() for name in ("image.npy", "image.h5")):
            from .io.volume_formats import read_volume

            return read_volume(path)
        raise DataError(Diagnostic(str(path), "holds neither model.h5 nor volume.h5", "name a finished run, or a file"))
    if not path.is_file():
        raise DataError(Diagnostic(str(path), "no such file", "check the path"))
    if _format_of(path) == "unflat-model":
        return Model.open(path)
    from .io.volume_formats import read_volume

    return read_volume(path)


def is_volume(path: Path) -> bool:
    """Whether a file's name or format says that it is a sampled volume, and no model."""
    from .io.volume_formats import ENDINGS

    named = any(path.name.lower().endswith(ending) for ending in (*ENDINGS, ".npy"))
    return path.is_file() and named and (path.suffix not in (".h5", ".hdf5") or _format_of(path) == "unflat-volume")


def model_or_volume(path: Path) -> Result:
    """Open a model, or a sampled volume: a file, or that of a run that has no model.

    Raises:
        DataError: If it is neither.
    """
    if path.is_dir() and not (path / "model.h5").is_file() and (path / "volume.h5").is_file():
        return open_result(path)
    return open_result(path) if is_volume(path) else Model.open(path)


def one_specimen(result: Result, path: Path, draw: int | None = None, cell: int | None = None) -> Result:
    """Take one specimen of a result: a draw where one is asked for; the mean of a cell's draws otherwise.

    Args:
        result: As opened.
        path: Where from, for messages.
        draw: Number of the draw.
        cell: Number of the cell, of a result of many.

    Raises:
        ConfigError: If there is no such draw or cell.
        DataError: If the result is of many cells, and none is named.
    """
    many = isinstance(result, Volume) and result.main.ndim > 3
    if cell and not many:
        raise ConfigError(Diagnostic("--cell", f"{path} holds one specimen and no cell {cell}", "leave out --cell"))
    if isinstance(result, Model):
        return result if draw is None else result.draw(draw)
    if many and cell is not None:
        return _cell_of(result, path, cell, draw)
    if many:
        cells, draws = result.main.shape[:2]
        remedy = f"name one of the models in {path}/models" if path.is_dir() else "take its cells apart: unflat mesh"
        raise DataError(
            Diagnostic(str(path), f"holds {cells} cells with {draws} draws of each, and one is needed", remedy)
        )
    if draw:
        raise ConfigError(Diagnostic("--draw", f"{path} holds one volume and no draws", "leave out --draw"))
    return result


def _cell_of(result: Volume, path: Path, cell: int, draw: int | None) -> Volume:
    """One draw of a cell, or the mean of all."""
    counts = dict(zip(("cell", "draw"), result.main.shape[:2], strict=True))
    for what, number in (("cell", cell), ("draw", draw or 0)):
        if not 0 <= number < counts[what]:
            remedy = f"they are numbered 0 to {counts[what] - 1}"
            raise ConfigError(Diagnostic(f"--{what}", f"{path} holds no {what} {number}", remedy))
    own = {name: np.asarray(values[cell], np.float32) for name, values in result.values.items()}
    return replace(result, values={n: v.mean(axis=0) if draw is None else v[draw] for n, v in own.items()})


def open_pair(result: Path, truth: Path) -> tuple[Result, Volume]:
    """Open a result and what it is compared with; on the detector's frame both, where one of them knows no other.

    Args:
        result: What :func:`open_result` takes, or another program's density.
        truth: A volume, an acquisition with its truth inside, a run folder, another program's density, or a folder or
            an archive of sections with their volumes, which is read as the run's config says.

    Raises:
        DataError: If one of them cannot be opened, the truth is a model, or only one knows the detector's frame.
    """
    from .io.detector_frame import detector_frame, is_on_detector
    from .io.image_folders import is_sections
    from .io.volume_formats import read_volume

    found = open_result(result)
    if is_sections(truth):
        return found, _truth_of_sections(truth, result, found.kind)
    known = open_result(truth) if truth.is_dir() else read_volume(truth)
    if not isinstance(known, Volume):
        raise DataError(Diagnostic(str(truth), "is a model, and no truth", "sample it: unflat volume"))
    on_detector = [isinstance(each, Volume) and is_on_detector(each) for each in (found, known)]
    if not any(on_detector):
        return found, known
    pair = [detector_frame(path) for path in (result, truth)]
    for path, each in zip((result, truth), pair, strict=True):
        if each is None:
            remedy = "compare runs of unflat phase, or sample both on one frame"
            raise DataError(
                Diagnostic(str(path), "holds no density on the detector's frame, as the other does", remedy)
            )
    one, other = (each for each in pair if each is not None)
    return _of_one_order(one, result, other), _of_one_order(other, truth, one)


def _truth_of_sections(path: Path, result: Path, kind: str) -> Volume:
    """Read the volumes of a folder or an archive: voxel and grid are those of the run, and no cell is left out.

    Raises:
        DataError: If there are none.
    """
    from .experiments import get_experiment
    from .experiments.configs import load_config

    config, own = result / "config.yaml", get_experiment(kind)
    settings = load_config(config, ["acquisition.cells=all"]) if config.is_file() else own.settings()
    truth = own.read(settings, path).truth
    if truth is None:
        remedy = "put the volumes into obj/, one of each name"
        raise DataError(Diagnostic(str(path), "holds pictures and masks, and no truth", remedy))
    return truth


def _of_one_order(volume: Volume, path: Path, other: Volume) -> Volume:
    """Take a foreign array's axes as they are stored, where only so they have the other's sizes."""
    from .io.detector_frame import detector_frame

    if volume.attributes.get("program") != "cohere" or volume.shape == other.shape or volume.shape[::-1] != other.shape:
        return volume
    return detector_frame(path, ("frame", "y", "x")) or volume


def quantity_of(result: Result, name: str | None = None) -> Quantity:
    """The quantity of that name; the first one, if none is given.

    Raises:
        ConfigError: If the result has none of that name.
        DataError: If it has none at all.
    """
    known = result.quantities if isinstance(result, Volume) else result.given
    for quantity in known:
        if name is None or quantity.name == name:
            return Quantity(quantity.name, quantity.unit, quantity.meaning)
    if name is None or not known:
        raise DataError("the result holds no quantity")
    raise ConfigError(f"no quantity {name!r}: there are {', '.join(q.name for q in known)}")


def box_of(result: Result) -> tuple[Point3, Point3]:
    """[m] Low and high corner (z, y, x). A volume's box reaches half a sample beyond its outermost samples."""
    if isinstance(result, Volume):
        axes = tuple(zip((result.z, result.y, result.x), result.spacing, strict=True))
        low = [float(a[0]) - d / 2 for a, d in axes]
        high = [float(a[-1]) + d / 2 for a, d in axes]
    else:
        low, high = ([float(c) for c in corner] for corner in (result.frame.low, result.frame.high))
    return (low[0], low[1], low[2]), (high[0], high[1], high[2])


def length_unit_of(result: Result) -> str:
    """``m``, or ``voxel`` where nobody knows how large a sample is, and coordinates count samples."""
    return result.length_unit if isinstance(result, Volume) else result.frame.length_unit


def background_of(result: Result, name: str | None = None) -> float:
    """What a quantity is outside the box: the medium's index for a refractive index, else 0."""
    wanted = quantity_of(result, name).name
    if isinstance(result, Volume):
        known = result.attributes.get("medium_index", 0.0) if wanted == "refractive_index" else 0.0
        return float(known)
    return next((float(q.background) for q in result.quantities if q.name == wanted), 0.0)


def sampler(result: Result, name: str | None = None) -> Sampler:
    """A function that gives a quantity on the product of three axes; what can be done once is done here."""
    quantity = quantity_of(result, name).name
    if isinstance(result, Volume):
        return _spline_sampler(result, quantity, background_of(result, quantity))
    return lambda z, y, x: np.asarray(result.sample(z, y, x, quantity), np.float64)


def lattice_of(
    result: Result, longest: int = 160
) -> tuple[Float[np.ndarray, " z"], Float[np.ndarray, " y"], Float[np.ndarray, " x"]]:
    """[m] Axes of cubic cells that fill the box, ``longest`` of them along its longest edge."""
    low, high = (np.asarray(corner) for corner in box_of(result))
    pitch = float((high - low).max()) / longest
    if not pitch > 0:
        raise DataError("the result is a single point: there is nothing to draw")
    counts = np.maximum(np.rint((high - low) / pitch), 1).astype(int)
    z, y, x = ((a + b) / 2 + (np.arange(n) - (n - 1) / 2) * pitch for a, b, n in zip(low, high, counts, strict=True))
    return z, y, x


def _format_of(path: Path) -> str:
    """The ``format`` attribute of an HDF5 file; empty for any other file."""
    import h5py

    if not h5py.is_hdf5(path):
        return ""
    try:
        with h5py.File(path) as file:
            value = file.attrs.get("format", "")
    except OSError:  # Torn: the reader of volumes says so.
        return ""
    return value.decode() if isinstance(value, bytes) else str(value)


def _spline_sampler(volume: Volume, name: str, background: float) -> Sampler:
    """Cubic splines through a volume's samples, prepared once."""
    from scipy.ndimage import map_coordinates, spline_filter

    values = np.asarray(volume.values[name])
    if np.iscomplexobj(values):
        raise DataError(f"{name} is complex: choose a real quantity ({', '.join(volume.values)})")
    smooth = spline_filter(values.astype(np.float64), order=3, mode="mirror")
    own = (volume.z, volume.y, volume.x)

    def index(axis: int, coordinates: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
        spacing = volume.spacing[axis]
        return (coordinates - own[axis][0]) / spacing if spacing > 0 else np.zeros(len(coordinates))

    def sample(
        z: Float[np.ndarray, " z"], y: Float[np.ndarray, " y"], x: Float[np.ndarray, " x"]
    ) -> Float[np.ndarray, "z y x"]:
        indices = [index(axis, np.asarray(c, np.float64)) for axis, c in enumerate((z, y, x))]
        inside = [(i >= -0.501) & (i <= n - 0.499) for i, n in zip(indices, volume.shape, strict=True)]
        clipped = [np.clip(i, 0, n - 1) for i, n in zip(indices, volume.shape, strict=True)]
        out = np.empty((len(z), len(y), len(x)))
        plane = np.meshgrid(clipped[1], clipped[2], indexing="ij")
        for k, height in enumerate(clipped[0]):  # By planes: the coordinates of a whole volume are thrice its size.
            where = [np.full_like(plane[0], height), *plane]
            out[k] = map_coordinates(smooth, where, order=3, mode="mirror", prefilter=False)
        within = inside[0][:, None, None] & inside[1][:, None] & inside[2]
        return np.where(within, out, background)

    return sample
