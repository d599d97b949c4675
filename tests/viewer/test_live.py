"""A fit that goes on is seen: its losses, its model so far, and at the end its result, in one view that stays open."""

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from unflat.recon.io.model_file import write_model
from unflat.recon.optimize import model_preview
from unflat.recon.optimize.model_preview import ModelPreview
from unflat.recon.runs.contents import MODEL_PREVIEW, Sentinel
from unflat.recon.runs.folder import RunFolder
from unflat.recon.viewer.api import Api
from unflat.recon.viewer.catalog import Catalog

from .builders import voxel_model

PLANE = {"origin": "0,0,0", "right": "0,0,1e-7", "down": "0,1e-7,0", "width": "16", "height": "16"}


def ask(api: Api, path: str) -> Any:
    response = api.respond(path, PLANE if path.endswith("plane") else {})
    assert response.status == 200, response.body
    return json.loads(response.body) if response.type.startswith("application/json") else response.body


def values_of(seed: int) -> np.ndarray:
    axis = (np.arange(16) - 7.5) * 1e-7
    return voxel_model(seed).sample(np.zeros(1), axis, axis)[0].astype("<f4")


def test_a_fit_is_seen_while_it_goes_on_and_when_it_is_done(tmp_path: Path) -> None:
    api = Api(Catalog([tmp_path]))
    with RunFolder.create(tmp_path / "one") as folder:
        folder.write_config("kind: cell\n")
        folder.append_metrics(1, loss=0.5)
        (begun,) = ask(api, "runs")["runs"]
        assert (begun["state"], begun["has_result"], begun["step"]) == ("running", False, 1)
        assert ask(api, f"runs/{begun['id']}")["quantities"] == []
        last = begun["changed"]
        for seed in (1, 2):
            folder.append_metrics(1 + seed, loss=0.5 / seed, withheld=0.4)
            folder.save_preview(voxel_model(seed))
            (row,) = ask(api, "runs")["runs"]
            assert (row["id"], row["state"], row["is_preview"]) == (begun["id"], "running", True)
            assert row["changed"] > last
            last = row["changed"]
            plane = np.frombuffer(ask(api, f"runs/{row['id']}/plane"), "<f4").reshape(16, 16)
            np.testing.assert_allclose(plane, values_of(seed), atol=1e-6)
            assert len(ask(api, f"runs/{row['id']}/progress")["series"]["loss"]) == 1 + seed
        write_model(voxel_model(3), folder.path / "model.h5")
        folder.remove_preview()
        folder.finish(Sentinel.DONE, "it is done")
    (row,) = ask(api, "runs")["runs"]
    assert (row["id"], row["state"], row["is_preview"], row["reason"]) == (begun["id"], "done", False, "it is done")
    assert row["changed"] > last
    assert not (tmp_path / "one" / MODEL_PREVIEW).exists()
    plane = np.frombuffer(ask(api, f"runs/{row['id']}/plane"), "<f4").reshape(16, 16)
    np.testing.assert_allclose(plane, values_of(3), atol=1e-6)


def test_models_of_a_fit_are_written_when_they_are_due(monkeypatch: Any) -> None:
    clock, written = [0.0], []
    monkeypatch.setattr(model_preview.time, "monotonic", lambda: clock[0])

    def write(model: Any) -> None:
        written.append((clock[0], model))
        clock[0] += 0.5  # It takes half a second: the next is due when that is a hundredth of the time.

    preview = ModelPreview(voxel_model, write)
    for now in range(200):
        clock[0] = max(clock[0], float(now))
        preview.offer()
    times = [began for began, _ in written]
    assert times[0] == model_preview.INTERVAL
    assert len(times) > 1
    assert all(later - earlier >= 0.5 / model_preview.SHARE for earlier, later in pairwise(times))
