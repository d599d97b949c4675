"""The trivial ambiguities between two solutions: twin, shift, phase ramp, and global phase and scale.

All four leave a diffraction pattern as it is, or move it by part of a pixel. Densities are host arrays, centred: a ramp
then has no jump within the object. A shift s turns the spectrum by exp(−2πi f·s); a ramp is a shift of the spectrum.
Peaks of a correlation are found by its discrete Fourier transform on finer and finer lattices around the largest sample
(Guizar-Sicairos et al. 2008), and at last by Newton's method, which leaves nothing of a pure shift.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Complex, Float
from scipy import fft

_ZOOM = (0.5, 0.25, 0.1, 0.04)
_NEWTON = 4
_ROUNDS = 20
_STILL = 1e-7


@dataclass(frozen=True)
class Alignment:
    """A density brought onto a reference.

    Args:
        density: The aligned density.
        correlation: |Σ a* b| / √(Σ|a|² Σ|b|²) with the reference, 0 to 1.
        twin: Whether it was the twin, conj ρ(−r).
        shift: [voxel] How far it was moved.
        ramp: [pixel] How far its spectrum was moved.
    """

    density: Complex[np.ndarray, "z y x"]
    correlation: float
    twin: bool
    shift: Float[np.ndarray, "3"]
    ramp: Float[np.ndarray, "3"]


def to_middle(weight: Float[np.ndarray, "z y x"]) -> tuple[int, int, int]:
    """Whole voxels by which to roll an object so that its middle stands at ``n // 2``.

    Args:
        weight: Of each voxel; around the array's edges the object is one piece.
    """
    shift = []
    for axis, n in enumerate(weight.shape):
        line = weight.sum(axis=tuple(i for i in range(3) if i != axis))
        turn = float(np.angle(np.sum(line * np.exp(2j * np.pi * np.arange(n) / n))))
        shift.append(n // 2 - round(turn * n / (2 * np.pi)))
    return shift[0], shift[1], shift[2]


def align(
    density: Complex[np.ndarray, "z y x"],
    reference: Complex[np.ndarray, "z y x"],
    *,
    ramp: bool = True,
    scale: bool = True,
) -> Alignment:
    """Bring a density onto a reference.

    Args:
        density: What to move.
        reference: Where to.
        ramp: Whether a phase ramp is removed too; two fits of one pattern differ by none.
        scale: Whether the modulus may be scaled too, not only the phase.

    Returns:
        Whichever of the density and its twin correlates better, moved.
    """
    plain = _placed(np.asarray(density, np.complex128), reference, False, ramp)
    mirrored = _placed(twin_of(density), reference, True, ramp)
    best = max(plain, mirrored, key=lambda found: found.correlation)
    inner = np.vdot(best.density, reference)
    factor = inner / max(float(np.vdot(best.density, best.density).real), 1e-300)
    if not scale:
        factor = inner / max(abs(inner), 1e-300)
    aligned = (best.density * factor).astype(np.result_type(density.dtype, np.complex64))
    return Alignment(aligned, best.correlation, best.twin, best.shift, best.ramp)


def correlation(a: Complex[np.ndarray, "z y x"], b: Complex[np.ndarray, "z y x"]) -> float:
    """|Σ a* b| / √(Σ|a|² Σ|b|²); 0 where one of them is empty."""
    scale = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(abs(np.vdot(a, b)) / scale) if scale > 0 else 0.0


def twin_of(density: Complex[np.ndarray, "z y x"]) -> Complex[np.ndarray, "z y x"]:
    """Give conj ρ(−r), whose diffraction is the same; about index 0, which for even sizes is about ``n // 2`` too."""
    flipped = np.roll(density[::-1, ::-1, ::-1], 1, axis=(0, 1, 2))
    return np.asarray(np.conj(flipped), np.complex128)


def shifted(density: Complex[np.ndarray, "z y x"], shift: Float[np.ndarray, "3"]) -> Complex[np.ndarray, "z y x"]:
    """Move a density by any part of a voxel, circularly: a positive shift moves it to larger indices."""
    spectrum = fft.fftn(density) * _phases(density.shape, -np.asarray(shift))
    return np.asarray(fft.ifftn(spectrum))


