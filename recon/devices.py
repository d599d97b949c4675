"""Choice of the device to compute on, before jax is imported.

A fallback to the CPU on a machine with a GPU is logged as a warning. Only :func:`use` imports jax.
"""

import ctypes
import logging
import os
import platform as host
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

from .errors import DeviceError, Diagnostic
from .memory import available_memory
from .processes.group import ProcessGroup, current
from .processes.jax_start import require_same_platform, start_jax

if TYPE_CHECKING:
    import jax

Device: TypeAlias = Literal["auto", "cpu", "gpu", "tpu"]

INSTALL_CUDA = "pip install 'unflat[cuda]'"
CACHE_VARIABLE = "JAX_COMPILATION_CACHE_DIR"
"""Environment variable with the folder of compiled programs; an empty one turns the cache off."""

_log = logging.getLogger(__name__)


def use(
    device: Device = "auto", *, networks: bool = False, group: ProcessGroup | None = None, joint: bool = True
) -> "jax.Device":
    """Choose the device of all later computations, and import jax.

    It must be called before anything else imports jax; afterwards it only checks the device.

    Args:
        device: ``auto`` takes an accelerator if jax finds one; ``gpu`` and ``tpu`` require it.
        networks: Whether most of the work is convolutions of a network.
        group: Processes that work together; by default this one alone.
        joint: Whether they compute each step together.

    Returns:
        The first device of that type.

    Raises:
        DeviceError: If the requested device is absent.
    """
    _set_environment(device)
    if networks:
        _enable_onednn()
    import jax

    cards = _visible_cards() if group is not None and group.count > 1 and not _uses_cpu(device) else []
    if group is not None:
        start_jax(group, cards, joint=joint)
    try:
        first = jax.local_devices()[0]
    except RuntimeError as error:
        raise DeviceError(_missing_device(device, str(error).splitlines()[0])) from None
    if device in ("gpu", "tpu") and first.platform != device:
        raise DeviceError(_missing_device(device, f"jax finds only the {first.platform.upper()}"))
    if device == "auto" and first.platform == "cpu" and nvidia_cards() and not _cpu_is_requested():
        _log.warning(
            "COMPUTING ON THE CPU although this machine has an NVIDIA card (%s): jax cannot use it; install its part "
            "with %s, or choose the CPU with --device cpu",
            "; ".join(nvidia_cards()),
            INSTALL_CUDA,
        )
    if first.platform == "cpu":
        _retain_freed_memory()
    if group is not None:
        require_same_platform(group, first.platform, is_divided=bool(cards))
    count = jax.local_device_count()
    among = "" if group is None or group.count == 1 else f" in each of {group.count} processes"
    _log.info("computing on %s%s", first if count == 1 else f"{count} devices like {first}", among)
    return first


_TRIM_THRESHOLD, _MMAP_THRESHOLD, _MMAP_MAX, _ARENA_MAX = -1, -3, -4, -8
"""Parameters of mallopt, of malloc.h."""
_LARGE_BLOCK = 4 << 20
"""[byte] Smallest block that `return_large_blocks` has the system give and take back."""
_retains = False


def _retain_freed_memory() -> None:
    """Make glibc retain freed memory for the next step, on Linux.

    By default the large arrays of a step are returned to the system and requested again, page by page and cleared, in
    the next step: a fifth of the time of a gradient through 40 slices of 320 × 320. Settings of malloc in the
    environment take precedence.
    """
    global _retains
    if not sys.platform.startswith("linux") or host.libc_ver()[0] != "glibc":
        return
    if any(name.startswith(("MALLOC_", "GLIBC_TUNABLES")) for name in os.environ):
        return
    mallopt = ctypes.CDLL(None).mallopt
    for parameter, value in ((_ARENA_MAX, 1), (_MMAP_MAX, 0), (_TRIM_THRESHOLD, 2**31 - 1)):
        mallopt(parameter, value)
    _retains = True


@contextmanager
def return_large_blocks() -> Iterator[None]:
    """Return large freed blocks to the system within the context, where glibc was told to retain them.

    For programs that compute for seconds at a time in a few large arrays of many sizes: retained blocks that suit none
    of the later ones add up to several times the arrays, and new pages cost them next to nothing.
    """
    if not _retains:
        yield
        return
    mallopt = ctypes.CDLL(None).mallopt
    mallopt(_MMAP_THRESHOLD, _LARGE_BLOCK)
    mallopt(_MMAP_MAX, 65536)
    release_memory()
    try:
        yield
    finally:
        mallopt(_MMAP_MAX, 0)


def _enable_onednn() -> None:
    """Make XLA compute convolutions on a CPU by oneDNN, in a third to a fifth of the time.

    The option exists in the releases of jax named here and has no effect on accelerators. XLA ends the process at an
    unknown option, so that it is not set for later releases.
    """
    option = "--xla_cpu_experimental_onednn_custom_call"
    given = os.environ.get("XLA_FLAGS", "")
    if has_onednn() and option not in given:
        os.environ["XLA_FLAGS"] = f"{given} {option}=true".strip()
        os.environ.setdefault("JAX_ENABLE_COMPILATION_CACHE", "false")  # These programs cannot be cached.


