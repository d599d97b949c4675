"""Results that a view samples: each is opened once, and again when its files change."""

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np

from ..errors import ConfigError, DataError, Diagnostic
from ..io.model_file import read_model
from ..io.result import model_files, read_whole_result
from ..model import UNCERTAINTY, Model
from ..model_series import ModelSeries
from ..runs.contents import MODEL_PREVIEW
from ..sampled import Quantity, Sampled
from ..visualization.colour_scale import ColourScale
from ..visualization.specimen_scale import colour_scale
from ..volume import Volume
from .catalog import CatalogEntry, Signature

OPEN_RESULTS = 6
"""Number of results that stay open."""

Draw: TypeAlias = int | Literal["mean", "spread"]
"""Number of a draw, or the mean of all (the consensus where there is one), or their standard deviation."""


@dataclass(frozen=True)
class Selection:
    """Part of a result that is sampled.

    Args:
        quantity: Name of the quantity; empty for the main one.
        draw: Draw.
        cell: Number of the specimen.
        position: Position in a series; None for the last acquisition. It means nothing for any other result.
    """

    quantity: str = ""
    draw: Draw = "mean"
    cell: int = 0
    position: float | None = None


@dataclass(frozen=True)
class Sampler:
    """One quantity of one specimen.

    Args:
        specimen: Model or volume.
        quantity: Quantity.
    """

    specimen: Sampled
    quantity: Quantity