def ramped(density: Complex[np.ndarray, "z y x"], ramp: Float[np.ndarray, "3"]) -> Complex[np.ndarray, "z y x"]:
    """Move a density's spectrum by any part of a pixel, by a phase ramp that is 0 at the array's middle."""
    lines = [(np.arange(n) - n // 2) / n for n in density.shape]
    turns = sum(
        r * line.reshape([-1 if a == axis else 1 for a in range(3)])
        for axis, (r, line) in enumerate(zip(ramp, lines, strict=True))
    )
    return np.asarray(density * np.exp(2j * np.pi * np.asarray(turns)))


def _phases(shape: tuple[int, ...], shift: Float[np.ndarray, "3"]) -> Complex[np.ndarray, "z y x"]:
    z, y, x = (np.exp(2j * np.pi * fft.fftfreq(n) * s) for n, s in zip(shape, shift, strict=True))
    return np.asarray(z[:, None, None] * y[None, :, None] * x[None, None, :])


def _placed(
    density: Complex[np.ndarray, "z y x"], reference: Complex[np.ndarray, "z y x"], twin: bool, ramp: bool
) -> Alignment:
    """Find shift and ramp in turn: the first shift from moduli, which know of no ramp, the later ones from all."""
    shift, tilt = np.zeros(3), np.zeros(3)
    if ramp:
        shift += _shift_between(np.abs(density).astype(complex), np.abs(reference).astype(complex))
        density = shifted(density, shift)
    for _ in range(_ROUNDS if ramp else 1):
        turn = np.zeros(3)
        if ramp:
            # The peak of the spectrum of b·a* stands where b's phase runs ahead of a's.
            turn = _peak(np.asarray(reference * np.conj(density)), sign=-1)
            density, tilt = ramped(density, turn), tilt + turn
        step = _shift_between(density, reference)
        density, shift = shifted(density, step), shift + step
        if max(np.abs(step).max(), np.abs(turn).max()) < _STILL:
            break
    return Alignment(density, correlation(density, reference), twin, shift, tilt)


def _shift_between(
    density: Complex[np.ndarray, "z y x"], reference: Complex[np.ndarray, "z y x"]
) -> Float[np.ndarray, "3"]:
    return _peak(np.asarray(fft.fftshift(np.conj(fft.fftn(density)) * fft.fftn(reference))), sign=1)


def _peak(values: Complex[np.ndarray, "z y x"], sign: int) -> Float[np.ndarray, "3"]:
    """Where |Σ values·exp(sign·2πi f·s)| is largest, f = (n − N//2)/N, to the last digits.

    Args:
        values: With their origin in the middle.
        sign: Of the transform.
    """
    shape = values.shape
    transform = fft.ifftn if sign > 0 else fft.fftn
    coarse = np.abs(transform(fft.ifftshift(values)))
    index = np.array(np.unravel_index(int(np.argmax(coarse)), shape), float)
    place = np.where(index > np.array(shape) / 2, index - shape, index)
    for step in _ZOOM:
        offsets = step * np.arange(-2, 3)
        values_near = np.abs(_transform(values, [p + offsets for p in place], sign))
        best = np.unravel_index(int(np.argmax(values_near)), values_near.shape)
        place = place + offsets[np.array(best)]
    for _ in range(_NEWTON):
        move = _newton(values, place, sign)
        if np.max(np.abs(move)) > 2 * _ZOOM[-1]:
            break
        place = place + move
    return place


def _transform(
    values: Complex[np.ndarray, "z y x"], places: list[Float[np.ndarray, " s"]], sign: int
) -> Complex[np.ndarray, "a b c"]:
    """Discrete Fourier transform at any places, one axis after the other."""
    found = values
    for n, place in zip(values.shape, places, strict=True):
        turns = np.exp(sign * 2j * np.pi * np.outer((np.arange(n) - n // 2) / n, place))
        found = np.tensordot(found, turns, axes=(0, 0))  # The axis goes, and its places come last.
    return np.asarray(found)


def _newton(values: Complex[np.ndarray, "z y x"], place: Float[np.ndarray, "3"], sign: int) -> Float[np.ndarray, "3"]:
    """One step towards the maximum of |c|², from c's moments up to the second order."""
    moments = values
    for n, p in zip(values.shape, place, strict=True):
        turn = sign * 2j * np.pi * (np.arange(n) - n // 2) / n
        moments = np.tensordot(moments, np.exp(turn * p)[:, None] * turn[:, None] ** np.arange(3), axes=(0, 0))
    unit = np.eye(3, dtype=int)
    c = moments[0, 0, 0]
    first = np.array([moments[tuple(e)] for e in unit])
    second = np.array([[moments[tuple(a + b)] for a in unit] for b in unit])
    gradient = 2 * (np.conj(c) * first).real
    hessian = 2 * (np.conj(c) * second + np.outer(np.conj(first), first)).real
    if np.max(np.linalg.eigvalsh(hessian)) >= 0:
        return np.zeros(3)
    return np.asarray(-np.linalg.solve(hessian, gradient))
