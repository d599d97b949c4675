"""The ``shape`` kind: from one section image of a cell and its mask to the forms that the cell may have.

Only names are looked up here; what needs jax is imported when it is called.
"""

from ...metrics import register_metrics
from ...sampled import Quantity
from ..base import Experiment, Lesson, deferred
from .config import ShapeSettings, extendable_settings, training_data_path
from .metrics import METRICS
from .schema import SCHEMA
from .summary import judged, lines, sentence

register_metrics(METRICS)

KIND = Experiment(
    name="shape",
    summary="3D shapes that a cell may have, from one picture of a section and its mask",
    settings=ShapeSettings,
    schema=SCHEMA,
    quantities=(Quantity("signed_distance", "m", "distance to the surface, negative inside"),),
    validate=deferred(__name__, ".validate", "validate"),
    read=deferred(__name__, ".read", "read"),
    simulate=deferred(__name__, ".simulate", "simulate"),
    estimate=deferred(__name__, ".estimate", "estimate"),
    score=deferred(__name__, ".evaluate", "score"),
    sentence=sentence,
    lines=lines,
    measure=deferred(__name__, ".measure", "measure"),
    way="predict",
    smaller="predict fewer cells at once (acquisition.cells), or fewer draws",
    predict=deferred(__name__, ".network.predict", "predict"),
    train=Lesson(deferred(__name__, ".network.train", "train"), judged, training_data_path, extendable_settings),
    lattice=deferred(__name__, ".measure", "lattice_for"),
    scores=deferred(__name__, ".evaluate", "scores"),
    findings=deferred(__name__, ".report", "findings"),
    pictures=deferred(__name__, ".report", "pictures"),
)
