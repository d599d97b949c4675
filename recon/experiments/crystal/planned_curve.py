"""Rocking curve as its plan sees it: steps of q, size of the crystal, counts. Without jax."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from ....physics.diffraction.bragg_geometry import GeometryError, real_space_steps
from ....physics.diffraction.porod import one_photon_radius, porod_counts
from ...acquisition import Acquisition
from ...errors import ConfigError, Diagnostic
from ..plan import describe_origin, literal_of
from .config import CrystalSettings
from .geometry_checks import geometry_faults
from .preprocess import crop_box_by_size, preprocess
from .simulated_geometry import simulated_reflection
from .validate import length_faults

_LENGTHS = ("wavelength", "detector_distance", "pixel_size")
_FEWEST_COUNTS = 20.0
"""Counts of all voxels of a shell from which its mean is used."""
_NEAR = 2.0
"""Distance from the peak, in fringes 2π/D, from which Porod's law is compared with the counts."""


@dataclass(frozen=True)
class PlannedCurve:
    """Rocking curve, measured or planned.

    Args:
        shape: Number of voxels (frame, y, x) that are phased.
        basis: [1/m] Rows: change of q for one step of (frame, y, x).
        widths: [m] Widths of the crystal: field of view over oversampling along (frame, y, x).
        total: Counts of the whole pattern; None without counting noise.
        falloff: [1/m] Distance from the peak at which a voxel holds one count on average; None without noise.
        is_measured: Whether counts and size come from a measurement.
        counts: Measured counts; None if they are planned.
        peak: Index of the Bragg peak.
        unit: Unit of length: ``m``, or ``voxels`` where the steps of q are unknown.
        frames_left: Number of voxels along frame that the crop leaves out.
    """

    shape: tuple[int, int, int]
    basis: Float[np.ndarray, "3 3"]
    widths: tuple[float, float, float]
    total: float | None
    falloff: float | None
    is_measured: bool
    counts: Float[np.ndarray, "frame y x"] | None
    peak: tuple[int, int, int]
    unit: str = "m"
    frames_left: int = 0

    @property
    def steps(self) -> Float[np.ndarray, "3 3"]:
        """[m] Rows: steps of position between the samples of the density."""
        return real_space_steps(self.basis, self.shape)

    @property
    def voxels(self) -> tuple[float, float, float]:
        """[m] Length of the steps of position."""
        z, y, x = np.linalg.norm(self.steps, axis=1)
        return float(z), float(y), float(x)

    @property
    def fields(self) -> tuple[float, float, float]:
        """[m] Period of the density along each axis of q, 2π over the step of q."""
        z, y, x = 2 * np.pi / np.linalg.norm(self.basis, axis=1)
        return float(z), float(y), float(x)

    @property
    def oversampling(self) -> tuple[float, float, float]:
        """Field over width of the crystal along each axis."""
        z, y, x = (field / width for field, width in zip(self.fields, self.widths, strict=True))
        return z, y, x

    @property
    def radius(self) -> float:
        """[m] Radius of the ball that is as wide as the crystal, on the mean of the axes."""
        return float(np.cbrt(np.prod(self.widths)) / 2)

    @property
    def cell_volume(self) -> float:
        """[1/m³] Volume of reciprocal space of a voxel."""
        return float(abs(np.linalg.det(self.basis)))

    def expected_counts(self, q: Float[np.ndarray, "*n"]) -> Float[np.ndarray, "*n"]:
        """Compute the mean counts at distances from the peak by Porod's law, relative to the peak without noise."""
        if self.total is not None:
            return porod_counts(q, self.total, self.cell_volume, self.radius)
        peak = porod_counts(np.zeros(1), 1.0, self.cell_volume, self.radius)
        return porod_counts(q, float(1 / peak[0]), self.cell_volume, self.radius)


def planned_acquisition(settings: CrystalSettings) -> Acquisition:
    """Build the acquisition that a config describes, without counts.

    Lengths and a basis that stand in the ``acquisition:`` section go before those of ``simulate:``.

    Raises:
        ConfigError: If there is no such geometry.
    """
    section = settings.acquisition
    own = {name: value for name in _LENGTHS if (value := literal_of(getattr(section, name))) is not None}
    lengths: dict[str, object] = {name: float(value) for name, value in own.items() if name != "pixel_size"}
    if "pixel_size" in own:
        y, x = np.broadcast_to(own["pixel_size"], 2)
        lengths["pixel_size"] = (float(y), float(x))
    planned = settings.simulate.model_copy(update=lengths)
    given = literal_of(section.reciprocal_basis)
    basis = simulated_reflection(planned).basis if given is None else given
    arrays: Mapping[str, np.ndarray] = {
        "images": np.broadcast_to(np.float32(0), planned.shape),
        "wavelength": np.array(planned.wavelength),
        "detector_distance": np.array(planned.detector_distance),
        "pixel_size": np.array(planned.pixel_size),
        "reciprocal_basis": basis,
    }
    places = {name: f"{'acquisition' if name in own else 'simulate'}.{name}" for name in _LENGTHS}
    places["reciprocal_basis"] = "simulate" if given is None else "acquisition.reciprocal_basis"
    acquisition = Acquisition("crystal", arrays, "the config", places=places)
    if faults := length_faults(acquisition) or geometry_faults(acquisition):
        raise ConfigError(*faults)
    return acquisition


