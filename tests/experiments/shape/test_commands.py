"""Commands on shapes, from simulation to surfaces; and wrong input."""

import csv
import io
import json
import shutil
import signal
from collections.abc import Iterator
from functools import cache, partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from rich.console import Console

import unflat
from unflat.cli import evaluate
from unflat.cli.main import run
from unflat.cli.sampling import one_specimen
from unflat.recon.acquisition import Acquisition
from unflat.recon.errors import ConfigError, DataError, Stopped
from unflat.recon.experiments import get_experiment
from unflat.recon.experiments.configs import load_config
from unflat.recon.experiments.shape import figures, report
from unflat.recon.experiments.shape.network import training_data
from unflat.recon.experiments.shape.network.checkpoint import PredictionState
from unflat.recon.experiments.shape.network.denoiser import ShapeDenoiser
from unflat.recon.experiments.shape.network.objective import ShapeObjective
from unflat.recon.experiments.shape.network.predict import predict
from unflat.recon.experiments.shape.network.train import train
from unflat.recon.experiments.shape.output import warn_if_cut_off
from unflat.recon.io.file_names import distinct_file_names
from unflat.recon.io.network_file import read as read_network
from unflat.recon.io.result import read_result
from unflat.recon.io.volume_formats import read_volume
from unflat.recon.metrics import catalogue
from unflat.recon.optimize.training_run import initial_weights
from unflat.recon.runs import RunContext, RunFolder, describe_input
from unflat.recon.visualization.run_data import gather

pytestmark = pytest.mark.usefixtures("no_report")

CONFIG = """
kind: shape
network: {widths: [8], blocks: [1]}
predict: {draws: 2, steps: 2, network: %s}
train: {steps: 3, distil: 1, batch: 2, specimens: 16, judge_every: 3, warm_up: 1}
simulate: {cells: 2, classes: [discocyte, knizocyte], pixels: 32}
volume: {edge: 32}
"""


@pytest.fixture(scope="module", autouse=True)
def few_training_cells() -> Iterator[None]:
    """Simulate each training cell once for all trainings, and hold out few: they take most of a training's time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training_data, "_simulate_one", cache(training_data._simulate_one))
        patch.setattr(training_data, "_HELD_OUT_CELLS", 4)
        yield


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a config, an acquisition, a network and a prediction."""
    folder = tmp_path_factory.mktemp("shapes")
    (folder / "c.yaml").write_text(CONFIG % (folder / "NET"))
    config = str(folder / "c.yaml")
    assert run(["simulate", config, "-o", str(folder / "cells.h5")]) == 0
    assert run(["train", config, "-o", str(folder / "NET")]) == 0
    assert run(["predict", config, str(folder / "cells.h5"), "-o", str(folder / "RUN")]) == 0
    return folder


def test_a_simulated_acquisition_holds_sections_and_shapes(work: Path) -> None:
    with h5py.File(work / "cells.h5") as file:
        images, mask, truth = file["measurement/images"][()], file["measurement/mask"][()], file["truth/occupancy"][()]
        assert images.shape == mask.shape == (2, 32, 32)
        np.testing.assert_array_equal(truth[:, 0, 16] > 0.5, mask > 0.5)  # The mask is the middle slice.
        assert file["instrument/voxel_size"].attrs["units"].decode() == "m"
        assert list(file["label"].asstr()[()]) == ["discocyte", "knizocyte"]


def test_check_prints_names_and_classes(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["check", str(work / "c.yaml"), str(work / "cells.h5")]) == 0
    assert "label: discocyte knizocyte" in capsys.readouterr().out


