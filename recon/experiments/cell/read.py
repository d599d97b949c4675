"""Reading of a cell's acquisition as its config describes it: any file, any description of light, in SI."""

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
from .camera import camera_faults, correct_camera, report_negative
from .config import CellSettings
from .config_acquisition import CellAcquisition
from .crop import bin_acquisition, crop_range, shift_volume
from .dark_level import dark_level_warnings
from .described_light import resolve_illumination
from .field_tilt import empty_field_faults, restore_tilt, tilt_faults
from .focus import resolve_focus
from .preprocess import brightness_of
from .repeated_views import average_repeats
from .schema import PATHS, select_entries, select_sources
from .uneven_light import unevenness
from .validate import validate, warnings_for
from .view_selection import background_levels, drop_unlike_views

logger = logging.getLogger(__name__)

_UNEVEN = 0.12
"""Range of the light over an image from which it is reported."""
_LARGEST_ROUGHNESS = 0.25
"""Standard deviation of an image's border about the light, relative to its range, up to which the border is empty."""


def read(settings: CellSettings, path: Path) -> Acquisition:
    """Read an acquisition of a cell.

    Args:
        settings: Config with sources, units, light, and selection of views and pixels.
        path: A file of unflat or a foreign one, a folder of TIFFs, or a pattern.

    Returns:
        Images or complex field with wavelength, apertures, medium and pixel in SI, and the light as
        ``illumination_na``, or ``source_na`` with ``pattern``; a turning specimen as ``rotation``. Selected, cropped
        and binned; not normalised.

    Raises:
        DataError: With every fault of the file.
        ConfigError: If views or crop do not suit the file.
    """
    config = settings.acquisition
    selection = ViewSelection(config)
    acquisition, faults = read_all(
        path, select_entries(config), select_sources(config), "cell", selection.select, choice=config.choice
    )
    if selection.faults:
        raise ConfigError(*selection.faults)
    acquisition, light_faults = resolve_illumination(acquisition, config, selection.views, selection.count)
    dark_level: list[str] = []
    if not faults:
        dark_level = dark_level_warnings(acquisition)
        acquisition = correct_camera(acquisition)
    faults += camera_faults(acquisition)
    if {"images", "field"} & set(acquisition.arrays):
        acquisition = resolve_focus(acquisition, config, selection.views, selection.count)
        if not faults:
            faults += [*empty_field_faults(acquisition), *tilt_faults(acquisition, config)]
            acquisition = restore_tilt(acquisition, config)
        if config.average_repeats:
            acquisition = average_repeats(acquisition)
    # A number that is NaN or negative is reported already; physics need not repeat it.
    reported = {fault.where for fault in faults}
    faults += [*light_faults, *(fault for fault in validate(acquisition) if fault.where not in reported)]
    if faults:
        raise DataError(*dict.fromkeys(faults))
    acquisition = bin_acquisition(_recentred(acquisition, selection), config.bin)
    levels = background_levels(acquisition)
    if config.vignetted == "drop":
        acquisition, levels = drop_unlike_views(acquisition, levels)
    report_negative(acquisition)
    for sentence in [*warnings_for(acquisition, levels), *dark_level, *_uneven_light(acquisition, config)]:
        logger.warning("%s", sentence)
    return acquisition


def _uneven_light(acquisition: Acquisition, config: CellAcquisition) -> list[str]:
    """Describe uneven light that no background image divides out, and a polynomial through what is no background."""
    if "images" not in acquisition or (config.normalise == "auto" and "background" in acquisition):
        return []
    if config.normalise not in ("auto", "view_mean", "polynomial"):
        return []
    spread, roughness = unevenness(acquisition, brightness_of(acquisition)[0] > 0)
    where, is_bare = acquisition.place("images", PATHS), roughness < _LARGEST_ROUGHNESS * spread
    if spread < _UNEVEN or is_bare == (config.normalise == "polynomial"):
        return []
    if config.normalise == "polynomial":
        return [
            f"{where}: no rim of the images is empty field: it varies by {roughness:.0%} (rms) about the polynomial; "
            "acquisition.normalise: polynomial may take part of the specimen for light"
        ]
    return [
        f"{where}: the light without the specimen varies by {spread:.0%} over an image: "
        "name an image of the empty field (acquisition.background), or set acquisition.normalise: polynomial"
    ]


@dataclass
class ViewSelection:
    """Selection of views and pixels, made once the sizes of the file are known.

    Args:
        config: The config's section.
        views: Indices of the selected views in the file.
        count: Number of views in the file.
        shift: [pixel] Position (y, x) of the crop's axis relative to the image's.
        faults: Faults of the selection for this file.
    """

    config: CellAcquisition
    views: list[int] = field(default_factory=list)
    count: int = 0
    shift: list[int] = field(default_factory=lambda: [0, 0])
    faults: list[Diagnostic] = field(default_factory=list)

    def select(self, sizes: Mapping[str, int]) -> Mapping[str, Index]:
        """Turn views and crop into indices."""
        chosen: dict[str, Index] = {}
        if "view" in sizes:
            self._select_views(sizes["view"])
            whole = len(self.views) == self.count and self.views == list(range(self.count))
            chosen["view"] = slice(0, self.count) if whole else self.views
        for axis, name in enumerate("yx"):
            if name in sizes:
                chosen[name] = self._select_pixels(axis, sizes[name])
        return chosen

    def _select_views(self, count: int) -> None:
        self.count = count
        try:
            self.views = view_indices(self.config.views, count)
        except ValueError as error:
            self.faults.append(Diagnostic("acquisition.views", str(error), f"the file holds views 0 to {count - 1}"))

    def _select_pixels(self, axis: int, count: int) -> slice:
        name = "yx"[axis]
        size = self.config.crop[axis] if self.config.crop else None
        centre = self.config.crop_centre[axis] if self.config.crop_centre else None
        try:
            first, end = crop_range(count, size, centre)
        except ValueError as error:
            self.faults.append(
                Diagnostic("acquisition.crop", f"along {name}, {error}", "crop less, or about another pixel")
            )
            return slice(0, count)
        if end - first < self.config.bin:
            message = f"{self.config.bin} pixels cannot be binned: there are {end - first} along {name}"
            self.faults.append(Diagnostic("acquisition.bin", message, "bin fewer, or crop less"))
        self.shift[axis] = first + (end - first) // 2 - count // 2
        return slice(first, end)


def _recentred(acquisition: Acquisition, selection: ViewSelection) -> Acquisition:
    """Move the truth to the coordinates of the crop.

    Raises:
        ConfigError: If the specimen turns about an axis outside the crop's centre.
    """
    if not any(selection.shift):
        return acquisition
    shift = np.array([0, *selection.shift]) * np.array([0, *acquisition["pixel_size"]])
    if "rotation" in acquisition and not np.allclose(acquisition["rotation"] @ shift, shift):
        message = f"the crop's centre lies {selection.shift} pixels (y, x) off the axis about which the specimen turns"
        raise ConfigError(Diagnostic("acquisition.crop_centre", message, "crop about the images' own centre"))
    if acquisition.truth is None:
        return acquisition
    return replace(acquisition, truth=shift_volume(acquisition.truth, (float(shift[1]), float(shift[2]))))
