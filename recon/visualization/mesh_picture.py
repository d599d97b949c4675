"""Picture of a triangle mesh, drawn point by point without a graphics card."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from ..metrics.morphology.surface import Surface

PLAIN = (0.66, 0.74, 0.82)
"""Colour of a surface without values."""
_LIGHT = np.array([-0.72, -0.55, -0.42])
"""Direction (away, down, right) towards the light."""
_DENSITY = 1.3
"""Points along the longest edge of a triangle, for each pixel that it covers."""
_MOST_POINTS = 24
"""Largest number of points along the edge of a triangle."""
_FILL = 0.9
"""Share of the picture's edge that the ball around the mesh fills."""


@dataclass(frozen=True)
class MeshPicture:
    """Picture of a mesh.

    Args:
        pixels: Colours from 0 to 1 on white.
        pitch: Edge of a pixel, in the unit of the mesh.
    """

    pixels: Float[np.ndarray, "n n 3"]
    pitch: float


def draw_mesh(
    surface: Surface, turn: Float[np.ndarray, "3 3"], colours: Float[np.ndarray, "v 3"] | None, size: int = 480
) -> MeshPicture:
    """Draw a mesh as seen along z, without perspective.

    Args:
        surface: The mesh.
        turn: Rotation from (z, y, x) of the specimen to (away, down, right).
        colours: Colour of each vertex, from 0 to 1; None for a plain surface.
        size: [pixel] Edge of the picture.
    """
    vertices = surface.vertices - (surface.vertices.min(axis=0) + surface.vertices.max(axis=0)) / 2
    pitch = 2 * float(np.linalg.norm(vertices, axis=1).max()) / (_FILL * size)
    normals = _normals(surface) @ turn.T
    faces = surface.faces[(normals[surface.faces, 0] < 0).any(axis=1)]  # Those that face the viewer.
    places = vertices @ turn.T / pitch
    lit = 0.5 + 0.5 * normals @ (_LIGHT / np.linalg.norm(_LIGHT))
    shades = (np.asarray(PLAIN) if colours is None else colours) * (0.28 + 0.78 * lit**2)[:, None]
    corners = places[faces]
    sides = np.linalg.norm(corners - np.roll(corners, 1, axis=1), axis=2).max(axis=1)
    counts = np.clip(np.ceil(_DENSITY * sides), 1, _MOST_POINTS).astype(int)
    table = np.concatenate([places, np.clip(shades, 0, 1)], axis=1, dtype=np.float32)
    points = np.concatenate([_points(table, faces[counts == n], int(n)) for n in np.unique(counts)])
    points = points[np.argsort(-points[:, 0])]  # The nearest last, which stay.
    rows, columns = (np.clip(np.floor(points[:, axis] + size / 2), 0, size - 1).astype(int) for axis in (1, 2))
    pixels = np.ones((size, size, 3))
    pixels[rows, columns] = np.clip(points[:, 3:], 0, 1)  # Sums of weights exceed 1 by rounding.
    return MeshPicture(pixels, pitch)


def _normals(surface: Surface) -> Float[np.ndarray, "v 3"]:
    """Compute the outward normals (z, y, x) of the vertices: the sum of those of their triangles, by area."""
    corners = surface.vertices[:, ::-1][surface.faces]
    areas = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])[:, ::-1]
    count, index = len(surface.vertices), surface.faces.ravel()
    sums = np.stack([np.bincount(index, np.repeat(areas[:, axis], 3), count) for axis in range(3)], axis=1)
    return np.asarray(sums / np.maximum(np.linalg.norm(sums, axis=1), 1e-300)[:, None])


def _points(table: Float[np.ndarray, "v c"], faces: Int[np.ndarray, "f 3"], count: int) -> Float[np.ndarray, "p c"]:
    """Interpolate the columns of a table of vertices to evenly spread points of triangles."""
    first, second = np.meshgrid(np.arange(count + 1), np.arange(count + 1), indexing="ij")
    inside = first + second <= count
    thirds = np.stack([first[inside], second[inside], count - (first + second)[inside]], axis=1)
    return np.asarray(((thirds / count).astype(np.float32) @ table[faces]).reshape(-1, table.shape[1]))
