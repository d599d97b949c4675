"""Damaged and hostile files: one line with status 3, never a crash, a hang, or numbers that are not the file's."""

import os
import shlex
import signal
import struct
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import scipy.io
import tifffile

from unflat.cli.main import run
from unflat.recon.errors import DataError, DeviceError
from unflat.recon.io import child, child_pipe, seal
from unflat.recon.io.child import Answer, Report, run_in_child
from unflat.recon.io.child_pipe import CrashError
from unflat.recon.io.guard import guard
from unflat.recon.io.hdf5_common import open_checked
from unflat.recon.io.hdf5_file import open_careful
from unflat.recon.io.matlab import open_matlab5
from unflat.recon.io.open import open_tree
from unflat.recon.io.points import read_points
from unflat.recon.io.safe_hdf5 import extend_hdf5, new_hdf5
from unflat.recon.io.seal import is_intact

IMAGES = np.arange(3 * 8 * 8, dtype=np.float32).reshape(3, 8, 8)


def crash(report: Report) -> Answer:
    """Task that ends its process, as a segmentation fault does."""
    import os
    import signal

    os.kill(os.getpid(), signal.SIGSEGV)
    return None, ()


def hang(report: Report) -> Answer:
    """Task that never ends."""
    while True:
        pass


def double(report: Report, number: int) -> Answer:
    """Task that gives numbers and arrays back."""
    report()
    return 2 * number, (IMAGES, np.array("µm"), np.zeros((0, 2)))


_SIGNALS = (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGINT)


def signalled(report: Report) -> Answer:
    """Task in a process that receives what a cluster sends to all of a job."""
    for number in _SIGNALS:
        os.kill(os.getpid(), number)
    return "goes on", ()


@pytest.mark.parametrize(
    "error",
    [EOFError(), RecursionError("deep"), SyntaxError("x"), KeyError("k"), ZeroDivisionError(), struct.error("s")],
    ids=lambda error: type(error).__name__,
)
def test_whatever_a_library_raises_is_a_fault_of_the_file(error: Exception) -> None:
    with pytest.raises(DataError, match=r"^a\.x: the file is damaged") as caught, guard("a.x"):
        raise error
    assert caught.value.__cause__ is error


def test_a_lack_of_memory_and_an_interruption_are_no_damage() -> None:
    with pytest.raises(DeviceError, match="does not fit into memory"), guard("a.x"):
        raise MemoryError("7 TiB")
    with pytest.raises(KeyboardInterrupt), guard("a.x"):
        raise KeyboardInterrupt


@pytest.mark.parametrize("forked", [True, False], ids=["forked", "helper"])
def test_a_child_gives_arrays_back_and_may_crash_or_hang(forked: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child, "_can_fork", lambda: forked)
    monkeypatch.setattr(child_pipe, "IDLE_LIMIT", 1.0 if forked else 10.0)
    if forked:
        value, arrays = run_in_child(double, 21)
        assert value == 42
        assert [array.shape for array in arrays] == [(3, 8, 8), (), (0, 2)]
        assert str(arrays[1]) == "µm"
        assert run_in_child(signalled)[0] == "goes on", "its parent ends it"
        with pytest.raises(CrashError, match="SIGSEGV"):
            run_in_child(crash)
        with pytest.raises(CrashError, match="did not go on"):
            run_in_child(hang)
    else:
        with open_matlab5_of(IMAGES) as arrays:
            np.testing.assert_array_equal(arrays, IMAGES)
        helper = child._helper()._process
        assert helper is not None
        for number in _SIGNALS:
            helper.send_signal(number)
        with open_matlab5_of(IMAGES) as arrays:
            np.testing.assert_array_equal(arrays, IMAGES)
        assert child._helper()._process is helper


def open_matlab5_of(images: np.ndarray) -> Any:
    """Write and read a MATLAB file."""
    import tempfile
    from contextlib import contextmanager

    @contextmanager
    def opened() -> Any:
        with tempfile.TemporaryDirectory() as folder:
            scipy.io.savemat(Path(folder) / "a.mat", {"I": images})
            with open_matlab5(Path(folder) / "a.mat") as tree:
                array = tree.array("/I")
                assert array is not None
                yield array.read()

    return opened()


def test_tiff_pages_in_a_circle_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, IMAGES, photometric="minisblack", metadata=None)
    content = bytearray(path.read_bytes())
    offset = struct.unpack("<I", content[4:8])[0]
    count = struct.unpack("<H", content[offset : offset + 2])[0]
    place = offset + 2 + 12 * count
    content[place : place + 4] = struct.pack("<I", offset)
    path.write_bytes(content)
    assert run(["info", str(path)]) == 3
    assert "an earlier one comes again" in capsys.readouterr().err


