"""Workers that read damaged files one after the other, each within limits of time and memory.

A worker is forked once with all readers imported, and again only after an input has ended or blocked it.
"""

import mmap
import os
import random
import resource
import select
import shutil
import signal
import struct
import sys
import time
import traceback
import warnings
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from unflat.recon.errors import UnflatError

from .mutations import mutate
from .readers import READERS
from .seeds import Seed

SECONDS = 10.0
BYTES = 1 << 30
_GRACE = 3.0
_LINE_END = b"\n"
_LAST_RESORT = "or unflat misreads it"


class Outcome(StrEnum):
    """Outcome of one input."""

    READ = "read"
    REFUSED = "refused in words"
    CRASH = "crash"
    HANG = "hang"
    MEMORY = "memory"
    INTERNAL = "internal error"


FAULTS = (Outcome.CRASH, Outcome.HANG, Outcome.MEMORY, Outcome.INTERNAL)


class _TimeUpError(BaseException):
    """Time limit of an input: no reader catches it."""


@dataclass
class Tally:
    """Outcomes of one reader.

    Args:
        counts: Number of inputs by outcome.
        vague: Number of those refused by the last resort of the guard, which cannot name the fault, by place.
        faults: Number, outcome and detail of each input that no reader may leave so.
        slowest: [s] Longest time of an input.
        seconds: [s] Time of all.
    """

    counts: Counter[Outcome] = field(default_factory=Counter)
    vague: Counter[str] = field(default_factory=Counter)
    faults: list[tuple[int, Outcome, str]] = field(default_factory=list)
    slowest: float = 0.0
    seconds: float = 0.0


def make_input(reader: str, sound: list[Seed], seed: int, number: int, folder: Path) -> tuple[Path, random.Random]:
    """Write one damaged input.

    Args:
        reader: Name of the reader.
        sound: Sound inputs.
        seed: Seed of the whole run.
        number: Number of the input.
        folder: Empty folder to write to.

    Returns:
        Path to read, and the source of the reader's own choices.
    """
    rng = random.Random(f"{seed}/{reader}/{number}")
    chosen, other = rng.choice(sound), rng.choice(sound)
    for name, content in chosen.files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if name == chosen.target:
            content = mutate(content, other.files[other.target], rng)
        path.write_bytes(content)
    return folder / chosen.entry, rng


def run_reader(reader: str, count: int, seed: int, folder: Path, keep: Path | None = None) -> Tally:
    """Read damaged inputs in workers.

    Args:
        reader: Name of the reader.
        count: Number of inputs.
        seed: Seed of the run.
        folder: Folder for the inputs, best in memory.
        keep: Folder for copies of inputs with a fault; none are kept without it.
    """
    sound, tally, start = READERS[reader].make(), Tally(), time.monotonic()
    number = 0
    while number < count:
        number = _run_worker(reader, sound, range(number, count), seed, folder, tally)
    tally.seconds = time.monotonic() - start
    for index, outcome, _ in tally.faults if keep else ():
        place = keep / f"{reader}-{seed}-{index}-{outcome.split()[0]}"
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        make_input(reader, sound, seed, index, place)
    return tally


def _run_worker(reader: str, sound: list[Seed], numbers: range, seed: int, folder: Path, tally: Tally) -> int:
    """Read inputs in one worker until it ends.

    Returns:
        Number of the input to go on with.
    """
    current = mmap.mmap(-1, 16)
    _announce(current, numbers.start)
    receive, send = os.pipe()
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        os.close(receive)
        status, screen = 1, os.dup(2)
        try:
            _work(reader, sound, numbers, seed, folder / str(os.getpid()), current, send)
            status = 0
        except BaseException:  # A fault of this package.
            os.write(screen, traceback.format_exc().encode())
        finally:
            os._exit(status)
    os.close(send)
    status, killed = _watch(child, current, receive, tally)
    shutil.rmtree(folder / str(child), ignore_errors=True)
    if os.waitstatus_to_exitcode(status) == 0 and not killed:
        return numbers.stop
    number = struct.unpack_from("q", current)[0]
    outcome = Outcome.HANG if killed else Outcome.CRASH
    tally.counts[outcome] += 1
    tally.faults.append((number, outcome, "killed" if killed else f"status {os.waitstatus_to_exitcode(status)}"))
    return number + 1


