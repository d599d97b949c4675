"""Simulated acquisitions of cells: pictures, masks, and the shapes behind them."""

import numpy as np

from ...acquisition.acquisition import Acquisition
from ...acquisition.crops import SMALLEST
from ...runs.progress import Progress, silent
from ...volumes.volume import Volume
from .lattices import cube
from .schema import OCCUPANCY
from .settings import ShapeSettings
from .simulated import SimulatedCell, simulated_cell


def simulate(settings: ShapeSettings, progress: Progress = silent) -> Acquisition:
    """Draw cells, and take their pictures.

    Args:
        settings: The config.
        progress: Told of each cell.
    """
    wanted, cells = settings.simulate, []
    for number in range(wanted.cells):
        rng = np.random.default_rng([settings.seed, 7, number])
        cells.append(_seen(rng, wanted.classes[number % len(wanted.classes)], wanted.pixels))
        progress(number + 1, wanted.cells)
    edge, spacing = wanted.pixels, cells[0].spacing
    z, y, x = cube((edge,) * 3, (spacing,) * 3).axes
    occupancy = np.stack([cell.inside for cell in cells])[:, None].astype(np.uint8)
    arrays = {
        "images": np.stack([cell.image for cell in cells]).astype(np.float32),
        "mask": np.stack([cell.mask for cell in cells]).astype(np.float32),
        "voxel_size": np.full(3, spacing),
        "name": np.array([f"simulated_{cell.label}_{i:03d}" for i, cell in enumerate(cells)]),
        "label": np.array([cell.label for cell in cells]),
    }
    truth = Volume("shape", z, y, x, {"occupancy": occupancy}, (OCCUPANCY,))
    return Acquisition("shape", arrays, "simulated", truth, {"specimen": "simulated red blood cells"})


def _seen(rng: np.random.Generator, label: str, pixels: int) -> SimulatedCell:
    """A cell that has a section: a bowl on its side may have none in the middle plane, or no more than a speck."""
    while True:
        cell = simulated_cell(rng, label, pixels)
        if np.count_nonzero(cell.mask) >= SMALLEST:
            return cell
