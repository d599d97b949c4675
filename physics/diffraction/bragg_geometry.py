"""Geometry of a rocking curve: its skewed grid, the laboratory frame, displacement and strain.

Notation
--------
b_i    change of q = k_out − k_in for one step along the measured array's axis i (frame, y, x) [1/m, with 2π]
a_j    step of position along the conjugate array's axis j [m]
N_j    sizes of the arrays
G      Bragg vector [1/m]; φ phase of the density; u displacement [m]

Patterns, and their sizes and steps b_i, are along (frame, y, x); the density is on the conjugate array, whose axes (z,
y, x) are skewed in the laboratory: its axis z is conjugate to the frames. Either has its origin at sample ``n // 2``.
Vectors, resampled arrays (lab_z, lab_y, lab_x), and columns of a (3, 3) matrix are along (z, y, x) of the laboratory,
SI, float64; rows of a matrix belong to the array's axes. The FFT's phase q·r = 2π Σ k_j n_j/N_j fixes a_j·b_i N_i = 2π
δ_ij, so that A = 2π (diag(N) B)^(−T) with rows a_j and b_i (Berenguer et al., Phys. Rev. B 88, 144101 (2013), eq. 6).

With F(q) = Σ ρ e^(−iq·r), a lattice displaced by u scatters with the phase φ = −G·u: the displacement along G is
−φ/|G|, and a stretched crystal (∂u_G/∂x_G > 0) peaks at smaller |q|.
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Bool, Complex, Float
from scipy import ndimage

Axes = tuple[Float[np.ndarray, " lab_z"], Float[np.ndarray, " lab_y"], Float[np.ndarray, " lab_x"]]
"""[m] Coordinates of the samples of an orthogonal grid along z, y, x."""

_MIN_RELATIVE_VOLUME = 1e-6
"""Least volume that the rows of a basis span, relative to the product of their lengths."""
_MIN_AXIS_WEIGHT = 1e-9
"""Steps along an array's axis, relative to a unit step, that are rounding errors."""
_ROUNDING_MARGIN = 1e-6
"""[sample] Tolerance of positions, so that a sample on the grid's edge adds no further one by rounding."""


class GeometryError(ValueError):
    """Basis, direction, spacing or support from which no geometry follows."""


def real_space_steps(
    reciprocal_basis: Float[np.ndarray, "3 3"], shape: tuple[int, int, int]
) -> Float[np.ndarray, "3 3"]:
    """Compute the steps of position between the samples of the conjugate array.

    Args:
        reciprocal_basis: [1/m] Rows: change of q for one step of (frame, y, x), laboratory (z, y, x).
        shape: Shape of the measured array, with the padding of its transform.

    Returns:
        [m] Rows: step of position along the array's axes, laboratory (z, y, x).

    Raises:
        FrameError: If the basis is not finite, or its rows lie in one plane.
    """
    lengths = np.linalg.norm(reciprocal_basis, axis=1)
    volume = abs(np.linalg.det(reciprocal_basis)) if np.isfinite(reciprocal_basis).all() else 0.0
    if not volume > _MIN_RELATIVE_VOLUME * np.prod(lengths):
        raise GeometryError(
            f"the reciprocal basis {reciprocal_basis.tolist()} 1/m spans no volume: its rows (frame, y, x) must be "
            "finite and not lie in one plane"
        )
    steps: Float[np.ndarray, "3 3"] = 2 * np.pi * np.linalg.inv(np.array(shape)[:, None] * reciprocal_basis).T
    return steps


def reciprocal_space_steps(steps: Float[np.ndarray, "3 3"], shape: tuple[int, int, int]) -> Float[np.ndarray, "3 3"]:
    """Compute the steps of q of an array: the inverse of :func:`real_space_steps`.

    Args:
        steps: [m] Rows: step of position along the array's axes.
        shape: Shape of the array.

    Returns:
        [1/m] Rows: change of q for one step of (frame, y, x).
    """
    basis: Float[np.ndarray, "3 3"] = 2 * np.pi * np.linalg.inv(steps).T / np.array(shape)[:, None]
    return basis


