"""Metrics of a refractive index: resolution, sharpness, and residuals of the views."""

from ...metrics import ACCURACY_METRICS, VISIBLE_SUFFIX, Metric

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
        "absorption_ratio",
        "Linear residual with absorption",
        "",
        "neither",
        "Withheld residual of the linear reconstruction with absorption, over that without: well below 1, the specimen "
        "absorbs, and physics.absorption should be true.",
    ),
)
"""Metrics in the order of tables and reports, after those of `ACCURACY_METRICS`."""
