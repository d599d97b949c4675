"""Devices that a run will likely compute on, told without jax: by the config, the environment and the NVIDIA driver."""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import entry_points
from importlib.util import find_spec

from .devices import Device, nvidia_cards, usable_cores

_FORCED = re.compile(r"--xla_force_host_platform_device_count=(\d+)")
_MEMORY = re.compile(r"^(?P<name>.*), (?P<number>\d+) MiB$")


@dataclass(frozen=True)
class DevicePlan:
    """Devices of a process.

    Args:
        platform: ``cpu``, ``gpu`` or ``tpu``.
        count: Number of devices among which work is shared out; 0 where only jax can tell.
        names: Name of each device, as far as known.
        memory: [byte] Memory of the smallest device; 0 where it is not known, or is the host's.
    """

    platform: str
    count: int
    names: tuple[str, ...] = ()
    memory: int = 0

    @property
    def line(self) -> str:
        """Description in one line."""
        if self.platform == "cpu":
            several = f", as {self.count} devices" if self.count > 1 else ""
            return f"computes on the CPU: {_plural(usable_cores(), 'core')}{several}"
        title = self.platform.upper()
        if not self.count:
            return (
                f"computes on {title}s: jax counts them when the run begins ('unflat doctor --device {self.platform}')"
            )
        return f"computes on {_plural(self.count, title)}: {'; '.join(self.names)}"

    def share_lines(self, shared: Mapping[str, int]) -> list[str]:
        """Describe how the elements of a step are shared out among several devices; nothing of one device.

        Args:
            shared: Number of elements that are computed together, by their name.
        """
        if self.count < 2:
            return []
        return [
            f"{number} {name}: {-(-number // self.count)} on each of {self.count}" for name, number in shared.items()
        ]


def plan_devices(
    device: Device, environment: Mapping[str, str] | None = None, cards: Sequence[str] | None = None
) -> DevicePlan:
    """Find the devices of a run, as `devices.use` would choose them, without jax.

    Args:
        device: Device of the config.
        environment: Environment variables; those of the process by default.
        cards: NVIDIA cards with their memory; those of this machine by default.
    """
    environment = os.environ if environment is None else environment
    platforms = environment.get("JAX_PLATFORMS", "").split(",")[0]
    if device == "auto" and platforms in ("cpu", "tpu"):
        device = "cpu" if platforms == "cpu" else "tpu"
    if device == "tpu" or (device == "auto" and find_spec("libtpu") is not None):
        return DevicePlan("tpu", 0)
    visible = [] if device == "cpu" else _visible(nvidia_cards() if cards is None else cards, environment)
    if device == "gpu" or (visible and _has_gpu_plugin()):
        known = [_MEMORY.match(card) for card in visible]
        sizes = [int(match["number"]) << 20 if match else 0 for match in known]
        return DevicePlan("gpu", len(visible), tuple(visible), min(sizes, default=0))
    forced = _FORCED.search(environment.get("XLA_FLAGS", ""))
    return DevicePlan("cpu", int(forced[1]) if forced else int(environment.get("JAX_NUM_CPU_DEVICES") or 1))


def _visible(cards: Sequence[str], environment: Mapping[str, str]) -> list[str]:
    """Select the cards that the environment leaves to this process; by number, or as many as are named."""
    chosen = environment.get("CUDA_VISIBLE_DEVICES")
    if chosen is None:
        return list(cards)
    names = [name.strip() for name in chosen.split(",") if name.strip() not in ("", "-1")]
    if all(name.isdecimal() for name in names):
        return [cards[int(name)] for name in names if int(name) < len(cards)]
    return list(cards[: len(names)])


def _has_gpu_plugin() -> bool:
    """Whether jax's part for GPUs is installed."""
    return any("cuda" in point.name or "rocm" in point.name for point in entry_points(group="jax_plugins"))


def _plural(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