def _watch(child: int, current: mmap.mmap, receive: int, tally: Tally) -> tuple[int, bool]:
    """Collect the outcomes of a worker, and kill it where it blocks.

    Returns:
        Status of the process, and whether it was killed.
    """
    buffer, killed = b"", False
    while True:
        ready, _, _ = select.select([receive], [], [], 0.5)
        if ready:
            part = os.read(receive, 65536)
            if not part:
                break
            *lines, buffer = (buffer + part).split(_LINE_END)
            for line in lines:
                _count(line.decode(), tally)
        elif time.monotonic() - struct.unpack_from("d", current, 8)[0] > SECONDS + _GRACE:
            os.kill(child, signal.SIGKILL)
            killed = True
    os.close(receive)
    return os.waitpid(child, 0)[1], killed


def _count(line: str, tally: Tally) -> None:
    number, name, seconds, detail = line.split("\t", 3)
    outcome = Outcome[name]
    tally.counts[outcome] += 1
    tally.slowest = max(tally.slowest, float(seconds))
    if _LAST_RESORT in detail:
        tally.vague[detail.partition(_LAST_RESORT)[2].strip()[:160]] += 1
    if outcome in FAULTS:
        tally.faults.append((int(number), outcome, detail))


def _announce(current: mmap.mmap, number: int) -> None:
    struct.pack_into("qd", current, 0, number, time.monotonic())


def _work(
    reader: str, sound: list[Seed], numbers: range, seed: int, folder: Path, current: mmap.mmap, send: int
) -> None:
    """Read inputs, and send a line for each."""
    _limit()
    _import(reader, sound[0], folder)
    for number in numbers:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True, exist_ok=True)
        path, rng = make_input(reader, sound, seed, number, folder)
        _announce(current, number)
        start = time.monotonic()
        outcome, detail = _read(reader, path, rng)
        seconds = time.monotonic() - start
        _announce(current, number + 1)
        detail = " ".join(detail.split())[:400]
        os.write(send, f"{number}\t{outcome.name}\t{seconds:.3f}\t{detail}".encode(errors="replace") + _LINE_END)
    shutil.rmtree(folder, ignore_errors=True)


def _import(reader: str, seed: Seed, folder: Path) -> None:
    """Read a sound input, so that the time of imports is no input's."""
    for name, content in seed.files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    with suppress(Exception):
        READERS[reader].read(folder / seed.entry, random.Random(0))


def _limit() -> None:
    """Set the limits of this process, and send what libraries print nowhere."""
    with Path("/proc/self/statm").open() as statm:
        size = int(statm.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + BYTES, size + BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGALRM, _end)
    warnings.simplefilter("ignore")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)


def _end(_signal: int, _frame: Any) -> None:
    raise _TimeUpError


def _read(reader: str, path: Path, rng: random.Random) -> tuple[Outcome, str]:
    """Read one input."""
    try:
        try:
            signal.setitimer(signal.ITIMER_REAL, SECONDS)
            READERS[reader].read(path, rng)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
    except UnflatError as error:
        return Outcome.REFUSED, str(error)
    except _TimeUpError as error:
        return Outcome.HANG, _place(error)
    except MemoryError as error:
        return Outcome.MEMORY, _place(error)
    except BaseException as error:
        return Outcome.INTERNAL, f"{type(error).__name__}: {error} {_place(error)}"
    return Outcome.READ, ""


def _place(error: BaseException) -> str:
    """Return the last places of our own code and of all code in a traceback."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [f"{Path(f.filename).name}:{f.lineno}" for f in frames if "/recon/" in f.filename or "/cli/" in f.filename]
    last = frames[-1] if frames else None
    return f"[{' < '.join(reversed(own[-3:]))}; {last.filename if last else ''}:{last.lineno if last else ''}]"
