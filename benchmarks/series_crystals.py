"""Series of a crystal whose strain grows, as one model, against each rocking curve alone.

The crystal is sampled on half voxels and summed pixel by pixel in float64 (`uneven_curves.direct_sum`): no FFT, and no
code of the reconstruction. Its fields of displacement grow by different factors. Half of the frames are the even ones
of one curve and the odd ones of the next; the others are masked.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from unflat.physics.diffraction.bragg_geometry import real_space_steps
from unflat.physics.phantoms.crystals import Crystal, density, random_crystal
from unflat.recon.acquisition import Acquisition
from unflat.recon.experiments import get_experiment
from unflat.recon.experiments.crystal.model import sample_volume
from unflat.recon.experiments.crystal.simulate import sample_truth
from unflat.recon.io.write import write

from .commands import Options
from .ledger import Ledger, Numbers
from .series_fits import LEFT_OUT, LEFT_OUT_SEED, STEP, SeriesFits, count_better
from .table import spread
from .uneven_curves import FINENESS, direct_sum

NAME = "series of a crystal (simulated)"
SEEDS = (1, 2, 3)
OPTIONS: Options = {
    "fit.steps": 200,
    "fit.pyramid.levels": 4,
    "acquisition.doubtful": "warn",
    "acquisition.centre": "none",
}
"""The peak's frame is masked in every other curve: without a centre and consent it would be refused."""
TINY: Options = {"fit.steps": 3, "fit.starts": 1, "phase.recipe": [{"hio": {"iterations": 20}}]}
TINY |= {"phase.refine.iterations": 5}

ACQUISITIONS, EDGE, OVERSAMPLING = 4, 24, 2.5
COUNTS = 1e6
"""Counts of a curve of all frames."""
STRENGTH = 2.0
"""[rad] Strength of each field of displacement at the end."""
BEGINNING = (0.3, 0.6)
"""Least and largest share of its strength that a field has at the beginning."""
FIGURES = ("correlation", "strain_error", "strain_truth")
_SPACING, _G = 5e-9, np.array([0.0, 2.7e10, 0.0])
_BASIS = 2 * np.pi / (EDGE * _SPACING) * np.eye(3)


def _crystal(seed: int) -> Crystal:
    """Draw the crystal at the end of the series."""

    def draw(radius: float) -> Crystal:
        rng = np.random.default_rng([seed, 0])
        own = {"phase": (STRENGTH, STRENGTH), "strains": ("polynomial", "relaxation"), "flaws": ()}
        return random_crystal(rng, radius=radius, bragg_vector=_G, **own)  # type: ignore[arg-type]

    width = np.ptp(draw(1e-7).shape.body.vertices(), axis=0) / _SPACING
    return draw(1e-7 * float(np.min(EDGE / (OVERSAMPLING * width))))


def crystal_at(crystal: Crystal, share: float, seed: int) -> Crystal:
    """Return a crystal after a share of the series: each field of displacement grows from a part of its own.

    Args:
        crystal: The crystal at the end.
        share: 0 at the first acquisition, 1 at the last.
        seed: Seed of the parts.
    """
    first = np.random.default_rng([seed, 45]).uniform(*BEGINNING, len(crystal.displacement_fields))
    factors = first + share * (1 - first)
    fields = [field.scale(factor) for field, factor in zip(crystal.displacement_fields, factors, strict=True)]
    return replace(crystal, displacement_fields=tuple(fields))


def simulate_crystals(seed: int, folder: Path) -> list[Path]:
    """Write the rocking curves of a series, with their truths and times."""
    last, shape = _crystal(seed), (EDGE, EDGE, EDGE)
    steps, rng = real_space_steps(_BASIS, shape), np.random.default_rng([seed, 46])
    positions = np.zeros((EDGE, 3))
    positions[:, 0] = np.arange(EDGE) - EDGE // 2
    paths = []
    for number in range(ACQUISITIONS):
        crystal = crystal_at(last, number / (ACQUISITIONS - 1), seed)
        fine = density(crystal, steps / FINENESS, (FINENESS * EDGE,) * 3).astype(complex)
        intensity = np.abs(direct_sum(fine, shape, positions)) ** 2
        counts = rng.poisson(intensity * (COUNTS / intensity.sum())).astype(np.float32)
        arrays = {"images": counts, "mask": np.zeros(shape, np.uint8)}
        arrays |= {"reciprocal_basis": _BASIS, "bragg_vector": _G}
        truth, time = sample_truth(crystal, _SPACING), {"time": f"{STEP * number:g} s"}
        path = folder / f"t{number}.h5"
        write(Acquisition("crystal", arrays, "simulation", truth, time), get_experiment("crystal").schema, path)
        paths.append(path)
    return paths


