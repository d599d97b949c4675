"""Validation of a rocking curve: faults, which no measurement can have, and warnings of probable mistakes."""

import numpy as np
from jaxtyping import Bool, Float, Int

from ...acquisition import Acquisition
from ...config.advice import exact
from ...config.photon_energy import PLANCK_TIMES_LIGHT
from ...config.units import si_factor
from ...errors import Diagnostic
from .artifacts import find_hot_pixels
from .curve_ends import flat_curve_warnings
from .geometry_checks import basis_warnings, geometry_faults
from .lost_frames import describe_frames, find_lost_frames
from .oversampling import Good, Voxels, fill_masked, find_brightest_peak, significance
from .photons import are_amplitudes
from .schema import PATHS

_LONGEST_WAVE, _SHORTEST_WAVE = 2e-8, 1e-12
"""[m] Bounds of the wavelength of X-rays."""
_UNITS_BY_SIZE = ((200.0, "eV"), (3.0, "keV"), (0.3, "angstrom"), (0.01, "nm"), (1e-6, "um"), (0.0, "J"))
"""Smallest number that may be a wavelength or a photon's energy in each unit."""
_LARGEST_PIXEL, _FARTHEST = 5e-3, 50.0
"""[m] Largest pixel and distance of a detector."""
_SIGNIFICANT = 8.0
"""Least height of a peak, in standard deviations of the background."""
_RAGGED = 3.0
"""Total variation of a rocking curve, in units of its one peak, above which it is unsorted; sorted it is about 1."""
_NOISE = 2.0
"""Least step between two frames, in standard deviations of counting noise."""
_MIN_NEIGHBOUR_COUNTS = 0.08
"""Least counts of the neighbours of the brightest frame, relative to it."""
_PLATEAU = 3
"""Number of adjacent voxels with exactly the largest count from which the centre is saturated."""
_HIDDEN_FRACTION = 0.95
"""Masked fraction of the voxels around the peak from which it is hidden."""


def good_voxels(acquisition: Acquisition) -> Good:
    """Mask the measured voxels; of the images' shape."""
    images = acquisition["images"]
    good = np.isfinite(images)
    if "mask" in acquisition:
        good &= np.broadcast_to(acquisition["mask"] == 0, images.shape)
    return np.asarray(good)


def validate(acquisition: Acquisition) -> list[Diagnostic]:
    """List the faults of a rocking curve.

    Args:
        acquisition: Arrays in SI; absent ones are not checked.
    """
    return [*length_faults(acquisition), *geometry_faults(acquisition), *_peak_faults(acquisition)]


def warnings_for(acquisition: Acquisition) -> list[Diagnostic]:
    """List what is probably a mistake, and might be right.

    Args:
        acquisition: Rocking curve without faults, as `validate` lists them.
    """
    counts, good = without_hot_pixels(acquisition)
    where = acquisition.place("images", PATHS)
    return [
        *_empty_frame_warnings(counts, good, where),
        *_order_warnings(counts, good, where),
        *_saturation_warnings(counts, good, where),
        *_hidden_peak_warnings(counts, good, acquisition.place("mask", PATHS)),
        *flat_curve_warnings(acquisition, good, where),
        *basis_warnings(acquisition),
        *_amplitude_warnings(counts, good, where),
    ]


def without_hot_pixels(acquisition: Acquisition) -> tuple[Voxels, Good]:
    """Return the counts, and the mask of good pixels that are not hot: a stuck one is no peak, however bright."""
    counts, good = acquisition["images"], good_voxels(acquisition)
    cold = good & ~find_hot_pixels(counts, good)
    return counts, cold if cold.any() else good


def _largest_value(acquisition: Acquisition, name: str) -> float | None:
    """Return the largest value of an array; None if it is absent, not finite or not positive."""
    if name not in acquisition or not acquisition[name].size:
        return None
    value = float(acquisition[name].max())
    return value if np.isfinite(value) and value > 0 else None


def length_faults(acquisition: Acquisition) -> list[Diagnostic]:
    """List wavelengths that are energies, ångströms or nanometres."""
    faults = []
    wave = _largest_value(acquisition, "wavelength")
    if wave is not None and not _SHORTEST_WAVE < wave < _LONGEST_WAVE:
        faults.append(_wave_fault(acquisition, wave))
    return faults + _size_faults(acquisition)


