"""From a density in the detector's frame to the crystal in the laboratory: amplitude, phase, displacement, strain.

The density is moved to the middle of its array, its phase ramp (a peak beside the array's middle pixel) and offset are
taken away, and the complex numbers are resampled on orthogonal axes; only then is the phase unwrapped, within the
support. With F(q) = Σ ρ e^(−iq·r) the phase is −G·u. The strain is ∂u_G/∂x_G relative to the crystal's own mean
lattice: a uniform one moves the peak as a change of G does, and cannot be told from it.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Complex, Float
from scipy.ndimage import label

from ....physics.diffraction.bragg_geometry import (
    Axes,
    displacement_from_phase,
    laboratory_grid,
    real_space_steps,
    resample,
    strain_from_density,
)
from ...errors import DataError, Diagnostic
from ...phase_retrieval.align import to_middle
from ...sampled import Quantity
from ...volume import Volume

QUANTITIES = (
    Quantity("amplitude", "1", "density of the crystal's lattice; 1 is its median"),
    Quantity("phase", "rad", "phase of the density, -G.u, unwrapped, without ramp and offset"),
    Quantity("displacement", "m", "displacement of the lattice along G"),
    Quantity("strain", "1", "change of the displacement along G"),
    Quantity("support", "1", "1 inside the crystal"),
    Quantity("density", "1", "complex density"),
)
_UNCERTAIN = "spread between independent solutions"
SURFACE = 0.4
"""Amplitude of the crystal's surface, relative to its inside: below it the phase means nothing."""
_CRUMB = 0.01
_SHELL = 0.5
"""Share of a support's samples around a new one that make it part of the support."""


@dataclass(frozen=True)
class Solution:
    """A density in the frame of the detector.

    Args:
        density: On the grid conjugate to the measured array, centred.
        support: Where it is.
        kept: Independent solutions, each brought onto the density: their spread is its uncertainty.
    """

    density: Complex[np.ndarray, "z y x"]
    support: Bool[np.ndarray, "z y x"]
    kept: Complex[np.ndarray, "k z y x"] | None = None


@dataclass(frozen=True)
class LaboratoryFrame:
    """Where a solution lies.

    Args:
        reciprocal_basis: [1/m] Rows: change of q for one step of (frame, y, x); None if unknown.
        bragg_vector: [1/m] G; None if unknown.
    """

    reciprocal_basis: Float[np.ndarray, "3 3"] | None = None
    bragg_vector: Float[np.ndarray, " 3"] | None = None

    @property
    def is_known(self) -> bool:
        """Whether a voxel has a size."""
        return self.reciprocal_basis is not None

    def steps(self, shape: tuple[int, int, int]) -> Float[np.ndarray, "3 3"]:
        """[m] Rows: step of position along the array's axes; [voxel] where the size is unknown."""
        if self.reciprocal_basis is None:
            return np.eye(3)
        return real_space_steps(self.reciprocal_basis, shape)


