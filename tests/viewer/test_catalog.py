"""Catalogue of the view: stable ids, runs that appear, end, are replaced and vanish."""

import json
import os
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest

from unflat.recon.errors import DataError
from unflat.recon.io.model_file import write_model
from unflat.recon.io.volume_formats import save
from unflat.recon.runs.batch_record import BatchRecord, ScanRecord, State
from unflat.recon.runs.launch import CommandLine, Launch
from unflat.recon.runs.lock import Lock
from unflat.recon.runs.preview_record import PreviewRecord
from unflat.recon.runs.provenance import write_fingerprint
from unflat.recon.runs.watch_state import WatchState
from unflat.recon.sampled import Quantity
from unflat.recon.viewer.api import Api
from unflat.recon.viewer.catalog import Catalog
from unflat.recon.volume import Volume

from .builders import voxel_model, write_run


def begin_run(folder: Path) -> Path:
    """Write what a run has when it begins."""
    (folder / "checkpoint").mkdir(parents=True)
    write_fingerprint(folder, {})
    (folder / "config.yaml").write_text("kind: crystal\n", "utf-8")
    return folder


def test_runs_appear_end_and_vanish(tmp_path: Path) -> None:
    catalog = Catalog([tmp_path])
    assert catalog.entries() == []
    begin_run(tmp_path / "one")
    with_lock = Lock.take(tmp_path / "one")
    (entry,) = catalog.entries()
    assert (entry.name, str(entry.state.state if entry.state else ""), entry.kind, entry.result) == (
        f"{tmp_path.name}/one",
        "running",
        "crystal",
        (),
    )
    write_model(voxel_model(), tmp_path / "one" / "model.h5")
    (tmp_path / "one" / "DONE").write_text("it ended\n", "utf-8")
    with_lock.release()
    write_run(tmp_path / "two", voxel_model(1))
    first, second = catalog.entries()
    assert (first.id, str(first.state.state if first.state else "")) == (entry.id, "done")
    assert first.result
    assert first.id != second.id
    shutil.rmtree(tmp_path / "one")
    assert [entry.id for entry in catalog.entries()] == [second.id]
    assert catalog.entry(first.id) is None


def test_a_new_result_has_a_higher_number_even_with_an_older_time(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", voxel_model())
    catalog = Catalog([run])
    (first,) = catalog.entries()
    assert catalog.entries() == [first]
    write_model(voxel_model(1), run / "model.h5")
    os.utime(run / "model.h5", (1000, 1000))
    (second,) = catalog.entries()
    assert second.changed > first.changed
    assert second.id == first.id


def test_ids_stay_when_a_folder_is_moved(tmp_path: Path) -> None:
    write_run(tmp_path / "here" / "RUNS" / "one", voxel_model())
    (before,) = Catalog([tmp_path / "here" / "RUNS"]).entries()
    (tmp_path / "here").rename(tmp_path / "there")
    (after,) = Catalog([tmp_path / "there" / "RUNS"]).entries()
    assert before.id == after.id


def test_runs_of_one_name_are_told_apart(tmp_path: Path) -> None:
    paths = [write_run(tmp_path / name / "run", voxel_model()) for name in "ab"]
    entries = Catalog(paths).entries()
    assert [entry.name for entry in entries] == ["run", "run (2)"]
    assert len({entry.id for entry in entries}) == 2


def test_files_are_entries_without_a_state(tmp_path: Path) -> None:
    write_model(voxel_model(), tmp_path / "cell.h5")
    (entry,) = Catalog([tmp_path / "cell.h5"]).entries()
    assert (entry.name, entry.state) == ("cell.h5", None)
    assert entry.result


def test_a_zarr_store_is_a_volume_though_it_is_a_folder(tmp_path: Path) -> None:
    pytest.importorskip("zarr")
    axis = np.arange(8.0)
    values = {"density": np.ones((8, 8, 8), np.float32)}
    save(Volume("cell", axis, axis, axis, values, (Quantity("density", "1", ""),)), tmp_path / "a.ome.zarr")
    api = Api(Catalog([tmp_path / "a.ome.zarr"]))
    (row,) = json.loads(api.respond("runs", {}).body)["runs"]
    assert (row["name"], row["state"], row["has_result"]) == ("a.ome.zarr", "file", True)
    assert [q["name"] for q in json.loads(api.respond(f"runs/{row['id']}", {}).body)["quantities"]] == ["density"]


def test_scans_of_a_batch_that_wait_are_listed(tmp_path: Path) -> None:
    write_run(tmp_path / "RUNS" / "b", voxel_model())
    scans = {"a": ScanRecord("a", "../a.h5"), "b": ScanRecord("b", "../b.h5", State.DONE)}
    BatchRecord("fit", {}, scans).write(tmp_path / "RUNS")
    waiting, done = Catalog([tmp_path / "RUNS"]).entries()
    assert [str(entry.state.state) for entry in (waiting, done) if entry.state] == ["waiting", "done"]
    assert (waiting.name, waiting.result) == ("RUNS/a", ())


def test_a_scan_that_was_set_aside_tells_why_though_it_has_no_folder(tmp_path: Path) -> None:
    BatchRecord("fit", {}, {"a": ScanRecord("a", "../a.h5", State.FAILED, fault="truncated")}).write(tmp_path)
    Launch(CommandLine(("fit", "c.yaml", "a.h5"), "..")).write(tmp_path)
    api = Api(Catalog([tmp_path]))
    (listed,) = json.loads(api.respond("runs", {}).body)["runs"]
    for address in (f"runs/{listed['id']}", f"runs/{listed['id']}/progress"):
        shown = json.loads(api.respond(address, {}).body)
        assert (shown["state"], shown["reason"]) == ("failed", "truncated")
    assert shown["resume"].endswith("unflat fit c.yaml a.h5 --resume --retry-failed")


def test_a_watch_and_its_preview_are_shown(tmp_path: Path) -> None:
    BatchRecord("phase", {}, {"a": ScanRecord("a", "../a.h5", State.RUNNING)}).write(tmp_path)
    WatchState(running="a").write(tmp_path)
    PreviewRecord("b", 4, 16, "network", "not to be trusted", picture="UE5H").write(tmp_path)
    lock = Lock.take(tmp_path)
    try:
        api = Api(Catalog([tmp_path]))
        watch, scan = json.loads(api.respond("runs", {}).body)["runs"]
        assert (watch["state"], watch["reason"], scan["state"]) == ("running", "computes a", "running")
        preview = json.loads(api.respond(f"runs/{watch['id']}/progress", {}).body)["preview"]
        assert (preview["scan"], preview["frames"], preview["total"], preview["picture"]) == ("b", 4, 16, "UE5H")
    finally:
        lock.release()


def test_a_path_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file or folder"):
        Catalog([tmp_path / "none"])


def test_a_measurement_is_no_result_unless_it_holds_its_truth(tmp_path: Path) -> None:
    file = tmp_path / "scan.h5"
    with h5py.File(file, "w") as h5:
        h5.attrs["format"] = "unflat-acquisition"
        h5.create_group("truth")
    Catalog([file])
    with h5py.File(file, "r+") as h5:
        del h5["truth"]
    with pytest.raises(DataError, match=r"scan\.h5: is a measurement and no result; reconstruct it \(unflat fit"):
        Catalog([file])
