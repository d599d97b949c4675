"""Reasons to doubt the result of a cell, from the numbers of its ``metrics.json``."""

import math
from collections.abc import Callable, Iterator, Mapping

from ...runs.verdict import Reason
from .contradicting_views import contradicting_views
from .light_names import CLEAR_ERRORS, CLEAR_RATIO, ORIENTATIONS
from .structure import LEAST_STRUCTURE

Numbers = Mapping[str, float]

EMPTY_RATIO = 0.995
"""Residual, over that of an empty box, from which a result explains nothing."""
EMPTY_STRUCTURE = 0.9
"""Structure left, surely, from which a result explains nothing of what the images hold beside noise."""
EMPTY_DELAY = 0.01
"""[rad] Largest delay of light below which the index is that of the medium."""
SOUND_STRUCTURE = 0.12
"""Structure left in the withheld views, surely, up to which a result is sound."""
ERRORS = 2.0
"""Standard errors by which the structure left must exceed a limit, to do so surely."""
LARGEST_ERROR = 0.4
"""Standard error of the structure left from which a right result and an empty one look alike."""
FITTED_STRUCTURE, FITTED_RESIDUAL = 0.25, 0.9
"""Structure left and residual of the fitted views up to which these show a right result, if the withheld ones do not.

A negative structure left, of fitted noise, is none."""
SOUND_RESIDUAL = 0.6
"""The same for the residual over that of an empty box, where the noise is not known."""
EXPLAINED = 0.1
"""Structure left up to which light at the pupil's rim, or a fit still moving, has done no harm."""
RIM_LIGHT = 0.2
"""Share of the light at the rim of the pupil that matters."""
OVERFIT = 0.12
"""Structure left in the withheld views beyond that in the fitted ones, from which noise was fitted."""
OVERFIT_LEFT = 0.08
"""Structure left in the withheld views, surely, up to which fitted noise has done no harm."""
FALL = 0.1
"""Fall of the residual over the last quarter of the steps from which the fit still moves."""
FEW_STEPS = 50
"""Steps below which the residual of the withheld views was computed too seldom to see it fall."""
FAST_FALL, FAST_LEFT = 0.15, 0.03
"""The same, and structure left, from which a fit still moves, though little structure is left: series that fell by 18 %
and 28 % left 5 to 11 % at some of their times, with errors of half of the contrast."""
FEWEST_VIEWS = 4
FEWEST_TESTED = 6
"""Number of views from which one is withheld by default, `optimize.minibatches.FEWEST_VIEWS`."""
PHASE_DETERMINED = 0.62
"""Share of the coarse structure of the phase delay that the views determine, below which a dry mass is not known."""
SHRUNK = 1.1
"""Factor on the contrast, less its standard errors, above which the priors hold the contrast down."""
PUPIL_SMALLER, PUPIL_LARGER, PUPIL_ERRORS, RIM_SEEN = 0.87, 1.1, 5.0, 0.65
"""Size of the pupil that fields show, relative to the described one, below or above which it is another one, with the
standard errors from which, and the part of the fall of amplitudes at the described rim up to which, that is sure."""
DEPTH_RESOLVED, FACES = 1.2, 0.5
"""Depth of the box over the axial resolution below which, and contrast at the faces of the box over the largest from
which, the box decides where along z the contrast lies: 1.1 in a cell whose index was wrong by a third. Cells at 1.3
were right."""
DEEP, ALIKE, FULL = 2.0, 0.6, 0.85
"""Depth of the box over the axial resolution, and correlation of its faces, from which a full box is the missing cone's
work: a cell drawn out through 2.7 resolutions had 0.83, and 58 % too low an index. What fills a box otherwise, such as
fibres, differs from face to face. In a shallower box the contrast at its faces tells: the same cell in 1.4 resolutions
had 0.99 of the largest, and 31 % too low an index; right cells in 1.7 to 2 had 0.66 at most."""
SIDES = 0.1
"""Contrast at the border of the images, over the largest, from which the specimen reaches beyond them: 0.5 of a cell
that the border cuts, at most 0.004 of cells within."""
SPREAD = 0.5
"""Spread of the members of an ensemble, over the contrast, from which they disagree."""
SEAMS = 0.8
"""Difference of neighbouring tiles in their overlap, over the contrast of the whole, from which they disagree.

Tiles that lost 0.3 to 0.4 dB against one piece had 0.17 to 0.56, some that lost 0.9 dB had 0.92."""
ABSORPTION_RATIO = 0.8
"""Linear residual with absorption, over that without, below which a specimen absorbs."""
ABSORPTION_TRIAL = 0.99
"""Withheld residual of the begun fit with absorption, over that without, from which a trial has found none."""
LARGEST_SOURCE = 0.05
"""[NA] Correction of a source beyond which it is another source."""
LARGEST_TURN, LARGEST_SHIFT, LARGEST_SCALE = 10.0, 0.1, 0.15
"""Turn [°], shift [NA] and relative change of scale of all sources beyond which they are other sources."""
LARGEST_FOCUS = 10e-6
"""[m] Correction of the focus beyond which the description of the focus is wrong."""
LARGEST_ABERRATION = 3.0
"""[rad] Aberrations beyond which no image of an objective is left."""

