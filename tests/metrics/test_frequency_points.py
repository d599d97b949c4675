"""Points and share of the band outside the missing cone: against random points and the bounds of all directions."""

import numpy as np
import pytest

from unflat.recon.metrics.frequency_points import ball_points, band_points, band_share
from unflat.recon.metrics.missing_cone import Aperture, axial_bounds

APERTURES = [Aperture(532e-9, 1.333, light, na) for light, na in ((0.58, 0.65), (0.58, 0.1), (0.1, 0.12))]


def in_band(points: np.ndarray, aperture: Aperture) -> np.ndarray:
    w, rho = points[:, 0], np.hypot(points[:, 1], points[:, 2])
    low, high = axial_bounds(rho, aperture)
    radius = (aperture.illumination_na + aperture.numerical_aperture) / aperture.wavelength
    within = ((w >= low) & (w <= high)) | ((-w >= low) & (-w <= high))
    return np.asarray(within & (np.linalg.norm(points, axis=1) <= radius * (1 + 1e-9)))


@pytest.mark.parametrize("aperture", APERTURES)
def test_the_band_is_that_of_random_points(aperture: Aperture) -> None:
    radius = (aperture.illumination_na + aperture.numerical_aperture) / aperture.wavelength
    cube = np.random.default_rng(0).uniform(-radius, radius, (400_000, 3))
    points = cube[np.linalg.norm(cube, axis=1) <= radius]
    own = points[in_band(points, aperture)]
    assert band_share(aperture) == pytest.approx(len(own) / len(points), rel=0.03)
    even = band_points(aperture)
    scale = radius * 1e-6
    assert in_band(even + np.array([scale, 0, 0]) * -np.sign(even[:, :1]), aperture).mean() > 0.99
    for axis in range(3):
        assert np.abs(even[:, axis]).mean() == pytest.approx(np.abs(own[:, axis]).mean(), rel=0.03)


def test_light_along_the_axis_has_no_band() -> None:
    aperture = Aperture(532e-9, 1.333, 0.0, 0.65)
    assert band_share(aperture) == 0
    assert len(band_points(aperture)) == 0


def test_points_fill_a_ball_evenly() -> None:
    points = ball_points(2.0)
    assert np.allclose((points**2).mean(axis=0), 4 / 5, rtol=0.01)
    assert np.mean(np.linalg.norm(points, axis=1) < 1) == pytest.approx(1 / 8, rel=0.01)
