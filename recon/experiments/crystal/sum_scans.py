"""Several scans of one peak, aligned and summed into one rocking curve.

Between scans the crystal drifts by some pixels and frames. Each scan is moved by whole voxels, so that counts remain
counts, and the sum of those that show the same crystal is again a Poisson count. A voxel of the sum is good where it
was measured in every one of them, so that all have one exposure; the monitor is the sum of theirs.
"""

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float

from ...acquisition import Acquisition, Dataset
from ...errors import DataError, Diagnostic
from ...runs.context import Progress, silent
from ...runs.provenance import describe_input
from .config import CrystalSettings
from .diffractometer import GROUP
from .read import read_selected
from .scan_agreement import angle_notes, geometry_disagreements, is_reversed, reverse
from .scan_alignment import AlignedScan, align_scans
from .scan_boxes import PackedScan, Voxel
from .scan_names import ScanName, settings_of_scan

_log = logging.getLogger(__name__)
_LEAST_FRAMES = 0.75
"""Least number of frames of a scan, relative to the median of all: a shorter one would cut the sum."""
_TELL_LOST = 0.05
"""Share of the reference's counts, or of its frames, that are lost in the sum, from which it is warned of."""
KEEP = "keep it by acquisition.unlike_scans: keep"


@dataclass(frozen=True)
class SummedScans:
    """Sum of scans.

    Args:
        acquisition: The sum.
        lines: Sentences on each scan and on the sum.
    """

    acquisition: Acquisition
    lines: tuple[str, ...]


def sum_scans(settings: CrystalSettings, paths: Sequence[Path], progress: Progress = silent) -> SummedScans:
    """Read scans of one peak one after the other, align them, and sum those of the same crystal.

    Args:
        settings: Settings of the run; ``acquisition.unlike_scans`` decides on scans that differ from the others.
        paths: At least two files or folders, or parts of a file as ``FILE:/ENTRY``.
        progress: Callback after each scan.

    Raises:
        ConfigError: If the frames do not suit a file.
        DataError: If fewer than two scans can be read, their geometry differs, or they do not show one crystal.
    """
    names = [ScanName.of(path) for path in paths]
    scans, dropped = _read_scans(settings, names, progress)
    keep = settings.acquisition.unlike_scans == "keep"
    aligned = align_scans(scans)
    chosen = _choose(aligned, keep=keep)
    reference = chosen[0]
    lines = [*(_line(item, reference, item in chosen) for item in aligned), *dropped]
    total, note = _sum(chosen)
    for item in chosen[1:]:
        lines += angle_notes(reference.scan, item.scan, _relative(item, reference)[0])
    lines.append(note)
    if settings.acquisition.saturation is not None:
        lines.append("saturated voxels of each scan are masked: use the sum with acquisition.saturation: null")
    record = {"scans": json.dumps([_record(item, reference, item in chosen) for item in aligned])}
    return SummedScans(replace(total, attributes={**total.attributes, **record}), tuple(lines))


def _read_scans(
    settings: CrystalSettings, names: Sequence[ScanName], progress: Progress
) -> tuple[list[PackedScan], list[str]]:
    """Read all scans; return those that hold a rocking curve, and a sentence on each of the others.

    Raises:
        DataError: If fewer than two do, or their geometry differs.
    """
    if missing := [name for name in names if not name.exists]:
        raise DataError(
            *(Diagnostic(name.text, "there is no such file or folder", "check the path") for name in missing)
        )
    if twice := [name for i, name in enumerate(names) if any(map(name.is_same, names[:i]))]:
        raise DataError(Diagnostic(twice[0].text, "is named twice, and would be counted twice", "name each scan once"))
    scans: list[PackedScan] = []
    dropped: list[str] = []
    faults: list[Diagnostic] = []
    for number, name in enumerate(names):
        try:
            own = _on_even_grid(settings_of_scan(settings, name, names))
            scan = PackedScan.of(name.text, read_selected(own, name.path)[0], settings.acquisition)
        except DataError as error:
            faults += error.faults
            dropped.append(f"{name.text}: left out, since it cannot be used: {error.faults[0]}")
            _log.warning("%s", dropped[-1])
        else:
            scans.append(reverse(scan) if scans and is_reversed(scans[0], scan) else scan)
        progress(number + 1, len(names))
    if len(scans) < 2:
        raise DataError(*dict.fromkeys(faults))
    if disagreements := geometry_disagreements(scans) or _copies(scans):
        raise DataError(*disagreements)
    return scans, dropped


