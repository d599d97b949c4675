"""What every config begins with, of whatever kind of experiment."""

from pydantic import Field

from ..devices import Device
from .base import Settings


class KindSettings(Settings):
    """A whole config. That of a kind narrows ``kind`` to its own name, and adds its sections."""

    kind: str = Field(description="Kind of experiment.")
    seed: int = Field(0, ge=0, description="Seed of all randomness; the same seed gives the same result.")
    device: Device = Field(
        "auto", description="Where to compute. auto takes an accelerator if there is one; gpu and tpu insist on it."
    )
