"""What every section of a config is: frozen, described, and closed to keys that it does not know.

What every config begins with, of whatever kind of experiment.
"""

from types import UnionType
from typing import Annotated, Any, TypeAlias, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, Strict, model_validator

from ..devices import Device

Flag: TypeAlias = Annotated[bool, Strict()]
"""true or false, and nothing that merely looks like it (``on``, ``1``)."""


class Settings(BaseModel):
    """A section of a config.

    Every field has a ``Field(description=...)``: it becomes the comment in the YAML that ``unflat init`` writes, the
    description in the JSON schema, and the text of the documentation.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _empty_sections_are_defaults(cls, data: Any) -> Any:
        """Take ``volume:`` with nothing under it (every line a comment) as the section's defaults."""
        if not isinstance(data, dict):
            return data
        return {key: value for key, value in data.items() if not (value is None and cls._is_plain_section(key))}

    @classmethod
    def _is_plain_section(cls, key: object) -> bool:
        field = cls.model_fields.get(key) if isinstance(key, str) else None
        return field is not None and section_of(field.annotation) is field.annotation


def section_of(annotation: Any) -> type[Settings] | None:
    """Find the section behind an annotation: ``Ring`` in ``Ring`` and in ``Ring | None``; None where there is none."""
    if isinstance(annotation, type) and issubclass(annotation, Settings):
        return annotation
    if get_origin(annotation) in (Union, UnionType, Annotated):
        return next((found for member in get_args(annotation) if (found := section_of(member))), None)
    return None


class KindSettings(Settings):
    """A whole config. That of a kind narrows ``kind`` to its own name, and adds its sections."""

    kind: str = Field(description="Kind of experiment.")
    seed: int = Field(0, ge=0, description="Seed of all randomness; the same seed gives the same result.")
    device: Device = Field(
        "auto", description="Where to compute. auto takes an accelerator if there is one; gpu and tpu insist on it."
    )
