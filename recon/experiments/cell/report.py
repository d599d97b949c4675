"""Report of a cell's fit: findings from its numbers, and its figures."""

from collections.abc import Mapping

from ...errors import UnflatError
from ...metrics import metric_named
from ...model import Model
from ...sampled import Sampled
from ...visualization.report_figures import DeferredFigure, fit_figures
from ...visualization.run_data import RunData
from ...visualization.summary import Finding, Level
from .new_light import pixel_size_of
from .residual_figure import residual_figure
from .summary import DRAWS_COVERAGE, LEAST_COVERAGE, completion_text, draws_text, prior_text, refined_instrument
from .verdict import ABSORPTION_RATIO, SOUND_STRUCTURE, is_absorption_settled, is_prediction

NOTHING = "This result explains the images no better than an empty box: look at the light's directions and the units."


def report_findings(run: RunData) -> list[Finding]:
    """Judge a fit by the views that were withheld from it, by the linear reconstruction, and by a known truth."""
    findings: list[Finding] = []
    numbers = {name: value for name, value in run.metrics.items() if value is not None}
    withheld = numbers.get("residual_withheld", _last(run, "withheld"))
    if withheld is not None:
        findings.append(_withheld(withheld, numbers, run))
    elif run.records:
        text = "No view was withheld from the fit: nothing here shows that it would predict a new image."
        findings.append(Finding("plain", "Withheld views", "none", text))
    if "residual_withheld_linear" in numbers and withheld is not None:
        ratio = withheld / max(numbers["residual_withheld_linear"], 1e-12)
        findings.append(_against_linear(ratio, is_fit=not is_prediction(numbers)))
    if text := refined_instrument(numbers):
        findings.append(Finding("plain", "Refined instrument", "fitted", _capital(text)))
    if "structure_unexplained" in numbers:
        findings.append(_structure(numbers))
    if "absorption_ratio" in numbers:
        findings.append(_absorption(numbers))
    if "sign_chosen" in numbers:
        findings.append(_sign(numbers["sign_chosen"]))
    if text := prior_text(numbers):
        findings.append(_prior(text, numbers))
    if text := completion_text(numbers):
        findings.append(_completion(text, numbers))
    if text := draws_text(numbers):
        level: Level = "good" if numbers.get(DRAWS_COVERAGE, 0) >= LEAST_COVERAGE else "fair"
        findings.append(Finding(level, "Network's draws", f"{numbers['draws']:.0f}", f"{text[:1].upper()}{text[1:]}."))
    if "ncc" in numbers:
        findings.append(_truth(numbers))
    return findings


def report_figures(run: RunData) -> list[DeferredFigure]:
    """Planes of the result, measured and modelled images, and the course of the fit."""
    pixel_size = _pixel_size(run.result)
    figures = fit_figures(run, pixel_size)
    if run.views is not None:
        caption = "Residual of amplitudes, averaged over the {} views of predictions.h5 and neighbouring pixels: where "
        caption = caption.format(run.views.count) + "structure is left."
        figures.append(DeferredFigure("Mean residual by place", caption, lambda: residual_figure(run, pixel_size)))
    return figures


def _pixel_size(result: Sampled | None) -> tuple[float, float] | None:
    """[m] Pixel of the images that a model was fitted to, if it is known."""
    try:
        return pixel_size_of(result) if isinstance(result, Model) else None
    except UnflatError:
        return None


def _withheld(value: float, numbers: Mapping[str, float], run: RunData) -> Finding:
    count = round(numbers.get("views_withheld", run.views.count_withheld if run.views else 0))
    views = f"{count} view{'s' if count != 1 else ''}" if count else "the views"
    text = (
        f"Root-mean-square misfit of {views} that the fit never saw, over that of an empty box: 1 explains nothing, "
        "and noise keeps it above 0. It is the honest measure where no truth is known: fitting noise cannot lower it."
    )
    level: Level = "plain"
    fitted = numbers.get("residual_fitted")
    if value >= 1:
        shown = metric_named("residual_withheld").text(value)
        return Finding("poor", "Withheld residual", shown, f"{text} {NOTHING}")
    if fitted is not None and fitted > 0:
        ratio = value / fitted
        level = "good" if ratio < 1.25 else "fair" if ratio < 2 else "poor"
        text += f" It is {ratio:.2f} times that of the fitted views"
        text += {
            "good": ": the model explains what it has not seen as well as what it has.",
            "fair": ": some of what was fitted is noise, or too few views were used.",
            "poor": ": most of what was fitted does not carry over; use more views or stronger regularisation.",
        }[level]
    return Finding(level, "Withheld residual", metric_named("residual_withheld").text(value), text)