def test_a_prediction_writes_a_model_for_each_cell_and_all_draws(work: Path) -> None:
    numbers = json.loads((work / "RUN" / "metrics.json").read_text())
    assert numbers["cells"] == 2
    assert numbers["draws"] == 2
    assert 0 < numbers["overlap_error"] < 1
    assert numbers["section"] > 0.9
    with h5py.File(work / "RUN" / "volume.h5") as file:
        filled = file["volume/occupancy"][()].astype(float)
        consensus = file["consensus/occupancy"][()].astype(float)
        z, y = file["volume/z"][()], file["volume/y"][()]
    assert filled.shape == (2, 2, 32, 32, 32)
    assert z[16] == 0
    models = sorted((work / "RUN" / "models").iterdir())
    assert len(models) == 2
    model = unflat.load(models[0])
    assert model.draws == 2
    own = model.draw(1).sample(z, y, y, "signed_distance")
    outside = np.abs(own) > model.spacing[1]
    np.testing.assert_array_equal((own < 0)[outside], (filled[0, 1] > 0.5)[outside])
    own = model.sample(z, y, y, "signed_distance")  # The consensus is the model's value, and the draws its spread.
    outside = np.abs(own) > model.spacing[1]
    np.testing.assert_array_equal((own < 0)[outside], (consensus[0] > 0.5)[outside])
    assert model(np.zeros((1, 3)), "uncertainty_signed_distance")[0] > 0
    assert (work / "RUN" / "report.html").stat().st_size > 10_000
    assert "simulated red blood cells" in read_network(work / "NET", "shape").trained_on
    assert "the network was trained on" in (work / "RUN" / "run.log").read_text("utf-8")
    rows = list(csv.DictReader((work / "RUN" / "cells.csv").read_text("utf-8").splitlines()))
    assert [row["label"] for row in rows] == ["discocyte", "knizocyte"]
    assert all(float(row["section_agreement"]) > 0.9 and float(row["novelty"]) >= 0 for row in rows)


def test_the_estimate_counts_the_draws_of_the_consensus(work: Path) -> None:
    shape, cells = get_experiment("shape"), Acquisition("shape", {"images": np.zeros((2, 8, 8))})

    def seconds(*options: str) -> float:
        return shape.estimate(load_config(work / "c.yaml", ["predict.steps=1000", *options]), cells).seconds

    one, twenty = seconds("predict.draws=1"), seconds("predict.draws=20")
    assert one == pytest.approx(twenty, rel=0.05)  # Twenty are drawn in any case.
    assert seconds("predict.mean=true") < one / 100
    assert seconds("predict.draws=20", "predict.refine=true", "predict.refine_steps=1") > 1.9 * twenty


def test_the_same_seed_draws_the_same_whatever_else_is_drawn(work: Path) -> None:
    arguments = ["predict", str(work / "c.yaml"), str(work / "cells.h5"), "-o", str(work / "ONE")]
    assert run([*arguments, "--set", "acquisition.cells=[1]", "--draws", "1"]) == 0
    one = unflat.load(work / "ONE")  # One cell alone is the run's model.
    several = unflat.load(next(path for path in (work / "RUN" / "models").iterdir() if "knizocyte" in path.name))
    points = np.random.default_rng(0).uniform(-4e-6, 4e-6, (50, 3))
    np.testing.assert_allclose(one.draw(0)(points), several.draw(0)(points), atol=2e-9)
    np.testing.assert_allclose(one(points), several(points), atol=2e-9)  # The consensus is of as many draws.


def test_errors_are_listed_by_cell_and_class(work: Path) -> None:
    table = work / "errors.csv"
    assert run(["evaluate", str(work / "RUN"), str(work / "cells.h5"), "-o", str(table)]) == 0
    rows = list(csv.DictReader(io.StringIO(table.read_text("utf-8"))))
    assert [row["label"] for row in rows] == ["discocyte", "knizocyte"]
    assert all(0 < float(row["overlap_error"]) < 1 for row in rows)
    for path in (work / "errors-classes.csv", work / "RUN" / "classes.csv"):
        classes = list(csv.DictReader(io.StringIO(path.read_text("utf-8"))))
        assert [row["label"] for row in classes] == ["discocyte", "knizocyte", "all"]
        assert all(row["hausdorff [um]"] and row["diversity"] and row["overlap_error_std"] for row in classes)
    assert run(["evaluate", str(work / "RUN"), str(work / "cells.h5"), "-o", str(work / "new.csv")]) == 0
    (work / "new.csv").unlink()
    assert run(["evaluate", str(work / "RUN"), str(work / "cells.h5"), "-o", str(work / "new.csv")]) == 2


