"""Simulated bacteria: rods, chains with septa, and spirals. Axes are ``z y x``.

Indices are about those of E. coli, 1.38 to 1.40 (Liu et al., J. Biomed. Opt. 19, 2014).
"""

from typing import Literal, get_args

import numpy as np
from jaxtyping import Float

from ...rotation import axis_rotation
from ..random import Seed, generator
from .body import Body
from .implicit import ImplicitBody
from .specimen import Specimen
from .tube import Tube

BacteriaForm = Literal["rods", "chains", "spirals"]
_TRIES, _SHRINKAGE = 30, 0.93
"""Number of tries to draw one that fits into the box, and factor on its radius from one to the next."""
_SEPTUM = 0.15
"""Half the thickness of a septum, relative to the radius."""


def bacteria_specimen(
    seed: Seed,
    *,
    form: BacteriaForm | None = None,
    count: int = 5,
    radius: float = 0.45e-6,
    index: tuple[float, float] = (1.375, 1.400),
    size: tuple[float, float, float] = (5e-6, 12e-6, 12e-6),
    medium_index: float = 1.337,
) -> Specimen:
    """Draw bacteria of one form.

    Args:
        seed: Seed or random number generator.
        form: Form; None draws one.
        count: Number of bacteria or chains.
        radius: [m] Mean radius; smaller where there is no room.
        index: Smallest and largest refractive index.
        size: [m] Box (z, y, x), centred on the origin, that holds them.
        medium_index: Refractive index of the medium.
    """
    rng = generator(seed)
    form = form or get_args(BacteriaForm)[int(rng.integers(3))]
    bodies: list[Body | ImplicitBody] = []
    for _ in range(count):
        for attempt in range(_TRIES):
            smaller = radius * _SHRINKAGE**attempt
            one = Specimen(tuple(_draw_one(rng, form, smaller, float(rng.uniform(*index)))), medium_index)
            room = (np.array(size) - one.extent) / 2
            if np.all(room >= 0):
                bodies += one.translate(room * rng.uniform(-1, 1, 3)).bodies
                break
    return Specimen(tuple(bodies), medium_index)


def _draw_one(rng: np.random.Generator, form: BacteriaForm, radius: float, index: float) -> list[Body | ImplicitBody]:
    """Draw a bacterium or a chain about the origin."""
    r, axis = radius * float(rng.uniform(0.8, 1.25)), _draw_axis(rng)
    if form == "spirals":
        return [_spiral(rng, r, axis, index)]
    return _chain(rng, r, axis, index, 1 if form == "rods" else int(rng.integers(2, 7)))


def _draw_axis(rng: np.random.Generator) -> Float[np.ndarray, " 3"]:
    """Draw a direction, mostly near the plane."""
    axis = rng.normal(size=3) * [rng.choice([0.2, 1.0]), 1, 1]
    return np.asarray(axis / np.linalg.norm(axis))


def _chain(
    rng: np.random.Generator, radius: float, axis: Float[np.ndarray, " 3"], index: float, links: int
) -> list[Body | ImplicitBody]:
    """Draw rods end to end, each with a denser disc where it touches the next: a septum."""
    length = radius * float(rng.uniform(1.5, 5.0))
    step = length + 1.8 * radius
    bodies: list[Body | ImplicitBody] = []
    at = -axis * step * (links - 1) / 2
    for number in range(links):
        ends = np.stack([at - axis * length / 2, at + axis * length / 2])
        bodies.append(Tube.through(ends, radius, index))
        if number:
            septum = np.stack([at - axis * (step / 2 + _SEPTUM * radius), at - axis * (step / 2 - _SEPTUM * radius)])
            bodies.append(Tube.through(septum, 0.6 * radius, index + 0.01))
        turned = axis_rotation(0, rng.normal(0, 0.15)) @ axis
        at, axis = at + (axis + turned) / 2 * step, turned
    return bodies


def _spiral(rng: np.random.Generator, radius: float, axis: Float[np.ndarray, " 3"], index: float) -> Tube:
    """Draw a helix."""
    length, turns = float(rng.uniform(8, 22)) * radius, float(rng.uniform(2, 5))
    across = np.linalg.svd(axis[None])[2][1:]
    t = np.linspace(-0.5, 0.5, int(8 * turns) + 1)
    angle = 2 * np.pi * turns * t
    wave = radius * float(rng.uniform(0.8, 1.8))
    path = t[:, None] * length * axis + wave * (np.cos(angle)[:, None] * across[0] + np.sin(angle)[:, None] * across[1])
    return Tube.through(path, 0.6 * radius, index)
