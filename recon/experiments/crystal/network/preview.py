"""Previews of a rocking curve that is being measured: draws of the network at once, and a short phase retrieval.

The draws differ by what the frames leave open: their agreement is the trust in a preview; that in a result of the
physics is also its agreement with the draw that it began with. A preview that differs from
the one before by no more than its draws differ among themselves is not changed by more frames, as far as can be seen;
unless the maximum of the peak is still to come.
"""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Complex

from ....errors import DataError, Diagnostic, Stopped
from ....io.network_file import read
from ....networks.weights import load_network
from ....phase_retrieval.align import align, centring_shift
from ....phase_retrieval.pipeline import InitialStarts, phase
from ....phase_retrieval.result import NoObjectError
from ....phase_retrieval.settings import PhaseSettings
from ...preview import Preview, Previewer
from ..config import CrystalSettings
from ..oversampling import Oversampling, estimate_oversampling
from ..partial_curve import PartialCurve, preview_sampling, read_partial_curve
from ..preview_figure import draw_preview
from .denoiser import CrystalDenoiser
from .inputs import ResampledPattern, crop_or_pad, resample_pattern
from .sample import draw_samples

_DRAWS, _STEPS = 3, 4
"""Draws of a preview, and steps from noise to each: a third of the work of a prediction."""
_REFINEMENT = 40
"""Iterations of the likelihood after the projections."""
_AGREE, _VAGUE = 0.9, 0.7
"""Agreement of the draws above which a preview is called firm, and below which it is none."""
_EDGE = 0.1
"""Least amplitude of the crystal, relative to its largest, where two previews are compared."""
_USUAL = 3.0
"""Oversampling that is assumed where nothing has been measured."""
_MARGIN = 0.05
"""Change between two previews, beyond the disagreement of the draws, that still counts as none."""

Density = Complex[np.ndarray, "z y x"]


