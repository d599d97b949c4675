"""The consensus of draws: volume and roughness of the draws, and the smallest expected error."""

import numpy as np

from unflat.recon.experiments.shape.network.consensus import consensus
from unflat.recon.experiments.shape.network.relief import relief, vary_relief
from unflat.recon.experiments.shape.network.shape_code import (
    PIXELS,
    code_points,
    decode,
    encode,
    pixel_centres,
    section_points,
)
from unflat.recon.metrics.shapes import roughness_voxels

HEIGHTS = np.arange(PIXELS) - PIXELS // 2.0
RADIUS = 18.0


def bumpy(height: float, phase: float, radius: float = RADIUS) -> np.ndarray:
    """Code of a ball of some extent along z with bumps."""
    z, y, x = np.meshgrid(HEIGHTS / height, pixel_centres(), pixel_centres(), indexing="ij")
    bumps = 2.0 * np.cos(0.45 * x + phase) * np.cos(0.45 * y - phase) * np.cos(0.45 * z + phase)
    return encode(np.sqrt(z**2 + y**2 + x**2) - radius + bumps, (HEIGHTS, pixel_centres(), pixel_centres()))


def outline(radius: float = RADIUS) -> np.ndarray:
    """Signed distance to the outline of the section."""
    return np.hypot(section_points()[:, None], section_points()[None]) - radius


def inside(code: np.ndarray) -> np.ndarray:
    """Voxels inside a shape."""
    return decode(code, HEIGHTS, pixel_centres(), pixel_centres()) < 0


def error(one: np.ndarray, other: np.ndarray) -> float:
    """1 − IoU of two shapes."""
    return 1 - float((one & other).sum() / (one | other).sum())


def test_a_consensus_is_as_large_and_rough_as_its_draws() -> None:
    codes = np.stack([bumpy(height, phase) for phase, height in enumerate((0.7, 0.85, 1.0, 1.1, 1.2))])
    one, drawn = inside(consensus(codes, outline())), [inside(code) for code in codes]
    sizes, rough = [d.sum() for d in drawn], [roughness_voxels(d) for d in drawn]
    assert 0.9 * np.median(sizes) < one.sum() < np.median(sizes) * 1.02  # Of relative errors the smaller is better.
    assert abs(roughness_voxels(one) / np.median(rough) - 1) < 0.15
    assert roughness_voxels(inside(codes.mean(axis=0))) < 0.7 * np.median(rough)


def test_a_consensus_has_a_smaller_expected_error_at_a_further_draw_than_a_draw() -> None:
    codes = np.stack([bumpy(height, phase) for phase, height in enumerate((0.7, 0.85, 1.0, 1.1, 1.2))])
    drawn, by_consensus, by_draws = [inside(code) for code in codes], [], []
    for further, known in enumerate(drawn):
        own = inside(consensus(np.delete(codes, further, axis=0), outline()))
        others = [one for number, one in enumerate(drawn) if number != further]
        by_consensus.append(error(own, known))
        by_draws.append(np.mean([error(one, known) for one in others]))
    assert np.mean(by_consensus) < 0.97 * np.mean(by_draws)


def test_relief_leaves_the_volume_and_changes_the_roughness() -> None:
    code = bumpy(1.0, 0.3)
    own, rough, smooth = (inside(c) for c in (code, vary_relief(code, 1.0), vary_relief(code, -3.0)))
    assert roughness_voxels(rough) > 1.1 * roughness_voxels(own)
    assert roughness_voxels(smooth) < 0.9 * roughness_voxels(own)
    assert abs(rough.sum() / own.sum() - 1) < 0.02


def test_a_plane_has_no_relief() -> None:
    z = np.broadcast_to(code_points()[:, None, None] / 40, (len(code_points()),) * 3)
    np.testing.assert_allclose(relief(z.astype(np.float32))[4:-4], 0, atol=1e-6)
