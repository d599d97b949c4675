"""The ``crystal`` kind: from a rocking curve of Bragg diffraction to a crystal's density and strain.

Only names are looked up here; what needs jax is imported when it is called.
"""

from ...metrics import register_metrics
from ...sampled import Quantity
from ..base import Experiment, Lesson, deferred
from .config import CrystalSettings
from .metrics import METRICS
from .schema import SCHEMA
from .summary import judged, lines, sentence

register_metrics(METRICS)

KIND = Experiment(
    name="crystal",
    summary="density and strain of a crystal, from a rocking curve of its Bragg diffraction",
    settings=CrystalSettings,
    schema=SCHEMA,
    quantities=(
        Quantity("amplitude", "1", "density of the crystal's lattice"),
        Quantity("phase", "rad", "phase of the density, -G.u"),
        Quantity("displacement", "m", "displacement of the lattice along G"),
        Quantity("strain", "1", "change of the displacement along G"),
        Quantity("occupancy", "1", "0 outside the crystal, 1 inside"),
    ),
    validate=deferred(__name__, ".validate", "validate"),
    read=deferred(__name__, ".read", "read"),
    simulate=deferred(__name__, ".simulate", "simulate"),
    estimate=deferred(__name__, ".estimate", "estimate"),
    score=deferred(__name__, ".evaluate", "score"),
    sentence=sentence,
    lines=lines,
    measure=deferred(__name__, ".measure", "measure"),
    way="phase",
    smaller="crop or bin the patterns (acquisition.crop, acquisition.bin), or use a machine with more memory",
    start=deferred(__name__, ".initial_guess_file", "resolve_start_file"),
    problem=deferred(__name__, ".likelihood", "likelihood"),
    phase=deferred(__name__, ".phase", "phase"),
    predict=deferred(__name__, ".network.predict", "predict"),
    train=Lesson(deferred(__name__, ".network.train", "train"), judged),
    findings=deferred(__name__, ".report", "report_findings"),
    pictures=deferred(__name__, ".report", "report_figures"),
)
