"""Volumes in MRC2014, the format of electron microscopy: sections along z, float32, voxel size and origin in ångström.

The header's numbers are single precision. Its text labels hold the quantity's name and unit.
"""

import re
from pathlib import Path

import mrcfile
import numpy as np
from mrcfile.mrcinterpreter import MrcInterpreter
from mrcfile.utils import dtype_from_mode

from ..config.units import si_factor
from ..errors import DataError, Diagnostic
from ..sampled import Point3, Quantity
from ..volume import Volume
from .guard import COPY_AGAIN
from .metadata import (
    UNNAMED,
    VOXEL,
    VolumeOptions,
    complete_spacing,
    even_axes,
    placeholder,
    positive_spacing,
    single_precision,
)

_ANGSTROM = si_factor("angstrom")
_LABEL = "unflat quantity: "
_VOXELS = "unflat voxels: "
"""Beginning of the label with distances and first coordinates of samples, where the size of a voxel is unknown."""
_MOST_LABELS = 10
_QUANTITY = re.compile(_LABEL + r"(\S*) (\S+) \[?([^\]]*).*")
_NUMBER = re.compile(r"unflat ([^:]+): ([-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?|-?inf|nan)(?:\s.*)?")


def write(volume: Volume, path: Path) -> None:
    """Write a volume of one quantity of real numbers."""
    quantity = volume.quantities[0]
    in_voxels = volume.length_unit == VOXEL
    z, y, x = (0.0 if in_voxels else d / _ANGSTROM for d in positive_spacing(volume))
    # mrcfile's documented way for a stream of one's own: it leaves a stream that it opened itself open when the disk is
    # full, and Python then prints an error about flushing it, after our own message.
    file = MrcInterpreter()
    file._create_default_attributes()
    file.set_data(np.ascontiguousarray(volume.main, single_precision([volume.main])))
    file.set_volume()
    file.voxel_size = (x, y, z)
    labels = [f"{_LABEL}{volume.kind} {quantity.name} [{quantity.unit}]"]
    if in_voxels:
        numbers = (*positive_spacing(volume), *(float(axis[0]) for axis in (volume.z, volume.y, volume.x)))
        labels.append(_VOXELS + " ".join(f"{number:.6g}" for number in numbers))
    else:
        origin = file.header.origin
        origin.x, origin.y, origin.z = (float(a[0]) / _ANGSTROM for a in (volume.x, volume.y, volume.z))
    labels += [f"unflat {name}: {value!r}" for name, value in volume.attributes.items() if not isinstance(value, str)]
    for label in labels[:_MOST_LABELS]:
        file.add_label(label[:79])
    with path.open("w+b") as file._iostream:
        file.flush()


def read(path: Path, options: VolumeOptions) -> Volume:
    """Read an MRC map of any axis order."""
    return _read(path, options, header_only=False)


def outline(path: Path) -> Volume:
    """Read the metadata in the header."""
    return _read(path, VolumeOptions(), header_only=True)


def _read(path: Path, options: VolumeOptions, *, header_only: bool) -> Volume:
    with mrcfile.open(path, mode="r", header_only=header_only) as file:
        header, labels = file.header, list(file.get_labels())
        if header_only:
            data = placeholder([int(header[f"n{axis}"]) for axis in "zyx"], dtype_from_mode(header.mode))
        else:
            data = np.array(np.atleast_3d(file.data) if file.data.ndim != 2 else file.data[None])
        size = [float(file.voxel_size[axis]) * _ANGSTROM for axis in "zyx"]
        start = [float(header[f"n{axis}start"]) for axis in "zyx"]
        first = [float(header.origin[axis]) * _ANGSTROM for axis in "zyx"]
        order = [int(header[f"map{axis}"]) for axis in "src"]  # Axes of sections, rows, columns: 1 is x, 2 y, 3 z.
    if not data.size:
        raise DataError(Diagnostic(str(path), f"holds no samples: its shape is {data.shape}", COPY_AGAIN))
    if sorted(order) == [1, 2, 3] and order != [3, 2, 1]:
        data = data.transpose([order.index(axis) for axis in (3, 2, 1)])
        start = [start[order.index(axis)] for axis in (3, 2, 1)]
    own_kind, quantity, attributes = _read_labels(labels)
    named = ({quantity.name: data}, (quantity,), attributes)
    known = complete_spacing(path, size, options)
    if known is None:
        z, y, x = even_axes(data.shape, *_read_voxels(labels))
        return Volume(own_kind or options.kind, z, y, x, *named, VOXEL)
    first = [place + n * d for place, n, d in zip(first, start, known, strict=True)]
    z, y, x = even_axes(data.shape, known, first if any(first) else None)
    return Volume(own_kind or options.kind, z, y, x, *named)


def _read_voxels(labels: list[str]) -> tuple[Point3, Point3 | None]:
    """Return distance and first coordinates of samples in voxels, by our own label; samples 1 apart without it."""
    label = next((label for label in labels if label.startswith(_VOXELS)), "")
    try:
        dz, dy, dx, z, y, x = (float(number) for number in label.removeprefix(_VOXELS).split())
    except ValueError:
        return (1.0, 1.0, 1.0), None
    return (dz, dy, dx), (z, y, x)


def _read_labels(labels: list[str]) -> tuple[str, Quantity, dict[str, float | str]]:
    """Parse the kind, the quantity and the numbers in our own labels."""
    kind, quantity = "", UNNAMED
    attributes: dict[str, float | str] = {}
    for label in labels:
        if match := _QUANTITY.fullmatch(label):
            kind, quantity = match[1], Quantity(match[2], match[3], "")
        elif match := _NUMBER.fullmatch(label):
            attributes[match[1]] = float(match[2])
    return kind, quantity, attributes
