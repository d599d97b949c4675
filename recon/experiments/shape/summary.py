"""Summary of predicted shapes on the screen, from the numbers of ``metrics.json``."""

from collections.abc import Mapping


def summary_line(numbers: Mapping[str, float]) -> str:
    """Summarise the number of shapes, and their agreement with the masks."""
    cells, draws = numbers.get("cells", 1.0), numbers.get("draws", 1.0)
    many = f"{cells:.0f} cells" if cells != 1 else "1 cell"
    shapes = f"{draws:.0f} shapes of each" if draws != 1 else "1 shape of each"
    return f"{many}, {shapes}; sections agree with their masks by {numbers['section']:.3f} (IoU)"


def validation_summary(numbers: Mapping[str, float]) -> str:
    """Summarise the accuracy of networks on held-out cells; empty where it is not known."""
    if "held_out_overlap_error" not in numbers:
        return ""
    cells = "held-out cells" if numbers.get("held_out_real") else "held-out simulated cells"
    draw, mean = numbers["held_out_overlap_error"], numbers["held_out_overlap_error_of_mean"]
    return f"{cells}: 1 - IoU of a draw {draw:.3f}, of the mean {mean:.3f}"


def summary_lines(numbers: Mapping[str, float]) -> list[str]:
    """Volume, refinement, and accuracy where the truth is known."""
    lines = []
    for ending, scale, unit in (("", 1e18, "um^3"), ("_voxels", 1.0, "voxels")):
        name = next((n + ending for n in ("volume_of_consensus", "volume_mean") if n + ending in numbers), "")
        if not name:
            continue
        spread = ""
        if "volume_spread" in numbers:
            spread = f", of which the draws of a cell differ by {100 * numbers['volume_spread']:.0f} %"
        lines.append(f"volume {numbers[name] * scale:.4g} {unit} on the mean{spread}")
    if "picture_before" in numbers:
        before, after = numbers["picture_before"], numbers["picture_after"]
        lines.append(f"misfit of the pictures {before:.3f}, refined {after:.3f}")
    if "overlap_error" in numbers:
        prefix, draws = "consensus_" if "consensus_overlap_error" in numbers else "", ""
        if prefix and numbers.get("draws", 1) > 1:
            draws = f" (a draw {numbers['overlap_error']:.3f}, the best {numbers['best_overlap_error']:.3f})"
        errors = ", ".join(f"{name} {numbers[prefix + name]:.3f}" for name in ("volume", "surface", "roughness"))
        lines.append(f"against the truth: 1 - IoU {numbers[f'{prefix}overlap_error']:.3f}{draws}; errors of {errors}")
    return lines