def test_npz_archives_that_declare_too_much_are_refused(tmp_path: Path) -> None:
    header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000,), }".ljust(117) + b"\n"
    with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("I.npy", b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + bytes(1000))
    message = r"a\.npz:/I: .*declares float64 \(1000000000000,\)"
    with pytest.raises(DataError, match=message), open_tree(tmp_path / "a.npz"):
        pass


def test_npz_arrays_are_read_when_asked_for(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "a.npz", I=IMAGES, objects=np.array([1, "a"], object))
    with open_tree(tmp_path / "a.npz") as tree:
        assert tree.names() == ["/I"]
        array = tree.array("/I")
        assert array is not None
        np.testing.assert_array_equal(array.fetch((slice(1, 2), slice(None), [3, 5])), IMAGES[1:2, :, [3, 5]])


def link_to_another_file(path: Path, target: str) -> None:
    with h5py.File(path, "w") as file:
        file["linked"] = h5py.ExternalLink(target, "/secret")
        file["soft"] = h5py.SoftLink("/linked")
        layout = h5py.VirtualLayout((3, 8, 8), np.float32)
        layout[:] = h5py.VirtualSource(target, "secret", (3, 8, 8))
        file.create_virtual_dataset("virtual", layout, fillvalue=0)
        file.create_dataset("stored", (64,), np.uint8, external=[(f"{target}.raw", 0, 64)])


@pytest.mark.parametrize("name", ["/linked", "/soft", "/virtual", "/stored"])
@pytest.mark.parametrize("absolute", [True, False])
def test_no_file_outside_the_folder_is_read_unless_allowed(
    tmp_path: Path, name: str, absolute: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "in").mkdir()
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["secret"] = IMAGES
    (tmp_path / "other.h5.raw").write_bytes(bytes(range(64)))
    link_to_another_file(tmp_path / "in/a.h5", str(tmp_path / "other.h5") if absolute else "../other.h5")

    def read() -> np.ndarray:
        with open_tree(tmp_path / "in/a.h5") as tree:
            array = tree.array(name)
            assert array is not None
            return array.read()

    with pytest.raises(DataError, match=r"other\.h5.*outside the folder.*--external-files read"):
        read()
    monkeypatch.setenv("UNFLAT_EXTERNAL_FILES", "read")
    np.testing.assert_array_equal(read(), np.arange(64) if name == "/stored" else IMAGES)


def test_files_of_the_folder_are_read_and_missing_ones_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with h5py.File(tmp_path / "part.h5", "w") as file:
        file["secret"] = IMAGES
    (tmp_path / "part.h5.raw").write_bytes(bytes(range(64)))
    link_to_another_file(tmp_path / "a.h5", "part.h5")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    with open_careful(tmp_path / "a.h5") as file:
        np.testing.assert_array_equal(file["soft"][1], IMAGES[1])
        np.testing.assert_array_equal(file["virtual"][1:, :4], IMAGES[1:, :4])
        np.testing.assert_array_equal(file["stored"][3:5], [3, 4])
    (tmp_path / "part.h5").rename(tmp_path / "elsewhere/part.h5")
    with open_careful(tmp_path / "a.h5") as file, pytest.raises(DataError, match=r"takes its numbers from part\.h5"):
        file["virtual"][0]
    with open_careful(tmp_path / "a.h5") as file, pytest.raises(DataError, match=r"is a link to part\.h5:/secret"):
        file["linked"]


def test_a_source_that_is_too_short_is_no_zeros(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "part.h5", "w") as file:
        file["secret"] = IMAGES[:2]
    link_to_another_file(tmp_path / "a.h5", "part.h5")
    with open_careful(tmp_path / "a.h5") as file, pytest.raises(DataError, match=r"has the shape \(2, 8, 8\)"):
        file["virtual"][0]


@pytest.mark.parametrize("name", ["Bitshuffle", "LZ4", "Zstd", "Blosc", "Blosc2"])
def test_filters_of_detectors_are_loaded_when_needed(tmp_path: Path, name: str) -> None:
    hdf5plugin = pytest.importorskip("hdf5plugin")
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("data", data=IMAGES, chunks=(1, 8, 8), **getattr(hdf5plugin, name)())
    with open_careful(tmp_path / "a.h5") as file:
        np.testing.assert_array_equal(file["data"][()], IMAGES)


