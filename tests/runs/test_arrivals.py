"""Observation of files until they are whole, by a clock that the tests turn."""

import os
from functools import partial
from pathlib import Path

import h5py
import pytest

from unflat.recon.errors import DataError
from unflat.recon.runs import folder_source
from unflat.recon.runs.arrivals import Arrivals
from unflat.recon.runs.batch_record import stamp_of
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
    assert arrivals.look() == []
    assert [one.path.name for one in arrivals.arriving] == ["y_data_000001.h5"], "it has none"


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


def link(path: Path, *others: str) -> Path:
    with h5py.File(path, "w") as file:
        for number, other in enumerate(others):
            file[f"data_{number}"] = h5py.ExternalLink(other, "value")
    return path


def test_a_master_waits_for_the_files_it_links_to_and_they_are_no_scans(
    tmp_path: Path, arrivals: Arrivals, clock: Clock
) -> None:
    link(tmp_path / "scan.nxs", "raw_1.h5", "raw_2.h5")
    write(tmp_path / "raw_1.h5")
    arrivals.look()
    clock.now = 3
    assert arrivals.look() == []
    assert [(one.path.name, one.reason) for one in arrivals.arriving] == [
        ("scan.nxs", "waits for raw_2.h5, to which it refers")
    ]
    clock.now = 31
    assert names(arrivals.look()) == ["scan.nxs"], "its reader may not need the file"
    write(tmp_path / "raw_2.h5")
    assert arrivals.look() == []
    clock.now = 34
    assert names(arrivals.look()) == ["scan.nxs"], "it is another scan with the file"
    assert arrivals.arriving == ()


def test_a_part_without_a_master_waits_as_long_as_its_series_and_is_taken_only_where_a_pattern_asks(
    tmp_path: Path, clock: Clock
) -> None:
    plain = Arrivals(partial(list_arriving, tmp_path), 2.0, 30.0, clock)
    asked = Arrivals(partial(list_arriving, tmp_path, "*.h5"), 2.0, 30.0, clock, takes_parts=True)
    write(tmp_path / "x_data_000001.h5")
    for arrivals in (plain, asked):
        arrivals.look()
    clock.now = 25
    write(tmp_path / "x_data_000002.h5")
    assert asked.look() == plain.look() == []
    clock.now = 40
    assert asked.look() == plain.look() == []
    clock.now = 60
    assert names(asked.look()) == ["x_data_000001.h5", "x_data_000002.h5"]
    assert plain.look() == []
    assert all(one.is_open and "give --pattern" in one.reason for one in plain.arriving)


def test_a_file_that_grows_counts_as_on_its_way_for_ten_of_its_intervals(
    tmp_path: Path, arrivals: Arrivals, clock: Clock
) -> None:
    with h5py.File(tmp_path / "a.h5", "w", libver="latest") as file:
        file["value"] = 1
        file.swmr_mode = True
        os.utime(tmp_path / "a.h5", ns=(0, 0))
        arrivals.look()
        clock.now = 7
        os.utime(tmp_path / "a.h5", ns=(0, 1))
        arrivals.look()
        for clock.now, is_growing in ((10, True), (76, True), (78, False)):
            arrivals.look()
            (one,) = arrivals.arriving
            assert one.is_growing == is_growing
            assert ("h5clear -s" in one.reason) == (clock.now > 37)


def test_what_comes_back_is_handed_over_again_and_what_was_is_looked_at_when_asked(
    tmp_path: Path, arrivals: Arrivals, clock: Clock
) -> None:
    file = write(tmp_path / "a.h5")
    arrivals.look()
    clock.now = 3
    assert arrivals.look() == [file]
    write(file, 1)
    arrivals.look(again=False)
    assert arrivals.arriving == ()
    arrivals.look()
    assert len(arrivals.arriving) == 1
    file.rename(tmp_path / "b")
    arrivals.look()
    (tmp_path / "b").rename(file)
    arrivals.look()
    clock.now = 6
    assert arrivals.look() == [file]


def test_a_folder_with_another_image_of_the_same_size_has_another_stamp(tmp_path: Path) -> None:
    for number in (1, 2):
        (tmp_path / f"{number}.tif").write_bytes(b"x")
        os.utime(tmp_path / f"{number}.tif", (100 * number, 100 * number))
    former = stamp_of(tmp_path)
    os.utime(tmp_path / "1.tif", (50, 50))
    assert stamp_of(tmp_path) != former


def test_what_was_there_at_the_start_is_handed_over_by_its_time(
    tmp_path: Path, arrivals: Arrivals, clock: Clock
) -> None:
    write(tmp_path / "a.h5", 2_000_000_000)
    write(tmp_path / "b.h5", 1_000_000_000)
    arrivals.look()
    clock.now = 3
    assert names(arrivals.look()) == ["b.h5", "a.h5"]


def test_an_observation_that_has_died_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ValueError("inner")

    monkeypatch.setattr(folder_source, "folder_ticks", fail)
    with FolderSource(tmp_path) as source:
        source.idle(5)
        with pytest.raises(DataError, match="no longer observed: ValueError: inner"):
            source.poll()
