"""Metrics of a refractive index: resolution, sharpness, and residuals of the views."""

from ...metrics import ACCURACY_METRICS, VISIBLE_SUFFIX, Metric
from .choice_metrics import CHOICE_METRICS
from .light_names import ORIENTATIONS

_ORIENTATIONS = ", ".join(f"{i} {name}" for i, name in enumerate(ORIENTATIONS)) + "."

METRICS = (
    Metric(
        "resolution",
        "FSC resolution",
        "m",
        "lower",
        "Period at which the Fourier shell correlation with the truth falls to 0.5.",
    ),
    *(
        Metric(m.name + VISIBLE_SUFFIX, f"{m.title}, missing cone left out", m.unit, m.better, m.meaning, seen=True)
        for m in ACCURACY_METRICS
    ),
    Metric(
        "axial_width",
        "Axial width",
        "m",
        "lower",
        "Full width at half maximum along z through the truth's brightest feature.",
    ),
    Metric(
        "axial_width_truth",
        "Axial width of the truth",
        "m",
        "neither",
        "The same in the truth.",
    ),
    Metric(
        "coverage",
        "Coverage",
        "",
        "higher",
        "Share of the truth's samples that lie in the result's box; the rest counts as medium.",
    ),
    Metric(
        "shift_z",
        "Shift along z",
        "m",
        "neither",
        "Registration: the result was moved by this much before it was compared.",
    ),
    Metric(
        "shift_y",
        "Shift along y",
        "m",
        "neither",
        "Registration: the result was moved by this much before it was compared.",
    ),
    Metric(
        "shift_x",
        "Shift along x",
        "m",
        "neither",
        "Registration: the result was moved by this much before it was compared.",
    ),
    Metric(
        "residual_withheld",
        "Withheld residual",
        "",
        "lower",
        "Root-mean-square misfit of the views that the fit never saw, over that of an empty box: 0 is perfect, 1 "
        "explains nothing.",
    ),
    Metric(
        "residual_withheld_linear",
        "Withheld residual of the linear start",
        "",
        "lower",
        "The same for the closed-form linear reconstruction, for comparison.",
    ),
    Metric(
        "residual_fitted",
        "Residual of the fitted views",
        "",
        "lower",
        "The same for views that the fit was made to explain. Far below the withheld residual, "
        "it means that noise was fitted.",
    ),
    Metric(
        "residual_over_empty",
        "Residual over that of an empty box",
        "",
        "lower",
        "Residual of withheld views, or of fitted ones where none is, over that of an empty box in the same views: "
        "1 explains nothing of them.",
    ),
    Metric(
        "views_contradicting",
        "Views that contradict the result",
        "",
        "lower",
        "Bright views whose residual is three times the median of the views, and as large as that of an empty box.",
    ),
    *(
        Metric(
            f"view_contradicting_{n}", f"Contradicting view {n}", "", "neither", "Its number, from 0.", is_label=True
        )
        for n in range(1, 5)
    ),
    Metric(
        "noise_floor",
        "Residual that noise leaves",
        "",
        "neither",
        "Residual over that of an empty box, in the same views, that the camera's noise alone leaves. The noise is "
        "estimated from the highest frequencies, which the objective does not pass: with coarse pixels, an upper "
        "limit.",
    ),
    Metric(
        "structure_unexplained",
        "Structure left unexplained",
        "",
        "lower",
        "Squared misfit of the withheld views beyond noise, over that of an empty box in the same views: 0 is the "
        "truth, 1 explains nothing, however noisy the images are.",
    ),
    Metric(
        "structure_error",
        "Its standard error",
        "",
        "lower",
        "Standard error of the structure left, by the chance of noise in the pixels of these views.",
    ),
    Metric(
        "structure_unexplained_fitted",
        "Structure left in fitted views",
        "",
        "lower",
        "The same for the fitted views. Far below that of the withheld ones, or below 0, it means that noise was "
        "fitted.",
    ),
    Metric(
        "structure_concentration",
        "Structure in one place",
        "",
        "neither",
        "Part of the structure left that lies in the worst tenth of the pixels: 0.1 is everywhere alike, 1 one place.",
    ),
    Metric(
        "noise_photons",
        "Photons by the noise",
        "",
        "neither",
        "Photons of an empty field's pixel whose counting noise is as large as all noise there.",
    ),
    Metric(
        "light_at_rim",
        "Light at the pupil's rim",
        "",
        "neither",
        "Share of the light within 3 % of the rim of the objective's aperture, where a small error cuts it off.",
    ),
    Metric(
        "phase_determined",
        "Coarse phase delay determined",
        "",
        "higher",
        "Share of the coarse structure of the phase delay along z that the fitted views determine, by linear theory: "
        "dry mass and index rest on it.",
    ),
    Metric("coarse_period", "Least period of it", "m", "neither", "Two λ over the objective's aperture."),
    Metric("phase_delay", "Largest phase delay", "rad", "neither", "Delay of light along z through the specimen."),
    Metric(
        "axial_resolution",
        "Axial resolution",
        "m",
        "lower",
        "Finest detail along z that the apertures of light and objective show.",
    ),
    Metric(
        "depth_resolved",
        "Depth over axial resolution",
        "",
        "higher",
        "Depth of the box over the axial resolution: near 1, the images do not show where along z the contrast lies.",
    ),
    Metric(
        "contrast_at_faces",
        "Contrast at the faces of the box",
        "",
        "lower",
        "Root-mean-square contrast of the first or last plane, over that of the strongest plane: well above 0, the "
        "specimen reaches out of the box.",
    ),
    Metric(
        "faces_correlation",
        "Correlation of the faces of the box",
        "",
        "neither",
        "Correlation of the contrast of the first plane with that of the last: near 1, with strong contrast in both, "
        "the specimen is drawn out along z through the whole box.",
    ),
    Metric(
        "contrast_at_sides",
        "Contrast at the border of the images",
        "",
        "lower",
        "Root-mean-square contrast of the outermost row or column, over that of the strongest: well above 0, the "
        "specimen reaches beyond the images, and light from beyond is not accounted for.",
    ),
    Metric(
        "light_reach",
        "Sideways reach of the light",
        "m",
        "neither",
        "Distance to which light spreads sideways between the faces of the box and the planes of focus.",
    ),
    Metric(
        "ensemble_spread",
        "Spread of the ensemble",
        "",
        "lower",
        "Root-mean-square standard deviation of the members, over the root-mean-square contrast.",
    ),
    Metric("tiles", "Tiles", "", "neither", "Tiles of the field of view that were fitted one after the other."),
    Metric(
        "overlap_over_reach",
        "Overlap over the reach of the light",
        "",
        "higher",
        "Overlap of neighbouring tiles over twice the distance to which light spreads sideways in the box: below 1, "
        "strange light counts.",
    ),
    Metric(
        "seam_difference",
        "Difference of neighbouring tiles",
        "",
        "lower",
        "Root-mean-square difference of the refractive index of two tiles where they overlap, before they are blended; "
        "the largest of all pairs.",
    ),
    Metric(
        "seam_ratio",
        "The same over the contrast",
        "",
        "lower",
        "Difference of neighbouring tiles over the root-mean-square contrast of the whole.",
    ),
    Metric("source_correction", "Largest correction of a source", "", "neither", "Numerical aperture."),
    Metric("focus_correction", "Correction of the focus", "m", "neither", "Fitted shift of the focal plane along z."),
    Metric("aberration", "Aberrations", "rad", "neither", "Root sum of squares of the fitted Zernike coefficients."),
    Metric("light_turn", "Turn of the light", "°", "neither", "Fitted turn of all directions, from +x towards +y."),
    Metric("light_shift_y", "Shift of the light along y", "", "neither", "Fitted, as a numerical aperture."),
    Metric("light_shift_x", "Shift of the light along x", "", "neither", "Fitted, as a numerical aperture."),
    Metric("light_scale", "Scale of the light", "", "neither", "Fitted factor on the apertures of all directions."),
    Metric(
        "gain_least", "Dimmest view", "", "neither", "Least brightness of the bright fields shown, over the median."
    ),
    Metric("gain_most", "Brightest view", "", "neither", "Largest brightness of the bright fields shown, likewise."),
    *(
        Metric(f"zernike_{j}", f"Zernike coefficient {j}", "rad", "neither", "Fitted, in Noll's order, of unit rms.")
        for j in range(4, 16)
    ),
    Metric(
        "light_ratio",
        "Other light by linear theory",
        "",
        "neither",
        "Residual of the best orientation of the light, each view predicted from the others, over that of the "
        "described one: well below 1, the light is described wrongly.",
    ),
    Metric(
        "light_errors", "Its standard errors", "", "neither", "Standard errors by which that light is better, squared."
    ),
    Metric("light_orientation", "Its orientation", "", "neither", _ORIENTATIONS, is_label=True),
    Metric(
        "light_focus_reversed",
        "Its focus is reversed",
        "",
        "neither",
        "1 where the focus is negated too.",
        is_label=True,
    ),
    Metric(
        "pupil_scale",
        "Pupil of the fields",
        "",
        "neither",
        "Size of the pupil that the spectra of complex fields show, over the described one.",
    ),
    Metric(
        "pupil_edge",
        "Fall at the described rim",
        "",
        "neither",
        "Logarithmic fall of the amplitudes over the described rim of the pupil, beside the specimen's own, over that "
        "at the rim they show.",
    ),
    Metric(
        "pupil_errors",
        "Its standard errors",
        "",
        "neither",
        "Standard errors over the views by which the fall is steeper at the rim that they show.",
    ),
    Metric(
        "contrast_factor",
        "Factor on the contrast",
        "",
        "neither",
        "Factor on the contrast of the result by which it explains the withheld views best: above 1, the priors hold "
        "the contrast down.",
    ),
    Metric(
        "contrast_factor_error",
        "Its standard error",
        "",
        "lower",
        "Standard error of the factor on the contrast by the noise of the withheld views.",
    ),
    Metric(
        "contrast_above",
        "Contrast above the medium",
        "",
        "neither",
        "Share of the squared contrast that lies above the index of the medium.",
    ),
    Metric(
        "residual_fall",
        "Fall of the residual at the end",
        "",
        "neither",
        "Relative fall of the withheld residual over the last quarter of the steps: well above 0, the fit still moves.",
    ),
    *CHOICE_METRICS,
)
"""Metrics in the order of tables and reports, after those of `ACCURACY_METRICS`."""
