"""Plan of a rocking curve: resolution, oversampling, largest crystal, counts, and what one more frame would bring.

``docs/explanation/planning.md`` derives the formulas. Axes (frame, y, x) of the array, q with 2π, SI; without jax.
"""

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
from jaxtyping import Float

from ...acquisition import Acquisition
from ...visualization.fourier_section import FourierSection, circle
from ..plan import Gain, Plan, PlanNumber, PlanSection
from .config import CrystalSettings
from .estimate import estimate
from .geometry_checks import voxel_size
from .planned_curve import (
    PlannedCurve,
    inside_array,
    measured_curve,
    origin,
    plan_curve,
    planned_acquisition,
)

AXES = "frame y x"
LEAST_OVERSAMPLING = 2.0
"""Oversampling below which the autocorrelation of the crystal does not fit into the array."""
FARTHER = 1.5
"""Factor of the distance of the detector that a plan considers."""
FRAMES_AT_EACH_END = 4
"""Number of frames at each end that a plan adds."""
_SAMPLES = 161
"""Number of samples along the edge of a picture."""


def plan(settings: CrystalSettings, acquisition: Acquisition | None) -> Plan:
    """Plan a rocking curve.

    Args:
        settings: The config.
        acquisition: A measurement whose geometry is planned; None for that of the config.

    Raises:
        ConfigError: If the config leaves lengths to a file, or the steps of q lie in one plane.
    """
    measured = planned_acquisition(settings) if acquisition is None else acquisition
    curve = plan_curve(settings, measured) if acquisition is None else measured_curve(settings, measured)
    return Plan(
        "crystal",
        f"geometry of the config: {origin(settings)}" if acquisition is None else f"geometry of {measured.source}",
        (_reciprocal_space(curve), _real_space(curve), _counts(curve)),
        tuple(_gains(curve)),
        tuple(_assumptions(curve)),
        tuple(_warnings(curve, settings, acquisition is None)),
        tuple(_pictures(curve)),
        estimate(settings, measured),
    )


def _lengths(basis: Float[np.ndarray, "3 3"]) -> tuple[float, float, float]:
    return _triple(np.linalg.norm(basis, axis=1))


def _triple(values: Iterable[float]) -> tuple[float, float, float]:
    z, y, x = values
    return float(z), float(y), float(x)


def _reciprocal_space(curve: PlannedCurve) -> PlanSection:
    """Steps and extents of q."""
    shape = PlanNumber("shape", "voxels that are phased", curve.shape, "1", AXES)
    if curve.unit == "voxels":
        return PlanSection("array", (shape,))
    extents = _triple(n * step for n, step in zip(curve.shape, _lengths(curve.basis), strict=True))
    numbers = (
        shape,
        PlanNumber("q_step", "step of q", _lengths(curve.basis), "1/m", AXES),
        PlanNumber("q_extent", "extent of q", extents, "1/m", AXES),
    )
    return PlanSection("reciprocal space (q with 2 pi)", numbers)


def finest_periods(curve: PlannedCurve) -> tuple[float, float, float]:
    """[m] Periods of the highest frequency along (frame, y, x): two voxels."""
    return _triple(2 * voxel for voxel in curve.voxels)


def _real_space(curve: PlannedCurve) -> PlanSection:
    """Resolution, field of view, and room for the crystal."""
    half = _triple(field / LEAST_OVERSAMPLING for field in curve.fields)
    note = "at least, by the autocorrelation" if curve.is_measured else "a ball as large"
    cube = curve.shape[0] * curve.voxels[0] / float(np.sqrt(curve.voxels[1] * curve.voxels[2]))
    unit, spacing = curve.unit, voxel_size(curve.basis, curve.shape)
    along = [n * voxel for n, voxel in zip(curve.shape, curve.voxels, strict=True)]
    # Voxels lie along the axes of the grid, fields across the planes of equal phase of a step of q.
    planes = "" if np.allclose(along, curve.fields, rtol=0.01) else "between planes: axes are oblique"
    numbers = (
        PlanNumber("resolution", "finest period, two voxels", finest_periods(curve), unit, AXES),
        PlanNumber("voxel", "voxel", curve.voxels, unit, AXES, "along its edges" if planes else ""),
        PlanNumber("spacing", "edge of the cube of that volume", spacing, unit),
        PlanNumber("field_of_view", "field of view", curve.fields, unit, AXES, planes),
        PlanNumber("largest_crystal", "largest crystal, at an oversampling of 2", half, unit, AXES),
        PlanNumber("width", "width of the crystal", curve.widths, unit, AXES, note),
        PlanNumber("oversampling", "oversampling", curve.oversampling, "1", AXES),
        PlanNumber("frames_for_cube", "frames that resolve as well as y and x", round(cube), "frames"),
    )
    # Numbers that follow from taking voxels as cubes tell nothing.
    trivial = ("voxel", "spacing", "frames_for_cube") if unit == "voxels" else ()
    return PlanSection("real space", tuple(number for number in numbers if number.name not in trivial))


