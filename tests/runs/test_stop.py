"""Requests to stop, by signals and by a time limit."""

import signal
import time

import pytest

from unflat.recon.runs import StopRequest


@pytest.mark.parametrize("name", ["SIGTERM", "SIGUSR1", "SIGHUP", "SIGINT"])
def test_a_signal_sets_a_reason_and_the_former_handler_is_restored(name: str) -> None:
    def former(*_: object) -> None:
        raise AssertionError("the request does not take the signal")

    number = getattr(signal, name)
    inherited = signal.signal(number, former)  # The suite may run under nohup.
    try:
        with StopRequest() as stop:
            assert stop.reason is None
            signal.raise_signal(number)
            assert stop.reason == ("interrupted" if name == "SIGINT" else f"{name} received")
            assert stop.interrupted == (name == "SIGINT")
        assert signal.getsignal(number) is former
    finally:
        signal.signal(number, inherited)


@pytest.mark.parametrize("name", ["SIGHUP", "SIGINT", "SIGTERM", "SIGUSR1"])
def test_a_signal_that_the_parent_ignores_stops_nothing(name: str) -> None:
    """Such as SIGHUP under nohup, and SIGINT in a job in the background of a script."""
    number = getattr(signal, name)
    former = signal.signal(number, signal.SIG_IGN)
    try:
        with StopRequest() as stop:
            signal.raise_signal(number)
            assert stop.reason is None
    finally:
        signal.signal(number, former)


def test_a_second_interrupt_ends_at_once() -> None:
    def interrupt_twice() -> None:
        with StopRequest():
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        interrupt_twice()


def test_no_interrupt_ends_a_notebook(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody took the signals there; a library has swallowed the second."""
    monkeypatch.setattr("unflat.recon.runs.stop._TIME_TO_END", -1.0)
    with StopRequest() as stop:
        signal.raise_signal(signal.SIGINT)
        for _ in range(2):
            with pytest.raises(KeyboardInterrupt):
                signal.raise_signal(signal.SIGINT)
        assert stop.interrupted


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Seconds of the clock that is never set."""
    seconds = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: seconds[0])
    return seconds


def test_a_time_limit_is_a_reason(clock: list[float]) -> None:
    with StopRequest(time_limit=20) as stop:
        clock[0] += 19.9
        assert stop.reason is None
        clock[0] += 0.2
        assert stop.reason == "time limit of 20 s reached"


def test_a_time_limit_waits_for_the_first_step_and_a_signal_does_not() -> None:
    with StopRequest(time_limit=0) as stop:
        stop.require_advance()
        assert stop.reason is None
        stop.note_advance()
        assert stop.reason == "time limit of 0 s reached"
        stop.require_advance()
        signal.raise_signal(signal.SIGTERM)
        assert stop.reason == "SIGTERM received"


def test_a_clock_that_is_set_changes_no_time_limit(clock: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    with StopRequest(time_limit=20) as stop:
        monkeypatch.setattr(time, "time", lambda: 0.0)
        assert stop.reason is None
        clock[0] += 20
        assert stop.reason == "time limit of 20 s reached"
