"""Alignment of scans of one peak, and the choice of those that show the same crystal.

Scans are compared by the amplitude, the square root of the counts, whose noise is the same everywhere, so that the peak
does not dominate. Two scans of one crystal correlate the less the fewer counts they hold: the expectation follows from
dividing their summed counts at random between them, which is what counting statistics does with two equal crystals. The
likeness of a scan is its correlation with the sum of the others, relative to that expectation: about 1 for the same
crystal, 0.5 to 0.9 for another one.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import reduce
from itertools import combinations

import numpy as np

from ...metrics.masked_correlation import MaskedSpectra, correlate
from .scan_boxes import LARGEST_BOX, PackedScan, PeakBox, Voxel

_CANDIDATES = 8
"""Number of scans from which the one is chosen to which all are aligned first."""
_SWEEPS, _REACH = 3, 2
"""Number of alignments with the sum of the others, and the largest correction [voxel] of each."""
_ALIKE = 0.95
"""Likeness from which a scan is always one of the same crystal."""
_BEHIND = 0.03
"""Least difference to the median of the others' likeness of a scan of another crystal."""
_SIGMAS = 4.0
"""Least difference of correlation and expectation, in standard deviations of counting noise."""
_DRAWS = 8
"""Number of random divisions of the counts."""


@dataclass(frozen=True)
class Likeness:
    """Comparison of a scan with the sum of the others that are summed.

    Args:
        correlation: Correlation of the amplitudes at the best shift.
        expected: Correlation of two scans of one crystal with these counts.
        deviation: Standard deviation of that by counting noise.
    """

    correlation: float
    expected: float
    deviation: float

    @property
    def ratio(self) -> float:
        """Correlation relative to the expectation."""
        return self.correlation / self.expected if self.expected > 0 else 0.0

    @property
    def is_alike(self) -> bool:
        """Whether the scan may be one of the same crystal, by counting statistics."""
        return self.ratio >= _ALIKE or self.expected - self.correlation < _SIGMAS * self.deviation


@dataclass(frozen=True)
class AlignedScan:
    """Scan with its place among the others.

    Args:
        scan: The scan.
        shift: Shift of the crystal's pattern against that of the first scan [frame, row, column].
        likeness: Comparison with the sum of the others.
        is_like_others: Whether the scan shows the crystal of the others.
    """

    scan: PackedScan
    shift: Voxel
    likeness: Likeness
    is_like_others: bool = True


def align_scans(scans: Sequence[PackedScan]) -> list[AlignedScan]:
    """Align scans by whole voxels, and compare each with the sum of those that show the same crystal.

    Args:
        scans: At least two scans.

    Returns:
        The scans in their order. Those unlike the others were compared with the sum of all like ones.
    """
    group = _Group.of(scans)
    like = list(range(len(scans)))
    while True:
        group.refine(like, like)
        likeness = {i: group.likeness(i, like) for i in like}
        unlike = _least_alike(likeness)
        if unlike is None:
            break
        like.remove(unlike)
        if len(like) < 2:
            break
    others = [i for i in range(len(scans)) if i not in like]
    if len(like) > 1:
        group.refine(others, like)
        likeness |= {i: group.likeness(i, like) for i in others}
    return [
        AlignedScan(scan, _minus(group.shifts[i], group.shifts[0]), likeness[i], i in like)
        for i, scan in enumerate(scans)
    ]


def _least_alike(likeness: dict[int, Likeness]) -> int | None:
    """Return the scan that is least like the others, if it shows another crystal."""
    worst = min(likeness, key=lambda i: likeness[i].ratio)
    if likeness[worst].is_alike:
        return None
    others = [likeness[i].ratio for i in likeness if i != worst]
    if len(others) > 1 and likeness[worst].ratio > float(np.median(others)) - _BEHIND:
        return None
    return worst