class CurvePreviewer(Previewer):
    """Maker of the previews of rocking curves.

    Args:
        settings: Settings of the run.
    """

    def __init__(self, settings: CrystalSettings) -> None:
        self._settings = settings
        self._denoiser = load_network(read(settings.predict.network, "crystal"), CrystalDenoiser)
        self._ratio = self._former_ratio = 0.0
        self.begin()

    def begin(self) -> None:
        """Begin a new scan; the oversampling of the last one is a guess until the maximum has been seen."""
        self._last: dict[str, tuple[int, Density]] = {}
        self._former_ratio, self._ratio = self._ratio or self._former_ratio, 0.0

    def warm_up(self, shape: tuple[int, ...]) -> None:
        """Draw from a pattern of a made-up peak."""
        place = np.meshgrid(*(np.arange(n) - n // 2 for n in shape), indexing="ij")
        counts = 1e4 * np.exp(-sum(axis**2 for axis in place) / 4.0)
        pattern = resample_pattern(counts, np.ones(shape, bool), Oversampling((_USUAL,) * 3, (True,) * 3))
        draw_samples(self._denoiser, pattern, _DRAWS, _STEPS, self._settings.seed)

    def previews(
        self, snapshot: Path, received: Bool[np.ndarray, " frame"], should_stop: Callable[[], str | None]
    ) -> Iterator[Preview]:
        """Draw densities, and refine the best one by the physics once the peak has been seen.

        Raises:
            DataError: If nothing can be seen yet, with the reason.
        """
        start = time.monotonic()
        curve = read_partial_curve(self._settings, snapshot, received)
        draws = self._draw(curve)
        agreement = float(np.mean([_likeness(one, draws[0], ramp=False) for one in draws[1:]]))
        yield self._preview("network", curve, draws[0], agreement, start)
        if not curve.has_maximum or should_stop():
            return
        start = time.monotonic()
        try:
            refined = self._refine(curve, draws[0], should_stop)
        except Stopped:
            return
        except NoObjectError as error:
            raise DataError(Diagnostic("", f"the physics finds no crystal yet: {error}")) from error
        likeness = _likeness(refined, draws[0], ramp=True)
        yield self._preview("physics", curve, refined, agreement, start, likeness)

    def _draw(self, curve: PartialCurve) -> Complex[np.ndarray, "draw z y x"]:
        """Draw densities from the network, the best first."""
        known = self._ratio if curve.has_maximum else max(self._ratio, self._former_ratio)
        pattern, ratio = network_input(self._settings, curve, known)
        if curve.has_maximum:
            self._ratio = ratio
        return draw_samples(self._denoiser, pattern, _DRAWS, _STEPS, self._settings.seed).densities

    def _refine(self, curve: PartialCurve, density: Density, should_stop: Callable[[], str | None]) -> Density:
        """Refine one density: projections, then the likelihood of the counts."""
        settings = self._settings
        result = phase(
            curve.scan.data,
            preview_settings(settings),
            settings.seed,
            should_stop=should_stop,
            initial=InitialStarts(1, lambda: density[None]),
        )
        return result.density

    def _preview(
        self, method: str, curve: PartialCurve, density: Density, agreement: float, start: float, likeness: float = 1.0
    ) -> Preview:
        """Compare a density with the former preview, and judge it."""
        frames, total = int(np.isfinite(curve.totals).sum()), len(curve.totals)
        change = np.nan
        former = self._last.get(method)
        if former is not None and former[1].shape == density.shape:
            change = 1 - _likeness(density, former[1], ramp=True)
        self._last[method] = frames, density
        numbers = {"agreement": agreement, "fraction": curve.fraction, "has_maximum": float(curve.has_maximum)}
        numbers |= {"change": change, "likeness": likeness}
        trust = min(agreement, likeness)
        return Preview(
            method,
            frames,
            total,
            trust_text(agreement, likeness, has_maximum=curve.has_maximum),
            "all frames are there"
            if curve.is_whole
            else outlook_text(trust, change, former[0] if former else 0, has_maximum=curve.has_maximum),
            lambda: draw_preview(curve.totals, centred(density)),
            numbers,
            time.monotonic() - start,
        )


def network_input(settings: CrystalSettings, curve: PartialCurve, known: float) -> tuple[ResampledPattern, float]:
    """Resample a curve for the network, without the pixels that phasing withholds.

    Args:
        settings: Settings of the run.
        curve: The curve.
        known: Oversampling along the frames by the previews before; 0 for none.

    Returns:
        The pattern, of a whole curve that of a prediction, and the oversampling along the frames.
    """
    visible = curve.scan.good & ~curve.scan.data.free_pixels(settings.phase.free, settings.seed)
    counts = curve.scan.normalized_counts
    sampling = preview_sampling(curve, estimate_oversampling(counts, visible), known)
    return resample_pattern(counts, visible, sampling), sampling.ratio[0]


def preview_settings(settings: CrystalSettings) -> PhaseSettings:
    """Settings of the short phase retrieval: the recipe that refines a draw, and a brief refinement."""
    refine = settings.phase.refine.model_copy(update={"iterations": _REFINEMENT, "margin": 0.0})
    changed = {"recipe": settings.predict.recipe, "starts": 1, "keep": 1, "twin": False, "gate": None, "refine": refine}
    return settings.phase.model_copy(update=changed)


def centred(density: Density) -> Density:
    """Move the crystal to the middle of the array, which it may extend across the edges of."""
    return np.roll(density, centring_shift(np.abs(density) ** 2), axis=(0, 1, 2))


def _likeness(density: Density, reference: Density, *, ramp: bool) -> float:
    """Correlate two densities after alignment, in a box around the crystal.

    Args:
        density: Density, with the crystal anywhere.
        reference: Density to compare it with.
        ramp: Whether their patterns may be shifted against each other, as the peak moves while it is measured.
    """
    first, second = centred(density), centred(reference)
    weight = np.maximum(np.abs(first) / np.abs(first).max(), np.abs(second) / np.abs(second).max()) > _EDGE
    shape = tuple(_box_edge(weight.any(axis=tuple(i for i in range(3) if i != axis))) for axis in range(3))
    return align(crop_or_pad(first, shape), crop_or_pad(second, shape), ramp=ramp).correlation


def _box_edge(line: Bool[np.ndarray, " n"]) -> int:
    """Even edge of a centred box that holds all marked samples."""
    n = len(line)
    reach = int(np.abs(np.flatnonzero(line) - n // 2).max()) + 2
    return min(2 * reach, n - n % 2)


def trust_text(agreement: float, likeness: float = 1.0, *, has_maximum: bool) -> str:
    """State how far a preview can be trusted.

    Args:
        agreement: Mean correlation of the draws with the best of them.
        likeness: Correlation of a result of the physics with the draw that it began with; 1 for the draw itself.
        has_maximum: Whether the maximum of the peak has been seen.
    """
    trust = min(agreement, likeness)
    level = "firm" if trust >= _AGREE else "rough" if trust >= _VAGUE else "no more than a guess"
    reason = f"draws agree {agreement:.2f}" + (f", the physics with them {likeness:.2f}" if likeness < 1 else "")
    if not has_maximum:
        return f"the maximum of the peak has not been seen: no more than a guess ({reason})"
    return f"{level} ({reason})"


def outlook_text(agreement: float, change: float, before: int, *, has_maximum: bool) -> str:
    """State whether more frames would change a preview.

    Args:
        agreement: Mean correlation of the draws with the best of them, or of the physics with that if it is less.
        change: 1 less the correlation with the preview before; NaN for the first.
        before: Number of frames of that.
        has_maximum: Whether the maximum of the peak has been seen.
    """
    if not has_maximum:
        return "more frames will change it"
    if np.isnan(change):
        return "nothing to compare it with yet"
    since = f"changed by {change:.2f} since {before} frames"
    if agreement >= _AGREE and change <= 1 - agreement + _MARGIN:
        return f"{since}: more frames would hardly change it"
    return f"{since}: more frames would change it"
