"""A fit that goes on is seen: its losses, its model so far, and at the end its result, in one view that stays open."""

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from unflat.cli.main import run
from unflat.recon.model import Model
from unflat.recon.optimize import model_preview
from unflat.recon.runs.contents import MODEL_PREVIEW
from unflat.recon.runs.folder import RunFolder
from unflat.recon.viewer.api import Api
from unflat.recon.viewer.catalog import Catalog

CONFIG = """kind: cell
volume: {depth: 2 um}
fit: {steps: 6, field: voxels, sign: any, start: none}
physics: {absorption: false}
simulate: {shape: [16, 16], illumination: {count: 6}}
"""
PLANE = {"origin": "0,0,0", "right": "0,0,1e-7", "down": "0,1e-7,0", "width": "16", "height": "16"}


def ask(api: Api, path: str, query: dict[str, str] | None = None) -> Any:
    response = api.respond(path, query or {})
    assert response.status == 200, response.body
    return json.loads(response.body) if response.type.startswith("application/json") else response.body


def test_a_fit_is_seen_while_it_goes_on_and_when_it_is_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config, scan, runs = tmp_path / "run.yaml", tmp_path / "scan.h5", tmp_path / "RUNS"
    config.write_text(CONFIG, "utf-8")
    assert run(["simulate", str(config), "-o", str(scan)]) == 0
    runs.mkdir()
    api = Api(Catalog([runs]))
    assert ask(api, "runs")["runs"] == []
    seen: list[tuple[dict[str, Any], int, bytes]] = []
    save = RunFolder.save_preview

    def save_and_look(folder: RunFolder, model: Model) -> None:
        save(folder, model)
        (row,) = ask(api, "runs")["runs"]
        described = ask(api, f"runs/{row['id']}")
        assert described["quantities"][0]["name"] == "refractive_index"
        losses = ask(api, f"runs/{row['id']}/progress")["series"]["loss"]
        seen.append((row, len(losses), ask(api, f"runs/{row['id']}/plane", PLANE)))

    monkeypatch.setattr(RunFolder, "save_preview", save_and_look)
    monkeypatch.setattr(model_preview, "INTERVAL", 0.0)
    monkeypatch.setattr(model_preview, "SHARE", 1e9)
    assert run(["fit", str(config), str(scan), "-o", str(runs / "one")]) == 0
    assert len(seen) > 2
    rows, counts, planes = zip(*seen, strict=True)
    assert {(row["state"], row["is_preview"], row["name"]) for row in rows} == {("running", True, "RUNS/one")}
    assert list(counts) == sorted(counts)
    assert counts[-1] > counts[0]
    assert all(later["changed"] > earlier["changed"] for earlier, later in pairwise(rows))
    (row,) = ask(api, "runs")["runs"]
    assert (row["id"], row["state"], row["is_preview"]) == (rows[0]["id"], "done", False)
    assert row["changed"] > rows[-1]["changed"]
    assert not (runs / "one" / MODEL_PREVIEW).exists()
    final = np.frombuffer(ask(api, f"runs/{row['id']}/plane", PLANE), "<f4")
    assert np.isfinite(final).all()
    assert not np.array_equal(final, np.frombuffer(planes[0], "<f4"))
