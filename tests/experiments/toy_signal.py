"""A fourth kind of experiment in one file: a 1-D signal blurred by a known kernel.

It registers itself: by `register` in a notebook, or by an entry point of the group ``unflat.experiments`` for the
command line (``signal = toy_signal:SignalExperiment``). CONTRIBUTING.md walks through this file.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import Field

from unflat.recon.acquisition import Acquisition
from unflat.recon.config.base import KindSettings, Settings
from unflat.recon.config.entries import array_field, entries_of
from unflat.recon.config.source import AnySource, LengthSource
from unflat.recon.config.units import Length
from unflat.recon.experiments.base import Experiment
from unflat.recon.experiments.evaluation import Evaluation
from unflat.recon.fields.base import FieldGrid
from unflat.recon.frame import ModelFrame
from unflat.recon.io.read import read_file
from unflat.recon.metrics import Metric, correlation, register_metrics, relative_l2
from unflat.recon.model import Model, ModelQuantity
from unflat.recon.optimize.likelihood import MetricNames, Split
from unflat.recon.optimize.settings import FieldSettings
from unflat.recon.runs.context import Progress, RunContext, silent
from unflat.recon.sampled import Quantity
from unflat.recon.volume import Volume, centred_axis

BRIGHTNESS = Quantity("brightness", "1", "brightness of the signal")
register_metrics(
    (
        Metric("misfit_fitted", "Misfit of fitted samples", "1", "lower", "Root mean square, over that of the signal."),
        Metric("misfit_withheld", "Misfit of withheld samples", "1", "lower", "The same, of samples never fitted."),
    )
)


class SignalAcquisition(Settings):
    """Arrays of an acquisition."""

    images: AnySource = array_field(
        "/measurement/images", "view y x", unit="1", meaning="blurred signal, one line", choice="measurement"
    )
    pixel_size: LengthSource = array_field(
        "/instrument/pixel_size", "2", unit="m", meaning="pixel (y, x)", required=True, positive=True
    )


class SignalSimulation(Settings):
    """A simulated signal."""

    samples: int = Field(96, ge=16, description="Number of samples.")
    noise: float = Field(0.01, ge=0, description="Standard deviation of the noise.")


class SignalConfig(KindSettings):
    """Config of the kind."""

    kind: Literal["signal"] = Field("signal", description="Kind of experiment.")
    acquisition: SignalAcquisition = Field(default_factory=SignalAcquisition, description="Arrays of the measurement.")
    width: Length = Field(0.3e-6, gt=0, description="Standard deviation of the blur.")
    fit: FieldSettings = Field(default_factory=lambda: FieldSettings(field="voxels", steps=150), description="The fit.")
    simulate: SignalSimulation = Field(default_factory=SignalSimulation, description="A simulated signal.")


def blur_matrix(count: int, pixel: float, width: float) -> np.ndarray:
    """Matrix (count, count) of the convolution with a Gaussian of a standard deviation [m]."""
    distance = (np.arange(count)[:, None] - np.arange(count)) * pixel
    matrix = np.exp(-(distance**2) / (2 * width**2))
    return np.asarray(matrix / matrix.sum(axis=1).max(), np.float32)


class SignalLikelihood:
    """Squared misfit of a blurred signal; every seventh sample is withheld."""

    sign, views, batch_size, scales, nuisance_parameters = "any", 1, 1, (1.0,), {}  # type: ignore[var-annotated]
    metric_names = MetricNames("misfit_fitted", "misfit_withheld", "misfit_initial")

    def __init__(self, config: SignalConfig, acquisition: Acquisition) -> None:
        self.signal = np.asarray(acquisition["images"], np.float32)[0, 0]
        self.pixel = float(acquisition["pixel_size"][1])
        self.matrix = blur_matrix(len(self.signal), self.pixel, config.width)
        self.withheld = np.arange(len(self.signal)) % 7 == 3
        self.grid = FieldGrid((1, 1, len(self.signal)), (self.pixel,) * 3, (self.pixel,) * 3)

    def split(self) -> Split:
        return Split(np.array([0]), np.array([0]))

    def initial_guess(self, views: np.ndarray) -> np.ndarray:
        return self.signal[None, None, None]

    def batch(self, views: np.ndarray, *, withheld: bool = False) -> dict[str, Any]:
        weight = self.withheld if withheld else ~self.withheld
        return {"signal": self.signal[None], "weight": weight[None].astype(np.float32)}

    def predict(self, values: Any) -> Any:
        """The blurred signal as an image (view, y, x)."""
        return values[0, 0, 0][None, None] @ self.matrix.T

    def losses(self, values: Any, nuisance: Any, batch: dict[str, Any]) -> Any:
        modelled = self.predict(values)[0]
        return (batch["weight"] * (modelled - batch["signal"]) ** 2).sum(-1) / (
            batch["weight"] * batch["signal"] ** 2
        ).sum(-1)

    def metric(self, losses: np.ndarray) -> float:
        return float(np.sqrt(losses.mean()))

    def model(self, architecture: Mapping[str, Any], weights: list[Any], provenance: Mapping[str, Any]) -> Model:
        half = np.array([1, 1, len(self.signal)]) * self.pixel / 2
        frame = ModelFrame(tuple(-half), tuple(half), (self.pixel,) * 3)
        quantity = ModelQuantity(BRIGHTNESS.name, BRIGHTNESS.unit, BRIGHTNESS.meaning)
        return Model.ensemble(architecture, weights, frame, (quantity,), "signal", provenance)

    def write(self, folder: Path, model: Model, values: Any, nuisance: Any, provenance: Any) -> dict[str, float]:
        from unflat.recon.io.predictions import write_predictions
        from unflat.recon.io.volume_formats import save

        volume = model.volume()
        save(volume, folder / "volume.h5")
        measured, modelled = self.signal[None, None], np.asarray(self.predict(values))
        write_predictions(folder / "predictions.h5", "signal", np.zeros(1, int), np.zeros(1, bool), measured, modelled)
        return {"voxels": float(volume.main.size), "volume_bytes": float((folder / "volume.h5").stat().st_size)}


class SignalExperiment(Experiment):
    """A 1-D signal blurred by a known kernel."""

    name = "signal"
    description = "a 1-D signal blurred by a known kernel"
    Config = SignalConfig
    schema = entries_of(SignalAcquisition)
    quantities = (BRIGHTNESS,)

    def read(self, config: SignalConfig, path: Path) -> Acquisition:
        sources = {entry.name: getattr(config.acquisition, entry.name) for entry in self.schema}
        return read_file(path, self.schema, sources, self.name)

    def simulate(self, config: SignalConfig, progress: Progress = silent) -> Acquisition:
        count, pixel, rng = config.simulate.samples, 0.1e-6, np.random.default_rng(config.seed)
        x = np.arange(count) / count
        signal = np.exp(-(((x - 0.3) / 0.03) ** 2)) + 0.6 * (np.abs(x - 0.65) < 0.08)
        blurred = blur_matrix(count, pixel, config.width) @ signal + config.simulate.noise * rng.normal(size=count)
        axes = (np.zeros(1), np.zeros(1), centred_axis(count, pixel, -pixel / 2 * (count % 2 - 1)))
        truth = Volume("signal", *axes, {BRIGHTNESS.name: signal[None, None]}, (BRIGHTNESS,))
        arrays = {"images": blurred[None, None].astype(np.float32), "pixel_size": np.full(2, pixel)}
        progress(1, 1)
        return Acquisition(self.name, arrays, truth=truth)

    def likelihood(self, context: RunContext) -> SignalLikelihood:
        return SignalLikelihood(context.config, context.measurement)

    def evaluate(
        self,
        result: Any,
        truth: Volume,
        *,
        register: bool = False,
        names: Sequence[str] = (),
        labels: Sequence[str] = (),
    ) -> Evaluation:
        sampled = result.sample(truth.z, truth.y, truth.x)
        return Evaluation({"ncc": correlation(truth.main, sampled), "relative_l2": relative_l2(truth.main, sampled)})

    def summary_line(self, numbers: Mapping[str, float]) -> str:
        return f"misfit of withheld samples {numbers['misfit_withheld']:.4f}"
