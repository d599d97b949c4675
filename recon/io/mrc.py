"""Volumes in MRC2014, the format of electron microscopy: sections along z, float32, voxel size and origin in ångström.

The header's numbers are single precision. Its text labels hold the quantity's name and unit.
"""

from pathlib import Path

import mrcfile
import numpy as np
from mrcfile.mrcinterpreter import MrcInterpreter
from mrcfile.utils import dtype_from_mode

from ..sampled import Quantity
from ..volume import Volume
from .metadata import UNKNOWN, UNNAMED, Corner, axes, positive_spacing, require_spacing, zeros

ANGSTROM = 1e-10
_LABEL = "unflat quantity: "


def write(volume: Volume, path: Path) -> None:
    """Write the file; the volume has one quantity, of real numbers."""
    quantity = volume.quantities[0]
    z, y, x = (d / ANGSTROM for d in positive_spacing(volume))
    # As its documentation has it for a stream of one's own: mrcfile leaves its own open where the disk is full, and
    # Python then complains of what cannot be flushed, after our own message.
    file = MrcInterpreter()
    file._create_default_attributes()
    file.set_data(np.ascontiguousarray(volume.main, np.float32))
    file.set_volume()
    file.voxel_size = (x, y, z)
    origin = file.header.origin
    origin.x, origin.y, origin.z = (float(a[0]) / ANGSTROM for a in (volume.x, volume.y, volume.z))
    file.add_label(f"{_LABEL}{volume.kind} {quantity.name} [{quantity.unit}]"[:79])
    for name, value in volume.attributes.items():
        if not isinstance(value, str):
            file.add_label(f"unflat {name}: {value!r}"[:79])
    with path.open("w+b") as file._iostream:
        file.flush()


def read(path: Path, spacing: Corner | None, kind: str) -> Volume:
    """Read an MRC map of any axis order."""
    return _read(path, spacing, kind, header_only=False)


def outline(path: Path) -> Volume:
    """Read the header."""
    return _read(path, UNKNOWN, "", header_only=True)


def _read(path: Path, spacing: Corner | None, kind: str, *, header_only: bool) -> Volume:
    with mrcfile.open(path, mode="r", header_only=header_only) as file:
        header, labels = file.header, list(file.get_labels())
        if header_only:
            data = zeros([int(header[f"n{axis}"]) for axis in "zyx"], dtype_from_mode(header.mode))
        else:
            data = np.array(np.atleast_3d(file.data) if file.data.ndim != 2 else file.data[None])
        size = [float(file.voxel_size[axis]) * ANGSTROM for axis in "zyx"]
        start = [float(header[f"n{axis}start"]) for axis in "zyx"]
        first = [float(header.origin[axis]) * ANGSTROM for axis in "zyx"]
        order = [int(header[f"map{axis}"]) for axis in "src"]  # Of sections, rows, columns: 1 is x, 2 y, 3 z.
    if sorted(order) == [1, 2, 3] and order != [3, 2, 1]:
        data = data.transpose([order.index(axis) for axis in (3, 2, 1)])
        start = [start[order.index(axis)] for axis in (3, 2, 1)]
    known = spacing if not all(d > 0 for d in size) else (size[0], size[1], size[2])
    steps = require_spacing(path, known)
    first = [place + n * d for place, n, d in zip(first, start, steps, strict=True)]
    z, y, x = axes(data.shape, steps, first if any(first) else None)
    found, quantity, attributes = _labels(labels)
    return Volume(found or kind, z, y, x, {quantity.name: data}, (quantity,), attributes)


def _labels(labels: list[str]) -> tuple[str, Quantity, dict[str, float | str]]:
    """Read our labels: the kind, the quantity, and plain numbers."""
    kind, quantity = "", UNNAMED
    attributes: dict[str, float | str] = {}
    for label in labels:
        if label.startswith(_LABEL):
            kind, name, unit = label.removeprefix(_LABEL).split(" ", 2)
            quantity = Quantity(name, unit.split("]")[0].strip("["), "")
        elif label.startswith("unflat "):
            name, _, value = label.removeprefix("unflat ").partition(": ")
            attributes[name] = float(value.split()[0])
    return kind, quantity, attributes