def origin(settings: CrystalSettings) -> str:
    """Describe in a phrase the sections of a config that a planned acquisition comes from."""
    names = (*_LENGTHS, "reciprocal_basis")
    own = [name for name in names if literal_of(getattr(settings.acquisition, name)) is not None]
    return describe_origin(own)


def plan_curve(settings: CrystalSettings, acquisition: Acquisition) -> PlannedCurve:
    """Plan a rocking curve that the config describes.

    Args:
        settings: The config, whose section ``simulate`` gives the size of the crystal and the counts.
        acquisition: Acquisition by `planned_acquisition`.
    """
    box, section = crop_box_by_size(settings, acquisition), settings.simulate
    frame, y, x = (n // b for n, b in zip(box.size, settings.acquisition.bin, strict=True))
    basis = _require_basis(acquisition["reciprocal_basis"] * np.array(settings.acquisition.bin)[:, None])
    steps = np.linalg.norm(acquisition["reciprocal_basis"], axis=1)
    diameter = 2 * float(section.radius) if not isinstance(section.radius, str) else 0.0
    diameter = diameter or float(2 * np.pi / (section.oversampling * steps.max()))
    total = section.detector.counts
    cell = float(abs(np.linalg.det(basis)))
    falloff = None if total is None else one_photon_radius(total, cell, diameter / 2)
    middle = (frame // 2, y // 2, x // 2)
    left = _frames_left(settings, acquisition, frame)
    return PlannedCurve((frame, y, x), basis, (diameter,) * 3, total, falloff, False, None, middle, frames_left=left)


def measured_curve(settings: CrystalSettings, acquisition: Acquisition) -> PlannedCurve:
    """Plan from a measurement: size of the crystal by its autocorrelation, falloff by its counts.

    Where the steps of q are unknown, lengths are in voxels, which are taken as cubes.

    Raises:
        ConfigError: If the rows of the basis lie in one plane.
    """
    scan = preprocess(settings, acquisition)
    frame, y, x = scan.counts.shape
    unit = "voxels" if scan.reciprocal_basis is None else "m"
    cubes = np.diag(2 * np.pi / np.array(scan.counts.shape))
    basis = _require_basis(cubes if scan.reciprocal_basis is None else scan.reciprocal_basis)
    fields = 2 * np.pi / np.linalg.norm(basis, axis=1)
    wz, wy, wx = (float(f / ratio) for f, ratio in zip(fields, scan.sampling.ratio, strict=True))
    counts = np.where(scan.good, scan.counts, 0).astype(np.float64)
    q = _distances(basis, (frame, y, x), scan.peak)
    width = float(np.cbrt(wz * wy * wx))
    falloff = measured_falloff(q[scan.good], counts[scan.good], width)
    total = float(counts.sum())
    left = _frames_left(settings, acquisition, frame)
    widths = (wz, wy, wx)
    return PlannedCurve((frame, y, x), basis, widths, total, falloff, True, counts, scan.peak, unit, left)


def _frames_left(settings: CrystalSettings, acquisition: Acquisition, frames: int) -> int:
    """Count the voxels along frame that the crop leaves out."""
    return max(0, len(acquisition["images"]) // settings.acquisition.bin[0] - frames)


def measured_falloff(q: Float[np.ndarray, " n"], counts: Float[np.ndarray, " n"], width: float) -> float | None:
    """[1/m] Find the distance from the peak at which a voxel holds one count on average above the background.

    The means of shells, one fringe thick, follow q⁻⁴ from a few fringes on; where all hold more than one count, or the
    outermost fewer by chance, that law is continued.

    Args:
        q: [1/m] Distance of good voxels from the peak.
        counts: Counts of each.
        width: [m] Width of the crystal.

    Returns:
        The distance; None where no shell holds enough counts.
    """
    fringe = 2 * np.pi / width
    shell = (q / fringe).astype(np.int64)
    number, total = np.bincount(shell), np.bincount(shell, weights=counts)
    means = total / np.maximum(number, 1)
    background = float(means[number > 0][-1])
    above, place = means - background, (np.arange(len(means)) + 0.5) * fringe
    used = (total > _FEWEST_COUNTS) & (place > _NEAR * fringe) & (above > 2 * background) & (above > 0)
    if not used.any():
        return None
    logs = np.log(above[used] * place[used] ** 4)
    return float(np.exp(np.average(logs, weights=np.sqrt(total[used]))) ** 0.25)


def _distances(
    basis: Float[np.ndarray, "3 3"], shape: tuple[int, int, int], peak: tuple[int, int, int]
) -> Float[np.ndarray, "frame y x"]:
    """[1/m] Distance of each voxel from the peak."""
    offsets = (np.arange(n) - p for n, p in zip(shape, peak, strict=True))
    index = np.stack(np.meshgrid(*offsets, indexing="ij"), axis=-1)
    return np.asarray(np.linalg.norm(index @ basis, axis=-1))


def _require_basis(basis: Float[np.ndarray, "3 3"]) -> Float[np.ndarray, "3 3"]:
    """Return the basis.

    Raises:
        ConfigError: If its rows lie in one plane.
    """
    try:
        real_space_steps(basis, (1, 1, 1))
    except GeometryError as error:
        raise ConfigError(Diagnostic("acquisition.reciprocal_basis", str(error))) from error
    return basis


def inside_array(index: Float[np.ndarray, "*n 3"], shape: tuple[int, int, int]) -> Bool[np.ndarray, "*n"]:
    """Whether indices (frame, y, x) lie within an array."""
    return np.asarray(((index > -0.5) & (index < np.array(shape) - 0.5)).all(axis=-1))
