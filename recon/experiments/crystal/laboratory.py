"""Crystal in the laboratory from a density in the detector's frame: amplitude, phase, displacement, strain.

The density is moved to the middle of its array, its phase ramp (of a peak beside the array's middle pixel) and offset
are removed, and the complex numbers are resampled on orthogonal axes; only then is the phase unwrapped, within the
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
from ...phase_retrieval.align import centring_shift
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
SURFACE = 0.4
"""Amplitude of the crystal's surface, relative to its inside: the phase is meaningless below it."""
_FRAGMENT = 0.01
"""Size of a fragment, relative to the largest part of the crystal, below which it is removed."""
_SHELL = 0.5
"""Interpolated support from which a sample of the laboratory belongs to the crystal."""


@dataclass(frozen=True)
class Solution:
    """Density in the frame of the detector.

    Args:
        density: Complex density on the grid conjugate to the measured array, centred.
        support: Mask of the crystal.
        alternatives: Independent solutions, each aligned with the density: their spread is its uncertainty.
    """

    density: Complex[np.ndarray, "z y x"]
    support: Bool[np.ndarray, "z y x"]
    alternatives: Complex[np.ndarray, "k z y x"] | None = None


@dataclass(frozen=True)
class LaboratoryFrame:
    """Position of the detector's array in the laboratory.

    Args:
        reciprocal_basis: [1/m] Rows: change of q for one step of (frame, y, x); None if unknown.
        bragg_vector: [1/m] G; None if unknown.
    """

    reciprocal_basis: Float[np.ndarray, "3 3"] | None = None
    bragg_vector: Float[np.ndarray, " 3"] | None = None

    @property
    def is_known(self) -> bool:
        """Whether the size of a voxel is known."""
        return self.reciprocal_basis is not None

    def steps(self, shape: tuple[int, int, int]) -> Float[np.ndarray, "3 3"]:
        """Compute the steps of position along the array's axes, as rows [m]; [voxel] where the size is unknown."""
        if self.reciprocal_basis is None:
            return np.eye(3)
        return real_space_steps(self.reciprocal_basis, shape)


def to_laboratory(solution: Solution, frame: LaboratoryFrame, spacing: float | None = None) -> Volume:
    """Resample a solution to orthogonal axes of the laboratory.

    Args:
        solution: Density in the detector's frame.
        frame: Position of its array. Without a basis the volume is in voxels; without G it has no displacement and no
            strain.
        spacing: [m] Distance between samples; None for the cube root of the skewed voxel's volume.

    Raises:
        DataError: If nothing is left of the crystal.
    """
    inside_level(np.abs(solution.density), solution.support)  # An empty crystal has no grid.
    z, y, x = solution.density.shape
    shift = shift_to_middle(solution)
    support = np.roll(solution.support, shift, axis=(0, 1, 2))
    steps = frame.steps((z, y, x))
    axes = laboratory_grid(steps, (z, y, x), spacing if frame.is_known else None, support, margin=3.0)
    # Linear: a spline would ring at the edge of the support.
    inside = resample(support.astype(np.float64), steps, axes, order=1) >= _SHELL
    ramp = phase_ramp(phase_slopes(np.roll(solution.density, shift, axis=(0, 1, 2)), support), support.shape)
    np.conj(ramp, out=ramp)

    def resample_density(density: Complex[np.ndarray, "z y x"]) -> Complex[np.ndarray, "lab_z lab_y lab_x"]:
        return np.asarray(resample(np.roll(density, shift, axis=(0, 1, 2)) * ramp, steps, axes))

    resampled = resample_density(solution.density)
    level = inside_level(np.abs(resampled), inside)
    inside = remove_fragments(inside & (np.abs(resampled) > SURFACE * level))
    coefficients, phase = unwrap_inside(resampled, inside)
    plane = np.exp(1j * coefficients[0]) * phase_ramp(coefficients[1:], inside.shape)
    flat = resampled * np.conj(plane)
    values = _derive_quantities(flat / level, phase, inside, axes, frame)
    if solution.alternatives is not None and len(solution.alternatives) > 1:
        others = np.stack([resample_density(each) * np.conj(plane) / level for each in solution.alternatives])
        values |= _uncertainties(others, flat / level, inside, axes, frame)
    quantities = tuple(q for q in volume_quantities() if q.name in values)
    ordered = {q.name: to_file_precision(values[q.name]) for q in quantities}
    return Volume(
        "crystal", *axes, ordered, quantities, volume_attributes(frame, level), "m" if frame.is_known else "voxel"
    )


