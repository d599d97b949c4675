"""Read an acquisition of a cell as its config describes it: every file, every description of light, in SI.

What to look for in a cell's file, and by which names: the config's ``acquisition:`` section against the schema.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from ...acquisition import Acquisition
from ...config.value_types import view_indices
from ...errors import ConfigError, DataError, Diagnostic
from ...io.lazy_arrays import Index
from ...io.read import read_all
from .config import CellSettings
from .config_acquisition import CellAcquisition
from .crop import bin_acquisition, crop_range, shift_volume
from .illumination import resolve_illumination
from .preprocess import drop_vignetted_views
from .schema import select_entries, select_sources
from .validate import validate, warnings_for

logger = logging.getLogger(__name__)


def read(settings: CellSettings, path: Path) -> Acquisition:
    """Read an acquisition of a cell.

    Args:
        settings: Names, units, light, and which views and pixels to take.
        path: A file of ours or a foreign one, a folder of TIFFs, or a pattern.

    Returns:
        Images or complex field with wavelength, apertures, medium and pixel in SI, and the light as
        ``illumination_na``, or ``source_na`` with ``pattern``; a turning specimen as ``rotation``. Selected, cropped
        and binned; not normalised.

    Raises:
        DataError: With every fault of the file.
        ConfigError: If views or crop do not suit the file.
    """
    wanted = settings.acquisition
    window = ViewSelection(wanted)
    acquisition, faults = read_all(path, select_entries(wanted), select_sources(wanted), "cell", window.select)
    if window.faults:
        raise ConfigError(*window.faults)
    acquisition, of_light = resolve_illumination(acquisition, wanted, window.views, window.count)
    # A number that is NaN or negative has been told of already; physics need not repeat it.
    told = {fault.where for fault in faults}
    faults += [*of_light, *(fault for fault in validate(acquisition) if fault.where not in told)]
    if faults:
        raise DataError(*dict.fromkeys(faults))
    acquisition = bin_acquisition(_recentred(acquisition, window), wanted.bin)
    if wanted.vignetted == "drop":
        acquisition = drop_vignetted_views(acquisition)
    for sentence in warnings_for(acquisition):
        logger.warning("%s", sentence)
    return acquisition


@dataclass
class ViewSelection:
    """Views and pixels to take, known once the file's sizes are.

    Args:
        wanted: The config's section.
        views: The views taken, by their number in the file.
        count: Views in the file.
        shift: [pixels] Where the crop's axis stands relative to the image's, along (y, x).
        faults: What does not suit the file.
    """

    wanted: CellAcquisition
    views: list[int] = field(default_factory=list)
    count: int = 0
    shift: list[int] = field(default_factory=lambda: [0, 0])
    faults: list[Diagnostic] = field(default_factory=list)

    def select(self, sizes: Mapping[str, int]) -> Mapping[str, Index]:
        """Turn views and crop into indices."""
        chosen: dict[str, Index] = {}
        if "view" in sizes:
            self._select_views(sizes["view"])
            whole = self.views == list(range(self.count))
            chosen["view"] = slice(0, self.count) if whole else self.views
        for axis, name in enumerate("yx"):
            if name in sizes:
                chosen[name] = self._select_pixels(axis, sizes[name])
        return chosen

    def _select_views(self, count: int) -> None:
        self.count = count
        try:
            self.views = view_indices(self.wanted.views, count)
        except ValueError as error:
            self.faults.append(Diagnostic("acquisition.views", str(error), f"the file holds views 0 to {count - 1}"))

    def _select_pixels(self, axis: int, count: int) -> slice:
        name = "yx"[axis]
        size = self.wanted.crop[axis] if self.wanted.crop else None
        centre = self.wanted.crop_centre[axis] if self.wanted.crop_centre else None
        try:
            first, end = crop_range(count, size, centre)
        except ValueError as error:
            self.faults.append(
                Diagnostic("acquisition.crop", f"along {name}, {error}", "crop less, or about another pixel")
            )
            return slice(0, count)
        if end - first < self.wanted.bin:
            message = f"{self.wanted.bin} pixels cannot be joined: there are {end - first} along {name}"
            self.faults.append(Diagnostic("acquisition.bin", message, "join fewer, or crop less"))
        self.shift[axis] = first + (end - first) // 2 - count // 2
        return slice(first, end)


def _recentred(acquisition: Acquisition, window: ViewSelection) -> Acquisition:
    """Let the crop's axis be the axis.

    Raises:
        ConfigError: If the specimen turns about another place.
    """
    if not any(window.shift):
        return acquisition
    shift = np.array([0, *window.shift]) * np.array([0, *acquisition["pixel_size"]])
    if "rotation" in acquisition and not np.allclose(acquisition["rotation"] @ shift, shift):
        message = f"the crop's centre lies {window.shift} pixels (y, x) off the axis about which the specimen turns"
        raise ConfigError(Diagnostic("acquisition.crop_centre", message, "crop about the images' own centre"))
    if acquisition.truth is None:
        return acquisition
    return replace(acquisition, truth=shift_volume(acquisition.truth, (float(shift[1]), float(shift[2]))))
