"""Read sections of cells: folders and archives of image, mask and obj, or HDF5 files; all cells on one grid."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from ...acquisition.acquisition import Acquisition
from ...acquisition.crops import (
    SMALLEST,
    Crop,
    brightness,
    brought_to,
    crop_faults,
    cut_apart,
    filled_share,
    labels_of,
    pieces,
    touches_border,
)
from ...acquisition.reading import collect
from ...acquisition.sections import Picture, SectionFile, Sections, is_sections, open_sections, picture
from ...acquisition.tree import Index
from ...errors import ConfigError, DataError, Fault
from ...settings.base import Settings
from ...settings.fields import selected
from ...volumes.volume import Volume, centred_axis
from .acquisition_settings import ShapeAcquisition
from .schema import OCCUPANCY, SCHEMA
from .validate import doubts, validate

_log = logging.getLogger(__name__)
_MOST = 20
"""Faults that are told one by one."""


def read(settings: Settings, path: Path) -> Acquisition:
    """Read sections.

    Args:
        settings: A config whose ``acquisition`` is a `ShapeAcquisition`.
        path: A folder or zip archive of ``image/``, ``mask/`` and perhaps ``obj/``, or an HDF5 file.

    Raises:
        DataError: With every fault of the files.
        ConfigError: If the cells or the grid do not suit them.
    """
    wanted: ShapeAcquisition = settings.acquisition  # type: ignore[attr-defined]
    acquisition = _from_files(wanted, path) if is_sections(path) else _from_tree(wanted, path)
    faults = validate(acquisition)
    if faults:
        raise DataError(*_few(faults, path))
    for sentence in doubts(acquisition):
        _log.warning("%s", sentence)
    return acquisition


def _from_files(wanted: ShapeAcquisition, path: Path) -> Acquisition:
    """Read a folder or an archive."""
    given = _given_voxel(wanted)
    crops: list[Crop] = []
    faults: list[Fault] = []
    with open_sections(path) as sections:
        for file in _chosen(wanted, sections.files):
            try:
                crops += _crops(wanted, sections, file, given)
            except DataError as error:
                faults += error.faults
    for crop in crops:
        faults += crop_faults(crop, wanted.several)
    if faults:
        raise DataError(*_few(faults, path))
    return _joined(wanted, crops, path)


def _crops(
    wanted: ShapeAcquisition, sections: Sections, file: SectionFile, given: tuple[float, float, float] | None
) -> list[Crop]:
    """The cells of one name.

    Raises:
        DataError: If its files do not fit one another, or are no images.
    """
    found = {part: picture(sections, name) for part, name in file.parts.items()}
    where = {part: sections.where(name) for part, name in file.parts.items()}
    found = {part: replace(p, values=_plain(p.values, part, where[part], wanted)) for part, p in found.items()}
    image, mask, volume = found["image"], found["mask"], found.get("obj")
    faults = [f for part, p in found.items() for f in _number_faults(p.values, part, where[part])]
    if image.values.shape != mask.values.shape:
        message = f"the mask is {_sizes(mask.values)} pixels, its image {_sizes(image.values)}"
        faults.append(Fault(where["mask"], message, "make both of one section"))
    if volume is not None and volume.values.shape[1:] != image.values.shape:
        message = f"the volume is {_sizes(volume.values)} voxels (z, y, x), its image {_sizes(image.values)}"
        faults.append(Fault(where["obj"], message, "its middle slice must be the image's section"))
    if faults:
        raise DataError(*faults)
    crop = Crop(
        file.name,
        file.label,
        where["mask"],
        brightness(image.values, image.largest),
        filled_share(mask.values),
        None if volume is None else filled_share(volume.values),
        given or _told_voxel(found),
    )
    labels = labels_of(mask.values, mask.largest)
    if labels is None and wanted.several == "cut" and "cluster" not in crop.label.lower():
        numbered = pieces(crop.mask > 0.5)
        labels = numbered if numbered.max() > 1 else None
    return [crop] if labels is None else cut_apart(crop, labels, wanted.margin)


def _plain(values: np.ndarray, part: str, where: str, wanted: ShapeAcquisition) -> np.ndarray:
    """An image (y, x) or a volume (z, y, x).

    Raises:
        DataError: If it is neither.
    """
    values = np.squeeze(values)
    if values.dtype.kind not in "biuf":
        raise DataError(Fault(where, f"holds {values.dtype}; expected real numbers", "export it as plain grey values"))
    colours = values.ndim == 3 and values.shape[2] in (3, 4) and min(values.shape[:2]) > 4
    if part == "obj":
        if values.ndim == 3 and not colours:
            return values
        message = f"has the shape {values.shape}; a volume (z, y, x) is expected"
        raise DataError(Fault(where, message, "a stack of slices has as many pages as slices"))
    if colours:
        alike = bool((values[..., :1] == values[..., :3]).all())
        if not alike and wanted.colour == "refuse":
            message = f"is in colour: its shape is {values.shape}"
            raise DataError(Fault(where, message, "save one channel as grey values, or say acquisition.colour: mean"))
        if not alike:
            _log.info("%s: in colour; the mean of its channels is taken", where)
        return np.asarray(values[..., 0] if alike else values[..., :3].mean(axis=2).round().astype(values.dtype))
    if values.ndim != 2 or min(values.shape) < SMALLEST:
        message = f"has the shape {values.shape}; an image (y, x) of at least {SMALLEST} pixels is expected"
        raise DataError(Fault(where, message, "give the section at z = 0, one image a file"))
    return values


def _number_faults(values: np.ndarray, part: str, where: str) -> list[Fault]:
    finite = np.isfinite(values)
    if not finite.all():
        return [Fault(where, f"{int((~finite).sum())} numbers are NaN or infinite", "export it again")]
    if values.min() < 0:
        return [Fault(where, f"its smallest number is {values.min():g}", "none may be negative: add the dark level")]
    if part == "image" and values.max() == values.min():
        return [Fault(where, f"every pixel is {values.max():g}: nothing is to be seen", "take the cell away")]
    return []


def _joined(wanted: ShapeAcquisition, crops: Sequence[Crop], path: Path) -> Acquisition:
    """Bring all cells to one grid."""
    spacing = None if wanted.spacing == "auto" else float(wanted.spacing)
    if spacing is not None and any(crop.step is None for crop in crops):
        message = f"a spacing of {spacing:g} m is asked for, and the voxel's size is unknown"
        raise ConfigError(Fault("acquisition.spacing", message, "say acquisition.voxel_size, or spacing: auto"))
    touching = [crop.name for crop in crops if touches_border(crop)]
    if touching:
        shown = ", ".join(touching[:5]) + (", …" if len(touching) > 5 else "")
        _log.warning("%d masks touch their image's border, where the cell may go on: %s", len(touching), shown)
    if spacing is None and len({crop.step for crop in crops}) == 1:
        # One grid for all: as coarse as the largest image needs.
        largest = max(max(crop.mask.shape) for crop in crops)
        own = crops[0].step
        if own is not None and largest > wanted.size:
            spacing = own[2] * largest / wanted.size
    crops = [brought_to(crop, wanted.size, spacing) for crop in crops]
    steps = {crop.step for crop in crops}
    rescaled = [crop for crop in crops if abs(crop.scale - 1) > 1e-6]
    if rescaled:
        _log.info("%d of %d cells were resampled to %d pixels", len(rescaled), len(crops), wanted.size)
    if len(steps) > 1 and not _alike(steps):
        message = f"the cells have {len(steps)} different voxels once they are brought to {wanted.size} pixels"
        raise ConfigError(Fault("acquisition.spacing", message, "say the spacing of the grid that all are brought to"))
    arrays: dict[str, np.ndarray] = {
        "images": np.stack([crop.image for crop in crops]),
        "mask": np.stack([crop.mask for crop in crops]),
        "name": np.array([crop.name for crop in crops]),
        "label": np.array([crop.label for crop in crops]),
    }
    step = next(iter(steps))
    if step is not None:
        arrays["voxel_size"] = np.array(step)
    return Acquisition("shape", arrays, str(path), _truth(crops, step), {}, {"mask": str(path), "images": str(path)})


def _truth(crops: Sequence[Crop], step: tuple[float, float, float] | None) -> Volume | None:
    if any(crop.truth is None for crop in crops):
        return None
    occupancy = np.stack([crop.truth for crop in crops if crop.truth is not None])[:, None]
    z, y, x = (centred_axis(n, s) for n, s in zip(occupancy.shape[2:], step or (1.0, 1.0, 1.0), strict=True))
    return Volume("shape", z, y, x, {"occupancy": occupancy}, (OCCUPANCY,), {}, "m" if step is not None else "voxel")


def _from_tree(wanted: ShapeAcquisition, path: Path) -> Acquisition:
    """Read an HDF5 file, ours or a foreign one."""

    def select(sizes: Mapping[str, int]) -> Mapping[str, Index]:
        return {"cell": _indices(wanted, sizes["cell"])} if "cell" in sizes else {}

    names = {entry.name: getattr(wanted, entry.name) for entry in SCHEMA}
    acquisition, faults = collect(path, SCHEMA, names, "shape", select)
    if faults:
        raise DataError(*faults)
    arrays = dict(acquisition.arrays)
    count = len(arrays["images"])
    for name in ("images", "mask"):
        arrays[name] = np.stack([brightness(a, None if a.max() <= 1 else 255.0) for a in arrays[name]])
    arrays.setdefault("name", np.array([f"cell_{i}" for i in range(count)]))
    arrays.setdefault("label", np.array([""] * count))
    truth = acquisition.truth
    if truth is not None and len(truth.main) > count:
        chosen = _indices(wanted, len(truth.main))
        truth = replace(truth, values={name: values[chosen] for name, values in truth.values.items()})
    return replace(acquisition, arrays=arrays, truth=truth)


def _indices(wanted: ShapeAcquisition, count: int) -> list[int]:
    try:
        return selected(wanted.cells, count)
    except ValueError as error:
        message = str(error).replace("view", "cell")
        raise ConfigError(Fault("acquisition.cells", message, f"there are cells 0 to {count - 1}")) from error


def _chosen(wanted: ShapeAcquisition, files: Sequence[SectionFile]) -> list[SectionFile]:
    return [files[i] for i in _indices(wanted, len(files))]


def _given_voxel(wanted: ShapeAcquisition) -> tuple[float, float, float] | None:
    """The voxel that the config gives; None if it names a place in a file.

    Raises:
        ConfigError: If it is neither one length nor three.
    """
    source = wanted.voxel_size
    if source is None or not source.is_literal:
        return None
    numbers = np.ravel(source.value)
    if numbers.size not in (1, 3) or not (numbers > 0).all():
        message = f"{source} is no voxel"
        raise ConfigError(Fault("acquisition.voxel_size", message, "give one length, or three: z, y, x"))
    z, y, x = np.broadcast_to(numbers, 3).tolist()
    return float(z), float(y), float(x)


def _told_voxel(found: Mapping[str, Picture]) -> tuple[float, float, float] | None:
    """The voxel that the files' metadata tell; that of the volume goes before that of the image."""
    for part in ("obj", "image", "mask"):
        voxel = found[part].voxel if part in found else ()
        if voxel:
            z, y, x = voxel
            return (z if np.isfinite(z) else x), y, x
    return None


def _alike(steps: set[tuple[float, float, float] | None]) -> bool:
    known = [s for s in steps if s is not None]
    return len(known) == len(steps) and bool(np.allclose(known, known[0], rtol=0.01))


def _sizes(values: np.ndarray) -> str:
    return " x ".join(map(str, values.shape))


def _few(faults: list[Fault], path: Path) -> list[Fault]:
    """The first of many faults, and how many more there are."""
    unique = list(dict.fromkeys(faults))
    more = len(unique) - _MOST
    return unique if more <= 0 else [*unique[:_MOST], Fault(str(path), f"and {more} more faults like these")]