def test_every_number_has_a_description_and_a_unit(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["evaluate", str(work / "RUN"), str(work / "cells.h5"), "--json"]) == 0
    numbers = json.loads(capsys.readouterr().out)
    known = set(catalogue())
    assert set(numbers) <= known
    assert 0 < numbers["hausdorff"] < 1e-5  # [m]
    written = set(json.loads((work / "RUN" / "metrics.json").read_text()))
    assert written - {"verdict", "verdict_reasons"} <= known


def test_the_table_of_a_run_is_that_of_evaluate(work: Path) -> None:
    table = work / "same.csv"
    assert run(["evaluate", str(work / "RUN"), str(work / "cells.h5"), "-o", str(table)]) == 0
    assert table.read_text("utf-8") == (work / "RUN" / "scores.csv").read_text("utf-8")


def test_a_narrow_terminal_shows_fewer_columns_of_classes_and_no_cut_numbers(
    work: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = []
    for width in (60, 110):
        monkeypatch.setattr(evaluate, "_screen", partial(Console, width=width))
        assert run(["evaluate", str(work / "RUN"), str(work / "cells.h5")]) == 0
        table = capsys.readouterr().out
        assert "…" not in table
        shown.append(next(len(line.split()) for line in table.splitlines() if line.startswith("all ")))
    assert shown[0] < shown[1]


def test_a_run_on_other_samples_is_evaluated(work: Path) -> None:
    fine, table = work / "FINE", work / "fine.csv"
    predict = ["predict", str(work / "c.yaml"), str(work / "cells.h5"), "-o", str(fine), "--set", "volume.edge=48"]
    assert run(predict) == 0
    assert run(["evaluate", str(fine), str(work / "cells.h5"), "-o", str(table)]) == 0
    evaluated, own = (
        list(csv.DictReader(io.StringIO(path.read_text("utf-8")))) for path in (table, fine / "scores.csv")
    )
    for one, other in zip(evaluated, own, strict=True):
        assert float(one.pop("section")) == pytest.approx(float(other.pop("section")), abs=0.1)  # Of mask, of truth.
        assert one == other


def test_a_folder_of_volumes_is_a_truth(work: Path, tmp_path: Path) -> None:
    with h5py.File(work / "cells.h5") as file:
        names = list(file["name"].asstr()[()])[::-1]  # The folder's order is another.
        arrays = [file[place][()][::-1] for place in ("measurement/images", "measurement/mask", "truth/occupancy")]
    for part, stack in zip(("image", "mask", "obj"), arrays, strict=True):
        (tmp_path / part).mkdir()
        for name, values in zip(names, stack, strict=True):
            np.save(tmp_path / part / f"{name}.npy", np.squeeze(values).astype(np.float32))
    config = work / "folder.yaml"
    voxel = 10.9 / 32
    config.write_text((CONFIG % (work / "NET")) + f"acquisition: {{voxel_size: '{voxel} um', size: 32}}\n")
    assert run(["predict", str(config), str(tmp_path), "-o", str(work / "OF"), "--set", "acquisition.cells=[1]"]) == 0
    table = work / "of.csv"
    assert run(["evaluate", str(work / "OF"), str(tmp_path), "-o", str(table)]) == 0
    (row,) = csv.DictReader(io.StringIO(table.read_text("utf-8")))
    (own,) = csv.DictReader(io.StringIO((work / "OF" / "scores.csv").read_text("utf-8")))
    assert row["name"] == own["name"]
    assert float(row["overlap_error"]) == pytest.approx(float(own["overlap_error"]), abs=0.01)
    for path in (tmp_path / "obj").iterdir():
        path.unlink()
    assert run(["evaluate", str(work / "OF"), str(tmp_path)]) == 3


def test_a_cell_is_evaluated_among_many(work: Path) -> None:
    model = next(path for path in (work / "RUN" / "models").iterdir() if "knizocyte" in path.name)
    table = work / "one.csv"
    assert run(["evaluate", str(model), str(work / "cells.h5"), "-o", str(table)]) == 0
    assert [row["label"] for row in csv.DictReader(io.StringIO(table.read_text("utf-8")))] == ["knizocyte"]


def test_shapes_are_measured_meshed_and_drawn(work: Path) -> None:
    model = str(sorted((work / "RUN" / "models").iterdir())[0])
    table = work / "features.csv"
    assert run(["measure", model, "-o", str(table), "--spacing", "0.4 um"]) == 0
    assert [row["draw"] for row in csv.DictReader(io.StringIO(table.read_text("utf-8")))] == ["consensus", "0", "1"]
    assert run(["mesh", model, "-o", str(work / "one.stl"), "--spacing", "0.4 um"]) == 0
    assert run(["mesh", model, "-o", str(work / "m.stl"), "--draw", "1", "--spacing", "0.4 um"]) == 0
    assert run(["mesh", model, "-o", str(work / "all.stl"), "--consensus", "--spacing", "0.4 um"]) == 0
    assert (work / "all.stl").read_bytes() == (work / "one.stl").read_bytes() != (work / "m.stl").read_bytes()
    picture = ["render", model, "-o", str(work / "m.png"), "--style", "surface", "--size", "96"]
    assert run([*picture, "--draw", "1"]) == 0
    assert run([*picture, "--draw", "7", "--force"]) == 2
    assert run(["query", model, "--line", "0,0,-4um", "0,0,4um", "-o", str(work / "line.csv"), "--draw", "0"]) == 0


def test_many_cells_are_no_single_specimen(work: Path) -> None:
    assert run(["render", str(work / "RUN"), "-o", str(work / "no.png")]) == 3
    picture = ["render", str(work / "RUN"), "-o", str(work / "one.png"), "--style", "surface", "--size", "96"]
    for words, status in (
        (["--cell", "1", "--draw", "0"], 0),
        (["--cell", "2"], 2),
        (["--cell", "0", "--draw", "2"], 2),
    ):
        assert run([*picture, *words, "--force"]) == status
    result = read_result(work / "RUN")
    one, consensus = (one_specimen(result, work / "RUN", draw, 1).main for draw in (1, None))
    np.testing.assert_array_equal(one, result.main[1, 1])
    np.testing.assert_array_equal(consensus, result.consensus["occupancy"][1])
    assert read_result(work / "RUN").main.ndim == 5


def test_a_cross_validation_trains_a_network_for_each_part(work: Path) -> None:
    arguments = ["train", str(work / "c.yaml"), "-o", str(work / "FOLDS"), "--set", f"train.data={work / 'cells.h5'}"]
    assert run([*arguments, "--set", "train.folds=2", "--set", "train.specimens=15"]) == 0
    files = {path.stem: read_network(path, "shape") for path in (work / "FOLDS").glob("*.h5")}
    assert {name: network.steps for name, network in files.items()} == {
        "network-0": 2,
        "network-1": 2,
        "teacher-0": 8,
        "teacher-1": 8,
    }
    assert run([*arguments, "--set", "train.folds=3", "--force"]) == 2  # Of two cells.


def test_a_cross_validation_refuses_initial_networks_that_may_know_the_cells(
    work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["train", str(work / "c.yaml"), "-o", str(work / "BEGUN"), "--set", f"train.data={work / 'cells.h5'}"]
    assert run([*arguments, "--set", "train.folds=2", "--set", f"train.network={work / 'NET'}"]) == 2
    assert "may have seen the cells" in capsys.readouterr().err


def test_a_training_reports_its_cells_and_its_validation(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cells, folder = work / "some.h5", work / "TOLD"
    shutil.copy(work / "cells.h5", cells)
    arguments = ["train", str(work / "c.yaml"), "-o", str(folder), "--set", f"train.data={cells}"]
    arguments += ["--set", "train.folds=2", "--set", "train.turned=0"]
    assert run(arguments) == 0
    printed = capsys.readouterr()
    assert "held-out cells: 1 - IoU of a draw" in printed.out + printed.err
    assert all(f"network-{number}.h5" in printed.out + printed.err for number in range(2))
    provenance = read_network(folder / "network-1.h5", "shape").provenance
    assert len(provenance["data"]["sha256"]) == 64
    assert run([*arguments, "--resume", "--set", "train.steps=5"]) == 2  # Those that are done could not take them.
    assert "train.steps was 3 and is now 5" in capsys.readouterr().err
    with h5py.File(cells, "r+") as file:
        file["measurement/images"][...] *= 0.5
    assert run([*arguments, "--resume"]) == 2
    assert "input.data.sha256 was" in capsys.readouterr().err


def test_one_network_may_take_more_steps(work: Path) -> None:
    arguments = ["train", str(work / "c.yaml"), "-o", str(work / "LONGER")]
    assert run(arguments) == 0
    assert run([*arguments, "--resume", "--set", "train.steps=4"]) == 2  # It is distilled already.
    assert run([*arguments, "--resume", "--set", "train.distil=2"]) == 0
    assert run([*arguments, "--force", "--set", "train.distil=0"]) == 0
    assert run([*arguments, "--resume", "--set", "train.distil=0", "--set", "train.steps=4"]) == 0
    assert read_network(work / "LONGER", "shape").steps == 8


def test_a_training_that_a_signal_stops_in_a_validation_goes_on_with_it(
    work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments, validate = ["train", str(work / "c.yaml"), "-o", str(work / "CUT")], ShapeObjective.validate

    def stop(*arguments: Any) -> dict[str, float] | None:
        signal.raise_signal(signal.SIGTERM)
        return validate(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(ShapeObjective, "validate", stop)
        assert run(arguments) == 75
    assert not (work / "CUT" / "teacher.h5").exists()
    assert run([*arguments, "--resume"]) == 0
    rows, whole = (
        [json.loads(line) for line in (work / name / "metrics.jsonl").read_text("utf-8").splitlines()]
        for name in ("CUT", "NET")
    )
    assert [row["step"] for row in rows] == [3, 3, 4]  # The validation comes after its step.
    assert rows[0] | rows[1] == whole[0]
    assert rows[2] == whole[1]


def test_a_training_starts_from_the_network_before_distillation(
    work: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    former = tmp_path / "NET"
    shutil.copytree(work / "NET", former)
    arguments = ["train", str(work / "c.yaml"), "-o", str(tmp_path / "MORE"), "--set", f"train.network={former}"]
    assert run([*arguments, "--set", "train.steps=1", "--set", "train.distil=0"]) == 0
    begun = read_network(tmp_path / "MORE", "shape").provenance["network"]["sha256"]
    assert begun == describe_input(former / "teacher.h5")["sha256"]
    (former / "teacher.h5").unlink()
    assert run([*arguments, "--force"]) == DataError.status
    message = " ".join(capsys.readouterr().err.split())
    assert "is distilled to 2 steps" in message
    assert "name the teacher.h5" in message


def test_a_training_cannot_go_on_from_the_shipped_network_which_is_distilled(
    work: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sizes = ["--set", "network.widths=[64, 128, 128]", "--set", "network.blocks=[1, 2, 2]"]
    arguments = ["train", str(work / "c.yaml"), "-o", str(tmp_path / "MORE"), *sizes]
    assert run([*arguments, "--set", "train.network=shipped"]) == DataError.status
    message = " ".join(capsys.readouterr().err.split())
    assert "is distilled to 2 steps" in message
    assert "benchmarks/networks/shape-teacher.h5" in message
    teacher = Path(__file__).parents[3] / "benchmarks" / "networks" / "shape-teacher.h5"
    assert initial_weights(str(teacher), "shape", ShapeDenoiser().constants()) is not None


def test_the_section_is_compared_with_the_measured_mask(work: Path) -> None:
    cells = work / "shifted.h5"
    shutil.copy(work / "cells.h5", cells)
    with h5py.File(cells, "r+") as file:  # A truth whose middle plane is not the mask, as real ones have it.
        file["truth/occupancy"][...] = np.roll(file["truth/occupancy"][()], 4, axis=-1)
    assert run(["predict", str(work / "c.yaml"), str(cells), "-o", str(work / "SHIFTED")]) == 0
    numbers, others = (json.loads((work / name / "metrics.json").read_text()) for name in ("SHIFTED", "RUN"))
    assert numbers["section"] == others["section"]
    assert numbers["overlap_error"] != others["overlap_error"]


def test_a_refinement_reports_the_misfit_of_the_pictures(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["predict", str(work / "c.yaml"), str(work / "cells.h5"), "-o", str(work / "REFINED"), "--refine"]
    assert run([*arguments, "--set", "predict.refine_steps=10"]) == 0
    numbers, others = (json.loads((work / name / "metrics.json").read_text()) for name in ("REFINED", "RUN"))
    assert 0 < numbers["picture_after"] < numbers["picture_before"]
    assert "misfit of the pictures" in "".join(capsys.readouterr())
    assert numbers["overlap_error"] != others["overlap_error"]


def test_the_mean_is_one_shape_and_independent_of_the_seed(work: Path) -> None:
    arguments = ["predict", str(work / "c.yaml"), str(work / "cells.h5"), "--set", "predict.mean=true"]
    for seed in ("1", "2"):
        assert run([*arguments, "-o", str(work / f"MEAN{seed}"), "--seed", seed]) == 0
    one, other = (read_result(work / f"MEAN{seed}").main for seed in ("1", "2"))
    assert one.shape[:2] == (2, 1)
    np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("refine", [False, True])
def test_a_resumed_prediction_has_the_same_shapes(
    work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refine: bool
) -> None:
    monkeypatch.setattr("unflat.recon.experiments.shape.network.predict.BATCH", 1)
    more = [f"predict.refine={str(refine).lower()}", "predict.refine_steps=10"]
    settings = load_config(work / "c.yaml", more)
    cells = get_experiment("shape").read(settings, work / "cells.h5")

    def predicted(name: str, reason: str | None, resume: bool = False) -> None:
        with RunFolder.create(tmp_path / name, resume=resume, fingerprint={}) as folder:
            outcome = predict(RunContext(settings, folder, cells, should_stop=lambda: reason))
            folder.write_metrics(outcome.numbers)

    predicted("whole", None)
    for _ in range(3):  # Each start draws one of four shapes, however short its time is.
        with pytest.raises(Stopped, match="--resume"):
            predicted("parts", "asked", resume=True)
    if refine:
        with pytest.raises(Stopped, match="1 of 2 cells were refined"):
            predicted("parts", "asked", resume=True)
    with pytest.raises(Stopped, match="the consensus of 1 of 2 cells was computed"):
        predicted("parts", "asked", resume=True)
    predicted("parts", "asked", resume=True)
    for one, other in zip(
        *(sorted((tmp_path / name / "models").iterdir()) for name in ("whole", "parts")), strict=True
    ):
        for key, weights in unflat.load(one).weights.items():
            np.testing.assert_array_equal(weights, unflat.load(other).weights[key])


@pytest.mark.parametrize(("cells", "draws"), [(3, 2), (2, 1)])
def test_a_checkpoint_of_another_number_of_cells_or_draws_is_refused(tmp_path: Path, cells: int, draws: int) -> None:
    with RunFolder.create(tmp_path / "run", fingerprint={}) as folder:
        context = RunContext(None, folder, should_stop=lambda: "asked")
        state = PredictionState.restore(context, 2, 2)
        state.shapes_drawn = 3
        with pytest.raises(Stopped, match="3 of 4 shapes"):
            state.stop_if_asked(context)
        assert PredictionState.restore(context, 2, 2).shapes_drawn == 3
        with pytest.raises(ConfigError, match=f"of 2 cells with 2 draws each.* of {cells} with {draws}.*--force"):
            PredictionState.restore(context, cells, draws)


def test_a_checkpoint_with_draws_of_an_earlier_version_is_refused(tmp_path: Path) -> None:
    with RunFolder.create(tmp_path / "run", fingerprint={}) as folder:
        arrays = {"codes": np.zeros((2, 2, 16, 16, 16), np.float32), "misfits": np.zeros((2, 2, 2), np.float32)}
        folder.save_checkpoint(3, arrays, {"drawn": 3, "refined": 0})
        with pytest.raises(ConfigError, match=r"draws of format 1, of another version.*--force"):
            PredictionState.restore(RunContext(None, folder), 2, 2)


def test_figures_have_rows_downwards_and_all_draws(work: Path, tmp_path: Path) -> None:
    path = tmp_path / "volume.h5"
    filled = np.zeros((2, 7, 8, 8, 8), np.float16)
    filled[:, :6, 2:5, 1:3, 2:7] = 1
    with h5py.File(path, "w") as file:
        file["volume/occupancy"] = filled
        for name in "zyx":
            file[f"volume/{name}"] = 0.5e-6 * np.arange(8)
            file[f"volume/{name}"].attrs["units"] = "m"
        file["seen/images"] = file["seen/mask"] = filled[:, 0, 4].astype(np.float32)
        file.create_dataset("name", data=["a", "b"], dtype=h5py.string_dtype())
    names, thick, unit = figures.read_thickness(path)
    assert names == ["a", "b"]
    np.testing.assert_allclose(thick, 0.5 * filled.sum(axis=2))
    assert unit == "µm"
    with h5py.File(path, "r+") as file:
        for name in "zyx":
            file[f"volume/{name}"].attrs["units"] = "voxel"
            file[f"volume/{name}"][...] = 0.5 * np.arange(8)
    assert figures.read_thickness(path)[2] == "voxels"
    np.testing.assert_allclose(figures.read_thickness(path)[1], 0.5 * filled.sum(axis=2))
    assert figures.draw_spread(names, thick, unit).axes[0].images[2].get_array().max() > 0  # The last draw is another.
    seen, cut = (of(figures.read_plotted_cells(path)).axes[0] for of in (figures.draw_gallery, figures.draw_sections))
    for axes in (seen, cut):
        assert axes.images[0].origin == "upper"
        _, _, bottom, top = axes.images[0].get_extent()
        assert bottom < top
        assert not axes.yaxis_inverted()


def test_shapes_that_reach_the_faces_of_the_cube_are_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    inside = np.zeros((3, 2, 8, 8, 8), bool)
    inside[..., 1:7, 2:6, 2:6] = True
    warn_if_cut_off(inside)
    assert not caplog.records
    inside[0, 1, 7, 3, 3] = inside[2, :, 0, 3, 3] = True
    warn_if_cut_off(inside)
    assert "may be larger: 3 of 6, of cells: 2" in caplog.text


def test_errors_are_drawn_by_class(work: Path) -> None:
    run_data = gather(work / "RUN")
    figure = next(drawing for drawing in report.report_figures(run_data) if drawing.title == "Errors").draw()
    assert len(figure.axes) == 4
    labels = [label.get_text() for label in figure.axes[0].get_xticklabels()]
    assert labels == ["discocyte", "knizocyte", "all"]
    errors = figures.draw_errors({"one": {"all": [0.1, 0.2]}, "other": {"all": [0.1, 0.9]}})
    assert all(axes.get_ylim()[0] == 0 and axes.get_ylim()[1] > 0.9 for axes in errors.axes)


def test_two_cells_of_one_name_have_two_models() -> None:
    names = ["cell", "cell", "Cell", "a b", "a_b", "", "cell-1"]
    assert distinct_file_names(names) == ["cell", "cell-1", "Cell-2", "a_b", "a_b-4", "cell-5", "cell-1-6"]


def test_each_draw_of_each_cell_is_a_volume_in_a_folder(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = work / "VOLUMES"
    assert run(["volume", str(work / "RUN"), "-o", f"{folder}/"]) == 0
    rows = list(csv.DictReader((folder / "volumes.csv").read_text("utf-8").splitlines()))
    assert [(row["cell"], row["draw"]) for row in rows] == [
        (cell, draw) for cell in "01" for draw in ("consensus", "0", "1")
    ]
    assert rows[3]["file"] == f"{rows[3]['name']}_consensus.ome.tif"
    assert rows[4]["file"] == f"{rows[4]['name']}_draw-0.ome.tif"
    with h5py.File(work / "RUN" / "volume.h5") as file:
        filled = file["volume/occupancy"][1, 0].astype(np.float32)
    own = read_volume(folder / rows[4]["file"])
    np.testing.assert_array_equal(own.main, filled)
    assert (own.kind, own.attributes["label"], own.attributes["name"]) == ("shape", "knizocyte", rows[4]["name"])
    assert run(["volume", str(work / "RUN"), "-o", str(folder)]) == 2
    assert "holds files already" in capsys.readouterr().err
    assert run(["volume", str(work / "RUN"), "-o", str(folder), "--force", "--draw", "1"]) == 0
    assert run(["volume", str(work / "RUN"), "-o", str(work / "RUN"), "--force"]) == 2
    assert run(["volume", str(work / "RUN"), "-o", str(work / "TURNED"), "--rotate", "z 30deg"]) == 2
    assert run(["volume", str(work / "RUN"), "-o", str(work / "one.ome.tif")]) == 3
    assert "-o FOLDER writes all volumes" in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize(
    ("assignment", "status"),
    [
        ("predict.draws=0", 2),
        ("predict.temperature=-1", 2),
        ("simulate.classes=[square]", 2),
        ("predict.network=nowhere.h5", 3),
        ("acquisition.cells=[5]", 2),
    ],
)
def test_wrong_settings_are_refused(work: Path, assignment: str, status: int) -> None:
    arguments = ["predict", str(work / "c.yaml"), str(work / "cells.h5"), "-o", str(work / "NO"), "--set", assignment]
    assert run(arguments) == status
    assert not (work / "NO" / "DONE").exists()


def test_a_network_of_another_kind_is_refused(work: Path) -> None:
    shipped = Path(unflat.__file__).parent / "recon" / "networks" / "shipped" / "crystal.h5"
    arguments = ["predict", str(work / "c.yaml"), str(work / "cells.h5"), "-o", str(work / "NO")]
    assert run([*arguments, "--set", f"predict.network={shipped}"]) == 3


def test_a_missing_draw_is_named(work: Path) -> None:
    model = unflat.load(sorted((work / "RUN" / "models").iterdir())[0])
    with pytest.raises(ConfigError, match="numbered 0 to 1"):
        model.draw(2)


def test_training_without_cells_is_refused(work: Path) -> None:
    arguments = ["train", str(work / "c.yaml"), "-o", str(work / "NONE"), "--set", "train.specimens=0"]
    assert run(arguments) == DataError.status


def test_a_resumed_cross_validation_has_the_same_networks(work: Path, tmp_path: Path) -> None:
    data = [f"train.data={work / 'cells.h5'}", "train.folds=2", "train.turned=1", "train.steps=4", "train.distil=3"]
    settings = load_config(work / "c.yaml", data)
    asked = iter(range(1000))

    def trained(name: str, most: int, resume: bool = False) -> None:
        def stop() -> str | None:
            return "asked" if next(asked) - first >= most else None

        first = next(asked)
        with RunFolder.create(tmp_path / name, resume=resume, fingerprint={}) as folder:
            folder.write_metrics(train(RunContext(settings, folder, should_stop=stop)).numbers)

    trained("whole", 1000)
    # 16 simulated and 2 turned cells are asked about first, then each step of both parts, before and in distillation.
    for steps in (2 + 1, 2 + 1 + 1, 2 + 2 + 1, 2 + 2 + 1):  # It is asked once more than it goes on.
        with pytest.raises(Stopped):
            trained("parts", 18 + steps, resume=(tmp_path / "parts").exists())
    trained("parts", 1000, resume=True)
    for file in ("teacher-0.h5", "network-0.h5", "teacher-1.h5", "network-1.h5"):
        one, other = (read_network(tmp_path / name / file, "shape") for name in ("whole", "parts"))
        for key, weights in one.weights.items():
            np.testing.assert_array_equal(weights, other.weights[key])
