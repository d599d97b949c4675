"""Previews while frames come: when one is due, when a slow one is given up, and that no fault stops the scans."""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import h5py
import numpy as np
import pytest

from unflat.recon.errors import DataError
from unflat.recon.experiments import get_experiment, preview_source
from unflat.recon.experiments.crystal.network import preview as crystal_preview
from unflat.recon.experiments.preview import Preview, Previewer
from unflat.recon.experiments.preview_source import PreviewSource
from unflat.recon.io.frame_scan import FrameArray, FrameScan
from unflat.recon.io.growing_file import GrowingWriter
from unflat.recon.runs.arrivals import Arriving
from unflat.recon.runs.batch_record import BatchRecord, ScanRecord, State
from unflat.recon.runs.preview_record import PreviewRecord
from unflat.recon.visualization.batch_page import BatchRow, write_batch_page
from unflat.recon.visualization.style import new_figure

FRAMES = 32


class Inner:
    """Source of one growing file."""

    def __init__(self, path: Path) -> None:
        self.arriving: Sequence[Arriving] = [Arriving(path, "is being written")]
        self.whole: list[Path] = []
        self.waited = 0

    def poll(self) -> list[Path]:
        return self.whole

    def idle(self, seconds: float) -> bool:
        self.waited += 1
        return False


class Maker(Previewer):
    """Maker that notes what it is given."""

    def __init__(self) -> None:
        self.seen: list[tuple[int, int, bool]] = []
        self.begun = 0
        self.warmed: list[tuple[int, ...]] = []
        self.error: Exception | None = None
        self.between: Callable[[], None] = lambda: None

    def warm_up(self, shape: tuple[int, ...]) -> None:
        self.warmed.append(shape)

    def begin(self) -> None:
        self.begun += 1

    def previews(
        self, snapshot: Path, received: np.ndarray, should_stop: Callable[[], str | None]
    ) -> Iterator[Preview]:
        if self.error is not None:
            raise self.error
        with h5py.File(snapshot) as file:
            images = file["measurement/images"][()]
        self.between()
        self.seen.append((int(received.sum()), int(images.max()), should_stop() is not None))
        for method in ("network", "physics") if self.seen[-1][-1] is False else ("network",):
            yield Preview(method, int(received.sum()), len(received), "firm", "as it is", lambda: new_figure(1, 1))


class Bench:
    """Growing file with a source of previews."""

    def __init__(self, folder: Path, every: int | None = None) -> None:
        groups = {"": {"format": "unflat-acquisition", "kind": "crystal"}, "measurement": {"signal": "images"}}
        scan = FrameScan("g", "g", FRAMES, (FrameArray("measurement/images", "<f4", (3, 4), True),), (), (), groups)
        self.folder = folder
        self.writer = GrowingWriter(folder / "g.h5", scan)
        self.inner, self.maker = Inner(folder / "g.h5"), Maker()
        self.lines: list[str] = []
        self.notes: list[str] = []
        kind = type(get_experiment("crystal"))
        experiment = type("Toy", (kind,), {"schema": (), "previewer": lambda _self, _config: self.maker})()
        self.source = PreviewSource(
            self.inner, experiment, None, folder, lambda name, p: self.lines.append(p.line), self.notes.append, every
        )

    def grow(self, to: int) -> None:
        """Write frames as a process of its own would: HDF5 does not open a file twice in one."""
        for index in range(len(self.writer._datasets[0]), to):
            self.writer.write(index, [np.full((3, 4), index + 1, np.float32)])


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    bench = Bench(tmp_path)
    yield bench
    bench.writer.close()


def test_a_preview_is_due_after_a_share_of_the_frames_and_takes_all_that_are_there(bench: Bench) -> None:
    for count, is_shown in ((1, False), (2, True), (3, False), (9, True), (9, False), (10, False), (11, True)):
        bench.grow(count)
        assert bench.source.idle(0.0) is is_shown
    assert [(count, top) for count, top, _ in bench.maker.seen] == [(2, 2), (9, 9), (11, 11)]
    assert bench.maker.begun == 1
    assert bench.inner.waited == 4


def test_the_number_of_new_frames_may_be_given(tmp_path: Path) -> None:
    bench = Bench(tmp_path, every=8)
    for count in range(1, 25):
        bench.grow(count)
        bench.source.idle(0.0)
    bench.writer.close()
    assert [count for count, _, _ in bench.maker.seen] == [8, 16, 24]


def test_a_slow_preview_is_given_up_when_a_newer_one_is_due_unless_the_last_is_long_ago(bench: Bench) -> None:
    ends = [(4, 8, False), (8, 12, True), (12, 13, False), (14, 20, True), (20, 24, False), (24, FRAMES, True)]
    for start, end, is_given_up in ends:
        bench.grow(start)
        bench.maker.between = lambda end=end: bench.grow(end)
        bench.source.idle(0.0)
        assert bench.maker.seen[-1][-1] is is_given_up, start


def test_a_scan_that_is_whole_is_handed_over_without_a_preview(bench: Bench) -> None:
    bench.grow(6)
    bench.source.idle(0.0)
    bench.grow(FRAMES)
    assert bench.source.idle(0.0) is False
    bench.writer.close()
    bench.inner.arriving, bench.inner.whole = [], [bench.folder / "g.h5"]
    assert bench.source.poll() == [bench.folder / "g.h5"]
    assert bench.maker.seen == [(6, 6, False)]


