"""Estimates of the memory and time of a run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from ..errors import DeviceError, Diagnostic
from ..memory import format_bytes

PROGRAM_BYTES = 600 << 20
"""[bytes] Memory of Python, jax and compiled programs."""
_COMPILED_FURTHER = 0.5
"""Time of compilation for each further acquisition of a series, relative to that for one."""


@dataclass(frozen=True)
class Estimate:
    """Estimated memory and time of a run.

    Args:
        memory_bytes: [bytes] Peak memory.
        seconds: [s] Time of the run, without that of compilation.
        lines: Explanation of the numbers, for users.
        shared: Number of elements of a step that several devices share out, by their name in the plural.
        divided_bytes: [bytes] Part of the peak memory that is divided among the devices.
        shared_on_cpu: Whether several devices of a CPU share them out too, rather than take them one after the other.
        other_seconds: [s] Time of a run of other methods than the one estimated, by their names; all in all.
        compile_seconds: [s] Time in which its programs are compiled, where no cache has them.
    """

    memory_bytes: int
    seconds: float | int
    lines: list[str] = field(default_factory=list)
    shared: Mapping[str, int] = field(default_factory=dict)
    divided_bytes: int = 0
    shared_on_cpu: bool = True
    other_seconds: Mapping[str, float] = field(default_factory=dict)
    compile_seconds: float = 0.0

    @property
    def whole_seconds(self) -> float:
        """[s] Time of the whole run, compilation included."""
        return self.seconds + self.compile_seconds

    def device_bytes(self, devices: int) -> int:
        """[bytes] Peak memory of each of several devices that are not the host."""
        arrays = max(self.memory_bytes - PROGRAM_BYTES, 0)
        return arrays - self.divided_bytes + self.divided_bytes // max(devices, 1)

    def of_series(self, sizes: Sequence[int], trials: float = 0.0) -> "Estimate":
        """Estimate the fit of a series from that of its largest acquisition alone.

        Args:
            sizes: [bytes] Measurement of each acquisition.
            trials: Steps of trials before the fit, relative to those of the fit.
        """
        count = len(sizes)
        # Besides the arrays of one: the measurement, as read and as fitted, and the specimen, of each of the others.
        memory = self.memory_bytes + 3 * sum(sizes)
        also = f", and {100 * trials:.0f} % more to choose the strengths of its priors" if trials else ""
        compiling = self.compile_seconds * (1 + _COMPILED_FURTHER * (count - 1))
        lines = [*self.lines, f"series of {count} acquisitions: their data, and {count} times the steps of one{also}"]
        seconds = count * (1 + trials) * self.seconds
        return replace(self, memory_bytes=memory, seconds=seconds, lines=lines, compile_seconds=compiling)

    def require_fit(self, available: int, remedy: str) -> None:
        """Refuse a run that needs more memory than the device has.

        Args:
            available: [bytes] Memory of the device.
            remedy: Instruction by which the run becomes smaller.

        Raises:
            DeviceError: If the run needs more than is available.
        """
        if self.memory_bytes > available:
            need, have = format_bytes(self.memory_bytes), format_bytes(available)
            raise DeviceError(Diagnostic("", f"the run needs about {need} of memory, and {have} are available", remedy))


def base_estimate() -> Estimate:
    """Estimate a run whose acquisition is not known: the program alone."""
    return Estimate(PROGRAM_BYTES, 0.0, ["memory and time depend on the acquisition: name it to see them"])
