"""Metrics of shapes: errors of draws against the truth, and their spread."""

from ...metrics import Metric
from . import verdict

_RELATIVE = {
    "volume": ("Volume error", "Relative error of the number of voxels, mean of the draws."),
    "surface": ("Surface error", "Relative error of the number of voxels that touch the outside, mean of the draws."),
    "roughness": (
        "Roughness error",
        "Relative error of the number of voxels that a Gaussian of 2 voxels changes, mean of the draws.",
    ),
}
_BEST = "Of the draw of each cell that is best in it."
_CONSENSUS = "Of the consensus of a cell's draws: the one shape to take."
_SPREAD = ("volume", "surface", "roughness", "curvature")

METRICS = (
    Metric("cells", "Cells", "", "neither", "That were compared, or predicted."),
    Metric("draws", "Draws", "", "neither", "Shapes of each cell."),
    Metric("consensus_overlap_error", "1 − IoU of the consensus", "", "lower", _CONSENSUS),
    *(
        Metric(f"consensus_{name}", f"{title} of the consensus", "", "lower", _CONSENSUS)
        for name, (title, _) in _RELATIVE.items()
    ),
    Metric("overlap_error", "1 − IoU", "", "lower", "1 − intersection over union with the truth, mean of the draws."),
    *(Metric(name, title, "", "lower", meaning) for name, (title, meaning) in _RELATIVE.items()),
    Metric("best_overlap_error", "1 − IoU of the best draw", "", "lower", _BEST),
    *(
        Metric(f"best_{name}", f"{title} of the best draw", "", "lower", _BEST)
        for name, (title, _) in _RELATIVE.items()
    ),
    Metric(
        "hausdorff",
        "Hausdorff 95 %",
        "m",
        "lower",
        "Distance within which 95 % of each surface lies of the other, mean of the draws.",
    ),
    Metric("best_hausdorff", "Hausdorff 95 % of the best draw", "m", "lower", _BEST),
    Metric(
        "hausdorff_voxels",
        "Hausdorff 95 % (voxels)",
        "",
        "lower",
        "Voxels within which 95 % of each surface lies of the other, mean of the draws; their size is not known.",
    ),
    Metric(
        "best_hausdorff_voxels",
        "Hausdorff 95 % of the best draw (voxels)",
        "",
        "lower",
        _BEST,
    ),
    *(
        Metric(
            f"crps_{name}",
            f"CRPS of the {name}",
            "",
            "lower",
            f"Continuous ranked probability score of the draws' {name} over the true one; of one draw its error.",
        )
        for name in _SPREAD
    ),
    *(
        Metric(
            f"coverage_{name}",
            f"Coverage of the {name}",
            "",
            "neither",
            f"Share of the cells whose {name} lies in the draws' interval; it ought to be the expected one.",
        )
        for name in _SPREAD
    ),
    Metric("coverage_expected", "Expected coverage", "", "neither", "0.9; less of fewer than 19 draws."),
    Metric("diversity", "Diversity", "", "neither", "1 − intersection over union of each two draws of a cell."),
    Metric(
        "section",
        "Section",
        "",
        "higher",
        "IoU of the middle plane and the mask, mean of the draws; in evaluate, the truth's.",
    ),
    Metric(
        "sections_agreement",
        "Further sections",
        "",
        "higher",
        "IoU of the draws with the further section of each cell that they agree with least.",
    ),
    Metric("next_section_gain", "Gain of a further section", "", "neither", "Share of the draws' variance, expected."),
    Metric("next_section_gain_volume", "Gain for the volume", "", "neither", "Share of its variance, expected."),
    Metric("next_section_height", "Best further section: height", "m", "neither", "Above the first section."),
    Metric("next_section_height_voxels", "Best further section: height (voxels)", "", "neither", "Above the first."),
    Metric("next_section_tilt_y", "Best further section: tilt about y [deg]", "", "neither", "Takes x towards z."),
    Metric("next_section_tilt_x", "Best further section: tilt about x [deg]", "", "neither", "Takes z towards y."),
    *(
        Metric(f"{name}_std", f"{title}, spread", "", "neither", "Standard deviation over the cells.")
        for name, title in (("overlap_error", "1 − IoU"), *((name, title) for name, (title, _) in _RELATIVE.items()))
    ),
    Metric("volume_of_consensus", "Volume", "m³", "neither", "Of the consensus, mean of the cells."),
    Metric("volume_of_consensus_voxels", "Volume (voxels)", "", "neither", "Of the consensus, mean of the cells."),
    Metric("volume_mean", "Volume of the draws", "m³", "neither", "Mean of cells and draws."),
    Metric("volume_mean_voxels", "Volume of the draws (voxels)", "", "neither", "Mean of cells and draws."),
    Metric("volume_spread", "Spread of the volume", "", "neither", "Standard deviation over a cell's draws, relative."),
    Metric("picture_before", "Misfit of the pictures", "", "lower", "Square misfit, relative, of the shapes as drawn."),
    Metric("picture_after", "Misfit, refined", "", "lower", "The same of the refined shapes."),
    Metric("seconds_of_refinement", "Time of the refinement", "s", "lower", "Of the fit to the pictures."),
    *verdict.METRICS,
    Metric("held_out_overlap_error", "1 − IoU, held out", "", "lower", "Of a draw of cells not learned from."),
    Metric("held_out_overlap_error_of_mean", "1 − IoU of the mean, held out", "", "lower", "Of the mean shape."),
)
"""Metrics in the order of tables and reports."""
