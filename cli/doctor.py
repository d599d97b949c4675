"""``unflat doctor``: devices and packages of this machine, and what to install."""

import os
import platform
import shutil
import sys
import tempfile
from importlib.metadata import PackageNotFoundError, metadata, requires
from pathlib import Path

import click

from ..recon import devices
from ..recon.errors import DataError, DeviceError
from ..recon.experiments import BUILT_IN, get_experiment
from ..recon.io import network_file
from ..recon.memory import available_memory, format_bytes
from ..recon.runs import gpu_checks, installation_checks, machine_checks
from ..recon.runs.remedies import Advice
from ..recon.version import __version__
from . import console

_CACHE_SWITCH = "JAX_ENABLE_COMPILATION_CACHE"
_OFF = ("0", "false", "off", "no", "n", "f")
"""Values of a switch of jax that turn it off."""
_REINSTALL = "pip install --force-reinstall --no-deps unflat"


@click.command()
@click.option(
    "--device",
    type=click.Choice(["auto", "cpu", "gpu", "tpu"]),
    default="auto",
    show_default=True,
    help="Device that must be present; exit status 4 if it is missing.",
)
def command(device: devices.Device) -> None:
    """Show the devices that unflat computes on and the versions of its packages, and find what commonly fails.

    Each problem comes with the command that mends it. The exit status is 0, also with advice; it is 4 if the device
    asked for is not usable.

    \b
    Examples:
      unflat doctor
      unflat doctor --device gpu || echo "no GPU on this node"
    """
    cards, environment = devices.nvidia_cards(), dict(os.environ)
    console.print_line(f"unflat {__version__}, Python {platform.python_version()} ({sys.executable})")
    console.print_line(f"{platform.system()} {platform.machine()}, {os.cpu_count()} CPU cores")
    console.print_line(f"memory {format_bytes(available_memory())} available")
    cache = devices.compilation_cache()
    _print_cache(cache, environment)
    advice = [*_check_slurm(), *_check_packages()]
    advice += _check_gpus(device, cards, environment)
    advice += _check_folders(cache, environment)
    advice += _check_process(environment)
    _print_advice(advice)
    _print_devices(device, cards)
    _print_advice(_check_networks())


def _print_cache(cache: Path | None, environment: dict[str, str]) -> None:
    """Print where compiled programs are cached, and which are not."""
    if (switch := environment.get(_CACHE_SWITCH, "")).lower() in _OFF:
        console.print_line(f"compiled programs are not cached: {_CACHE_SWITCH} is {switch}")
        return
    if (given := environment.get(devices.CACHE_VARIABLE)) == "":
        console.print_line(f"compiled programs are not cached: {devices.CACHE_VARIABLE} is empty")
        return
    source = "" if given is None else f", by {devices.CACHE_VARIABLE}"
    if cache is None:
        console.print_line(f"no folder for compiled programs can be written{source}")
        return
    console.print_line(f"compiled programs are cached in {cache}{source}")
    if devices.has_onednn():
        console.print_line("programs of networks on the CPU are compiled in each run: this jax cannot cache them")


def _check_slurm() -> list[Advice]:
    """Print whether SLURM is there, and its partitions."""
    partitions, refusal = machine_checks.slurm_partitions()
    listed = f"; partitions {', '.join(partitions)}" if partitions else ""
    has_sbatch = shutil.which("sbatch") is not None
    if job := os.environ.get("SLURM_JOB_ID"):
        console.print_line(f"SLURM: within job {job}, {os.environ.get('SLURM_CPUS_ON_NODE', '?')} cores on this node")
    elif has_sbatch and refusal:
        console.print_line("SLURM: sbatch is installed, but SLURM does not answer, see below")
    elif has_sbatch:
        console.print_line(f"SLURM: available (sbatch), not within a job{listed}")
    else:
        console.print_line("SLURM: not available")
    return machine_checks.check_slurm(has_sbatch, partitions, refusal)