def edge_radius(curve: PlannedCurve) -> float:
    """[1/m] Radius of the largest ball of q about the middle that the array holds."""
    return float(np.pi / max(curve.voxels))


def signal_resolution(curve: PlannedCurve) -> float | None:
    """[m] Period at which a voxel holds one count; None without counting noise."""
    return None if curve.falloff is None else float(2 * np.pi / curve.falloff)


def _counts(curve: PlannedCurve) -> PlanSection:
    """Counts, and the resolution to which they reach."""
    signal = signal_resolution(curve)
    if curve.total is None:
        return PlanSection("counts", (), ("without counting noise",))
    numbers = [PlanNumber("counts", "counts of the whole pattern", curve.total, "counts")]
    if signal is None or curve.falloff is None:
        return PlanSection("counts", tuple(numbers), ("too few away from the peak to tell how they fall off",))
    needed = curve.total * (edge_radius(curve) / curve.falloff) ** 4
    numbers += [
        PlanNumber("signal_resolution", "period at one photon a voxel", signal, curve.unit),
        PlanNumber("counts_needed", "counts that reach the edge of the array", needed, "counts"),
    ]
    return PlanSection("counts", tuple(numbers), (_limits(curve, signal),))


def _limits(curve: PlannedCurve, signal: float) -> str:
    """Name in a sentence the limit of the resolution along each axis."""
    by_counts = [signal > period for period in finest_periods(curve)]
    names = {False: "the extent of q", True: "the counts"}
    if len(set(by_counts)) == 1:
        return f"the resolution is limited by {names[by_counts[0]]} along all axes"
    parts = []
    for limited, name in names.items():
        own = [axis for axis, is_so in zip(AXES.split(), by_counts, strict=True) if is_so is limited]
        parts.append(f"by {name} along {' and '.join(own)}")
    return f"the resolution is limited {', '.join(parts)}"


def _gains(curve: PlannedCurve) -> list[Gain]:
    """List what more frames, finer steps, a longer distance and more counts would bring."""
    gains = _gains_of_frames(curve)
    least = min(curve.oversampling[1:])
    number = PlanNumber("oversampling_of_detector", "least oversampling along y and x", least, "1")
    far = replace(curve, basis=curve.basis / np.array([[1.0], [FARTHER], [FARTHER]]))
    coarse = PlanNumber("", "", (far.voxels[1], far.voxels[2]), curve.unit, "y x").text
    change = f"the detector half as far again, which makes voxels {coarse}"
    gains.append(Gain(change, number, replace(number, value=min(far.oversampling[1:]))))
    signal = signal_resolution(curve)
    if signal is not None:
        number = PlanNumber("signal_resolution", "period at one photon", signal, curve.unit)
        gains.append(Gain("twice the counts", number, replace(number, value=signal * 2**-0.25)))
    return gains


def _gains_of_frames(curve: PlannedCurve) -> list[Gain]:
    """List what frames at the ends, measured already or not, and frames between them would bring."""
    frames, gains = curve.shape[0], []
    along = PlanNumber("voxel_along_frame", "voxel along frame", curve.voxels[0], curve.unit)
    changes = [
        (2, "1 frame more at each end"),
        (2 * FRAMES_AT_EACH_END, f"{FRAMES_AT_EACH_END} frames more at each end"),
    ]
    if curve.frames_left:
        all_frames = frames + curve.frames_left
        changes = [(curve.frames_left, f"all {all_frames} frames that are there, --set acquisition.crop=all")]
    for added, name in changes:
        longer = replace(curve, shape=(frames + added, *curve.shape[1:]))
        gains.append(Gain(name, along, replace(along, value=longer.voxels[0])))
    ratio = PlanNumber("oversampling_along_frame", "oversampling along frame", curve.oversampling[0], "1")
    finer = replace(curve, shape=(2 * frames, *curve.shape[1:]), basis=curve.basis * [[0.5], [1.0], [1.0]])
    change = f"half the rocking step, {2 * frames} frames"
    return [*gains, Gain(change, ratio, replace(ratio, value=finer.oversampling[0]))]


