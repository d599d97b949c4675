"""The machine that figures were measured on."""

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
    """A short checksum of the code that is measured: parts of one benchmark should have one."""
    root = Path(__file__).resolve().parents[1]
    digest = sha256()
    for path in sorted(p for room in ("cli", "recon", "physics") for p in (root / room).rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def sentence(facts: dict[str, str]) -> str:
    """The machine in one line."""
    graphics = f", {facts['accelerator']}" if facts["accelerator"] else ", no accelerator"
    return (
        f"{facts['cores']} cores ({facts['cpu']}), {facts['memory']} of memory{graphics}; Python {facts['python']}, "
        f"jax {facts['jax']}, numpy {facts['numpy']}, unflat {facts['unflat']}; {facts['system']}"
    )


def _cpu() -> str:
    """The processor's name, and its kind where the name says nothing."""
    try:
        text = Path("/proc/cpuinfo").read_text("utf-8")
    except OSError:
        return platform.processor() or "processor unknown"
    facts = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in text.splitlines())}
    name = facts.get("model name", "processor unknown")
    kind = ", ".join(f"{key} {facts[key]}" for key in ("cpu family", "model") if key in facts)
    return f"{name}, {kind}" if kind else name


def _accelerator() -> str:
    from unflat.recon.devices import nvidia_cards

    return "; ".join(nvidia_cards())


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "absent"
