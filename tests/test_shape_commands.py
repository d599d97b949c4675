"""The whole way of a shape on the command line, from simulation to surfaces; and wrong input."""

import csv
import io
import json
from pathlib import Path

import h5py
import numpy as np
import pytest

import unflat
from unflat.cli.main import run
from unflat.recon.errors import ConfigError, DataError, Stopped
from unflat.recon.kinds.shape.network.training import train
from unflat.recon.networks.file import read as read_network
from unflat.recon.results import open_result
from unflat.recon.runs import RunFolder, Workplace
from unflat.recon.settings import load_config

CONFIG = """
kind: shape
network: {widths: [8], blocks: [1]}
predict: {draws: 2, steps: 2, network: %s}
train: {steps: 3, batch: 2, specimens: 16, judge_every: 3, warm_up: 1}
simulate: {cells: 2, classes: [discocyte, knizocyte], pixels: 32}
volume: {edge: 32}
"""


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
        assert file["instrument/voxel_size"].attrs["units"] == "m"
        assert list(file["label"].asstr()[()]) == ["discocyte", "knizocyte"]


def test_a_prediction_leaves_a_model_a_cell_and_all_draws(work: Path) -> None:
    numbers = json.loads((work / "RUN" / "metrics.json").read_text())
    assert numbers["cells"] == 2
    assert numbers["draws"] == 2
    assert 0 < numbers["overlap_error"] < 1
    assert numbers["section"] > 0.9
    with h5py.File(work / "RUN" / "volume.h5") as file:
        filled = file["volume/occupancy"][()].astype(float)
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
    assert (work / "RUN" / "report.html").stat().st_size > 10_000


def test_the_same_seed_draws_the_same_whatever_else_is_drawn(work: Path) -> None:
    arguments = ["predict", str(work / "c.yaml"), str(work / "cells.h5"), "-o", str(work / "ONE")]
    assert run([*arguments, "--set", "acquisition.cells=[0]", "--draws", "1"]) == 0
    one = unflat.load(work / "ONE")  # One cell alone is the run's model.
    several = unflat.load(sorted((work / "RUN" / "models").iterdir())[0])
    points = np.random.default_rng(0).uniform(-4e-6, 4e-6, (50, 3))
    np.testing.assert_allclose(one(points), several.draw(0)(points), atol=2e-9)


def test_errors_are_told_by_cell_and_class(work: Path) -> None:
    table = work / "errors.csv"
    assert run(["evaluate", str(work / "RUN"), str(work / "cells.h5"), "-o", str(table)]) == 0
    rows = list(csv.DictReader(io.StringIO(table.read_text("utf-8"))))
    assert [row["label"] for row in rows] == ["discocyte", "knizocyte"]
    assert all(0 < float(row["overlap_error"]) < 1 for row in rows)


def test_a_runs_own_table_is_that_of_evaluate(work: Path) -> None:
    table = work / "same.csv"
    assert run(["evaluate", str(work / "RUN"), str(work / "cells.h5"), "-o", str(table)]) == 0
    assert table.read_text("utf-8") == (work / "RUN" / "scores.csv").read_text("utf-8")


def test_a_run_on_other_samples_is_evaluated(work: Path) -> None:
    fine, table = work / "FINE", work / "fine.csv"
    predict = ["predict", str(work / "c.yaml"), str(work / "cells.h5"), "-o", str(fine), "--set", "volume.edge=48"]
    assert run(predict) == 0
    assert run(["evaluate", str(fine), str(work / "cells.h5"), "-o", str(table)]) == 0
    assert table.read_text("utf-8") == (fine / "scores.csv").read_text("utf-8")


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
    assert [row["draw"] for row in csv.DictReader(io.StringIO(table.read_text("utf-8")))] == ["0", "1"]
    assert run(["mesh", model, "-o", str(work / "m.stl"), "--spacing", "0.4 um"]) == 2  # Of which draw?
    assert run(["mesh", model, "-o", str(work / "m.stl"), "--draw", "1", "--spacing", "0.4 um"]) == 0
    picture = ["render", model, "-o", str(work / "m.png"), "--style", "surface", "--size", "96"]
    assert run([*picture, "--draw", "1"]) == 0
    assert run([*picture, "--draw", "7", "--force"]) == 2
    assert run(["query", model, "--line", "0,0,-4um", "0,0,4um", "-o", str(work / "line.csv"), "--draw", "0"]) == 0


def test_many_cells_are_no_one_specimen(work: Path) -> None:
    assert run(["render", str(work / "RUN"), "-o", str(work / "no.png")]) == 3
    assert open_result(work / "RUN").main.ndim == 5


def test_a_cross_validation_trains_a_network_a_part(work: Path) -> None:
    arguments = ["train", str(work / "c.yaml"), "-o", str(work / "FOLDS"), "--set", f"train.data={work / 'cells.h5'}"]
    assert run([*arguments, "--set", "train.folds=2", "--set", "train.specimens=15"]) == 0
    assert sorted(file.name for file in (work / "FOLDS").glob("*.h5")) == ["network-0.h5", "network-1.h5"]
    assert run([*arguments, "--set", "train.folds=3", "--force"]) == 2  # Of two cells.


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


def test_a_draw_that_is_not_there_is_named(work: Path) -> None:
    model = unflat.load(sorted((work / "RUN" / "models").iterdir())[0])
    with pytest.raises(ConfigError, match="numbered 0 to 1"):
        model.draw(2)


def test_training_without_cells_is_refused(work: Path) -> None:
    arguments = ["train", str(work / "c.yaml"), "-o", str(work / "NONE"), "--set", "train.specimens=0"]
    assert run(arguments) == DataError.status


def test_a_stopped_cross_validation_goes_on_to_the_same_networks(work: Path, tmp_path: Path) -> None:
    data = [f"train.data={work / 'cells.h5'}", "train.folds=2", "train.turned=1", "train.steps=4"]
    settings = load_config(work / "c.yaml", data)
    asked = iter(range(1000))

    def trained(name: str, most: int, resume: bool = False) -> None:
        def stop() -> str | None:
            return "asked" if next(asked) - first >= most else None

        first = next(asked)
        with RunFolder.create(tmp_path / name, resume=resume, fingerprint={}) as folder:
            train(settings, Workplace(folder, stop=stop))

    trained("whole", 1000)
    # 16 simulated and 2 turned cells are asked about first, then each step of both parts.
    with pytest.raises(Stopped):
        trained("parts", 18 + 4 + 1 + 2)
    trained("parts", 1000, resume=True)
    for number in (0, 1):
        one, other = (read_network(tmp_path / name / f"network-{number}.h5", "shape") for name in ("whole", "parts"))
        for key, weights in one.weights.items():
            np.testing.assert_array_equal(weights, other.weights[key])
