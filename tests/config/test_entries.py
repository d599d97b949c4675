"""Declaration of an acquisition's arrays in its settings class."""

import pytest

from unflat.recon.config.base import Settings
from unflat.recon.config.dump import dump_commented
from unflat.recon.config.entries import array_field, entries_of
from unflat.recon.config.source import LengthSource, NumberSource, Source
from unflat.recon.config.units import dimension_of
from unflat.recon.experiments import BUILT_IN, get_experiment


class Section(Settings):
    """Section with two arrays and a plain number."""

    images: NumberSource | None = array_field("/images", "y x", "view y x", unit="counts", meaning="images", at_least=0)
    count: int = 1
    pixel: LengthSource | None = array_field(
        "/pixel", "", unit="m", meaning="pixel", required=True, description="Pixel of the camera."
    )


def test_entries_follow_the_fields() -> None:
    images, pixel = entries_of(Section, "part.")
    assert (images.name, images.path, images.axes) == ("part.images", "/images", (("y", "x"), ("view", "y", "x")))
    assert (pixel.name, pixel.axes, pixel.unit, pixel.required) == ("part.pixel", ((),), "m", True)


def test_path_is_the_default_source() -> None:
    assert Section().images == Source.parse("/images")


def test_comment_is_the_description_or_else_the_meaning() -> None:
    text = dump_commented(Section)
    assert "# Images." in text
    assert "# Pixel of the camera." in text


@pytest.mark.parametrize("name", BUILT_IN)
def test_every_entry_of_an_experiment_has_a_known_unit(name: str) -> None:
    schema = get_experiment(name).schema
    assert schema[0].name == "images"  # The sizes of the axes come from the first arrays.
    assert all(dimension_of(entry.unit) for entry in schema)
