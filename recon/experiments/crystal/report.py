"""Report of a crystal: findings on the reliability of the solution, and figures."""

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from ...errors import DataError
from ...io.volume_formats import read_volume
from ...metrics import metric_named
from ...metrics.edge_profile import sample_central_lines
from ...model import UNCERTAINTY, Model
from ...visualization import loss_curves, orthogonal_slices
from ...visualization.colour_scale import ColourScale
from ...visualization.curves import draw_profiles
from ...visualization.planes import box_centre
from ...visualization.report_figures import COURSE_TITLE, DeferredFigure
from ...visualization.run_data import RunData
from ...visualization.specimen_scale import colour_scale
from ...visualization.summary import Finding, Level
from ...volume import Volume
from .figures import draw_agreement, draw_diffraction, draw_slices, draw_starts
from .verdict import AGREEMENT, EXCESS, NOISE_RATIO, UNEVENNESS

if TYPE_CHECKING:
    from collections.abc import Callable

    import matplotlib.figure

    from ...visualization.surface_scene import SurfaceScene

_SHOWN = ("amplitude", "phase", "strain")


def report_findings(run: RunData) -> list[Finding]:
    """List the findings on likelihood, agreement, starts, resolution and, where the truth is known, accuracy."""
    numbers = {name: value for name, value in run.metrics.items() if value is not None}
    findings = []
    if "noise_ratio_bright" in numbers:
        findings.append(_misfit(numbers))
    if "amplitude_variation" in numbers:
        findings.append(_evenness(numbers["amplitude_variation"]))
    if "llk_free" in numbers:
        findings.append(_likelihood(numbers))
    elif "llk" in numbers:
        findings.append(_fitted_likelihood(numbers))
    if "model_bytes" in numbers and "volume_bytes" in numbers:
        findings.append(_size(numbers))
    if "agreement" in numbers:
        findings.append(_agreement(numbers))
    if "starts" in numbers:
        findings.append(_starts(numbers))
    if "prtf_resolution" in numbers:
        findings.append(_resolution(numbers))
    if "angle_correction_rms" in numbers:
        findings.append(_frames(numbers))
    if "correlation" in numbers:
        findings.append(_truth(numbers))
    return findings


def report_figures(run: RunData) -> list[DeferredFigure]:
    """List the figures: planes and profiles of the volume, diffraction, agreement, model and starts."""
    figures = []
    volume = _find_volume(run)
    if volume is not None:
        shown = [name for name in _SHOWN if name in volume.values]
        figures += [_slice_figure(run, volume, name, name.capitalize()) for name in shown]
        figures += _uncertainty_figure(run, volume)
        figures.append(_profile_figure(volume))
    predictions = run.folder / "predictions.h5"
    if predictions.is_file():
        caption = (
            "Counts on the planes through the Bragg peak, logarithmic, and their difference in standard deviations of "
            "the counts: where structure is left. What is masked is grey."
        )
        figures.append(
            DeferredFigure("Measured and modelled diffraction", caption, lambda: draw_diffraction(predictions))
        )
        if "agreement" in run.metrics:
            caption = "Over the spatial frequency: how far the phases of the kept solutions, and their halves, agree."
            figures.append(DeferredFigure("Agreement by resolution", caption, lambda: draw_agreement(predictions)))
    if isinstance(run.result, Model):
        figures += _model_figures(run, run.result)
    starts = [record for record in run.records if "start" in record]
    if len(starts) > 1:
        name, which = ("llk_free", "withheld") if "llk_free" in starts[0] else ("llk", "fitted")
        caption = f"Likelihood of the {which} pixels after the recipe, start by start; before the refinement."
        figures.append(DeferredFigure("Starts", caption, lambda: draw_starts(starts, name)))
    return figures


def report_scene(run: RunData, level_of: "Callable[[Volume], tuple[str, float | None]]") -> "SurfaceScene | None":
    """Make the scene of the sampled crystal, or of a model without samples; None for a run without a result."""
    from ...visualization.surface_scene import surface_volume
    from .surface import crystal_scene

    volume = _find_volume(run)
    if volume is None and run.result is not None:
        volume = surface_volume(run.result, ["amplitude"])
    return None if volume is None else crystal_scene(volume, level_of, partial(_scale, run, volume))


