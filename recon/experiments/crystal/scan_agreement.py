"""Agreement of the geometry of scans that are to be summed: wavelength, steps of q, reflection and angles."""

import zlib
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Float

from ...errors import Diagnostic
from .diffractometer import GROUP
from .scan_boxes import PackedScan

_SAME_LENGTH = 1e-3
"""Largest relative difference of two wavelengths, distances or pixels."""
_SAME_STEP = 0.01
"""Largest relative difference of two steps of q: a voxel in a hundred."""
_SAME_REFLECTION = 0.02
"""Largest relative difference of two Bragg vectors: some hundred pixels of drift."""
_SAME_ANGLE, _TELL_ANGLE = np.radians(0.5), np.radians(0.02)
"""[rad] Largest difference of an angle, and the one from which it is told."""
_NAMES = {"wavelength": "wavelength", "detector_distance": "distance of the detector", "pixel_size": "pixel"}
_KNOWN = {"reciprocal_basis": "step of q", "wavelength": "wavelength"}
_ROWS = ("frame", "row", "column")


def geometry_disagreements(scans: Sequence[PackedScan]) -> list[Diagnostic]:
    """List the differences that forbid to sum scans, by comparison with the one that most of the others agree with."""
    lists = [[fault for scan in scans if scan is not base for fault in _differences(base, scan)] for base in scans]
    return min(lists, key=lambda faults: len({fault.where for fault in faults}))


def _differences(reference: PackedScan, scan: PackedScan) -> list[Diagnostic]:
    """List the differences of two scans that forbid to sum them.

    Args:
        reference: Scan whose geometry is that of the sum.
        scan: Scan to compare.
    """
    one, other = reference.acquisition, scan.acquisition
    messages = []
    if reference.pixels != scan.pixels:
        own, others = ("{} x {} pixels".format(*item.pixels) for item in (scan, reference))
        messages.append(f"its frames have {own}, and those of {reference.name} {others}")
    for name in ("reciprocal_basis", "wavelength"):
        if (name in one) != (name in other):
            lacking, having = (scan.name, reference.name) if name in one else (reference.name, scan.name)
            messages.append(f"the {_KNOWN[name]} of {lacking} is unknown, and that of {having} is known")
    for name, noun in _NAMES.items():
        if name in one and name in other and not _is_close(one[name], other[name], _SAME_LENGTH):
            messages.append(f"the {noun} is {_format(other[name])} m, and in {reference.name} {_format(one[name])} m")
    if "reciprocal_basis" in one and "reciprocal_basis" in other:
        rows = zip(_ROWS, one["reciprocal_basis"], other["reciprocal_basis"], strict=True)
        for noun, row, own in rows:
            difference = float(np.linalg.norm(own - row) / np.linalg.norm(row))
            if difference > _SAME_STEP:
                sizes = f"{np.linalg.norm(own):.4g} 1/m, and in {reference.name} {np.linalg.norm(row):.4g} 1/m"
                how = f"the steps differ by {100 * difference:.3g} %"
                messages.append(f"one {noun} changes q by {sizes}: {how}")
    if "bragg_vector" in one and "bragg_vector" in other:
        length = float(np.linalg.norm(one["bragg_vector"]))
        difference = float(np.linalg.norm(one["bragg_vector"] - other["bragg_vector"])) / length
        if difference > _SAME_REFLECTION:
            messages.append(f"its Bragg vector differs from that of {reference.name} by {100 * difference:.3g} %")
    still = {name: turn for name, turn in _turns(reference, scan, 0).items() if not _moves(reference, name)}
    for name, turn in still.items():
        if abs(turn) > _SAME_ANGLE:
            messages.append(f"{name} differs from that of {reference.name} by {np.degrees(turn):.3g} degrees")
    remedy = "sum scans of one geometry: leave this one out"
    return [Diagnostic(scan.name, message, remedy) for message in messages]


def angle_notes(reference: PackedScan, scan: PackedScan, shift: int) -> list[str]:
    """Sentences on angles that differ between frames that are summed.

    Args:
        reference: Scan whose geometry is that of the sum.
        scan: Scan to compare.
        shift: Shift of its frames.
    """
    return [
        f"{scan.name}: {name} differs from that of {reference.name} by {np.degrees(turn):.3g} degrees"
        for name, turn in _turns(reference, scan, shift).items()
        if abs(turn) > _TELL_ANGLE
    ]


def is_reversed(reference: PackedScan, scan: PackedScan) -> bool:
    """Whether a scan ran the other way: its frames change q by the opposite step."""
    bases = [item.acquisition.arrays.get("reciprocal_basis") for item in (reference, scan)]
    if bases[0] is None or bases[1] is None:
        return False
    return _is_close(-bases[0][0], bases[1][0], _SAME_STEP)


def reverse(scan: PackedScan) -> PackedScan:
    """Reverse the frames of a scan."""
    counts, good = scan.voxels()
    acquisition = scan.acquisition
    arrays = dict(acquisition.arrays)
    arrays["reciprocal_basis"] = arrays["reciprocal_basis"] * np.array([[-1.0], [1.0], [1.0]])
    if "monitor" in arrays:
        arrays["monitor"] = arrays["monitor"][::-1]
    groups = dict(acquisition.groups)
    if GROUP in groups:
        datasets = {
            name: replace(data, values=data.values[::-1]) if data.values.shape == (scan.shape[0],) else data
            for name, data in groups[GROUP].datasets.items()
        }
        groups[GROUP] = replace(groups[GROUP], datasets=datasets)
    packed = zlib.compress(counts[::-1].tobytes(), 1), zlib.compress(np.packbits(good[::-1]).tobytes(), 1)
    peak = scan.shape[0] - 1 - scan.peak[0], scan.peak[1], scan.peak[2]
    return replace(scan, acquisition=replace(acquisition, arrays=arrays, groups=groups), packed=packed, peak=peak)


def _turns(reference: PackedScan, scan: PackedScan, shift: int) -> dict[str, float]:
    """Mean difference [rad] of each circle's angle between frames at a shift."""
    turns = {}
    one, other = (item.acquisition.groups.get(GROUP) for item in (reference, scan))
    if one is None or other is None:
        return {}
    for name in one.datasets.keys() & other.datasets.keys() - {"direct_beam", "step"}:
        first = _series(one.datasets[name].values, reference.shape[0])
        second = _series(other.datasets[name].values, scan.shape[0])
        frames = np.arange(len(first))
        inside = (frames + shift >= 0) & (frames + shift < len(second))
        difference = second[frames[inside] + shift] - first[inside]
        if difference.size:
            turns[name] = float(np.mean((difference + np.pi) % (2 * np.pi) - np.pi))
    return turns


def _moves(scan: PackedScan, name: str) -> bool:
    return bool(np.ptp(scan.acquisition.groups[GROUP].datasets[name].values) > 0)


def _series(values: np.ndarray, frames: int) -> Float[np.ndarray, " frame"]:
    return np.asarray(np.broadcast_to(values, frames), float)


def _is_close(one: np.ndarray, other: np.ndarray, tolerance: float) -> bool:
    difference = np.linalg.norm(np.ravel(np.asarray(one, float) - np.asarray(other, float)))
    return bool(difference <= tolerance * np.linalg.norm(np.ravel(one)))


def _format(values: np.ndarray) -> str:
    return " x ".join(f"{float(value):.6g}" for value in np.ravel(values))