def to_laboratory(solution: Solution, frame: LaboratoryFrame, spacing: float | None = None) -> Volume:
    """Bring a solution to the laboratory.

    Args:
        solution: In the detector's frame.
        frame: Where it lies. Without a basis the volume is in voxels; without G it has no displacement and no strain.
        spacing: [m] Between samples; None for the cube root of the skewed voxel's volume.

    Raises:
        DataError: If nothing is left of the crystal.
    """
    inside_level(np.abs(solution.density), solution.support)  # before the work: of nothing there is no grid
    z, y, x = solution.density.shape
    shift = shift_to_middle(solution)
    support = np.roll(solution.support, shift, axis=(0, 1, 2))
    steps = frame.steps((z, y, x))
    axes = laboratory_grid(steps, (z, y, x), spacing if frame.is_known else None, support, margin=3.0)
    # Linear at the rim of the support: a spline would ring there into what is empty.
    inside = resample(support.astype(np.float64), steps, axes, order=1) >= _SHELL
    ramp = phase_ramp(phase_slopes(np.roll(solution.density, shift, axis=(0, 1, 2)), support), support.shape)

    def moved(density: Complex[np.ndarray, "z y x"]) -> Complex[np.ndarray, "lab_z lab_y lab_x"]:
        rolled = np.roll(density, shift, axis=(0, 1, 2)).astype(np.complex128)
        return np.asarray(resample(rolled * np.conj(ramp), steps, axes))

    resampled = moved(solution.density)
    level = inside_level(np.abs(resampled), inside)
    inside = remove_fragments(inside & (np.abs(resampled) > SURFACE * level))
    line, phase = unwrap_inside(resampled, inside)
    plane = np.exp(1j * line[0]) * phase_ramp(line[1:], inside.shape)
    flat = resampled * np.conj(plane)
    values = _quantities_of(flat / level, phase, inside, axes, frame)
    if solution.kept is not None and len(solution.kept) > 1:
        others = np.stack([moved(each) * np.conj(plane) / level for each in solution.kept])
        values |= _spreads(others, flat / level, inside, axes, frame)
    quantities = tuple(q for q in volume_quantities() if q.name in values)
    ordered = {q.name: to_file_precision(values[q.name]) for q in quantities}
    return Volume(
        "crystal", *axes, ordered, quantities, volume_attributes(frame, level), "m" if frame.is_known else "voxel"
    )


def _quantities_of(
    density: Complex[np.ndarray, "z y x"],
    phase: Float[np.ndarray, "z y x"],
    inside: Bool[np.ndarray, "z y x"],
    axes: Axes,
    frame: LaboratoryFrame,
) -> dict[str, np.ndarray]:
    values = {"amplitude": np.abs(density), "phase": phase, "support": inside.astype(np.uint8)}
    g = frame.bragg_vector if frame.is_known else None
    if g is not None:
        values |= {"displacement": displacement_from_phase(phase, g), "strain": _strain(density, axes, g, inside)}
    return values | {"density": density.astype(np.complex64)}


def _spreads(
    densities: Complex[np.ndarray, "k z y x"],
    mean: Complex[np.ndarray, "z y x"],
    inside: Bool[np.ndarray, "z y x"],
    axes: Axes,
    frame: LaboratoryFrame,
) -> dict[str, np.ndarray]:
    """Standard deviations over independent solutions, of what a volume holds; 0 outside the support."""
    turned = np.angle(densities * np.conj(mean))
    phase = np.std(turned, axis=0)
    spread = {"amplitude": np.std(np.abs(densities), axis=0), "phase": phase}
    g = frame.bragg_vector if frame.is_known else None
    if g is not None:
        spread["displacement"] = phase / float(np.linalg.norm(g))
        spread["strain"] = np.std([_strain(each, axes, g, inside) for each in densities], axis=0)
    return {f"uncertainty_{name}": np.where(inside, values, 0) for name, values in spread.items()}


def inside_level(amplitude: Float[np.ndarray, "z y x"], inside: Bool[np.ndarray, "z y x"]) -> float:
    """Amplitude of the crystal's inside: the median of what is not its blurred rim.

    Raises:
        DataError: If nothing is inside.
    """
    values = amplitude[inside]
    if not (values > 0).any():
        remedy = "see that mask, crop and centre leave it its peak, and phase it anew with more starts or another seed"
        raise DataError(
            Diagnostic("", "nothing is left of the crystal: its support is empty, or its density is 0", remedy)
        )
    return float(np.median(values[values > 0.5 * np.percentile(values, 95)]))


def remove_fragments(inside: Bool[np.ndarray, "z y x"]) -> Bool[np.ndarray, "z y x"]:
    """Leave out crumbs: parts that are no hundredth of the largest one, whose phase nothing connects to it."""
    labels, _ = label(inside)
    sizes = np.bincount(labels.ravel())[1:]
    kept = 1 + np.flatnonzero(sizes >= _CRUMB * sizes.max(initial=1))
    return np.asarray(np.isin(labels, kept))


