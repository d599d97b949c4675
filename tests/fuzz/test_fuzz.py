"""Damaged files never crash, block, exhaust the memory or look like a bug: some of them for each reader.

A longer run: ``python -m tests.fuzz --count 10000``.
"""

import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from unflat.recon.errors import DataError

from .readers import READERS
from .worker import make_input

COUNT = 10


@pytest.mark.parametrize("reader", READERS)
def test_sound_files_are_read(reader: str, tmp_path: Path) -> None:
    sound = [seed for seed in READERS[reader].make() if seed.target != "run.lock"]  # That is of another process.
    for number, seed in enumerate(sound):
        folder = tmp_path / str(number)
        for name, content in seed.files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)
        READERS[reader].read(folder / seed.entry, random.Random(1))


@pytest.mark.skipif(sys.platform != "linux", reason="the workers' limits are those of Linux")
def test_damaged_files_are_read_or_refused_in_words(root: Path) -> None:
    """As a process of its own, since the checks of annotations take ten times as long."""
    words = [sys.executable, "-m", "tests.fuzz", "--count", str(COUNT)]
    ended = subprocess.run(words, cwd=root, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert ended.stdout.splitlines()[-1].split()[:2] == ["all", str(COUNT * len(READERS))]


def test_an_input_is_the_same_at_any_time(tmp_path: Path) -> None:
    sound = {name: reader.make() for name, reader in READERS.items()}
    time.sleep(1.1)  # Files hold times in whole seconds.
    for reader, seeds in sound.items():
        again = READERS[reader].make()
        assert again == seeds, reader
        contents = []
        for attempt, files in enumerate((seeds, again)):
            folder = tmp_path / f"{reader}{attempt}"
            make_input(reader, files, 5, 3, folder)
            contents.append([file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file()])
        assert contents[0] == contents[1], reader


@pytest.mark.timeout(25)
@pytest.mark.parametrize("name", ["p.csv", "p.txt"])
def test_a_table_with_a_word_of_many_digits_is_refused(name: str, tmp_path: Path) -> None:
    """A pattern that tries every division of the digits took half a minute."""
    (tmp_path / name).write_text("z,y,x\n" + f"0.1,0.2,{'9' * 20_000}x\n" * 50)
    with pytest.raises(DataError):
        READERS["points"].read(tmp_path / name, random.Random(1))
