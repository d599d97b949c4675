"""Agreement and ends in a group of two, here of two threads over a pair of sockets."""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from unflat.recon.errors import ConfigError, DeviceError, ExitStatus, Interrupted, ProcessEnded, Stopped, UnflatError
from unflat.recon.processes import GroupPlan, ProcessGroup, links, require_same
from unflat.recon.processes.jax_start import _own_cards, require_same_platform
from unflat.recon.processes.links import Loss
from unflat.recon.runs import Sentinel, StopRequest
from unflat.recon.runs.companion import CompanionFolder
from unflat.recon.runs.lock import LockHolder
from unflat.recon.runs.stop import AgreedStop

Pair = tuple[ProcessGroup, ProcessGroup]


@pytest.fixture
def sockets() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Two ends of a connection."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        one = socket.create_connection(server.getsockname())
        other, _ = server.accept()
    with one, other:
        yield one, other


@pytest.fixture
def pair(sockets: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch) -> Pair:
    """Group of two, neither of which ends this process."""
    monkeypatch.setattr(links, "GRACE", 1e6)
    monkeypatch.setattr(links, "_CLOSING", 0.5)  # No process ends here, and closes its sockets.
    monkeypatch.setattr(threading, "main_thread", threading.current_thread)
    names = ("process 0", "process 1")
    first, second = (ProcessGroup(GroupPlan("here", 1, 2, i), names, {1 - i: sockets[i]}, "", (i, 2)) for i in range(2))
    return first, second


def in_both(*functions: Callable[[], Any]) -> list[Any]:
    """Results, or errors, of functions that run at the same time."""
    with ThreadPoolExecutor(len(functions)) as pool:
        futures: list[Future[Any]] = [pool.submit(function) for function in functions]
        return [future.exception(20) or future.result() for future in futures]


def test_both_get_what_is_shared_and_gathered(pair: Pair) -> None:
    first, second = pair
    shares = in_both(lambda: first.share_value(1), lambda: second.share_value(2))
    assert shares == [1, 1]
    gathers = in_both(*(lambda g=g: g.gather(g.index, {"a": np.full(2, g.index)}) for g in pair))
    for parts in gathers:
        assert [value for value, _ in parts] == [0, 1]
        np.testing.assert_array_equal(parts[1][1]["a"], [1, 1])


def test_processes_that_have_come_apart_end_and_take_nothing_of_another_call(pair: Pair) -> None:
    first, second = pair

    def at_first() -> None:
        try:
            first.gather(1)
        except RuntimeError as error:
            first.end(error)
            raise

    def at_second() -> None:
        try:
            second.share_value(1)
        except UnflatError as error:
            second.end(error)
            raise

    apart, ended = in_both(at_first, at_second)
    assert "process 1 is at call 1, share of " in str(apart)
    assert "process 0 at 1, gather of " in str(apart)
    assert isinstance(ended, ProcessEnded)