def _assumptions(curve: PlannedCurve) -> list[str]:
    """State the assumptions of the numbers."""
    law = "counts fall off as q^-4 on average (Porod's law of a compact crystal with sharp faces"
    origin = "), fitted to those measured" if curve.is_measured else " as large as a ball)"
    sentences = [f"{law}{origin}; one count a voxel is taken as the limit of the signal"]
    if curve.is_measured:
        sentences.append("the autocorrelation misses faint edges: the crystal may be larger, the oversampling smaller")
    if curve.unit == "voxels":
        sentences.append(
            "the steps of q are unknown: lengths are in voxels, which are taken as cubes; acquisition.reciprocal_basis "
            "or acquisition.goniometer would give them in metres"
        )
    return sentences


def _warnings(curve: PlannedCurve, settings: CrystalSettings, is_planned: bool) -> list[str]:
    """List doubts about the experiment."""
    warnings = []
    for name, ratio in zip(AXES.split(), curve.oversampling, strict=True):
        if ratio < LEAST_OVERSAMPLING:
            remedy = "a smaller rocking step" if name == "frame" else "a longer distance, or less binning"
            warnings.append(
                f"the oversampling along {name} is {ratio:.2f}, below 2: projections alone may fail; take {remedy}"
            )
    if is_planned and settings.acquisition.goniometer is not None:
        warnings.append(
            "acquisition.goniometer is not used without an ACQUISITION: the angles are those of simulate (delta, "
            "gamma, rocking_step)"
        )
    if settings.acquisition.region != "all" and is_planned:
        warnings.append("acquisition.region is not used without an ACQUISITION: the size is that of simulate.shape")
    return warnings


def _pictures(curve: PlannedCurve) -> list[FourierSection]:
    """Sections through the measured part of q, with the counts."""
    along_x = curve.basis[2] / np.linalg.norm(curve.basis[2])
    along_y = curve.basis[1] - (curve.basis[1] @ along_x) * along_x
    along_y /= np.linalg.norm(along_y)
    across = np.cross(along_x, along_y)
    across *= np.sign(across @ curve.basis[0]) or 1.0
    reach = max(n * step for n, step in zip(curve.shape, _lengths(curve.basis), strict=True)) / 2 * 1.1
    outlines = {"edge of the array": circle(edge_radius(curve))}
    if curve.falloff is not None and curve.falloff < 1.4 * reach:
        outlines["one photon a voxel"] = circle(curve.falloff)
    line = np.linspace(-reach, reach, _SAMPLES)
    sections = []
    for name, vertical in (("along the rocking curve", across), ("in the frame of the peak", along_y)):
        q = line[None, :, None] * along_x + line[:, None, None] * vertical
        axes = ("q along x of the detector", "q across the detector" if vertical is across else "q along y")
        values, legend = _values_at(curve, q)
        extent = (-reach, reach, -reach, reach)
        sections.append(FourierSection(name, axes, extent, values, legend, outlines, f"rad/{curve.unit}"))
    return sections


def _values_at(curve: PlannedCurve, q: Float[np.ndarray, "v h 3"]) -> tuple[Float[np.ndarray, "v h"], str]:
    """Values of a picture at points of q, and their meaning; NaN outside an array without counting noise."""
    counts = _counts_at(curve, q)
    if curve.total is not None:
        return np.log10(1 + counts), "log10(1 + counts)"
    return np.log10(np.where(counts > 0, counts, np.nan)), "log10(intensity over the peak's)"


def _counts_at(curve: PlannedCurve, q: Float[np.ndarray, "v h 3"]) -> Float[np.ndarray, "v h"]:
    """Counts at points of q from the peak, measured or expected; 0 outside the array."""
    index = q @ np.linalg.inv(curve.basis) + np.array(curve.peak)
    inside = inside_array(index, curve.shape)
    if curve.counts is None:
        return np.where(inside, curve.expected_counts(np.linalg.norm(q, axis=-1)), 0)
    nearest = np.clip(np.rint(index).astype(np.int64), 0, np.array(curve.shape) - 1)
    return np.where(inside, curve.counts[nearest[..., 0], nearest[..., 1], nearest[..., 2]], 0)