def _on_even_grid(settings: CrystalSettings) -> CrystalSettings:
    """Assume even steps: counts of frames that are each at their own q cannot be added without interpolation."""
    section = settings.acquisition.model_copy(update={"uneven": "even"})
    return settings.model_copy(update={"acquisition": section})


def _copies(scans: Sequence[PackedScan]) -> list[Diagnostic]:
    """Find scans with the counts of another: one measurement under two names would be counted twice."""
    names: dict[bytes, str] = {}
    faults = []
    for scan in scans:
        counts = scan.voxels()[0]
        digest = sha256(repr(counts.shape).encode() + np.ascontiguousarray(counts).tobytes()).digest()
        if digest in names:
            message = f"holds the same counts as {names[digest]}, and would be counted twice"
            faults.append(Diagnostic(scan.name, message, "name each measurement once"))
        names.setdefault(digest, scan.name)
    return faults


def _choose(aligned: Sequence[AlignedScan], *, keep: bool) -> list[AlignedScan]:
    """Choose the scans to sum, and warn of those that are left out.

    Raises:
        DataError: If no majority of them shows one crystal.
    """
    usual = float(np.median([item.scan.shape[0] for item in aligned]))
    short = [item for item in aligned if item.scan.shape[0] < _LEAST_FRAMES * usual]
    chosen = [item for item in aligned if item.is_like_others and item not in short]
    unlike = [item for item in aligned if not item.is_like_others]
    if not keep and 2 * sum(item.is_like_others for item in aligned) <= len(aligned):
        raise DataError(*(Diagnostic(item.scan.name, _difference(item), _REMEDY) for item in aligned))
    verb = "kept, as acquisition.unlike_scans says" if keep else f"left out; {KEEP}"
    for item in unlike:
        _log.warning("%s: %s; it is %s", item.scan.name, _difference(item), verb)
    for item in short:
        frames = f"{item.scan.shape[0]} frames, where the others have {usual:.0f}"
        _log.warning("%s: %s; it is %s", item.scan.name, frames, verb)
    if keep:
        return list(aligned)
    if len(chosen) < 2:
        remedy = "name scans of the same frames, or keep all by --set acquisition.unlike_scans=keep"
        raise DataError(Diagnostic(chosen[0].scan.name if chosen else "", "fewer than two scans are left", remedy))
    if all(not item.likeness.ratio >= 0.95 for item in chosen):  # Noise apart.
        worst = min(chosen, key=lambda item: item.likeness.ratio)
        _log.warning(
            "%s: %s; so do the others: the crystal may have changed or moved during the scans",
            worst.scan.name, _difference(worst),
        )  # fmt: skip
    return chosen


_REMEDY = "name the scans of one crystal alone, or sum them all the same by --set acquisition.unlike_scans=keep"


def _difference(item: AlignedScan) -> str:
    seen = item.likeness
    expected = f"where counting statistics lets expect {seen.expected:.3f} ± {seen.deviation:.3f}"
    return f"its correlation with the sum of the other scans is {seen.correlation:.3f}, {expected}"


def _relative(item: AlignedScan, reference: AlignedScan) -> Voxel:
    """Return the shift against the reference."""
    frame, y, x = (own - other for own, other in zip(item.shift, reference.shift, strict=True))
    return frame, y, x


def _line(item: AlignedScan, reference: AlignedScan, is_summed: bool) -> str:
    """Sentence on a scan: its shift, and its correlation with the others."""
    frame, y, x = _relative(item, reference)
    seen = item.likeness
    shift = "the reference" if item is reference else f"shift {frame:+d} frames, {y:+d} rows, {x:+d} columns"
    hot = f"; {item.scan.hot} hot pixels masked" if item.scan.hot else ""
    end = "" if is_summed else "; left out"
    compared = f"correlation with the others {seen.correlation:.3f} (expected {seen.expected:.3f})"
    return f"{item.scan.name}: {shift}, {compared}{hot}{end}"