ABOVE = 0.25
"""Share of the squared contrast above the index of the medium below which a specimen lies below it."""

CHECK_LIGHT = "look at the order of the views, the directions of their light, the sign of the focus and the units"


def assess(numbers: Numbers) -> list[Reason]:
    """List the reasons to doubt a result; none for a sound one."""
    return [reason for check in _CHECKS for reason in check(numbers)]


def is_empty(numbers: Numbers) -> bool:
    """Whether a result explains nothing of the images."""
    return any(reason.fatal for reason in _empty(numbers))


def leave_out_known_side(numbers: Numbers, sign: str) -> dict[str, float]:
    """Leave out the share of contrast above the medium where no light was compared, or the config says the sign."""
    if "light_ratio" in numbers and sign != "nonpositive":
        return dict(numbers)
    return {name: value for name, value in numbers.items() if name != "contrast_above"}


def is_cut(numbers: Numbers) -> bool:
    """Whether the specimen reaches the border of images that the box does not exceed."""
    return numbers.get("contrast_at_sides", 0.0) > SIDES and "light_reach" in numbers


def is_prediction(numbers: Numbers) -> bool:
    """Whether a result is a network's answer, without a fit after it."""
    return "draws" in numbers and "steps" not in numbers


def _surely_left(numbers: Numbers) -> float | None:
    """Structure left, less its standard errors; None where the noise is not known."""
    left = numbers.get("structure_unexplained")
    return None if left is None else left - ERRORS * numbers.get("structure_error", 0.0)


def _withheld_is_noise(numbers: Numbers) -> bool:
    """Whether the withheld views hold so little beside noise that a right result and an empty one look alike there."""
    return numbers.get("noise_floor", 0.0) ** 2 > 1 - LEAST_STRUCTURE or (
        numbers.get("structure_error", 0.0) > LARGEST_ERROR
    )


def _empty(numbers: Numbers) -> Iterator[Reason]:
    ratio, left = numbers.get("residual_over_empty", 0.0), _surely_left(numbers) or 0.0
    explains_fitted = numbers.get("residual_fitted", 1.0) < FITTED_RESIDUAL
    if (ratio >= EMPTY_RATIO or left >= EMPTY_STRUCTURE) and not (_withheld_is_noise(numbers) and explains_fitted):
        text = f"the residual is {ratio:.3f} times that of an empty box in the same views: the result "
        yield Reason("empty", f"{text}explains nothing of the images", CHECK_LIGHT, fatal=True)
    elif numbers.get("phase_delay", 1.0) < EMPTY_DELAY:
        text = f"the index is the medium's: light is delayed by {numbers['phase_delay']:.2g} rad at most"
        yield Reason("medium", text, CHECK_LIGHT, fatal=True)


def _only_noise(numbers: Numbers) -> Iterator[Reason]:
    floor, error = numbers.get("noise_floor", 0.0), numbers.get("structure_error", 0.0)
    text = f"noise alone leaves {floor:.3f} of the residual of an empty box"
    remedy = "expose longer, average repeated images, or withhold more views: fit.withheld"
    fitted = numbers.get("structure_unexplained_fitted", 1.0)
    if abs(fitted) < FITTED_STRUCTURE and numbers.get("residual_fitted", 1.0) < FITTED_RESIDUAL:
        return
    if floor**2 > 1 - LEAST_STRUCTURE:
        yield Reason("only-noise", f"{text}: the images hold nothing else", remedy)
    elif error > LARGEST_ERROR:
        text += f": whether the rest is explained is uncertain, by {100 * error:.0f} %"
        yield Reason("only-noise", text, remedy)


