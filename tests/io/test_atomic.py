"""Files are complete or absent, whatever happens to the process or the disk."""

import errno
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import h5py
import numpy as np
import pytest

from unflat.recon.errors import DataError
from unflat.recon.io import atomic_folder
from unflat.recon.io.atomic import disk_fault, require_writable_folder
from unflat.recon.io.atomic_folder import write_folder_atomically
from unflat.recon.runs import new_hdf5, write_atomically


def run_python(program: str, *arguments: object, **options: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", textwrap.dedent(program), *map(str, arguments)]
    return subprocess.Popen(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def test_a_file_appears_only_when_it_is_complete(tmp_path: Path) -> None:
    with write_atomically(tmp_path / "a.tar.txt") as temporary:
        assert temporary.name.endswith(".tar.txt")
        temporary.write_text("new")
        assert not (tmp_path / "a.tar.txt").exists()
    assert [f.name for f in tmp_path.iterdir()] == ["a.tar.txt"]
    assert (tmp_path / "a.tar.txt").read_text() == "new"


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_error_leaves_only_the_old_file(tmp_path: Path, error: type[BaseException]) -> None:
    (tmp_path / "a").write_text("old")

    def fail() -> None:
        with write_atomically(tmp_path / "a") as temporary:
            temporary.write_text("half")
            raise error

    with pytest.raises(error):
        fail()
    assert [(f.name, f.read_text()) for f in tmp_path.iterdir()] == [("a", "old")]


KILLED_WRITER = """
    import os, sys
    from unflat.recon.runs import write_atomically
    with write_atomically(sys.argv[1]) as temporary:
        temporary.write_text("half")
        os._exit(0)
"""


def test_temporary_files_of_dead_processes_only_are_removed(tmp_path: Path) -> None:
    dead = run_python(KILLED_WRITER, tmp_path / "a")
    dead.communicate()
    (leftover,) = tmp_path.iterdir()
    living = tmp_path / leftover.name.replace(f"-{dead.pid}-0-", f"-{os.getpid()}-999999-")
    elsewhere = tmp_path / leftover.name.replace(".part-", ".part-other")
    living.write_text("")
    elsewhere.write_text("")
    with write_atomically(tmp_path / "a") as temporary:
        temporary.write_text("whole")
    assert {f.name for f in tmp_path.iterdir()} == {"a", living.name, elsewhere.name}


KILLED_EXCHANGE = """
    import os, sys
    from pathlib import Path
    from unflat.recon.io import atomic_folder
    atomic_folder._exchange_names = lambda *_: False
    rename = Path.rename
    def rename_and_die(path, target):
        rename(path, target)
        os._exit(0)
    Path.rename = rename_and_die
    with atomic_folder.write_folder_atomically(Path(sys.argv[1]), lambda _: True) as temporary:
        (temporary / "new").mkdir()
"""


def test_a_folder_that_a_killed_process_moved_aside_is_put_back(tmp_path: Path) -> None:
    store = tmp_path / "c.zarr"
    (store / "old").mkdir(parents=True)
    run_python(KILLED_EXCHANGE, store).communicate()
    assert not store.exists()

    def fail() -> None:
        with write_folder_atomically(store, lambda _: True):
            raise ValueError("bug")

    with pytest.raises(ValueError, match="bug"):
        fail()
    assert [str(path.relative_to(tmp_path)) for path in sorted(tmp_path.rglob("*"))] == ["c.zarr", "c.zarr/old"]


@pytest.mark.parametrize("at_once", [True, False])
def test_a_folder_is_replaced_as_a_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_once: bool) -> None:
    if not at_once:
        monkeypatch.setattr(atomic_folder, "_exchange_names", lambda *_: False)
    store = tmp_path / "c.zarr"
    (store / "old").mkdir(parents=True)
    with write_folder_atomically(store, lambda _: True) as temporary:
        (temporary / "new").mkdir()
        assert (store / "old").is_dir()
    assert [str(path.relative_to(tmp_path)) for path in sorted(tmp_path.rglob("*"))] == ["c.zarr", "c.zarr/new"]


def test_a_missing_folder_a_folder_and_a_device_are_refused(tmp_path: Path) -> None:
    for path, message in (
        (tmp_path / "none" / "a.h5", "there is no folder .*mkdir -p"),
        (tmp_path, "it is a folder"),
        ("/dev/null", "not a regular file"),
    ):
        with pytest.raises(DataError, match=message), write_atomically(path):
            pytest.fail("the block must not run")


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").write_text("old")
    (tmp_path / "link").symlink_to("real")
    with write_atomically(tmp_path / "link") as temporary:
        temporary.write_text("new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_text() == "new"


def test_hdf5_abandons_a_file_that_cannot_be_written(tmp_path: Path) -> None:
    """By itself HDF5 tries again when the process ends, and crashes."""
    code = """
        import resource, signal, sys
        import numpy as np
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        from pathlib import Path
        from unflat.recon.errors import DataError
        from unflat.recon.runs import new_hdf5, write_atomically
        resource.setrlimit(resource.RLIMIT_FSIZE, (3_000, 3_000))
        try:
            with write_atomically(sys.argv[1]) as temporary, new_hdf5(temporary) as file:
                for number in range(40):
                    file[f"group_{number}/array"] = np.arange(100.0)
        except DataError as error:
            print(error)
            sys.exit(error.status)
    """
    process = run_python(code, tmp_path / "a.h5")
    out, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (3, "")
    assert "a.h5: cannot be written: the file is larger than this system" in out
    assert list(tmp_path.iterdir()) == []


def test_a_new_hdf5_file_holds_what_was_written(tmp_path: Path) -> None:
    array = np.random.default_rng(0).normal(size=(70, 80, 90))
    with new_hdf5(tmp_path / "a.h5") as file:
        file.create_dataset("brick", data=array, chunks=(64, 64, 64), compression="gzip", shuffle=True)
        file["brick"].attrs["units"] = "m"
        np.testing.assert_array_equal(file["brick"][()], array)
    with h5py.File(tmp_path / "a.h5") as file:
        np.testing.assert_array_equal(file["brick"][()], array)
    with pytest.raises(ValueError, match="bug"), new_hdf5(tmp_path / "b.h5"):
        raise ValueError("bug")


def test_hdf5s_message_about_a_full_disk_is_recognised() -> None:
    page = OSError("Can't write data (file write failed: time = Thu\n, errno = 28, error message = 'No space left')")
    assert "run/a.h5: cannot be written: the disk is full; free" in str(disk_fault(page, Path("run/a.h5")))
    assert disk_fault(OSError("something else"), Path("a")) is None


def test_numpys_message_about_a_full_disk_is_recognised() -> None:
    short = OSError("479232 requested and 10184 written")
    assert "a.vti: cannot be written: the disk is full, or a quota" in str(disk_fault(short, Path("a.vti")))


def test_a_forbidden_input_is_no_forbidden_output() -> None:
    forbidden = PermissionError(errno.EACCES, "Permission denied", "/data/input.tif")
    assert disk_fault(forbidden, Path("out.h5")) is None
    forbidden = PermissionError(errno.EACCES, "Permission denied", "out.h5")
    assert "no permission" in str(disk_fault(forbidden, Path("out.h5")))
    absent = FileNotFoundError(errno.ENOENT, "No such file or directory", "/data/out.h5")
    assert disk_fault(absent, Path("out.h5"), Path(".part-out.h5")) is None


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="needs a folder that takes no files")
def test_a_folder_that_takes_no_files_is_named_without_the_temporary_one() -> None:
    with pytest.raises(DataError) as refusal, write_atomically("/proc/a.txt") as temporary:
        temporary.write_text("a")
    assert str(refusal.value) == "/proc/a.txt: cannot be written: this folder takes no files; write to another folder"
    with pytest.raises(DataError, match=r"^/proc/a\.txt: cannot be written: this folder takes no files"):
        require_writable_folder("/proc/a.txt")
