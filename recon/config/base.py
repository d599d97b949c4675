"""Base classes of configs: sections that are frozen, described and closed to unknown keys."""

from types import UnionType
from typing import Annotated, Any, TypeAlias, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, Strict, model_validator

from ..devices import Device

Flag: TypeAlias = Annotated[bool, Strict()]
"""``true`` or ``false``; other spellings of a truth value (``on``, ``1``) are refused."""


class Settings(BaseModel):
    """A section of a config.

    Every field has a ``Field(description=...)``: it becomes the comment in the YAML that ``unflat init`` writes, the
    description in the JSON schema, and the text of the documentation.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _empty_sections_are_defaults(cls, data: Any) -> Any:
        """Treat a section without keys, such as one whose lines are all comments, as its defaults."""
        if not isinstance(data, dict):
            return data
        return {key: value for key, value in data.items() if not (value is None and cls._is_plain_section(key))}

    @classmethod
    def _is_plain_section(cls, key: object) -> bool:
        field = cls.model_fields.get(key) if isinstance(key, str) else None
        return field is not None and section_of(field.annotation) is field.annotation


def section_of(annotation: Any) -> type[Settings] | None:
    """Return the section class in an annotation such as ``Ring`` or ``Ring | None``; None if it holds none."""
    if isinstance(annotation, type) and issubclass(annotation, Settings):
        return annotation
    if get_origin(annotation) in (Union, UnionType, Annotated):
        return next((section for member in get_args(annotation) if (section := section_of(member))), None)
    return None


class KindSettings(Settings):
    """Base class of whole configs. The class of a kind narrows ``kind`` to its name and adds sections."""

    kind: str = Field(description="Kind of experiment.")
    seed: int = Field(0, ge=0, description="Seed of all random numbers; the same seed gives the same result.")
    device: Device = Field(
        "auto", description="Device. auto uses an accelerator if there is one; gpu and tpu require one."
    )