def _derive_quantities(
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


def _uncertainties(
    densities: Complex[np.ndarray, "k z y x"],
    mean: Complex[np.ndarray, "z y x"],
    inside: Bool[np.ndarray, "z y x"],
    axes: Axes,
    frame: LaboratoryFrame,
) -> dict[str, np.ndarray]:
    """Compute the standard deviations of all quantities over independent solutions; 0 outside the support."""
    differences = np.angle(densities * np.conj(mean))
    phase = np.std(differences, axis=0)
    spread = {"amplitude": np.std(np.abs(densities), axis=0), "phase": phase}
    g = frame.bragg_vector if frame.is_known else None
    if g is not None:
        spread["displacement"] = phase / float(np.linalg.norm(g))
        spread["strain"] = np.std([_strain(each, axes, g, inside) for each in densities], axis=0)
    return {f"uncertainty_{name}": np.where(inside, values, 0) for name, values in spread.items()}


def inside_level(amplitude: Float[np.ndarray, "z y x"], inside: Bool[np.ndarray, "z y x"]) -> float:
    """Compute the amplitude of the crystal's inside: its median, without the blurred edge.

    Raises:
        DataError: If nothing is inside.
    """
    values = amplitude[inside]
    if not (values > 0).any():
        remedy = "check that mask, crop and centre leave the peak in, and phase again with more starts or another seed"
        raise DataError(
            Diagnostic("", "nothing is left of the crystal: its support is empty, or its density is 0", remedy)
        )
    return float(np.median(values[values > 0.5 * np.percentile(values, 95)]))


def remove_fragments(inside: Bool[np.ndarray, "z y x"]) -> Bool[np.ndarray, "z y x"]:
    """Remove fragments smaller than a hundredth of the largest part: their phase is not connected to its."""
    labels, _ = label(inside)
    sizes = np.bincount(labels.ravel())[1:]
    large = 1 + np.flatnonzero(sizes >= _FRAGMENT * sizes.max(initial=1))
    return np.asarray(np.isin(labels, large))


def phase_slopes(density: Complex[np.ndarray, "z y x"], support: Bool[np.ndarray, "z y x"]) -> Float[np.ndarray, " 3"]:
    """Compute the mean slope [rad/voxel] of the phase along each axis: the angle of Σ ρ(n+1) ρ*(n)."""
    inner = np.where(support, density, 0)
    lines = [np.moveaxis(inner, axis, 0) for axis in range(3)]
    return np.array([float(np.angle(np.vdot(line[:-1], line[1:]))) for line in lines])


def phase_ramp(slopes: Float[np.ndarray, " 3"], shape: tuple[int, ...]) -> Complex[np.ndarray, "z y x"]:
    """Compute a wave of modulus 1 with given slopes [rad/voxel], whose phase is 0 in the array's middle."""
    z, y, x = (np.exp(1j * slope * (np.arange(n) - n // 2)) for slope, n in zip(slopes, shape, strict=True))
    return np.asarray(z[:, None, None] * y[:, None] * x)


def unwrap_inside(
    density: Complex[np.ndarray, "z y x"], support: Bool[np.ndarray, "z y x"]
) -> tuple[Float[np.ndarray, " 4"], Float[np.ndarray, "z y x"]]:
    """Unwrap the phase within the support, and remove a plane, fitted by weighted least squares.

    Returns:
        Offset of the plane in the array's middle and its slopes [rad/voxel]; and the phase without it [rad], 0 outside
        the support.
    """
    from skimage.restoration import unwrap_phase

    masked = np.ma.masked_array(np.angle(density), ~support)
    unwrapped = np.asarray(np.ma.filled(unwrap_phase(masked, rng=0), 0.0), np.float64)
    index = np.indices(density.shape) - (np.array(density.shape) // 2).reshape(3, 1, 1, 1)
    columns = np.column_stack([np.ones(int(support.sum())), *(axis[support] for axis in index)])
    weights = np.abs(density[support])
    coefficients, *_ = np.linalg.lstsq(columns * weights[:, None], unwrapped[support] * weights, rcond=None)
    plane = coefficients[0] + sum(slope * axis for slope, axis in zip(coefficients[1:], index, strict=True))
    return np.asarray(coefficients), np.where(support, unwrapped - plane, 0)


def bragg_vector_from(attributes: Mapping[str, float | str]) -> Float[np.ndarray, " 3"] | None:
    """Read G [1/m] from the attributes of a volume; None if they do not hold it."""
    names = [f"bragg_vector_{axis}" for axis in "zyx"]
    return np.array([float(attributes[name]) for name in names]) if all(name in attributes for name in names) else None


def volume_quantities() -> tuple[Quantity, ...]:
    """List the quantities that a crystal's volume may hold, in order, with the uncertainty of each."""
    uncertainties = (
        Quantity(f"uncertainty_{q.name}", q.unit, f"{q.name}: spread between independent solutions") for q in QUANTITIES
    )
    return (*QUANTITIES, *uncertainties)


def to_file_precision(array: np.ndarray) -> np.ndarray:
    """Convert an array to the precision of files."""
    return array.astype(np.float32) if array.dtype == np.float64 else array


def volume_attributes(frame: LaboratoryFrame, level: float) -> dict[str, float | str]:
    """List the attributes of a volume or a model: scale, convention and G."""
    attributes: dict[str, float | str] = {"density_scale": level, "convention": "forward FFT: phase = -G.u"}
    if frame.bragg_vector is not None:
        attributes |= {f"bragg_vector_{a}": float(g) for a, g in zip("zyx", frame.bragg_vector, strict=True)}
    return attributes


def _strain(
    density: Complex[np.ndarray, "z y x"],
    axes: Axes,
    bragg_vector: Float[np.ndarray, " 3"],
    support: Bool[np.ndarray, "z y x"],
) -> Float[np.ndarray, "z y x"]:
    """Compute ∂u_G/∂x_G on orthogonal axes; 0 outside the support, for readers of volumes that refuse NaN."""
    spacing = np.diag([float(a[1] - a[0]) for a in axes])
    return np.asarray(np.nan_to_num(strain_from_density(density, spacing, bragg_vector, support)))


def shift_to_middle(solution: Solution) -> tuple[int, int, int]:
    """Compute the voxels by which to roll the crystal to the middle of its array."""
    return centring_shift(np.where(solution.support, np.abs(solution.density), 0))