def has_onednn() -> bool:
    """Whether this release of jax computes the convolutions of networks on a CPU by oneDNN, which is not cached."""
    from importlib.metadata import version

    return (0, 11) <= tuple(int(part) for part in version("jax").split(".")[:2]) < (0, 13)


def _uses_cpu(device: Device) -> bool:
    return device == "cpu" or _cpu_is_requested()


def _cpu_is_requested() -> bool:
    return os.environ.get("JAX_PLATFORMS", "").split(",")[0] == "cpu"


def usable_cores() -> int:
    """Return the number of CPU cores that this process may use: those that a scheduler gave it, where it says so."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def release_memory() -> None:
    """Return freed memory to the system: glibc keeps what it may need again, between larger blocks in use."""
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)


def _set_environment(device: Device) -> None:
    """Set the environment variables that jax reads when it is imported.

    Variables that the user has set take precedence, except for the requested device.
    """
    environment = {
        # By default jax reserves 75 % of the memory of a GPU, which other jobs may need.
        "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
        "TF_CPP_MIN_LOG_LEVEL": "2",
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    }
    if (cache := compilation_cache()) is not None:
        environment[CACHE_VARIABLE] = str(cache)
    for name, value in environment.items():
        os.environ.setdefault(name, value)
    if device == "gpu":
        # Not "cuda", which AMD's GPUs are not: without a platform jax prefers an accelerator, and `use` checks it.
        os.environ.pop("JAX_PLATFORMS", None)
    elif device != "auto":
        os.environ["JAX_PLATFORMS"] = {"cpu": "cpu", "tpu": "tpu,cpu"}[device]
    if "jax" in sys.modules and device != "auto":
        import jax

        update: Callable[[str, str | None], None] = jax.config.update  # untyped in some releases of jax
        update("jax_platforms", os.environ.get("JAX_PLATFORMS"))


def compilation_cache() -> Path | None:
    """Return the folder of compiled programs, created if need be; None if there is none that can be written.

    It is the one that ``JAX_COMPILATION_CACHE_DIR`` names, else one in the user's cache.
    """
    given = os.environ.get(CACHE_VARIABLE)
    folder = _user_cache() / "unflat" / "jax" if given is None else Path(given)
    if given == "" or "://" in (given or ""):  # No cache, or one that is not on a disk.
        return None
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return None
    return folder if os.access(folder, os.W_OK) else None


def _user_cache() -> Path:
    """Return the folder of the user for files that can be made again."""
    if host.system() == "Darwin":
        return Path.home() / "Library" / "Caches"
    if host.system() == "Windows":
        return Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local"))
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")


def _missing_device(device: Device, reason: str) -> Diagnostic:
    """Describe a missing device, with a remedy for this machine."""
    if device == "gpu" and nvidia_cards():
        remedy = f"this machine has an NVIDIA card: install jax's part for it with {INSTALL_CUDA}"
    elif device == "gpu":
        remedy = "this machine has no NVIDIA card: request a node that has one, or use --device cpu"
    elif device == "auto" and (platforms := os.environ.get("JAX_PLATFORMS")):
        remedy = f"unset JAX_PLATFORMS, which is {platforms!r}"
    else:
        remedy = "use --device auto, or see 'unflat doctor'"
    title = "device" if device == "auto" else device.upper()
    return Diagnostic("", f"no {title} to compute on: {reason}", remedy)


def _visible_cards() -> list[str]:
    """Name the NVIDIA cards that this process sees, apart from all others of the machine."""
    names = _query_cards("uuid") or [path.name for path in sorted(Path("/proc/driver/nvidia/gpus").glob("*"))]
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if chosen is None:
        return names
    parts = [part.strip() for part in chosen.split(",") if part.strip()]
    return [names[int(part)] if part.isdecimal() and int(part) < len(names) else part for part in parts]


def device_memory(device: Device = "auto") -> int:
    """Return the memory [bytes] that a computation may take: of the accelerator, or of the host.

    Before jax is imported an NVIDIA card counts as the device, unless the CPU is requested.

    Args:
        device: The requested device.
    """
    jax = sys.modules.get("jax")
    if jax is not None:
        stats = None if device == "cpu" else jax.local_devices()[0].memory_stats()
        return int(stats["bytes_limit"]) if stats and "bytes_limit" in stats else host_memory()
    cards = [] if device in ("cpu", "tpu") or _cpu_is_requested() else nvidia_cards()
    sizes = [int(match[1]) << 20 for card in cards if (match := re.search(r"(\d+) MiB", card))]
    return min(sizes) if sizes else host_memory()


def host_memory() -> int:
    """Return the memory [bytes] of this host for one process, where those of its group on this machine share it."""
    return available_memory() // current().local[1]


def nvidia_cards() -> list[str]:
    """List the NVIDIA cards of this machine, whether or not jax can use them."""
    cards = _query_cards("name,memory.total")
    if not cards and any(Path("/proc/driver/nvidia/gpus").glob("*")):
        return ["an NVIDIA card"]
    return cards


def _query_cards(properties: str) -> list[str]:
    """Ask NVIDIA's tool for properties of all cards; nothing where it does not answer."""
    if shutil.which("nvidia-smi"):
        command = ["nvidia-smi", f"--query-gpu={properties}", "--format=csv,noheader"]
        with suppress(OSError, subprocess.SubprocessError):
            output = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
            return [line.strip() for line in output.stdout.splitlines() if line.strip()]
    return []
