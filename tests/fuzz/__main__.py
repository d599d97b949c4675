"""Command ``python -m tests.fuzz``: damaged files for the readers, and a table of what became of them."""

import argparse
import logging
import os
import sys
import tempfile
import warnings
from collections import defaultdict
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

from .readers import READERS
from .worker import FAULTS, Outcome, Tally, run_reader


def main(arguments: list[str] | None = None) -> int:
    """Run and print; the status is 1 if any input has a fault."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--count", type=int, default=500, help="number of inputs of each reader")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--reader", action="append", choices=READERS, help="only this one; may be repeated")
    parser.add_argument("--keep", type=Path, help="folder for copies of the inputs with a fault")
    parser.add_argument("--list", action="store_true", help="list every fault, not one of each sort")
    options = parser.parse_args(arguments)
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    tallies: dict[str, Tally] = {}
    memory = Path("/dev/shm") if Path("/dev/shm").is_dir() else None
    with tempfile.TemporaryDirectory(prefix="unflat-fuzz-", dir=memory) as folder:
        print(header(), flush=True)
        for name in options.reader or READERS:
            tallies[name] = run_reader(name, options.count, options.seed, Path(folder), options.keep)
            print(row(name, tallies[name]), flush=True)
            if options.list:
                for text, count in tallies[name].vague.most_common():
                    print(f"    vague: {count} × {text}", flush=True)
            for line in faults_of(tallies[name], every=options.list):
                print(f"    {line}", flush=True)
    total = Tally()
    for tally in tallies.values():
        total.counts += tally.counts
        total.vague += tally.vague
        total.seconds += tally.seconds
        total.slowest = max(total.slowest, tally.slowest)
    print(row("all", total))
    return 1 if any(total.counts[fault] for fault in FAULTS) else 0


def header() -> str:
    """Head of the table."""
    return (
        f"{'reader':14s}{'inputs':>8s}"
        + "".join(f"{o:>18s}" for o in Outcome)
        + f"{'vague':>8s}{'slowest s':>11s}{'time s':>9s}"
    )


def row(name: str, tally: Tally) -> str:
    """Row of the table for one reader."""
    numbers = "".join(f"{tally.counts[o]:18d}" for o in Outcome)
    return (
        f"{name:14s}{tally.counts.total():8d}{numbers}{tally.vague.total():8d}{tally.slowest:11.2f}{tally.seconds:9.0f}"
    )


def faults_of(tally: Tally, *, every: bool) -> list[str]:
    """Describe the faults: by sort, with the numbers of some inputs."""
    if every:
        return [f"{number} {outcome}: {detail}" for number, outcome, detail in tally.faults]
    sorts: dict[str, list[tuple[int, str]]] = defaultdict(list)
    for number, outcome, detail in tally.faults:
        sorts[f"{outcome} {detail.partition(':')[0][:30]} {detail.rpartition('[')[2]}"].append((number, detail))
    return [f"{len(inputs)} × {sort[:24]}, as {inputs[0][0]}: {inputs[0][1][:260]}" for sort, inputs in sorts.items()]


if __name__ == "__main__":
    sys.exit(main())
