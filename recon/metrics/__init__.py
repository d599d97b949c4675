"""How near a result is to the truth, and how sharp it is: pure functions of arrays.

Arrays are ``z y x``, slowest first. The truth is always the first argument. No function shifts, scales or masks its
arguments unless its name says so, so that each number is what papers mean by it.
"""

from .accuracy import (
    correlation,
    peak_signal_to_noise,
    relative_l2,
    root_mean_square_over_range,
    signal_to_noise,
    structural_similarity,
)
from .catalogue import CATALOGUE, metric_named
from .fourier_shell_correlation import ShellCorrelation, shell_correlation
from .line_profile import brightest_point, full_width_half_maximum, line_width
from .metric import SEEN, Metric
from .missing_cone import Aperture, seen_by_tilted_light, seen_part
from .registration import shift_between

__all__ = [
    "CATALOGUE",
    "SEEN",
    "Aperture",
    "Metric",
    "ShellCorrelation",
    "brightest_point",
    "correlation",
    "full_width_half_maximum",
    "line_width",
    "metric_named",
    "peak_signal_to_noise",
    "relative_l2",
    "root_mean_square_over_range",
    "seen_by_tilted_light",
    "seen_part",
    "shell_correlation",
    "shift_between",
    "signal_to_noise",
    "structural_similarity",
]
