"""A cell's draws as a continuous model: the signed distance to the surface, one set of weights a draw."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float

from ...fields.numpy_fields import VERSION
from ...frame import ModelFrame
from ...model import DRAWS, Model, ModelQuantity
from ...volume import SIGNED_DISTANCE
from .cells import CellImage
from .network.inputs import PictureInput
from .network.shape_code import HALF, PIXELS, UNIT, WIDTH, section_coefficients, section_correction, spline_matrix


def build_model(
    cell: CellImage,
    codes: Float[np.ndarray, "draw z y x"],
    sight: PictureInput,
    provenance: Mapping[str, Any],
    edge: int = PIXELS,
) -> Model:
    """Make the model of a cell.

    Args:
        cell: Its picture.
        codes: Its draws.
        sight: What the network saw: the draws pass through its section.
        provenance: Where it comes from.
        edge: Samples along an axis that show it.
    """
    voxel = np.array(cell.voxel) * cell.image.shape[0] / PIXELS
    low, high = (tuple(float(sign * HALF * v) for v in voxel) for sign in (-1, 1))
    spacing = tuple(float(v * PIXELS / edge) for v in voxel)
    attributes: dict[str, float | str] = {"name": cell.name}
    if cell.label:
        attributes["label"] = cell.label
    frame = ModelFrame(_three(low), _three(high), _three(spacing), attributes, None, cell.length_unit)
    outline = sight.outline()
    members = [_weights(code, outline) for code in codes]
    architecture = {
        "type": "section",
        "version": VERSION,
        "shape": list(members[0]["grid"].shape[1:]),
        "section": list(members[0]["rim"].shape[1:]),
        "width": WIDTH / HALF,
        "members": DRAWS,
    }
    pixel = float(voxel[1])
    quantity = ModelQuantity(SIGNED_DISTANCE, cell.length_unit, _meaning(cell), UNIT * pixel, pixel)
    return Model.ensemble(architecture, members, frame, (quantity,), "shape", provenance)


def _meaning(cell: CellImage) -> str:
    """What the values are: networks learn distances of cells on cubic voxels, and others are stretched."""
    known = "distance to the surface, negative inside"
    z, y, x = cell.voxel
    if np.allclose([z, x], y, rtol=1e-3):
        return known
    return f"{known}, in pixels of y as if voxels were cubes: 0 on the surface, no true distance elsewhere"


def _weights(
    code: Float[np.ndarray, "z y x"], outline: Float[np.ndarray, "m m"]
) -> dict[str, Float[np.ndarray, "..."]]:
    """Coefficients of both splines, of raw values such that background + scale · raw is the distance."""
    along = spline_matrix()
    grid = np.einsum("za,yb,xc,abc->zyx", along, along, along, code.astype(np.float64) * UNIT - UNIT)
    held = section_coefficients(section_correction(code, outline))
    return {"grid": grid[None].astype(np.float32), "rim": held[None].astype(np.float32)}


def _three(numbers: tuple[float, ...]) -> tuple[float, float, float]:
    z, y, x = numbers
    return z, y, x
