"""Condenser: sources spread evenly, halves of equal light, and images close to those under very many sources."""

import numpy as np
import pytest

from unflat.physics.optics.condenser import condenser_sources, half_of, source_count
from unflat.physics.optics.lattice import Lattice
from unflat.physics.optics.microscope import Illumination, Microscope
from unflat.recon.experiments.cell.imaging import simulate_images

DIRECTIONS = ((1.0, 0.0), (-1.0, 0.0), (0.0, 1.0), (0.0, -1.0))


@pytest.mark.parametrize(("inner", "count"), [(0.0, 36), (0.0, 101), (0.2, 40)])
def test_sources_fill_the_aperture_evenly(inner: float, count: int) -> None:
    sources = condenser_sources(0.3, count, inner)
    radius = np.hypot(*sources.T)
    assert len(sources) == 4 * -(-count // 4)
    assert inner < radius.min() < radius.max() < 0.3
    np.testing.assert_allclose(sources.mean(axis=0), 0, atol=1e-15)
    moment = (0.3**2 + inner**2) / 4  # Mean square along an axis of a disc, and of an annulus.
    np.testing.assert_allclose((sources**2).mean(axis=0), moment, rtol=1e-12)
    for share in (0.25, 0.5, 0.75):  # As many sources as area within each circle.
        within = radius**2 < inner**2 + share * (0.3**2 - inner**2)
        assert within.mean() == pytest.approx(share, abs=2.1 / len(sources) + 0.02)


def test_each_half_holds_half_of_the_light() -> None:
    sources = condenser_sources(0.3, 44)
    halves = [half_of(sources, direction) for direction in DIRECTIONS]
    assert [half.sum() for half in halves] == [22] * 4
    assert (halves[0] ^ halves[1]).all()
    assert (sources[halves[0], 0] > 0).all()
    assert (sources[halves[3], 1] < 0).all()


def test_wider_light_and_more_defocus_need_more_sources() -> None:
    light = {"numerical_aperture": 0.5, "wavelength": 0.5e-6, "medium_index": 1.33}
    counts = [source_count(na, defocus=z, **light) for na, z in ((0.3, 0.0), (0.3, 4e-6), (0.5, 10e-6), (0.5, 1e-3))]
    assert counts == sorted(counts)
    assert counts[0] == 32
    assert counts[-1] == 144


def test_images_are_close_to_those_under_very_many_sources() -> None:
    """Half of a matched condenser is the hardest light: its contrast comes from sources near the rim."""
    z, y, x = np.meshgrid(*(np.arange(-n // 2, n // 2) * 0.25 for n in (8, 32, 32)), indexing="ij")
    ball = np.where(z**2 + y**2 + x**2 < 0.9**2, 0.06, 0.0)
    lattice = Lattice(ball.shape, (0.25e-6,) * 3, 0.532e-6, 1.333, 0.0, 1)
    microscope = Microscope(0.532e-6, 0.5, 1.333, (0.25e-6, 0.25e-6))

    def image(count: int) -> np.ndarray:
        sources = condenser_sources(0.5, count)
        sources = sources[half_of(sources, (1.0, 0.0))]
        light = Illumination(sources[None], np.ones((1, len(sources))), np.array([3e-6]))
        return simulate_images(ball[None], lattice, microscope, light, (32, 32), scattering="multislice")

    fine = image(400)
    error = float(np.sqrt(((image(source_count(0.5, 0.5, 0.532e-6, 1.333, 3e-6)) - fine) ** 2).mean()))
    assert error < 0.2 * float(fine.std())
    assert error < 0.005
