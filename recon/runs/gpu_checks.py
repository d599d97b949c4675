"""Checks of GPUs, without jax: its plugin, the driver, and the environment that it reads."""

import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib.metadata import distributions

from ..devices import INSTALL_CUDA
from .remedies import Advice

LEAST_DRIVER = {"cuda12": (525, 60), "cuda13": (580, 0)}
"""Oldest NVIDIA driver on Linux that each major version of CUDA works with (CUDA release notes, table of drivers)."""
_PLATFORMS = ("cpu", "gpu", "cuda", "rocm", "tpu", "oneapi", "METAL", "mps", "")
_PLUGIN = re.compile(r"jax[-_.](cuda\d+)[-_.]plugin", re.IGNORECASE)
_LARGEST_SHARE = 0.95
"""Share of a GPU's memory from which nothing is left for others and for cuDNN."""


def installed_plugins() -> list[str]:
    """Names of CUDA's versions for which jax's plugin is installed, as ``cuda13``."""
    names = {str(each.metadata["Name"]) for each in distributions() if each.metadata["Name"]}
    return sorted({match[1].lower() for name in names if (match := _PLUGIN.fullmatch(name))})


def driver_version() -> str:
    """Version of the NVIDIA driver as its tool tells it; empty if it does not answer."""
    if not shutil.which("nvidia-smi"):
        return ""
    command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    with suppress(OSError, subprocess.SubprocessError):
        return subprocess.run(command, capture_output=True, text=True, timeout=20, check=True).stdout.split("\n")[0]
    return ""


def check_plugin(cards: Sequence[str], plugins: Sequence[str]) -> list[Advice]:
    """Find NVIDIA cards that jax cannot use for lack of its plugin, and plugins of two versions of CUDA."""
    if cards and not plugins:
        return [Advice(f"this machine has {'; '.join(cards)}, and jax lacks its plugin for CUDA", INSTALL_CUDA)]
    if len(plugins) > 1:
        names = " ".join(f"jax-{name}-plugin jax-{name}-pjrt" for name in plugins[:-1])
        return [Advice(f"plugins of {' and '.join(plugins)} are installed side by side", f"pip uninstall {names}")]
    return []


def check_driver(version: str, plugins: Sequence[str]) -> list[Advice]:
    """Find a driver that is older than the installed version of CUDA needs."""
    parts = [int(part) for part in re.findall(r"\d+", version)[:2]]
    if not parts:
        return []
    own = (parts[0], parts[1] if len(parts) > 1 else 0)
    advice = []
    for plugin in plugins:
        least = LEAST_DRIVER.get(plugin)
        if least is None or own >= least:
            continue
        problem = f"the NVIDIA driver {version} is older than {least[0]}.{least[1]}, the least for {plugin}"
        remedy = "update the driver"
        if plugin == "cuda13" and own >= LEAST_DRIVER["cuda12"]:
            remedy += ", or pip uninstall jax-cuda13-plugin jax-cuda13-pjrt && pip install 'jax[cuda12]<0.13'"
        advice.append(Advice(problem, remedy))
    return advice


def check_platforms(environment: Mapping[str, str], cards: Sequence[str], device: str) -> list[Advice]:
    """Find values of JAX_PLATFORMS that jax does not know, or that hide a card."""
    value = environment.get("JAX_PLATFORMS")
    if value is None:
        return []
    names = [name.strip() for name in value.split(",")]
    unknown = [name for name in names if name not in _PLATFORMS]
    if unknown:
        problem = f"JAX_PLATFORMS is {value!r}, and {unknown[0]!r} is no platform of jax"
        return [Advice(problem, "unset JAX_PLATFORMS, or export JAX_PLATFORMS=cpu, cuda or tpu")]
    if cards and names[0] == "cpu" and device != "cpu":
        return [Advice("JAX_PLATFORMS=cpu hides this machine's GPU", "unset JAX_PLATFORMS")]
    if cards and environment.get("CUDA_VISIBLE_DEVICES", "0").strip() in ("", "-1"):
        return [Advice("CUDA_VISIBLE_DEVICES hides this machine's GPU", "unset CUDA_VISIBLE_DEVICES")]
    return []


def check_preallocation(environment: Mapping[str, str], cards: Sequence[str]) -> list[Advice]:
    """Find settings by which jax reserves nearly all memory of a GPU, which unflat does not by itself."""
    if not cards:
        return []
    preallocates = environment.get("XLA_PYTHON_CLIENT_PREALLOCATE", "false").lower()
    if preallocates in ("true", "1"):
        problem = f"XLA_PYTHON_CLIENT_PREALLOCATE={preallocates}: each process reserves most of a GPU's memory"
        return [Advice(problem, "unset XLA_PYTHON_CLIENT_PREALLOCATE")]
    text = environment.get("XLA_PYTHON_CLIENT_MEM_FRACTION", "")
    with suppress(ValueError):
        if text and float(text.lstrip(".") if text.count(".") > 1 else text) > _LARGEST_SHARE:
            problem = f"XLA_PYTHON_CLIENT_MEM_FRACTION={text} leaves no memory of the GPU for other libraries"
            return [Advice(problem, "unset XLA_PYTHON_CLIENT_MEM_FRACTION")]
    return []
