"""Summary of a cell's result on the screen, from the numbers of its ``metrics.json``."""

from collections.abc import Mapping

ABSORPTION_RATIO = 0.8
"""Linear residual with absorption, over that without, below which a specimen absorbs."""


def summary_line(numbers: Mapping[str, float]) -> str:
    """Summarise how well the images are explained."""
    part = "withheld" if "residual_withheld" in numbers else "fitted"
    return f"residual of {part} views {numbers[f'residual_{part}']:.4f}"


def summary_lines(numbers: Mapping[str, float]) -> list[str]:
    """Warn of a result that explains nothing, and give its accuracy where the truth is known."""
    lines = []
    if not numbers.get("residual_withheld", numbers["residual_fitted"]) < 1:
        lines.append("warning: a residual of 1 is an empty box's: this result explains nothing of the images")
    if numbers.get("absorption_ratio", 1.0) < ABSORPTION_RATIO:
        lines.append(
            "warning: light is lost in the specimen: linear theory with absorption leaves "
            f"{numbers['absorption_ratio']:.2f} of the residual without; fit again with --set physics.absorption=true"
        )
    if "snr" in numbers:
        lines.append(f"against the truth: SNR {numbers['snr']:.2f} dB, NCC {numbers['ncc']:.4f}")
    return lines
