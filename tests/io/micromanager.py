"""Files of Micro-Manager, made from the description of the format: https://micro-manager.org/Micro-Manager_File_Formats."""

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np

_METADATA = b'{"Camera": "demo"}\0'
_TYPES = {1: (1, "B"), 2: (1, "s"), 3: (2, "H"), 4: (4, "I"), 5: (8, "II")}


def write_micromanager(
    path: Path,
    images: np.ndarray,
    *,
    positions: tuple[str, ...] = (),
    channels: tuple[str, ...] = (),
    first: int = 0,
    first_plane: int = 0,
    ome: str = "",
    **summary: Any,
) -> None:
    """Write a stack as Micro-Manager does: a header, the summary, then a directory and the pixels of each image.

    Args:
        path: The file.
        images: 16-bit images (position, time, plane, channel, y, x) of this file.
        positions: Labels of all positions of the acquisition.
        channels: Names of the channels.
        first: Number of the first position in this file.
        first_plane: Number of the first plane in this file.
        ome: OME-XML of the first image's description.
        summary: Further entries of the summary.
    """
    count, times, planes, waves, height, width = images.shape
    described = {
        "MicroManagerVersion": "2.0.1",
        "Frames": times,
        "Slices": planes,
        "Channels": waves,
        "Positions": max(len(positions), count),
        "TimeFirst": False,
        "SlicesFirst": True,
        "Width": width,
        "Height": height,
        "ChNames": list(channels),
        "StagePositions": [{"Label": label} for label in positions],
        "Prefix": path.name.partition("_MMStack")[0],
        **summary,
    }
    text = json.dumps(described).encode()
    body, index = bytearray(40) + text, []
    frames = [(p, t, z, c) for p in range(count) for t in range(times) for z in range(planes) for c in range(waves)]
    link = 4
    for number, (p, t, z, c) in enumerate(frames):
        body += b"\0" * (len(body) % 2)
        offset = len(body)
        struct.pack_into("<I", body, link, offset)
        body, link = _append_image(body, images[p, t, z, c], ome if number == 0 else "")
        index.append((c, z + first_plane, t, p + first, offset))
    place = len(body)
    body += struct.pack("<II", 3453623, len(index)) + np.array(index, "<u4").tobytes()
    struct.pack_into("<4s", body, 0, b"II*\0")
    struct.pack_into("<8I", body, 8, 54773648, place, 483765892, 0, 99384722, 0, 2355492, len(text))
    path.write_bytes(body)


def _append_image(body: bytearray, image: np.ndarray, ome: str) -> tuple[bytearray, int]:
    """Append the directory of an image, its pixels, and the values that its tags point at; return the link's place."""
    height, width = image.shape
    tags: list[tuple[int, int, int, bytes | int]] = [
        (256, 4, 1, width),
        (257, 4, 1, height),
        (258, 3, 1, 16),
        (259, 3, 1, 1),
        (262, 3, 1, 1),
        (273, 4, 1, 0),
        (277, 3, 1, 1),
        (278, 3, 1, height),
        (279, 4, 1, 2 * image.size),
        (282, 5, 1, struct.pack("<II", 1, 1)),
        (283, 5, 1, struct.pack("<II", 1, 1)),
        (296, 3, 1, 1),
        (51123, 2, len(_METADATA), _METADATA),
    ]
    if ome:
        tags.insert(5, (270, 2, len(ome.encode()) + 1, ome.encode() + b"\0"))
    start = len(body)
    pixels = start + 2 + 12 * len(tags) + 4
    after = pixels + 2 * image.size
    directory, values = struct.pack("<H", len(tags)), b""
    for tag, kind, count, value in tags:
        content = pixels if tag == 273 else value
        if isinstance(content, bytes):
            size = _TYPES[kind][0] * count
            field = content.ljust(4, b"\0") if size <= 4 else struct.pack("<I", after + len(values))
            values += content if size > 4 else b""
            values += b"\0" * (len(values) % 2)
        else:
            field = struct.pack("<I", content)
        directory += struct.pack("<HHI", tag, kind, count) + field
    link = start + 2 + 12 * len(tags)
    return body + directory + b"\0\0\0\0" + image.astype("<u2").tobytes() + values, link
