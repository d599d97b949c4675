"""Conversion of a rocking curve to a file of ours; one too large for memory is copied frame by frame."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from ...acquisition import Acquisition, Dataset, Group
from ...io.lazy_arrays import Index, LazyArray
from ...io.read import open_arrays
from ...io.write import write
from ...runs.context import Progress
from .aps_34idc import READER
from .config import CrystalSettings
from .count_limits import CountLimits
from .diffractometer import GROUP
from .photons import PHOTON_ENTRY, PhotonScale, scale_of
from .read import ScanSources, read_selected
from .readings import FrameSelection
from .scan_names import ScanName, settings_of_scan
from .schema import SCHEMA
from .sum_scans import sum_scans
from .unmeasured import split_counts
from .window import pixel_ranges, region_slices

_WRITTEN = (*SCHEMA, PHOTON_ENTRY)
"""Arrays of a converted file."""


def convert(settings: CrystalSettings, path: Path, output: Path) -> None:
    """Read and check a rocking curve, and write it: all selected frames, in the region of the config.

    Raises:
        UnflatError: Errors of `read.read`, and of the disk.
    """
    name = ScanName.of(path)
    settings, path = settings_of_scan(settings, name), name.path
    acquisition, selection = read_selected(settings, path)
    rows, columns = pixel_ranges(acquisition)
    region = region_slices(settings.acquisition, rows.total, columns.total)
    if acquisition["images"].shape[1:] == tuple(part.stop - part.start for part in region):
        write(acquisition, _WRITTEN, output)
        return
    scan = ScanSources.of(settings.acquisition, path)
    with open_arrays(path, scan.schema, scan.sources, "crystal", (READER,)) as arrays:
        images = _frames(arrays["images"], selection, region)
        mask = arrays.get("mask")
        limits = CountLimits.of(settings.acquisition.saturation, arrays)
        scale = scale_of(acquisition, arrays, region)
        streams = _divided(images, None if mask is None else _frames(mask, selection, region), limits, scale)
        arrays_left = {name: array for name, array in acquisition.arrays.items() if name not in streams}
        whole = replace(acquisition, arrays=arrays_left, groups=_groups_in_region(acquisition, region))
        write(whole, _WRITTEN, output, streams)


def convert_sum(settings: CrystalSettings, paths: Sequence[Path], output: Path, progress: Progress) -> list[str]:
    """Sum scans of one peak after alignment, and write the sum.

    Returns:
        Sentences on each scan and on the sum.

    Raises:
        UnflatError: Errors of `sum_scans.sum_scans`, and of the disk.
    """
    total = sum_scans(settings, paths, progress)
    write(total.acquisition, _WRITTEN, output)
    return list(total.lines)


def _frames(array: LazyArray, selection: FrameSelection, region: tuple[slice, slice]) -> LazyArray:
    """Present the selected frames of images or of a mask, each in the region."""
    shape = tuple(part.stop - part.start for part in region)
    if len(array.shape) == 2:
        return LazyArray.of(np.asarray(array.fetch(region)))

    def fetch(index: tuple[Index, ...]) -> np.ndarray:
        frames = np.array(selection.indices)[index[0]]
        return np.asarray(array.fetch(([int(i) for i in frames], *region)))

    return replace(array, shape=(len(selection.indices), *shape), fetch=fetch)


def _divided(
    images: LazyArray, mask: LazyArray | None, limits: CountLimits, scale: PhotonScale
) -> dict[str, LazyArray]:
    """Present photons and mask; a mask of each frame, where a detector marks pixels or some are saturated."""
    saturation = limits.saturation
    if not images.attributes.get("marks_gaps") and saturation is None:
        photons = replace(images, dtype=np.dtype(np.float32), fetch=lambda index: scale.to_photons(images.fetch(index)))
        return {"images": images if scale.is_identity else photons} | ({} if mask is None else {"mask": mask})

    def parts(index: tuple[Index, ...]) -> tuple[np.ndarray, np.ndarray]:
        bad = None if mask is None else mask.fetch(index if len(mask.shape) == 3 else index[1:])
        counts, bad = split_counts(images.fetch(index), bad, saturation)
        return scale.to_photons(counts), np.broadcast_to(bad, counts.shape)

    return {
        "images": replace(
            images,
            dtype=images.dtype if scale.is_identity else np.dtype(np.float32),
            fetch=lambda index: parts(index)[0],
        ),
        "mask": LazyArray(images.shape, np.dtype(np.uint8), lambda index: parts(index)[1]),
    }


def _groups_in_region(acquisition: Acquisition, region: tuple[slice, slice]) -> dict[str, Group]:
    """Count the pixel of the direct beam from the corner of the region, and not of the part that was read."""
    groups = dict(acquisition.groups)
    if GROUP in groups and "direct_beam" in groups[GROUP].datasets:
        beam = groups[GROUP].datasets["direct_beam"]
        shift = [part.first - own.start for part, own in zip(pixel_ranges(acquisition), region, strict=True)]
        moved = Dataset(beam.values + np.array(shift), beam.unit, beam.attributes)
        groups[GROUP] = replace(groups[GROUP], datasets={**groups[GROUP].datasets, "direct_beam": moved})
    return groups
