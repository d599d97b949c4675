"""Simulated cells: a rippled ellipsoid of cytoplasm with a nucleus, nucleoli and organelles.

Indices are those of tomographic phase microscopy: nuclei are slightly below the cytoplasm, nucleoli above it
(Schürmann et al., J. Biophotonics 9, 1068 (2016)), lipid droplets stand out (Kim et al., Sci. Rep. 6, 36815 (2016)).
Axes are ``z y x``.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from ...rotation import axis_rotation
from ..random import Seed, generator, random_rotation
from .body import Body, Ripple
from .specimen import Specimen


@dataclass(frozen=True)
class CellOptics:
    """Refractive indices of a cell's parts.

    Args:
        cytoplasm: Index of the cytoplasm.
        nucleus: Index of the nucleus.
        nucleolus: Index of the nucleoli.
        mitochondrion: Index of the mitochondria.
        lipid: Index of lipid droplets.
        absorption: Imaginary index of the nucleus and, twice that, of its nucleoli: a nuclear stain.
    """

    cytoplasm: float = 1.360
    nucleus: float = 1.355
    nucleolus: float = 1.380
    mitochondrion: float = 1.395
    lipid: float = 1.420
    absorption: float = 0.0


@dataclass(frozen=True)
class CellShape:
    """Sizes of a cell's parts, relative to its radius.

    Args:
        flattening: Half-height over radius.
        irregularity: Standard deviation of the outline's slow waves.
        roughness: Standard deviation of the membrane's fine waves.
        nucleus: Radius of the nucleus.
        nucleoli: Largest number of nucleoli.
        mitochondria: Number of mitochondria, where there is room.
        droplets: Number of lipid droplets, where there is room.
    """

    flattening: float = 0.72
    irregularity: float = 0.03
    roughness: float = 0.008
    nucleus: float = 0.42
    nucleoli: int = 3
    mitochondria: int = 14
    droplets: int = 10


def cell_specimen(
    seed: Seed,
    *,
    radius: float = 4e-6,
    medium_index: float = 1.337,
    optics: CellOptics | None = None,
    shape: CellShape | None = None,
) -> Specimen:
    """Draw a cell.

    Args:
        seed: Seed or random number generator; the same seed gives the same cell.
        radius: [m] Mean lateral radius.
        medium_index: Refractive index of the medium.
        optics: Refractive indices of the parts.
        shape: Sizes of the parts.

    Returns:
        The cell, centred on the origin, its short axis near z.
    """
    rng, optics, shape = generator(seed), optics or CellOptics(), shape or CellShape()
    body = _draw_body(rng, radius, optics, shape)
    nucleus = _draw_nucleus(rng, body, radius, optics, shape)
    nucleoli = _draw_nucleoli(rng, nucleus, radius, optics, shape)
    organelles = _draw_organelles(rng, body, nucleus, radius, optics, shape)
    return Specimen((body, nucleus, *nucleoli, *organelles), medium_index)


def _draw_body(rng: np.random.Generator, radius: float, optics: CellOptics, shape: CellShape) -> Body:
    stretch = rng.uniform(0.88, 1.12)
    lean = axis_rotation(1, rng.normal(0, 0.06)) @ axis_rotation(2, rng.normal(0, 0.06))
    ripple = Ripple.random(rng, shape.irregularity, 2.5) + Ripple.random(rng, shape.roughness, 11, terms=20)
    return Body(
        centre=np.zeros(3),
        semi_axes=radius * np.array([shape.flattening, stretch, 1 / stretch]),
        index=optics.cytoplasm,
        orientation=lean @ axis_rotation(0, rng.uniform(0, np.pi)),
        ripple=ripple,
    )


def _draw_nucleus(rng: np.random.Generator, body: Body, radius: float, optics: CellOptics, shape: CellShape) -> Body:
    """Draw a nucleus off the cell's centre."""
    semi_axes = shape.nucleus * radius * np.array([shape.flattening, *rng.uniform(0.88, 1.15, 2)])
    angle = rng.uniform(0, 2 * np.pi)
    offset = rng.uniform(0.05, 0.2) * radius * np.array([rng.normal(0, 0.15), np.sin(angle), np.cos(angle)])
    return Body(
        centre=body.centre + offset,
        semi_axes=semi_axes,
        index=optics.nucleus,
        absorption=optics.absorption,
        orientation=axis_rotation(0, rng.uniform(0, np.pi)),
        ripple=Ripple.random(rng, 0.02, 3),
    )


def _draw_nucleoli(
    rng: np.random.Generator, nucleus: Body, radius: float, optics: CellOptics, shape: CellShape
) -> list[Body]:
    placed: list[Body] = []
    for _ in range(rng.integers(1, shape.nucleoli + 1) if shape.nucleoli else 0):
        semi_axes = radius * rng.uniform(0.07, 0.12) * rng.uniform(0.85, 1.15, 3)
        centre = _draw_position(rng, semi_axes.max(), nucleus, placed)
        if centre is not None:
            body = Body(centre, semi_axes, optics.nucleolus, 2 * optics.absorption, random_rotation(rng))
            placed.append(body)
    return placed


def _draw_organelles(
    rng: np.random.Generator, body: Body, nucleus: Body, radius: float, optics: CellOptics, shape: CellShape
) -> list[Body]:
    """Draw mitochondria (rods) and lipid droplets (balls) in the cytoplasm."""
    placed: list[Body] = []
    for number in range(shape.mitochondria + shape.droplets):
        if number < shape.mitochondria:
            semi_axes = radius * np.array([0.05, 0.05, rng.uniform(0.1, 0.2)])
            index, orientation = optics.mitochondrion, random_rotation(rng)
        else:
            semi_axes = np.full(3, radius * rng.uniform(0.03, 0.07))
            index, orientation = optics.lipid, None
        centre = _draw_position(rng, semi_axes.max(), body, [nucleus, *placed])
        if centre is not None:
            placed.append(Body(centre, semi_axes, index, orientation=orientation))
    return placed


def _draw_position(
    rng: np.random.Generator, size: float, inside: Body, clear_of: list[Body]
) -> Float[np.ndarray, " 3"] | None:
    """Draw a position for a ball of a radius [m] inside one body and clear of others; None if there is no room."""
    positions = inside.centre + inside.half_extent * rng.uniform(-1, 1, (60, 3))
    fits = inside.contains(positions, size / inside.semi_axes.min())
    for other in clear_of:
        fits &= ~other.contains(positions, -size / other.semi_axes.min())
    return positions[np.argmax(fits)] if fits.any() else None
