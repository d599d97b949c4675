"""Summary of a cell's result on the screen, from the numbers of its ``metrics.json``."""

from collections.abc import Mapping

from .verdict import is_prediction

DRAWS_COVERAGE = "draws_coverage"
"""Name of the share of the voxels in doubt, of specimens held out of a network's training, within its interval."""
LEAST_COVERAGE = 0.8
"""Share below which the draws of a network differ too little."""
_NOMINAL = 0.9
"""Coverage that ±1.645 of the spread of a network's draws should have."""


def summary_line(numbers: Mapping[str, float]) -> str:
    """Summarise how well the images are explained."""
    part = "withheld" if "residual_withheld" in numbers else "fitted"
    return f"residual of {part} views {numbers[f'residual_{part}']:.4f}"


def refined_instrument(numbers: Mapping[str, float]) -> str:
    """List the corrections of the instrument that a fit found, with their units; empty without any."""
    parts = []
    if "light_turn" in numbers:
        shift = f"({numbers['light_shift_y']:+.4f}, {numbers['light_shift_x']:+.4f})"
        parts += [f"turn {numbers['light_turn']:+.3f}°", f"shift {shift} NA (y, x)"]
        parts.append(f"scale {numbers['light_scale']:.4f}")
    if "source_correction" in numbers:
        parts.append(f"sources moved by up to {numbers['source_correction']:.4f} NA")
    if "focus_correction" in numbers:
        parts.append(f"focus {numbers['focus_correction'] * 1e6:+.2f} µm relative to the specimen")
    zernike = {int(name[8:]): value for name, value in numbers.items() if name.startswith("zernike_")}
    if zernike:
        parts.append("Zernike " + ", ".join(f"Z{j} {zernike[j]:+.3f}" for j in sorted(zernike)) + " rad")
    if parts and "gain_least" in numbers:
        parts.append(f"gain {numbers['gain_least']:.3f} … {numbers['gain_most']:.3f}")
    return ", ".join(parts).replace("-", "−")


def summary_lines(numbers: Mapping[str, float]) -> list[str]:
    """List the refined instrument, the use of a network's prior, and the accuracy where the truth is known."""
    lines = [f"refined instrument: {text}"] if (text := refined_instrument(numbers)) else []
    lines += [f"completion: {text}"] if (text := completion_text(numbers)) else []
    lines += [f"fit.prior: {text}"] if (text := prior_text(numbers)) else []
    lines += [f"uncertainty: {text}"] if (text := draws_text(numbers)) else []
    if "snr" not in numbers:
        return lines
    return [*lines, f"against the truth: SNR {numbers['snr']:.2f} dB, NCC {numbers['ncc']:.4f}"]


def validation_summary(numbers: Mapping[str, float]) -> str:
    """Summarise a network's gain over begun fits of held-out specimens; empty where it is not known."""
    if "held_out_gain" not in numbers:
        return ""
    left_out = f", {numbers['left_out_gain']:+.2f} dB of the sorts left out" if "left_out_gain" in numbers else ""
    text = f"held-out specimens: {numbers['held_out_gain']:+.2f} dB over a begun fit{left_out}"
    if "held_out_gain_linear" in numbers:
        text += f", {numbers['held_out_gain_linear']:+.2f} dB over the linear answer"
    return text.replace("-", "−").replace("held−out", "held-out")


def draws_text(numbers: Mapping[str, float]) -> str:
    """Say how far the spread of a network's draws can be trusted; empty without draws."""
    if "draws" not in numbers:
        return ""
    if DRAWS_COVERAGE not in numbers:
        return "how far the spread of the draws can be trusted is not known: the network's file does not tell"
    coverage = numbers[DRAWS_COVERAGE]
    text = f"±1.645 of the spread of the network's draws held the truth in {coverage:.0%} of the voxels in doubt"
    text += f" of specimens held out of its training (ideally {_NOMINAL:.0%})"
    return text + (": the draws differ too little" if coverage < LEAST_COVERAGE else "")


def prior_text(numbers: Mapping[str, float]) -> str:
    """Say whether a network's prior was used, and what its test by hidden views gave; empty for a fit without one."""
    if "prior_trust" not in numbers or is_prediction(numbers):
        return ""
    if "prior_hidden_ratio" not in numbers:
        return "not used, as it could not be tested"
    if numbers["prior_trust"]:
        return f"the network is trusted by {numbers['prior_trust']:.2f} ({_test_result(numbers)})"
    return f"not used ({_test_result(numbers)})"


def completion_text(numbers: Mapping[str, float]) -> str:
    """Say how far a prediction follows the network's completion of a begun fit; empty where nothing was to test."""
    if "prior_views_hidden" not in numbers or not is_prediction(numbers):
        return ""
    if "prior_trust" not in numbers:
        return "the network's, as it is: it could not be tested by hidden views"
    if numbers["prior_trust"]:
        return f"the network's is trusted by {numbers['prior_trust']:.2f} ({_test_result(numbers)})"
    return f"the network's is not used, the answer is the begun fit ({_test_result(numbers)})"


def _test_result(numbers: Mapping[str, float]) -> str:
    if not numbers["prior_trust"] and "prior_withheld_ratio" in numbers:
        return f"the withheld residual was {numbers['prior_withheld_ratio']:.3f} times that without it"
    return f"{numbers['prior_views_hidden']:.0f} hidden views: {numbers['prior_hidden_ratio']:.2f} of their residual"
