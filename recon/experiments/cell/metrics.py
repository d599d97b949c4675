"""Metrics of a refractive index: accuracy against the truth, sharpness, and residuals of the views."""

from ...metrics import VISIBLE_SUFFIX, Metric

_ACCURACY = (
    Metric(
        "snr",
        "SNR of the contrast",
        "dB",
        "higher",
        "20 log10 of the truth's norm over the error's norm, on n − n_m.",
    ),
    Metric("psnr", "PSNR", "dB", "higher", "The truth's range over the root-mean-square error."),
    Metric(
        "ssim",
        "SSIM",
        "",
        "higher",
        "Structural similarity in windows of 7 voxels; 1 for equal volumes.",
    ),
    Metric(
        "ncc",
        "NCC",
        "",
        "higher",
        "Correlation with the truth, means removed; 1 for a perfect match.",
    ),
    Metric(
        "nrmse_range",
        "NRMSE / range",
        "",
        "lower",
        "Root-mean-square error over the truth's range.",
    ),
    Metric(
        "relative_l2",
        "Relative L2 error",
        "",
        "lower",
        "The error's norm over the norm of the truth's contrast.",
    ),
    Metric(
        "resolution",
        "FSC resolution",
        "m",
        "lower",
        "Period at which the Fourier shell correlation with the truth falls to 0.5.",
    ),
)

METRICS = (
    *_ACCURACY,
    *(
        Metric(m.name + VISIBLE_SUFFIX, f"{m.title}, missing cone left out", m.unit, m.better, m.meaning, seen=True)
        for m in _ACCURACY
        if m.name != "resolution"
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
)
"""Metrics in the order of tables and reports."""
