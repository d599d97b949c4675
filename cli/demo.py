"""``unflat demo``: the whole way on a simulated specimen, whose truth is known."""

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from ..recon.errors import ConfigError, Diagnostic, Interrupted, Stopped
from ..recon.experiments import NAMES, get_experiment
from . import console
from .options import KIND, PATH, Request, config_options
from .running import reconstruct, way_named


@click.command()
@click.argument("kind", default="cell", metavar=f"[{'|'.join(NAMES)}]", **KIND)
@click.option("-o", "--output", type=PATH, help="Folder to write; demo-KIND here, if not given.")
@click.option("--force", is_flag=True, help="Replace the folder's contents where they exist.")
@config_options
def command(kind: str, output: Path | None, force: bool, overrides: list[str]) -> None:
    """Simulate a specimen, reconstruct it, and compare it with the truth: about two minutes on a laptop.

    Light crosses a simulated cell by one model (SSNP, at half the voxel, with counting noise) and the fit sees it by
    another (multi-slice), so that the comparison is honest; a crystal diffracts as it is in space, not on the voxels in
    which it is sought; of simulated red blood cells one section is seen. The folder gets the config, the acquisition
    with its truth, and the run with its report.

    \b
    Examples:
      unflat demo
      unflat demo cell -o mydemo --seed 3
      unflat demo shape
      unflat demo cell -o beads --set simulate.specimen=beads --set fit.field=voxels
    """
    from ..recon.experiments.configs import parse_config
    from ..recon.experiments.shipped_configs import shipped

    folder = output or Path(f"demo-{kind}")
    text = shipped(f"demo-{kind}")
    settings = parse_config(text, overrides, name=f"demo-{kind}.yaml")
    if (folder / "run").exists() and not force:
        raise ConfigError(
            Diagnostic(str(folder), "holds a demo already", "choose another name, or replace it with --force")
        )
    acquisition = folder / "acquisition.h5"
    _simulate(settings, acquisition)
    way, run = way_named(get_experiment(kind).way), folder / "run"
    with _telling_how_to_go_on(folder, way.name):
        numbers = reconstruct(way, Request(settings, acquisition, run, force=force))
    if way.show is not None:
        way.show(acquisition, run, numbers)


@contextmanager
def _telling_how_to_go_on(folder: Path, way: str) -> Iterator[None]:
    """Have a stopped reconstruction name the command that goes on with it: a demo run again would begin anew."""
    try:
        yield
    except (Stopped, Interrupted) as error:
        files = [str(folder / name) for name in ("config.yaml", "acquisition.h5", "run")]
        command = shlex.join(["unflat", way, *files[:2], "-o", files[2], "--resume"])
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
