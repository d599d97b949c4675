"""What a run will take, against what this machine has."""

import os
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import DeviceError, Diagnostic

PROGRAM_BYTES = 600 << 20
"""Memory of Python, jax and compiled programs."""
_UNLIMITED = 1 << 60  # A control group of version 1 writes "no limit" as a number near 2**63.


@dataclass(frozen=True)
class Estimate:
    """What a run will take.

    Args:
        memory_bytes: Largest amount of memory in use at one time.
        seconds: [s] Time of the whole run.
        lines: How the numbers come about, for people.
    """

    memory_bytes: int
    seconds: float | int
    lines: list[str] = field(default_factory=list)

    def require_fit(self, available: int, remedy: str) -> None:
        """Refuse a run that is larger than the device.

        Args:
            available: [bytes] Memory of the device.
            remedy: What makes the run smaller.

        Raises:
            DeviceError: If the run needs more than is available.
        """
        if self.memory_bytes > available:
            need, have = readable_bytes(self.memory_bytes), readable_bytes(available)
            raise DeviceError(Diagnostic("", f"the run needs about {need} of memory, and {have} are available", remedy))


def program_alone() -> Estimate:
    """Estimate a run of which no measurement is known yet."""
    return Estimate(PROGRAM_BYTES, 0.0, ["memory and time depend on the acquisition: name it to see them"])


def available_memory(root: Path = Path("/"), environment: Mapping[str, str] | None = None) -> int:
    """[bytes] Memory that this process may still take on its host.

    The least of what the machine has free, what its control group (container, SLURM job) leaves, and what SLURM
    granted.

    Args:
        root: Where ``/proc`` and ``/sys`` stand.
        environment: Variables that may hold SLURM's grant; those of the process by default.
    """
    limits = [_free_memory(root), _control_group(root), _slurm(os.environ if environment is None else environment)]
    return min((limit for limit in limits if limit is not None), default=_physical_memory())


def readable_bytes(count: float | int) -> str:
    """Write a number of bytes as people do: ``1.5 GiB``."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.3g} {unit}"
        count /= 1024
    return f"{count:.3g} TiB"


def _free_memory(root: Path) -> int | None:
    """Memory that Linux can give without swapping."""
    found = re.search(r"^MemAvailable:\s+(\d+) kB", _text(root / "proc/meminfo"), re.MULTILINE)
    return int(found[1]) * 1024 if found else None


def _physical_memory() -> int:
    """All memory of the machine, where the system does not say how much of it is free."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _control_group(root: Path) -> int | None:
    """What the tightest enclosing control group leaves, of version 2 or 1.

    Inside a container the group's own path is often not mounted; its limits then stand at the mount's root.
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
                # Memory that only caches files is given back when it is needed: it does not count as used.
                taken = re.search(used, _text(folder / "memory.stat"), re.MULTILINE)
                if total < _UNLIMITED:
                    limits.append(max(total - (int(taken[1]) if taken else 0), 0))
    return min(limits, default=None)


def _slurm(environment: Mapping[str, str]) -> int | None:
    """What SLURM granted on this node: variables in MiB, where 0 means all of it."""
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
