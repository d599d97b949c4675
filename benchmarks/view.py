"""Planes of 512² samples for `unflat view`: the time they take, and their error against the model's own values.

The models have random weights of the sizes that fits have: the time depends on the sizes only. A crystal fills a
quarter of its box. Times are medians; the goal holds for two idle cores.
"""

import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from unflat.physics.rotation import rotation_matrix
from unflat.recon.fields.density_head import PLANE
from unflat.recon.fields.numpy_spline import ORDER
from unflat.recon.frame import ModelFrame
from unflat.recon.model import DRAWS, Model, ModelQuantity
from unflat.recon.sampled import Quantity, Sampled
from unflat.recon.slice_plane import SlicePlane
from unflat.recon.viewer.planes import sample_plane
from unflat.recon.volume import Volume

from .ledger import Ledger, Numbers

NAME = "view"
EDGE = 512
REPEATS = 9
GOAL = 100.0
"""[ms] Goal for a plane."""
GOAL_ERROR = 1e-4
"""Goal for the error over the contrast."""
PROBES = 4000
"""Points at which the error is measured."""
CELL_LEVELS = ((7, 7, 7), (8, 12, 12), (9, 22, 22), (11, 44, 44), (13, 92, 92))
"""Levels of `unflat demo cell`."""
LARGE_LEVELS = tuple((n, n, n) for n in (19, 35, 67, 131, 259))
"""Levels of a model of 512³ samples."""
CRYSTAL_LEVELS = tuple((n, n, n) for n in (6, 9, 14, 25, 47))
BOX = ModelFrame((-4.5e-6, -9.6e-6, -9.6e-6), (4.5e-6, 9.6e-6, 9.6e-6))
CUBE = ModelFrame((-5e-6, -5e-6, -5e-6), (5e-6, 5e-6, 5e-6))
INDEX = ModelQuantity("refractive_index", "1", "real part of the refractive index", 1.333, 0.05)
TURN = rotation_matrix((0.3, 0.8, -0.5), 0.7)


def run(ledger: Ledger) -> None:
    """Measure every kind of model on an upright and on an oblique plane."""
    edge, repeats = ledger.choose((EDGE, REPEATS), (64, 2))
    models = _models() if ledger.quick else _models() | {"cell of 512³ samples": _large}
    for name, make in models.items():
        numbers = ledger.part(name, {"edge": edge, "repeats": repeats}, partial(_measure, make, edge, repeats))
        for figure, times in numbers.items():
            how = f"{times['cpu']:.0f} ms of CPU; error {times['error']:.0e} of the contrast"
            ledger.row(
                f"{name}: {figure}, {edge}²", times["wall"], name=NAME, unit="ms", digits=0, goal=("<", GOAL), how=how
            )
            ledger.row(
                f"{name}: {figure}, error", times["error"], name=NAME, digits=6, goal=("<", GOAL_ERROR), how="largest"
            )


def _measure(make: Callable[[], tuple[Sampled, tuple[str, ...]]], edge: int, repeats: int) -> Numbers:
    """Measure some quantities of a model on two planes."""
    specimen, names = make()
    results: Numbers = {}
    for name in names:
        for title, turn in (("upright", np.eye(3)), ("oblique", TURN)):
            plane = _plane(specimen, turn, edge)
            sample_plane(specimen, name, plane)  # What is prepared once is not part of the time.
            wall, cpu = [], []
            for _ in range(repeats):
                began, used = time.perf_counter(), time.process_time()
                values = sample_plane(specimen, name, plane)
                wall.append(1e3 * (time.perf_counter() - began))
                cpu.append(1e3 * (time.process_time() - used))
            error = _error(specimen, name, plane, values)
            results[f"{name}, {title}"] = {
                "wall": statistics.median(wall),
                "cpu": statistics.median(cpu),
                "error": error,
            }
    return results


def _plane(specimen: Sampled, turn: np.ndarray, edge: int) -> SlicePlane:
    low, high = (np.array(corner) for corner in specimen.bounds)
    step = float((high - low)[1:].max()) / edge
    right, down = turn @ np.array([0.0, 0.0, step]), turn @ np.array([0.0, step, 0.0])
    return SlicePlane((low + high) / 2 + 0.01 * (high - low), right, down, edge, edge)


def _error(specimen: Sampled, name: str, plane: SlicePlane, values: np.ndarray) -> float:
    """Largest difference to the model's own values in double precision, over their range.

    Beside a surface at which a quantity is cut off, rounding decides on which side a point is: the worst thousandth is
    left out.
    """
    inside = np.flatnonzero(np.isfinite(values))
    chosen = np.random.default_rng(0).choice(inside, min(PROBES, len(inside)), replace=False)
    expected = specimen.at(plane.points()[chosen], [name])[:, 0]
    errors = np.sort(np.abs(values.ravel()[chosen] - expected))
    return float(errors[int(0.999 * (len(errors) - 1))] / np.ptp(expected))