@dataclass(eq=False)
class OpenResult:
    """An open result.

    Args:
        path: Folder or file.
        files: Models of the specimens of a run of several; empty for any other result.
        first: First specimen, or the volume of many; of a series the last acquisition.
        series: The series, of which a specimen is the model at a position; None for any other result.
    """

    path: Path
    files: list[Path]
    first: Model | Volume
    series: ModelSeries | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)
    _specimens: "OrderedDict[tuple[int, Draw, float | None], Sampled]" = field(default_factory=OrderedDict, repr=False)
    _series_scales: dict[str, ColourScale] = field(default_factory=dict, repr=False)

    @classmethod
    def open(cls, path: Path) -> "OpenResult":
        """Open a result.

        Raises:
            DataError: If it is damaged, or holds no real quantity.
        """
        files = _models(path)
        whole = read_whole_result(files[0] if files else path)
        series = whole if isinstance(whole, ModelSeries) else None
        first = whole.at(whole.default) if isinstance(whole, ModelSeries) else whole
        if not first.real_quantities:
            raise DataError(Diagnostic(str(path), "holds no real quantity to show", "name another result"))
        return cls(path, files, first, series)

    @property
    def kind(self) -> str:
        """Kind of experiment; empty where the file does not say."""
        return self.first.kind

    @property
    def cells(self) -> int | None:
        """Number of specimens; None for one alone."""
        return len(self.files) if len(self.files) > 1 else self.first.cells

    @property
    def names(self) -> list[str]:
        """Names of the specimens."""
        return [file.stem for file in self.files] if len(self.files) > 1 else list(self.first.names)

    @property
    def draws(self) -> int:
        """Number of draws of a prediction, or of members of an ensemble of fits."""
        return len(self.first.members) if isinstance(self.first, Model) else self.first.draws

    @property
    def draws_name(self) -> tuple[str, str]:
        """Word for one of the draws, and for several: the fits of an ensemble are its members."""
        return ("draw", "draws") if self.first.draws == self.draws else ("member", "members")

    @cached_property
    def has_consensus(self) -> bool:
        """Whether a consensus stands for the draws, which is then shown in place of their mean."""
        return bool(self.first.consensus)

    @cached_property
    def quantities(self) -> tuple[Quantity, ...]:
        """Quantities of one draw, without their uncertainties."""
        real = {q.name: q for q in self.first.real_quantities}
        return tuple(q for name, q in real.items() if name.removeprefix(UNCERTAINTY) not in real.keys() - {name})

    def spread_of(self, quantity: Quantity) -> Quantity | None:
        """Spread of a quantity, over the draws or as the result stores it; None where there is none."""
        name = UNCERTAINTY + quantity.name
        if self.draws > 1:
            return Quantity(name, quantity.unit, f"standard deviation of {quantity.name} over the {self.draws_name[1]}")
        return next((Quantity(name, q.unit, q.meaning) for q in self.first.real_quantities if q.name == name), None)

    def sampler(self, selection: Selection) -> Sampler:
        """Select a quantity of a draw of a specimen.

        Raises:
            ConfigError: If there is no such quantity, draw or specimen.
            DataError: If the model of the specimen is damaged.
        """
        name = selection.quantity or self.quantities[0].name
        quantity = next((q for q in self.quantities if q.name == name), None)
        if quantity is None:
            raise ConfigError(f"no quantity {name!r}: there are {', '.join(q.name for q in self.quantities)}")
        if selection.draw == "spread":
            spread = self.spread_of(quantity)
            if spread is None:
                raise ConfigError(f"no spread of {name} is known: there is one {self.draws_name[0]} only")
            quantity = spread
        return Sampler(self._specimen(selection.cell, selection.draw, selection.position), quantity)

    def scale(self, selection: Selection) -> ColourScale:
        """Colours of a quantity, of the mean of all draws, or of their spread; one scale for a whole series."""
        chosen = selection if selection.draw == "spread" else replace(selection, draw="mean")
        if self.series is None:
            sampler = self.sampler(chosen)
            return colour_scale(sampler.specimen, sampler.quantity.name)
        return self._series_scale(chosen.quantity or self.quantities[0].name)

    def _series_scale(self, name: str) -> ColourScale:
        """Colours for the values at the first, the middle and the last acquisition."""
        with self._lock:
            if name not in self._series_scales and self.series is not None:
                positions = self.series.axis.positions
                ends = {positions[0], positions[len(positions) // 2], positions[-1]}
                scales = [colour_scale(self.series.at(position), name) for position in ends]
                limits = min(scale.low for scale in scales), max(scale.high for scale in scales)
                self._series_scales[name] = scales[0].within(limits)
            return self._series_scales[name]

    def _specimen(self, cell: int, draw: Draw, position: float | None) -> Sampled:
        with self._lock:
            key = (cell, draw, None if self.series is None else position)
            if key not in self._specimens:
                self._specimens[key] = self._open_specimen(*key)
                while len(self._specimens) > 4 * OPEN_RESULTS:
                    self._specimens.popitem(last=False)
            self._specimens.move_to_end(key)
            return self._specimens[key]

    def _open_specimen(self, cell: int, draw: Draw, position: float | None) -> Sampled:
        count = self.cells or 1
        if not 0 <= cell < count:
            raise ConfigError(f"there is no specimen {cell}: they are numbered 0 to {count - 1}")
        if isinstance(draw, int) and not 0 <= draw < self.draws:
            raise ConfigError(f"there is no {self.draws_name[0]} {draw}: they are numbered 0 to {self.draws - 1}")
        if isinstance(self.first, Volume):
            if draw == "spread" and self.draws > 1:
                return _spread(self.first, cell)
            return self.first.cell(cell, _number(draw))
        model = read_model(self.files[cell]) if cell and self.files else self.first
        if self.series is not None and position is not None:
            model = self.series.at(position)
        if not isinstance(draw, int) or len(model.members) == 1:
            return model
        return list(model.split_members())[draw]


def _models(path: Path) -> list[Path]:
    """Models of a run: that of a fit that goes on, or those of its specimens; empty for any other result."""
    preview = path / MODEL_PREVIEW
    if preview.is_file():
        return [preview]
    return model_files(path) if path.is_dir() and not (path / "model.h5").is_file() else []


def _number(draw: Draw) -> int | None:
    return draw if isinstance(draw, int) else None


def _spread(volume: Volume, cell: int) -> Volume:
    """Standard deviation over the draws of a cell, as quantities of their own."""
    names = {q.name: UNCERTAINTY + q.name for q in volume.real_quantities}
    values = {
        own: np.asarray(np.asarray(volume.values[name][cell], np.float32).std(axis=0, ddof=1))
        for name, own in names.items()
    }
    quantities = tuple(
        Quantity(own, volume.quantity(name).unit, f"standard deviation of {name}") for name, own in names.items()
    )
    return replace(volume, values=values, quantities=quantities, consensus={}, cell_attributes=())


class ResultCache:
    """Open results, the latest ones.

    Args:
        open_result: Function that opens one.
    """

    def __init__(self, open_result: Callable[[Path], OpenResult] = OpenResult.open):
        self._open = open_result
        self._results: OrderedDict[str, tuple[Signature, OpenResult]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, entry: CatalogEntry) -> OpenResult:
        """Open the result of an entry, if it is not open or has changed since.

        Raises:
            DataError: If it is damaged, or gone.
        """
        with self._lock:  # The readers of files are not made for several threads.
            known = self._results.get(entry.id)
            if known is None or known[0] != entry.result:
                if not entry.result:
                    raise DataError(Diagnostic(entry.name, "has no result yet", "wait for the end of the run"))
                known = (entry.result, self._open(entry.path))
                self._results[entry.id] = known
                while len(self._results) > OPEN_RESULTS:
                    self._results.popitem(last=False)
            self._results.move_to_end(entry.id)
            return known[1]
