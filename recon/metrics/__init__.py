"""Metrics of accuracy and sharpness: pure functions of arrays; and the catalogue of all metrics.

Arrays are ``z y x``, slowest first. The truth is always the first argument. No function shifts, scales or masks its
arguments unless its name says so, so that each number is what papers mean by it.
"""

from .accuracy import (
    ACCURACY_METRICS,
    correlation,
    estimate_shift,
    peak_signal_to_noise,
    relative_l2,
    root_mean_square_over_range,
    signal_to_noise,
    structural_similarity,
)
from .catalogue import catalogue, metric_named, register_metrics
from .fourier_shell_correlation import ShellCorrelation, shell_correlation
from .line_profile import full_width_half_maximum, index_of_highest_contrast, line_width
from .metric import VISIBLE_SUFFIX, Metric
from .missing_cone import Aperture, filter_visible, visible_frequencies

__all__ = [
    "ACCURACY_METRICS",
    "VISIBLE_SUFFIX",
    "Aperture",
    "Metric",
    "ShellCorrelation",
    "catalogue",
    "correlation",
    "estimate_shift",
    "filter_visible",
    "full_width_half_maximum",
    "index_of_highest_contrast",
    "line_width",
    "metric_named",
    "peak_signal_to_noise",
    "register_metrics",
    "relative_l2",
    "root_mean_square_over_range",
    "shell_correlation",
    "signal_to_noise",
    "structural_similarity",
    "visible_frequencies",
]
