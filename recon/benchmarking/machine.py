"""Description of this machine and of what computes on it, for results of measurements. Without jax."""

import os
import platform
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from ..devices import nvidia_cards, usable_cores


@cache
def machine() -> dict[str, str]:
    """Describe this machine, the versions of what computes, and the memory."""
    return {
        "cores": str(usable_cores()),
        "cpu": _cpu(),
        "memory": _memory(),
        "accelerator": "; ".join(nvidia_cards()),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "jax": _version("jax"),
        "numpy": _version("numpy"),
        "unflat": _version("unflat"),
    }


def load_average() -> float | None:
    """Mean number of processes that ran or waited in the last minute; None where the system does not count them."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else None


def _memory() -> str:
    if not hasattr(os, "sysconf"):
        return "unknown"
    return f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB"


def _cpu() -> str:
    """Return the name of the processor, with family and model."""
    try:
        text = Path("/proc/cpuinfo").read_text("utf-8")
    except OSError:
        return platform.processor() or "processor unknown"
    fields = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in text.splitlines())}
    name = fields.get("model name", "processor unknown")
    kind = ", ".join(f"{key} {fields[key]}" for key in ("cpu family", "model") if key in fields)
    return f"{name}, {kind}" if kind else name


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "absent"
