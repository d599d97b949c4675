"""Run the benchmarks and write the page of results.

python -m benchmarks                      all benchmarks that can run here; cached parts are not computed again
python -m benchmarks --only demo          one benchmark
python -m benchmarks --quick              tiny sizes, as a test of the code
"""

import sys
import traceback
from importlib import import_module
from pathlib import Path

import click

from .ledger import Ledger, Skipped
from .table import write_page

NAMES = (
    *("demo", "algae", "phantom", "fdtd", "views", "calibration", "speed", "waiting", "watch", "view", "series"),
    *("gold", "field", "scan54", "phasing-speed", "known-crystals", "strained-crystals", "uneven-curves", "network"),
    *("completion", "simulated-cells", "shapes", "sections", "classes"),
    *("verdicts-crystal", "verdicts-cell", "verdicts-shape", "network-prior"),
    "soak",
)
HERE = Path(__file__).resolve().parent


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--only", type=click.Choice(NAMES), multiple=True, help="Run only this benchmark; may be repeated.")
@click.option("--quick", is_flag=True, help="Tiny sizes, as a test of the code; the results mean nothing.")
@click.option("--again", is_flag=True, help="Compute cached parts again.")
@click.option("--minutes", type=click.FloatRange(min=0), help="Time of the soak; 20 by default.")
@click.option("--device", type=click.Choice(("auto", "cpu", "gpu")), default="auto", show_default=True)
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="Folder for results; benchmarks/results by default."
)
def main(
    only: tuple[str, ...], quick: bool, again: bool, minutes: float | None, device: str, output: Path | None
) -> None:
    """Run the benchmarks of unflat, and write a table of the results.

    Each benchmark caches its numbers after every part, so that an interrupted run continues where it stopped. A part
    whose settings have changed is computed again.

    \b
    Examples:
      python -m benchmarks
      python -m benchmarks --only algae --only phantom
      python -m benchmarks --only soak --minutes 5
      python -m benchmarks --quick -o /tmp/trial
    """  # noqa: D301 - click reads the \b
    from unflat.recon import devices

    folder = (output or HERE / ("results/quick" if quick else "results")).resolve()
    devices.use(device)  # type: ignore[arg-type]  # click has checked it
    failed = []
    for name in NAMES:
        if only and name not in only:
            continue
        ledger = Ledger(name, folder, quick=quick, device=device, again=again, minutes=minutes)
        if not _run(name, ledger):
            failed.append(name)
        write_page(folder, NAMES, quick)
    click.echo(f"wrote {folder / 'README.md'}")
    if failed:
        click.echo(f"failed: {', '.join(failed)}", err=True)
        sys.exit(1)


def _run(name: str, ledger: Ledger) -> bool:
    """Run one benchmark; a failure is reported in the table, and the others go on.

    Returns:
        Whether it ended without an error.
    """
    try:
        import_module(f".{name.replace('-', '_')}", __package__).run(ledger)
    except Skipped as reason:
        ledger.save(str(reason))
        click.echo(f"{name}: {reason}")
    except Exception as error:
        traceback.print_exc()
        ledger.save(f"failed: {type(error).__name__}: {str(error).splitlines()[0]}")
        return False
    else:
        ledger.save("complete")
        for row in ledger.rows:
            click.echo(f"{name}: {row.name}, {row.figure}: {row.ours} {row.unit}")
    return True


if __name__ == "__main__":
    main()
