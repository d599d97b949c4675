"""Learning between scans: when a lesson is due, what interrupts it, when its network is used, and how it is resumed."""

import json
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from unflat.recon.errors import ConfigError, DataError
from unflat.recon.experiments import get_experiment
from unflat.recon.experiments.configs import parse_config
from unflat.recon.experiments.learner import LearnedNetwork, Learner, MeasuredScan, Units
from unflat.recon.experiments.learning import DAMAGED, Learning, LearningOptions
from unflat.recon.experiments.shipped_configs import shipped
from unflat.recon.io import network_file
from unflat.recon.io.network_file import Network
from unflat.recon.runs.batch_record import BatchFolder, State, stamp_of
from unflat.recon.runs.learning_record import LearningRecord, Lesson
from unflat.recon.runs.verdict import Reason, Verdict
from unflat.recon.visualization.batch_page import write_batch_page


class Toy(Learner):
    """Learner whose lessons have two units, and add 1 to the only weight."""

    def __init__(self) -> None:
        self.after, self.accepted_steps = 0.5, 5
        self.given: list[list[str]] = []
        self.gate = threading.Event()
        self.gate.set()
        self.units = 0
        self.error: Exception | None = None

    def require(self, network: Network) -> None:
        if set(network.weights) != {"w"}:
            raise DataError("another architecture")

    def lesson(self, network: Network, scans: Mapping[str, MeasuredScan]) -> Units:
        self.given.append(list(scans))
        if self.error is not None:
            raise self.error
        for _ in range(2):
            self.gate.wait(60)
            self.units += 1
            yield
        weights = {"w": network.weights["w"] + (self.accepted_steps > 0)}
        return LearnedNetwork(replace(network, weights=weights), tuple(scans), 5, self.accepted_steps, 1.0, self.after)


class Bench:
    """Folder of runs with what learns from them."""

    def __init__(self, folder: Path) -> None:
        self.runs, self.learner = folder / "RUNS", Toy()
        self.lessons: list[Lesson] = []
        self.warnings: list[str] = []
        self.networks: list[str] = []
        self.sources = folder
        network_file.write(Network("crystal", {}, {"w": np.zeros(3, np.float32)}), folder / "first.h5")
        self.config = parse_config(shipped("crystal"), [f"predict.network={folder / 'first.h5'}"])
        kind = type(get_experiment("crystal"))
        self.experiment = type("Taught", (kind,), {"learner": lambda _self, _config: self.learner})()
        self.folder = BatchFolder.open(self.runs, "predict", {})

    def open(self, **options: bool) -> Learning:
        """Open the learning, as a watch does at its start."""
        shown = LearningOptions(
            self.lessons.append, self.warnings.append, lambda c: self.networks.append(c.predict.network)
        )
        return Learning(self.experiment, self.config, self.folder, shown, **options)

    def end_scan(self, name: str, status: State = State.DONE, *reasons: Reason) -> None:
        """Note the end of a scan."""
        (self.runs / name).mkdir()
        verdict = json.dumps(Verdict.of(reasons).to_json())
        (self.runs / name / "metrics.json").write_text(verdict, "utf-8")
        path = self.sources / f"{name}.h5"
        path.write_text(name, "utf-8")
        self.folder.record.add(self.runs, [(name, path)])
        record = self.folder.record.scans[name]
        record.stamp = stamp_of(path)
        record.end(status, 1.0)

    def weight(self, config: Any) -> float:
        """Weight of the network that some settings name."""
        return float(network_file.read(config.predict.network, "crystal").weights["w"][0])


def finish(learning: Learning) -> None:
    """Go on until a lesson has ended."""
    while not learning.advance():
        time.sleep(0.001)


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    monkeypatch.chdir(tmp_path)
    bench = Bench(tmp_path)
    yield bench
    bench.folder.close()


def test_a_lesson_takes_the_last_results_and_its_network_is_used_from_then_on(bench: Bench) -> None:
    with bench.open() as learning:
        assert not learning.advance()
        assert bench.learner.given == [], "no scan has a result"
        for name in "abcdef":
            bench.end_scan(name, State.FAILED if name == "d" else State.DONE)
        (bench.sources / "c.h5").write_text("changed", "utf-8")
        assert (learning.digest, bench.weight(learning.config)) == ("", 0)
        finish(learning)
        assert bench.learner.given == [["b", "e", "f"]], "four at most, without those that have changed"
        assert bench.networks == [learning.config.predict.network] == ["RUNS/network.h5"]
        assert bench.weight(learning.config) == 1
        digest = learning.digest
        for _ in range(5):
            assert not learning.advance(), "a lesson is due after a new result alone"
        bench.end_scan("doubtful", State.DONE, Reason("doubt", "a doubt"))
        for _ in range(5):
            assert not learning.advance(), "nor after one that is not sound"
        bench.end_scan("g")
        finish(learning)
        assert bench.weight(learning.config) == 2
        assert learning.digest not in ("", digest)
    (first, second) = LearningRecord.read(bench.runs).lessons
    assert [first, second] == bench.lessons
    assert first.scans == ("b", "e", "f")
    provenance = network_file.read(bench.runs / "network.h5", "crystal").provenance
    assert ["f" in line.rpartition(":")[2] for line in provenance["lessons"]] == [True, True]
    write_batch_page(bench.runs, [], [], is_running=True)
    assert "2 of 2 lessons adopted" in (bench.runs / "index.html").read_text("utf-8")


