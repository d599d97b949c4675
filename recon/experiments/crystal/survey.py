"""Search for the Bragg peak of a scan of any size, in frames that are read a few at a time.

The brightest cube of 3 x 3 x 3 voxels is the same that `find_bragg_peak` finds in the whole array, hot pixels left out:
those that are brighter than diffraction can be beside their neighbours, and those that are so in several frames.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Float

from .artifacts import Frame, GoodFrame, hot_pixels_of_frame, least_frames_of_hot_pixel

ReadBlocks = Callable[[], Iterator[tuple[Float[np.ndarray, "frame y x"], Bool[np.ndarray, "frame y x"]]]]
"""Function that reads all frames once, in blocks: counts, which are finite everywhere, and good pixels."""


@dataclass(frozen=True)
class Survey:
    """Result of a search.

    Args:
        peak: Index (frame, y, x) of the brightest place.
        total: Sum of all counts.
    """

    peak: tuple[int, int, int]
    total: float


def survey(read_blocks: ReadBlocks, flux: Float[np.ndarray, " frame"]) -> Survey:
    """Search for the brightest place of a scan.

    Args:
        read_blocks: Reader of the frames; it is called again where a pixel turns out to be hot in many of them.
        flux: Flux of the beam in each frame, by which the counts are divided.
    """
    search = _PeakSearch(flux)
    for counts, good in read_blocks():
        for frame, usable in zip(counts, good, strict=True):
            search.add(frame, usable)
    search.end()
    total, always = search.total, search.hot_frames >= least_frames_of_hot_pixel(len(flux))
    frame, y, x = search.peak
    if always[max(0, y - 1) : y + 2, max(0, x - 1) : x + 2].any():
        search = _PeakSearch(flux)
        for counts, good in read_blocks():
            for image, usable in zip(counts, good, strict=True):
                search.add(image, usable & ~always)
        search.end()
    return Survey(search.peak, total)


@dataclass
class _PeakSearch:
    """Running search: the sums of three frames, and the brightest place so far.

    Args:
        flux: Flux of the beam in each frame.
    """

    flux: Float[np.ndarray, " frame"]
    peak: tuple[int, int, int] = (0, 0, 0)
    total: float = 0.0
    hot_frames: np.ndarray = field(default_factory=lambda: np.zeros((0, 0), np.uint16))
    _brightness: float = -1.0
    _frames: int = 0
    _recent: list[tuple[Frame, Frame, float]] = field(default_factory=list)

    def add(self, counts: Frame, good: GoodFrame) -> None:
        """Take the next frame."""
        values = np.where(good, counts, 0).astype(np.float32)
        self.total += float(values.sum(dtype=np.float64))
        hot = hot_pixels_of_frame(values, good)
        if not self.hot_frames.size:
            self.hot_frames = np.zeros(counts.shape, np.uint16)
        self.hot_frames[hot] += 1
        values[hot] = 0
        usable = good.astype(np.float32)
        usable[hot] = 0
        values /= np.float32(self.flux[self._frames])
        self._recent.append((values, usable, float(values.max(initial=0))))
        self._frames += 1
        if self._frames > 1:
            self._judge(self._frames - 2)
        del self._recent[:-2]

    def end(self) -> None:
        """Judge the last frame."""
        del self._recent[:-2]
        self._judge(self._frames - 1)

    def _judge(self, frame: int) -> None:
        """Compare the frame in the middle of the recent ones with the brightest place."""
        if max(top for *_, top in self._recent) <= self._brightness:  # No mean exceeds the largest number.
            return
        counted = _sum_of_neighbours(np.sum([usable for _, usable, _ in self._recent], axis=0))
        summed = _sum_of_neighbours(np.sum([values for values, *_ in self._recent], axis=0))
        mean = np.where(counted > 0.5, summed / np.maximum(counted, 0.5), 0)
        place = int(np.argmax(mean))
        if mean.flat[place] > self._brightness:
            y, x = np.unravel_index(place, mean.shape)
            self.peak, self._brightness = (frame, int(y), int(x)), float(mean.flat[place])


def _sum_of_neighbours(image: Frame) -> Frame:
    """Sum 3 x 3 pixels around each; outside the frame there is 0."""
    rows = image.copy()
    rows[1:] += image[:-1]
    rows[:-1] += image[1:]
    total = rows.copy()
    total[:, 1:] += rows[:, :-1]
    total[:, :-1] += rows[:, 1:]
    return total
