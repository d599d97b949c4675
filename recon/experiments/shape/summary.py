"""What is said of shapes on the screen, from the numbers of ``metrics.json``."""

from collections.abc import Mapping


def sentence(numbers: Mapping[str, float]) -> str:
    """Say what there is, and whether it keeps to what was seen."""
    cells, draws = numbers.get("cells", 1.0), numbers.get("draws", 1.0)
    many = f"{cells:.0f} cells" if cells != 1 else "1 cell"
    shapes = f"{draws:.0f} shapes of each" if draws != 1 else "1 shape of each"
    return f"{many}, {shapes}; sections agree with their masks by {numbers['section']:.3f} (IoU)"


def judged(numbers: Mapping[str, float]) -> str:
    """Say how trained networks did on cells that they did not learn from."""
    if "held_out_overlap_error" not in numbers:
        return ""
    cells = "held-out cells" if numbers.get("held_out_real") else "held-out simulated cells"
    draw, mean = numbers["held_out_overlap_error"], numbers["held_out_overlap_error_of_mean"]
    return f"{cells}: 1 - IoU of a draw {draw:.3f}, of the mean {mean:.3f}"


def lines(numbers: Mapping[str, float]) -> list[str]:
    """Say what else a person wants to know at once."""
    said = []
    for name, scale, unit in (("volume_mean", 1e18, "um^3"), ("volume_mean_voxels", 1.0, "voxels")):
        if name not in numbers:
            continue
        spread = ""
        if "volume_spread" in numbers:
            spread = f", of which the draws of a cell differ by {100 * numbers['volume_spread']:.0f} %"
        said.append(f"volume {numbers[name] * scale:.4g} {unit} on the mean{spread}")
    if "picture_before" in numbers:
        before, after = numbers["picture_before"], numbers["picture_after"]
        said.append(f"misfit of the pictures {before:.3f}, refined {after:.3f}")
    if "overlap_error" in numbers:
        best = ""
        if numbers.get("draws", 1) > 1:
            best = f" (consensus {numbers['consensus_overlap_error']:.3f}, best {numbers['best_overlap_error']:.3f})"
        errors = ", ".join(f"{name} {numbers[name]:.3f}" for name in ("volume", "surface", "roughness"))
        said.append(f"against the truth: 1 - IoU {numbers['overlap_error']:.3f}{best}; errors of {errors}")
    return said
