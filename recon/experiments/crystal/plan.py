"""Plan of a rocking curve: resolution, oversampling, largest crystal, counts, and what one more frame would bring.

``docs/explanation/planning.md`` derives the formulas. Axes (frame, y, x) of the array, q with 2π, SI; without jax.
"""

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
        ConfigError: If the steps of q are unknown.
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
    z, y, x = np.linalg.norm(basis, axis=1)
    return float(z), float(y), float(x)


def _reciprocal_space(curve: PlannedCurve) -> PlanSection:
    """Steps and extents of q."""
    z, y, x = (n * step for n, step in zip(curve.shape, _lengths(curve.basis), strict=True))
    numbers = (
        PlanNumber("shape", "voxels that are phased", curve.shape, "1", AXES),
        PlanNumber("q_step", "step of q", _lengths(curve.basis), "1/m", AXES),
        PlanNumber("q_extent", "extent of q", (z, y, x), "1/m", AXES),
    )
    return PlanSection("reciprocal space (q with 2 pi)", numbers)


def _real_space(curve: PlannedCurve) -> PlanSection:
    """Resolution, field of view, and room for the crystal."""
    z, y, x = (field / LEAST_OVERSAMPLING for field in curve.fields)
    note = "at least, by the autocorrelation" if curve.is_measured else "a ball as large"
    cube = curve.shape[0] * curve.voxels[0] / float(np.sqrt(curve.voxels[1] * curve.voxels[2]))
    numbers = (
        PlanNumber("resolution", "voxel, half the finest period", curve.voxels, "m", AXES),
        PlanNumber("spacing", "edge of the cube of that volume", voxel_size(curve.basis, curve.shape), "m"),
        PlanNumber("field_of_view", "field of view", curve.fields, "m", AXES),
        PlanNumber("largest_crystal", "largest crystal, at an oversampling of 2", (z, y, x), "m", AXES),
        PlanNumber("width", "width of the crystal", curve.widths, "m", AXES, note),
        PlanNumber("oversampling", "oversampling", curve.oversampling, "1", AXES),
        PlanNumber("frames_for_cube", "frames that resolve as well as y and x", round(cube), "frames"),
    )
    return PlanSection("real space", numbers)


def edge_radius(curve: PlannedCurve) -> float:
    """[1/m] Radius of the largest ball of q about the middle that the array holds."""
    return float(np.pi / max(curve.voxels))


def signal_resolution(curve: PlannedCurve) -> float | None:
    """[m] Half the period at which a voxel holds one count; None without counting noise."""
    return None if curve.falloff is None else float(np.pi / curve.falloff)


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
        PlanNumber("signal_resolution", "half the period at one photon a voxel", signal, "m"),
        PlanNumber("counts_needed", "counts that reach the edge of the array", needed, "counts"),
    ]
    limit = "the counts" if signal > max(curve.voxels) else "the extent of q"
    return PlanSection("counts", tuple(numbers), (f"the resolution is limited by {limit}",))


def _gains(curve: PlannedCurve) -> list[Gain]:
    """List what more frames, finer steps, a longer distance and more counts would bring."""
    frames = curve.shape[0]
    gains = []
    along = PlanNumber("resolution_along_frame", "voxel along frame", curve.voxels[0], "m")
    for added in (1, FRAMES_AT_EACH_END):
        longer = replace(curve, shape=(frames + 2 * added, *curve.shape[1:]))
        name = f"{added} frame{'s' if added > 1 else ''} more at each end"
        gains.append(Gain(name, along, replace(along, value=longer.voxels[0])))
    ratio = PlanNumber("oversampling_along_frame", "oversampling along frame", curve.oversampling[0], "1")
    finer = replace(curve, shape=(2 * frames, *curve.shape[1:]), basis=curve.basis * [[0.5], [1.0], [1.0]])
    gains.append(
        Gain(f"half the rocking step, {2 * frames} frames", ratio, replace(ratio, value=finer.oversampling[0]))
    )
    least = min(curve.oversampling[1:])
    ratio = PlanNumber("oversampling_of_detector", "least oversampling along y and x", least, "1")
    gains.append(Gain("the detector half as far again", ratio, replace(ratio, value=1.5 * least)))
    signal = signal_resolution(curve)
    if signal is not None:
        number = PlanNumber("signal_resolution", "half the period at one photon", signal, "m")
        gains.append(Gain("twice the counts", number, replace(number, value=signal * 2**-0.25)))
    return gains


def _assumptions(curve: PlannedCurve) -> list[str]:
    """State the assumptions of the numbers."""
    law = "counts fall off as q^-4 on average (Porod's law of a compact crystal with sharp faces"
    origin = "), fitted to those measured" if curve.is_measured else " as large as a ball)"
    sentences = [f"{law}{origin}; one count a voxel is taken as the limit of the signal"]
    if curve.is_measured:
        sentences.append("the autocorrelation misses faint edges: the crystal may be larger, the oversampling smaller")
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
        values = np.log10(1 + _counts_at(curve, q))
        extent = (-reach, reach, -reach, reach)
        sections.append(FourierSection(name, axes, extent, values, "log10(1 + counts)", outlines, "rad/m"))
    return sections


def _counts_at(curve: PlannedCurve, q: Float[np.ndarray, "v h 3"]) -> Float[np.ndarray, "v h"]:
    """Counts at points of q from the peak, measured or expected; 0 outside the array."""
    index = q @ np.linalg.inv(curve.basis) + np.array(curve.peak)
    inside = inside_array(index, curve.shape)
    if curve.counts is None:
        return np.where(inside, curve.expected_counts(np.linalg.norm(q, axis=-1)), 0)
    nearest = np.clip(np.rint(index).astype(np.int64), 0, np.array(curve.shape) - 1)
    return np.where(inside, curve.counts[nearest[..., 0], nearest[..., 1], nearest[..., 2]], 0)