def test_a_process_that_ends_by_itself_ends_the_other_which_saves_first(
    pair: Pair, sockets: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(links, "_CLOSING", 60.0)
    first, second = pair
    stop = AgreedStop(StopRequest(), first)
    ends: list[str] = []

    def at_first() -> None:
        while stop.ask() is None:
            pass
        time.sleep(0.1)  # It saves.
        ends.append("first")
        first.end(Interrupted("interrupted"))

    def at_second() -> None:
        second.gather([None, False])
        second.end(KeyboardInterrupt())
        ends.append("second")
        sockets[1].shutdown(socket.SHUT_RDWR)

    assert in_both(at_first, at_second) == [None, None]
    assert (stop.reason, stop.interrupted) == ("process 1: interrupted", True)
    assert ends == ["first", "second"], "a launcher may end all when one has ended"


def test_a_stop_that_was_agreed_is_told_once(pair: Pair) -> None:
    own = StopRequest(time_limit=0)
    stops = [AgreedStop(own if group.index else StopRequest(), group) for group in pair]
    assert in_both(*(stop.ask for stop in stops)) == ["time limit of 0 s reached"] * 2
    started = threading.Event()

    def at_second() -> None:
        started.set()
        pair[1].end(Stopped("stopped"))

    def at_first() -> Loss | None:
        started.wait()
        time.sleep(0.1)
        loss = pair[0].loss
        pair[0].end(Stopped("stopped"))
        return loss

    assert in_both(at_first, at_second) == [None, None]


def test_what_any_process_can_compute_is_not_lost_with_another(
    pair: Pair, sockets: tuple[socket.socket, socket.socket]
) -> None:
    first, _ = pair
    sockets[1].shutdown(socket.SHUT_RDWR)
    assert first.share_or_compute(lambda: 5) == 5
    with pytest.raises(Stopped, match="process 1 has died; run again with --resume"):
        first.gather(None)


def test_inputs_are_compared_however_long_one_takes_to_read(pair: Pair) -> None:
    first, second = pair

    def late() -> None:
        time.sleep(0.3)
        require_same(second, {"input.sha256": "b"})

    for error in in_both(lambda: require_same(first, {"input.sha256": "a"}), late):
        assert isinstance(error, ConfigError)
        assert "input.sha256: process 1 has 'b', and process 0 has 'a'" in str(error)


@pytest.mark.parametrize(
    ("cards", "own"),
    [
        ((["a", "b", "c"], ["c", "b", "a"]), [[0], [1, 0]]),
        ((["a", "b"], ["c", "d"]), [None, None]),
        (([], []), [None, None]),
        ((["a"], ["a"]), DeviceError),
        ((["a", "b"], ["b"]), DeviceError),
    ],
    ids=["same", "own", "none", "too few", "some in common"],
)
def test_processes_share_out_the_gpus_that_both_see(
    pair: Pair, cards: tuple[list[str], list[str]], own: list[list[int] | None] | type[DeviceError]
) -> None:
    got = in_both(*(lambda g=g: _own_cards(g, cards[g.index]) for g in pair))
    if isinstance(own, list):
        assert got == own
    else:
        assert all(isinstance(error, DeviceError) for error in got)
        assert "cannot share out its GPUs" in str(got[0])


def test_a_process_on_the_cpu_beside_one_on_a_gpu_is_refused(pair: Pair) -> None:
    platforms = ("gpu", "cpu")
    errors = in_both(*(lambda g=g: require_same_platform(g, platforms[g.index], is_divided=True) for g in pair))
    assert all("process 1 computes on the CPU, and process 0 on the GPU" in str(error) for error in errors)


class TestPlaceOfTheFirst:
    """Folder of process 1 after the end of process 0."""

    def take(self, pair: Pair, run: Path, holder: LockHolder) -> CompanionFolder:
        """Folder of process 1, which has lost the first."""
        text = json.dumps(vars(holder))
        (run / "checkpoint").mkdir(parents=True)
        (run / "run.lock").write_text(text, "utf-8")
        (run / "metrics.jsonl").write_text("{}\n", "utf-8")
        folder = CompanionFolder.create(run.parent / "own")
        assert isinstance(folder, CompanionFolder)
        vars(folder).update(group=pair[1], run=run, first_lock=text, place=(1, 2))
        pair[1].loss = Loss("process 0 has died")
        folder.save_checkpoint(3, {"a": np.zeros(2)}, {})
        return folder

    def test_a_dead_process_is_replaced_and_its_lock_released(self, pair: Pair, tmp_path: Path) -> None:
        run, me = tmp_path / "run", LockHolder.current()
        folder = self.take(pair, run, LockHolder(**(vars(me) | {"process": 2**22 + 1})))
        folder.finish(Sentinel.STOPPED, "process 0 has died")
        assert (run / "STOPPED").is_file()
        assert not (run / "run.lock").exists()
        assert (run / "checkpoint" / "step-000000003.h5").is_file()

    def test_a_living_process_stays_the_only_writer(
        self, pair: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("unflat.recon.runs.companion._SILENCE", 0.1)
        run = tmp_path / "run"
        folder = self.take(pair, run, LockHolder.current())
        folder.finish(Sentinel.STOPPED, "process 0 has died")
        assert not (run / "STOPPED").exists()
        assert (run / "run.lock").exists()

    def test_a_silent_process_of_another_machine_is_replaced_unless_it_writes(
        self, pair: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("unflat.recon.runs.companion._SILENCE", 0.6)
        far = LockHolder(**(vars(LockHolder.current()) | {"host": "far"}))
        run = tmp_path / "run"
        folder = self.take(pair, run, far)
        writer = threading.Timer(0.2, lambda: (run / "metrics.jsonl").write_text("{}\n{}\n", "utf-8"))
        writer.start()
        folder.finish(Sentinel.STOPPED, "process 0 has died")
        writer.join()
        assert not (run / "STOPPED").exists()
        (tmp_path / "silent").mkdir()
        folder = self.take(pair, tmp_path / "silent" / "run", far)
        folder.finish(Sentinel.STOPPED, "process 0 has died")
        assert (tmp_path / "silent" / "run" / "STOPPED").is_file()


def test_an_interrupted_process_tells_so_by_its_status() -> None:
    assert isinstance(Loss("process 1: interrupted", ExitStatus.INTERRUPTED).error(), Interrupted)
    assert Loss("process 1: x.h5: no such file", ExitStatus.DATA).error().status == ExitStatus.DATA
