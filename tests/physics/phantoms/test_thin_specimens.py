"""Tubes, walls and sheets have the volumes that geometry says, on any grid; specimens of them stay in their boxes."""

from collections.abc import Callable

import numpy as np
import pytest

from unflat.physics.phantoms.cells import (
    Cylinder,
    Frustule,
    ImplicitBody,
    Sheet,
    Specimen,
    Tube,
    bacteria_specimen,
    diatom_specimen,
    filament_specimen,
    random_rotation,
    tissue_specimen,
)

RADIUS, LENGTH, WALL = 0.4e-6, 2e-6, 0.3e-6
TURN = random_rotation(np.random.default_rng(1))
ENDS = np.array([[0, 0, -LENGTH / 2], [0, 0, LENGTH / 2]]) @ TURN.T


def cylinder(half_height: float, a: float, b: float) -> float:
    """Volume of a cylinder with an elliptic base."""
    return 2 * half_height * np.pi * a * b


BODIES: dict[str, tuple[ImplicitBody, float]] = {
    "tube": (Tube.through(ENDS, RADIUS, 1.4), np.pi * RADIUS**2 * LENGTH + 4 / 3 * np.pi * RADIUS**3),
    "ball": (Tube.through(ENDS[:1], RADIUS, 1.4), 4 / 3 * np.pi * RADIUS**3),
    "frustule": (
        Frustule(np.zeros(3), 1.4, orientation=TURN, half_height=0.8e-6, semi_axes=(2e-6, 1.5e-6), wall=WALL),
        cylinder(0.95e-6, 2.15e-6, 1.65e-6) - cylinder(0.65e-6, 1.85e-6, 1.35e-6),
    ),
    "cylinder": (
        Cylinder(np.zeros(3), 1.4, orientation=TURN, half_height=0.8e-6, semi_axes=(2e-6, 1.5e-6)),
        cylinder(0.8e-6, 2e-6, 1.5e-6),
    ),
    "sheet": (
        Sheet(np.zeros(3), 1.4, orientation=TURN, half_width=(1.5e-6, 2e-6), thickness=WALL),
        3e-6 * 4e-6 * WALL,
    ),
}
SPECIMENS: dict[str, Callable[[int], Specimen]] = {
    "filaments": lambda seed: filament_specimen(seed, count=2, size=(3e-6, 6e-6, 6e-6)),
    "rods": lambda seed: bacteria_specimen(seed, form="rods", count=2, size=(3e-6, 6e-6, 6e-6)),
    "chains": lambda seed: bacteria_specimen(seed, form="chains", count=1, size=(3e-6, 6e-6, 6e-6)),
    "spirals": lambda seed: bacteria_specimen(seed, form="spirals", count=1, size=(3e-6, 6e-6, 6e-6)),
    "centric": lambda seed: diatom_specimen(seed, form="centric", radius=2e-6, wall=(0.15, 0.2)),
    "pennate": lambda seed: diatom_specimen(seed, form="pennate", radius=3e-6, wall=(0.1, 0.15)),
    "tissue": lambda seed: tissue_specimen(seed, size=(3e-6, 6e-6, 6e-6), radius=1.1e-6, fibres=2),
}


def axes_around(half_extent: np.ndarray, spacing: tuple[float, ...]) -> list[np.ndarray]:
    """Axes that extend two voxels beyond a box, a fraction of a voxel beside its middle."""
    counts = [int(np.ceil(h / d)) + 2 for h, d in zip(half_extent, spacing, strict=True)]
    return [(np.arange(-n, n + 1) + 0.3) * d for n, d in zip(counts, spacing, strict=True)]


@pytest.mark.parametrize("name", BODIES)
@pytest.mark.parametrize("spacing", [(0.2e-6,) * 3, (0.45e-6, 0.2e-6, 0.25e-6)], ids=["cubes", "bricks"])
def test_a_body_has_its_volume_on_any_grid_in_any_orientation(name: str, spacing: tuple[float, ...]) -> None:
    body, volume = BODIES[name]
    contrast = Specimen((body,), 1.3).sample(*axes_around(body.half_extent, spacing))
    assert contrast.sum(dtype=float) / 0.1 * np.prod(spacing) == pytest.approx(volume, rel=0.015)


def test_a_tube_far_from_every_surface_is_empty_and_full_within() -> None:
    body = BODIES["tube"][0]
    contrast = Specimen((body,), 1.3).sample(*[np.linspace(-3e-6, 3e-6, 61)] * 3)
    assert contrast[30, 30, 30] == pytest.approx(0.1, abs=1e-6)
    assert contrast[0, 0, 0] == 0
    level = body.level(np.array([[0, 0, 0], [0, 0, 3 * RADIUS], [9e-6, 0, 0]]) @ TURN.T)
    assert level[0] == pytest.approx(-RADIUS)
    assert level[2] > 5e-6


def test_ribs_make_a_wall_thicker_and_thinner_and_hardly_heavier() -> None:
    sizes = {"half_height": 0.8e-6, "semi_axes": (2e-6, 2e-6), "wall": WALL}
    smooth, ribbed = (Frustule(np.zeros(3), 1.4, ribs=ribs, **sizes) for ribs in (0, 6))  # type: ignore[arg-type]
    axes = axes_around(ribbed.half_extent, (0.1e-6,) * 3)
    one, other = (Specimen((body,), 1.3).sample(*axes) for body in (smooth, ribbed))
    assert np.abs(one - other).max() > 0.05
    assert other.sum() == pytest.approx(one.sum(), rel=0.03)


@pytest.mark.parametrize("name", SPECIMENS)
def test_a_specimen_follows_from_its_seed_and_stays_within_its_box_and_its_indices(name: str) -> None:
    first, again, other = (SPECIMENS[name](seed) for seed in (5, 5, 6))
    axes = axes_around(1.2 * np.array(first.extent) / 2, (0.3e-6,) * 3)
    contrast = first.sample(*axes)
    np.testing.assert_array_equal(contrast, again.sample(*axes))
    assert np.any(contrast != other.sample(*axes))
    for axis, (a, extent) in enumerate(zip(axes, first.extent, strict=True)):
        assert not np.moveaxis(contrast, axis, 0)[np.abs(a) > extent / 2 + 0.35e-6].any()
    assert contrast.min() >= 0
    assert 0.002 < contrast.max() <= max(body.index for body in first.bodies) - first.medium_index + 1e-6
    turned = first.rotate(TURN).translate(np.array([0.0, 2e-7, 0.0]))
    wide = axes_around(np.full(3, np.linalg.norm(first.extent) / 2), (0.3e-6,) * 3)
    assert turned.sample(*wide).sum() == pytest.approx(contrast.sum(), rel=0.03)
