"""Reading of section images: folders and archives of image, mask and obj, or HDF5 files."""

import logging
from pathlib import Path

from ...acquisition import Acquisition
from ...config.base import Settings
from ...errors import DataError
from .cells import CellBatch, to_cell_batch
from .config import ShapeAcquisition, ShapeSettings
from .preprocess import to_acquisition
from .read_folder import read_folder
from .read_hdf5 import read_hdf5
from .section_files import is_sections, limit_faults
from .validate import crop_faults, validate, warnings_for

_log = logging.getLogger(__name__)


def read(settings: Settings, path: Path, pixel: float | None = None) -> Acquisition:
    """Read section images, and resample all cells to a common grid.

    Args:
        settings: Config whose ``acquisition`` is a `ShapeAcquisition`.
        path: Folder or zip archive of ``image/``, ``mask/`` and perhaps ``obj/``, or HDF5 file.
        pixel: [m] Pixel size of the network's input that cells are resampled to if they fit; None: they keep theirs.

    Raises:
        DataError: With every fault of the files.
        ConfigError: If the selected cells or the grid do not suit them.
    """
    section: ShapeAcquisition = settings.acquisition  # type: ignore[attr-defined]
    loaded = read_folder(section, path) if is_sections(path) else read_hdf5(section, path)
    faults = [*loaded.faults, *(fault for crop in loaded.crops for fault in crop_faults(crop, loaded.several))]
    if faults:
        raise DataError(*limit_faults(faults, path))
    acquisition = to_acquisition(section, loaded, path, pixel)
    faults = validate(acquisition)
    if faults:
        raise DataError(*limit_faults(faults, path))
    for sentence in (*loaded.warnings, *warnings_for(acquisition, section)):
        _log.warning("%s", sentence)
    return acquisition


def read_cells(settings: ShapeSettings, path: Path) -> CellBatch:
    """Read the cells of a file or a folder as a batch.

    Args:
        settings: The config.
        path: Folder, zip archive or HDF5 file, like that of `read`.

    Raises:
        DataError: With every fault of the files.
        ConfigError: If the selected cells or the grid do not suit them.
    """
    return to_cell_batch(read(settings, path))
