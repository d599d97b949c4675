"""Simulated crystals for a training: diffracted by the continuous physics, brought to one place and phase.

Properties that no pattern determines are normalised: the density's centre of mass stands in the middle of the box, the
brightest voxel of the pattern in the middle of the array, and the density's mean is real and positive. Twins remain:
the noise that the network starts from decides between them.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Complex, Float

from .....physics.diffraction.far_field import fftshift3, ifftshift3
from .....physics.phantoms.crystals import ShapeError, far_field, random_crystal, random_grid
from .inputs import BOX

OVERSAMPLING = {64: (2.1, 4.5), 48: (1.5, 3.2)}
"""Range along each axis, by the edge of the array: the crystal fills at most the box; the smaller array is for what is
undersampled."""
_PHASE = (0.1, 3.0)
_UNSTRAINED = 0.15
"""Share of crystals without any strain."""
_HARD, _HARD_PHASE = 0.3, (1.0, 4.0)
"""Share of crystals whose strain is hard for projection algorithms, and range of its phase."""
_HARD_STRAINS = (("screw",), ("edge",), ("screw", "waves"), ("edge", "relaxation"), ("waves",), ("polynomial", "waves"))
_UPRIGHT = 0.5
"""Share of measurements on orthogonal axes."""
_SURFACE = 0.4
_OUTSIDE = 0.02
"""Share of a crystal's density outside the box above which it is drawn again."""
_TRIES = 20


@dataclass(frozen=True)
class TrainingCrystal:
    """Crystal and its far field.

    Args:
        modulus: Modulus of the far field, centred on its brightest voxel, largest 1.
        density: Density in the box, |ρ| about 1.
        widths: [voxel] Widths of the crystal along the axes.
        strain: [rad] Standard deviation of the phase inside.
    """

    modulus: Float[np.ndarray, "n n n"]
    density: Complex[np.ndarray, "z y x"]
    widths: Float[np.ndarray, " 3"]
    strain: float


def simulate_crystal(seed: int, number: int, size: int) -> TrainingCrystal:
    """Draw one of a seed's crystals: the same number always gives the same.

    Args:
        seed: Seed of the sequence of crystals.
        number: Number of the crystal in it.
        size: Edge of the array, one of `OVERSAMPLING`.
    """
    rng = np.random.default_rng([seed, size, number])
    for _ in range(_TRIES):
        try:
            crystal = _try_crystal(rng, size)
        except ShapeError:  # The flaws left nothing of it.
            continue
        if crystal is not None:
            return crystal
    raise ShapeError(f"crystal {number} of seed {seed} could not be drawn in {_TRIES} tries")


def _try_crystal(rng: np.random.Generator, size: int) -> TrainingCrystal | None:
    """Draw a crystal; None if too much of it lies outside the box."""
    shape = (size, size, size)
    kind, phase = rng.random(), _PHASE
    strains: tuple[str, ...] | None = None
    if kind < _UNSTRAINED:
        strains = ()
    elif kind < _UNSTRAINED + _HARD:
        phase, strains = _HARD_PHASE, _HARD_STRAINS[int(rng.integers(len(_HARD_STRAINS)))]
    crystal = random_crystal(rng, phase=phase, strains=strains)
    max_skew = 0.0 if rng.random() < _UPRIGHT else 0.3
    steps = random_grid(rng, crystal, shape, oversampling=OVERSAMPLING[size], max_skew=max_skew)
    field = far_field(crystal, steps, shape)
    brightest = np.unravel_index(int(np.argmax(np.abs(field))), shape)
    field = np.roll(field, [size // 2 - int(i) for i in brightest], axis=(0, 1, 2))
    density = centre_mass(fftshift3(np.fft.ifftn(ifftshift3(field))))
    half = slice(size // 2 - BOX // 2, size // 2 + BOX // 2)
    box = density[half, half, half]
    if 1 - np.sum(np.abs(box) ** 2) / np.sum(np.abs(density) ** 2) > _OUTSIDE:
        return None
    box = box * np.exp(-1j * np.angle(box.sum()))
    inside = np.abs(box) > _SURFACE
    spans = [np.ptp(np.flatnonzero(inside.any(axis=tuple({0, 1, 2} - {axis})))) + 1 for axis in range(3)]
    modulus = np.abs(field) / np.abs(field).max()
    strain = float(np.std(np.angle(box[inside])))
    return TrainingCrystal(modulus.astype(np.float32), box.astype(np.complex64), np.array(spans, float), strain)


def centre_mass(density: Complex[np.ndarray, "z y x"]) -> Complex[np.ndarray, "z y x"]:
    """Shift a density, by any fraction of a voxel, so that the centre of mass of |ρ|² stands at ``n // 2``."""
    mass, field = np.abs(density) ** 2, np.fft.fftn(density)
    for axis, n in enumerate(density.shape):
        line = mass.sum(axis=tuple({0, 1, 2} - {axis}))
        turn = 2j * np.pi * (np.arange(n) - n // 2) / n
        offset = np.angle(np.sum(line * np.exp(turn))) * n / (2 * np.pi)  # The array has no ends: it wraps round.
        wave = np.exp(2j * np.pi * np.fft.fftfreq(n) * offset)
        field = field * wave.reshape([-1 if i == axis else 1 for i in range(3)])
    return np.asarray(np.fft.ifftn(field))