def sample_positions(steps: Float[np.ndarray, "3 3"], shape: tuple[int, int, int]) -> Float[np.ndarray, "z y x 3"]:
    """Compute the position [m] of each sample of a centred array in the laboratory, (z, y, x)."""
    z, y, x = ((np.arange(n) - n // 2)[:, None] * step for n, step in zip(shape, steps, strict=True))
    positions: Float[np.ndarray, "z y x 3"] = z[:, None, None] + y[:, None] + x
    return positions


def displacement_from_phase(
    phase: Float[np.ndarray, "*shape"], bragg_vector: Float[np.ndarray, " 3"]
) -> Float[np.ndarray, "*shape"]:
    """Compute the displacement along G [m], −φ/|G|, from an unwrapped phase.

    Args:
        phase: [rad] Unwrapped phase φ.
        bragg_vector: [1/m] Bragg vector G.
    """
    along: Float[np.ndarray, "*shape"] = phase / -np.linalg.norm(bragg_vector)
    return along


def directional_strain(
    displacement: Float[np.ndarray, "z y x"],
    steps: Float[np.ndarray, "3 3"],
    direction: Float[np.ndarray, " 3"],
    support: Bool[np.ndarray, "z y x"] | None = None,
) -> Float[np.ndarray, "z y x"]:
    """Compute the slope of the displacement along a direction; along G this is the strain ε = ∂u_G/∂x_G.

    Differences are taken between neighbours within the support: the mean of both sides, or a single one.

    Args:
        displacement: [m] Displacement along G, unwrapped.
        steps: [m] Rows: step of position along the array's axes.
        direction: Direction (z, y, x), of any length.
        support: True where the displacement is known; None for everywhere.

    Returns:
        The strain; NaN outside the support, and where a sample has no neighbour along one of the axes.

    Raises:
        GeometryError: If the direction has no length.
    """
    return _slope(displacement, lambda after, before: after - before, steps, direction, support)


def strain_from_density(
    density: Complex[np.ndarray, "z y x"],
    steps: Float[np.ndarray, "3 3"],
    bragg_vector: Float[np.ndarray, " 3"],
    support: Bool[np.ndarray, "z y x"] | None = None,
) -> Float[np.ndarray, "z y x"]:
    """Compute the strain along G, ∂u_G/∂x_G, from the complex density, without unwrapping.

    Steps of phase between neighbours are the angles of ρ ρ'*, correct where they are below π.

    Args:
        density: Complex density.
        steps: [m] Rows: step of position along the array's axes.
        bragg_vector: [1/m] Bragg vector G.
        support: True inside the crystal; None for where the density is not 0.

    Returns:
        The strain; NaN outside the support, and where a sample has no neighbour along one of the axes.

    Raises:
        GeometryError: If the Bragg vector has no length.
    """
    support = density != 0 if support is None else support
    slope = _slope(density, lambda after, before: np.angle(after * np.conj(before)), steps, bragg_vector, support)
    strain: Float[np.ndarray, "z y x"] = slope / -np.linalg.norm(bragg_vector)
    return strain


def _slope(
    values: np.ndarray,
    difference: Callable[[np.ndarray, np.ndarray], np.ndarray],
    steps: Float[np.ndarray, "3 3"],
    direction: Float[np.ndarray, " 3"],
    support: Bool[np.ndarray, "z y x"] | None,
) -> Float[np.ndarray, "z y x"]:
    """Compute the derivative along a direction.

    A unit step d along the direction is Σ_j w_j a_j; the derivative is Σ_j w_j times the difference per sample along
    axis j.

    Raises:
        GeometryError: If the direction has no length.
    """
    length = float(np.linalg.norm(direction))
    if not length > 0:
        raise GeometryError(f"the direction {direction.tolist()} has no length: give a vector (z, y, x)")
    support = np.ones(values.shape, bool) if support is None else support
    weights = np.linalg.solve(steps.T, direction / length)
    slope = np.zeros(values.shape)
    for axis, weight in enumerate(weights):
        # An axis of no weight must not make the slope NaN where it has no neighbours.
        if abs(weight) * np.linalg.norm(steps[axis]) > _MIN_AXIS_WEIGHT:
            slope += weight * _neighbour_difference(values, difference, support, axis)
    return np.where(support, slope, np.nan)


def _neighbour_difference(
    values: np.ndarray,
    difference: Callable[[np.ndarray, np.ndarray], np.ndarray],
    support: Bool[np.ndarray, "z y x"],
    axis: int,
) -> Float[np.ndarray, "z y x"]:
    """Compute the difference per sample along one axis, between neighbours in the support; NaN where there are none."""
    values, support = np.moveaxis(values, axis, 0), np.moveaxis(support, axis, 0)
    total, count = np.zeros(values.shape), np.zeros(values.shape)
    both = support[1:] & support[:-1]
    step = np.where(both, difference(values[1:], values[:-1]), 0)
    for side in (slice(1, None), slice(None, -1)):
        total[side] += step
        count[side] += both
    mean = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    return np.moveaxis(mean, 0, axis)


def laboratory_grid(
    steps: Float[np.ndarray, "3 3"],
    shape: tuple[int, int, int],
    spacing: float | None = None,
    support: Bool[np.ndarray, "z y x"] | None = None,
    margin: float = 2.0,
) -> Axes:
    """Compute orthogonal axes in the laboratory that hold a skewed array, or the part of it in a support.

    One sample is the origin, the skewed array's sample ``n // 2``.

    Args:
        steps: [m] Rows: step of position along the skewed array's axes.
        shape: Shape of the skewed array.
        spacing: [m] Distance between samples; None for the cube root of the skewed voxel's volume.
        support: Samples to hold; None for all.
        margin: Samples to add on each side of a support.

    Returns:
        [m] Coordinates along z, y, x.

    Raises:
        FrameError: If the spacing is not positive, or the support is empty.
    """
    spacing = float(np.cbrt(abs(np.linalg.det(steps)))) if spacing is None else spacing
    if not spacing > 0:
        raise GeometryError(f"a spacing of {spacing:g} m is not positive")
    inside = np.argwhere(np.ones(shape, bool) if support is None else support)
    if not len(inside):
        raise GeometryError("the support is empty: no grid can be laid around it")
    # The extent of the support's own samples: that of its bounding box's corners would be larger in a skewed array.
    positions = (inside - np.array(shape) // 2) @ steps / spacing
    margin = 0.0 if support is None else margin
    first = np.floor(positions.min(axis=0) - margin + _ROUNDING_MARGIN).astype(int)
    last = np.ceil(positions.max(axis=0) + margin - _ROUNDING_MARGIN).astype(int)
    z, y, x = (np.arange(a, b + 1) * spacing for a, b in zip(first, last, strict=True))
    return z, y, x


def resample(
    field: Complex[np.ndarray, "z y x"] | Float[np.ndarray, "z y x"],
    steps: Float[np.ndarray, "3 3"],
    axes: Axes,
    order: int = 3,
) -> Complex[np.ndarray, "lab_z lab_y lab_x"] | Float[np.ndarray, "lab_z lab_y lab_x"]:
    """Resample a density from the skewed array onto orthogonal axes of the laboratory.

    Interpolate the complex density, never its wrapped phase, whose jumps would be smeared. Beyond the skewed array the
    result is 0. The new samples should not be coarser than the old: nothing is averaged.

    Args:
        field: Centred array, complex or real.
        steps: [m] Rows: step of position along its axes.
        axes: [m] Coordinates of the new samples along z, y, x.
        order: Order of the spline: 1 linear, 3 cubic.

    Returns:
        The field at the new samples.
    """
    if np.iscomplexobj(field):
        real, imaginary = (resample(part, steps, axes, order) for part in (field.real, field.imag))
        return np.asarray(real + 1j * imaginary, field.dtype)
    spline = ndimage.spline_filter(field, order, output=np.float64) if order > 1 else field.astype(np.float64)
    inverse, middle = np.linalg.inv(steps), np.array(field.shape) // 2
    z, y, x = axes
    across = y[:, None, None] * inverse[1] + x[:, None] * inverse[2] + middle
    sampled = np.empty((len(z), len(y), len(x)), field.dtype)
    for plane, height in zip(sampled, z, strict=True):  # plane by plane: coordinates take three times the memory
        positions = np.moveaxis(across + height * inverse[0], -1, 0)
        plane[...] = ndimage.map_coordinates(spline, positions, order=order, mode="constant", prefilter=False)
    return sampled
