"""Catalogue of the metrics by name: those of accuracy, those that experiments register, and those of any run."""

from collections.abc import Iterable

from .accuracy import ACCURACY_METRICS
from .metric import Metric

_RUN = (
    Metric("gate", "Gate", "", "neither", "The largest residual that the config lets pass."),
    Metric("loss", "Final loss", "", "lower", "What the fit minimised, with its regularisers."),
    Metric("views", "Views", "", "neither", "Images of the acquisition that the run used."),
    Metric("views_withheld", "Views withheld", "", "neither", "Those that the fit never saw."),
    Metric("voxels", "Voxels", "", "neither", "Samples of the volume."),
    Metric("steps", "Steps", "", "neither", "Updates of the field."),
    Metric(
        "trial_steps", "Steps of trials", "", "neither", "Further updates, of models that were tried and not chosen."
    ),
    Metric("acquisitions", "Acquisitions", "", "neither", "Acquisitions of the series."),
    Metric(
        "series_smoothness",
        "Smoothness of the series",
        "",
        "neither",
        "Strength with which neighbouring acquisitions were held alike (fit.series.smoothness).",
    ),
    Metric(
        "series_spatial",
        "Factor of the priors in space",
        "",
        "neither",
        "Factor of fit.tv and fit.tikhonov in the series (fit.series.spatial).",
    ),
    Metric("seconds", "Time", "s", "lower", "Wall-clock time of the fit."),
    Metric("seconds_of_answer", "Time of the answer", "s", "lower", "From the data to the prediction, unrefined."),
    Metric("peak_memory_bytes", "Peak memory", "B", "lower", "Largest resident size of the process."),
    Metric("model_parameters", "Parameters", "", "neither", "Numbers that the model is made of."),
    Metric(
        "model_bytes",
        "Size of the model",
        "B",
        "lower",
        "The model's weights in memory or on disk.",
    ),
    Metric(
        "volume_bytes",
        "Size of the volume",
        "B",
        "neither",
        "The same specimen as float32 voxels.",
    ),
)
_registered: dict[str, Metric] = {}


def register_metrics(metrics: Iterable[Metric]) -> None:
    """Add the metrics of an experiment to the catalogue.

    Args:
        metrics: Metrics in the order of tables and reports.

    Raises:
        ValueError: If another metric has one of the names.
    """
    known = catalogue()
    added: dict[str, Metric] = {}
    for metric in metrics:
        if (known | added).get(metric.name, metric) != metric:
            raise ValueError(f"two metrics have the name {metric.name!r}")
        added[metric.name] = metric
    _registered.update(added)  # All or none.


def catalogue() -> dict[str, Metric]:
    """Return all metrics by name, in the order of tables and reports.

    Those of accuracy are first, then those that experiments register, and those of any run.
    """
    general, run = ({metric.name: metric for metric in group} for group in (ACCURACY_METRICS, _RUN))
    return general | _registered | run


def metric_named(name: str) -> Metric:
    """Return the description of a metric; a plain one made from its name where the catalogue has none."""
    return catalogue().get(name) or Metric(name, name.replace("_", " ").capitalize(), "", "neither", "")