def test_a_filter_that_is_not_installed_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("data", data=IMAGES, chunks=(1, 8, 8), compression="gzip")
    monkeypatch.setattr(h5py.h5z, "filter_avail", lambda code: False)
    with open_careful(tmp_path / "a.h5") as file:
        assert file["data"].shape == IMAGES.shape
        with pytest.raises(
            DataError, match=r"compressed by the filter .* \(number 1\), which is not installed"
        ) as caught:
            file["data"][0]
    assert "copy" not in str(caught.value)


@pytest.mark.parametrize("count", [10, 300])
def test_a_flipped_byte_of_our_files_is_seen(tmp_path: Path, count: int) -> None:
    path = tmp_path / "a.h5"
    noise = np.random.default_rng(0).random((count, 32, 32))
    with new_hdf5(path) as file:
        file["a"] = np.arange(30.0)
        file.create_dataset("x", data=noise, chunks=(1, 32, 32), compression="gzip", fletcher32=True)
    assert is_intact(path)
    with h5py.File(path) as file:
        places = file["a"].id.get_offset(), file["x"].id.get_chunk_info(3).byte_offset + 40
    whole = path.read_bytes()
    for place in places:
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        if is_intact(path) is False:  # Not where the chunks of a large file have checksums of their own.
            with pytest.raises(DataError, match=r"checksum is wrong; copy .* remove its checksum") as caught:
                open_careful(path)
            accept = shlex.split(str(caught.value).rpartition("checksum: ")[2])
            subprocess.run([sys.executable, *accept[1:]], check=True)
        else:
            assert place == places[1]
        with open_checked(path) as file:
            np.testing.assert_array_equal(file["x"][4], noise[4])
        if place == places[1]:
            with pytest.raises(DataError, match="damaged"), open_checked(path) as file:
                file["x"][3]


