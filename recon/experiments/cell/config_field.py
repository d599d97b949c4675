"""Section of a cell's config for a complex field that is stored as arrays of real numbers."""

from typing import Annotated, Any, TypeAlias

from pydantic import Discriminator, Field, Tag, model_validator

from ...config.base import Settings
from ...config.source import AngleSource, LengthSource, NumberSource, Source

_COMPLEX_FORMS = (
    *({"real", "imag"}, {"phase"}, {"phase", "amplitude"}),
    *({"path_difference"}, {"path_difference", "amplitude"}),
)
"""Sets of arrays that make a complex field."""


class ComplexParts(Settings):
    """Complex field stored as arrays of real numbers: two parts, or amplitude and phase."""

    real: NumberSource | None = Field(None, description="Real part (view, y, x).", examples=["/field_real"])
    imag: NumberSource | None = Field(None, description="Imaginary part (view, y, x).", examples=["/field_imag"])
    amplitude: NumberSource | None = Field(
        None, description="Amplitude (view, y, x), or one number; 1 if absent.", examples=["/amplitude"]
    )
    phase: AngleSource | None = Field(
        None, description="Phase (view, y, x), wrapped or not; it grows with the refractive index.", examples=["/phase"]
    )
    path_difference: LengthSource | None = Field(
        None, description="Optical path difference (view, y, x), instead of the phase.", examples=["/opd in nm"]
    )
    scale: float = Field(1.0, description="Factor on the field.")

    @model_validator(mode="after")
    def _one_form(self) -> "ComplexParts":
        if set(self.sources) not in _COMPLEX_FORMS:
            given = " and ".join(self.sources) or "nothing"
            ways = "real and imag, or phase (or path_difference) and perhaps amplitude"
            raise ValueError(f"{given} makes no complex field; give {ways}")
        return self

    @property
    def sources(self) -> dict[str, Source]:
        """Sources of the parts that are given."""
        names = ("real", "imag", "phase", "path_difference", "amplitude")
        return {name: source for name in names if (source := getattr(self, name)) is not None}


def _form(value: Any) -> str:
    return "parts" if isinstance(value, dict | ComplexParts) else "source"


ComplexSource: TypeAlias = Annotated[
    Annotated[NumberSource, Tag("source")] | Annotated[ComplexParts, Tag("parts")], Discriminator(_form)
]