def _check_packages() -> list[Advice]:
    """Print the versions of the packages, and check them and the installation."""
    imported = Path(__file__).resolve().parents[1]
    advice = installation_checks.check_copies(installation_checks.installed_copies(), imported)
    advice += installation_checks.check_bytecode()
    try:
        texts, supported = requires("unflat") or [], str(metadata("unflat")["Requires-Python"] or "")
    except PackageNotFoundError:
        problem = f"unflat runs from {imported} and is not installed: its packages cannot be checked"
        return [*advice, Advice(problem, f"pip install -e {imported}")]
    needed = installation_checks.requirements_of(texts)
    installed = {each.name: installation_checks.installed_version(each.name) for each in needed}
    console.print_line(f"uses {', '.join(f'{name} {own}' for name, own in installed.items() if own)}")
    if missing := [name for name, own in installed.items() if own is None]:
        console.print_line(f"MISSING: {', '.join(missing)}; install with: pip install {' '.join(missing)}")
    if extras := installation_checks.check_extras():
        names = " ".join(f"'{extra}'" for extra in extras)
        console.print_line(f"optional, not installed: {', '.join(extras)}; install with: pip install {names}")
    return [*installation_checks.check_python(supported), *installation_checks.check_versions(needed), *advice]


def _check_gpus(device: str, cards: list[str], environment: dict[str, str]) -> list[Advice]:
    """Check cards, plugin and driver."""
    plugins = gpu_checks.installed_plugins()
    return [
        *gpu_checks.check_plugin(cards, plugins),
        *(gpu_checks.check_driver(gpu_checks.driver_version(), plugins) if cards else []),
        *gpu_checks.check_platforms(environment, cards, device),
        *gpu_checks.check_preallocation(environment, cards),
    ]


def _check_folders(cache: Path | None, environment: dict[str, str]) -> list[Advice]:
    """Check the folders that runs write to, and their file systems."""
    advice = []
    variable = devices.CACHE_VARIABLE if devices.CACHE_VARIABLE in environment else "XDG_CACHE_HOME"
    cache_remedy = f"export {variable}=FOLDER, a folder that you can write"
    if cache is None and environment.get(devices.CACHE_VARIABLE) != "":
        advice.append(Advice("no folder for compiled programs can be written: each run compiles anew", cache_remedy))
    elif cache is not None:
        advice += machine_checks.check_folder(cache, "cache", cache_remedy)
    try:
        temporary = Path(environment.get("TMPDIR") or tempfile.gettempdir())  # Python passes over a wrong TMPDIR.
        advice += machine_checks.check_folder(temporary, "temporary folder", "export TMPDIR=FOLDER")
    except OSError:
        advice.append(Advice("no temporary folder can be written", "export TMPDIR=FOLDER, one that you can write"))
    try:
        here = Path.cwd()
    except OSError:
        return [*advice, Advice("the working folder no longer exists", "cd to one that does")]
    if problems := machine_checks.check_folder(here, "working folder", "cd to another one, or write with -o elsewhere"):
        return advice + problems
    kind = machine_checks.file_system(here)
    advice += machine_checks.check_locks(here, environment, kind, locks=machine_checks.can_lock(here))
    return advice + machine_checks.check_clock(machine_checks.clock_skew(here))


def _check_process(environment: dict[str, str]) -> list[Advice]:
    """Check limits, threads and text of this process."""
    return [
        *machine_checks.check_limits(*machine_checks.soft_limits()),
        *machine_checks.check_threads(environment, devices.usable_cores(), os.cpu_count() or 1),
        *machine_checks.check_text(*machine_checks.encodings()),
    ]


def _check_networks() -> list[Advice]:
    """Print the networks that come with unflat and give the values here that they gave after their training."""
    from ..recon.networks.weights import load_network

    right, advice = [], []
    for experiment in map(get_experiment, BUILT_IN):
        architecture = experiment.network_architecture()
        if architecture is None:
            continue
        try:
            network = network_file.read(network_file.SHIPPED, experiment.name)
            load_network(network, architecture)
            right += [experiment.name] if network.self_test is not None else []
        except DataError as error:
            advice.append(Advice(f"the network for a {experiment.name} cannot be used: {error}", _REINSTALL))
    if right:
        console.print_line(f"networks that give the values of their training here: {', '.join(right)}")
    return advice


def _print_advice(advice: list[Advice]) -> None:
    for each in dict.fromkeys(advice):
        console.print_line(f"advice: {each.problem}")
        console.print_line(f"  to mend it: {each.remedy}")


def _print_devices(device: devices.Device, cards: list[str]) -> None:
    try:
        first = devices.use(device)
    except DeviceError:
        console.print_line(f"NO {'DEVICE' if device == 'auto' else device.upper()}")
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