def _size_faults(acquisition: Acquisition) -> list[Diagnostic]:
    """List pixels and distances in millimetres or micrometres."""
    faults = []
    for name, largest, noun in (
        ("pixel_size", _LARGEST_PIXEL, "pixel of an X-ray detector"),
        ("detector_distance", _FARTHEST, "distance of a detector"),
    ):
        size = _largest_value(acquisition, name)
        if size is None or size <= largest:
            continue
        is_small = size >= 1e3 * largest or (name == "pixel_size" and size >= 1)
        words, unit = ("micrometres", "um") if is_small else ("millimetres", "mm")
        remedy = f"write its units attribute, or set acquisition.{name}: {acquisition.in_unit(name, size, unit)}"
        message = f"{size:g} m is no {noun}; it looks like {words}"
        faults.append(Diagnostic(acquisition.place(name, PATHS), message, remedy))
    return faults


def _wave_fault(acquisition: Acquisition, wave: float) -> Diagnostic:
    """Suggest the unit of a number that is no wavelength, and the wavelength in nm."""
    where = acquisition.place("wavelength", PATHS)
    guess, metres, unit = _guess_wavelength(wave)
    if not _SHORTEST_WAVE < metres < _LONGEST_WAVE:
        energy = PLANCK_TIMES_LIGHT / wave / si_factor("keV")
        message = f"{wave:g} m is no wavelength of X-rays: it is that of photons of {energy:.4g} keV"
        return Diagnostic(where, message, "check its unit, and set acquisition.wavelength, as '9 keV' or '0.138 nm'")
    message = f"{wave:g} m is no wavelength of X-rays; it looks like {guess}"
    remedy = f"if so, set acquisition.wavelength: {acquisition.in_unit('wavelength', wave, unit)}"
    return Diagnostic(where, message, remedy)


def _guess_wavelength(number: float) -> tuple[str, float, str]:
    """Guess the unit of a number that is no wavelength in metres.

    Returns:
        The unit in words, the wavelength [m] that it gives, and the unit as the config writes it.
    """
    unit = next(unit for least, unit in _UNITS_BY_SIZE if number >= least)
    if unit in ("angstrom", "nm", "um"):
        words = {"angstrom": "ångströms", "nm": "nanometres", "um": "micrometres"}
        return words[unit], number * si_factor(unit), unit
    return f"an energy in {unit}", PLANCK_TIMES_LIGHT / (number * si_factor(unit)), unit


def _peak_faults(acquisition: Acquisition) -> list[Diagnostic]:
    if "images" not in acquisition:
        return []
    counts, good = without_hot_pixels(acquisition)
    where = acquisition.place("images", PATHS)
    if min(counts.shape) < 8:
        message = f"{' x '.join(map(str, counts.shape))} voxels (frame, y, x) are too few for a crystal in 3D"
        return [Diagnostic(where, message, "a rocking curve has at least 8 frames of 8 x 8 pixels")]
    if not (counts[good] > 0).any() and (counts > 0).any():
        message = "every pixel with counts is masked, and those that are not hold none"
        remedy = "0 means good: if the file has 1 for good pixels, write the mask the other way round"
        return [Diagnostic(acquisition.place("mask", PATHS), message, remedy)]
    if not (counts[good] > 0).any():
        return [
            Diagnostic(where, "every frame is empty: no pixel is above 0", "check the detector, and the dataset's name")
        ]
    sigmas = significance(counts, good)
    if sigmas < _SIGNIFICANT:
        message = f"no peak is in view: the brightest place is {sigmas:.1f} standard deviations above the background"
        remedy = "check the angles of crystal and detector, and acquisition.frames"
        return [Diagnostic(where, message, remedy)]
    return []


def _amplitude_warnings(counts: Voxels, good: Good, where: str) -> list[Diagnostic]:
    """Warn of the roots of counts, as programs for phasing store them."""
    if not are_amplitudes(counts[good]):
        return []
    message = "the numbers are no counts, and their squares are whole: they look like amplitudes, the roots of counts"
    return [Diagnostic(where, message, "write their squares into the file, or give the counts of the detector")]


def _empty_frame_warnings(counts: Voxels, good: Good, where: str) -> list[Diagnostic]:
    """Warn of frames without a count beside frames with many."""
    lost = find_lost_frames(counts, good)
    if not lost.size:
        return []
    message = f"{len(lost)} empty frame{'s' * (len(lost) > 1)} beside frames with many counts: {describe_frames(lost)}"
    remedy = "mask them (acquisition.mask), leave them out at an end (acquisition.frames), or acquire them again"
    return [Diagnostic(where, message, remedy)]


