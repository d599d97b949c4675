"""Summary of a crystal's result on the screen, from the numbers of its ``metrics.json``."""

from collections.abc import Mapping


def quality_deviance(numbers: Mapping[str, float]) -> float:
    """Poisson deviance that measures the quality of a result: of the withheld pixels, or else of the fitted ones."""
    return numbers.get("llk_free", numbers["llk"])


def likelihood_text(numbers: Mapping[str, float]) -> str:
    """Format the Poisson deviance of the fitted pixels, and of the withheld ones where there are any."""
    free = f", free {numbers['llk_free']:.4g}" if "llk_free" in numbers else ""
    return f"Poisson deviance {numbers['llk']:.4g}{free}"


def summary_line(numbers: Mapping[str, float]) -> str:
    """Summarise how well the counts are explained."""
    return f"{likelihood_text(numbers)}; chi {numbers['chi_rms']:.4f}"


def validation_summary(numbers: Mapping[str, float]) -> str:
    """Summarise a network's accuracy on held-out crystals; empty where it is not known."""
    if "held_out_correlation" not in numbers:
        return ""
    correlation, chi = numbers["held_out_correlation"], numbers["held_out_chi"]
    return f"held-out specimens: correlation {correlation:.3f}, chi {chi:.3f}"


def summary_lines(numbers: Mapping[str, float]) -> list[str]:
    """Agreement of the solutions, doubts, and accuracy where the truth is known."""
    lines = []
    if "agreement" in numbers:
        lines.append(f"agreement of the solutions {numbers['agreement']:.3f}")
    if "starts_beside" in numbers:
        better = "and the answer remained the better" if numbers["answer_kept"] else "and theirs is the result"
        lines.append(
            f"the network's answer explained too little: {numbers['starts_beside']:.0f} ordinary starts were added, "
            f"{better}"
        )
    if "adapted_steps" in numbers:
        steps, tried = numbers["adapted_steps"], numbers["adapt_steps"]
        lines.append(
            f"{steps:.0f} of {tried:.0f} steps of tuning were kept; in the others simulated crystals fared worse"
        )
    if "correlation" in numbers:
        lines.append(
            f"against the truth: correlation {numbers['correlation']:.4f}, phase error {numbers['phase_error']:.3f} rad"
        )
    return lines
