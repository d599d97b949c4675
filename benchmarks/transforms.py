"""Time of the forward model and its gradient relative to the Fourier transforms that they need.

Both run in one process on arrays of one shape, in turns, so that a busy machine slows both equally. The median of the
ratios of all pairs is reported. The transforms run in a compiled loop without any other work.
"""

import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Complex, Float

from unflat.physics.optics.illumination import PlaneWaves
from unflat.physics.optics.image_formation import ImageFormation
from unflat.physics.optics.lattice import Lattice

from .ledger import Numbers

WAVELENGTH, MEDIUM, APERTURE = 0.63e-6, 1.33, 0.25
PITCH = (2.5e-6, 0.6455e-6, 0.6455e-6)


def transforms_ratio(march: str, shape: tuple[int, int, int], waves: int, repeats: int) -> Numbers:
    """Measure one physics.

    Args:
        march: ``multislice`` or ``ssnp``.
        shape: Slices and samples (z, y, x).
        waves: Number of views in a batch.
        repeats: Number of pairs.

    Returns:
        Ratios of wall time and of CPU time, medians, for ``forward`` (2Q transforms a wave and one for the image),
        ``gradient`` with the waves of all slices in memory (twice that), and ``blocks`` with those at the heads of
        blocks, where the slices are computed again (2Q more).
    """
    slices = shape[0]
    rng = np.random.default_rng(0)
    lattice = Lattice(shape, PITCH, WAVELENGTH, MEDIUM)
    contrast = jnp.asarray(rng.normal(size=(1, *shape)) * 1e-3, jnp.float32)
    tilts = jnp.asarray(rng.uniform(-0.12, 0.12, (waves, 1, 2)), jnp.float32)
    field = jnp.ones((waves, *shape[1:]), jnp.complex64)
    needed = {"forward": 2 * slices + 1, "gradient": 4 * slices + 2, "blocks": 6 * slices + 2}
    figures: Numbers = {"slices": slices, "waves": waves, "needed": needed}
    for kind, count in needed.items():
        camera = ImageFormation(lattice, APERTURE, march, shape[1:], None if kind == "blocks" else slices, True)
        ours = _forward(camera) if kind == "forward" else _gradient(camera)
        figures[kind] = paired(lambda run=ours: run(contrast, tilts), _loop(field, count), repeats)
    return figures


def _images(
    camera: ImageFormation, contrast: Float[Array, "c z y x"], tilts: Float[Array, "view 1 2"]
) -> Float[Array, "view y x"]:
    views = tilts.shape[0]
    return camera.images(contrast, PlaneWaves(tilts, jnp.ones((views, 1)), jnp.zeros(views)), jnp.zeros(0))


def _forward(camera: ImageFormation) -> Callable[..., Any]:
    return jax.jit(lambda contrast, tilts: _images(camera, contrast, tilts))


def _gradient(camera: ImageFormation) -> Callable[..., Any]:
    def loss(contrast: Float[Array, "c z y x"], tilts: Float[Array, "view 1 2"]) -> Float[Array, ""]:
        return jnp.mean((jnp.sqrt(_images(camera, contrast, tilts) + 1e-6) - 0.9) ** 2)

    return jax.jit(jax.value_and_grad(loss))


def _loop(field: Complex[Array, "wave y x"], count: int) -> Callable[[], Any]:
    """Create a function of ``count`` transforms of all waves, forward and inverse in turns."""

    def pair(_: Any, wave: Complex[Array, "wave y x"]) -> Complex[Array, "wave y x"]:
        return jnp.fft.fft2(jnp.fft.ifft2(wave))

    def transform_all(wave: Complex[Array, "wave y x"]) -> Complex[Array, "wave y x"]:
        wave = lax.fori_loop(0, count // 2, pair, wave)
        return jnp.fft.ifft2(wave) if count % 2 else wave

    compiled = jax.jit(transform_all)
    return lambda: compiled(field)


def paired(ours: Callable[[], Any], bare: Callable[[], Any], repeats: int) -> dict[str, float]:
    """Time two functions in turns: ratios of wall and CPU time (median, least, largest), and median times."""
    jax.block_until_ready((ours(), bare()))
    wall, cpu, seconds = [], [], []
    for _ in range(repeats):
        first, second = _timed(ours), _timed(bare)
        wall.append(first[0] / second[0])
        cpu.append(first[1] / second[1])
        seconds.append((first[0], second[0]))
    mine, needed = np.median(np.array(seconds), axis=0)
    return {
        "ratio": float(np.median(wall)),
        "cpu_ratio": float(np.median(cpu)),
        "least": float(min(wall)),
        "most": float(max(wall)),
        "seconds": float(mine),
        "transforms_seconds": float(needed),
    }


def _timed(function: Callable[[], Any]) -> tuple[float, float]:
    """Measure wall and CPU time [s]."""
    wall, cpu = time.perf_counter(), time.process_time()
    jax.block_until_ready(function())
    return time.perf_counter() - wall, time.process_time() - cpu
