"""Volumes in VTK's XML image data, for ParaView and VTK: float32 or float64, lengths in metres, x fastest.

A file is a few lines of XML, then ``_`` and the raw bytes of each array, each after its length (``appended`` data in
``raw`` encoding, little endian, not compressed). The reader reads this form only.
"""

import logging
import struct
from pathlib import Path
from typing import BinaryIO
from xml.etree import ElementTree
from xml.sax.saxutils import quoteattr

import numpy as np

from ..errors import DataError, Diagnostic
from ..sampled import Point3
from ..volume import Volume
from .metadata import (
    VolumeOptions,
    assemble,
    complete_spacing,
    is_in_voxels,
    metadata_json,
    placeholder,
    positive_spacing,
)

_log = logging.getLogger(__name__)
_TYPES = {"Float32": "<f4", "Float64": "<f8", "UInt8": "u1", "Int8": "i1", "UInt16": "<u2", "Int16": "<i2"}
_TYPES |= {"UInt32": "<u4", "Int32": "<i4", "UInt64": "<u8", "Int64": "<i8"}
_NAMES = {np.dtype(code): name for name, code in _TYPES.items()}
_HEAD_LIMIT = 1 << 20
_LARGEST_METRES = 1e-3
"""[m] Largest spacing of another program's samples that may be in metres."""
_MARK = b'<AppendedData encoding="raw">'


def write(volume: Volume, path: Path) -> None:
    """Write a volume."""
    nz, ny, nx = volume.shape
    extent = f"0 {nx - 1} 0 {ny - 1} 0 {nz - 1}"
    origin = " ".join(repr(float(a[0])) for a in (volume.x, volume.y, volume.z))
    spacing = " ".join(map(repr, positive_spacing(volume)[::-1]))
    arrays = [_vtk_array(volume.values[q.name]) for q in volume.quantities]
    offsets = np.cumsum([0, *(8 + array.nbytes for array in arrays)])
    lines = [
        '<?xml version="1.0"?>',
        '<VTKFile type="ImageData" version="1.0" byte_order="LittleEndian" header_type="UInt64">',
        f'<ImageData WholeExtent="{extent}" Origin="{origin}" Spacing="{spacing}">',
        f"<!-- unflat {_escape_hyphens(metadata_json(volume))} -->",
        _unit_array(volume.length_unit),
        f'<Piece Extent="{extent}"><PointData Scalars={quoteattr(volume.quantities[0].name)}>',
    ]
    for quantity, array, offset in zip(volume.quantities, arrays, offsets, strict=False):
        name = quoteattr(quantity.name)
        lines.append(f'<DataArray type="{_NAMES[array.dtype]}" Name={name} format="appended" offset="{offset}"/>')
    lines += ["</PointData><CellData/></Piece></ImageData>", _MARK.decode()]
    with path.open("wb") as file:
        file.write("\n".join(lines).encode() + b"\n_")
        for array in arrays:
            file.write(struct.pack("<Q", array.nbytes))
            file.write(array.data)  # Not tofile, which misses that the last few kilobytes are refused.
        file.write(b"\n</AppendedData></VTKFile>\n")


def _unit_array(unit: str) -> str:
    """Field data with the unit of lengths, for people: VTK knows none. Text is the codes of its letters and a zero."""
    codes = " ".join(str(code) for code in (*unit.encode(), 0))
    head = '<Array type="String" Name="length_unit" NumberOfTuples="1" format="ascii">'
    return f"<FieldData>{head}{codes}</Array></FieldData>"


def read(path: Path, options: VolumeOptions) -> Volume:
    """Read a volume of the appended, raw form."""
    return _read(path, options, header_only=False)


def outline(path: Path) -> Volume:
    """Read the metadata in the XML."""
    return _read(path, VolumeOptions(), header_only=True)


