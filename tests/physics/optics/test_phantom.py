"""Published SSNP phantom: statistics of its images by another code, to three digits."""

from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tifffile

from unflat.physics.optics.illumination import PlaneWaves
from unflat.physics.optics.image_formation import ImageFormation
from unflat.physics.optics.lattice import Lattice

VOXEL, WAVELENGTH, APERTURE = 0.1e-6, 500e-9, 0.65


@pytest.fixture(scope="module")
def phantom(request: pytest.FixtureRequest) -> np.ndarray:
    shared: Path = request.getfixturevalue("shared_data")
    path = shared / "cells" / "ssnp_phantom.tif"
    if not path.is_file():
        pytest.skip(f"no {path}")
    values: np.ndarray = tifffile.imread(path).astype(np.float32) / 65535 * 0.01
    return values


def ring_on_the_grid(size: int) -> np.ndarray:
    """Eight tilts of the objective's aperture, truncated towards zero to the Fourier grid as in that code."""
    angles = 2 * np.pi * np.arange(8) / 8
    cycles = np.stack([np.sin(angles), np.cos(angles)], axis=1) * APERTURE / WAVELENGTH
    return np.trunc(cycles * size * VOXEL) / (size * VOXEL) * WAVELENGTH


@partial(jax.jit, static_argnums=0)
def image_of(camera: ImageFormation, contrast: jax.Array, tilt: jax.Array, focus: jax.Array) -> jax.Array:
    light = PlaneWaves(tilt[None, None], jnp.ones((1, 1), tilt.dtype), focus[None])
    return camera.images(contrast, light, jnp.zeros(0, tilt.dtype))[0]


@pytest.mark.slow
def test_the_images_have_the_published_numbers(phantom: np.ndarray) -> None:
    """That code scatters behind each slice and refocuses by half the thickness, one slice before z = 0 here."""
    size = phantom.shape[-1]
    lattice = Lattice(phantom.shape, (VOXEL,) * 3, WAVELENGTH, 1.0)
    camera = ImageFormation(lattice, APERTURE, "ssnp", (size, size), sharp_rim=True)  # as its pupil is
    focus = np.float32(lattice.cycles(-VOXEL))
    tilts = ring_on_the_grid(size).astype(np.float32)
    images = np.stack([image_of(camera, phantom[None], tilt, focus) for tilt in tilts])
    assert images.min() == pytest.approx(0.3188, abs=1e-3)
    assert images.max() == pytest.approx(1.9385, abs=1e-3)
    assert images.std() == pytest.approx(0.1837, abs=1e-4)