@dataclass
class _Group:
    """Scans with their shifts, and boxes of one size around the peak of each.

    Args:
        scans: The scans.
        corner: First voxel of the box at shift 0.
        size: Size of the boxes.
        shifts: Shift of each scan.
        boxes: Box of each scan at its shift.
    """

    scans: Sequence[PackedScan]
    corner: Voxel
    size: Voxel
    shifts: list[Voxel]
    boxes: list[PeakBox]

    @classmethod
    def of(cls, scans: Sequence[PackedScan]) -> "_Group":
        """Align all scans with the one that is most like the others."""
        frames, rows, columns = (min(LARGEST_BOX, max(scan.shape[axis] for scan in scans)) for axis in range(3))
        size = frames, rows, columns
        corners = [_minus(scan.peak, (frames // 2, rows // 2, columns // 2)) for scan in scans]
        boxes = [scan.box(corner, size) for scan, corner in zip(scans, corners, strict=True)]
        base = _most_typical(boxes)
        still = _spectra(boxes[base])
        moved = [correlate(still, _spectra(box)).best_shift() for box in boxes]
        shifts = [_plus(by, _minus(corner, corners[base])) for by, corner in zip(moved, corners, strict=True)]
        group = cls(scans, corners[base], size, shifts, boxes)
        for i in range(len(scans)):
            group._move(i, (0, 0, 0))
        return group

    def refine(self, moving: Sequence[int], summed: Sequence[int]) -> None:
        """Align scans with the sum of the others.

        Args:
            moving: Scans to align.
            summed: Scans whose sum, each without itself, they are aligned with.
        """
        for _ in range(_SWEEPS):
            is_settled = True
            for i in moving:
                step = correlate(_spectra(self._others(i, summed)), _spectra(self.boxes[i])).best_shift(_REACH)
                if any(step):
                    self._move(i, step)
                    is_settled = False
            if is_settled:
                return

    def likeness(self, index: int, summed: Sequence[int]) -> Likeness:
        """Compare a scan with the sum of others."""
        own, others = self.boxes[index], self._others(index, summed)
        peak = correlate(_spectra(others), _spectra(own)).peak((0, 0, 0))
        expected = _expected_correlations(own, others)
        return Likeness(peak, float(np.mean(expected)), float(np.std(expected)))

    def _others(self, index: int, summed: Sequence[int]) -> PeakBox:
        return reduce(_add, (self.boxes[i] for i in summed if i != index))

    def _move(self, index: int, step: Voxel) -> None:
        """Shift a scan further, and take its box there."""
        self.shifts[index] = _plus(self.shifts[index], step)
        self.boxes[index] = self.scans[index].box(_plus(self.corner, self.shifts[index]), self.size)


def _most_typical(boxes: Sequence[PeakBox]) -> int:
    """Return the index of the box that correlates best with the others, of a few."""
    indices = np.unique(np.linspace(0, len(boxes) - 1, min(len(boxes), _CANDIDATES)).astype(int)).tolist()
    if len(indices) < 3:
        return 0
    spectra = {i: _spectra(boxes[i]) for i in indices}
    best: dict[int, list[float]] = {i: [] for i in indices}
    for i, j in combinations(indices, 2):
        top = float(correlate(spectra[i], spectra[j]).values.max())
        best[i].append(top)
        best[j].append(top)
    return int(max(indices, key=lambda i: float(np.median(best[i]))))


def _spectra(box: PeakBox) -> MaskedSpectra:
    return MaskedSpectra.of(box.amplitude, box.good)


def _add(one: PeakBox, other: PeakBox) -> PeakBox:
    """Sum two boxes where both are good."""
    good = one.good & other.good
    return replace(one, counts=np.where(good, one.counts + other.counts, 0), good=good, flux=one.flux + other.flux)


def _expected_correlations(own: PeakBox, others: PeakBox) -> list[float]:
    """Correlate two parts of the summed counts, divided at random in the ratio of the two exposures, several times."""
    good = own.good & others.good
    counts = np.rint(np.where(good, own.counts + others.counts, 0)).astype(np.int64)
    total = float(others.counts[good].sum())
    if total <= 0 or np.count_nonzero(good) < 2:
        return [0.0]
    ratio = own.flux / others.flux
    odds = ratio * float(own.counts[good].sum()) / float((others.counts * ratio[:, None, None])[good].sum())
    share = (odds / (1 + odds))[:, None, None]
    rng = np.random.default_rng(0)
    correlations = []
    for _ in range(_DRAWS):
        part = rng.binomial(counts, share)
        one = replace(own, counts=part.astype(np.float32), good=good)
        other = replace(others, counts=(counts - part).astype(np.float32), good=good)
        pair = np.corrcoef(one.amplitude[good], other.amplitude[good])
        correlations.append(float(np.nan_to_num(pair[0, 1])))
    return correlations


def _plus(one: Voxel, other: Voxel) -> Voxel:
    return one[0] + other[0], one[1] + other[1], one[2] + other[2]


def _minus(one: Voxel, other: Voxel) -> Voxel:
    return one[0] - other[0], one[1] - other[1], one[2] - other[2]
