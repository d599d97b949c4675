"""Ctrl-C, SIGTERM and SIGHUP from the first moment of a command on: one line, and the exit status of each."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

COMMAND = """
import os, signal, sys, threading
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, signal.SIG_DFL if number != signal.SIGINT else signal.default_int_handler)
from unflat.recon import signals
take, number, seconds = signals.take_signals, int(sys.argv[1]), float(sys.argv[2])
def take_and_wait():
    take()
    timer = threading.Timer(seconds, os.kill, (os.getpid(), number))
    timer.daemon = True
    timer.start()
signals.take_signals = take_and_wait
from unflat.cli.entry import main
main()
"""
"""Command line that sends itself a signal some time after it takes them; the suite may run under nohup."""


def interrupted(number: signal.Signals, seconds: float, *words: str | Path) -> subprocess.CompletedProcess[str]:
    code = COMMAND.replace("main()\n", f"sys.argv[1:] = {list(map(str, words))!r}\nmain()\n")
    command = [sys.executable, "-c", code, str(int(number)), str(seconds)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


@pytest.mark.parametrize(
    ("seconds", "number"),
    [
        (0.0, signal.SIGINT),
        (0.03, signal.SIGTERM),
        (0.2, signal.SIGINT),
        (0.6, signal.SIGHUP),
        (2.5, signal.SIGINT),
    ],
)
def test_a_signal_in_the_first_seconds_of_a_fit_ends_it(
    scan: Path, tmp_path: Path, seconds: float, number: signal.Signals
) -> None:
    words = ("fit", scan.with_name("run.yaml"), scan, "-o", tmp_path / "run", "--set", "fit.steps=100000")
    ended = interrupted(number, seconds, *words)
    assert ended.returncode == (130 if number == signal.SIGINT else 75), ended.stderr
    assert "Traceback" not in ended.stderr
    assert "internal error" not in ended.stderr
    assert "interrupted" in ended.stderr if number == signal.SIGINT else f"{number.name} received" in ended.stderr
    assert not (tmp_path / "run" / "run.lock").exists()


def test_a_second_signal_ends_a_process_that_still_tells_the_others_of_the_first() -> None:
    code = """
import os, signal, time
from unflat.recon import signals
def tell(status, line):
    print("told", status, flush=True)
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(60)
signals.take_signals()
signals.last_words = tell
os.kill(os.getpid(), signal.SIGTERM)
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=50, check=False)
    assert (ended.returncode, ended.stdout) == (130, "told 75\n")


def test_temporary_files_are_removed(scan: Path, tmp_path: Path) -> None:
    code = """
import os, signal, sys
from unflat.recon import signals
signals.take_signals()
from unflat.recon.io.atomic import write_atomically
from pathlib import Path
from unflat.recon.io.atomic_folder import write_folder_atomically
store = Path(sys.argv[1] + ".zarr")
with write_atomically(sys.argv[1]) as temporary, write_folder_atomically(store, lambda _: True) as folder:
    temporary.write_text("half")
    (folder / "array").mkdir()
    (folder / "array" / "chunk").write_text("half")
    os.kill(os.getpid(), signal.SIGTERM)
"""
    ended = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "a")], capture_output=True, text=True, check=False
    )
    assert (ended.returncode, ended.stderr) == (75, "error: SIGTERM received: ended early, run it again\n")
    assert list(tmp_path.iterdir()) == []


def test_an_ignored_signal_stays_ignored(tmp_path: Path) -> None:
    code = """
import os, signal
signal.signal(signal.SIGHUP, signal.SIG_IGN)
signal.signal(signal.SIGINT, signal.SIG_IGN)
from unflat.recon import signals
signals.take_signals()
os.kill(os.getpid(), signal.SIGHUP)
os.kill(os.getpid(), signal.SIGINT)
print("goes on")
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (0, "goes on\n")


def test_an_error_that_a_library_makes_of_an_interrupt_is_an_interrupt(tmp_path: Path) -> None:
    code = """
import os, signal, sys
from unflat.recon import signals
signals.take_signals()
from unflat.cli import main
def fail(*_, **__):
    try:
        with signals.interrupts_raised():
            os.kill(os.getpid(), signal.SIGINT)
    except KeyboardInterrupt:
        raise ImportError("numpy cannot be initialised") from None
main.cli.main = fail
main.main([])
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (130, "error: interrupted\n")


def test_a_signal_after_the_work_of_a_run_changes_no_status(scan: Path) -> None:
    code = f"""
import os, signal, sys
signal.signal(signal.SIGTERM, signal.SIG_DFL)
from unflat.recon import signals
signals.take_signals()
from unflat.recon.errors import QualityError
from unflat.recon.experiments import run
from unflat.recon.runs.stop import StopRequest
def work(*_):
    with StopRequest():
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    raise QualityError("below the gate")
run.run_method = work
sys.argv[1:] = ["fit", {str(scan.with_name("run.yaml"))!r}, {str(scan)!r}, "-o", "run"]
from unflat.cli.main import main
main()
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (5, "error: below the gate\n")


def test_a_command_that_is_done_keeps_its_status() -> None:
    code = """
import atexit, os, signal, sys
signal.signal(signal.SIGTERM, signal.SIG_DFL)
atexit.register(lambda: os.kill(os.getpid(), signal.SIGTERM))
sys.argv[1:] = ["--version"]
from unflat.cli.entry import main
main()
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")
