"""Fits of a simulated series, as one model and acquisition by acquisition, and the model where nothing was measured."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from unflat.recon.api import configure
from unflat.recon.experiments import get_experiment
from unflat.recon.experiments.run import RunOptions, run_method
from unflat.recon.experiments.series_input import SeriesInput
from unflat.recon.io.model_file import read_model_series
from unflat.recon.model import Model
from unflat.recon.volume import Volume

from .commands import Options
from .ledger import Ledger, Numbers

LEFT_OUT, LEFT_OUT_SEED = 2, 1
"""Number of the acquisition that is left out, to see how wrong the model is there, and seed of the series."""
STEP = 10.0
"""[s] Time from one acquisition to the next."""


@dataclass(frozen=True, eq=False)
class SeriesFits:
    """Fits of one simulated series.

    Args:
        ledger: Results of the benchmark.
        kind: Kind of experiment.
        seed: Seed of the specimen.
        options: Settings of all fits.
        settings: Sizes of the simulation, for the cache.
        simulate: Function that writes the whole acquisitions into a folder.
        halve: Function that writes half of each into another.
        volume: Function that samples a model on its grid.
        figures: Names of the numbers that are compared.
    """

    ledger: Ledger
    kind: str
    seed: int
    options: Options
    settings: Numbers
    simulate: Callable[[int, Path], list[Path]]
    halve: Callable[[list[Path], Path], list[Path]]
    volume: Callable[[Model], Volume]
    figures: tuple[str, ...]

    @property
    def folder(self) -> Path:
        """Folder of this specimen."""
        return self.ledger.scratch / f"{self.kind}-{self.seed}"

    @cached_property
    def _files(self) -> tuple[list[Path], list[Path]]:
        """Whole acquisitions, and the halves."""
        half = self.folder / "halves"
        half.mkdir(parents=True, exist_ok=True)
        whole = self.simulate(self.seed, self.folder)
        return whole, self.halve(whole, half)

    def numbers(self) -> Numbers:
        """Numbers of every fit; those of all acquisitions by their names: lists in the order of the times."""
        settings = {"seed": self.seed, "options": dict(self.options), **self.settings}
        ways: dict[str, Callable[[], Numbers]] = {
            "half": self._half,
            "series": self._series,
        }
        if self.seed == LEFT_OUT_SEED:
            ways["left out"] = self._left_out
        return {way: self.ledger.part(f"{self.kind} {self.seed}, {way}", settings, ways[way]) for way in ways}

    def _fit(self, measured: Path | SeriesInput, name: str) -> dict[str, float]:
        """Fit an acquisition or a series in a folder of the name, without a report, which takes as long."""
        settings = configure(self.kind, {**self.options, "device": self.ledger.device})
        return dict(
            run_method("fit", settings, measured, RunOptions(self.folder / name, force=True, report=False)).numbers
        )

    def _half(self) -> Numbers:
        read = [self._fit(path, f"half/{path.stem}") for path in self._files[1]]
        return {figure: [metrics[figure] for metrics in read] for figure in self.figures}

    def _series(self) -> Numbers:
        paths = self._files[1]
        whole = self._fit(SeriesInput(tuple(paths), "time"), "series")
        runs = [self.folder / "series" / "series" / path.stem for path in paths]
        read = [json.loads((run / "metrics.json").read_text("utf-8")) for run in runs]
        chosen = {name: value for name, value in whole.items() if name.startswith("series_")}
        return chosen | {figure: [metrics[figure] for metrics in read] for figure in self.figures}

    def _left_out(self) -> Numbers:
        """Fit the series without one acquisition, and compare the model there with the mean of its neighbours."""
        whole, paths = self._files
        self._fit(SeriesInput((*paths[:LEFT_OUT], *paths[LEFT_OUT + 1 :]), "time"), "left-out")
        series = read_model_series(self.folder / "left-out")
        experiment = get_experiment(self.kind)
        truth = experiment.read(experiment.default_config(), whole[LEFT_OUT]).truth
        neighbours = [self.volume(series.at(STEP * (LEFT_OUT + side))) for side in (-1, 1)]
        results: dict[str, Any] = {"model": series.at(STEP * LEFT_OUT), "mean": _mean(*neighbours)}
        numbers = {name: experiment.compare_with_truth(result, truth) for name, result in results.items()}
        return {name: {figure: own[figure] for figure in self.figures} for name, own in numbers.items()}


def _mean(one: Volume, other: Volume) -> Volume:
    """Average two volumes on one grid, voxel by voxel."""
    return replace(one, values={name: (array + other.values[name]) / 2 for name, array in one.values.items()})


def count_better(results: Sequence[Numbers], figure: str, sign: int = 1) -> tuple[int, int]:
    """Count the acquisitions that the series finds better than alone from the same half, and all."""
    pairs = [pair for result in results for pair in zip(result["series"][figure], result["half"][figure], strict=True)]
    return sum(sign * (a - b) > 0 for a, b in pairs), len(pairs)
