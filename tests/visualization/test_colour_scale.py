"""Colours of a specimen: one scale in every picture of it."""

import gc
import weakref

import numpy as np
import pytest

from unflat.recon.experiments.crystal.figures import draw_slices
from unflat.recon.sampled import Quantity
from unflat.recon.visualization import depth_montage, orthogonal_slices, projection_figure, spin_frames
from unflat.recon.visualization.colour_scale import ColourScale, choose_scale
from unflat.recon.visualization.specimen_scale import colour_scale
from unflat.recon.visualization.style import INK
from unflat.recon.volume import Volume

STRAIN = Quantity("strain", "1", "")
PHASE = Quantity("phase", "rad", "")


def crystal() -> Volume:
    """A ball whose strain grows along x, with a few spikes at its rim."""
    axis = (np.arange(25) - 12) * 1e-8
    z, y, x = np.meshgrid(axis, axis, axis, indexing="ij")
    inside = np.sqrt(z**2 + y**2 + x**2) < 9e-8
    strain = np.where(inside, 1e-4 * x / 9e-8, 0).astype(np.float32)
    strain[12, 12, 20:22] = 5e-3
    values = {"amplitude": inside.astype(np.float32), "strain": strain, "support": inside.astype(np.uint8)}
    return Volume("crystal", axis, axis, axis, values, tuple(Quantity(name, "1", "") for name in values))


def test_a_crystal_has_one_scale_of_strain_in_all_figures() -> None:
    volume = crystal()
    scale = colour_scale(volume, "strain")
    assert (scale.colours, scale.diverging, scale.mark) == ("RdBu_r", True, INK)
    assert -scale.low == scale.high == pytest.approx(1e-4, rel=0.15)  # Apart from the spikes, and the zeros outside.
    figures = [
        draw_slices(volume, "strain", scale),
        orthogonal_slices(volume, (0.0, 5e-8, 0.0), quantity="strain", size=30),
        projection_figure(volume, 0.3, quantity="strain", size=30),
        depth_montage(volume, [0.0, 5e-8], quantity="strain", size=30),
    ]
    for figure in figures:
        images = [image for axes in figure.axes for image in axes.get_images() if image.get_array().ndim == 2]
        assert {image.get_clim() for image in images} == {scale.limits}
        assert {image.cmap.name for image in images} == {"RdBu_r"}
    chosen = orthogonal_slices(volume, quantity="strain", limits=(-1, 2), size=30).axes[0].images[0]
    assert (chosen.get_clim(), chosen.cmap.name) == ((-1, 2), "RdBu_r")
    (frame,) = list(spin_frames(volume, 1, quantity="strain", size=96, samples=24))
    assert np.ptp(frame[1, 1].astype(int)) < 5  # White is 0: outside the crystal.
    assert frame[1, 1].min() > 230


def test_the_scale_of_a_volume_ends_at_its_samples() -> None:
    assert colour_scale(crystal(), "amplitude").limits == (0, 1)  # Splines overshoot a sharp edge.


def test_scales_are_chosen_by_unit_and_sign() -> None:
    ramp = np.linspace(-3, 3, 1000)
    assert choose_scale(PHASE, 1.04 * ramp) == ColourScale(-np.pi, np.pi, "twilight")
    small = choose_scale(PHASE, 0.1 * ramp)
    assert (small.colours, small.diverging) == ("RdBu_r", True)
    assert small.high == pytest.approx(0.3, rel=0.02)
    assert choose_scale(PHASE, 3 * ramp).colours == "RdBu_r"
    assert choose_scale(STRAIN, ramp + 3).colours == "inferno"
    spread = choose_scale(Quantity("uncertainty_strain", "1", ""), np.abs(ramp))
    assert (spread.low, spread.colours) == (0, "viridis")
    assert spread.high == pytest.approx(3, rel=0.02)
    assert choose_scale(Quantity("uncertainty_strain", "1", ""), np.zeros(4)).high > 0


def test_scales_do_not_keep_a_specimen() -> None:
    volume = crystal()
    assert colour_scale(volume) is colour_scale(volume)
    reference = weakref.ref(volume)
    del volume
    gc.collect()
    assert reference() is None
