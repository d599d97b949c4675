"""Crystals in CXI, as the ESRF's users open them with silx: what PyNX writes, with the laboratory's axes.

    /cxi_version
    /entry_1                    NXentry; default: data_1
      title, program_name, start_time
      data_1                    NXdata, links to image_1's density and axes: what a viewer shows first
      image_1                   NXdata: data (complex), support (as ``mask`` too, as PyNX has it), z, y, x [m]
        data_space, data_type, image_size, voxel_size, is_fft_shifted
        process_1               NXprocess: program, version, note_1… (NXnote), results
      image_2 …                 one NXdata a further quantity: amplitude, phase, displacement, strain
      sample_1                  NXsample: bragg_vector
    /entry_2                    the density on the detector's frame, if it is known: image_1 as PyNX writes it

Sources: the CXI file format (Maia, Nature Methods 9, 854 (2012)), PyNX (``CDI.save_obj_cxi``), cdiutils (``CXIFile``).
"""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from ..config.advice import shell
from ..errors import DataError, Diagnostic
from ..sampled import Quantity
from ..volume import Volume
from .hdf5_common import number_or_text, open_checked, text_of
from .metadata import VolumeOptions
from .phasing_programs import DETECTOR, FRAME, QUANTITIES, on_detector, read_cxi_image
from .safe_hdf5 import new_hdf5
from .volume_hdf5 import quantity_in

VERSION = 150
_FILTERS: dict[str, Any] = {"compression": "gzip", "shuffle": True, "fletcher32": True, "chunks": True}
_MAIN = ("density", "refractive_index", "amplitude")


def write(volume: Volume, path: Path, detector: Volume | None = None) -> None:
    """Write the file.

    Args:
        volume: Volume to write, the complex density first if there is one.
        path: The file.
        detector: Density on the frame of the detector, for a second entry.
    """
    from ..version import __version__

    program = f"unflat {__version__}"
    with new_hdf5(path) as file:
        file["cxi_version"] = VERSION
        file.attrs.update({"NX_class": "NXroot", "default": "entry_1", "creator": program})
        for number, each in enumerate((volume, *([] if detector is None else [detector])), 1):
            _write_entry(file.create_group(f"entry_{number}"), each, program)


def read(path: Path, options: VolumeOptions) -> Volume:
    """Read a file of ours, or a density that PyNX or a similar program wrote.

    Raises:
        DataError: If there is no image of three axes.
    """
    with open_checked(path) as file:
        entry = file.get("entry_1")
        if not isinstance(entry, h5py.Group) or "image_1/data" not in entry:
            message = "holds no /entry_1/image_1/data: no density, or a measurement (that is for unflat convert)"
            raise DataError(Diagnostic(str(path), message, f"see what it holds: {shell('unflat', 'info', path)}"))
        image = entry["image_1"]
        ours = text_of(file.attrs.get("creator", "")).startswith("unflat")
        if ours and all(axis in image for axis in "zyx"):
            return _read_ours(entry, options.kind)
        return _read_foreign(image, path)


def detector_frame(path: Path) -> Volume | None:
    """Read the density on the detector's frame; None if the file has none."""
    with open_checked(path) as file:
        entries = [file[name] for name in ("entry_2", "entry_1") if name in file]
        for entry in entries:
            image = entry.get("image_1")
            ours = text_of(file.attrs.get("creator", "")).startswith("unflat")
            if isinstance(image, h5py.Group) and "data" in image and (not ours or _is_on_detector(image)):
                return _read_foreign(image, path)
    return None


def _write_entry(entry: Any, volume: Volume, program: str) -> None:
    detector = volume.attributes.get(FRAME) == DETECTOR
    entry.attrs.update({"NX_class": "NXentry", "default": "data_1"})
    frame = "the detector's frame" if detector else "the laboratory's frame: z along the beam, y up, x across"
    entry["title"] = f"{volume.kind or 'volume'} on {frame}"
    entry["program_name"] = program
    entry["start_time"] = datetime.now(UTC).isoformat(timespec="seconds")
    names = [n for n in _MAIN if n in volume.values] or [volume.quantities[0].name]
    order = [names[0], *(q.name for q in volume.quantities if q.name not in (names[0], "support"))]
    entry.attrs.update({"kind": volume.kind, "quantities": [q.name for q in volume.quantities]})
    for number, name in enumerate(order, 1):
        _write_image(entry.create_group(f"image_{number}"), volume, name, first=number == 1)
    image = entry["image_1"]
    _write_process(image.create_group("process_1"), volume, program)
    _write_sample(entry, volume)
    data = entry.create_group("data_1")
    data.attrs.update(dict(image.attrs) | {"default": "data"})
    for name in ("data", "z", "y", "x"):
        data[name] = h5py.SoftLink(image[name].name)


