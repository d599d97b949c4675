"""Sets of OME-TIFF files, written by hand: https://docs.openmicroscopy.org/ome-model/6.2.2/ome-tiff/specification.html."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

_SCHEMA = "http://www.openmicroscopy.org/Schemas/OME/2016-06"


def ome(*images: str, uuid: str = "") -> str:
    """OME-XML of images."""
    identity = f' UUID="urn:uuid:{uuid}"' if uuid else ""
    return f'<?xml version="1.0" encoding="UTF-8"?><OME xmlns="{_SCHEMA}"{identity}>{"".join(images)}</OME>'


def binary_only(metadata: str, uuid: str, of: str = "companion") -> str:
    """OME-XML of a file whose metadata stand in another one."""
    return ome(f'<BinaryOnly MetadataFile="{metadata}" UUID="urn:uuid:{of}"/>', uuid=uuid)


def image(
    name: str, sizes: dict[str, int], blocks: Sequence[str], *, order: str = "XYZCT", channels: Sequence[str] = ("a",)
) -> str:
    """Image of 16 bits, 0.1 um a pixel and 0.5 um a plane.

    Args:
        name: Name of the image.
        sizes: Sizes by axis: ``X``, ``Y``, ``Z``, ``C``, ``T``; 1 where none is given.
        blocks: Elements that say where its planes are.
        order: Order of the planes, the fastest axis first.
        channels: Names of the channels.
    """
    size = " ".join(f'Size{axis}="{sizes.get(axis, 1)}"' for axis in "XYZCT")
    length = 'PhysicalSizeX="0.1" PhysicalSizeY="0.1" PhysicalSizeZ="0.5"'
    described = "".join(f'<Channel ID="Channel:0:{i}" Name="{c}"/>' for i, c in enumerate(channels))
    pixels = f'<Pixels ID="Pixels:0" DimensionOrder="{order}" Type="uint16" {size} {length}>'
    return f'<Image ID="Image:0" Name="{name}">{pixels}{described}{"".join(blocks)}</Pixels></Image>'


def block(file: str = "", uuid: str = "", ifd: int = 0, count: int = 1, **first: int) -> str:
    """Planes of an image in a file: ``block("a.tif", "a", ifd=2, Z=1)``."""
    starts = "".join(f' First{axis}="{number}"' for axis, number in first.items())
    name = f'<UUID FileName="{file}">urn:uuid:{uuid or file}</UUID>' if file else ""
    return f'<TiffData IFD="{ifd}" PlaneCount="{count}"{starts}>{name}</TiffData>'


def write(path: Path, planes: np.ndarray, xml: str, **options: Any) -> Path:
    """Write planes with OME-XML as their description."""
    kind = {"photometric": "minisblack", "metadata": None, **options}
    tifffile.imwrite(path, planes, description=xml.encode(), **kind)
    return path
