"""Alignment of two solutions: twin, shift, phase ramp, and global phase and scale.

All four leave a diffraction pattern unchanged, or move it by part of a pixel. Densities are host arrays (z, y, x),
centred: a ramp then has no jump within the object. A shift s multiplies the spectrum by exp(−2πi f·s); a ramp shifts
the spectrum. Peaks of a correlation are found by its discrete Fourier transform on finer and finer lattices around
the largest sample (Guizar-Sicairos et al. 2008), and last by Newton's method, which finds a pure shift to rounding.
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
    """Density aligned with a reference.

    Args:
        density: The aligned density.
        correlation: |Σ a* b| / √(Σ|a|² Σ|b|²) with the reference, 0 to 1.
        twin: Whether it was the twin, conj ρ(−r).
        shift: [voxel] Shift that was applied.
        ramp: [pixel] Shift of the spectrum that was applied.
    """

    density: Complex[np.ndarray, "z y x"]
    correlation: float
    twin: bool
    shift: Float[np.ndarray, "3"]
    ramp: Float[np.ndarray, "3"]


def centring_shift(weight: Float[np.ndarray, "z y x"]) -> tuple[int, int, int]:
    """Compute the whole voxels by which to roll an object to centre it at ``n // 2``.

    Args:
        weight: Weight of each voxel; the object may extend across the edges of the array.
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
    """Align a density with a reference.

    Args:
        density: Density to align.
        reference: Reference density.
        ramp: Whether a phase ramp is removed too; two fits of one pattern differ by none.
        scale: Whether the modulus may be scaled too, not only the phase.

    Returns:
        The aligned density, or its twin where that correlates better.
    """
    best = _register(np.asarray(density, np.complex128), reference, False, ramp)
    mirrored = _register(conjugate_twin(density), reference, True, ramp)
    if mirrored.correlation > best.correlation:
        best = mirrored
    del mirrored
    inner = np.vdot(best.density, reference)
    factor = inner / max(float(np.vdot(best.density, best.density).real), 1e-300)
    if not scale:
        factor = inner / max(abs(inner), 1e-300)
    aligned = (best.density * factor).astype(np.result_type(density.dtype, np.complex64))
    return Alignment(aligned, best.correlation, best.twin, best.shift, best.ramp)


def correlation(a: Complex[np.ndarray, "z y x"], b: Complex[np.ndarray, "z y x"]) -> float:
    """Compute |Σ a* b| / √(Σ|a|² Σ|b|²); 0 where one of them is empty."""
    scale = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(abs(np.vdot(a, b)) / scale) if scale > 0 else 0.0


def conjugate_twin(density: Complex[np.ndarray, "z y x"]) -> Complex[np.ndarray, "z y x"]:
    """Compute conj ρ(−r), whose diffraction is the same, about index 0; for even sizes that is about ``n // 2`` too."""
    flipped = np.roll(density[::-1, ::-1, ::-1], 1, axis=(0, 1, 2))
    return np.asarray(np.conj(flipped), np.complex128)


def shift_density(density: Complex[np.ndarray, "z y x"], shift: Float[np.ndarray, "3"]) -> Complex[np.ndarray, "z y x"]:
    """Shift a density by voxels and parts of them, periodically; a positive shift is towards larger indices."""
    spectrum = np.asarray(fft.fftn(np.asarray(density, np.complex128)))
    spectrum *= _shift_phases(density.shape, -np.asarray(shift))
    return np.asarray(fft.ifftn(spectrum, overwrite_x=True))


