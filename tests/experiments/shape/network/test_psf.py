"""Point-spread functions from files: resampling, focus, and pictures like those of the formula."""

from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
import tifffile

from unflat.physics.fluorescence import MicroscopePsf
from unflat.recon.errors import DataError
from unflat.recon.experiments.shape.cells import CellBatch
from unflat.recon.experiments.shape.network import refine
from unflat.recon.experiments.shape.network.psf import read_psf
from unflat.recon.experiments.shape.network.shape_code import encode, pixel_centres
from unflat.recon.io.volume_formats import save
from unflat.recon.sampled import Quantity
from unflat.recon.volume import Volume

STEPS, MOST = (2.0, 1.0, 1.0), (23, 63, 63)
LATERAL, AXIAL = 1.6, 3.0
VOXEL = 0.17e-6


def cells(count: int = 64, voxel: float | None = VOXEL) -> CellBatch:
    """Make a cell on a grid; its picture does not matter."""
    picture = np.ones((1, count, count), np.float32)
    size = None if voxel is None else (voxel, voxel, voxel)
    return CellBatch(picture, picture, ("a cell",), ("",), size)


def write_psf(path: Path, steps: tuple[float, float, float], unit: str, offset: int = 0) -> Path:
    """Write a Gaussian point-spread function of widths in pixels of 170 nm, on samples of a given size."""
    size = VOXEL if unit == "m" else 1.0
    axes = [np.arange(-n, n + 1) * step * size for n, step in zip((20, 16, 16), steps, strict=True)]
    z, y, x = np.meshgrid(*axes, indexing="ij")
    values = np.exp(-(((z / AXIAL) ** 2 + (y / LATERAL) ** 2 + (x / LATERAL) ** 2) / size**2) / 2)
    values = np.roll(values, offset, axis=0).astype(np.float32)
    volume = Volume("shape", *axes, {"psf": values}, (Quantity("psf", "1", "point-spread function"),), length_unit=unit)
    save(volume, path)
    return path


def widths(psf: np.ndarray) -> list[float]:
    """[pixel] Standard deviations along (z, y, x)."""
    deviations = []
    for axis, step in enumerate(STEPS):
        line = psf.sum(axis=tuple(a for a in range(3) if a != axis))
        places = (np.arange(len(line)) - len(line) // 2) * step
        deviations.append(float(np.sqrt((line * places**2).sum() / line.sum())))
    return deviations


@pytest.mark.parametrize(
    ("steps", "unit", "count"),
    [((1.0, 1.0, 1.0), "voxel", 64), ((0.8, 0.5, 0.5), "m", 64), ((1.4, 0.7, 0.7), "m", 64)],
)
def test_the_widths_are_those_of_the_file(
    tmp_path: Path, steps: tuple[float, float, float], unit: str, count: int
) -> None:
    psf = read_psf(write_psf(tmp_path / "psf.h5", steps, unit), cells(count), STEPS, MOST)
    assert psf.sum() == pytest.approx(1, rel=1e-5)
    assert all(n % 2 for n in psf.shape)
    np.testing.assert_allclose(widths(psf), (AXIAL, LATERAL, LATERAL), rtol=0.1)


def test_it_is_narrower_in_larger_pictures(tmp_path: Path) -> None:
    path = write_psf(tmp_path / "psf.h5", (1.0, 1.0, 1.0), "voxel")
    psf = read_psf(path, cells(128), (1.0, 0.5, 0.5), MOST)
    line = psf.sum(axis=(0, 1))
    places = (np.arange(len(line)) - len(line) // 2) * 0.5
    assert np.sqrt((line * places**2).sum()) == pytest.approx(LATERAL / 2, rel=0.1)


def test_the_focus_may_lie_beside_the_centre(tmp_path: Path) -> None:
    straight, moved = (
        read_psf(write_psf(tmp_path / f"{offset}.h5", (1.0, 1.0, 1.0), "voxel", offset), cells(), STEPS, MOST)
        for offset in (0, 5)
    )
    assert np.argmax(moved.sum(axis=(1, 2))) == moved.shape[0] // 2
    assert widths(moved) == pytest.approx(widths(straight), rel=0.1)


def test_pictures_are_those_of_the_formula(tmp_path: Path) -> None:
    heights = np.arange(64) - 32.0
    z, y, x = np.meshgrid(heights, pixel_centres(), pixel_centres(), indexing="ij")
    code = jnp.asarray(encode(np.sqrt(z**2 + y**2 + x**2) - 14, (heights, pixel_centres(), pixel_centres())))[None]
    psf = read_psf(write_psf(tmp_path / "psf.h5", (1.0, 1.0, 1.0), "voxel"), cells(), STEPS, MOST)
    strength = jnp.full(1, 3.0)
    simulated, expected = (
        np.asarray(refine.simulate_images(code, strength, blur))[0]
        for blur in (jnp.asarray(psf), MicroscopePsf(LATERAL, AXIAL, 0.0, 1.0))
    )
    np.testing.assert_allclose(simulated, expected, atol=0.05 * expected.max())


def test_a_plain_stack_is_sampled_as_the_pictures_are(tmp_path: Path) -> None:
    z, y, x = np.mgrid[-12:13, -8:9, -8:9]
    values = np.exp(-((z / AXIAL) ** 2 + (y / LATERAL) ** 2 + (x / LATERAL) ** 2) / 2).astype(np.float32)
    tifffile.imwrite(tmp_path / "psf.tif", values)
    psf = read_psf(tmp_path / "psf.tif", cells(voxel=None), STEPS, MOST)
    np.testing.assert_allclose(widths(psf), (AXIAL, LATERAL, LATERAL), rtol=0.1)


def test_files_without_a_psf_are_refused(tmp_path: Path) -> None:
    path = write_psf(tmp_path / "psf.h5", (1.0, 1.0, 1.0), "m")
    with pytest.raises(DataError, match="voxel_size"):
        read_psf(path, cells(voxel=None), STEPS, MOST)
    axes = [np.arange(3.0)] * 3
    for name, values in (("negative", -np.ones((3, 3, 3))), ("nothing", np.zeros((3, 3, 3)))):
        volume = Volume("shape", *axes, {"psf": values}, (Quantity("psf", "1", ""),), length_unit="voxel")
        save(volume, tmp_path / f"{name}.h5")
        with pytest.raises(DataError, match="brightest sample"):
            read_psf(tmp_path / f"{name}.h5", cells(), STEPS, MOST)
