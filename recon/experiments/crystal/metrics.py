"""Metrics of a crystal: likelihood, agreement of solutions, sharpness, and accuracy against the truth."""

from ...metrics import Metric

METRICS = (
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
        "noise_ratio",
        "Misfit over counting noise",
        "",
        "lower",
        "Poisson deviance over its expectation under the model: 1 where nothing but noise is left.",
    ),
    Metric(
        "noise_ratio_bright",
        "Misfit over noise, bright voxels",
        "",
        "lower",
        "The same over the voxels with more than 5 modelled counts.",
    ),
    Metric(
        "noise_ratio_free",
        "Misfit over noise, withheld",
        "",
        "lower",
        "The same over those of them that were withheld.",
    ),
    Metric(
        "excess_chi",
        "Misfit beyond noise",
        "",
        "lower",
        "Relative error of the amplitudes that counting noise does not explain.",
    ),
    Metric(
        "amplitude_variation",
        "Unevenness of the amplitude",
        "",
        "lower",
        "Standard deviation over median inside the crystal, by quartiles: a lattice without defects is uniform.",
    ),
    Metric(
        "masked_counts", "Counts behind the mask", "", "lower", "Share of the modelled counts that was not measured."
    ),
    Metric(
        "end_brightness",
        "Brightness of the curve's ends",
        "",
        "lower",
        "Height of the brightest place of the first or last frame over that of all: a whole curve ends in fringes.",
    ),
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
    Metric("network_starts", "Starts of the network", "", "neither", "Those that began with a draw of the network."),
    Metric(
        "network_starts_kept", "Starts of the network kept", "", "neither", "Those of them that the result combines."
    ),
    Metric(
        "warm_start_kept",
        "Start of the former scan kept",
        "",
        "neither",
        "1 if the start with the density of another scan is among those that the result combines.",
    ),
    Metric("stagnated", "Starts set aside", "", "lower", "Those that stagnated, failed or came to another object."),
    Metric("kept", "Solutions kept", "", "neither", "Those that were combined; of a network's bare answer, its draws."),
    Metric("prtf_resolution", "PRTF resolution", "m", "lower", "Period at which the solutions' phases agree by 1/e."),
    Metric("edge_width", "Edge width", "m", "lower", "From 10 to 90 % of the amplitude, median of six edges."),
    Metric("fsc_resolution", "FSC resolution of halves", "m", "lower", "Between the means of every other solution."),
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
    Metric(
        "margin",
        "Margin beyond the detector",
        "",
        "neither",
        "Fraction of each axis by which the last refinement extended the array, for what edges scatter beyond the "
        "detector; 0: none was tried, or the withheld pixels did not gain.",
    ),
    Metric(
        "support_threshold",
        "Threshold of the support",
        "",
        "neither",
        "Blurred amplitude at the edge of the refined support, in units of the crystal's rms.",
    ),
    Metric("psf_frame", "Blur along the curve", "frames", "neither", "Width of the point-spread function."),
    Metric("psf_y", "Blur along y", "pixels", "neither", "Width of the point-spread function."),
    Metric("psf_x", "Blur along x", "pixels", "neither", "Width of the point-spread function."),
    Metric("angle_correction_rms", "Fitted angles", "steps", "neither", "Root mean square of the fitted offsets."),
    Metric("angle_correction_largest", "Largest fitted angle", "steps", "neither", "Largest of the fitted offsets."),
    Metric(
        "angle_deviation_median", "Error of fitted angles", "steps", "neither", "Standard deviation, by the median."
    ),
    Metric("angle_deviation_largest", "Largest error of an angle", "steps", "neither", "Largest standard deviation."),
    Metric("undetermined_angles", "Undetermined angles", "", "neither", "Frames whose angle the counts do not tell."),
    Metric("roll_rms", "Fitted rolls", "pixels", "neither", "Root mean square of the shifts of the frames."),
    Metric("flux_correction_rms", "Fitted fluxes", "", "neither", "Standard deviation of the factors of the flux."),
    Metric("frames_taken", "Fitted frames taken", "", "neither", "1 if they explain the withheld pixels better."),
    Metric("frames_llk_free", "Free likelihood with fitted frames", "", "lower", "Deviance of the withheld pixels."),
    Metric("frames_llk_free_before", "Free likelihood before", "", "lower", "The same before the frames were fitted."),
    Metric("background", "Background", "counts", "neither", "In each pixel, what the crystal did not make."),
    Metric("masked_fraction", "Masked", "", "neither", "Share of the pixels that were not used."),
    Metric("prtf_resolution_voxels", "PRTF resolution", "voxels", "lower", "The same in voxels of the measured array."),
    Metric("fsc_resolution_voxels", "FSC resolution of halves", "voxels", "lower", "Likewise, between the halves."),
    Metric("crystal_volume", "Volume of the crystal", "m³", "neither", "Voxels of the support."),
    Metric("voxel_size", "Voxel", "m", "neither", "Edge of a cubic voxel of the volume."),
)
"""Metrics in the order of tables and reports."""
