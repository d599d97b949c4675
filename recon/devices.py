"""Where to compute: chosen before jax is imported, and said aloud when it is not what one would expect.

This module imports jax only within ``use``; the rest looks at the machine.
"""

import logging
import os
import platform as host
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

from .errors import DeviceError, Diagnostic

if TYPE_CHECKING:
    import jax

Device: TypeAlias = Literal["auto", "cpu", "gpu", "tpu"]

INSTALL_CUDA = "pip install 'unflat[cuda]'"

_log = logging.getLogger(__name__)


def use(device: Device = "auto", *, networks: bool = False) -> "jax.Device":
    """Choose the device of everything computed from now on, and import jax.

    To be called before anything else imports jax; later it can only check.

    Args:
        device: ``auto`` takes an accelerator if jax finds one. ``gpu`` and ``tpu`` insist.
        networks: Whether convolutions are most of the work.

    Returns:
        The first device of that kind.

    Raises:
        DeviceError: If the device asked for is absent.
    """
    _prepare(device)
    if networks:
        _convolve_fast()
    import jax

    try:
        first = jax.devices()[0]
    except RuntimeError as error:
        raise DeviceError(_absent(device, str(error).splitlines()[0])) from None
    if device in ("gpu", "tpu") and first.platform != device:
        raise DeviceError(_absent(device, f"jax finds only the {first.platform.upper()}"))
    if device == "auto" and first.platform == "cpu" and nvidia_cards() and not _asked_for_cpu():
        _log.warning(
            "COMPUTING ON THE CPU although this machine has an NVIDIA card (%s): jax cannot use it; install its part "
            "with %s, or choose the CPU with --device cpu",
            "; ".join(nvidia_cards()),
            INSTALL_CUDA,
        )
    if first.platform == "cpu":
        _keep_memory()
    _log.info("computing on %s", first)
    return first


def _keep_memory() -> None:
    """Ask the C library to keep what is freed for the next step, on Linux with glibc.

    A step's arrays are large, and would be given back to the system after each and be asked for, page by page and
    cleared, in the next: a fifth of the time of a gradient through 40 slices of 320 × 320. The environment's own
    settings of malloc go before these.
    """
    if not sys.platform.startswith("linux") or host.libc_ver()[0] != "glibc":
        return
    if any(name.startswith(("MALLOC_", "GLIBC_TUNABLES")) for name in os.environ):
        return
    import ctypes

    trim_threshold, mmap_max, arena_max = -1, -4, -8  # malloc.h
    mallopt = ctypes.CDLL(None).mallopt
    for parameter, value in ((arena_max, 1), (mmap_max, 0), (trim_threshold, 2**31 - 1)):
        mallopt(parameter, value)


def _convolve_fast() -> None:
    """Have XLA give convolutions on a CPU to oneDNN: they take a third of the time, or a fifth.

    An option of the releases of jax named here, and of no effect on others' accelerators. One that XLA does not know
    ends the process, so that later releases are not asked.
    """
    from importlib.metadata import version

    option = "--xla_cpu_experimental_onednn_custom_call"
    release = tuple(int(part) for part in version("jax").split(".")[:2])
    given = os.environ.get("XLA_FLAGS", "")
    if (0, 11) <= release < (0, 13) and option not in given:
        os.environ["XLA_FLAGS"] = f"{given} {option}=true".strip()
        os.environ.setdefault("JAX_ENABLE_COMPILATION_CACHE", "false")  # These programs cannot be written down.


def _asked_for_cpu() -> bool:
    return os.environ.get("JAX_PLATFORMS", "").split(",")[0] == "cpu"


def _prepare(device: Device) -> None:
    """Set what jax reads when it is imported; a user's own settings go before ours, except the device asked for."""
    environment = {
        # jax would take 75 % of the card's memory at once, from other jobs on it.
        "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
        "TF_CPP_MIN_LOG_LEVEL": "2",
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    }
    if (cache := compilation_cache()) is not None:
        environment["JAX_COMPILATION_CACHE_DIR"] = str(cache)
    for name, value in environment.items():
        os.environ.setdefault(name, value)
    if device == "gpu":
        # Not "cuda": AMD's cards answer to another name. Left open, jax takes the accelerator first, and `use` checks.
        os.environ.pop("JAX_PLATFORMS", None)
    elif device != "auto":
        os.environ["JAX_PLATFORMS"] = {"cpu": "cpu", "tpu": "tpu,cpu"}[device]
    if "jax" in sys.modules and device != "auto":
        import jax

        update: Callable[[str, str | None], None] = jax.config.update  # untyped in some releases of jax
        update("jax_platforms", os.environ.get("JAX_PLATFORMS"))


def compilation_cache() -> Path | None:
    """Find the folder of compiled programs in the user's cache, made if need be; None where it cannot be written."""
    if host.system() == "Darwin":
        base = Path.home() / "Library" / "Caches"
    elif host.system() == "Windows":
        base = Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local"))
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = base / "unflat" / "jax"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return None
    return folder if os.access(folder, os.W_OK) else None


def _absent(device: Device, why: str) -> Diagnostic:
    if device == "gpu" and nvidia_cards():
        remedy = f"this machine has an NVIDIA card: install jax's part for it with {INSTALL_CUDA}"
    elif device == "gpu":
        remedy = "no NVIDIA card is seen on this machine: ask for a node that has one, or use --device cpu"
    else:
        remedy = "use --device auto, or see 'unflat doctor'"
    return Diagnostic("", f"no {device.upper()} to compute on: {why}", remedy)


def nvidia_cards() -> list[str]:
    """Name the NVIDIA cards of this machine, whether or not jax can use them."""
    if shutil.which("nvidia-smi"):
        try:
            answer = subprocess.run(
                ["nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader"],
                capture_output=True,
                text=True,
                timeout=20,
                check=True,
            )
        except (OSError, subprocess.SubprocessError):
            pass
        else:
            return [line.strip() for line in answer.stdout.splitlines() if line.strip()]
    if any(Path("/proc/driver/nvidia/gpus").glob("*")):
        return ["an NVIDIA card"]
    return []
