"""Summary of a cell's result on the screen, from the numbers of its ``metrics.json``."""

from collections.abc import Mapping


def summary_line(numbers: Mapping[str, float]) -> str:
    """Summarise how well the images are explained."""
    part = "withheld" if "residual_withheld" in numbers else "fitted"
    return f"residual of {part} views {numbers[f'residual_{part}']:.4f}"


def summary_lines(numbers: Mapping[str, float]) -> list[str]:
    """Give the accuracy of a result where the truth is known."""
    if "snr" not in numbers:
        return []
    return [f"against the truth: SNR {numbers['snr']:.2f} dB, NCC {numbers['ncc']:.4f}"]
