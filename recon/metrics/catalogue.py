"""All numbers that a result is judged by: for tables and reports, in the order in which they are shown."""

from .metric import VISIBLE_SUFFIX, Metric
from .shape_catalogue import SHAPE

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

_CRYSTAL = (
    Metric("llk", "Poisson likelihood", "", "lower", "Deviance a fitted pixel, 2·mean[C − I + I ln(I/C)]: 1 is noise."),
    Metric(
        "llk_free",
        "Free likelihood",
        "",
        "lower",
        "The same for pixels that were withheld: they are never fitted, though starts are chosen by them.",
    ),
    Metric("llk_free_start", "Free likelihood of the start", "", "lower", "The same before the first step of the fit."),
    Metric("llk_all", "Likelihood of all pixels", "", "lower", "The same for fitted and withheld pixels together."),
    Metric("chi_rms", "Chi", "", "lower", "√(Σ(|F| − √I)² / ΣI) of the fitted pixels."),
    Metric("chi_rms_all", "Chi of all pixels", "", "lower", "√(Σ(|F| − √I)² / ΣI) of all good pixels."),
    Metric(
        "agreement",
        "Agreement",
        "",
        "higher",
        "Mean correlation of each two solutions that were kept; 1 where all are the same.",
    ),
    Metric("agreement_least", "Least agreement", "", "higher", "Of the two kept solutions that differ most."),
    Metric("mode_weight", "Weight of the first mode", "", "higher", "Share of what all kept solutions have in common."),
    Metric("starts", "Starts", "", "neither", "Random starts, or a network's answers, that went through the recipe."),
    Metric("stagnated", "Starts set aside", "", "lower", "Those that stagnated, failed or came to another object."),
    Metric("kept", "Solutions kept", "", "neither", "Those that were combined; of a network's bare answer, its draws."),
    Metric("prtf_resolution", "PRTF resolution", "m", "lower", "Period at which the solutions' phases agree by 1/e."),
    Metric("edge_width", "Edge width", "m", "lower", "From 10 to 90 % of the amplitude, median of six edges."),
    Metric("fsc_resolution", "FSC resolution of halves", "m", "lower", "Between the means of every other solution."),
    Metric("seconds_of_answer", "Network's time", "s", "lower", "From noise to the answer, compiling included."),
    Metric("correlation", "Correlation", "", "higher", "With the true complex density, once brought onto it."),
    Metric("support_overlap", "Overlap of shapes", "", "higher", "Intersection over union with the true shape."),
    Metric("phase_error", "Phase error", "rad", "lower", "Root mean square where both crystals are."),
    Metric("amplitude_error", "Amplitude error", "", "lower", "Root mean square, relative to the true amplitude."),
    Metric("strain_error", "Strain error", "", "lower", "Root mean square of the strain's difference."),
    Metric("strain_truth", "True strain", "", "neither", "Root mean square of the true strain about its mean."),
    Metric(
        "strain_correlation", "Correlation of strain", "", "higher", "With the true strain; below 0 its sign is wrong."
    ),
    Metric("strain_rms", "Strain", "", "neither", "Root mean square inside the crystal."),
    Metric("twin", "Twin", "", "neither", "1 where the twin was found; diffraction does not tell the two apart."),
    Metric("psf_frame", "Blur along the curve", "", "neither", "Width (pixels) of the point-spread function."),
    Metric("psf_y", "Blur along y", "", "neither", "Width (pixels) of the point-spread function."),
    Metric("psf_x", "Blur along x", "", "neither", "Width (pixels) of the point-spread function."),
    Metric("background", "Background", "", "neither", "Counts in each pixel that the crystal did not make."),
    Metric("masked_fraction", "Masked", "", "neither", "Share of the pixels that were not used."),
    Metric("voxel_size", "Voxel", "m", "neither", "Edge of a cubic voxel of the volume."),
)

_OTHER = (
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
    Metric("gate", "Gate", "", "neither", "The largest residual that the config lets pass."),
    Metric("loss", "Final loss", "", "lower", "What the fit minimised, with its regularisers."),
    Metric("views", "Views", "", "neither", "Images of the acquisition that the run used."),
    Metric("views_withheld", "Views withheld", "", "neither", "Those that the fit never saw."),
    Metric("voxels", "Voxels", "", "neither", "Samples of the volume."),
    Metric("steps", "Steps", "", "neither", "Updates of the field."),
    Metric("seconds", "Time", "s", "lower", "Wall-clock time of the fit."),
    Metric("peak_memory_bytes", "Peak memory", "B", "lower", "Largest resident size of the process."),
    Metric("model_parameters", "Parameters", "", "neither", "Numbers that the model is made of."),
    Metric(
        "model_bytes",
        "Size of the model",
        "B",
        "lower",
        "The model's weights in memory or on disk.",
    ),
    Metric(
        "volume_bytes",
        "Size of the volume",
        "B",
        "neither",
        "The same specimen as float32 voxels.",
    ),
)

CATALOGUE: tuple[Metric, ...] = (
    *_ACCURACY,
    *(
        Metric(m.name + VISIBLE_SUFFIX, f"{m.title}, missing cone left out", m.unit, m.better, m.meaning, seen=True)
        for m in _ACCURACY
        if m.name != "resolution"
    ),
    *_CRYSTAL,
    *SHAPE,
    *_OTHER,
)

_BY_NAME = {metric.name: metric for metric in CATALOGUE}


def metric_named(name: str) -> Metric:
    """The description of a number; a plain one made from its name where the catalogue has none."""
    return _BY_NAME.get(name) or Metric(name, name.replace("_", " ").capitalize(), "", "neither", "")
