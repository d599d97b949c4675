"""Continuous model of a cell: the signed distance to the surface, with weights for each draw and for the consensus."""

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
from .network.shape_code import (
    HALF,
    PIXELS,
    UNIT,
    WIDTH,
    interpolate,
    section_coefficients,
    section_correction,
    spline_matrix,
)
from .places import place_row


def build_model(
    cell: CellImage,
    codes: Float[np.ndarray, "draw z y x"],
    inputs: PictureInput,
    provenance: Mapping[str, Any],
    edge: int = PIXELS,
    consensus: Float[np.ndarray, "z y x"] | None = None,
) -> Model:
    """Build the model of a cell.

    Args:
        cell: Picture of the cell.
        codes: Codes of its draws.
        inputs: Input of the network, through whose section the draws pass.
        provenance: Origin of the model, which its file records.
        edge: Default number of samples along each axis.
        consensus: Code of the draws' consensus; None without one.
    """
    voxel = np.array(cell.voxel) * cell.image.shape[0] / PIXELS
    low, high = (tuple(float(sign * HALF * v) for v in voxel) for sign in (-1, 1))
    spacing = tuple(float(v * PIXELS / edge) for v in voxel)
    attributes: dict[str, float | str] = {"name": cell.name}
    if cell.label:
        attributes["label"] = cell.label
    attributes |= {name: v if isinstance(v, str) else float(v) for name, v in place_row(cell.place).items()}
    frame = ModelFrame(_three(low), _three(high), _three(spacing), attributes, None, cell.length_unit)
    outline = inputs.outline()
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
    one = None if consensus is None else _weights(consensus, outline)
    return Model.ensemble(architecture, members, frame, (quantity,), "shape", provenance, one)


def _meaning(cell: CellImage) -> str:
    """Meaning of the values: distances on voxels that are not cubes are stretched, as the network knows cubes only."""
    meaning = "distance to the surface, negative inside"
    z, y, x = cell.voxel
    if np.allclose([z, x], y, rtol=1e-3):
        return meaning
    return f"{meaning}, in pixels of y as if voxels were cubes: 0 on the surface, no true distance elsewhere"


def _weights(
    code: Float[np.ndarray, "z y x"], outline: Float[np.ndarray, "m m"]
) -> dict[str, Float[np.ndarray, "..."]]:
    """Coefficients of both splines; background + scale · raw value is the distance."""
    matrix = spline_matrix()
    grid = interpolate(code.astype(np.float64) * UNIT - UNIT, matrix, matrix, matrix)
    correction = section_coefficients(section_correction(code, outline))
    return {"grid": grid[None].astype(np.float32), "rim": correction[None].astype(np.float32)}


def _three(numbers: tuple[float, ...]) -> tuple[float, float, float]:
    z, y, x = numbers
    return z, y, x
