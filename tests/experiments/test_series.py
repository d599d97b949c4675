"""Series of acquisitions: one model from several files, its inputs, its commands, and what becomes of bad input."""

import json
import runpy
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from unflat.cli.main import run
from unflat.recon.errors import ConfigError, DataError
from unflat.recon.experiments import get_experiment, report_comparison
from unflat.recon.experiments import series as series_module
from unflat.recon.experiments.comparison import evaluate_files
from unflat.recon.experiments.configs import parse_config
from unflat.recon.experiments.series_input import Series, SeriesInput, read_series
from unflat.recon.io.model_file import read_model, read_model_series
from unflat.recon.optimize.likelihood import Split
from unflat.recon.optimize.series_likelihood import SeriesLikelihood
from unflat.recon.optimize.trial import BegunFit, Trial
from unflat.recon.runs import RunContext, RunFolder
from unflat.recon.series_axis import SeriesAxis
from unflat.recon.visualization import series_movie
from unflat.recon.visualization.run_data import gather

CONFIG = """kind: cell
volume: {depth: 2 um}
fit: {steps: 6, field: voxels, sign: any, start: none, series: {smoothness: 4}}
physics: {absorption: false, model: linear}
simulate: {shape: [16, 16], illumination: {count: 6}}
"""


class Strengths(SeriesLikelihood):
    """Likelihood of a series, of which only the strengths of its priors count."""

    def split(self) -> Split:
        """Return a division with a withheld view."""
        return Split(np.arange(3), np.array([3]))


class Tried(BegunFit):
    """Fit of a trial that left a residual."""

    withheld = 0.0


class Residuals(Trial):
    """Trial that takes no step: the residual of each pair of strengths is known."""

    def __init__(self, *_: object) -> None:
        self.known = {(2.0, 1.0): 0.5, (8.0, 1.0): 0.4, (32.0, 1.0): float("inf"), (8.0, 0.25): 0.45}

    def begin(self, name: str, likelihood: Any) -> BegunFit:
        """Return the fit with the strengths of a likelihood."""
        fit = Tried.__new__(Tried)
        fit.withheld, fit.other_steps = self.known[likelihood.smoothness, likelihood.spatial], 150
        return fit

    def choose(self, chosen: BegunFit) -> BegunFit:
        """Return the fit as it is."""
        return chosen