def test_a_lesson_that_does_no_good_leaves_the_network_and_is_not_repeated(bench: Bench) -> None:
    bench.learner.accepted_steps, bench.learner.after = 0, 2.0
    bench.end_scan("a")
    with bench.open() as learning:
        finish(learning)
        assert (learning.digest, learning.config) == ("", bench.config)
        assert "did no good" in bench.lessons[0].line
        assert "0 of 1 lessons adopted" in learning.sentence
    assert not (bench.runs / "network.h5").exists()
    with bench.open() as learning:
        assert not learning.advance()
    assert len(bench.learner.given) == 1, "not after a restart either"


def test_a_lesson_waits_while_scans_are_computed_and_goes_on_where_it_was(bench: Bench) -> None:
    bench.end_scan("a")
    bench.learner.gate.clear()
    with bench.open() as learning:
        for _ in range(3):
            assert not learning.advance(), "a unit that takes long keeps nobody waiting"
        assert learning.sentence == "learns from the scans"
        bench.end_scan("b")  # Meanwhile.
        bench.learner.gate.set()
        finish(learning)
        assert (bench.learner.given, bench.learner.units) == ([["a"]], 2)
        finish(learning)
        assert bench.learner.given[1:] == [["a", "b"]]


def test_a_learned_network_is_resumed_unless_it_is_damaged_or_all_begins_anew(bench: Bench) -> None:
    bench.end_scan("a")
    with bench.open() as learning:
        finish(learning)
        digest = learning.digest
    with bench.open() as learning:
        assert (learning.digest, bench.weight(learning.config)) == (digest, 1)
    file = bench.runs / "network.h5"
    whole = file.read_bytes()
    for damage in (whole[: len(whole) // 2], b"no network"):
        file.write_bytes(damage)
        with bench.open() as learning:
            assert (learning.digest, bench.weight(learning.config)) == ("", 0)
        assert "network.h5" in bench.warnings[-1]
        assert DAMAGED in bench.warnings[-1]
        assert (bench.runs / DAMAGED).read_bytes() == damage
        assert not file.exists()
    network_file.write(Network("crystal", {}, {"v": np.zeros(3, np.float32)}), file)
    with bench.open() as learning:
        assert learning.digest == ""
    assert "another architecture" in bench.warnings[-1]
    file.write_bytes(whole)
    with bench.open(is_new=True) as learning:
        assert learning.digest == ""
        assert not file.exists()
        finish(learning)


def test_a_learned_network_that_is_lost_on_the_way_ends_no_watch(bench: Bench) -> None:
    file = bench.runs / "network.h5"
    bench.end_scan("a")
    with bench.open() as learning:
        finish(learning)
        file.unlink()
        bench.end_scan("b")
        finish(learning)
        assert bench.networks == ["RUNS/network.h5", bench.config.predict.network, "RUNS/network.h5"]
        assert bench.weight(learning.config) == 1, "the lesson began with the network of the config"
        file.write_bytes(b"damage")
        learning.require_network()  # As before a scan.
        assert (learning.digest, bench.weight(learning.config)) == ("", 0)
        assert "network.h5" in bench.warnings[-1]
        (bench.sources / "first.h5").unlink()
        bench.end_scan("c")
        finish(learning)
        assert "learned nothing" in bench.warnings[-1]


def test_a_lesson_that_cannot_be_recorded_is_used_all_the_same(bench: Bench) -> None:
    (bench.runs / "learning.json").mkdir()
    bench.end_scan("a")
    with bench.open() as learning:
        finish(learning)
        assert bench.weight(learning.config) == 1
    assert "not recorded" in bench.warnings[0]


def test_a_clock_that_is_set_back_stops_no_lesson(bench: Bench) -> None:
    bench.end_scan("a")
    with bench.open() as learning:
        finish(learning)
        for name in "bcdef":
            bench.end_scan(name)
            bench.folder.record.scans[name].noted -= 86400
        finish(learning)
        assert bench.learner.given[1] == ["c", "d", "e", "f"]
        assert not learning.advance()


@pytest.mark.parametrize("is_new", [False, True])
def test_the_network_of_the_config_is_never_the_one_that_is_written(bench: Bench, is_new: bool) -> None:
    file = bench.runs / "network.h5"
    network_file.write(Network("crystal", {}, {"w": np.ones(3, np.float32)}), file)
    bench.config = parse_config(shipped("crystal"), [f"predict.network={bench.runs.name}/../RUNS/network.h5"])
    with pytest.raises(ConfigError, match="the file that --learn writes"):
        bench.open(is_new=is_new)
    assert file.exists()


def test_a_fault_ends_the_lesson_alone(bench: Bench) -> None:
    bench.learner.error = ZeroDivisionError("inner")
    bench.end_scan("a")
    with bench.open() as learning:
        finish(learning)
        assert bench.warnings == ["the network learned nothing: ZeroDivisionError: inner"]
        assert not learning.advance()
        bench.learner.error = None
        bench.end_scan("b")
        finish(learning)
        assert bench.weight(learning.config) == 1


def test_a_kind_whose_network_needs_the_truth_is_refused(bench: Bench) -> None:
    bench.learner = None  # type: ignore[assignment]
    with pytest.raises(ConfigError, match="--learn"):
        bench.open()


def test_a_damaged_record_of_lessons_is_an_empty_one(bench: Bench) -> None:
    for text in ("", "[]", json.dumps({"lessons": [{"scans": 1}]}), json.dumps({"lessons": 3})):
        (bench.runs / "learning.json").write_text(text, "utf-8")
        assert LearningRecord.read(bench.runs).lessons == ()
