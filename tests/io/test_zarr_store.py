"""Zarr stores and OME-Zarr images."""

import builtins
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from unflat.recon.config.entries import Entry
from unflat.recon.config.source import Source
from unflat.recon.errors import DataError
from unflat.recon.io.image_axes import ImageChoice
from unflat.recon.io.inspect import describe
from unflat.recon.io.open import open_tree
from unflat.recon.io.read import read_file

zarr = pytest.importorskip("zarr")

STACK = np.random.default_rng(0).integers(1, 999, (2, 4, 6, 8)).astype(np.uint16)
SCHEMA = (Entry("images", "/measurement/images", (("view", "y", "x"),), "counts", "images", required=True),)
AXES = [
    {"name": "c", "type": "channel"},
    {"name": "z", "type": "space", "unit": "micrometer"},
    {"name": "y", "type": "space", "unit": "micrometer"},
    {"name": "x", "type": "space", "unit": "micrometer"},
]


def images(path: Path, source: str = "/measurement/images", **choice: Any) -> np.ndarray:
    sources = {"images": Source.parse(source)}
    return read_file(path, SCHEMA, sources, "cell", choice=ImageChoice(**choice))["images"]


def write_image(group: Any, stack: np.ndarray, version: int, name: str = "") -> None:
    """Write an OME-Zarr image of two resolutions into a group."""
    for level, array in enumerate((stack, stack[..., ::2, ::2])):
        stored = group.create_array(str(level), shape=array.shape, chunks=(1, 1, *array.shape[2:]), dtype=array.dtype)
        stored[:] = array
    scale = {"coordinateTransformations": [{"type": "scale", "scale": [1, 0.5, 0.2, 0.1]}]}
    described = {
        "multiscales": [{"axes": AXES, "name": name, "datasets": [{"path": str(i), **scale} for i in range(2)]}],
        "omero": {"channels": [{"label": "membrane"}, {"label": "DNA"}]},
    }
    group.attrs.update({"ome": {"version": "0.5", **described}} if version == 3 else described)


@pytest.mark.parametrize("version", [2, 3])
def test_an_ome_zarr_is_read_in_full_resolution(tmp_path: Path, version: int) -> None:
    path = tmp_path / "a.zarr"
    write_image(zarr.open_group(path, mode="w", zarr_format=version), STACK, version)
    with pytest.raises(DataError, match=r"2 channels \(0 membrane, 1 DNA\)"):
        images(path)
    np.testing.assert_array_equal(images(path, channel="DNA"), STACK[1])
    with open_tree(path) as tree:
        sizes = {name: array.read() for name in ("/instrument/pixel_size", "/plane_z") if (array := tree.array(name))}
    np.testing.assert_allclose(sizes["/instrument/pixel_size"], [0.2e-6, 0.1e-6])
    np.testing.assert_allclose(sizes["/plane_z"], [-1e-6, -0.5e-6, 0, 0.5e-6])
    assert any("channel 2 (0 membrane, 1 DNA), plane 4, y 6, x 8" in line for line in describe(path))


def test_images_of_a_store_are_positions(tmp_path: Path) -> None:
    root = zarr.open_group(tmp_path / "a.zarr", mode="w")
    for number in range(2):
        write_image(root.create_group(f"A/1/{number}"), STACK + number, 3, name=f"Pos{number}")
        write_image(root.create_group(f"A/1/{number}/labels/cells"), STACK, 3)
    np.testing.assert_array_equal(images(tmp_path / "a.zarr", position="Pos1", channel=0), STACK[0] + 1)


def test_an_array_is_read_by_its_path_and_names_of_its_axes(tmp_path: Path) -> None:
    root = zarr.open_group(tmp_path / "a.zarr", mode="w", zarr_format=2)
    array = root.create_array("raw/I", shape=STACK.shape, dtype=STACK.dtype)
    array[:] = STACK
    np.testing.assert_array_equal(images(tmp_path / "a.zarr", "/raw/I[1]"), STACK[1])
    array.attrs["_ARRAY_DIMENSIONS"] = ["channel", "time", "y", "x"]
    np.testing.assert_array_equal(images(tmp_path / "a.zarr", "/raw/I", channel=1), STACK[1])


def test_a_single_array_is_a_store(tmp_path: Path) -> None:
    zarr.save_array(tmp_path / "a.zarr", STACK[0])
    np.testing.assert_array_equal(images(tmp_path / "a.zarr"), STACK[0])
    shutil.make_archive(str(tmp_path / "b.zarr"), "zip", tmp_path / "a.zarr")
    np.testing.assert_array_equal(images(tmp_path / "b.zarr.zip"), STACK[0])


def test_chunks_that_are_absent_are_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    array = zarr.open_array(tmp_path / "a.zarr", mode="w", shape=(4, 6, 8), chunks=(1, 6, 8), dtype="u2")
    array[:3] = STACK[0, :3]
    np.testing.assert_array_equal(images(tmp_path / "a.zarr")[3], 0)
    assert "1 of 4 chunks are not stored, and read as 0" in caplog.text


def test_the_package_that_is_needed_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    zarr.save_array(tmp_path / "a.zarr", STACK[0])
    original = builtins.__import__

    def absent(name: str, *rest: Any, **options: Any) -> Any:
        if name == "zarr":
            raise ImportError(name)
        return original(name, *rest, **options)

    monkeypatch.setattr(builtins, "__import__", absent)
    with pytest.raises(DataError, match=r"pip install 'unflat\[zarr\]'"):
        images(tmp_path / "a.zarr")
