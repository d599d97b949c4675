"""Cells unlike those that the shipped network for shapes has learned, and cells that were measured wrongly.

Each sort has a known shape. Bodies are pictured either by the simulated microscope of the red blood cells or by a plain
one with another stain, blur and background. Wrong measurements are made of simulated red blood cells.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float
from scipy import ndimage

from unflat.physics.phantoms.random import random_rotation
from unflat.physics.phantoms.red_blood_cells import CLASSES
from unflat.recon.experiments.shape.simulate import simulate_cell, simulate_picture

EDGE = 64
PIXEL = 10.9e-6 / EDGE
"""[m] Pixel size of the training."""
_FEWEST_PIXELS = 40

Box = Float[np.ndarray, "3 z y x"]


@dataclass(frozen=True)
class Specimen:
    """A cell with its measurement.

    Args:
        inside: Voxels inside the true shape; slice ``n // 2`` is the section.
        image: Picture of the section.
        mask: Mask of the section.
        declared: Pixel size that the measurement claims, relative to the true one.
    """

    inside: Bool[np.ndarray, "z y x"]
    image: Float[np.ndarray, "y x"]
    mask: Bool[np.ndarray, "y x"]
    declared: float = 1.0


def _positions(rng: np.random.Generator, rotation: bool = True) -> Box:
    """[pixel] Positions in the cube, in axes that are turned at random."""
    grid = np.stack(np.meshgrid(np.arange(EDGE) - EDGE // 2, *[np.arange(EDGE) - (EDGE - 1) / 2] * 2, indexing="ij"))
    return np.einsum("ab,bzyx->azyx", random_rotation(rng), grid) if rotation else grid.astype(float)


def nucleus(rng: np.random.Generator) -> Bool[np.ndarray, "z y x"]:
    """Build a flat smooth ellipsoid that lies in the plane."""
    z, y, x = _positions(rng, rotation=False)
    turn = rng.uniform(0, np.pi)
    rows, columns = y * np.cos(turn) + x * np.sin(turn), x * np.cos(turn) - y * np.sin(turn)
    a, b, c = rng.uniform(5, 11), *rng.uniform(13, 25, 2)
    return np.asarray((z / a) ** 2 + (rows / b) ** 2 + (columns / c) ** 2 < 1)


def blob(rng: np.random.Generator) -> Bool[np.ndarray, "z y x"]:
    """Build a ball with smooth random bulges."""
    radius = np.linalg.norm(_positions(rng), axis=0)
    noise = ndimage.gaussian_filter(rng.normal(size=(EDGE,) * 3), rng.uniform(4, 8))
    return np.asarray(radius < rng.uniform(10, 20) * (1 + 0.35 * noise / noise.std()))


def rod(rng: np.random.Generator) -> Bool[np.ndarray, "z y x"]:
    """Build a capsule in any direction."""
    z, y, x = _positions(rng)
    half, radius = rng.uniform(8, 22), rng.uniform(3.5, 8)
    return np.asarray(np.sqrt(np.maximum(np.abs(z) - half, 0) ** 2 + y**2 + x**2) < radius)


def filament(rng: np.random.Generator) -> Bool[np.ndarray, "z y x"]:
    """Build a thick curve that lies near the plane."""
    bend = ndimage.gaussian_filter1d(np.cumsum(rng.normal(0, 0.35, 60)), 4)
    path = np.cumsum(np.stack([0.1 * rng.normal(size=60), np.sin(bend), np.cos(bend)]), axis=1)
    path -= path[:, [30]]
    index = np.clip(np.rint(path + EDGE // 2).astype(int), 0, EDGE - 1)
    empty = np.ones((EDGE,) * 3, bool)
    empty[tuple(index)] = False
    return np.asarray(ndimage.distance_transform_edt(empty) < rng.uniform(2.5, 4.5))


def ring(rng: np.random.Generator) -> Bool[np.ndarray, "z y x"]:
    """Build a torus, tilted a little."""
    tilt = rng.uniform(-0.5, 0.5)
    z, y, x = _positions(rng, rotation=False)
    z, y = z * np.cos(tilt) + y * np.sin(tilt), y * np.cos(tilt) - z * np.sin(tilt)
    return np.asarray((np.hypot(y, x) - rng.uniform(11, 19)) ** 2 + z**2 < rng.uniform(3, 6) ** 2)


def bead(rng: np.random.Generator) -> Bool[np.ndarray, "z y x"]:
    """Build a small ball, as of a yeast or of another magnification."""
    return np.asarray(np.linalg.norm(_positions(rng), axis=0) < rng.uniform(4.5, 9))


def column(rng: np.random.Generator) -> Bool[np.ndarray, "z y x"]:
    """Build a tall body through the whole cube, as of tissue."""
    z, y, x = _positions(rng, rotation=False)
    lean = rng.uniform(-0.3, 0.3)
    return np.asarray((y - lean * z) ** 2 + x**2 < rng.uniform(8, 15) ** 2) & (np.abs(z) < 29)


def plate(rng: np.random.Generator) -> Bool[np.ndarray, "z y x"]:
    """Build a thin flat body with a wavy outline, as of a spread cell."""
    z, y, x = _positions(rng, rotation=False)
    angle, k = np.arctan2(y, x), int(rng.integers(3, 7))
    outline = rng.uniform(16, 24) * (1 + 0.2 * np.cos(k * angle + rng.uniform(0, 6)))
    return np.asarray(np.hypot(y, x) < outline) & (np.abs(z) < rng.uniform(2, 4))


BODIES: Mapping[str, Callable[[np.random.Generator], np.ndarray]] = {
    "nuclei": nucleus,
    "blobs": blob,
    "rods": rod,
    "filaments": filament,
    "rings": ring,
    "beads": bead,
    "columns": column,
    "plates": plate,
}


def picture_body(rng: np.random.Generator, inside: Bool[np.ndarray, "z y x"]) -> Specimen:
    """Picture a body by one of the two microscopes."""
    if rng.random() < 0.5:
        cell = simulate_picture(rng, "", inside.astype(np.float32), PIXEL)
        return Specimen(cell.inside, cell.image, cell.mask)
    blur, floor = rng.uniform(0.7, 2.5), rng.uniform(0.02, 0.25)
    light = ndimage.gaussian_filter(inside.astype(float), (2 * blur, blur, blur))[EDGE // 2]
    image = light + floor + rng.normal(0, rng.uniform(0.01, 0.05), light.shape)
    return Specimen(inside, np.maximum(image, 0), inside[EDGE // 2])


def red_cell(rng: np.random.Generator) -> Specimen:
    """Simulate a red blood cell of any class."""
    cell = simulate_cell(rng, str(rng.choice(CLASSES)), EDGE)
    return Specimen(cell.inside, cell.image, cell.mask)


def _zoom(cell: Specimen, factor: float) -> Specimen:
    """Magnify a cell about the centre of its section, in the same number of pixels."""
    middle = np.array([EDGE // 2, (EDGE - 1) / 2, (EDGE - 1) / 2])

    def magnify(array: np.ndarray) -> np.ndarray:
        matrix, centre = np.eye(array.ndim) / factor, middle[-array.ndim :]
        values = array.astype(float)
        return np.asarray(ndimage.affine_transform(values, matrix, centre - matrix @ centre, order=1, mode="nearest"))

    inside = magnify(cell.inside) > 0.5
    return Specimen(inside, magnify(cell.image), inside[EDGE // 2])


def _scale_mask(cell: Specimen, rng: np.random.Generator) -> Specimen:
    return replace(cell, mask=_zoom(cell, rng.choice([0.5, 2.0])).mask)


def _shift_mask(cell: Specimen, rng: np.random.Generator) -> Specimen:
    shift = rng.uniform(8, 20) * np.array([np.sin(turn := rng.uniform(0, 2 * np.pi)), np.cos(turn)])
    return replace(cell, mask=ndimage.shift(cell.mask.astype(float), shift, order=1) > 0.5)


def _noise(cell: Specimen, rng: np.random.Generator) -> Specimen:
    grain = ndimage.gaussian_filter(rng.normal(size=cell.image.shape), rng.uniform(0, 2))
    return replace(cell, image=np.maximum(1 + 0.3 * grain / grain.std(), 0))


def _other_mask(cell: Specimen, rng: np.random.Generator) -> Specimen:
    return replace(cell, mask=np.rot90(red_cell(rng).mask).copy())


WRONG: Mapping[str, Callable[[Specimen, np.random.Generator], Specimen]] = {
    "mask scaled": _scale_mask,
    "mask shifted": _shift_mask,
    "mask inverted": lambda cell, rng: replace(cell, mask=~cell.mask),
    "picture inverted": lambda cell, rng: replace(cell, image=cell.image.max() - cell.image),
    "picture of noise": _noise,
    "mask of another cell": _other_mask,
    "magnified": lambda cell, rng: _zoom(cell, float(rng.uniform(1.5, 2.0))),
    "shrunk": lambda cell, rng: _zoom(cell, float(rng.uniform(0.4, 0.6))),
    "false pixel size": lambda cell, rng: replace(cell, declared=float(rng.choice([0.5, 2.0]))),
}
"""Measurements of red blood cells that went wrong."""


def specimens(sort: str, count: int, seed: int) -> list[Specimen]:
    """Draw specimens of a sort, each with a section that can be seen.

    Args:
        sort: Name in `BODIES` or `WRONG`, or ``red cells``.
        count: Number of specimens.
        seed: Seed.
    """
    sorts = ["red cells", *BODIES, *WRONG]
    cells: list[Specimen] = []
    attempt = 0
    while len(cells) < count:
        rng = np.random.default_rng([seed, sorts.index(sort), attempt])
        attempt += 1
        if sort in BODIES:
            cell = picture_body(rng, BODIES[sort](rng))
        else:
            cell = red_cell(rng)
            if cell.mask.sum() >= _FEWEST_PIXELS and sort in WRONG:
                cell = WRONG[sort](cell, rng)
        if cell.mask.sum() >= _FEWEST_PIXELS and cell.inside.any():
            cells.append(cell)
    return cells