def _models() -> dict[str, Callable[[], tuple[Sampled, tuple[str, ...]]]]:
    return {
        "cell of the demo": lambda: (_pyramid(CELL_LEVELS, BOX), (INDEX.name,)),
        "cell, three fits": lambda: (_pyramid(CELL_LEVELS, BOX, members=3), (INDEX.name,)),
        "crystal of 64³": lambda: (_crystal(), ("amplitude", "phase", "strain")),
        "shape, one draw": lambda: (_shape().draw(0), ("signed_distance",)),
        "shape, five draws": lambda: (_shape(), ("signed_distance", "uncertainty_signed_distance")),
        "volume of 128³": lambda: (_volume(), ("density",)),
        "Fourier field of a cell": lambda: (_fourier(), (INDEX.name,)),
    }


def _large() -> tuple[Sampled, tuple[str, ...]]:
    return _pyramid(LARGE_LEVELS, CUBE), (INDEX.name,)


def _weights(rng: np.random.Generator, levels: Any, outputs: int, features: int = 3, hidden: int = 24) -> Any:
    weights = {f"grid_{i}": 0.3 * rng.standard_normal((features, *level), np.float32) for i, level in enumerate(levels)}
    inputs = len(levels) * features
    weights |= {"decoder/w0": rng.standard_normal((inputs, hidden), np.float32) / np.float32(np.sqrt(inputs))}
    weights |= {"decoder/b0": np.zeros(hidden, np.float32), "decoder/b1": np.zeros(outputs, np.float32)}
    return weights | {"decoder/w1": 0.1 * rng.standard_normal((hidden, outputs), np.float32)}


def _architecture(levels: Any, outputs: int = 1, sign: str = "nonnegative") -> dict[str, Any]:
    plain = {"type": "pyramid", "version": 1, "levels": [list(level) for level in levels], "features": 3, "hidden": 24}
    return {**plain, "outputs": outputs, "sign": sign}


def _pyramid(levels: Any, frame: ModelFrame, members: int = 1) -> Model:
    rng = np.random.default_rng(0)
    sets = [_weights(rng, levels, 1) for _ in range(members)]
    return Model.ensemble(_architecture(levels), sets, frame, (INDEX,), "cell", {})


def _crystal() -> Model:
    """Crystal in the skewed box of a rocking curve: a ball with a smooth phase."""
    rng = np.random.default_rng(1)
    weights = {name: 0.02 * array for name, array in _weights(rng, CRYSTAL_LEVELS, 3).items()}
    count = CRYSTAL_LEVELS[0][0]
    nodes = (np.arange(count) - (count - 1) / 2) / ((count - ORDER + 1) / 2)
    radius = np.linalg.norm(np.stack(np.meshgrid(nodes, nodes, nodes, indexing="ij")), axis=0)
    weights["grid_0"][0] += (2.0 - 3.0 * radius).astype(np.float32)
    weights["grid_0"][1] += 1.0
    head = {"type": "crystal", "version": 1, "sharpness": 4.0, "surface": 0.3, "step": [1e-6, 1e-6, 1e-6]}
    edges = 1e-6 * np.array([[1.2, 0.1, 0.0], [0.0, 1.0, 0.2], [0.1, 0.0, 1.1]])
    outputs = (("amplitude", "1"), ("phase", "rad"), ("occupancy", "1"), ("displacement", "m"), ("strain", "1"))
    quantities = tuple(ModelQuantity(name, unit, name) for name, unit in outputs)
    architecture = {**_architecture(CRYSTAL_LEVELS, 3, "any"), "head": {**head, "length": 1e-12}}
    frame = ModelFrame.skewed(np.zeros(3), edges)
    return Model(architecture, weights | {PLANE: np.array([0.1, 0.2, 0.3, 0.1])}, frame, quantities, "crystal")


def _shape() -> Model:
    rng = np.random.default_rng(2)
    architecture = {"type": "section", "version": 1, "shape": [19, 19, 19], "section": [67, 67], "width": 0.1}
    sets = [
        {
            "grid": rng.standard_normal((1, 19, 19, 19), np.float32),
            "rim": 0.1 * rng.standard_normal((1, 67, 67), np.float32),
        }
        for _ in range(5)
    ]
    distance = ModelQuantity("signed_distance", "m", "distance to the surface, negative inside", 1e-6, 1e-6)
    return Model.ensemble({**architecture, "members": DRAWS}, sets, CUBE, (distance,), "shape", {})


def _volume() -> Volume:
    values = np.random.default_rng(3).standard_normal((128, 128, 128), np.float32)
    axis = (np.arange(128) - 63.5) * 1e-8
    return Volume("crystal", axis, axis, axis, {"density": values}, (Quantity("density", "1", "density"),))


def _fourier() -> Model:
    """DeCAF's field with the default settings."""
    rng, depth, width, skip = np.random.default_rng(4), 6, 96, [3]
    encoded = 3 + 4 * 6 * 8 + 2 * 5
    weights: dict[str, np.ndarray] = {}
    for i in range(depth + 1):
        inward, outward = (width if i else encoded) + encoded * (i in skip), width if i < depth else 1
        weights[f"layer_{i}/w"] = rng.standard_normal((inward, outward), np.float32) / np.float32(np.sqrt(inward))
        weights[f"layer_{i}/b"] = np.zeros(outward, np.float32)
    architecture = {"type": "fourier", "version": 1, "frequencies_lateral": 6, "angles": 8, "frequencies_axial": 5}
    architecture |= {"width": width, "depth": depth, "skip": skip, "outputs": 1, "sign": "any"}
    return Model(architecture, weights, BOX, (INDEX,), "cell")