def _profile_figure(volume: Volume) -> DeferredFigure:
    names = [name for name in _SHOWN if name in volume.values]
    caption = "Along z, y and x through the crystal's middle; profiles.csv in the run's folder holds the numbers."

    def draw() -> "matplotlib.figure.Figure":
        shown = [*names, *(["support"] if "support" in volume.values else [])]
        inside = [name for name in names if name != "amplitude"]  # Only the amplitude is defined outside the support.
        return draw_profiles(sample_central_lines(volume, shown), names, volume.length_unit, masked=inside)

    return DeferredFigure("Line profiles", caption, draw)


def _find_volume(run: RunData) -> Volume | None:
    """Find the sampled crystal; that of a fit is in the folder beside its model."""
    if isinstance(run.result, Volume):
        return run.result
    file = run.folder / "volume.h5"
    try:
        return read_volume(file) if file.is_file() else None
    except DataError:  # The model is shown without it.
        return None


def _model_figures(run: RunData, model: Model) -> list[DeferredFigure]:
    """List the figures of a continuous model: planes between its samples, and the losses of its fit."""
    point = box_centre(model)
    caption = "The model asked afresh on a fine lattice: between the voxels there is no interpolation."
    figures = [DeferredFigure("Continuous amplitude", caption, lambda: orthogonal_slices(model, point, size=240))]
    if any("loss" in record for record in run.records):
        caption = "Poisson deviance of the fitted pixels, and of the withheld ones."
        figures.append(DeferredFigure(COURSE_TITLE, caption, lambda: loss_curves(run.records)))
    return figures


def _misfit(numbers: Mapping[str, float]) -> Finding:
    ratio, excess = numbers["noise_ratio_bright"], numbers.get("excess_chi", 0.0)
    level: Level = "good" if ratio < 1.5 or excess < EXCESS / 2 else "fair" if ratio < NOISE_RATIO else "poor"
    text = (
        "Poisson deviance of the bright voxels over its expectation under the model: 1 would be counting noise alone. "
        f"Beyond noise, {100 * excess:.3g} % of the amplitudes are left."
    )
    return Finding(level, "Misfit over noise", f"{ratio:.3g}", text)


def _likelihood(numbers: Mapping[str, float]) -> Finding:
    text = (
        f"Poisson deviance of pixels that were withheld. Fitted pixels: {numbers.get('llk', float('nan')):.3g}. It "
        "ranks results of one measurement; alone it shows neither a right nor a wrong one: dark pixels lower it, and "
        "few counts are explained by wrong phases too."
    )
    return Finding("plain", "Free likelihood", metric_named("llk_free").text(numbers["llk_free"]), text)


def _fitted_likelihood(numbers: Mapping[str, float]) -> Finding:
    text = (
        "Poisson deviance of the pixels that were fitted; 1 would be counting noise alone. None were withheld "
        "(phase.free), so that nothing tells whether noise was fitted too."
    )
    return Finding("plain", "Likelihood", metric_named("llk").text(numbers["llk"]), text)


def _size(numbers: Mapping[str, float]) -> Finding:
    box = f" of a box of {numbers['box_voxels']:,.0f} voxels" if "box_voxels" in numbers else ""
    text = (
        f"{numbers['model_parameters']:,.0f} numbers{box}; volume.h5, the samples and the density in the detector's "
        f"frame, takes {numbers['volume_bytes'] / 1e3:,.0f} kB."
    )
    return Finding("plain", "Size of the model", f"{numbers['model_bytes'] / 1e3:,.0f} kB", text)


def _agreement(numbers: Mapping[str, float]) -> Finding:
    value = numbers["agreement"]
    level: Level = "good" if value >= 0.95 else "fair" if value >= AGREEMENT else "poor"
    least = numbers.get("agreement_least", value)
    text = (
        f"Mean correlation of each two of the {numbers.get('kept', 0):.0f} solutions that were kept; the least is "
        f"{least:.3f}. The first mode has {100 * numbers.get('mode_weight', 0):.0f} % of what they show."
    )
    return Finding(level, "Agreement", f"{value:.3f}", text)


def _evenness(value: float) -> Finding:
    level: Level = "good" if value < 0.7 * UNEVENNESS else "fair" if value < UNEVENNESS else "poor"
    text = (
        "Standard deviation of the amplitude over its median inside the crystal. A lattice without defects is uniform; "
        "wrong phases leave holes and hills."
    )
    return Finding(level, "Unevenness", f"{100 * value:.0f} %", text)


