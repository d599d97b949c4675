"""Opening our own HDF5 files: whatever is met while one is read is reported in one line, with its cause."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from unflat.recon.errors import DataError
from unflat.recon.io.hdf5_common import open_checked, read_json


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A small file with one compressed dataset and one group."""
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("values", data=np.arange(4096), chunks=(4096,), compression="gzip")
        file.create_group("group")
    return path


@pytest.mark.parametrize(
    "block",
    [
        lambda file: len(5),
        lambda file: int("no number"),
        lambda file: file["values"].no_such_attribute,
        lambda file: {}["no such key"],
        lambda file: np.zeros(3) + file["values"][()],
        lambda file: Path("/no/such/file").read_bytes(),
    ],
    ids=["TypeError", "ValueError", "AttributeError", "KeyError", "shapes", "another file"],
)
def test_errors_of_the_reading_code_keep_their_cause(path: Path, block: Callable[[Any], Any]) -> None:
    with pytest.raises(DataError) as caught, open_checked(path) as file:
        block(file)
    assert isinstance(caught.value.__cause__, TypeError | ValueError | AttributeError | KeyError | OSError)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(
    "block",
    [lambda file: file["absent"], lambda file: file["group"][()], lambda file: file["values"]["field"]],
    ids=["missing", "a group for a dataset", "a dataset for a group"],
)
def test_a_file_that_lacks_what_is_read_is_reported_with_its_path(path: Path, block: Callable[[Any], Any]) -> None:
    message = r"a\.h5(: cannot be read: it lacks 'absent'|: the HDF5 file is damaged|:/group: is a group)"
    with pytest.raises(DataError, match=message), open_checked(path) as file:
        block(file)


def test_a_damaged_chunk_is_reported(path: Path) -> None:
    with h5py.File(path) as file:
        start = file["values"].id.get_chunk_info(0).byte_offset
    with path.open("r+b") as stream:
        stream.seek(start)
        stream.write(b"\xff" * 50)
    with pytest.raises(DataError, match=r"a\.h5: cannot be read") as caught, open_checked(path) as file:
        file["values"][()]
    assert len(str(caught.value).splitlines()) == 1


def test_a_file_that_is_no_hdf5_is_reported(tmp_path: Path) -> None:
    (tmp_path / "a.h5").write_text("view,y,x\n")
    with pytest.raises(DataError, match=r"a\.h5: cannot be read.*not HDF5"), open_checked(tmp_path / "a.h5"):
        pass


def test_text_that_is_no_json_is_reported_with_its_place(path: Path) -> None:
    with h5py.File(path, "a") as file:
        file["architecture"] = '{"type": '
    with pytest.raises(DataError, match=r"a\.h5:/architecture: is no JSON"), open_checked(path) as file:
        read_json(file["architecture"])


def test_a_group_in_place_of_an_array_is_told_in_plain_words(path: Path) -> None:
    with pytest.raises(DataError, match="holds a group where an array is expected"), open_checked(path) as file:
        assert file["group"].shape
    with pytest.raises(DataError, match="holds an array where a group is expected"), open_checked(path) as file:
        file["values"].items()
    with pytest.raises(DataError, match=r"/group: is a group; an array is expected there"), open_checked(path) as file:
        file["group"][()]


def test_a_file_is_read_whatever_lock_a_program_holds(path: Path) -> None:
    fcntl = pytest.importorskip("fcntl")
    with path.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(OSError, match="lock"):
            h5py.File(path, "r", locking=True)
        with open_checked(path) as opened:
            assert len(opened["values"]) == 4096