def _read(path: Path, options: VolumeOptions, *, header_only: bool) -> Volume:
    with path.open("rb") as file:
        root, start = _read_header(file, path)
        image = root.find("ImageData")
        if image is None or root.get("compressor") or root.get("byte_order") != "LittleEndian":
            message, remedy = "is not plain, little-endian VTK image data", "save it so, or as HDF5"
            raise DataError(Diagnostic(str(path), message, remedy))
        extent = [int(n) for n in image.get("WholeExtent", "").split()]
        shape = tuple(extent[i + 1] - extent[i] + 1 for i in (4, 2, 0))
        width = 8 if root.get("header_type") == "UInt64" else 4
        entries = image.findall("Piece/PointData/DataArray")
        if header_only:
            arrays = [placeholder(shape, np.dtype(_TYPES[e.get("type", "Float32")])) for e in entries]
        else:
            arrays = [_read_array(file, e, start, width, shape, path) for e in entries]
    comments = (e.text or "" for e in image.iter() if not isinstance(e.tag, str))
    metadata = next((c.strip().removeprefix("unflat ") for c in comments if c.strip().startswith("unflat ")), "")
    steps = [float(d) for d in image.get("Spacing", "1 1 1").split()[::-1]]
    if is_in_voxels(metadata):
        return assemble(arrays, options.spacing, metadata, options.kind)
    first_z, first_y, first_x = (float(d) for d in image.get("Origin", "0 0 0").split()[::-1])
    known = complete_spacing(path, steps, options)
    if not metadata and options.spacing is None and known is not None and not header_only:
        known = _foreign_spacing(path, known)
    names = [e.get("Name", "") for e in entries]
    return assemble(arrays, known, metadata, options.kind, (first_z, first_y, first_x), names)


def _read_header(file: BinaryIO, path: Path) -> tuple[ElementTree.Element, int]:
    """Parse the XML before the appended data; return its root, and the position of the first array.

    Raises:
        DataError: If there are no raw appended data.
    """
    head = file.read(_HEAD_LIMIT)
    cut = head.find(_MARK)
    if cut < 0:
        message, remedy = "is not VTK image data with raw appended arrays", "save it so, or as HDF5 or OME-TIFF"
        raise DataError(Diagnostic(str(path), message, remedy))
    parser = ElementTree.XMLParser(target=ElementTree.TreeBuilder(insert_comments=True))
    root = ElementTree.fromstring(head[:cut] + b"</VTKFile>", parser=parser)
    return root, head.index(b"_", cut + len(_MARK)) + 1


def _vtk_array(array: np.ndarray) -> np.ndarray:
    """Return an array as contiguous and little-endian, of a type that VTK has."""
    array = np.ascontiguousarray(array)
    code = array.dtype.newbyteorder("<")
    return array.astype(code if code in _NAMES else "<f4", copy=False)


def _escape_hyphens(text: str) -> str:
    """Escape two hyphens in a row in JSON: they would end an XML comment."""
    return text.replace("--", "\\u002d\\u002d")


def _read_array(
    file: BinaryIO, entry: ElementTree.Element, start: int, width: int, shape: tuple[int, ...], path: Path
) -> np.ndarray:
    """Read one appended array."""
    if entry.get("format") != "appended" or entry.get("NumberOfComponents", "1") != "1":
        raise DataError(Diagnostic(str(path), f"array {entry.get('Name')!r} is not of raw scalars", "save it as HDF5"))
    file.seek(start + int(entry.get("offset", "0")))
    dtype = np.dtype(_TYPES[entry.get("type", "Float32")])
    count = int.from_bytes(file.read(width), "little") // dtype.itemsize
    array = np.fromfile(file, dtype, min(count, int(np.prod(shape))))
    if count != np.prod(shape) or array.size != count:
        raise DataError(Diagnostic(str(path), f"array {entry.get('Name')!r} is cut off, or not of the shape {shape}"))
    return array.reshape(shape)


def _foreign_spacing(path: Path, steps: Point3) -> Point3 | None:
    """[m] Return the distance of another program's samples; None where it can be no length in metres.

    VTK names no unit of length.
    """
    if steps == (1.0, 1.0, 1.0):
        return None
    shown = " x ".join(f"{d:g}" for d in steps)
    if max(steps) > _LARGEST_METRES:
        _log.warning("%s: its spacing, %s, has no unit, and is not used: give --spacing", path, shown)
        return None
    _log.warning("%s: its spacing, %s, has no unit, and is taken as metres; --spacing gives another", path, shown)
    return steps