@pytest.fixture(scope="module")
def scans(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Three scans of a tiny cell that give their times, beside their config."""
    folder = tmp_path_factory.mktemp("series")
    (folder / "run.yaml").write_text(CONFIG, "utf-8")
    paths = [folder / f"t{number}.h5" for number in range(3)]
    assert run(["simulate", str(folder / "run.yaml"), "-o", str(paths[0])]) == 0
    for path in paths[1:]:
        shutil.copy(paths[0], path)
    for number, path in enumerate(paths):
        with h5py.File(path, "r+") as file:
            file.create_dataset("series/time", data=0.5 * number).attrs["units"] = "min"
    return paths


@pytest.fixture(scope="module")
def fitted(scans: list[Path]) -> Path:
    """The run of all three."""
    output = scans[0].parent / "RUN"
    words = ["fit", scans[0].parent / "run.yaml", *scans, "-o", output, "--series", "time"]
    assert run(list(map(str, words))) == 0
    return output


def read(paths: list[Path], coordinate: str = "time") -> Series:
    config = parse_config(CONFIG)
    return read_series(get_experiment("cell"), config, SeriesInput(tuple(paths), coordinate))


def changed(path: Path, folder: Path, name: str, value: object, units: str = "") -> Path:
    """A copy with another number."""
    copy = folder / path.name
    shutil.copy(path, copy)
    with h5py.File(copy, "r+") as file:
        del file[name]
        if value is not None:
            file.create_dataset(name, data=value).attrs["units"] = units
    return copy


class TestInput:
    def test_files_give_their_positions(self, scans: list[Path]) -> None:
        series = read([scans[2], scans[0], scans[1]])
        assert series.axis.positions == (0, 30, 60)
        assert series.axis.unit == "s"
        assert series.names == ("t0", "t1", "t2")
        assert "sorted by time: t0.h5, t1.h5, t2.h5" in series.notes

    def test_positions_given_go_before_those_of_the_files(self, scans: list[Path]) -> None:
        assert read(scans, "voltage=0V,1V,500mV").axis.positions == (0, 0.5, 1)

    def test_without_positions_the_order_counts_and_is_told(
        self, scans: list[Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        series = read([changed(path, tmp_path, "series/time", None) for path in scans], "dose")
        assert series.axis.positions == (1, 2, 3)
        assert "no file gives its dose: the acquisitions are numbered 1 to 3, in the order given" in caplog.text

    def test_files_that_all_give_another_coordinate_are_not_numbered(self, scans: list[Path]) -> None:
        with pytest.raises(ConfigError, match=r"no file gives its tiem, but each gives its time; write --series time"):
            read(scans, "tiem")
        assert read(scans, "tiem=1,2,3").axis.positions == (1, 2, 3)

    def test_the_position_that_a_simulation_writes_is_a_coordinate_too(self, scans: list[Path], tmp_path: Path) -> None:
        """It is an attribute: five simulated cells under a mistyped name were numbered, and fitted."""
        paths = [changed(path, tmp_path, "series/time", None) for path in scans]
        for number, path in enumerate(paths):
            with h5py.File(path, "r+") as file:
                file.attrs.update({"time": f"{10 * number} s", "seed": 1, "specimen": "cell"})
        assert read(paths).axis.positions == (0, 10, 20)
        with pytest.raises(ConfigError, match=r"each gives its time; write --series time"):
            read(paths, "tiem")

    def test_arrays_beside_the_positions_are_no_coordinates(self, scans: list[Path], tmp_path: Path) -> None:
        """A foreign file may hold anything in such a group."""
        paths = [changed(path, tmp_path, "series/time", np.zeros((2, 3))) for path in scans]
        for path in paths:
            with h5py.File(path, "r+") as file:
                file["series/author"] = "A. N. Other"
                file["series/log"] = np.zeros(3, [("step", "i4"), ("note", "S4")])
        assert read(paths, "dose").axis.positions == (1, 2, 3)

    def test_an_array_that_no_file_has_is_no_order(self, scans: list[Path]) -> None:
        assert read(scans, "/series/time").axis.positions == (0, 30, 60)
        assert read(scans, "series/time").axis.name == "time"
        with pytest.raises(DataError, match="has no entry/time, and no other file has"):
            read(scans, "entry/time")

    def test_a_position_may_be_a_text(self, scans: list[Path], tmp_path: Path) -> None:
        assert read([*scans[:2], changed(scans[2], tmp_path, "series/time", "2 min")]).axis.positions == (0, 30, 120)
        with pytest.raises(DataError, match=r"is '2024-01-01': .* unknown unit"):
            read([*scans[:2], changed(scans[2], tmp_path, "series/time", "2024-01-01")])

    @pytest.mark.parametrize(
        ("value", "message"), [(0.5, "same position"), (np.nan, "no finite number"), (None, "does not give its time")]
    )
    def test_an_impossible_position_is_named(
        self, scans: list[Path], tmp_path: Path, value: float | None, message: str
    ) -> None:
        bad = changed(scans[2], tmp_path, "series/time", value, "min")
        with pytest.raises(DataError, match=message) as error:
            read([*scans[:2], bad])
        assert "t2.h5" in str(error.value)

    @pytest.mark.parametrize("coordinate", ["time=0,10", "time=0,ten,20", "=1,2,3", "time=0s,1parsec,2s", "verdict"])
    def test_positions_that_are_none_are_refused(self, scans: list[Path], coordinate: str) -> None:
        with pytest.raises(ConfigError, match="--series"):
            SeriesInput(tuple(scans), coordinate)

    def test_units_that_differ_are_refused(self, scans: list[Path]) -> None:
        with pytest.raises(DataError, match=r"different units: s \(t0.h5\), V \(t1.h5\)"):
            read(scans, "x=0s,1V,2s")


def test_bad_series_have_the_exit_status_of_their_fault(
    scans: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config, output = scans[0].parent / "run.yaml", tmp_path / "RUN"

    def status(*paths: Path) -> tuple[int, str]:
        words = ["fit", config, *paths, "-o", output, "--force", "--series", "time"]
        return run(list(map(str, words))), " ".join(capsys.readouterr().err.split())

    torn, other = tmp_path / "torn.h5", tmp_path / "crystal.h5"
    torn.write_bytes(scans[1].read_bytes()[:2000])
    code, text = status(scans[0], torn)
    assert code == 3
    assert "torn.h5" in text
    code, text = status(scans[0])
    assert code == 2
    assert "several acquisitions" in text
    code, text = status(scans[0], changed(scans[1], tmp_path, "instrument/pixel_size", [0.3e-6, 0.3e-6], "m"))
    assert code == 3
    assert "pixel_size is 3e-07, 3e-07, not 2e-07, 2e-07" in text
    shutil.copy(scans[1], other)
    with h5py.File(other, "r+") as file:
        file.attrs["kind"] = "crystal"
    done = subprocess.run(
        [sys.executable, "-m", "unflat", "fit", config, scans[0], other, "-o", output, "--series", "time"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 3
    assert "Traceback" not in done.stderr
    code, text = status(scans[0], other)
    assert code == 3
    assert "is an acquisition of a crystal" in text


class TestCheck:
    def check(self, *words: object) -> int:
        return run(["check", *map(str, words)])

    def test_positions_gaps_and_what_each_has(
        self, scans: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        light = np.linspace(-0.1, 0.1, 12).reshape(6, 2)
        other = changed(scans[1], tmp_path, "instrument/illumination_na", light, "1")
        words = [scans[0].parent / "run.yaml", scans[2], scans[0], other, scans[1], "--series", "time=3s,1s,0s,60s"]
        assert self.check(*words) == 0
        output = capsys.readouterr()
        lines = output.out.splitlines()
        assert lines[0] == "  series of 4 acquisitions, time = 0 s to 60 s"
        assert "  steps of 1 s to 57 s" in lines
        assert f"  time = 3 s: {scans[2]}" in lines
        assert any("series of 4 acquisitions: their data" in line for line in lines)
        assert output.out.count("illumination_na: other values than in the first") == 3
        assert "between time = 3 s and time = 60 s, 28.5 times the usual step" in " ".join(output.err.split())

    def test_what_does_not_go_together_is_refused(
        self, scans: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        config = scans[0].parent / "run.yaml"
        other = changed(scans[1], tmp_path, "instrument/pixel_size", [0.3e-6, 0.3e-6], "m")
        assert self.check(config, scans[0], other, "--series", "time") == 3
        assert "pixel_size is 3e-07, 3e-07, not 2e-07, 2e-07" in capsys.readouterr().err
        assert self.check(config, *scans[:2], "--series", "time", "--set", "fit.tiles=[2, 2]") == 2
        assert "fit.tiles" in capsys.readouterr().err
        assert self.check(config, *scans[:2]) == 2
        assert "2 acquisitions are given" in capsys.readouterr().err
        assert self.check(config, scans[0], "--series", "time") == 2
        assert self.check(config, scans[0], scans[1], scans[1], "--series", "time") == 2
        assert "t1.h5: is named twice" in capsys.readouterr().err


class TestRun:
    def test_a_run_holds_the_series_and_a_result_of_each_acquisition(self, fitted: Path) -> None:
        series = read_model_series(fitted)
        assert series.axis.describe(60) == "time = 60 s"
        metrics = json.loads((fitted / "metrics.json").read_text("utf-8"))
        assert metrics["acquisitions"] == 3
        assert metrics["residual_fitted"] < 1
        points = np.random.default_rng(0).uniform(-1e-6, 1e-6, (20, 3))
        for name, model in zip(("t0", "t1", "t2"), series.at_acquisitions(), strict=True):
            np.testing.assert_allclose(read_model(fitted / "series" / name)(points), model(points), rtol=1e-12)
            assert (fitted / "series" / name / "volume.h5").is_file()
        assert len((fitted / "series.csv").read_text("utf-8").splitlines()) == 4

    def test_each_acquisition_has_the_numbers_by_which_a_fit_of_it_alone_is_judged(self, fitted: Path) -> None:
        each = [json.loads((fitted / "series" / name / "metrics.json").read_text("utf-8")) for name in ("t0", "t2")]
        names = ("light_ratio", "light_orientation", "contrast_at_faces", "structure_unexplained", "depth_resolved")
        assert all(np.isfinite(numbers[name]) for numbers in each for name in names)
        whole = json.loads((fitted / "metrics.json").read_text("utf-8"))
        assert "light_orientation" not in whole  # The mean of two names is none.
        assert whole["light_ratio"] == pytest.approx(each[0]["light_ratio"])  # All have the same images.

    def test_a_fall_of_the_residual_of_the_whole_concerns_each_acquisition(self, scans: list[Path]) -> None:
        config = parse_config(CONFIG.replace("steps: 6", "steps: 100"))
        experiment = get_experiment("cell")
        with RunFolder.create(scans[0].parent / "fall", fingerprint={}) as folder:
            for step, withheld in ((25, 0.9), (50, 0.7), (75, 0.6), (100, 0.45)):
                folder.append_metrics(step, withheld=withheld)
            folder.write_choices({"sign_chosen": 1.0, "series_smoothness": 4.0})
            context = RunContext(config, folder, experiment.read(config, scans[0]))
            left = {"structure_unexplained": 0.05, "structure_error": 0.001, "residual_over_empty": 0.3}
            numbers = experiment.check_series(
                context, experiment.likelihood(context), left | {"residual_fitted": 0.2, "views": 6.0}
            )
        assert numbers["residual_fall"] == pytest.approx(0.25)
        assert numbers["sign_chosen"] == 1
        assert "series_smoothness" not in numbers
        assert "still-moving" in [reason.name for reason in experiment.assess(numbers)]

    def test_the_short_reader_of_the_documentation_gives_the_same_values(self, fitted: Path) -> None:
        path = Path(__file__).resolve().parents[2] / "docs" / "read_model.py"
        model = runpy.run_path(str(path))["read_model"](fitted / "model.h5")
        points = np.random.default_rng(0).uniform(-1e-6, 1e-6, (9, 3))
        for at in (0.0, 7.0, 30.0, 60.0):
            expected = read_model(fitted, at)(points)
            np.testing.assert_allclose(model(points, at)["refractive_index"], expected, rtol=1e-12)
        with pytest.raises(ValueError, match="outside the series"):
            model(points, 61.0)

    def test_the_report_says_which_acquisition_it_shows(self, fitted: Path) -> None:
        page = (fitted / "report.html").read_text("utf-8")
        assert "Last acquisition: time = 60 s." in page
        assert "residual of the withheld views.</figcaption>" in page  # The losses are those of all acquisitions.
        assert "unflat report series/NAME" in page
        assert "Factor of the priors in space" in page
        assert "--at" not in (fitted / "debug.log").read_text("utf-8")

    def test_commands_take_a_position(self, fitted: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        points = tmp_path / "points.csv"
        points.write_text("0,0,0\n", "utf-8")
        volume, values = tmp_path / "v.h5", tmp_path / "values.npy"
        assert run(["volume", str(fitted), "-o", str(volume), "--at", "time=15s"]) == 0
        assert run(["query", str(fitted), str(points), "-o", str(values), "--at", "0.25min"]) == 0
        assert "shown at" not in capsys.readouterr().err
        with h5py.File(volume) as file:
            assert bytes(file["volume"].attrs["series"]) == b"time = 15 s"
        assert np.load(values)[0][-1] == pytest.approx(read_model(fitted, 15.0)([[0, 0, 0]])[0])
        assert run(["query", str(fitted), str(points), "-o", str(tmp_path / "last.npy")]) == 0
        assert "time = 60 s" in capsys.readouterr().err
        assert run(["query", str(fitted), str(points), "-o", str(tmp_path / "none.npy"), "--at", "time=61s"]) == 2
        alone = str(fitted / "series" / "t0")
        assert run(["query", alone, str(points), "-o", str(tmp_path / "none.npy"), "--at", "0 s"]) == 2

    def test_it_is_compared_at_the_position_of_the_truth(
        self, scans: list[Path], fitted: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert run(["evaluate", str(fitted / "series" / "t0"), str(scans[0]), "--json"]) == 0
        alone = json.loads(capsys.readouterr().out)
        assert run(["evaluate", str(fitted), str(scans[0]), "--json"]) == 0
        printed = capsys.readouterr()
        assert json.loads(printed.out) == pytest.approx(alone, nan_ok=True)
        assert "compared at time = 0 s" in " ".join(printed.err.split())
        assert run(["evaluate", str(fitted), str(scans[0]), "--json", "--at", "last"]) == 0
        assert json.loads(capsys.readouterr().out) != pytest.approx(alone, nan_ok=True)

    def test_a_truth_beyond_the_series_is_refused(
        self, scans: list[Path], fitted: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        late = Path(shutil.copy(scans[0], tmp_path / "late.h5"))
        with h5py.File(late, "r+") as file:
            file["series/time"][...] = 2.0  # min
        assert run(["evaluate", str(fitted), str(late)]) == 3
        assert "late.h5: its position, time = 120 s, lies outside" in " ".join(capsys.readouterr().err.split())
        assert run(["evaluate", str(fitted), str(late), "--at", "last"]) == 0

    def test_the_report_shows_what_its_numbers_are_of(
        self, scans: list[Path], fitted: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        shown: list[Any] = []
        monkeypatch.setattr(report_comparison, "_draw", lambda *arguments: shown.append(arguments[2]))
        comparison = report_comparison.compare_run(gather(fitted), scans[0])
        comparison.figures[0].draw()
        numbers = evaluate_files(fitted, scans[0]).numbers
        assert comparison.numbers["snr"] == numbers["snr"]
        points = np.zeros((1, 3))
        np.testing.assert_array_equal(shown[0](points), read_model(fitted, 0.0)(points))

    def test_a_date_in_the_truth_is_no_position(
        self, scans: list[Path], fitted: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        dated = changed(scans[0], tmp_path, "series/time", None)
        with h5py.File(dated, "r+") as file:
            file.attrs["time"] = "2026-11-30T12:00:00"
        assert run(["evaluate", str(fitted), str(dated), "--json"]) == 0
        assert "the last acquisition" in " ".join(capsys.readouterr().err.split())

    @pytest.mark.parametrize("positions", [[0, 2.5, 5, 7.5], [0, 1.25, 2.5], [1.7e9, 1.7e9 + 30]])
    def test_the_captions_of_a_movie_give_the_positions_of_acquisitions_as_they_are(
        self, positions: list[float]
    ) -> None:
        decimals = series_movie._decimals(np.array(positions))
        np.testing.assert_array_equal(np.round(positions, decimals), positions)

    def test_a_movie_goes_over_the_series(self, fitted: Path, tmp_path: Path) -> None:
        words = ["render", str(fitted), "--style", "series", "--frames", "3", "--size", "96"]
        assert run([*words, "-o", str(tmp_path / "growth.gif"), "--plane", "y=0um"]) == 0
        assert run([*words, "-o", str(tmp_path / "none.gif"), "--at", "0 s"]) == 2
        alone = [*words[:1], str(fitted / "series" / "t0"), *words[2:]]
        assert run([*alone, "-o", str(tmp_path / "none.gif")]) == 2

    def test_an_interrupted_run_goes_on_to_the_same_numbers(
        self, scans: list[Path], fitted: Path, tmp_path: Path
    ) -> None:
        from unflat.recon.api import fit_series

        def stop_after(step: int, total: int) -> None:
            if step == 3:
                raise KeyboardInterrupt

        config, output = scans[0].parent / "run.yaml", tmp_path / "RUN"
        with pytest.raises(KeyboardInterrupt):
            fit_series(scans, config, "time", {"fit.checkpoint_every": 1e-6}, folder=output, progress=stop_after)
        assert list((output / "checkpoint").glob("*"))
        assert not (output / "model.h5").exists()
        result = fit_series(scans, config, "time", {"fit.checkpoint_every": 1e-6}, folder=output, resume=True)
        own, other = read_model_series(output), read_model_series(fitted)
        assert own.weights.keys() == other.weights.keys()
        for name, array in own.weights.items():
            np.testing.assert_array_equal(array, other.weights[name])
        assert result.metrics["residual_fitted"] < 1


class TestStrengths:
    def test_the_residual_of_each_strength_and_the_steps_of_the_trials_are_numbers_of_the_run(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(series_module, "Trial", Residuals)
        config = parse_config("kind: cell\nfit: {steps: 200}\n")
        given = Strengths((), SeriesAxis("time", "s", (0.0, 1.0)), ("a", "b"), 4.0, True)
        with RunFolder.create(tmp_path / "run", fingerprint={}) as folder:
            context = RunContext(config, folder)
            likelihood, begun, tried = series_module._with_strengths(given, context)
            again = series_module._with_strengths(given, context)
        assert (likelihood.smoothness, likelihood.spatial) == (8.0, 1.0)
        assert begun is not None
        assert begun.withheld == 0.4
        names = ("smoothness_2", "smoothness_8", "spatial_1", "spatial_0.25")
        expected = dict(zip((f"residual_tried_{name}" for name in names), (0.5, 0.4, 0.4, 0.45), strict=True))
        assert tried == expected | {"trial_steps": 150}
        assert again[1:] == (None, tried)  # A run that goes on reads them.

    @pytest.mark.parametrize("kind", ["cell", "crystal"])
    def test_acquisitions_at_one_time_have_noise_of_their_own(self, kind: str) -> None:
        shape = {"cell": "[16, 16], illumination: {count: 4}", "crystal": "[16, 16, 16], flaws: []"}[kind]
        text = f"kind: {kind}\nsimulate: {{shape: {shape}, series: {{time: 0 s, repeat: %d}}}}\n"
        one, again, other = (get_experiment(kind).simulate(parse_config(text % repeat)) for repeat in (0, 0, 1))
        np.testing.assert_array_equal(one["images"], again["images"])
        assert np.any(one["images"] != other["images"])