def _write_image(image: Any, volume: Volume, name: str, *, first: bool) -> None:
    """Write one quantity with its axes; the others link to the axes of the first."""
    quantity = next(q for q in volume.quantities if q.name == name)
    image.attrs.update({"NX_class": "NXdata", "signal": "data", "axes": ["z", "y", "x"], "interpretation": "scalar"})
    image.attrs.update({f"{axis}_indices": i for i, axis in enumerate("zyx")})
    data = image.create_dataset("data", data=volume.values[name], **_FILTERS)
    data.attrs.update({"units": quantity.unit, "long_name": quantity.meaning or name})
    image["title"] = name
    image["data_space"] = "real"
    image["data_type"] = "electron density" if name == "density" else name
    image["is_fft_shifted"] = 0
    for index, axis in enumerate("zyx"):
        if first:
            image[axis] = (volume.z, volume.y, volume.x)[index]
            image[axis].attrs.update({"units": volume.length_unit, "long_name": f"{axis} ({volume.length_unit})"})
        else:
            image[axis] = h5py.SoftLink(f"{image.parent.name}/image_1/{axis}")
    if first:
        _write_support_and_sizes(image, volume, name)


def _write_support_and_sizes(image: Any, volume: Volume, name: str) -> None:
    """Write the parts of the first image that the others lack."""
    if "support" in volume.values and name != "support":
        image.create_dataset("mask", data=volume.values["support"].astype(np.uint8), **_FILTERS)
        image["support"] = h5py.SoftLink(image["mask"].name)
    if volume.length_unit == "m":
        image["voxel_size"], image["image_size"] = volume.spacing, np.multiply(volume.spacing, volume.shape)
        for size in ("voxel_size", "image_size"):
            image[size].attrs["units"] = "m"


def _write_process(process: Any, volume: Volume, program: str) -> None:
    """Write the program, and the volume's attributes as notes and numbers."""
    process.attrs["NX_class"] = "NXprocess"
    name, _, version = program.partition(" ")
    process["program"], process["version"] = name, version
    results = process.create_group("results")
    results.attrs["NX_class"] = "NXcollection"
    notes = 0
    for key, value in volume.attributes.items():
        if not isinstance(value, str):
            results[key] = value
            continue
        notes += 1
        note = process.create_group(f"note_{notes}")
        note.attrs["NX_class"] = "NXnote"
        note["description"], note["data"], note["type"] = key, value, "text/plain"


def _write_sample(entry: Any, volume: Volume) -> None:
    names = [f"bragg_vector_{axis}" for axis in "zyx"]
    if not all(name in volume.attributes for name in names):
        return
    sample = entry.create_group("sample_1")
    sample.attrs["NX_class"] = "NXsample"
    data = sample.create_dataset("bragg_vector", data=[float(volume.attributes[name]) for name in names])
    data.attrs.update({"units": "1/m", "long_name": "G, with 2 pi, laboratory (z, y, x)"})


def _read_ours(entry: Any, kind: str) -> Volume:
    image = entry["image_1"]
    values: dict[str, np.ndarray] = {}
    quantities: list[Quantity] = []
    for name in sorted((n for n in entry if n.startswith("image_")), key=lambda n: int(n.rpartition("_")[2])):
        title = text_of(entry[name]["title"][()])
        values[title] = entry[name]["data"][()]
        quantities.append(quantity_in(entry[name]["data"], title))
    if "mask" in image:
        values["support"] = image["mask"][()]
        quantities.append(QUANTITIES[1])
    order = [text_of(name) for name in entry.attrs.get("quantities", ())]
    quantities.sort(key=lambda q: order.index(q.name) if q.name in order else len(order))
    z, y, x = (np.asarray(image[axis][()], float) for axis in "zyx")
    unit = "voxel" if text_of(image["z"].attrs.get("units", "m")) == "voxel" else "m"
    ordered = {q.name: values[q.name] for q in quantities}
    kind = text_of(entry.attrs.get("kind", "")) or kind
    return Volume(kind, z, y, x, ordered, tuple(quantities), _read_attributes(image), unit)  # type: ignore[arg-type]


def _read_attributes(image: Any) -> dict[str, float | str]:
    """Read the volume's attributes from the notes and numbers of the process."""
    process = image.get("process_1")
    if process is None:
        return {}
    attributes: dict[str, float | str] = {key: number_or_text(value[()]) for key, value in process["results"].items()}
    for name in process:
        if name.startswith("note_"):
            attributes[text_of(process[name]["description"][()])] = text_of(process[name]["data"][()])
    return attributes


def _is_on_detector(image: Any) -> bool:
    return _read_attributes(image).get(FRAME) == DETECTOR


def _read_foreign(image: Any, path: Path) -> Volume:
    """Read a density in the layout of PyNX; of a file of modes the first.

    Raises:
        DataError: If the array is not complex, or has neither three axes nor a fourth one of modes in front.
    """
    data = image["data"]
    if data.ndim not in (3, 4) or data.dtype.kind != "c" or 0 in data.shape:
        message = f"its image is {data.dtype} of the shape {data.shape}; a phased crystal is complex, (z, y, x)"
        remedy = "write it so, or as (mode, z, y, x) with the density as the first mode"
        raise DataError(Diagnostic(f"{path}:{data.name}", message, remedy))
    try:
        return on_detector(*read_cxi_image(image))
    except DataError as error:
        raise DataError(*(Diagnostic(str(path), fault.message) for fault in error.faults)) from error