def _structure_left(numbers: Numbers) -> Iterator[Reason]:
    if is_empty(numbers):
        return
    left = _surely_left(numbers)
    remedy = f"{CHECK_LIGHT}; compare the measured and modelled images in the report"
    if numbers.get("absorption_chosen", 1.0) == 0 and not is_absorption_settled(numbers):
        remedy += "; if the specimen absorbs, set physics.absorption: true"
    if is_cut(numbers):
        wider = f"{2e6 * numbers['light_reach']:.2g} µm wider than the images (volume.size)"
        cut = (
            f"the specimen reaches the border of the images, and light from beyond enters them: make the box {wider}, "
        )
        remedy = f"{cut}and trust what lies in the images; if it does not reach so far, {remedy}"
    if any(_absorption(numbers)):
        remedy = "fit with absorption first"
    if any(_moving(numbers)):
        remedy = f"take more steps first: fit.steps, with --resume; then {remedy}"
    if is_prediction(numbers):
        remedy = "refine it with --refine, or use unflat fit"
    if left is not None and left > SOUND_STRUCTURE:
        share = 100 * numbers["structure_unexplained"]
        text = f"{share:.0f} % of the structure of the images, beyond noise, is left unexplained"
        yield Reason("structure-left", text, remedy)
    ratio = numbers.get("residual_over_empty", 0.0)
    if left is None and "noise_floor" not in numbers and ratio > SOUND_RESIDUAL:
        text = f"the residual is {ratio:.2f} times that of an empty box, and the noise is not known"
        yield Reason("structure-left", text, remedy)


def _noise_fitted(numbers: Numbers) -> Iterator[Reason]:
    left, fitted = _surely_left(numbers), numbers.get("structure_unexplained_fitted")
    if left is None or fitted is None or is_empty(numbers) or is_prediction(numbers) or is_cut(numbers):
        return
    if left > OVERFIT_LEFT and left - fitted > OVERFIT:
        share = 100 * numbers["structure_unexplained"]
        text = f"the withheld views keep {share:.0f} % of their structure, the fitted ones {100 * fitted:.0f} %"
        yield Reason("noise-fitted", text, "use more views, or raise fit.tv")


def _moving(numbers: Numbers) -> Iterator[Reason]:
    fall, left = numbers.get("residual_fall", 0.0), numbers.get("structure_unexplained", 1.0)
    steps = numbers.get("steps", FEW_STEPS)
    if "residual_fall" not in numbers and steps < FEW_STEPS and left > FAST_LEFT:
        text = f"the fit took {steps:.0f} steps, too few to tell whether the residual still falls"
        yield Reason("still-moving", text, "take more steps: fit.steps, with --resume")
    if (fall > FALL and left > EXPLAINED) or (fall > FAST_FALL and left > FAST_LEFT):
        text = f"the residual still fell by {100 * fall:.0f} % over the last quarter of the steps"
        yield Reason("still-moving", text, "take more steps: fit.steps, with --resume")


def _rim(numbers: Numbers) -> Iterator[Reason]:
    share, left = numbers.get("light_at_rim", 0.0), numbers.get("structure_unexplained", 1.0)
    if share > RIM_LIGHT and left > EXPLAINED:
        text = f"{100 * share:.0f} % of the light lies at the rim of the pupil, where a small error cuts it off"
        yield Reason("light-at-rim", text, "check the apertures of light and objective, or leave such views out")


def _wrong_light(numbers: Numbers) -> Iterator[Reason]:
    """Light that other directions explain better by linear theory, or whose opposite explains the images as well."""
    ratio, errors = numbers.get("light_ratio", 1.0), numbers.get("light_errors", 0.0)
    if ratio < CLEAR_RATIO and errors > CLEAR_ERRORS:
        text = f"light {ORIENTATIONS[round(numbers['light_orientation'])]}"
        text += " with the focus reversed" if numbers.get("light_focus_reversed") else ""
        text += f" explains the images better than the described one: by linear theory it leaves {ratio:.2f} of the "
        yield Reason("light", f"{text}residual", "'unflat check --light' tells the settings to change")
    elif numbers.get("contrast_above", 1.0) < ABOVE and not is_empty(numbers):
        text = "the index lies below that of the medium; light from the opposite side, with any focus reversed, "
        text += "explains the images as well, by a specimen above it"
        remedy = (
            "see 'unflat check --light', or set fit.sign: nonpositive if the specimen is less dense than its medium"
        )
        yield Reason("below-medium", text, remedy)