def _starts(numbers: Mapping[str, float]) -> Finding:
    starts, aside = numbers["starts"], numbers.get("stagnated", 0.0)
    level: Level = "good" if aside <= starts / 3 else "fair" if aside < starts else "poor"
    text = "Starts that stagnated, found nothing, or came to another object than the best were set aside."
    return Finding(level, "Starts set aside", f"{aside:.0f} of {starts:.0f}", text)


def _resolution(numbers: Mapping[str, float]) -> Finding:
    text = "Period at which the phases of independent solutions still agree by 1/e (PRTF)."
    if "fsc_resolution" in numbers:
        text += f" Fourier shell correlation between halves of them: {_nanometres(numbers['fsc_resolution'])}."
    if "edge_width" in numbers:
        text += f" Edges along z, y and x rise from 10 to 90 % in {_nanometres(numbers['edge_width'])} (median)."
    return Finding("plain", "Resolution", _nanometres(numbers["prtf_resolution"]), text)


def _frames(numbers: Mapping[str, float]) -> Finding:
    before, after = numbers.get("frames_llk_free_before"), numbers.get("frames_llk_free")
    judged = f" The withheld pixels are explained better: {before:.3g} before, {after:.3g} with them." if before else ""
    text = (
        f"The largest is {numbers['angle_correction_largest']:.2g} steps{_errors_of_angles(numbers)}; the frames shift "
        f"by {numbers['roll_rms']:.2g} pixels on the detector, and their flux by "
        f"{100 * numbers['flux_correction_rms']:.2g} %.{judged} All are beside the instrument's mean angle and mean "
        "step; volume.h5 holds them (detector_frame/frame_positions, frame_angles, frame_position_deviations)."
    )
    return Finding("plain", "Fitted angles", f"{numbers['angle_correction_rms']:.2g} steps rms", text)


def _errors_of_angles(numbers: Mapping[str, float]) -> str:
    """Describe how far counting noise alone would spread the angles."""
    if "angle_deviation_median" not in numbers:
        return ""
    count = int(numbers["undetermined_angles"])
    spread = numbers["angle_deviation_median"]
    text = f"; counting noise alone spreads them by {spread:.2g} (median), and true errors are several times larger"
    return f"{text}; {count} of them {'is' if count == 1 else 'are'} not determined by the counts" if count else text


def _truth(numbers: Mapping[str, float]) -> Finding:
    value = numbers["correlation"]
    level: Level = "good" if value > 0.95 else "fair" if value > 0.85 else "poor"
    text = f"Correlation with the known complex density; phase error {numbers['phase_error']:.3g} rad"
    if "strain_error" in numbers:
        text += f", strain error {numbers['strain_error']:.2g} (true strain: {numbers['strain_truth']:.2g})"
    return Finding(level, "Against the truth", f"{value:.4f}", text + ".")


def _nanometres(length: float) -> str:
    return f"{length * 1e9:.3g} nm" if np.isfinite(length) else "none"


def _slice_figure(run: RunData, volume: Volume, name: str, title: str, caption: str = "") -> DeferredFigure:
    unit = "nm" if volume.length_unit == "m" else "voxels"

    caption = caption or f"Planes through the crystal's middle, in {unit}."
    return DeferredFigure(title, caption, lambda: draw_slices(volume, name, _scale(run, volume, name)))


def _scale(run: RunData, volume: Volume, name: str) -> ColourScale:
    """Choose the colours of a quantity: those of the run's result, as in every other picture of it, if it has any."""
    known = [] if run.result is None else [q.name for q in run.result.real_quantities]
    return colour_scale(run.result if run.result is not None and name in known else volume, name)


def _uncertainty_figure(run: RunData, volume: Volume) -> list[DeferredFigure]:
    """Draw the uncertainty of the strain, or of the phase; nothing without independent solutions."""
    name = next((n for n in ("strain", "phase") if f"{UNCERTAINTY}{n}" in volume.values), None)
    if name is None:
        return []
    caption = "Spread between independent solutions."
    return [_slice_figure(run, volume, f"{UNCERTAINTY}{name}", f"Uncertainty of the {name}", caption)]
