"""Pupil: Zernike polynomials after Noll, rim and aberrations."""

from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unflat.physics.optics.lattice import Lattice
from unflat.physics.optics.propagation import kernel
from unflat.physics.optics.pupil import (
    FIRST_ZERNIKE,
    incident_transmission,
    noll,
    pupil,
    pupil_edge_coverage,
    relative_brightness,
    zernike,
)

WATER = Lattice((4, 32, 48), (0.3e-6, 0.15e-6, 0.15e-6), 532e-9, 1.33)
NONE = np.zeros(0)

# Noll, JOSA 66, 207 (1976), table I: radial order, and azimuthal order with the sign of the sine's made negative.
TABLE = {
    1: (0, 0),
    2: (1, 1),
    3: (1, -1),
    4: (2, 0),
    5: (2, -2),
    6: (2, 2),
    7: (3, -1),
    8: (3, 1),
    9: (3, -3),
    10: (3, 3),
    11: (4, 0),
    12: (4, 2),
    13: (4, -2),
    14: (4, 4),
    15: (4, -4),
    16: (5, 1),
    17: (5, -1),
    18: (5, 3),
    19: (5, -3),
    20: (5, 5),
    21: (5, -5),
    22: (6, 0),
}


@pytest.fixture(autouse=True)
def double() -> Iterator[None]:
    with jax.enable_x64(True):
        yield


@pytest.mark.parametrize("j", TABLE)
def test_the_order_is_that_of_nolls_table(j: int) -> None:
    assert noll(j) == TABLE[j]


def test_polynomials_are_those_of_the_books() -> None:
    y, x = np.random.default_rng(0).uniform(-0.7, 0.7, (2, 50))
    r, angle = np.hypot(y, x), np.arctan2(y, x)
    for j, expected in {
        1: np.ones_like(r),
        2: 2 * x,
        3: 2 * y,
        4: np.sqrt(3) * (2 * r**2 - 1),
        5: np.sqrt(6) * r**2 * np.sin(2 * angle),
        8: np.sqrt(8) * (3 * r**3 - 2 * r) * np.cos(angle),
        11: np.sqrt(5) * (6 * r**4 - 6 * r**2 + 1),
        14: np.sqrt(10) * r**4 * np.cos(4 * angle),
        22: np.sqrt(7) * (20 * r**6 - 30 * r**4 + 12 * r**2 - 1),
    }.items():
        np.testing.assert_allclose(zernike(j, jnp.asarray(y), jnp.asarray(x)), expected, atol=1e-12)


def test_polynomials_are_orthonormal_over_the_disc() -> None:
    """By an exact quadrature: Gauss in r², uniform in the angle."""
    nodes, weights = np.polynomial.legendre.leggauss(12)
    r, angles = np.sqrt((nodes + 1) / 2)[:, None], np.arange(24) * 2 * np.pi / 24
    y, x = jnp.asarray(r * np.sin(angles)), jnp.asarray(r * np.cos(angles))
    values = np.stack([zernike(j, y, x) for j in range(1, 29)])
    gram = np.einsum("ira,jra,r->ij", values, values, weights / 2 / 24)
    np.testing.assert_allclose(gram, np.eye(28), atol=1e-11)


def test_gradients_are_finite_at_the_centre() -> None:
    for j in range(2, 16):
        slopes = jax.grad(lambda p, j=j: zernike(j, p[0], p[1]))(jnp.zeros(2))
        assert np.all(np.isfinite(slopes))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@given(st.floats(0, 2 * np.pi), st.sampled_from([0.25, 0.65, 0.9]))
@settings(max_examples=20, deadline=None)
def test_a_source_on_the_rim_passes_and_one_beside_it_does_not(dtype: type, azimuth: float, aperture: float) -> None:
    for share, seen in ((0.999, 1), (1.0, 1), (1.001, 0)):
        sine = share * aperture / 1.33
        tilt = jnp.asarray(np.array([sine * np.sin(azimuth), sine * np.cos(azimuth)]).astype(dtype))
        passed = pupil(WATER, aperture, tilt, jnp.asarray(NONE, dtype))
        assert complex(passed[0, 0]) == seen