def halve(paths: Sequence[Path], folder: Path) -> list[Path]:
    """Write each curve with every other frame masked: the odd ones, and of every other curve the even ones."""
    experiment = get_experiment("crystal")
    config, halves = experiment.default_config(), []
    for number, path in enumerate(paths):
        whole = experiment.read(config, path)
        images, mask = np.array(whole["images"]), np.array(whole["mask"])
        images[(number + 1) % 2 :: 2], mask[(number + 1) % 2 :: 2] = 0, 1
        half = folder / path.name
        write(replace(whole, arrays={**whole.arrays, "images": images, "mask": mask}), experiment.schema, half)
        halves.append(half)
    return halves


def run(ledger: Ledger) -> None:
    """Fit the series of each seed as one model, and each curve alone, from half of the frames."""
    options = {**OPTIONS, **ledger.choose({}, TINY)}
    settings = {"counts": COUNTS, "edge": EDGE, "strength": STRENGTH}
    results = [
        SeriesFits(
            *(ledger, "crystal", seed, options, settings),
            *(simulate_crystals, halve, lambda model: sample_volume(model, model.grid()), FIGURES),
        ).numbers()
        for seed in ledger.choose(SEEDS, SEEDS[:1])
    ]
    for figure in _FIGURES:
        for number in range(ACQUISITIONS):
            _add_row(ledger, number, results, figure)
        _add_left_out(ledger, results, figure)
        better, count = count_better(results, figure.name, figure.sign)
        ledger.row(
            f"curves whose {figure.short} the series finds better than alone",
            better / count,
            name=NAME,
            digits=2,
            goal=(">", 0.99),
            how=f"{better} of {count}, from the same half of the frames",
        )


@dataclass(frozen=True)
class _Figure:
    """Number that is compared.

    Args:
        name: Name in ``metrics.json``.
        label: Label of a row.
        short: Name in a sentence.
        sign: 1 if larger is better, -1 if smaller is.
        factor: Factor to the unit.
        unit: Unit.
        digits: Number of decimals.
    """

    name: str
    label: str
    short: str
    sign: int
    factor: float = 1.0
    unit: str = ""
    digits: int = 3

    def text(self, values: Sequence[float]) -> str:
        """Write the mean and the spread."""
        scaled = [self.factor * value for value in values]
        return f"{np.mean(scaled):.{self.digits}f} ({spread(scaled, self.digits)})"

    def mean(self, values: Sequence[float]) -> float:
        """Average in the unit."""
        return self.factor * float(np.mean(values))

    def goal(self, limit: Sequence[float]) -> tuple[str, float]:
        """Goal of a row that is to be better than other values."""
        return (">" if self.sign > 0 else "<", self.mean(limit))


_FIGURES = (
    _Figure("correlation", "correlation with the truth", "density", 1),
    _Figure("strain_error", "error of strain", "strain", -1, 1e4, "·10⁻⁴", 2),
)


def _add_row(ledger: Ledger, number: int, results: Sequence[Numbers], figure: _Figure) -> None:
    """Add the row of one time."""
    own = {name: [result[name][figure.name][number] for result in results] for name in ("series", "half")}
    text = {name: figure.text(values) for name, values in own.items()}
    truth = ""
    if figure.name == "strain_error":
        truth = f"; true strain {figure.text([result['series']['strain_truth'][number] for result in results])}"
    ledger.row(
        f"{figure.label} at {STEP * number:g} s, one model from half of the frames",
        figure.mean(own["series"]),
        name=NAME,
        unit=figure.unit,
        digits=figure.digits,
        reference=f"each alone, the same half: {text['half']}{truth}",
        goal=figure.goal(own["half"]),
        how=f"mean of {len(results)} crystals: {text['series']}",
    )


def _add_left_out(ledger: Ledger, results: Sequence[Numbers], figure: _Figure) -> None:
    """Add the row of the curve that is left out."""
    result = next(result for result in results if "left out" in result)
    model, mean = ([result["left out"][name][figure.name]] for name in ("model", "mean"))
    measured = figure.text([result["series"][figure.name][LEFT_OUT]])
    ledger.row(
        f"{figure.label} at {STEP * LEFT_OUT:g} s of a series without that curve",
        figure.mean(model),
        name=NAME,
        unit=figure.unit,
        digits=figure.digits,
        reference=f"mean of its neighbours' densities: {figure.text(mean)}; with it: {measured}",
        goal=figure.goal(mean),
        how=f"between neighbours {2 * STEP:g} s apart; seed {LEFT_OUT_SEED}",
    )
