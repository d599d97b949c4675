"""Verdict on a crystal: reasons to doubt a result, from the numbers of its ``metrics.json``.

The limits were chosen on simulated crystals (`benchmarks/verdicts_crystal.py`); others were kept back to count how many
wrong results are named and how many right ones accused.
"""

import math
from collections.abc import Mapping

from ...runs.verdict import Reason

NOISE_RATIO = 3.0
"""Misfit over counting noise in bright voxels above which something is left unexplained."""
GAIN_RATIO = 30.0
"""Misfit over counting noise from which the counts may be no photons."""
LEAST_NOISE = 0.6
"""Misfit over counting noise in all voxels below which the numbers are no photons; right models leave 0.8 or more."""
EXCESS = 0.06
"""Relative error of the amplitudes beyond noise below which that does not matter."""
UNEXPLAINED = 0.5
"""Relative error of the amplitudes beyond noise above which a result explains nothing."""
AGREEMENT = 0.87
"""Mean correlation of the solutions below which they disagree, unless their amplitude is even."""
EVEN_AGREEMENT = 0.75
"""Mean correlation of the solutions below which they disagree however even their amplitude is."""
UNEVENNESS = 0.33
"""Variation of the amplitude above which a crystal has defects, or wrong phases."""
EVEN = 0.25
"""Variation of the amplitude up to which solutions are trusted that no other start found, or that differ: a lattice has
one density. Their combination is closer to it than each of them."""
MASKED = 0.5
"""Share of the modelled counts behind the mask above which the result rests on what was not measured."""
FREE_RATIO = 8.0
"""Deviance of withheld over that of fitted voxels above which noise was fitted."""
FREE_NOISE_RATIO, FREE_EXCESS = 8.0, 0.15
"""Misfit of withheld bright voxels over counting noise, and relative error of their amplitudes beyond noise, from which
the result does not hold for what was not fitted."""
CURVE_MISFIT, CURVE_GAIN, CURVE_AGREEMENT = 1.5, 3.0, 0.5
"""Counts beyond the band of the curve over counting noise from which they are more, ratio of these to what is left with
other positions of the frames from which the frames are elsewhere, and agreement of two halves of the pixels on that."""
CURVE_LEFT, CURVE_CLEAR_GAIN = 1.7, 6.0
"""The same without that agreement, where nearly noise alone is left: moves to and fro are hardly determined."""
LEAST_CORRECTION = 0.005
"""[step] Largest offset of an angle up to which rolls or the flux alone were fitted."""
STRAIN_TO_NOISE = 1.5
"""Root mean square of the strain over that of its noise, by counts and between solutions, below which it is noise."""
LEAST_PHASE_NOISE = 0.15
"""[rad] Noise of the phase from which that matters: with less, a lattice without a displacement is known as such."""
END = 0.5
"""Brightness of the first or last frame, relative to the brightest, above which the curve ends within the peak."""
OVERSAMPLING = 1.5
"""Oversampling, of a box along each axis, below which the phases are hardly determined.

It counts by the volume: simulated crystals sampled 1.2 times along one axis alone, but 2.6 times along the others, came
out with a correlation of 0.96 to 0.98.
"""
_AT_BOUND = 0.98
"""Part of the widest point-spread function from which a width is at its bound."""
_MORE_STARTS = "try more starts (phase.starts), or the network's (unflat predict --refine)"
_SEVERAL = (
    "the starts agree, and more of them will not change it: look at the amplitude for holes, grains and a second "
    "crystal; one beside it that is tilted or fainter is avoided by a smaller beam or another reflection"
)
_READINGS = "give the angle of each frame as the encoder read it"
_FIT_ANGLES = (
    f"{_READINGS}, or fit them (phase.refine.angles: true; fit.refine.angles; rolls as well if the crystal rolled)"
)
_REFIT_ANGLES = (
    f"{_READINGS}; without readings try rolls and flux as well (phase.refine.rolls, flux), another seed, or leave out "
    "frames at the ends"
)
_PHOTONS = "if the detector integrates charge, give acquisition.photon and dark"
_AXES = ("frame", "y", "x")


def assess(numbers: Mapping[str, float]) -> list[Reason]:
    """List the reasons to doubt a result."""
    checks = (_misfit, _frames, _solutions, _unevenness, _withheld, _strain, _blur, _mask, _ends, _sampling)
    return [reason for check in checks for reason in check(numbers)]


def _misfit(numbers: Mapping[str, float]) -> list[Reason]:
    """Judge the counts that are left unexplained; deviance alone would accuse every bright pattern."""
    ratio, excess = numbers.get("noise_ratio_bright", 1.0), numbers.get("excess_chi", 0.0)
    if excess > UNEXPLAINED:
        text = f"the counts are not explained: the amplitudes are off by {excess:.2f} beyond noise"
        remedy = "look at the mask, the centre and the crop"
        if _is_bare_answer(numbers):
            remedy = "refine it (unflat predict --refine)"
        return [Reason("counts-unexplained", text, remedy, fatal=True)]
    noise = numbers.get("noise_ratio", 1.0)
    if noise < LEAST_NOISE:
        text = f"the misfit is {noise:.2g} times counting noise: the images have less noise than photons"
        remedy = "give counts as the detector has them: not their roots, nor smoothed, interpolated or scaled ones"
        return [Reason("less-than-noise", text, remedy)]
    if ratio > NOISE_RATIO and excess > EXCESS:
        text = (
            f"the misfit of bright voxels is {ratio:.3g} times counting noise, {100 * excess:.0f} % of the amplitudes"
        )
        remedy = _after_angles(numbers, f"{_MORE_STARTS}; {_PHOTONS}" if ratio > GAIN_RATIO else _MORE_STARTS)
        return [Reason("misfit-above-noise", text, remedy)]
    return []