def phase_slopes(density: Complex[np.ndarray, "z y x"], support: Bool[np.ndarray, "z y x"]) -> Float[np.ndarray, " 3"]:
    """[rad/voxel] The mean slope of the phase along each axis.

    It is the angle of Σ ρ(n+1) ρ*(n): nothing has to be unwrapped for it.
    """
    inner = np.where(support, density, 0)
    lines = [np.moveaxis(inner, axis, 0) for axis in range(3)]
    return np.array([float(np.angle(np.vdot(line[:-1], line[1:]))) for line in lines])


def phase_ramp(slopes: Float[np.ndarray, " 3"], shape: tuple[int, ...]) -> Complex[np.ndarray, "z y x"]:
    """A wave of modulus 1 with these slopes, whose phase is 0 in the array's middle."""
    z, y, x = (np.exp(1j * slope * (np.arange(n) - n // 2)) for slope, n in zip(slopes, shape, strict=True))
    return np.asarray(z[:, None, None] * y[:, None] * x)


def unwrap_inside(
    density: Complex[np.ndarray, "z y x"], support: Bool[np.ndarray, "z y x"]
) -> tuple[Float[np.ndarray, " 4"], Float[np.ndarray, "z y x"]]:
    """Unwrap the phase within the support, and find the plane in it by weighted least squares.

    Returns:
        The plane's offset in the array's middle and its slopes [rad/voxel], and the phase without it [rad]; 0 outside
        the support.
    """
    from skimage.restoration import unwrap_phase

    masked = np.ma.masked_array(np.angle(density), ~support)
    whole = np.asarray(np.ma.filled(unwrap_phase(masked, rng=0), 0.0), np.float64)
    index = np.indices(density.shape) - (np.array(density.shape) // 2).reshape(3, 1, 1, 1)
    columns = np.column_stack([np.ones(int(support.sum())), *(axis[support] for axis in index)])
    weights = np.abs(density[support])
    line, *_ = np.linalg.lstsq(columns * weights[:, None], whole[support] * weights, rcond=None)
    plane = line[0] + sum(slope * axis for slope, axis in zip(line[1:], index, strict=True))
    return np.asarray(line), np.where(support, whole - plane, 0)


def bragg_vector_from(facts: Mapping[str, float | str]) -> Float[np.ndarray, " 3"] | None:
    """[1/m] G from a volume's attributes; None where they do not tell."""
    names = [f"bragg_vector_{axis}" for axis in "zyx"]
    return np.array([float(facts[name]) for name in names]) if all(name in facts for name in names) else None


def volume_quantities() -> tuple[Quantity, ...]:
    """What a crystal's volume may hold, in order: the quantities, then the uncertainty of each."""
    uncertain = (Quantity(f"uncertainty_{q.name}", q.unit, f"{q.name}: {_UNCERTAIN}") for q in QUANTITIES)
    return (*QUANTITIES, *uncertain)


def to_file_precision(array: np.ndarray) -> np.ndarray:
    """Bring an array to the precision of files."""
    return array.astype(np.float32) if array.dtype == np.float64 else array


def volume_attributes(frame: LaboratoryFrame, level: float) -> dict[str, float | str]:
    """What a volume or a model says beside its values: scale, convention and G."""
    facts: dict[str, float | str] = {"density_scale": level, "convention": "forward FFT: phase = -G.u"}
    if frame.bragg_vector is not None:
        facts |= {f"bragg_vector_{a}": float(g) for a, g in zip("zyx", frame.bragg_vector, strict=True)}
    return facts


def _strain(
    density: Complex[np.ndarray, "z y x"],
    axes: Axes,
    bragg_vector: Float[np.ndarray, " 3"],
    support: Bool[np.ndarray, "z y x"],
) -> Float[np.ndarray, "z y x"]:
    """∂u_G/∂x_G on orthogonal axes; 0 outside the support, which every reader of volumes can take."""
    spacing = np.diag([float(a[1] - a[0]) for a in axes])
    return np.asarray(np.nan_to_num(strain_from_density(density, spacing, bragg_vector, support)))


def shift_to_middle(solution: Solution) -> tuple[int, int, int]:
    """Voxels by which to roll the crystal to the middle of its array."""
    return to_middle(np.where(solution.support, np.abs(solution.density), 0))
