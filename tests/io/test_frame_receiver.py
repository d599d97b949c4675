"""Frames as messages: what arrives is the acquisition to the byte, and what is wrong is told and set aside."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unflat.recon.errors import DataError
from unflat.recon.experiments import get_experiment
from unflat.recon.io.frame_messages import decode, encode_end, encode_frame, encode_header
from unflat.recon.io.frame_receiver import FrameReceiver
from unflat.recon.io.frame_scan import FrameSource, open_frame_source
from unflat.recon.io.growing_state import read_growing
from unflat.recon.io.hdf5_common import text_of
from unflat.recon.io.stream_events import EventKind, StreamEvent

FRAMES = 6
NO_ATTRIBUTES = (b"null", b'{"a": [1]}', b'[1, "a"]', b"[[1], [2, 3]]", b"1" + b"0" * 30)


@pytest.fixture
def source(tmp_path: Path) -> Iterator[FrameSource]:
    with open_frame_source(write_scan(tmp_path / "scan.h5"), schema_of) as source:
        yield source


def schema_of(kind: str) -> tuple:
    return get_experiment(kind).schema


def write_scan(path: Path, seed: int = 0, dtype: str = ">u2") -> Path:
    rng = np.random.default_rng(seed)
    with h5py.File(path, "w") as file:
        file.attrs.update({"format": "unflat-acquisition", "format_version": "1.0", "kind": "crystal", "seed": seed})
        group = file.create_group("measurement")
        group.attrs["signal"] = "images"
        images = group.create_dataset("images", data=rng.integers(0, 999, (FRAMES, 4, 5)).astype(dtype))
        images.attrs["units"] = "counts"
        group["monitor"] = rng.random(FRAMES)
        group["mask"] = np.zeros((4, 5), np.uint8)
        file["instrument/wavelength"] = 1e-10
        file["instrument/goniometer/mu"] = np.linspace(0, 1, FRAMES)
        file["instrument/goniometer/mu"].attrs["units"] = "deg"
        file["note"] = "ä text"
        file["truth/density"] = np.ones(3)
    return path


class Bench:
    """Receiver with its events."""

    def __init__(self, folder: Path) -> None:
        self.events: list[StreamEvent] = []
        self.time = 0.0
        self.folder = folder
        folder.mkdir(exist_ok=True)
        self.receiver = FrameReceiver(folder, self.events.append, clock=lambda: self.time)

    def faults(self) -> list[str]:
        return [event.text for event in self.events if event.kind is EventKind.FAULT]

    def send(self, source: FrameSource, frames: range | list[int] = range(FRAMES), *, header: bool = True) -> None:
        if header:
            self.receiver.receive(encode_header(source.scan))
        for index in frames:
            self.receiver.receive(encode_frame(source.scan.identity, index, source.frame(index)))

    def end(self, source: FrameSource) -> None:
        self.receiver.receive(encode_end(source.scan.identity))


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path / "received")
    yield bench
    bench.receiver.close()


def contents(path: Path) -> dict[str, tuple[str, bytes | str, dict[str, str]]]:
    """Data type, bytes and attributes of every dataset but the truth."""
    datasets = {}

    def note(name: str, node: object) -> None:
        if isinstance(node, h5py.Dataset) and not name.startswith(("truth", "received")):
            value = np.asarray(node[()])
            content = str(node[()]) if value.dtype.kind == "O" else value.tobytes()
            attributes = {key: text_of(value) for key, value in node.attrs.items() if key != "frames"}
            datasets[name] = str(value.dtype), content, attributes

    with h5py.File(path, locking=False) as file:
        file.visititems(note)
    return datasets


class TestAWholeScan:
    def test_is_the_acquisition_to_the_byte(self, tmp_path: Path, source: FrameSource, bench: Bench) -> None:
        bench.send(source)
        bench.end(source)
        assert contents(bench.folder / "scan.h5") == contents(tmp_path / "scan.h5")
        assert [event.kind for event in bench.events] == [EventKind.BEGUN, EventKind.WHOLE]
        assert [path.name for path in bench.folder.iterdir()] == ["scan.h5"]

    @settings(max_examples=10, deadline=None)
    @given(order=st.permutations(range(FRAMES)), again=st.lists(st.integers(0, FRAMES - 1), max_size=3))
    def test_does_not_depend_on_the_order_nor_on_frames_that_come_twice(
        self, tmp_path_factory: pytest.TempPathFactory, order: list[int], again: list[int]
    ) -> None:
        folder = tmp_path_factory.mktemp("any")
        with open_frame_source(write_scan(folder / "scan.h5"), schema_of) as source:
            bench = Bench(folder / "received")
            bench.send(source, [*again, *order])
            bench.end(source)
        assert contents(bench.folder / "scan.h5") == contents(folder / "scan.h5")
        assert bench.faults() == []

    def test_is_not_received_twice(self, source: FrameSource, bench: Bench) -> None:
        bench.send(source)
        bench.send(source)
        bench.end(source)
        assert [path.name for path in bench.folder.iterdir()] == ["scan.h5"]
        assert bench.faults() == ["scan: it was received whole before, and is left as it is"]

    def test_keeps_its_fixed_arrays_and_frames_under_one_checksum_each(self, source: FrameSource, bench: Bench) -> None:
        bench.send(source)
        with h5py.File(bench.folder / "scan.h5") as file:
            assert file["measurement/images"].fletcher32
            assert file["measurement/images"].chunks == (1, 4, 5)

    def test_of_a_name_that_is_taken_or_leads_elsewhere_gets_another(self, tmp_path: Path, bench: Bench) -> None:
        for seed in range(2):
            path = write_scan(tmp_path / f"{seed}.h5", seed)
            with open_frame_source(path, schema_of, "../über/a b") as source:
                bench.send(source)
        assert sorted(path.name for path in bench.folder.iterdir()) == ["ber_a_b-2.h5", "ber_a_b.h5"]


class TestMeasurementsOfOneIdentity:
    """Frames of two measurements whose sender gives both the same identity are never mixed."""

    @pytest.fixture
    def other(self, tmp_path: Path, source: FrameSource) -> Iterator[FrameSource]:
        path = write_scan(tmp_path / "other.h5", 1)
        with h5py.File(tmp_path / "scan.h5", locking=False) as one, h5py.File(path, "a") as two:
            two.attrs["seed"] = one.attrs["seed"]
        with open_frame_source(path, schema_of, "scan") as other:
            yield FrameSource(replace(other.scan, identity=source.scan.identity), other.datasets)

    def images(self, path: Path) -> bytes:
        with h5py.File(path, locking=False) as file:
            return file["measurement/images"][()].tobytes()

    def test_that_stays_unfinished_is_set_aside(
        self, tmp_path: Path, source: FrameSource, other: FrameSource, bench: Bench
    ) -> None:
        bench.send(source, [0, 1, 2])
        bench.send(other, [5, 3, 1, 2, 0, 4])
        assert sorted(path.name for path in bench.folder.iterdir()) == ["scan-2.h5", "scan.partial-0.incomplete"]
        assert self.images(bench.folder / "scan-2.h5") == self.images(tmp_path / "other.h5")
        assert any("3 of 6 frames are there, and stay in scan.partial-0.incomplete" in text for text in bench.faults())

    @pytest.mark.parametrize("is_new", [False, True])
    def test_that_is_whole_stays_and_the_other_is_received_beside_it(
        self, tmp_path: Path, source: FrameSource, other: FrameSource, bench: Bench, is_new: bool
    ) -> None:
        bench.send(source)
        if is_new:
            bench.receiver.close()
            bench = Bench(bench.folder)
            bench.receiver.resume()
        bench.receiver.receive(encode_header(source.scan))
        bench.receiver.receive(encode_frame(source.scan.identity, 2, source.frame(2)))  # Still the same scan.
        bench.send(other, [0, 1, 3, 4, 5], header=False)
        bench.send(other, [2], header=False)
        assert self.images(bench.folder / "scan.h5") == self.images(tmp_path / "scan.h5")
        with h5py.File(bench.folder / "scan-2.h5") as two, h5py.File(tmp_path / "other.h5", locking=False) as sent:
            same = [0, 1, 3, 4, 5]
            assert (two["measurement/images"][same] == sent["measurement/images"][same]).all()
        assert "it came under the identity of scan, with other frames" in bench.faults()[0]

    def test_a_third_time_is_known_again(self, source: FrameSource, other: FrameSource, bench: Bench) -> None:
        for one in (source, other, other, source):
            bench.send(one)
        assert sorted(path.name for path in bench.folder.iterdir()) == ["scan-2.h5", "scan.h5"]

    def test_replay_identifies_a_measurement_by_its_frames(self, source: FrameSource, other: FrameSource) -> None:
        with open_frame_source(Path(other.datasets[0].file.filename), schema_of, "scan") as again:
            assert again.scan.identity not in ("", source.scan.identity)


class TestTheDisk:
    def test_a_whole_scan_that_cannot_be_named_is_tried_again_and_never_overwritten(
        self, tmp_path: Path, source: FrameSource, bench: Bench, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(Path, "rename", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
            bench.send(source)
            bench.send(source, [0, 1])
        assert not (bench.folder / "scan.h5").exists()
        assert "disk is full" in bench.faults()[0]
        bench.time = 6.0
        bench.receiver.check_timeouts()
        assert contents(bench.folder / "scan.h5") == contents(tmp_path / "scan.h5")

    def test_a_file_that_could_not_be_written_takes_no_more_frames(
        self, source: FrameSource, bench: Bench, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """HDF5 loses without a word what is written after such an error."""
        bench.send(source, [0, 1])
        (one,) = bench.receiver._open.values()
        with monkeypatch.context() as patch:
            patch.setattr(one.writer, "_marks", None)
            patch.setattr(one.writer, "_datasets", [None, None])
            bench.send(source, [2], header=False)
        bench.send(source, [3, 4, 5, 2], header=False)
        assert bench.receiver.is_broken
        assert one.progress == "2 of 6 frames"
        second = Bench(bench.folder)
        second.receiver.resume()
        second.send(source)
        assert (bench.folder / "scan.h5").exists()
        one.writer._file.close()

    def test_a_frame_that_is_marked_and_not_on_the_disk_is_received_again(
        self, source: FrameSource, bench: Bench
    ) -> None:
        bench.send(source, [0, 4])
        (one,) = bench.receiver._open.values()
        one.writer._marks[2] = 1
        bench.receiver.close()
        second = Bench(bench.folder)
        second.receiver.resume()
        assert second.faults() == ["scan: 2 of 6 frames were received before; it goes on when the others come"]
        second.receiver.close()

    def test_no_file_in_the_folder_is_replaced(self, source: FrameSource, bench: Bench) -> None:
        for name in ("scan.h5", "scan-2.partial-0.h5", "scan-3.partial-1.damaged"):
            (bench.folder / name).write_text("another")
        bench.send(source)
        assert (bench.folder / "scan-4.h5").exists()
        assert (bench.folder / "scan.h5").read_text() == "another"

    def test_all_files_are_closed_though_one_cannot_be(
        self, tmp_path: Path, source: FrameSource, bench: Bench, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        bench.send(source, [0])
        with open_frame_source(write_scan(tmp_path / "next.h5", 1), schema_of) as second:
            bench.send(second, [0])
        first, last = bench.receiver._open.values()
        monkeypatch.setattr(first.writer, "close", lambda: (_ for _ in ()).throw(DataError("no space")))
        bench.receiver.close()
        assert not last.writer.is_open
        first.writer._file.close()


class TestFaults:
    def test_many_unknown_scans_and_many_open_ones_are_bounded(self, source: FrameSource, bench: Bench) -> None:
        for number in range(200):
            bench.receiver.receive(encode_frame(f"scan {number}", 0, source.frame(0)))
        assert len(bench.faults()) == 3
        for number in range(20):
            bench.receiver.receive(encode_header(replace(source.scan, identity=str(number), name=f"s{number}")))
        assert len(list(bench.folder.glob("*.incomplete"))) == 4
        assert len(list(bench.folder.glob("*.h5"))) == 16

    @pytest.mark.parametrize(
        "parts",
        [
            [],
            [b""],
            [b"\xff\xfe\x00"],
            [b"garbage"],
            [b"[1, 2]"],
            [b'{"type": "header"}'],
            [b'{"type": "frame", "scan": "s"}'],
            [b'{"type": "frame", "scan": "s", "index": "1"}', b""],
            [b'{"type": "moon"}'],
        ],
    )
    def test_no_message_is_told_in_one_line(self, bench: Bench, parts: list[bytes]) -> None:
        bench.receiver.receive(parts)
        assert len(bench.faults()) == 1
        assert "\n" not in bench.faults()[0]

    @pytest.mark.parametrize(
        ("change", "text"),
        [
            (lambda head: head.replace(b'">u2"', b'"O"'), "no type of plain numbers"),
            (lambda head: head.replace(b'">u2"', b'"x9"'), "no data type"),
            (lambda head: head.replace(b'"frames": 6', b'"frames": 0'), "greater than or equal to 1"),
            (lambda head: head.replace(b'"frames": 6', b'"frames": 1e99'), "frames"),
            (lambda head: head.replace(b"measurement/images", b"../../etc/x"), "dots"),
            (lambda head: head.replace(b"measurement/monitor", b"measurement/images"), "twice"),
            (lambda head: head.replace(b'"format_version": "1.0"', b'"format_version": "9.0"'), "upgrade"),
            (lambda head: head.replace(b'[4, 5], "attr', b'[4, 9], "attr'), "bytes"),
            *(
                (lambda head, bad=bad: head.replace(b'"counts"', bad), "neither text nor a number")
                for bad in NO_ATTRIBUTES
            ),
            (lambda head: head.replace(b'[4, 5], "attr', b'[4294967296, 4294967296], "attr'), "too large"),
            (lambda head: head.replace(b'"measurement": {', b'"../x": {'), "dots"),
            (lambda head: head.replace(b'"note", "dtype"', b'"measurement/images/x", "dtype"'), "cannot be written"),
        ],
    )
    def test_a_header_that_cannot_be_is_told(
        self, source: FrameSource, bench: Bench, change: Callable[[bytes], bytes], text: str
    ) -> None:
        head, *values = encode_header(source.scan)
        assert change(head) != head
        bench.receiver.receive([change(head), *values])
        bench.send(source, header=False)
        assert text in " ".join(bench.faults())
        assert not (bench.folder / "scan.h5").exists()

    def test_frames_that_do_not_suit_the_header_are_left_out(self, source: FrameSource, bench: Bench) -> None:
        bench.send(source, [0])
        images, monitor = source.frame(1)
        for index, entries in (
            (FRAMES, [images, monitor]),
            (-1, [images, monitor]),
            (1, [images.astype("f8"), monitor]),
            (1, [images]),
            (0, [images, monitor]),
        ):
            bench.receiver.receive(encode_frame(source.scan.identity, index, entries))
        none, size, arrays, twice = bench.faults()  # Those of one kind are told once.
        assert "no such frame" in none
        assert "has 160 bytes" in size
        assert "comes with 1 arrays" in arrays
        assert "the first is kept" in twice
        bench.send(source, range(1, FRAMES), header=False)
        with h5py.File(bench.folder / "scan.h5") as file:
            assert file["measurement/images"][0].tobytes() == source.frame(0)[0].tobytes()

    def test_a_scan_of_wrong_frames_is_told_in_few_lines_without_control_characters(
        self, tmp_path: Path, bench: Bench
    ) -> None:
        with open_frame_source(write_scan(tmp_path / "x.h5"), schema_of, "a\x1b[31m\n") as source:
            bench.receiver.receive(encode_header(source.scan))
            for _ in range(5):
                for index in range(FRAMES):
                    bench.receiver.receive(encode_frame(source.scan.identity, index, [source.frame(index)[0]]))
        assert len(bench.faults()) == 2
        assert all(text.isprintable() for text in bench.faults())

    def test_lost_frames_are_named_and_complete_the_scan_later(self, source: FrameSource, bench: Bench) -> None:
        bench.send(source, [0, 1, 4])
        bench.end(source)
        assert "3 of 6 frames did not arrive (2, 3, 5); send it again" in bench.faults()[0]
        assert not (bench.folder / "scan.h5").exists()
        bench.send(source)
        assert (bench.folder / "scan.h5").exists()

    def test_frames_without_a_header_are_told_now_and_then(self, source: FrameSource, bench: Bench) -> None:
        bench.send(source, [0] * 25, header=False)
        assert len(bench.faults()) == 2
        assert "its header did not arrive" in bench.faults()[0]
        assert bench.faults()[1].endswith("(10 times)")

    def test_a_scan_that_begins_before_another_ended_does_not_mix_with_it(
        self, tmp_path: Path, source: FrameSource, bench: Bench
    ) -> None:
        bench.send(source, [0, 1])
        with open_frame_source(write_scan(tmp_path / "next.h5", 1), schema_of) as second:
            bench.send(second)
        assert "scan: next begins before it ended: 2 of 6 frames are there" in bench.faults()[0]
        assert contents(bench.folder / "next.h5") == contents(tmp_path / "next.h5")
        bench.send(source, range(2, FRAMES), header=False)
        assert contents(bench.folder / "scan.h5") == contents(tmp_path / "scan.h5")

    def test_a_sender_that_vanishes_is_told_once(self, source: FrameSource, bench: Bench) -> None:
        bench.send(source, [0, 1])
        for bench.time in (59.0, 61.0, 62.0):
            bench.receiver.check_timeouts()
        assert bench.faults() == [
            "scan: nothing came for 60 s, and 2 of 6 frames are there; it goes on when the others come"
        ]

    def test_a_process_that_died_has_lost_no_frame_that_it_wrote(
        self, tmp_path: Path, source: FrameSource, bench: Bench
    ) -> None:
        bench.send(source, [0, 3])  # It is never closed.
        second = Bench(bench.folder)
        second.receiver.resume()
        assert second.faults() == ["scan: 2 of 6 frames were received before; it goes on when the others come"]
        (partial,) = bench.folder.glob("*.partial-1.h5")
        state = read_growing(partial)
        assert state is not None
        assert state.missing == [1, 2, 4, 5]
        second.send(source, [1, 2, 4, 5], header=False)
        assert contents(bench.folder / "scan.h5") == contents(tmp_path / "scan.h5")

    @settings(max_examples=60, deadline=None)
    @given(data=st.data())
    def test_no_bytes_raise_another_error_than_ours(
        self, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
    ) -> None:
        with open_frame_source(SCAN(tmp_path_factory), schema_of) as source:
            messages = [encode_header(source.scan), encode_frame(source.scan.identity, 0, source.frame(0))]
        parts = list(data.draw(st.sampled_from(messages)))
        number = data.draw(st.integers(0, len(parts) - 1))
        part = bytearray(parts[number])
        if part:
            place = data.draw(st.integers(0, len(part) - 1))
            part[place : place + data.draw(st.integers(0, 4))] = data.draw(st.binary(max_size=4))
        parts[number] = bytes(part)
        with suppress(DataError):
            decode(parts)


_scans: list[Path] = []


def SCAN(factory: pytest.TempPathFactory) -> Path:  # noqa: N802
    """A scan that is written once."""
    if not _scans:
        _scans.append(write_scan(factory.mktemp("scan") / "scan.h5"))
    return _scans[0]
