"""Signs that a file is still being written."""

from pathlib import Path

import h5py
import numpy as np
import pytest
import tifffile

from unflat.recon.io.completeness import find_unfinished, is_temporary


def write_hdf5(path: Path, libver: str | None = None, user_block: int = 0) -> Path:
    with h5py.File(path, "w", libver=libver, userblock_size=user_block) as file:
        file["counts"] = np.arange(5000.0)
    return path


@pytest.mark.parametrize(("libver", "user_block"), [("earliest", 0), ("v108", 0), ("latest", 0), (None, 2048)])
def test_an_hdf5_file_is_whole_when_it_has_its_end(tmp_path: Path, libver: str | None, user_block: int) -> None:
    file = write_hdf5(tmp_path / "a.h5", libver, user_block)
    assert find_unfinished(file) is None
    whole = file.read_bytes()
    for size in (0, 4, 30, 2100, len(whole) - 1):
        file.write_bytes(whole[:size])
        sign = find_unfinished(file)
        assert sign is not None, size
        assert not sign.is_open


def test_an_hdf5_file_that_is_open_for_writing_is_not_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["counts"] = np.arange(5000.0)
        file.flush()
        sign = find_unfinished(path)
        assert sign is not None
    assert find_unfinished(path) is None
    with h5py.File(path, "r"):
        assert find_unfinished(path) is None, "readers do not count"


def test_an_hdf5_file_that_grows_while_it_is_read_is_not_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w", libver="latest") as file:
        counts = file.create_dataset("counts", (1, 8), maxshape=(None, 8), chunks=(1, 8), dtype="f4")
        file.swmr_mode = True
        counts.resize(2, axis=0)
        counts.flush()
        sign = find_unfinished(path)
        assert sign is not None
        assert sign.is_open
    assert find_unfinished(path) is None


def test_other_formats_lack_their_end_too(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", counts=np.arange(100))
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((64, 64), np.uint16))
    tifffile.imwrite(tmp_path / "big.tif", np.zeros((64, 64), np.uint16), bigtiff=True, byteorder=">")
    for file in tmp_path.iterdir():
        assert find_unfinished(file) is None, file
        file.write_bytes(file.read_bytes()[:-300])
    assert find_unfinished(tmp_path / "a.npz") is not None
    (tmp_path / "a.tif").write_bytes(b"II*\0\0\0\0\0")
    assert find_unfinished(tmp_path / "a.tif") is not None


def test_a_folder_is_whole_when_its_files_are(tmp_path: Path) -> None:
    assert find_unfinished(tmp_path) is not None, "an empty one"
    write_hdf5(tmp_path / "a.h5")
    assert find_unfinished(tmp_path) is None
    (tmp_path / ".b.h5.AbC12").write_bytes(b"")
    sign = find_unfinished(tmp_path)
    assert sign is not None
    assert ".b.h5.AbC12" in sign.reason


@pytest.mark.parametrize("name", [".x.h5.AbC12", "x.h5.part", "x.h5.TMP", "x.h5.filepart", "x.h5~", ".nfs0001"])
def test_names_of_copies_under_way_are_temporary(name: str) -> None:
    assert is_temporary(name)
    assert not is_temporary("part_tmp.h5")
