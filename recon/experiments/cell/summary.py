"""What is said of a cell's result on the screen, from the numbers of its ``metrics.json``."""

from collections.abc import Mapping


def sentence(numbers: Mapping[str, float]) -> str:
    """Say how well the images are explained."""
    kind = "withheld" if "residual_withheld" in numbers else "fitted"
    return f"residual of {kind} views {numbers[f'residual_{kind}']:.4f}"


def lines(numbers: Mapping[str, float]) -> list[str]:
    """Say what else a person wants to know at once."""
    said = []
    if not numbers.get("residual_withheld", numbers["residual_fitted"]) < 1:
        said.append("warning: a residual of 1 is an empty box's: this result explains nothing of the images")
    if "snr" in numbers:
        said.append(f"against the truth: SNR {numbers['snr']:.2f} dB, NCC {numbers['ncc']:.4f}")
    return said
