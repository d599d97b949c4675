"""What is said of a crystal's result on the screen, from the numbers of its ``metrics.json``."""

from collections.abc import Mapping

FAR = 2.0
"""Free likelihood, in units of the fitted one, from which a result is doubtful."""


def reached(numbers: Mapping[str, float]) -> float:
    """The likelihood by which a result is judged: of the withheld pixels, or of the fitted where none are withheld."""
    return numbers.get("llk_free", numbers["llk"])


def likelihoods(numbers: Mapping[str, float]) -> str:
    """Say what the likelihoods are: of the fitted pixels, and of the withheld where there are any."""
    free = f", free {numbers['llk_free']:.4g}" if "llk_free" in numbers else ""
    return f"Poisson deviance {numbers['llk']:.4g}{free}"


def sentence(numbers: Mapping[str, float]) -> str:
    """Say how well the counts are explained."""
    return f"{likelihoods(numbers)}; chi {numbers['chi_rms']:.4f}"


def judged(numbers: Mapping[str, float]) -> str:
    """Say how a trained network did on crystals that it did not learn from."""
    if "held_out_correlation" not in numbers:
        return ""
    same, chi = numbers["held_out_correlation"], numbers["held_out_chi"]
    return f"held-out specimens: correlation {same:.3f}, chi {chi:.3f}"


def lines(numbers: Mapping[str, float]) -> list[str]:
    """Say what else a person wants to know at once."""
    said = []
    if "agreement" in numbers:
        said.append(f"agreement of the solutions {numbers['agreement']:.3f}")
    if "starts_beside" in numbers:
        which = "and the answer remained the better" if numbers["answer_kept"] else "and theirs is the result"
        said.append(
            f"the network's answer was doubtful: {numbers['starts_beside']:.0f} ordinary starts were added, {which}"
        )
    if "adapted_steps" in numbers:
        kept, tried = numbers["adapted_steps"], numbers["adapt_steps"]
        said.append(
            f"{kept:.0f} of {tried:.0f} steps of tuning were kept; in the others simulated crystals fared worse"
        )
    if "llk_free" in numbers and numbers["llk_free"] > FAR * numbers["llk"]:
        said.append("withheld pixels are explained far worse than fitted ones: try unflat phase with more starts")
    if "correlation" in numbers:
        said.append(
            f"against the truth: correlation {numbers['correlation']:.4f}, phase error {numbers['phase_error']:.3f} rad"
        )
    return said
