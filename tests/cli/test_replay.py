"""Frames as they come, through the command line: streams and growing files, and a watch that is killed."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest

from unflat.cli import replay
from unflat.cli.main import run
from unflat.recon.errors import ConfigError, DataError
from unflat.recon.experiments import get_experiment
from unflat.recon.experiments import watch as watch_module
from unflat.recon.experiments.report_worker import ReportWorkers
from unflat.recon.io.frame_messages import encode_frame, encode_header
from unflat.recon.io.frame_scan import open_frame_source
from unflat.recon.io.frame_stream import StreamReceiver, send_frames
from unflat.recon.runs import stream_source
from unflat.recon.runs.batch_record import BatchRecord
from unflat.recon.runs.stream_source import StreamSource

zmq = pytest.importorskip("zmq")


@pytest.fixture
def address() -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"tcp://127.0.0.1:{free.getsockname()[1]}"


class NoReports(ReportWorkers):
    """Stand-in for the process that writes the reports, which takes seconds to start."""

    def submit(self, name: str, run: Path) -> None:
        pass


@pytest.fixture(autouse=True)
def without_reports(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch_module, "ReportWorkers", NoReports)


def send(scan: Path, address: str, name: str = "") -> None:
    with open_frame_source(scan, lambda kind: get_experiment(kind).schema, name) as source:
        send_frames(source, address, lambda index: None)


def same_arrays(one: Path, other: Path) -> bool:
    """Whether all arrays of a scan but its truth are the same to the byte."""
    with h5py.File(one) as a, h5py.File(other) as b:
        names: list[str] = []
        a.visititems(lambda name, node: names.append(name) if isinstance(node, h5py.Dataset) else None)
        names = [name for name in names if not name.startswith("truth")]
        pairs = [(np.asarray(a[name][()]), np.asarray(b[name][()])) for name in names]
    return all(x.dtype == y.dtype and x.tobytes() == y.tobytes() for x, y in pairs)


def test_a_stream_brings_the_scan_to_the_byte(scan: Path, address: str, tmp_path: Path) -> None:
    faults: list[str] = []
    with StreamSource(address, tmp_path, faults.append) as source:
        source.poll()
        sender = threading.Thread(target=send, args=(scan, address))
        sender.start()
        end, whole = time.monotonic() + 30, list[Path]()
        while not whole and time.monotonic() < end:
            source.idle(0.2)
            whole = source.poll()
        sender.join()
    assert whole == [tmp_path / "received" / "scan.h5"]
    assert same_arrays(scan, whole[0])
    assert faults == []
    with StreamSource(address, tmp_path, faults.append) as source:  # What is done is handed over again, to be skipped.
        assert source.poll() == whole


class Ending(StreamReceiver):
    """Receiver that ends at once, in place of a process."""

    def __init__(self, *_: object) -> None:
        pass

    def events(self) -> Iterator:
        raise DataError("the receiver of frames ended")

    def close(self) -> None:
        pass


def test_a_receiver_that_ends_is_started_again_and_what_it_brought_is_handed_over_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "received").mkdir()
    (tmp_path / "received/old.h5").touch()
    faults: list[str] = []
    monkeypatch.setattr(stream_source, "StreamReceiver", Ending)
    monkeypatch.setattr(stream_source, "_PAUSE", 0.0)
    with StreamSource("tcp://0.0.0.0:5555", tmp_path, faults.append) as source:
        assert [len(source.poll()) for _ in range(3)] == [1, 0, 0]
        monkeypatch.setattr(stream_source, "StreamReceiver", lambda *_: (_ for _ in ()).throw(ConfigError("in use")))
        assert source.poll() == []
    reach, *others = faults
    assert "any machine that reaches this address can send scans" in reach
    assert others[:3] == ["the receiver of frames ended: it is started again"] * 3
    assert "nothing is received: in use" in others[3]


def test_the_rhythm_of_a_replay_begins_with_the_first_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, pauses = [100.0], []
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(time, "sleep", pauses.append)
    rhythm = replay._Rhythm(0.5, lambda index: None)
    clock[0] += 3  # A receiver is waited for.
    for index in range(3):
        rhythm.wait(index)
    assert pauses == [0.0, 0.5, 1.0]


def test_a_growing_file_is_the_scan_when_it_is_whole(scan: Path, tmp_path: Path) -> None:
    grown = tmp_path / "grown.h5"
    assert run(["replay", str(scan), "--into", str(grown), "--interval", "1 ms"]) == 0
    assert same_arrays(scan, grown)
    assert run(["check", str(scan.with_name("run.yaml")), str(grown)]) == 0


@pytest.mark.skipif(os.name == "nt", reason="a limit of a process")
@pytest.mark.parametrize("lacking", [None, 300], ids=["at the start", "at the end"])
def test_a_disk_that_fills_is_told_in_one_line(scan: Path, tmp_path: Path, lacking: int | None) -> None:
    assert run(["replay", str(scan), "--into", str(tmp_path / "whole.h5"), "--interval", "1 ms"]) == 0
    room = 4000 if lacking is None else (tmp_path / "whole.h5").stat().st_size - lacking
    code = (
        f"import sys; sys.path[:] = {[p for p in sys.path if p]!r}; import resource, signal\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({room}, resource.RLIM_INFINITY))\n"
        "from unflat.cli.main import main; main()"
    )
    words = ["replay", str(scan), "--into", str(tmp_path / "g.h5"), "--interval", "1 ms"]
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 3, done.stderr
    assert "cannot be written" in done.stderr
    assert "Traceback" not in done.stderr


class TestReplayRefuses:
    @pytest.mark.parametrize("words", [[], ["--to", "tcp://127.0.0.1:9", "--into", "x.h5"]])
    def test_no_place_and_two(self, scan: Path, words: list[str]) -> None:
        assert run(["replay", str(scan), *words]) == 2

    def test_two_rhythms(self, scan: Path) -> None:
        assert run(["replay", str(scan), "--to", "tcp://127.0.0.1:9", "--rate", "3", "--interval", "1 s"]) == 2

    @pytest.mark.parametrize("to", ["127.0.0.1:5555", "tcp://127.0.0.1", "tcp://127.0.0.1:notaport"])
    def test_what_is_no_address(self, scan: Path, to: str) -> None:
        assert run(["replay", str(scan), "--to", to]) == 2

    def test_an_address_where_nobody_listens(self, scan: Path, address: str, capfd: pytest.CaptureFixture[str]) -> None:
        assert run(["replay", str(scan), "--to", address, "--timeout", "0.2 s"]) == 3
        assert "nobody took a frame for 0.2 s; start 'unflat watch' at this address first" in capfd.readouterr().err

    def test_what_is_no_acquisition(self, scan: Path, tmp_path: Path) -> None:
        (tmp_path / "x.h5").write_text("text", "utf-8")
        assert run(["replay", str(tmp_path / "x.h5"), "--into", str(tmp_path / "y.h5")]) == 3
        assert run(["replay", str(tmp_path / "none.h5"), "--into", str(tmp_path / "y.h5")]) == 3

    def test_a_file_that_is_there(self, scan: Path, tmp_path: Path) -> None:
        (tmp_path / "y.h5").touch()
        assert run(["replay", str(scan), "--into", str(tmp_path / "y.h5")]) == 2
        assert run(["replay", str(scan), "--into", str(scan), "--force"]) == 2


def test_without_pyzmq_the_extra_is_named(
    scan: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "zmq", None)
    assert run(["replay", str(scan), "--to", "tcp://127.0.0.1:9"]) == 2
    assert run(["watch", str(scan.with_name("run.yaml")), "tcp://127.0.0.1:9", "-o", str(tmp_path / "RUNS")]) == 2
    assert capfd.readouterr().err.count("a stream of frames needs pyzmq: pip install 'unflat[stream]'") == 2


def test_an_address_that_is_taken_is_refused(
    scan: Path, address: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with zmq.Context() as context, context.socket(zmq.PULL) as socket_:
        socket_.bind(address)
        assert run(["watch", str(scan.with_name("run.yaml")), address, "-o", str(tmp_path / "RUNS")]) == 2
    error = capfd.readouterr().err
    assert "is in use by another program (address already in use); end the program that listens there" in error
    assert "Fatal Python error" not in error


@pytest.mark.slow
def test_a_watch_that_is_killed_in_mid_stream_loses_no_frame_and_goes_on(
    scan: Path, address: str, tmp_path: Path
) -> None:
    runs, config = tmp_path / "RUNS", str(scan.with_name("run.yaml"))
    words = ["watch", config, address, "-o", str(runs)]
    received = runs / "received"
    with first_frames(scan, address, 3):
        code = f"import sys; sys.path[:] = {[p for p in sys.path if p]!r}; from unflat.cli.main import main; main()"
        process = subprocess.Popen([sys.executable, "-c", code, *words], stderr=subprocess.DEVNULL)
        try:
            wait_for(lambda: any(one.count == 3 for one in states(received)))
        finally:
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
    assert [one.count for one in states(received)] == [3]
    others = [threading.Thread(target=send, args=(scan, address)), threading.Thread(target=stop_after, args=(runs,))]
    for other in others:
        other.start()
    assert run(words) == 75
    for other in others:
        other.join()
    record = BatchRecord.read(runs)
    assert record is not None
    assert {name: str(one.status) for name, one in record.scans.items()} == {"scan": "done"}
    assert same_arrays(scan, received / "scan.h5")


def stop_after(runs: Path) -> None:
    """Stop this process's watch when the run of the scan has ended."""
    wait_for((runs / "scan" / "DONE").exists)
    os.kill(os.getpid(), signal.SIGTERM)


class first_frames:  # noqa: N801
    """Block during which the first frames of a scan are on offer."""

    def __init__(self, scan: Path, address: str, count: int) -> None:
        self.context = zmq.Context()
        self.socket = self.context.socket(zmq.PUSH)
        self.socket.connect(address)
        with open_frame_source(scan, lambda kind: get_experiment(kind).schema) as source:
            self.socket.send_multipart(encode_header(source.scan))
            for index in range(count):
                self.socket.send_multipart(encode_frame(source.scan.identity, index, source.frame(index)))

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        self.socket.close(0)
        self.context.term()


def states(folder: Path) -> Iterator:
    from unflat.recon.io.growing_state import read_growing

    states = [read_growing(path) for path in folder.glob("*.partial-*.h5")]
    return iter([one for one in states if one is not None])


def wait_for(condition) -> None:  # noqa: ANN001
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.1)
