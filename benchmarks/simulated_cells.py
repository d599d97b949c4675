"""Simulated red blood cells compared with real ones: distance of each class to its nearest real cells.

The descriptors of 827 real cells are published. Our implementation is first compared with them on the cells whose
volumes are available. Then simulated cells are imaged by the simulated microscope and described, and their distance to
the nearest real cell of the class is compared with that between real cells.
"""

import io
import re
import zipfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from unflat.physics.phantoms.red_blood_cells import CLASSES, random_cell
from unflat.recon.experiments.shape.section_files import class_of
from unflat.recon.metrics.descriptor import BANDS, SHELLS, descriptor_distance, shape_descriptor

from .ledger import Ledger, Numbers
from .places import shared

NAME = "red blood cells (simulated)"
CELLS = 24
"""Number of simulated cells of each class."""
SAMPLES, VOXEL = 64, 0.17e-6


def run(ledger: Ledger) -> None:
    """Compare the descriptors, then every class."""
    real = RealCells(shared("shapes/shape_descriptors_827.npz"))
    volumes = shared("shapes/red_blood_cells_108.zip")
    every = ledger.choose(1, 12)
    _add_descriptor_rows(ledger, ledger.part("descriptor", {"every": every}, partial(_validated, real, volumes, every)))
    count = ledger.choose(CELLS, 2)
    for label in CLASSES:
        settings = {"cells": count, "class": label, "samples": SAMPLES, "voxel": VOXEL}
        _add_class_rows(ledger, label, ledger.part(label, settings, partial(_compared, real, label, count)))
    ledger.notes.append(
        "Distances are Euclidean between descriptors (32 shells, 17 bands, largest number 1), medians over the cells "
        "of a class; real cells' own nearest is another real cell of the class. 'nearest class' is the class of the "
        "nearest of all 827 real cells. Every cell of these rows is simulated."
    )


class RealCells:
    """Published descriptors of real cells.

    Args:
        path: File of the descriptors.
    """

    def __init__(self, path: Path) -> None:
        with np.load(path) as file:
            self.descriptors = file["descriptor"].reshape(-1, SHELLS, BANDS).astype(np.float64)
            self.labels = np.array([class_of(str(name)) for name in file["class12"]])

    def distances(self, descriptor: np.ndarray) -> np.ndarray:
        """Compute the distance of a descriptor to that of each real cell."""
        return descriptor_distance(self.descriptors, descriptor[None])


def simulate_stack_of_cell(seed: Sequence[int], label: str) -> np.ndarray:
    """Simulate the image stack of a cell: stained and blurred, relative to twice the threshold.

    Args:
        seed: Seed of the cell and the microscope.
        label: Class of the cell.
    """
    import jax.numpy as jnp

    from unflat.physics.fluorescence import MicroscopePsf, Stain, simulate_stack

    rng = np.random.default_rng(seed)
    axis = (np.arange(SAMPLES) - SAMPLES // 2) * VOXEL
    filled = random_cell(rng, label).occupancy(axis, axis, axis)
    blur = MicroscopePsf(axial=float(rng.uniform(0.35, 0.5)))
    micron = 1e6 * VOXEL
    return np.asarray(simulate_stack(jnp.asarray(filled), (micron, micron, micron), Stain(), blur))


def _validated(real: RealCells, path: Path, every: int) -> Numbers:
    correlation, error, nearest, names = [], [], [], []
    with zipfile.ZipFile(path) as archive:
        files = [name for name in archive.namelist() if "/obj/" in name][::every]
        for name in files:
            descriptor = shape_descriptor(_volume(archive.read(name)))
            number = int(re.findall(r"\d+", name)[-1])
            own = real.descriptors[number]
            correlation.append(float(np.corrcoef(descriptor.ravel(), own.ravel())[0, 1]))
            error.append(float(np.linalg.norm(descriptor - own) / np.linalg.norm(own)))
            nearest.append(bool(real.distances(descriptor).argmin() == number))
            names.append(Path(name).stem)
    return {"names": names, "correlation": correlation, "error": error, "nearest": nearest}


def _volume(data: bytes) -> np.ndarray:
    import tifffile

    return np.asarray(tifffile.imread(io.BytesIO(data))) / np.float32(255)


def _compared(real: RealCells, label: str, count: int) -> Numbers:
    descriptors = np.stack(
        [shape_descriptor(simulate_stack_of_cell((CLASSES.index(label), i), label)) for i in range(count)]
    )
    distances = np.stack([real.distances(descriptor) for descriptor in descriptors])
    own = real.labels == label
    among = np.stack([real.distances(descriptor)[own] for descriptor in real.descriptors[own]])
    np.fill_diagonal(among, np.inf)
    classes = [str(real.labels[i]) for i in distances.argmin(axis=1)]
    return {
        "simulated": distances[:, own].min(axis=1).tolist(),
        "real": among.min(axis=1).tolist(),
        "covered": distances[:, own].min(axis=0).tolist(),
        "classes": classes,
    }


def _add_descriptor_rows(ledger: Ledger, numbers: Numbers) -> None:
    count = len(numbers["names"])
    add = partial(ledger.row, name="shape descriptor (real cells)")
    low = min(range(count), key=lambda i: numbers["correlation"][i])
    add(
        "correlation with the published descriptor",
        float(np.median(numbers["correlation"])),
        digits=4,
        reference=f"lowest {numbers['correlation'][low]:.3f} ({numbers['names'][low]})",
        how=f"median of {count} cells; from volumes of 64³, the published ones from the raw stacks",
    )
    add(
        "relative error",
        float(np.median(numbers["error"])),
        reference=f"largest {max(numbers['error']):.3f}",
        how=f"median; a cell's own descriptor is the nearest of 827 for {sum(numbers['nearest'])} of {count}",
    )


def _add_class_rows(ledger: Ledger, label: str, numbers: dict[str, Any]) -> None:
    classes = numbers["classes"]
    names = sorted(set(classes), key=classes.count, reverse=True)
    shown = ", ".join(f"{name} {classes.count(name)}" for name in names[:3])
    ledger.row(
        f"{label}: distance to the nearest real one",
        float(np.median(numbers["simulated"])),
        name=NAME,
        digits=2,
        reference=f"real to real {np.median(numbers['real']):.2f}; from each real one to the nearest simulated "
        f"{np.median(numbers['covered']):.2f}",
        how=f"median of {len(classes)} cells; nearest class: {shown}",
    )