def _frames(numbers: Mapping[str, float]) -> list[Reason]:
    """Judge the positions of the frames: by the counts along the curve, and fitted ones by the evenness of the crystal.

    Fitted positions may follow a wrong crystal that is stretched in one part of the curve and pressed in another. The
    counts do not contradict that, and withheld voxels hardly do; a lattice is not even then.
    """
    largest = numbers.get("angle_correction_largest", 0.0)
    is_fitted = bool(numbers.get("frames_taken", 1.0)) and largest > LEAST_CORRECTION
    if _are_elsewhere(numbers) and numbers["curve_error"] > EXCESS:
        text = (
            f"the {'fitted ' * is_fitted}angles of the frames do not explain the curve: beyond the width of a crystal "
            f"it holds {numbers['curve_misfit']:.3g} times counting noise, with other angles "
            f"{numbers['curve_misfit_moved']:.3g} times; amplitudes are off by {100 * numbers['curve_error']:.2g} %"
        )
    elif is_fitted and numbers.get("amplitude_variation", 0.0) > EVEN:
        text = (
            f"the fitted angles, moved by up to {largest:.2g} steps, are confirmed by nothing: under right ones a "
            f"lattice is even, and the amplitude varies by {100 * numbers['amplitude_variation']:.0f} %"
        )
    else:
        return []
    remedy = _angles_remedy(numbers)
    if numbers.get("curve_misfit_moved", 1.0) > CURVE_LEFT:
        remedy += (
            "; a flux that varied and that the file does not give may look alike (give acquisition.monitor, or fit it: "
            "phase.refine.flux), as may a crystal that is sampled less than 1.6 times along the frames (take smaller "
            "steps)"
        )
    return [Reason("frame-angles", text, remedy)]


def _are_elsewhere(numbers: Mapping[str, float]) -> bool:
    """Whether the frames are not where they are said to be, however little that may matter."""
    misfit, moved = numbers.get("curve_misfit", 1.0), max(numbers.get("curve_misfit_moved", 1.0), 1.0)
    agree = numbers.get("curve_moves_agreement", 0.0) > CURVE_AGREEMENT
    mended = moved < CURVE_LEFT and misfit > CURVE_CLEAR_GAIN * moved
    return misfit > max(CURVE_MISFIT, CURVE_GAIN * moved) and (agree or mended)


def _angles_remedy(numbers: Mapping[str, float]) -> str:
    fitted = "frames_taken" in numbers or numbers.get("angle_correction_largest", 0.0) > LEAST_CORRECTION
    return _REFIT_ANGLES if fitted else _FIT_ANGLES


def _after_angles(numbers: Mapping[str, float], remedy: str) -> str:
    """Put the angles of the frames before another remedy, where they are or may be wrong."""
    if _frames(numbers):
        return f"put the angles of the frames right first; if they are, {remedy}"
    if numbers.get("curve_misfit", 1.0) > CURVE_MISFIT:
        return f"the frames may not be where their angles say: {_angles_remedy(numbers)}; if they are, {remedy}"
    return remedy


def _solutions(numbers: Mapping[str, float]) -> list[Reason]:
    """Judge how far independent solutions agree, or whether an even amplitude confirms what they do not."""
    is_even = numbers.get("amplitude_variation", 1.0) <= EVEN and not _is_bare_answer(numbers)
    if "agreement" in numbers:
        if numbers["agreement"] < (EVEN_AGREEMENT if is_even else AGREEMENT):
            text = f"the solutions agree by {numbers['agreement']:.3f} only"
            return [Reason("solutions-disagree", text, _MORE_STARTS)]
    elif numbers.get("kept", 2) == 1 and not is_even:
        return _lone(numbers)
    return []


def _lone(numbers: Mapping[str, float]) -> list[Reason]:
    """Doubt a solution that neither a second start nor an even amplitude confirms.

    A single start may end halfway between the crystal and its conjugated twin, brighter where they overlap, which
    amplitudes compared by depth hardly show: 5 of 18 such results varied by 30 to 33 %, and nothing else named them.
    """
    starts, variation = numbers.get("starts", 0), numbers.get("amplitude_variation")
    if starts > 1:
        text = f"of {starts:.0f} starts no second one came to the same crystal"
    elif starts == 1 and variation is not None:
        text = f"a single start is confirmed by no other, nor by its amplitude, which varies by {100 * variation:.0f} %"
    else:
        return []
    return [Reason("solution-alone", text, _MORE_STARTS)]