@pytest.mark.parametrize("tilt", [(0.0, 0.0), (0.2, -0.35)])
def test_the_pupil_passes_the_waves_within_its_aperture(tilt: tuple[float, float]) -> None:
    """Entirely, except for the cells of frequencies that the rim crosses."""
    sy, sx = WATER.sines
    aperture = np.hypot(sy + tilt[0], sx + tilt[1]) * 1.33
    light, none = jnp.asarray(tilt), jnp.asarray(NONE)
    sharp, smooth = (np.abs(pupil(WATER, 0.7, light, none, sharp)) for sharp in (True, False))
    np.testing.assert_array_equal(sharp, aperture <= 0.7)
    cell = np.hypot(sy[1, 0], sx[0, 1]) * 1.33
    clear = np.abs(aperture - 0.7) > cell / 2
    np.testing.assert_array_equal(smooth[clear], sharp[clear])
    assert np.any((smooth[~clear] > 0.1) & (smooth[~clear] < 0.9))


@given(st.floats(-0.3, 0.3), st.floats(-0.3, 0.3), st.floats(0.4, 0.8))
@settings(max_examples=30, deadline=None)
def test_the_pupils_area_does_not_depend_on_where_the_samples_are(down: float, right: float, aperture: float) -> None:
    """Each sample passes the fraction of its cell inside the rim: the fractions sum to the disc.

    Within a cell the rim is assumed straight, an error of up to 2 % for a disc of about ten cells. The
    incident wave is a single frequency.
    """
    sy, sx = (jnp.asarray(s) for s in WATER.sines)
    share = pupil_edge_coverage(WATER, aperture, sy, sx, jnp.array([down, right]))
    area = float(jnp.sum(share)) * float(sy[1, 0] * sx[0, 1])
    assert area == pytest.approx(np.pi * (aperture / 1.33) ** 2, rel=0.02)


@given(st.lists(st.floats(-2, 2), min_size=1, max_size=8), st.floats(-0.4, 0.4))
@settings(max_examples=15, deadline=None)
def test_aberrations_conserve_energy_and_apply_to_the_incident_wave(phases: list[float], tilt: float) -> None:
    light, aberrations = jnp.array([tilt, -0.1]), jnp.array(phases)
    clear, blurred = (pupil(WATER, 0.7, light, a) for a in (jnp.asarray(NONE), aberrations))
    np.testing.assert_allclose(np.abs(blurred), np.abs(clear), atol=1e-12)
    assert complex(incident_transmission(WATER, 0.7, light, aberrations)) == pytest.approx(complex(blurred[0, 0]))


def test_the_first_coefficient_is_a_defocus() -> None:
    """At a low aperture 2π f (√(1 − s²) − 1) ≈ −π f s², which is a multiple of r² and hence of Z4."""
    lattice = Lattice((1, 64, 64), (1e-6, 2e-6, 2e-6), 500e-9, 1.0)
    aperture, cycles = 0.08, 60.0
    assert FIRST_ZERNIKE == 4
    coefficient = -np.pi * cycles * aperture**2 / (2 * np.sqrt(3))
    blurred = np.asarray(pupil(lattice, aperture, jnp.zeros(2), jnp.array([coefficient]), sharp=True))
    defocused = np.asarray(kernel(lattice, jnp.zeros(2), cycles)) * (np.abs(blurred) > 0)
    np.testing.assert_allclose(blurred / blurred[0, 0], defocused, atol=5e-3)


def test_brightness_is_relative_to_the_light_that_passes() -> None:
    """A view with sources of weights 1 and 3 inside and one outside, and a view with all sources outside."""
    inside, outside = (0.1, 0.2), (0.5, 0.4)
    tilts = jnp.array([[inside, (0.0, 0.0), outside], [outside, outside, outside]])
    result = relative_brightness(WATER, 0.7, tilts, jnp.array([[1.0, 3.0, 4.0], [1.0, 0.0, 1.0]]))
    np.testing.assert_allclose(result, [[0.25, 0.75, 1.0], [0.5, 0.0, 0.5]])
