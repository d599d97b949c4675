"""Simulated diatoms: a ribbed frustule of silica, centric or pennate, around cytoplasm. Axes are ``z y x``.

Silica of frustules has an index of about 1.43 (Fuhrmann et al., Appl. Phys. B 78, 257 (2004)).
"""

from typing import Literal

import numpy as np

from ..random import Seed, generator, random_rotation
from .body import Body
from .implicit import ImplicitBody
from .specimen import Specimen
from .walls import Cylinder, Frustule

DiatomForm = Literal["centric", "pennate"]


def diatom_specimen(
    seed: Seed,
    *,
    form: DiatomForm | None = None,
    radius: float = 5e-6,
    medium_index: float = 1.337,
    silica: float = 1.43,
    cytoplasm: float = 1.355,
    wall: tuple[float, float] = (0.05, 0.1),
) -> Specimen:
    """Draw a diatom.

    Args:
        seed: Seed or random number generator.
        form: Form; None draws one.
        radius: [m] Radius of a centric diatom, or half the length of a pennate one.
        medium_index: Refractive index of the medium.
        silica: Index of the frustule.
        cytoplasm: Index of the inside.
        wall: Smallest and largest thickness of the wall, relative to the radius.
    """
    rng = generator(seed)
    form = form or ("centric" if rng.random() < 0.5 else "pennate")
    width = 1.0 if form == "centric" else float(rng.uniform(0.2, 0.4))
    semi_axes = (radius, width * radius * float(rng.uniform(0.95, 1.05)))
    half_height = float(rng.uniform(0.25, 0.5) if form == "centric" else rng.uniform(0.15, 0.3)) * radius
    thickness, ribs = radius * float(rng.uniform(*wall)), int(rng.integers(8, 20))
    tilt, origin = random_rotation(rng) if rng.random() < 0.5 else None, np.zeros(3)
    inside = Cylinder(origin, cytoplasm, orientation=tilt, half_height=half_height, semi_axes=semi_axes)
    frustule = Frustule(
        origin,
        silica,
        orientation=tilt,
        half_height=half_height,
        semi_axes=semi_axes,
        wall=thickness,
        ribs=ribs,
        form=form,
    )
    bodies: list[Body | ImplicitBody] = [inside, frustule]
    for _ in range(int(rng.integers(0, 4))):  # Droplets of oil.
        offset = rng.uniform(-0.5, 0.5, 3) * [half_height, *semi_axes]
        size = np.full(3, 0.35 * half_height * float(rng.uniform(0.5, 1.0)))
        bodies.append(Body(offset if tilt is None else tilt @ offset, size, 1.47))
    return Specimen(tuple(bodies), medium_index)