def apply_phase_ramp(
    density: Complex[np.ndarray, "z y x"], ramp: Float[np.ndarray, "3"]
) -> Complex[np.ndarray, "z y x"]:
    """Shift the spectrum of a density by pixels and parts of them, by a phase ramp that is 0 at the array's middle."""
    lines = [(np.arange(n) - n // 2) / n for n in density.shape]
    turns = sum(
        r * line.reshape([-1 if a == axis else 1 for a in range(3)])
        for axis, (r, line) in enumerate(zip(ramp, lines, strict=True))
    )
    return np.asarray(density * np.exp(2j * np.pi * np.asarray(turns)))


def _shift_phases(shape: tuple[int, ...], shift: Float[np.ndarray, "3"]) -> Complex[np.ndarray, "z y x"]:
    z, y, x = (np.exp(2j * np.pi * fft.fftfreq(n) * s) for n, s in zip(shape, shift, strict=True))
    return np.asarray(z[:, None, None] * y[None, :, None] * x[None, None, :])


def _register(
    density: Complex[np.ndarray, "z y x"], reference: Complex[np.ndarray, "z y x"], twin: bool, ramp: bool
) -> Alignment:
    """Find shift and ramp alternately: the first shift from the moduli, which do not depend on the ramp."""
    shift, tilt = np.zeros(3), np.zeros(3)
    if ramp:
        shift += _shift_between(np.abs(density).astype(complex), np.abs(reference).astype(complex))
        density = shift_density(density, shift)
    for _ in range(_ROUNDS if ramp else 1):
        turn = np.zeros(3)
        if ramp:
            # The peak of the spectrum of b·a* stands where b's phase runs ahead of a's.
            turn = _locate_peak(np.asarray(reference * np.conj(density)), sign=-1)
            density, tilt = apply_phase_ramp(density, turn), tilt + turn
        step = _shift_between(density, reference)
        density, shift = shift_density(density, step), shift + step
        if max(np.abs(step).max(), np.abs(turn).max()) < _STILL:
            break
    return Alignment(density, correlation(density, reference), twin, shift, tilt)


def _shift_between(
    density: Complex[np.ndarray, "z y x"], reference: Complex[np.ndarray, "z y x"]
) -> Float[np.ndarray, "3"]:
    spectrum = np.asarray(fft.fftn(density))
    np.conj(spectrum, out=spectrum)
    spectrum *= fft.fftn(reference)
    return _locate_peak(np.asarray(fft.fftshift(spectrum)), sign=1)


def _locate_peak(values: Complex[np.ndarray, "z y x"], sign: int) -> Float[np.ndarray, "3"]:
    """Locate the largest |Σ values·exp(sign·2πi f·s)|, f = (n − N//2)/N, to rounding.

    Args:
        values: Samples, their origin in the middle.
        sign: Sign of the transform.
    """
    shape = values.shape
    transform = fft.ifftn if sign > 0 else fft.fftn
    coarse = np.abs(transform(fft.ifftshift(values), overwrite_x=True))
    index = np.array(np.unravel_index(int(np.argmax(coarse)), shape), float)
    del coarse
    position = np.where(index > np.array(shape) / 2, index - shape, index)
    for step in _ZOOM:
        offsets = step * np.arange(-2, 3)
        values_near = np.abs(_dft(values, [p + offsets for p in position], sign))
        best = np.unravel_index(int(np.argmax(values_near)), values_near.shape)
        position = position + offsets[np.array(best)]
    for _ in range(_NEWTON):
        move = _newton_step(values, position, sign)
        if np.max(np.abs(move)) > 2 * _ZOOM[-1]:
            break
        position = position + move
    return position


def _dft(
    values: Complex[np.ndarray, "z y x"], positions: list[Float[np.ndarray, " s"]], sign: int
) -> Complex[np.ndarray, "a b c"]:
    """Compute the discrete Fourier transform at any positions, one axis after the other."""
    result = values
    for n, position in zip(values.shape, positions, strict=True):
        turns = np.exp(sign * 2j * np.pi * np.outer((np.arange(n) - n // 2) / n, position))
        result = np.tensordot(result, turns, axes=(0, 0))  # The axis goes, and its positions come last.
    return np.asarray(result)


def _newton_step(
    values: Complex[np.ndarray, "z y x"], position: Float[np.ndarray, "3"], sign: int
) -> Float[np.ndarray, "3"]:
    """Compute a Newton step towards the maximum of |c|², from the moments of c up to the second order."""
    moments = values
    for n, p in zip(values.shape, position, strict=True):
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
