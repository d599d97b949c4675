"""Reading of images as a reader of an acquisition gets them, and the refusals of what cannot be read."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from unflat.recon.config.entries import Entry
from unflat.recon.config.source import Source
from unflat.recon.errors import DataError
from unflat.recon.io.image_axes import ImageChoice
from unflat.recon.io.read import read_file

SCHEMA = (Entry("images", "/measurement/images", (("view", "y", "x"),), "counts", "images", required=True),)


def images(path: Path, source: str = "/measurement/images", **choice: Any) -> np.ndarray:
    """Images of a file, of which the named position, channel, time or plane is chosen."""
    sources = {"images": Source.parse(source)}
    return read_file(path, SCHEMA, sources, "cell", choice=ImageChoice(**choice))["images"]


def refusal(path: Path, **choice: Any) -> str:
    """Message of the refusal of a file."""
    with pytest.raises(DataError) as caught:
        images(path, **choice)
    return str(caught.value)
