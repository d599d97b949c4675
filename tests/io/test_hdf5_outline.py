"""Files that were to hold more, that refer to others, and that their writers open again while they are read."""

import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from unflat.recon.errors import DataError
from unflat.recon.io.completeness import find_unfinished
from unflat.recon.io.hdf5_file import open_careful
from unflat.recon.io.hdf5_open import is_locked_by_writer
from unflat.recon.io.hdf5_outline import outline_of, references_of

APPEND = "import h5py, sys; h5py.File(sys.argv[1], 'a').attrs['x'] = 1"


def append(path: Path) -> int:
    """Open a file in another process to append to it; return its exit status."""
    return subprocess.run([sys.executable, "-c", APPEND, str(path)], capture_output=True, check=False).returncode


def write_scan(path: Path, frames: int, declared: int) -> Path:
    with h5py.File(path, "w") as file:
        file.attrs["format"] = "unflat-acquisition"
        images = file.create_dataset("measurement/intensity", data=np.ones((frames, 2, 2)), maxshape=(None, 2, 2))
        images.attrs["frames"] = declared
    return path


def test_a_measurement_that_ended_early_is_not_whole(tmp_path: Path) -> None:
    assert find_unfinished(write_scan(tmp_path / "a.h5", 4, 4)) is None
    sign = find_unfinished(write_scan(tmp_path / "b.h5", 3, 4))
    assert sign is not None
    assert sign.reason == "has 3 of 4 frames"
    assert not sign.is_open


def test_a_file_of_another_format_may_call_anything_frames(tmp_path: Path) -> None:
    with h5py.File(write_scan(tmp_path / "a.h5", 3, 4), "a") as file:
        del file.attrs["format"]
    assert find_unfinished(tmp_path / "a.h5") is None


def test_a_file_names_the_others_that_it_refers_to(tmp_path: Path) -> None:
    for name in ("one", "two"):
        with h5py.File(tmp_path / f"{name}.h5", "w") as file:
            file["data"] = np.ones(3)
    layout = h5py.VirtualLayout((3,), float)
    layout[:] = h5py.VirtualSource("one.h5", "data", (3,))
    with h5py.File(tmp_path / "all.h5", "w") as file:
        file.create_virtual_dataset("entry/data", layout)
        file["entry/link"] = h5py.ExternalLink("two.h5", "data")
        file["entry/absent"] = h5py.ExternalLink("three.h5", "data")
        file.attrs["format"] = "unflat-acquisition"
        file["measurement/absent"] = h5py.ExternalLink("three.h5", "data")
        file["entry/own"] = h5py.SoftLink("/entry/data")
    there, absent = references_of(tmp_path / "all.h5")
    assert sorted(file.name for file in there) == ["one.h5", "two.h5"]
    assert absent == ["three.h5"]


def test_a_file_that_is_no_hdf5_has_an_empty_outline(tmp_path: Path) -> None:
    (tmp_path / "a.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(500))
    assert outline_of(tmp_path / "a.h5").references == ()


def test_a_writer_can_open_a_file_again_while_it_is_read(tmp_path: Path) -> None:
    path = write_scan(tmp_path / "a.h5", 4, 4)
    with open_careful(path) as file:
        assert file["measurement/intensity"].shape == (4, 2, 2)
        assert append(path) == 0


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other systems do not list their locks")
def test_a_file_that_another_program_writes_is_refused(tmp_path: Path) -> None:
    path = write_scan(tmp_path / "a.h5", 4, 4)
    code = "import h5py, sys; f = h5py.File(sys.argv[1], 'a'); print(flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", code, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as writer:
        assert writer.stdout is not None
        writer.stdout.readline()
        assert is_locked_by_writer(path, others=True)
        with pytest.raises(DataError, match="written by another program"):
            open_careful(path)
    open_careful(path).close()
