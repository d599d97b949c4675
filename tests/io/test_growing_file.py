"""Files that grow frame by frame: what is read of them while another process writes, and what is not."""

import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unflat.recon.errors import DataError
from unflat.recon.io.completeness import is_growing
from unflat.recon.io.frame_scan import FrameArray, FrameScan
from unflat.recon.io.growing_file import GrowingWriter, write_snapshot
from unflat.recon.io.growing_state import count_frames, read_growing

MASK = "/measurement/mask"


def scan_of(frames: int, mask: np.ndarray | None = None) -> FrameScan:
    images = FrameArray("measurement/images", "<u2", (3, 4), True)
    monitor = FrameArray("measurement/monitor", "<f8", (), True)
    fixed = () if mask is None else (FrameArray("measurement/mask", "|u1", mask.shape),)
    groups = {
        "": {"format": "unflat-acquisition", "format_version": "1.0", "kind": "crystal"},
        "measurement": {"signal": "images"},
    }
    return FrameScan("scan", "one", frames, (images, monitor), fixed, () if mask is None else (mask,), groups)


def entries_of(index: int) -> list[np.ndarray]:
    return [np.full((3, 4), 10 + index, np.uint16), np.asarray(100.0 + index)]


def grow(path: Path, frames: int, indices: list[int], *, marked: bool = False, mask: np.ndarray | None = None) -> Path:
    writer = GrowingWriter(path, scan_of(frames, mask), marked=marked)
    for index in indices:
        writer.write(index, entries_of(index))
    writer.close()
    return path


@settings(max_examples=20, deadline=None)
@given(frames=st.integers(1, 7), data=st.data())
def test_a_snapshot_has_each_frame_at_its_place_and_masks_the_others(
    tmp_path_factory: pytest.TempPathFactory, frames: int, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("grow")
    there = data.draw(st.lists(st.integers(0, frames - 1), unique=True, min_size=1))
    own = (np.arange(12).reshape(3, 4) % 5 == 0).astype(np.uint8)
    path = grow(folder / "g.h5", frames, there, marked=True, mask=own)
    state = write_snapshot(path, folder / "s.h5", mask=MASK)
    assert state is not None
    assert state.missing == sorted(set(range(frames)) - set(there))
    with h5py.File(folder / "s.h5") as file:
        images, mask, monitor = (file[f"measurement/{name}"][()] for name in ("images", "mask", "monitor"))
    for index in range(frames):
        is_there = index in there
        assert (images[index] == (10 + index if is_there else 0)).all()
        assert (mask[index] == (own if is_there else 1)).all()
    mean = np.mean([100 + index for index in there])
    assert monitor == pytest.approx([100 + i if i in there else mean for i in range(frames)])


def test_a_whole_one_becomes_an_acquisition_and_another_does_not(tmp_path: Path) -> None:
    for name, indices in (("whole", [2, 0, 1]), ("part", [0, 2])):
        writer = GrowingWriter(tmp_path / f"{name}.partial-0.h5", scan_of(3), marked=True)
        for index in indices:
            writer.write(index, entries_of(index))
        if name == "whole":
            writer.finish(tmp_path / "whole.h5")
        else:
            with pytest.raises(DataError, match="does not hold all of its frames"):
                writer.finish(tmp_path / "part.h5")
    with h5py.File(tmp_path / "whole.h5") as file:
        assert file["measurement/images"].dtype == np.dtype("<u2")
        assert (file["measurement/images"][:, 0, 0] == [10, 11, 12]).all()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["part.partial-0.h5", "whole.h5"]


class TestTheNumberOfFrames:
    @pytest.mark.parametrize(("limit", "declared"), [(None, 8), (8, None)])
    def test_is_an_attribute_or_the_limit_of_the_axis(
        self, tmp_path: Path, limit: int | None, declared: int | None
    ) -> None:
        state = read_growing(self.foreign(tmp_path / "x.h5", limit, declared))
        assert state is not None
        assert (state.count, len(state.received)) == (2, 8)

    def test_must_be_known_and_not_below_what_is_there(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match="does not say how many frames"):
            read_growing(self.foreign(tmp_path / "a.h5", None, None))
        with pytest.raises(DataError, match="holds 2 frames, and says that there will be 1"):
            read_growing(self.foreign(tmp_path / "b.h5", None, 1))

    @pytest.mark.parametrize("declared", [[4, 5], np.inf, np.nan, 1e13, -3, "many"])
    def test_that_is_none_is_a_fault_of_the_file(self, tmp_path: Path, declared: object) -> None:
        for read in (read_growing, count_frames):
            with pytest.raises(DataError, match="says that there will be"):
                read(self.foreign(tmp_path / "c.h5", None, declared))

    def test_of_any_other_file_is_not_asked_for(self, tmp_path: Path) -> None:
        (tmp_path / "text.h5").write_text("no HDF5")
        with h5py.File(tmp_path / "plain.h5", "w") as file:
            file["measurement/images"] = np.zeros((2, 3, 4))
        assert [read_growing(tmp_path / name) for name in ("text.h5", "plain.h5", "absent.h5")] == [None] * 3

    @staticmethod
    def foreign(path: Path, limit: int | None, declared: object) -> Path:
        with h5py.File(path, "w", libver="latest") as file:
            file.attrs["format"] = "unflat-acquisition"
            images = file.create_dataset(
                "measurement/images", (2, 3, 4), "<u2", maxshape=(limit, 3, 4), chunks=(1, 3, 4)
            )
            if declared is not None:
                images.attrs["frames"] = declared
        return path


def test_a_writer_in_another_process_is_followed_and_its_death_loses_no_frame(tmp_path: Path) -> None:
    path = tmp_path / "g.h5"
    code = (
        f"import sys; sys.path[:] = {[p for p in sys.path if p]!r}\n"
        "import unflat, time, numpy as np\n"
        "from unflat.recon.io.frame_scan import FrameArray, FrameScan\n"
        "from unflat.recon.io.growing_file import GrowingWriter\n"
        "groups = {'': {'format': 'unflat-acquisition'}, 'measurement': {'signal': 'images'}}\n"
        "array = FrameArray('measurement/images', '<u2', (3, 4), True)\n"
        "scan = FrameScan('g', 'g', 5, (array,), (), (), groups)\n"
        f"writer = GrowingWriter(__import__('pathlib').Path({str(path)!r}), scan)\n"
        "for i in range(3): writer.write(i, [np.full((3, 4), i, 'u2')])\n"
        "time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", code])
    try:
        end = time.monotonic() + 30
        while time.monotonic() < end and not ((state := read_growing(path)) and state.count == 3):
            time.sleep(0.05)
        assert is_growing(path)
    finally:
        process.kill()
        process.wait()
    assert is_growing(path)  # Nobody has closed it.
    assert write_snapshot(path, tmp_path / "s.h5", mask=MASK) is not None
    with h5py.File(tmp_path / "s.h5") as file:
        assert (file["measurement/images"][:, 0, 0] == [0, 1, 2, 0, 0]).all()
