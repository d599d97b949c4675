"""Program that writes scans into a folder at irregular times, as copies and instruments do.

python -m benchmarks.scan_writer SOURCES TARGET LOG --seed N --pause SECONDS
"""

import json
import random
import time
from pathlib import Path

import click
import h5py

PIECES = 4
"""Number of pieces in which a file is written."""


@click.command()
@click.argument("sources", type=click.Path(path_type=Path))
@click.argument("target", type=click.Path(path_type=Path))
@click.argument("log", type=click.Path(path_type=Path))
@click.option("--seed", default=0)
@click.option("--pause", default=1.0, help="[s] Mean time between two scans.")
def main(sources: Path, target: Path, log: Path, seed: int, pause: float) -> None:
    """Write each file of SOURCES into TARGET, and the time of its last byte into LOG."""
    chance = random.Random(seed)
    for number, source in enumerate(sorted(sources.iterdir())):
        time.sleep(chance.expovariate(1 / pause))
        way = (copy_in_pieces, copy_and_rename, write_as_hdf5)[number % 3]
        way(source, target / source.name, chance)
        with log.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"name": source.stem, "time": time.time()}) + "\n")


def copy_in_pieces(source: Path, target: Path, chance: random.Random) -> None:
    """Copy a file under its name, in pieces with pauses."""
    content = source.read_bytes()
    size = -(-len(content) // PIECES)
    with target.open("wb") as file:
        for first in range(0, len(content), size):
            file.write(content[first : first + size])
            file.flush()
            time.sleep(chance.uniform(0, 0.8))


def copy_and_rename(source: Path, target: Path, chance: random.Random) -> None:
    """Copy a file under another name, and rename it, as rsync does."""
    hidden = target.with_name(f".{target.name}.Xy12Zw")
    copy_in_pieces(source, hidden, chance)
    hidden.rename(target)


def write_as_hdf5(source: Path, target: Path, chance: random.Random) -> None:
    """Write an HDF5 file that stays open, and locked, for longer than a file takes to settle; copy any other."""
    if not h5py.is_hdf5(source):
        copy_in_pieces(source, target, chance)
        return
    with h5py.File(source) as original, h5py.File(target, "w") as file:
        file.attrs.update(original.attrs)
        for name in original:
            original.copy(name, file)
            file.flush()
            time.sleep(chance.uniform(0, 3.0))


if __name__ == "__main__":
    main()