def _contradicting(numbers: Numbers) -> Iterator[Reason]:
    """Name views that no specimen explains with the others."""
    if (count := numbers.get("views_contradicting", 0.0)) and not is_empty(numbers):
        views = (
            f"view {contradicting_views(numbers)} contradicts"
            if count == 1
            else (f"{count:.0f} views contradict ({contradicting_views(numbers)})")
        )
        remedy = "look at their images; if some are exchanged, or their light did not shine, leave them out"
        yield Reason("contradicting-views", f"{views} what explains the others", f"{remedy}: acquisition.views")


def _few_views(numbers: Numbers) -> Iterator[Reason]:
    views = numbers.get("views", float(FEWEST_TESTED))
    if views < FEWEST_VIEWS:
        text = f"{views:.0f} view{'s' if views != 1 else ''} cannot tell the depth of what they show"
        yield Reason("few-views", text, f"take at least {FEWEST_VIEWS}, under other light or at other foci")
    elif views < FEWEST_TESTED and "views_withheld" not in numbers:
        text = f"{views:.0f} views leave none to withhold: nothing tests the result, and its dry mass is open"
        yield Reason("few-views", text, f"take at least {FEWEST_TESTED}, under other light or at other foci")


def _depth(numbers: Numbers) -> Iterator[Reason]:
    """Name a box that is full from face to face, and hardly deeper than the axial resolution or with equal faces."""
    if not numbers.get("contrast_at_faces", 0.0) > FACES:
        return
    resolved, correlation = numbers.get("depth_resolved", 2 * DEPTH_RESOLVED), numbers.get("faces_correlation", 0.0)
    remedy = "trust the index times the thickness only; steeper light or a larger aperture resolves depth"
    if resolved < DEPTH_RESOLVED:
        resolution = 1e6 * numbers["axial_resolution"]
        text = f"light and objective resolve {resolution:.2g} µm along z, and the box is "
        text += f"{resolution * numbers['depth_resolved']:.2g} µm deep and full from face to face: the box, not the "
        text += "images, decides how thick and how dense the specimen is"
        yield Reason("depth-unresolved", text, remedy)
    elif (resolved > DEEP or numbers["contrast_at_faces"] > FULL) and correlation > ALIKE and not is_empty(numbers):
        text = "the specimen is drawn out along z through the whole box: the first and the last plane are alike "
        text += f"(correlation {correlation:.2f}) and hold up to {100 * numbers['contrast_at_faces']:.0f} % of the "
        text += "contrast of the strongest plane: the box, not the images, decides how thick and how dense it is"
        remedy += ", a box no deeper than the specimen bounds it (volume.depth)"
        if not numbers.get("sign_chosen"):
            remedy += (
                "; so do more steps (fit.steps), and fit.sign: nonnegative if nothing is less dense than the medium"
            )
        yield Reason("depth-unresolved", text, remedy)


def _pupil(numbers: Numbers) -> Iterator[Reason]:
    """Name a pupil that the spectra of complex fields show to be another one than described."""
    scale, errors = numbers.get("pupil_scale", 1.0), numbers.get("pupil_errors", 0.0)
    is_another = scale < PUPIL_SMALLER or scale > PUPIL_LARGER
    if is_another and errors > PUPIL_ERRORS and numbers.get("pupil_edge", 1.0) < RIM_SEEN:
        text = f"the spectra of the fields end where those of a pupil {scale:.2f} times as large as described would: "
        text += "the pixel size, the wavelength or the apertures are described wrongly"
        remedy = "check acquisition.pixel_size (and the magnification), wavelength, numerical_aperture and the light"
        yield Reason("pupil-size", text, remedy)


def _shrunk(numbers: Numbers) -> Iterator[Reason]:
    """Name a contrast that withheld views ask to be larger: noisy images let the priors hold it down."""
    factor, error = numbers.get("contrast_factor", 1.0), numbers.get("contrast_factor_error", 0.0)
    is_wrong = any(reason for check in (_empty, _pupil, _structure_left) for reason in check(numbers))
    if factor - ERRORS * error > SHRUNK and not (is_wrong or is_prediction(numbers) or any(_moving(numbers))):
        low = 100 * (1 - 1 / factor)
        text = (
            f"the withheld views are explained best by {factor:.2f} times the contrast: beside such noise the priors "
        )
        text += f"hold it down, and index contrast and dry mass are at least {low:.0f} % too low"
        remedy = "trust the shape, and the contrast as a lower limit; longer exposure or more views give the rest"
        yield Reason("contrast-shrunk", text, remedy, limited_to="contrast, dry mass")


