"""Rotation-invariant descriptor: that of a ball, invariance, and published ones of real cells."""

import io
import re
import zipfile
from pathlib import Path

import numpy as np
import pytest
import tifffile

from unflat.physics.phantoms.red_blood_cells import Disc, Ellipsoid, PlacedSurface, random_cell, sample_occupancy
from unflat.recon.errors import DataError
from unflat.recon.metrics.descriptor import BANDS, SHELLS, descriptor_distance, shape_descriptor


def axis(count: int = 64, width: float = 11e-6) -> np.ndarray:
    return (np.arange(count) - count // 2) * width / count


def test_the_descriptor_of_a_ball_is_known() -> None:
    grid = axis()
    descriptor = shape_descriptor(sample_occupancy(Disc(4e-6, 1.0), grid, grid, grid))
    assert descriptor.shape == (SHELLS, BANDS)
    radius = np.arange(SHELLS) + 0.5
    # All of the surface lies 16 voxels from its middle.
    expected = radius * np.exp(-((radius - 16) ** 2) / 16)
    assert np.abs(descriptor[:, 0] - expected / expected.max()).max() < 0.13  # the surface is a raster of voxels
    np.testing.assert_allclose(descriptor[8:24, 0], descriptor[8:24, 2], atol=0.03)
    assert descriptor[:, 3:].max() < 0.06


def test_rotation_shift_and_size_make_no_difference() -> None:
    cell, grid = random_cell(11, "knizocyte", stretch=1.0), axis()
    plain = shape_descriptor(cell.occupancy(grid, grid, grid))
    turn = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))[0]
    moved = PlacedSurface(cell.surface, 0.85 * turn, np.array([0.4e-6, -0.3e-6, 0.2e-6]))
    other = shape_descriptor(sample_occupancy(moved, grid, grid, grid))
    far = shape_descriptor(sample_occupancy(Ellipsoid((2e-6, 4e-6, 4e-6)), grid, grid, grid))
    assert descriptor_distance(plain, other) < 0.2
    assert descriptor_distance(plain, far) > 3 * descriptor_distance(plain, other)


def test_anisotropic_samples_make_no_difference() -> None:
    shape, grid, coarse = Ellipsoid((2e-6, 3e-6, 4e-6)), axis(), axis(32)
    even = shape_descriptor(sample_occupancy(shape, grid, grid, grid))
    uneven = shape_descriptor(sample_occupancy(shape, coarse, grid, grid), (2.0, 1.0, 1.0))
    assert descriptor_distance(even, uneven) < 0.15


def test_an_empty_volume_has_no_descriptor() -> None:
    with pytest.raises(DataError, match="no surface"):
        shape_descriptor(np.zeros((8, 8, 8)))


def test_real_cells_have_the_published_descriptor(shared_data: Path) -> None:
    published = np.load(shared_data / "shapes" / "shape_descriptors_827.npz")["descriptor"].reshape(-1, SHELLS, BANDS)
    with zipfile.ZipFile(shared_data / "shapes" / "red_blood_cells_108.zip") as archive:
        names = [name for name in archive.namelist() if "/obj/" in name][5::20]
        volumes = [tifffile.imread(io.BytesIO(archive.read(name))) / np.float32(255) for name in names]
    numbers = [int(re.findall(r"\d+", name)[-1]) for name in names]
    for number, volume in zip(numbers, volumes, strict=True):
        descriptor = shape_descriptor(volume)
        own = published[number]
        assert np.corrcoef(descriptor.ravel(), own.ravel())[0, 1] > 0.97
        assert descriptor_distance(descriptor, own) < 0.2 * np.sqrt((own**2).sum())
