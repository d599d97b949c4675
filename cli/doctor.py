"""``unflat doctor``: devices and packages of this machine, and what to install."""

import os
import platform
import shutil
import sys
from importlib.metadata import PackageNotFoundError, requires, version

import click

from ..recon import devices
from ..recon.errors import DeviceError
from ..recon.memory import available_memory, format_bytes
from ..recon.version import __version__
from . import console


@click.command()
@click.option(
    "--device",
    type=click.Choice(["auto", "cpu", "gpu", "tpu"]),
    default="auto",
    show_default=True,
    help="Device that must be present; exit status 4 if it is missing.",
)
def command(device: devices.Device) -> None:
    """Show the devices that unflat computes on, the versions of its packages, and what to install.

    \b
    Examples:
      unflat doctor
      unflat doctor --device gpu || echo "no GPU on this node"
    """
    console.print_line(f"unflat {__version__}, Python {platform.python_version()} ({sys.executable})")
    console.print_line(f"{platform.system()} {platform.machine()}, {os.cpu_count()} CPU cores")
    console.print_line(f"memory {format_bytes(available_memory())} available")
    cache = devices.compilation_cache()
    console.print_line(
        f"compiled programs are cached in {cache}" if cache else "no folder for compiled programs can be written"
    )
    _print_slurm()
    _print_packages()
    _print_devices(device)


def _print_slurm() -> None:
    if job := os.environ.get("SLURM_JOB_ID"):
        console.print_line(f"SLURM: within job {job}, {os.environ.get('SLURM_CPUS_ON_NODE', '?')} cores on this node")
    elif shutil.which("sbatch"):
        console.print_line("SLURM: available (sbatch), not within a job")
    else:
        console.print_line("SLURM: not available")


def _print_packages() -> None:
    requirements = [text for text in requires("unflat") or [] if "extra ==" not in text]
    missing = []
    installed = []
    for text in requirements:
        name = text.split(";")[0].split("[")[0].split("<")[0].split(">")[0].split("=")[0].strip()
        try:
            installed.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            missing.append(name)
    console.print_line(f"uses {', '.join(installed)}")
    if missing:
        console.print_line(f"MISSING: {', '.join(missing)}; install with: pip install {' '.join(missing)}")


def _print_devices(device: devices.Device) -> None:
    cards = devices.nvidia_cards()
    try:
        first = devices.use(device)
    except DeviceError:
        console.print_line(f"NO {device.upper()}")
        raise
    import jax

    for visible in jax.devices():
        console.print_line(f"jax {jax.__version__} computes on {visible.platform.upper()}: {visible.device_kind}")
    if first.platform != "cpu":
        return
    if cards:
        console.print_line(f"NO GPU IN USE, although this machine has: {'; '.join(cards)}")
        console.print_line(f"to use it: {devices.INSTALL_CUDA}")
    else:
        console.print_line("NO GPU: this machine has none that is visible; everything runs on the CPU")