def _record(item: AlignedScan, reference: AlignedScan, is_summed: bool) -> dict[str, object]:
    """Provenance of a scan."""
    name = ScanName.of(Path(item.scan.name))
    return {
        **describe_input(name.path),
        **({"entry": name.entry} if name.entry else {}),
        "summed": is_summed,
        "shift": list(_relative(item, reference)),
        "correlation": round(item.likeness.correlation, 4),
        "expected_correlation": round(item.likeness.expected, 4),
    }


def _sum(chosen: Sequence[AlignedScan]) -> tuple[Acquisition, str]:
    """Sum the counts of aligned scans in the voxels of the first; return the sum and a sentence on it.

    Raises:
        DataError: If no frame was measured by all.
    """
    reference = chosen[0]
    total, good = np.zeros(reference.scan.shape), np.ones(reference.scan.shape, bool)
    flux, frames = np.zeros(reference.scan.shape[0]), np.ones(reference.scan.shape[0], bool)
    for item in chosen:
        first = reference.scan.first
        shift = _relative(item, reference)
        corner = first[0] + shift[0], first[1] + shift[1], first[2] + shift[2]
        box = item.scan.box(corner, reference.scan.shape)
        total += box.counts
        good &= box.good
        flux += box.flux
        position = np.arange(len(frames)) + shift[0]
        frames &= (position >= 0) & (position < item.scan.shape[0])
    if not frames.any():
        remedy = "name scans of the same frames"
        raise DataError(Diagnostic(reference.scan.name, "no frame is common to all scans", remedy))
    note = _describe(chosen, frames, good, float(np.where(good, total, 0)[frames].sum()))
    acquisition = _cut_frames(reference.scan.acquisition, frames)
    arrays = dict(acquisition.arrays) | _counts_and_mask(np.where(good, total, 0)[frames], good[frames])
    arrays.pop("monitor", None)
    if all("monitor" in item.scan.acquisition for item in chosen):
        arrays["monitor"] = flux[frames]
    elif any("monitor" in item.scan.acquisition for item in chosen):
        _log.warning("not every scan has a monitor: the flux of the sum is taken to be constant")
    return replace(acquisition, arrays=arrays, ranges={}), note


def _counts_and_mask(
    counts: Float[np.ndarray, "frame y x"], good: Bool[np.ndarray, "frame y x"]
) -> dict[str, np.ndarray]:
    bad = ~good
    mask = bad[0] if (bad == bad[:1]).all() else bad
    return {"images": counts.astype(np.float32)} | ({"mask": mask.astype(np.uint8)} if bad.any() else {})


def _describe(
    chosen: Sequence[AlignedScan],
    frames: Bool[np.ndarray, " frame"],
    good: Bool[np.ndarray, "frame y x"],
    counts: float,
) -> str:
    """Sentence on the sum; warn of a share of the reference's voxels that matters."""
    own, own_good = chosen[0].scan.voxels()
    before = float(own.sum(dtype=np.float64))
    lost = 1 - float(own[frames][good[frames]].sum(dtype=np.float64)) / before if before > 0 else 0.0
    lost_frames = int((~frames).sum())
    masked = float(own_good[frames].mean() - good[frames].mean())
    note = (
        f"sum of {len(chosen)} scans: {counts:.4g} counts in {int(frames.sum())} frames; frames left out, since "
        f"not all scans have them: {lost_frames}; {100 * masked:.3g} % more of the voxels are masked than in one scan"
    )
    if lost > _TELL_LOST or lost_frames > _TELL_LOST * 2 * len(frames):
        what = f"{lost_frames} of {len(frames)} frames and {100 * lost:.3g} % of the counts of {chosen[0].scan.name}"
        _log.warning("%s are lost, because not every scan measured them; leave out the scan that is farthest off", what)
    return note


def _cut_frames(acquisition: Acquisition, frames: Bool[np.ndarray, " frame"]) -> Acquisition:
    """Take the angles of some frames."""
    groups = dict(acquisition.groups)
    if GROUP in groups:
        datasets = {
            name: replace(data, values=data.values[frames]) if _is_series(name, data, len(frames)) else data
            for name, data in groups[GROUP].datasets.items()
        }
        groups[GROUP] = replace(groups[GROUP], datasets=datasets)
    return replace(acquisition, groups=groups)


def _is_series(name: str, data: Dataset, frames: int) -> bool:
    return name != "direct_beam" and data.values.shape == (frames,)