def _against_linear(ratio: float, *, is_fit: bool) -> Finding:
    level: Level = "good" if ratio <= 0.8 else "fair" if ratio < 1 else "poor"
    text = "Withheld residual over that of the closed-form linear reconstruction of the same views. "
    if ratio < 1:
        text += f"Below 1, the {'fit' if is_fit else 'network'} knows more than single scattering tells."
    elif is_fit:
        text += "The fit did not improve on it."
    else:
        text += "The network's answer explains the images less well: --refine makes it agree with them."
    return Finding(level, "Against linear", f"× {ratio:.2f}", text)


def _structure(numbers: Mapping[str, float]) -> Finding:
    left = numbers["structure_unexplained"]
    text = (
        "Squared misfit of the withheld views beyond the camera's noise, over that of an empty box: 0 is the truth, 1 "
        f"explains nothing. Noise alone leaves a residual of {numbers.get('noise_floor', 0):.3f} of the empty box's."
    )
    if "structure_concentration" in numbers and left > SOUND_STRUCTURE / 2:
        text += f" {100 * numbers['structure_concentration']:.0f} % of it lie in the worst tenth of the pixels."
    level: Level = "good" if left < SOUND_STRUCTURE / 2 else "fair" if left < SOUND_STRUCTURE else "poor"
    return Finding(level, "Structure left", f"{100 * max(left, 0):.1f} %", text)


def _absorption(numbers: Mapping[str, float]) -> Finding:
    ratio = numbers["absorption_ratio"]
    text = "Withheld residual of the linear reconstruction with absorption, over that without. "
    if numbers.get("absorption_chosen"):
        text += "Light is lost in the specimen: the fit includes absorption (physics.absorption: auto)."
        return Finding("plain", "Absorption", f"× {ratio:.2f}", text)
    text += "The fit assumed none. "
    if ratio < ABSORPTION_RATIO and not is_absorption_settled(numbers):
        text += "Light is lost in the specimen: fit again with --set physics.absorption=true."
        return Finding("poor", "Absorption", f"× {ratio:.2f}", text)
    return Finding("plain", "Absorption", f"× {ratio:.2f}", text + "The images show none.")


def _prior(text: str, numbers: Mapping[str, float]) -> Finding:
    text = (
        f"{text[:1].upper()}{text[1:]}. A network says what to expect at frequencies that the light did not see; views "
    )
    text += "of the steepest light, or half a ring, hidden from a trial, set its weight (fit.prior)."
    used = numbers["prior_trust"] > 0
    return Finding("plain", "Network's prior", f"{numbers['prior_trust']:.2f}" if used else "not used", text)


def _completion(text: str, numbers: Mapping[str, float]) -> Finding:
    text = f"The completion: {text}. Views of the steepest light, or half a ring, are hidden from a second begun fit; "
    text += "the answer is the begun fit with the share of the completion that predicts them no worse (predict.test)."
    trust = numbers.get("prior_trust")
    value = "not tested" if trust is None else f"{trust:.2f}" if trust else "not used"
    return Finding("poor" if not trust else "plain", "Completion", value, text)


def _capital(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}. Light and focus are corrected relative to their description."


def _sign(sign: float) -> Finding:
    if not sign:
        text = "The index may lie on both sides of the medium's: the withheld views contradict one side alone, or it "
        text += "was not tried, as the steps or the views are too few, or an absorbing specimen would lie below it."
        return Finding("plain", "Sign", "any", f"{text} (fit.sign: auto)")
    side = "above" if sign > 0 else "below"
    text = f"The withheld views do not contradict an index nowhere {'below' if sign > 0 else 'above'} the medium's. "
    text += f"The fit assumes it to be {side} or equal (fit.sign: auto); fit.sign: any frees it."
    return Finding("plain", "Sign", "nonnegative" if sign > 0 else "nonpositive", text)


def _truth(numbers: Mapping[str, float]) -> Finding:
    ncc = numbers["ncc"]
    parts = [metric_named(n).title + " " + metric_named(n).text(numbers[n]) for n in ("snr", "psnr") if n in numbers]
    text = f"Correlation with the known truth{': ' + ', '.join(parts) if parts else ''}."
    if "ncc_seen" in numbers:
        text += (
            f" On the frequencies that the light can see, without the missing cone, it is {numbers['ncc_seen']:.3f}."
        )
    level: Level = "good" if ncc > 0.9 else "fair" if ncc > 0.7 else "poor"
    return Finding(level, "Against the truth", f"NCC {ncc:.3f}", text)


def _last(run: RunData, key: str) -> float | None:
    values = [r[key] for r in run.records if isinstance(r.get(key), int | float)]
    return float(values[-1]) if values else None
