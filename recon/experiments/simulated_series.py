"""Config section ``simulate.series``: one acquisition of a series, along which the specimen changes."""

from pydantic import Field, model_validator

from ..config.base import Settings
from ..config.units import Time
from ..config.value_types import Views


class SimulatedSeries(Settings):
    """Time of an acquisition in a series, and the part of it that is measured; each kind adds what changes."""

    time: Time = Field(0.0, ge=0, description="Time of this acquisition; the file gives it as its position.")
    duration: Time = Field(
        40.0, gt=0, description="Time at which the change is as large as given below; until then it grows evenly."
    )
    views: Views = Field(
        "all",
        description="Views or frames that are measured: all, or a slice, such as '::2' for the even ones and '1::2' "
        "for the odd ones.",
    )

    repeat: int = Field(
        0, ge=0, description="Number of this acquisition among those at the same time: each has noise of its own."
    )

    @model_validator(mode="after")
    def _within_the_series(self) -> "SimulatedSeries":
        if self.time > self.duration:
            raise ValueError(f"time {self.time:g} s is beyond the duration of the change, {self.duration:g} s")
        return self

    @property
    def share(self) -> float:
        """Part of the change at this time: 0 at the beginning, 1 at the end."""
        return self.time / self.duration

    @property
    def attributes(self) -> dict[str, float | str]:
        """Attribute of the acquisition that gives its position."""
        return {"time": f"{self.time:.12g} s"}

    @property
    def noise_stream(self) -> tuple[int, ...]:
        """Numbers that set the noise of this acquisition apart from that of the others."""
        return (round(1e6 * self.share), *([self.repeat] if self.repeat else []))
