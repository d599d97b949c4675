"""``unflat demo``: simulation, reconstruction and comparison with the truth."""

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from ..recon.errors import ConfigError, Diagnostic, Interrupted, Stopped
from ..recon.experiments import BUILT_IN, get_experiment
from . import console
from .options import KIND, OUTPUT, config_options
from .running import run_command


@click.command()
@click.argument("kind", default="cell", metavar=f"[{'|'.join(BUILT_IN)}]", **KIND)
@click.option("-o", "--output", type=OUTPUT, help="Folder to write; demo-KIND here, if not given.")
@click.option("--force", is_flag=True, help="Replace the folder's contents where they exist.")
@config_options
def command(kind: str, output: Path | None, force: bool, overrides: list[str]) -> None:
    """Simulate a specimen, reconstruct it, and compare it with the truth: about two minutes on a laptop.

    The simulation and the reconstruction use different models, so that the comparison is honest. The images of a cell
    are simulated by SSNP at half the voxel, with counting noise, and fitted by multi-slice. A crystal diffracts as a
    continuous object and is reconstructed on voxels. Of red blood cells one section is simulated. The folder receives
    the config, the acquisition with its truth, and the run with its report.

    \b
    Examples:
      unflat demo
      unflat demo cell -o mydemo --seed 3
      unflat demo shape
      unflat demo cell -o beads --set simulate.specimen=beads --set fit.field=voxels
    """
    from ..recon.experiments.configs import parse_config
    from ..recon.experiments.run import RunOptions
    from ..recon.experiments.shipped_configs import shipped
    from ..recon.runs.launch import command_line

    folder = output or Path(f"demo-{kind}")
    settings = parse_config(shipped(f"demo-{kind}"), overrides, name=f"demo-{kind}.yaml")
    run = folder / "run"
    if run.exists() and not force:
        fault = Diagnostic(str(folder), "holds a demo already", "choose another name, or replace it with --force")
        raise ConfigError(fault)
    acquisition, method = folder / "acquisition.h5", get_experiment(kind).default_method
    _simulate(settings, acquisition)
    words = (method, folder / "config.yaml", acquisition, "-o", run)
    with _resume_command(words):
        run_command(method, settings, acquisition, RunOptions(run, force=force, command=command_line(words, run)))
    _show_comparison(kind, acquisition, run)


def _show_comparison(kind: str, acquisition: Path, run: Path) -> None:
    """Draw the result beside the truth, where its kind has such a figure."""
    from ..recon.io.result import read_result
    from ..recon.io.volume_formats import read_volume
    from ..recon.visualization.style import save_figure

    figure = get_experiment(kind).comparison_figure(read_volume(acquisition), read_result(run))
    if figure is not None:
        save_figure(figure, run.with_name("comparison.png"))
        console.report_file(run.with_name("comparison.png"))


@contextmanager
def _resume_command(words: tuple[str | Path, ...]) -> Iterator[None]:
    """Name the command that resumes a stopped reconstruction: a demo run again would start anew.

    Args:
        words: Words of the reconstruction's own command.
    """
    try:
        yield
    except (Stopped, Interrupted) as error:
        command = shlex.join(["unflat", *map(str, words), "--resume"])
        faults = [replace(fault, remedy=f"go on with: {command}") if fault.remedy else fault for fault in error.faults]
        raise type(error)(*faults) from error


def _simulate(settings: Any, path: Path) -> None:
    """Write the simulated acquisition, and the config beside it."""
    from ..recon import devices
    from ..recon.config import dump_commented
    from ..recon.io.write import write
    from ..recon.runs import write_atomically

    devices.use(settings.device)
    path.parent.mkdir(parents=True, exist_ok=True)
    kind = get_experiment(settings.kind)
    with console.progress("simulate") as progress:
        simulated = kind.simulate(settings, progress)
    write(simulated, kind.schema, path)
    with write_atomically(path.with_name("config.yaml")) as temporary:
        temporary.write_text(dump_commented(settings), encoding="utf-8")
    console.report_file(path)
