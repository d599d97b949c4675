"""Machine on which results were measured."""

import os
import platform
from functools import cache
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path


@cache
def machine() -> dict[str, str]:
    """Describe this machine and what computes on it, without importing jax."""
    return {
        "cores": str(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()),
        "cpu": _cpu(),
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB",
        "accelerator": _accelerator(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "jax": _version("jax"),
        "numpy": _version("numpy"),
        "unflat": _version("unflat"),
    }


@cache
def source() -> str:
    """Return a short checksum of the measured code; the parts of a benchmark should have the same."""
    root = Path(__file__).resolve().parents[1]
    digest = sha256()
    for path in sorted(p for room in ("cli", "recon", "physics") for p in (root / room).rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def sentence(description: dict[str, str]) -> str:
    """Format the description of a machine in one line."""
    accelerator = description["accelerator"] or "no accelerator"
    template = (
        "{cores} cores ({cpu}), {memory} of memory, {graphics}; Python {python}, jax {jax}, numpy {numpy}, "
        "unflat {unflat}; {system}"
    )
    return template.format(**description, graphics=accelerator)


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


def _accelerator() -> str:
    from unflat.recon.devices import nvidia_cards

    return "; ".join(nvidia_cards())


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "absent"
