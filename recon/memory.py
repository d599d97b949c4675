"""Memory that this machine has available, and the refusal of what does not fit into it."""

import os
import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from .errors import DeviceError, Diagnostic

_ALWAYS_READ = 1 << 27
"""[bytes] Size below which an array is read without looking how much memory there is."""
_UNLIMITED = 1 << 60  # A control group of version 1 writes "no limit" as a number near 2**63.


def available_memory(root: Path = Path("/"), environment: Mapping[str, str] | None = None) -> int:
    """Return the host memory available to this process [bytes].

    It is the minimum of the free memory of the machine, of the rest of the control group's limit (container, SLURM
    job), and of the memory that SLURM granted.

    Args:
        root: Folder that contains ``proc`` and ``sys``.
        environment: Environment variables, which may hold SLURM's grant; those of the process by default.
    """
    limits = [
        _free_memory(root),
        _control_group(root),
        _slurm_grant(os.environ if environment is None else environment),
    ]
    return min((limit for limit in limits if limit is not None), default=_physical_memory())


def format_bytes(count: float | int) -> str:
    """Format a number of bytes: ``1.5 GiB``."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "B" or count >= 999.5 else f"{count:.3g} {unit}"
        count /= 1024
    return f"{count:.3g} TiB"


def _free_memory(root: Path) -> int | None:
    """Return the memory that Linux can provide without swapping [bytes]."""
    match = re.search(r"^MemAvailable:\s+(\d+) kB", _text(root / "proc/meminfo"), re.MULTILINE)
    return int(match[1]) * 1024 if match else None


def _physical_memory() -> int:
    """Return all memory of the machine [bytes], for systems that do not report the free part."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _control_group(root: Path) -> int | None:
    """Return the memory left in the tightest enclosing control group, version 2 or 1 [bytes].

    Inside a container the path of the group is often not mounted; its limits are then at the root of the mount.
    """
    mount = root / "sys/fs/cgroup"
    limits = []
    for line in _text(root / "proc/self/cgroup").splitlines():
        _, controllers, inner = line.split(":", 2)
        if controllers not in ("", "memory"):
            continue
        base, limit, used = (
            (mount, "memory.max", r"^anon (\d+)") if not controllers else
            (mount / "memory", "memory.limit_in_bytes", r"^total_rss (\d+)")
        )  # fmt: skip
        group = base / inner.lstrip("/")
        for folder in (group, *group.parents):
            if not folder.is_relative_to(base):
                break
            with suppress(ValueError):  # "max", or no such file
                total = int(_text(folder / limit))
                # The file cache does not count as used: it is released on demand.
                taken = re.search(used, _text(folder / "memory.stat"), re.MULTILINE)
                if total < _UNLIMITED:
                    limits.append(max(total - (int(taken[1]) if taken else 0), 0))
    return min(limits, default=None)


def _slurm_grant(environment: Mapping[str, str]) -> int | None:
    """Return the memory that SLURM granted on this node [bytes]; its variables are in MiB, and 0 means no limit."""
    with suppress(KeyError, ValueError):
        return int(environment["SLURM_MEM_PER_NODE"]) * 1024**2 or None
    with suppress(KeyError, ValueError):
        return int(environment["SLURM_MEM_PER_CPU"]) * int(environment["SLURM_CPUS_ON_NODE"]) * 1024**2 or None
    return None


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""


def require_memory(count: int, place: str, remedy: str) -> None:
    """Refuse to read an array that does not fit into the memory, before it is allocated.

    Args:
        count: [bytes] Size of the array.
        place: Place of the array, for the message.
        remedy: Instruction by which less is read.

    Raises:
        DeviceError: If it does not fit.
    """
    if count > _ALWAYS_READ and count > (available := available_memory()):
        message = f"takes {format_bytes(count)} of memory, and {format_bytes(available)} are available"
        raise DeviceError(Diagnostic(place, message, remedy))
