"""Results in any form: a model file, a volume file, or the run folder that holds them."""

from pathlib import Path

from ..errors import ConfigError, DataError, Diagnostic
from ..model import Model
from ..model_series import ModelSeries
from ..series_axis import SeriesAxis
from ..volume import Volume
from . import model_file
from .file_names import distinct_file_names, natural_order
from .guard import require_file
from .hdf5_common import is_hdf5, open_checked, text_of
from .metadata import VolumeOptions
from .volume_formats import EXTENSIONS, find_format, read_volume_with
from .volume_hdf5 import TRUTH
from .volume_stack import names_and_labels
from .write import FORMAT as ACQUISITION
from .zarr_store import is_zarr

_RESULTS = (model_file.FILE_NAME, "volume.h5")
"""Files of a result in a run folder, the first preferred."""
_FOREIGN_RESULTS = ("image.npy", "image.h5")
"""Files of a result in a folder of another phasing program."""
_MODELS = "models"
"""Folder with a model of each specimen, in a run of several."""


def is_result(folder: Path) -> bool:
    """Whether a folder holds the result of a run, or of another phasing program."""
    return any((folder / name).is_file() for name in (*_RESULTS, *_FOREIGN_RESULTS))


def result_files(folder: Path) -> list[Path]:
    """List the files of the result in a folder: its model, or those of several specimens, or else its volume."""
    if (folder / model_file.FILE_NAME).is_file():
        return [folder / model_file.FILE_NAME]
    if models := model_files(folder):
        return models
    return [folder / name for name in (*_RESULTS, *_FOREIGN_RESULTS) if (folder / name).is_file()][:1]


def model_files(folder: Path) -> list[Path]:
    """List the models of several specimens in the folder of a run, in the order of its volume; empty for none."""
    files = sorted((folder / _MODELS).glob("*.h5"), key=lambda file: natural_order(file.name))
    if not files:
        return []
    try:
        names, _ = names_and_labels(folder / _RESULTS[1])
    except DataError:
        names = []
    ordered = [folder / _MODELS / f"{name}.h5" for name in distinct_file_names(names)]
    return ordered if set(ordered) == set(files) else files


def read_result(path: Path, options: VolumeOptions | None = None) -> Model | Volume:
    """Read a model file, a volume file, or the result of a run folder: its model, or its volume if there is no model.

    Args:
        path: File or folder.
        options: Options of the reader of volumes.

    Raises:
        ConfigError: If the extension of the file is unknown.
        DataError: If the path does not exist, or holds neither a model nor a volume.
    """
    options = options or VolumeOptions()
    if path.is_dir() and not is_zarr(path):
        for name in _RESULTS:
            if (path / name).is_file():
                return read_result(path / name, options)
        if is_result(path):
            return read_volume_with(path, options)
        raise DataError(Diagnostic(str(path), "holds neither model.h5 nor volume.h5", "name a finished run, or a file"))
    if not path.is_dir():
        require_file(path)
    if _is_model(path):
        return model_file.read_model(path, options.at, is_hint=options.is_hint)
    if options.at is not None and not options.is_hint:
        raise ConfigError(Diagnostic(str(path), "is no model of a series, and has no position", "leave out --at"))
    return read_volume_with(path, options)


def reasons_to_doubt(path: Path) -> list[str]:
    """List the reasons of the verdict that a run wrote into its result, each once.

    Returns:
        None for a sound result, and for a file without a verdict.

    Raises:
        DataError: If a file is damaged.
    """
    reasons: dict[str, None] = {}
    for file in result_files(path) if path.is_dir() else [path]:
        if is_hdf5(file):
            with open_checked(file) as content:
                reasons |= dict.fromkeys(text_of(content.attrs.get("verdict_reasons", "")).splitlines())
    return list(reasons)


def read_whole_result(path: Path) -> Model | ModelSeries | Volume:
    """Read a result as `read_result` does, but the model of a series as a whole.

    Raises:
        ConfigError: If the extension of the file is unknown.
        DataError: If the path does not exist, or holds neither a model nor a volume.
    """
    file = path / model_file.FILE_NAME if path.is_dir() else path
    return model_file.read_whole_model(file) if file.is_file() and _is_model(file) else read_result(path)


def require_result_name(path: Path) -> None:
    """Refuse a file that by its name and beginning is neither a model nor a volume, without reading it.

    A simulated measurement is a volume too: its truth.

    Raises:
        DataError: If it is none.
    """
    if _is_measurement_only(path):
        remedy = "reconstruct it (unflat fit, phase or predict) and name the run; 'unflat info' tells what it holds"
        raise DataError(Diagnostic(str(path), "is a measurement and no result", remedy))
    if find_format(path) is None and path.suffix.lower() != ".npy" and not _is_model(path):
        remedy = f"name a run folder, a model, or a volume ({', '.join(EXTENSIONS)})"
        raise DataError(Diagnostic(str(path), "is neither a model nor a volume", remedy))


def model_of(path: Path, options: VolumeOptions | None = None) -> Model | None:
    """Read the model of a file or a run folder, of a series that at the position asked for; None if it holds none."""
    file = path / model_file.FILE_NAME if path.is_dir() else path
    if not (file.is_file() and _is_model(file)):
        return None
    options = options or VolumeOptions()
    return model_file.read_model(file, options.at, is_hint=options.is_hint)


def series_axis_of(path: Path) -> SeriesAxis | None:
    """Read the coordinate of the series in a file or a run folder; None if it holds no model of a series."""
    file = path / model_file.FILE_NAME if path.is_dir() else path
    return model_file.read_series_axis(file) if file.is_file() and _is_model(file) else None


def _is_measurement_only(path: Path) -> bool:
    """Return whether a file is an acquisition of ours without a truth."""
    try:
        with open_checked(path) as file:
            return text_of(file.attrs.get("format", "")) == ACQUISITION and TRUTH not in file
    except DataError:  # The reader of volumes reports a damaged file, and reads those that are no HDF5.
        return False


def _is_model(path: Path) -> bool:
    """Return whether a file is HDF5 with the ``format`` attribute of a model."""
    try:
        with open_checked(path) as file:
            return text_of(file.attrs.get("format", "")) == model_file.FORMAT
    except DataError:  # The reader of volumes reports a damaged file, and reads those that are no HDF5.
        return False
