"""Both scattering models against Mie's exact theory of a sphere.

The far field of the scattered wave is S(θ) e^(ikr)/(−ikr); by Weyl's integral its angular spectrum in the plane z = 0
is 2πi f/k_z with f = iS/k. Scalar light scatters as the polarisation does that stands across the plane of scattering,
S1: the other has a further cos θ.
"""

from functools import partial

import jax
import jax.numpy as jnp
import miepython
import numpy as np
import pytest

from unflat.physics.optics.illumination import PlaneWaves
from unflat.physics.optics.image_formation import ImageFormation
from unflat.physics.optics.lattice import Lattice
from unflat.physics.phantoms.cells import ball

WAVELENGTH, MEDIUM, APERTURE = 532e-9, 1.33, 1.0
WAVENUMBER = 2 * np.pi * MEDIUM / WAVELENGTH
RADIUS = 1.5e-6


def amplitude(radius: float, index: complex, cosines: np.ndarray) -> np.ndarray:
    """Compute S1 of Bohren & Huffman for e^(−iωt); the package has the other sign of time and of absorption."""
    relative = np.conj(index) / MEDIUM
    some, places = np.unique(np.round(cosines, 7), return_inverse=True)
    first, _ = miepython.S1_S2(relative, WAVENUMBER * radius, some, norm="wiscombe")
    result: np.ndarray = np.conj(first)[places]
    return result


@partial(jax.jit, static_argnums=0)
def scattered(camera: ImageFormation, contrast: jax.Array, tilt: jax.Array) -> jax.Array:
    light = PlaneWaves(tilt[None, None], jnp.ones((1, 1), tilt.dtype), jnp.zeros(1, tilt.dtype))
    return camera.fields(contrast, light, jnp.zeros(0, tilt.dtype))[0, 0] - 1


def spectra(scattering: str, radius: float, index: complex, tilt: tuple[float, float]) -> tuple[np.ndarray, np.ndarray]:
    """Compute the angular spectrum within the aperture, by the model and by Mie."""
    depth = 0.05e-6 if scattering == "ssnp" else 0.1e-6  # SSNP samples the wave itself along z
    slices = 2 * int(np.ceil((radius + 0.15e-6) / depth))
    lattice = Lattice((slices, 144, 144), (depth, 0.1e-6, 0.1e-6), WAVELENGTH, MEDIUM)
    bead = ball(radius, 1 + MEDIUM, MEDIUM).sample(*lattice.axes)[None]
    contrast = np.concatenate([bead * (index.real - MEDIUM), bead * index.imag])
    contrast = contrast if index.imag else contrast[:1]
    camera = ImageFormation(lattice, APERTURE, scattering, lattice.shape[1:])
    wave = np.asarray(scattered(camera, contrast.astype(np.float32), np.array(tilt, np.float32)))
    result = np.fft.fft2(np.fft.ifftshift(wave)) * lattice.pitch[1] * lattice.pitch[2]

    sy, sx = lattice.sines
    sine = (sy + tilt[0]) ** 2 + (sx + tilt[1]) ** 2
    inside = sine < (0.95 * APERTURE / MEDIUM) ** 2  # clear of the pupil's rim
    cosine = np.sqrt(1 - np.where(inside, sine, 0))
    angle = (sy + tilt[0]) * tilt[0] + (sx + tilt[1]) * tilt[1] + cosine * np.sqrt(1 - np.sum(np.square(tilt)))
    far = 1j * amplitude(radius, index, angle[inside]) / WAVENUMBER
    return result[inside], 2j * np.pi * far / (WAVENUMBER * cosine[inside])


def test_the_reference_obeys_the_optical_theorem_and_borns_limit() -> None:
    """Both fix the package's normalisation and sign of time."""
    there = amplitude(0.3e-6, 1.36 + 0j, np.array([1.0]))[0]
    size = WAVENUMBER * 0.3e-6
    extinction = miepython.efficiencies_mx(1.36 / MEDIUM, size)[0]
    assert 4 / size**2 * there.real == pytest.approx(extinction, rel=1e-6)
    weak = 1j * amplitude(0.3e-6, MEDIUM + 1e-5 + 0j, np.array([1.0]))[0] / WAVENUMBER
    volume = 4 / 3 * np.pi * 0.3e-6**3
    born = (2 * np.pi / WAVELENGTH) ** 2 * ((MEDIUM + 1e-5) ** 2 - MEDIUM**2) * volume / (4 * np.pi)
    assert weak.real == pytest.approx(born, rel=1e-3)


@pytest.mark.parametrize("tilt", [(0.0, 0.0), (0.25, -0.35)])
@pytest.mark.parametrize("index", [1.35, 1.38, 1.36 + 0.003j])
@pytest.mark.parametrize(("scattering", "tolerance"), [("ssnp", 0.02), ("multislice", 0.03)])
def test_a_bead_scatters_by_mies_theory(
    scattering: str, tolerance: float, index: complex, tilt: tuple[float, float]
) -> None:
    """A bead of 3 µm agrees in amplitude and phase, in every direction within the aperture."""
    result, exact = spectra(scattering, RADIUS, complex(index), tilt)
    assert np.linalg.norm(result - exact) < tolerance * np.linalg.norm(exact)


@pytest.mark.parametrize(("scattering", "tolerance"), [("ssnp", 0.03), ("multislice", 0.03)])
def test_a_bead_smaller_than_the_wavelength_scatters_by_mies_theory(scattering: str, tolerance: float) -> None:
    """In every direction: multi-slice too divides by the cosine of the scattered wave."""
    result, exact = spectra(scattering, 0.35e-6, 1.38 + 0j, (0.0, 0.0))
    assert np.linalg.norm(result - exact) < tolerance * np.linalg.norm(exact)
