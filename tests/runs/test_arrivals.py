"""Observation of files until they are whole, by a clock that the tests turn."""

import os
from functools import partial
from pathlib import Path

import h5py
import pytest

from unflat.recon.errors import DataError
from unflat.recon.runs.arrivals import Arrivals
from unflat.recon.runs.folder_source import FolderSource
from unflat.recon.runs.scan_list import list_arriving


class Clock:
    """Clock that stands still until it is turned."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def arrivals(tmp_path: Path, clock: Clock) -> Arrivals:
    return Arrivals(partial(list_arriving, tmp_path), 2.0, 30.0, clock)


def write(path: Path, value: int = 0) -> Path:
    with h5py.File(path, "w") as file:
        file["value"] = value
    os.utime(path, ns=(0, value))
    return path


def names(paths: list[Path]) -> list[str]:
    return [path.name for path in paths]


def test_a_file_is_handed_over_once_when_it_has_settled_and_again_when_it_has_changed(
    tmp_path: Path, arrivals: Arrivals, clock: Clock
) -> None:
    assert arrivals.look() == []
    file = write(tmp_path / "a.h5")
    assert arrivals.look() == []
    assert [one.path for one in arrivals.arriving] == [file]
    clock.now = 1.9
    write(file, 1)
    assert arrivals.look() == []
    clock.now = 3.8
    assert arrivals.look() == [], "it has changed 1.9 s ago"
    clock.now = 3.9
    assert arrivals.look() == [file]
    assert arrivals.look() == []
    assert arrivals.arriving == ()
    write(file, 2)
    assert arrivals.look() == []
    clock.now = 6
    assert arrivals.look() == [file]
    file.unlink()
    assert arrivals.look() == []


def test_a_torn_file_is_handed_over_late_and_an_open_one_not_at_all(
    tmp_path: Path, arrivals: Arrivals, clock: Clock
) -> None:
    torn = write(tmp_path / "torn.h5")
    torn.write_bytes(torn.read_bytes()[:-10])
    with h5py.File(tmp_path / "open.h5", "w", libver="latest") as file:
        file["value"] = 1
        file.swmr_mode = True
        arrivals.look()
        clock.now = 29
        assert arrivals.look() == []
        assert {one.path.name: one.is_open for one in arrivals.arriving} == {"open.h5": True, "torn.h5": False}
        clock.now = 30
        assert arrivals.look() == [torn]
        clock.now = 1000
        assert arrivals.look() == []
    arrivals.look()
    clock.now = 1002
    assert names(arrivals.look()) == ["open.h5"]


def test_the_data_of_a_detector_wait_for_their_master(tmp_path: Path, arrivals: Arrivals, clock: Clock) -> None:
    write(tmp_path / "x_data_000001.h5")
    write(tmp_path / "y_data_000001.h5")
    arrivals.look()
    clock.now = 5
    assert arrivals.look() == []
    write(tmp_path / "x_master.h5")
    arrivals.look()
    clock.now = 6
    write(tmp_path / "x_data_000002.h5")
    clock.now = 7
    assert arrivals.look() == [], "its data are still coming"
    clock.now = 10
    assert names(arrivals.look()) == ["x_master.h5"]
    write(tmp_path / "x_data_000003.h5")
    assert arrivals.look() == []
    clock.now = 12
    assert names(arrivals.look()) == ["x_master.h5"], "its data have changed"
    clock.now = 30
    assert names(arrivals.look()) == ["y_data_000001.h5"], "it has none"


def test_a_pattern_takes_folders_and_passes_over_copies_under_way(tmp_path: Path) -> None:
    for name in ("day/a.h5", "day/.b.h5.AbC12", "day/c.h5.part", "scan_1/1.tif", "notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    assert names(list_arriving(tmp_path)) == []
    assert names(list_arriving(tmp_path, "*/*.h5*")) == ["a.h5"]
    assert names(list_arriving(tmp_path, "scan_*")) == ["scan_1"]
    assert names(list_arriving(tmp_path, "*")) == ["day", "scan_1"]


@pytest.mark.parametrize("poll", [False, True])
def test_a_thread_observes_a_folder(tmp_path: Path, poll: bool) -> None:
    write(tmp_path / "a.h5")
    with FolderSource(tmp_path, settling_time=0.05, poll=poll) as source:
        assert [one.path.name for one in source.arriving] == ["a.h5"]
        arrived: list[Path] = []
        for _ in range(100):
            source.idle(0.1)
            arrived += source.poll()
            if len(arrived) == 1 and not (tmp_path / "b.h5").exists():
                write(tmp_path / "b.h5")
            if len(arrived) == 2:
                break
    assert names(arrived) == ["a.h5", "b.h5"]


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read"), FolderSource(tmp_path / "none"):
        pass
