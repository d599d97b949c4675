"""The ``cell`` kind: from a microscope's images of a cell to its refractive index.

Only names are looked up here; what needs jax is imported when it is called.
"""

from ...metrics import register_metrics
from ...sampled import Quantity
from ..base import Experiment, deferred
from .config import CellSettings
from .metrics import METRICS
from .schema import SCHEMA
from .summary import lines, sentence

register_metrics(METRICS)

KIND = Experiment(
    name="cell",
    summary="refractive index of a cell, from images under tilted or patterned light, several foci, or turning",
    settings=CellSettings,
    schema=SCHEMA,
    quantities=(
        Quantity("refractive_index", "1", "real part of the refractive index"),
        Quantity("absorption", "1", "imaginary part of the refractive index"),
    ),
    validate=deferred(__name__, ".validate", "validate"),
    read=deferred(__name__, ".read", "read"),
    problem=deferred(__name__, ".likelihood", "likelihood"),
    simulate=deferred(__name__, ".simulate", "simulate"),
    estimate=deferred(__name__, ".estimate", "estimate"),
    score=deferred(__name__, ".evaluate", "score"),
    sentence=sentence,
    lines=lines,
    measure=deferred(__name__, ".measure", "measure"),
    way="fit",
    smaller="crop or bin the images, widen volume.spacing, or use a machine with more memory",
)