def _is_bare_answer(numbers: Mapping[str, float]) -> bool:
    """Whether a network's answer was not refined: it learned to be even, whatever the pattern."""
    return "seconds_of_answer" in numbers and "starts" not in numbers


def _unevenness(numbers: Mapping[str, float]) -> list[Reason]:
    value = numbers.get("amplitude_variation", 0.0)
    if value <= UNEVENNESS:
        return []
    text = f"the amplitude inside the crystal varies by {100 * value:.0f} %, which defects or wrong phases cause"
    confirmed = numbers.get("agreement", 0.0) >= AGREEMENT and not _is_bare_answer(numbers)
    remedy = _after_angles(numbers, _SEVERAL if confirmed else _MORE_STARTS)
    return [Reason("uneven-amplitude", text, remedy)]


def _withheld(numbers: Mapping[str, float]) -> list[Reason]:
    """Judge what was not fitted: beside what was, and by itself, where fitted voxels are explained poorly as well."""
    free, fitted = numbers.get("llk_free"), numbers.get("llk", 0.0)
    ratio, excess = numbers.get("noise_ratio_free", 1.0), numbers.get("excess_chi_free", 0.0)
    is_off = numbers.get("excess_chi_free", 1.0) > EXCESS
    if free is not None and fitted > 0 and free > max(FREE_RATIO * fitted, FREE_RATIO) and is_off:
        text = f"withheld voxels are explained {free / fitted:.0f} times worse than fitted ones"
    elif ratio > FREE_NOISE_RATIO and excess > FREE_EXCESS:
        text = f"the misfit of withheld voxels is {ratio:.3g} times counting noise, {100 * excess:.0f} % of amplitudes"
    else:
        return []
    return [Reason("withheld-unexplained", text, _after_angles(numbers, _MORE_STARTS))]


def _strain(numbers: Mapping[str, float]) -> list[Reason]:
    """Compare the strain with its noise; the density may be right where the strain is not determined.

    A lone solution has no spread. The amplitude of a lattice is even: its relative variation is that of the complex
    density across the wave as well, which is its phase [rad].
    """
    strain, counting, phase = (numbers.get(name, 0.0) for name in ("strain_rms", "strain_noise", "phase_noise"))
    if "strain_rms" not in numbers or not (counting > 0 and phase > 0):
        return []
    unevenness = numbers.get("amplitude_variation", 0.0)
    noise = math.hypot(counting, numbers.get("strain_spread", counting / phase * unevenness))
    phase_noise = math.hypot(phase, numbers.get("phase_spread", unevenness))
    if strain >= STRAIN_TO_NOISE * noise or phase_noise < LEAST_PHASE_NOISE:
        return []
    source = "between solutions" if "strain_spread" in numbers else "by the unevenness of the amplitude"
    text = f"the strain, {strain:.1e} rms, is within its noise, {noise:.1e} by counts and {source}: neither it nor the "
    text += "displacement is determined; shape and density may be right"
    remedy = "take more counts (sum scans), or more starts (phase.starts)"
    return [Reason("strain-in-noise", text, remedy, limited_to="strain, displacement")]


def _blur(numbers: Mapping[str, float]) -> list[Reason]:
    from ....physics.psf import WIDEST_SIGMA  # It imports jax, which a report does without.

    widths = {axis: numbers.get(f"psf_{axis}", 0.0) for axis in _AXES}
    widest = [axis for axis, width in widths.items() if width >= _AT_BOUND * WIDEST_SIGMA]
    if not widest:
        return []
    text = f"the point-spread function is as wide as it may be ({WIDEST_SIGMA:g} pixels) along {', '.join(widest)}"
    return [Reason("blur-at-bound", text, "it may stand for strain: try phase.refine.psf: false")]


def _mask(numbers: Mapping[str, float]) -> list[Reason]:
    share = numbers.get("masked_counts", 0.0)
    if share <= MASKED:
        return []
    text = f"{100 * share:.0f} % of the modelled counts lie where nothing was measured"
    return [Reason("counts-behind-mask", text, "the mask hides the peak, or the crop is too large for the data")]


def _ends(numbers: Mapping[str, float]) -> list[Reason]:
    share = numbers.get("end_brightness", 0.0)
    if share <= END:
        return []
    text = f"the rocking curve ends within the peak: a frame at its end has {100 * share:.0f} % of its brightness"
    return [Reason("curve-cut-off", text, "measure a wider curve: along it the crystal is blurred, and its size wrong")]


def _sampling(numbers: Mapping[str, float]) -> list[Reason]:
    """Judge the room around the crystal, by the volume; by its widths in results that do not have it."""
    least = min((numbers.get(f"oversampling_{axis}", OVERSAMPLING), axis) for axis in _AXES)
    ratio = numbers.get("oversampling_ratio", least[0] ** 3)
    if ratio >= OVERSAMPLING**3:
        return []
    text = f"the crystal fills the array: {ratio:.2g} measured voxels for each of its own, oversampling {least[0]:.2g} "
    text += f"along {least[1]}; at least 8, and 2 along each axis, are due"
    return [Reason("undersampled", text, "measure finer, or bin less (acquisition.bin)")]