def test_any_changed_byte_of_a_small_file_of_ours_is_seen(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with new_hdf5(path) as file:
        file["a"] = np.arange(30.0)
        file["a"].attrs["units"] = "m"
    whole = path.read_bytes()
    with path.open("r+b") as stream:
        for place in (*range(0, len(whole) - 300, 7), *range(len(whole) - 300, len(whole))):
            stream.seek(place)
            stream.write(bytes([whole[place] ^ 0x20]))
            stream.flush()
            assert is_intact(path) is False, place
            stream.seek(place)
            stream.write(whole[place : place + 1])
    assert is_intact(path)


def test_a_file_of_too_many_pieces_is_sealed_as_a_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a"
    path.write_bytes(bytes(2 << 20))
    monkeypatch.setattr(seal, "_LARGEST", 1000)
    monkeypatch.setattr(seal, "_checked_chunks", lambda _path: [(2 * i, 1) for i in range(1000)])
    seal.write_seal(path)
    assert is_intact(path)
    with path.open("r+b") as file:
        file.write(b"x")
    assert is_intact(path) is False


def test_an_attribute_may_be_added_to_our_files(tmp_path: Path) -> None:
    with new_hdf5(tmp_path / "a.h5") as file:
        file["a"] = np.arange(30.0)
    with h5py.File(tmp_path / "a.h5", "a") as file:
        file.attrs["remark"] = "mine"
    assert is_intact(tmp_path / "a.h5") is None
    with open_checked(tmp_path / "a.h5") as file:
        assert file.attrs["remark"] == "mine"


def test_a_shape_beyond_the_memory_is_refused_where_it_is_read(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("data", (10**6, 10**3, 10**3), np.float32, chunks=(1, 100, 100))
    assert run(["info", str(tmp_path / "a.h5")]) == 0
    with open_careful(tmp_path / "a.h5") as file:
        assert file["data"][5, :4, :4].sum() == 0
        with pytest.raises(DeviceError, match=r"takes .* of memory"):
            file["data"][()]


def test_text_of_attributes_has_a_fixed_length_and_is_read_at_any(tmp_path: Path) -> None:
    texts = {"unit": "µm", "nothing": "", "axes": ["z", "", "x"]}
    with new_hdf5(tmp_path / "a.h5") as file:
        file.attrs.update(texts)
        file["group/data"] = 1.0
        file["group/data"].attrs["units"] = "m"
    with extend_hdf5(tmp_path / "a.h5") as file:
        file["group"].attrs["kind"] = "cell"
    assert is_intact(tmp_path / "a.h5")
    with h5py.File(tmp_path / "a.h5") as file:
        assert file.attrs["unit"].decode() == "µm"
        for node in (file, file["group"], file["group/data"]):
            kinds = [h5py.check_string_dtype(node.attrs.get_id(name).dtype) for name in node.attrs]
            assert kinds
            assert all(kind.length is not None and kind.encoding == "utf-8" for kind in kinds)
    with h5py.File(tmp_path / "old.h5", "w") as old:
        old.attrs.update(texts)
    for path in (tmp_path / "a.h5", tmp_path / "old.h5"):
        with open_checked(path) as file:
            assert {
                name: value if isinstance(value, str) else list(value) for name, value in file.attrs.items()
            } == texts


def test_text_too_long_for_an_attribute_of_fixed_length_is_kept(tmp_path: Path) -> None:
    with new_hdf5(tmp_path / "a.h5") as file:
        file.attrs["provenance"] = "x" * 100_000
    with open_checked(tmp_path / "a.h5") as file:
        assert file.attrs["provenance"] == "x" * 100_000


def test_a_chunk_that_a_plugin_cannot_decode_is_refused_and_the_others_are_read(tmp_path: Path) -> None:
    hdf5plugin = pytest.importorskip("hdf5plugin")
    numbers = np.random.default_rng(0).integers(0, 99, (12, 64, 64)).astype("u2")
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("x", data=numbers, chunks=(1, 64, 64), **hdf5plugin.Bitshuffle())
        chunk = file["x"].id.get_chunk_info(3)
    content = bytearray((tmp_path / "a.h5").read_bytes())
    content[chunk.byte_offset : chunk.byte_offset + chunk.size] = b"\xff" * chunk.size
    (tmp_path / "a.h5").write_bytes(content)
    with open_careful(tmp_path / "a.h5") as file:
        for part in (2, slice(4, 12, 3), [0, 5], (slice(4, None), -1), slice(4, 4)):
            np.testing.assert_array_equal(file["x"][part], numbers[part])
        with pytest.raises(DataError, match="cannot be decoded"):
            file["x"][()]


@pytest.mark.parametrize(
    ("tag", "value", "words"),
    [(256, 2**31 - 1, "page 1 is 8 x 2147483647 pixels"), (257, 0, "height of 0"), (277, 60_000, "the file holds")],
)
def test_a_tiff_of_an_absurd_size_is_refused(
    tag: int, value: int, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.zeros((8, 8), np.uint16))
    with tifffile.TiffFile(path) as tiff:
        place = tiff.pages[0].tags[tag].offset
    content = bytearray(path.read_bytes())
    struct.pack_into("<HII", content, place + 2, 4, 1, value)
    path.write_bytes(content)
    assert run(["info", str(path)]) == 3
    assert words in " ".join(capsys.readouterr().err.split())


def test_points_are_real_numbers_of_the_same_count_in_text_of_any_encoding(tmp_path: Path) -> None:
    np.save(tmp_path / "complex.npy", np.ones((2, 3)) + 1j)
    with pytest.raises(DataError, match="complex128"):
        read_points(tmp_path / "complex.npy")
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["z"], file["y"], file["x"] = np.zeros(3), np.zeros(2), np.zeros(3)
    with pytest.raises(DataError, match="differ in shape"):
        read_points(tmp_path / "a.h5")
    with h5py.File(tmp_path / "b.h5", "w") as file:
        file["points"] = np.ones((2, 3))
        file["points"].attrs["units"] = "furlong"
    with pytest.raises(DataError, match="unit 'furlong' is unknown"):
        read_points(tmp_path / "b.h5")
    (tmp_path / "excel.txt").write_text("z [um]\ty [um]\tx [um]\n1\t2\t3\n", encoding="utf-16")
    np.testing.assert_allclose(read_points(tmp_path / "excel.txt"), [[1e-6, 2e-6, 3e-6]])


def test_a_million_chunks_of_which_none_is_stored_are_refused(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("data", (10**6,), np.uint8, chunks=(1,))
        file.create_dataset("few", (1000,), np.uint8, chunks=(1,))
    with open_careful(tmp_path / "a.h5") as file:
        assert file["data"][5:90].sum() == file["few"][()].sum() == 0
        with pytest.raises(DataError, match=r"1000000 chunks of \(1,\) in 0 bytes"):
            file["data"][()]


def test_objects_that_a_group_lists_are_opened_with_care(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["group/data"] = np.arange(3)
        file["outside"] = h5py.ExternalLink(str(tmp_path.parent / "b.h5"), "/data")
    with h5py.File(tmp_path.parent / "b.h5", "w") as file:
        file["data"] = np.arange(3)
    with open_careful(tmp_path / "a.h5") as file:
        group = file.get("group")
        objects = [group, group.get("data"), *group.values(), *dict(file.items()).values()]
        assert [hasattr(node, "confinement") for node in objects] == [True, True, True, True, False]
        assert file.get("outside") is None
        assert file.get("group/absent", 5) == 5