def test_programs_are_compiled_while_the_first_frames_are_waited_for(bench: Bench) -> None:
    bench.inner.arriving = []
    bench.source.idle(0.0)
    assert bench.maker.warmed == [], "nothing that grows has come"
    bench.inner.arriving = [Arriving(bench.folder / "g.h5", "is being written")]
    for count in (1, 1, 4, 5):
        bench.grow(count)
        bench.source.idle(0.0)
    assert bench.maker.warmed == [(FRAMES, 3, 4)]


class TestNothingAboutPreviewsStopsTheScans:
    @pytest.mark.parametrize("frames", [[4, 5], np.inf, 1e13])
    def test_a_file_that_declares_no_number_of_frames(self, bench: Bench, frames: object) -> None:
        bench.writer.close()
        with h5py.File(bench.folder / "g.h5", "r+") as file:
            file["measurement/images"].attrs["frames"] = frames
        with h5py.File(bench.folder / "g.h5", "r+", libver="latest") as file:
            file.swmr_mode = True
            for _ in range(2):
                assert bench.source.idle(0.0) is False
            assert bench.source.arriving == bench.inner.arriving
        assert len(bench.notes) == 1
        assert "says that there will be" in bench.notes[0]

    def test_a_full_disk_for_snapshots(self, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(tempfile, "mkdtemp", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left")))
        bench.grow(4)
        assert [bench.source.idle(0.0) for _ in range(3)] == [False] * 3
        assert bench.inner.waited == 3
        assert len(bench.notes) == 1

    def test_a_file_that_vanishes(self, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
        bench.grow(4)
        bench.source.idle(0.0)
        monkeypatch.setattr(preview_source, "is_growing", lambda path: True)
        bench.inner.arriving = [Arriving(bench.folder / "gone.h5", "is being written")]
        assert bench.source.idle(0.0) is False
        assert bench.source.arriving == bench.inner.arriving


def test_a_preview_has_the_name_of_the_run(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "day_1").mkdir()
    record = BatchRecord("phase", {}, {"g": ScanRecord("g", "day_1/g.h5", State.DONE, noted=2e9)})
    record.write(bench.folder)
    bench.grow(4)
    bench.source.idle(0.0)
    preview = PreviewRecord.read(bench.folder)
    assert preview is not None
    assert preview.scan == f"{tmp_path.name}-g"
    write_batch_page(bench.folder, [BatchRow(record.scans["g"])], [], is_running=True)
    text = (bench.folder / "index.html").read_text("utf-8")
    assert "4 of 32 frames" in text
    assert f"at {preview.clock}" in text


@pytest.mark.parametrize("error", [DataError("no peak is in view"), ZeroDivisionError("a bug")])
def test_a_fault_of_a_preview_is_told_once_and_stops_nothing(bench: Bench, error: Exception) -> None:
    bench.maker.error = error
    for count in (2, 4, 6):
        bench.grow(count)
        assert bench.source.idle(0.0) is False
    assert len(bench.notes) == 1
    assert str(error) in bench.notes[0]
    bench.maker.error = None
    bench.grow(8)
    assert bench.source.idle(0.0) is True


def test_a_kind_without_previews_waits_for_the_whole(tmp_path: Path) -> None:
    assert get_experiment("cell").previewer(None) is None
    bench = Bench(tmp_path)
    bench.source._experiment = get_experiment("cell")
    bench.grow(8)
    bench.source.idle(0.0)
    bench.source.idle(0.0)
    bench.writer.close()
    assert (bench.lines, bench.notes, bench.inner.waited) == ([], [], 2)


def test_the_page_shows_the_newest_preview_until_its_scan_has_a_result(bench: Bench) -> None:
    bench.grow(4)
    bench.source.idle(0.0)
    assert "4 of 32 frames" in page(bench.folder, State.RUNNING)
    assert "data:image/png" in page(bench.folder, State.RUNNING)
    assert "4 of 32 frames" not in page(bench.folder, State.DONE)
    with PreviewSource(bench.inner, get_experiment("cell"), None, bench.folder, print, print) as source:
        assert PreviewRecord.read(bench.folder) is not None, "it is that of another watch, perhaps"
        source.poll()
        assert PreviewRecord.read(bench.folder) is None


def page(folder: Path, status: State) -> str:
    write_batch_page(folder, [BatchRow(ScanRecord("g", "g.h5", status, noted=4e9))], [], is_running=True)
    return (folder / "index.html").read_text("utf-8")


class TestWordsOfTheCrystal:
    @pytest.mark.parametrize(
        ("has_maximum", "agreement", "change", "trust", "outlook"),
        [
            (False, 0.95, 0.01, "no more than a guess", "more frames will change it"),
            (True, 0.95, 0.02, "firm", "would hardly change it"),
            (True, 0.95, 0.30, "firm", "more frames would change it"),
            (True, 0.75, 0.01, "rough", "more frames would change it"),
            (True, 0.40, 0.01, "no more than a guess", "more frames would change it"),
            (True, 0.95, np.nan, "firm", "nothing to compare it with"),
        ],
    )
    def test_follow_from_what_was_seen(
        self, has_maximum: bool, agreement: float, change: float, trust: str, outlook: str
    ) -> None:
        assert trust in crystal_preview.trust_text(agreement, has_maximum=has_maximum)
        assert outlook in crystal_preview.outlook_text(agreement, change, 20, has_maximum=has_maximum)

    def test_the_physics_is_trusted_no_more_than_it_agrees_with_its_draw(self) -> None:
        assert "firm" in crystal_preview.trust_text(0.95, 0.93, has_maximum=True)
        left = crystal_preview.trust_text(0.95, 0.41, has_maximum=True)
        assert "no more than a guess" in left
        assert "the physics with them 0.41" in left
