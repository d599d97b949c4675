"""Models and run folders of known content for the tests of the view."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from unflat.recon.frame import ModelFrame
from unflat.recon.io.model_file import write_model
from unflat.recon.model import DRAWS, Model, ModelQuantity
from unflat.recon.model_series import ModelSeries
from unflat.recon.series_axis import SeriesAxis

FRAME = ModelFrame((-2e-6, -3e-6, -4e-6), (1e-6, 3e-6, 5e-6), (0.2e-6, 0.3e-6, 0.25e-6), {"medium_index": 1.337})
INDEX = ModelQuantity("refractive_index", "1", "real part of the refractive index", 1.337, 0.05)
ABSORPTION = ModelQuantity("absorption", "1", "imaginary part of the refractive index", 0.0, 0.01)
VOXELS = {"type": "voxels", "version": 1, "shape": [6, 8, 10], "outputs": 1, "sign": "any"}


def voxel_model(
    seed: int = 0, members: int = 1, *, draws: bool = False, consensus: bool = False, kind: str = "cell"
) -> Model:
    """Model with random values on 6 × 8 × 10 cells."""
    rng = np.random.default_rng(seed)
    weights = [{"grid": rng.random((1, *VOXELS["shape"])).astype(np.float32)} for _ in range(members)]
    architecture = {**VOXELS, "members": DRAWS} if draws else VOXELS
    stands_for_all = weights[0] if consensus else None
    return Model.ensemble(architecture, weights, FRAME, (INDEX,), kind, {}, stands_for_all)


def voxel_series(kind: str = "cell") -> ModelSeries:
    """Series over time of models with random values, at 0, 10 and 30 s."""
    models = [voxel_model(seed, kind=kind) for seed in range(3)]
    return ModelSeries.join(models, SeriesAxis("time", "s", (0.0, 10.0, 30.0)), ["grid"], None)


def write_run(folder: Path, model: Model | ModelSeries | None = None, sentinel: str = "DONE", **metrics: Any) -> Path:
    """Write what a run leaves: config, metrics, log, model and sentinel."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.yaml").write_text("kind: cell\nseed: 0\n", "utf-8")
    (folder / "run.log").write_text("10:00:00 a line\n10:00:01 another\n", "utf-8")
    lines = [json.dumps({"step": step, "loss": 1 / step, "seconds": 0.1}) for step in range(1, 1201)]
    (folder / "metrics.jsonl").write_text("\n".join(lines) + '\n{"step": 12', "utf-8")
    content = {"loss": 0.25, "seconds": 75.0, "verdict": "sound", "verdict_reasons": [], **metrics}
    (folder / "metrics.json").write_text(json.dumps(content), "utf-8")
    if model is not None:
        write_model(model, folder / "model.h5")
    if sentinel:
        (folder / sentinel).write_text("it ended\n", "utf-8")
    return folder