def _mass(numbers: Numbers) -> Iterator[Reason]:
    """Name light that hardly shows the coarse structure on which volume, index and dry mass rest."""
    share = numbers.get("phase_determined", 1.0)
    if share < PHASE_DETERMINED and not is_empty(numbers):
        text = f"by linear theory the views determine {100 * share:.0f} % of the phase delay of structure coarser than "
        text += f"{1e6 * numbers['coarse_period']:.2g} µm: dry mass, mean index and volume are not determined"
        remedy = "trust outlines in the plane and fine structure only; light close to the rim of the pupil, "
        yield Reason("mass-undetermined", text, f"{remedy}more directions or planes of focus show the rest")


def _members(numbers: Numbers) -> Iterator[Reason]:
    spread = numbers.get("ensemble_spread", 0.0)
    if spread > SPREAD and "draws" in numbers:
        text = f"the network's draws differ by {spread:.2f} of the contrast where the light does not decide"
        yield Reason("members-disagree", text, "use more views, or steeper light")
    elif spread > SPREAD:
        text = f"the members of the ensemble differ by {spread:.2f} of the contrast"
        yield Reason("members-disagree", text, "use more views, or raise fit.tv")


def _seams(numbers: Numbers) -> Iterator[Reason]:
    ratio, overlap = numbers.get("seam_ratio", 0.0), numbers.get("overlap_over_reach", 1.0)
    remedy = "let the tiles overlap more (fit.tile_overlap), or use fewer of them (fit.tiles)"
    if ratio > SEAMS:
        text = f"neighbouring tiles differ by {ratio:.2f} of the contrast where they overlap"
        yield Reason("seams", text, remedy)
    elif overlap < 1:
        text = f"neighbouring tiles overlap by {overlap:.2f} of the distance to which light enters them from beyond"
        yield Reason("seams", text, remedy)


def _absorption(numbers: Numbers) -> Iterator[Reason]:
    ratio = numbers.get("absorption_ratio", 1.0)
    if ratio < ABSORPTION_RATIO and not is_absorption_settled(numbers):
        text = f"light is lost in the specimen: with absorption, linear theory leaves {ratio:.2f} of the residual"
        yield Reason("absorption", text, "fit again with --set physics.absorption=true")


def is_absorption_settled(numbers: Numbers) -> bool:
    """Whether absorption was fitted, or a trial has found none."""
    return bool(numbers.get("absorption_chosen")) or numbers.get("absorption_trial", 0.0) > ABSORPTION_TRIAL


def _instrument(numbers: Numbers) -> Iterator[Reason]:
    """Corrections of the instrument beyond what a description may be wrong by."""
    remedy = "check the description of the light and the focus, or fit without this correction"
    source, focus = numbers.get("source_correction", 0.0), abs(numbers.get("focus_correction", 0.0))
    aberration = numbers.get("aberration", 0.0)
    if source > LARGEST_SOURCE:
        yield Reason("sources-far", f"a source was moved by a numerical aperture of {source:.3f}", remedy)
    turn, scale = abs(numbers.get("light_turn", 0.0)), numbers.get("light_scale", 1.0)
    shift = math.hypot(numbers.get("light_shift_y", 0.0), numbers.get("light_shift_x", 0.0))
    if turn > LARGEST_TURN or shift > LARGEST_SHIFT or abs(scale - 1) > LARGEST_SCALE:
        text = f"all sources were turned by {turn:.3g}°, shifted by a numerical aperture of {shift:.3f} and scaled by "
        yield Reason("sources-far", f"{text}{scale:.3f}", remedy)
    if focus > LARGEST_FOCUS:
        yield Reason("focus-far", f"the focus was moved by {focus * 1e6:.3g} µm", remedy)
    if aberration > LARGEST_ABERRATION:
        yield Reason("aberrations-large", f"the fitted aberrations amount to {aberration:.2g} rad", remedy)


_CHECKS: tuple[Callable[[Numbers], Iterator[Reason]], ...] = (
    _empty,
    _only_noise,
    _absorption,
    _wrong_light,
    _pupil,
    _structure_left,
    _noise_fitted,
    _rim,
    _contradicting,
    _few_views,
    _depth,
    _shrunk,
    _mass,
    _moving,
    _members,
    _seams,
    _instrument,
)