def _order_warnings(counts: Voxels, good: Good, where: str) -> list[Diagnostic]:
    """Warn of frames out of order, as from names sorted like 1, 10, 11, 2.

    Their totals then go up and down several times, or the brightest has a dark neighbour: a sufficiently sampled curve
    has at least 4/π² of its maximum beside it.
    """
    totals = np.array(
        [
            float(frame[ok].mean(dtype=np.float64)) if ok.any() else np.nan
            for frame, ok in zip(counts, good, strict=True)
        ]
    )
    pixels = np.array([max(int(ok.sum()), 1) for ok in good])
    brightest = int(np.nanargmax(totals))
    beside = totals[max(brightest - 1, 0) : brightest + 2]
    isolated = float(np.nanmin(beside)) < _MIN_NEIGHBOUR_COUNTS * totals[brightest]
    ragged = _raggedness(totals, pixels)
    if ragged >= _RAGGED:
        reason = f"their counts go up and down {ragged:.1f} times as much as one peak does"
    elif isolated:
        share = 100 * float(np.nanmin(beside)) / float(np.nanmax(beside))
        reason = f"beside the brightest, frame {brightest}, one has {share:.3g} % of its counts"
    else:
        return []
    message = f"the frames do not form one rocking curve: {reason}"
    return [
        Diagnostic(
            where, message, "check their order (image_10 sorts before image_2), or give it as acquisition.frames"
        )
    ]


def _raggedness(totals: Float[np.ndarray, " frame"], pixels: Int[np.ndarray, " frame"]) -> float:
    """Compute the total variation of the frames' means, less that of counting noise, in units of one peak.

    Args:
        totals: Mean counts of each frame's pixels; NaN where none is good.
        pixels: Number of these pixels.
    """
    known = np.isfinite(totals)
    means = totals[known]
    rise = float(2 * means.max() - means[0] - means[-1])
    if rise <= 0:
        return 1.0
    variance = np.maximum(means, 0) / pixels[known]  # Poisson variance of a mean.
    steps = np.diff(means) ** 2 - _NOISE**2 * (variance[1:] + variance[:-1])
    return float(np.sqrt(np.maximum(steps, 0)).sum() / rise)


def _saturation_warnings(counts: Voxels, good: Good, where: str) -> list[Diagnostic]:
    """Warn of several adjacent voxels of exactly the largest count, which counting noise does not produce."""
    from scipy.ndimage import label

    top = float(counts[good].max())
    labels, number = label(good & (counts == top), structure=np.ones((3, 3, 3)))
    largest = max((int((labels == i).sum()) for i in range(1, number + 1)), default=0) if number < 50 else 0
    if top < 1000 or largest < _PLATEAU:
        return []
    message = f"the centre of the peak is saturated: {largest} voxels side by side hold exactly {exact(top)} counts"
    return [Diagnostic(where, message, f"mask them: --set acquisition.saturation={exact(top)}")]


def _hidden_peak_warnings(counts: Voxels, good: Good, where: str) -> list[Diagnostic]:
    """Warn of a mask over the whole centre of the peak, which determines the size of the crystal."""
    if good.all():
        return []
    peak = find_brightest_peak(fill_masked(counts, good), np.ones_like(good))
    near = _ball(counts.shape, peak, 3.0)
    fraction = float(1 - good[near].mean())
    if fraction < _HIDDEN_FRACTION:
        return []
    message = f"the mask hides the Bragg peak: {100 * fraction:.0f} % of the voxels around {list(peak)} are masked"
    remedy = (
        "0 means good: see that the mask is not the wrong way round, or mask only what is really bad; a number set as "
    )
    remedy += "acquisition.saturation replaces a saturation that the file states"
    return [Diagnostic(where, message, remedy)]


def _ball(shape: tuple[int, ...], centre: tuple[int, int, int], radius: float) -> Bool[np.ndarray, "frame y x"]:
    """Mask the voxels within a radius [voxel] of a centre."""
    axes = np.ogrid[tuple(slice(0, n) for n in shape)]
    return np.asarray(sum((a - c) ** 2 for a, c in zip(axes, centre, strict=True)) <= radius**2)
