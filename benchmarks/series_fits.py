"""Fits of a simulated series, as one model and acquisition by acquisition, and the model where nothing was measured."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from unflat.recon.experiments import get_experiment
from unflat.recon.io.model_file import read_model_series
from unflat.recon.model import Model
from unflat.recon.volume import Volume

from .commands import Options, assigned, unflat
from .ledger import Ledger, Numbers

LEFT_OUT = 2
"""Number of the acquisition that is left out, to see how wrong the model is there."""
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
        (self.folder / "config.yaml").write_text(f"kind: {self.kind}\n", encoding="utf-8")
        whole = self.simulate(self.seed, self.folder)
        return whole, self.halve(whole, half)

    def numbers(self) -> Numbers:
        """Numbers of every fit; those of all acquisitions by their names: lists in the order of the times."""
        settings = {"seed": self.seed, "options": dict(self.options), **self.settings}
        ways: dict[str, Callable[[], Numbers]] = {
            "half": partial(self._alone, "half"),
            "all": partial(self._alone, "all"),
            "series": self._series,
            "left out": self._left_out,
        }
        parts = {way: self.ledger.part(f"{self.kind} {self.seed}, {way}", settings, ways[way]) for way in ways}
        return {**parts, "seed": self.seed}

    def _fit(self, name: str, paths: Sequence[Path], *words: str) -> Path:
        """Fit some acquisitions by the command, each alone unless it says otherwise."""
        output, device = self.folder / name.replace(" ", "-"), ["--device", self.ledger.device]
        more = ["--force", *device, *assigned(self.options), *words]
        unflat("fit", self.folder / "config.yaml", *paths, "-o", output, *more, log=output.with_suffix(".log"))
        return output

    def _alone(self, name: str) -> Numbers:
        paths = self._files[0 if name == "all" else 1]
        output = self._fit(name, paths)
        return self._read([output / path.stem for path in paths])

    def _series(self) -> Numbers:
        paths = self._files[1]
        output = self._fit("series", paths, "--series", "time")
        metrics = json.loads((output / "metrics.json").read_text("utf-8"))
        chosen = {name: value for name, value in metrics.items() if name.startswith("series_")}
        return self._read([output / "series" / path.stem for path in paths]) | chosen

    def _read(self, runs: Sequence[Path]) -> Numbers:
        read = [json.loads((run / "metrics.json").read_text("utf-8")) for run in runs]
        return {figure: [metrics[figure] for metrics in read] for figure in self.figures}

    def _left_out(self) -> Numbers:
        """Fit the series without one acquisition, and compare the model there with the mean of its neighbours."""
        whole, paths = self._files
        series = read_model_series(self._fit("left out", paths[:LEFT_OUT] + paths[LEFT_OUT + 1 :], "--series", "time"))
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
