"""A run leaves whole files, says how it ended, and goes on where it stopped."""

import contextlib
import errno
import json
import logging
import os
import shutil
import signal
import socket
import subprocess
import sys
import textwrap
import time
from datetime import UTC, datetime
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

import unflat
from unflat.recon.errors import ConfigError, DataError, DeviceError, QualityError, Stopped
from unflat.recon.io.atomic import disk_fault
from unflat.recon.runs import (
    Checkpoint,
    Estimate,
    RunFolder,
    Sentinel,
    StopRequest,
    available_memory,
    describe_input,
    ending,
    new_hdf5,
    write_atomically,
)
from unflat.recon.runs.checkpoint import latest_checkpoint, read_checkpoint, write_checkpoint
from unflat.recon.runs.lock import LOCK, LockHolder, _put_back
from unflat.recon.runs.logs import without_absolute_paths


def run_python(program: str, *arguments: object, **options: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", textwrap.dedent(program), *map(str, arguments)]
    return subprocess.Popen(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


# ---------------------------------------------------------------- files, whole or not at all


def test_a_file_appears_whole(tmp_path: Path) -> None:
    with write_atomically(tmp_path / "a.tar.txt") as temporary:
        assert temporary.name.endswith(".tar.txt")
        temporary.write_text("new")
        assert not (tmp_path / "a.tar.txt").exists()
    assert [f.name for f in tmp_path.iterdir()] == ["a.tar.txt"]
    assert (tmp_path / "a.tar.txt").read_text() == "new"


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path: Path, error: type[BaseException]) -> None:
    (tmp_path / "a").write_text("old")

    def fail() -> None:
        with write_atomically(tmp_path / "a") as temporary:
            temporary.write_text("half")
            raise error

    with pytest.raises(error):
        fail()
    assert [(f.name, f.read_text()) for f in tmp_path.iterdir()] == [("a", "old")]


DYING = """
    import os, sys
    from unflat.recon.runs import write_atomically
    with write_atomically(sys.argv[1]) as temporary:
        temporary.write_text("half")
        os._exit(0)
"""


def test_leavings_of_dead_processes_are_removed_and_those_of_the_living_kept(tmp_path: Path) -> None:
    dead = run_python(DYING, tmp_path / "a")
    dead.communicate()
    (leaving,) = tmp_path.iterdir()
    living = tmp_path / leaving.name.replace(f"-{dead.pid}-0-", f"-{os.getpid()}-999999-")
    elsewhere = tmp_path / leaving.name.replace(".part-", ".part-other")
    living.write_text("")
    elsewhere.write_text("")
    with write_atomically(tmp_path / "a") as temporary:
        temporary.write_text("whole")
    assert {f.name for f in tmp_path.iterdir()} == {"a", living.name, elsewhere.name}


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


LIMITED = """
    import resource, signal, sys
    import numpy as np
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    from unflat.recon.errors import UnflatError
    from unflat.recon.runs import RunFolder
    run = RunFolder.create(sys.argv[1])
    run.save_checkpoint(1, {"w": np.arange(10.0)}, {})
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
    try:
        with run:
            if sys.argv[2] == "checkpoint":
                run.save_checkpoint(2, {"w": np.arange(1e5)}, {})
            for step in range(5000):
                run.metrics(step, loss=0.5)
    except UnflatError as error:
        print(error)
        sys.exit(error.status)
"""


@pytest.mark.parametrize("what", ["checkpoint", "metrics"])
def test_a_full_disk_is_one_line_and_costs_no_old_file(tmp_path: Path, what: str) -> None:
    process = run_python(LIMITED, tmp_path / "run", what)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 3, err
    assert out.count("\n") == 1
    assert "cannot be written" in out
    assert err == ""
    found = latest_checkpoint(tmp_path / "run" / "checkpoint")
    assert found is not None
    assert found.step == 1
    assert ending(tmp_path / "run") == (Sentinel.FAILED, without_absolute_paths(out).strip())


def test_hdf5_gives_up_a_file_that_the_disk_refuses(tmp_path: Path) -> None:
    """Left to itself HDF5 tries again when the process ends, and crashes."""
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
    assert "a.h5: cannot be written: the file is larger than this system lets it be" in out
    assert list(tmp_path.iterdir()) == []


def test_an_hdf5_file_is_filled_as_always(tmp_path: Path) -> None:
    array = np.random.default_rng(0).normal(size=(70, 80, 90))
    with new_hdf5(tmp_path / "a.h5") as file:
        file.create_dataset("brick", data=array, chunks=(64, 64, 64), compression="gzip", shuffle=True)
        file["brick"].attrs["units"] = "m"
        np.testing.assert_array_equal(file["brick"][()], array)
    with h5py.File(tmp_path / "a.h5") as file:
        np.testing.assert_array_equal(file["brick"][()], array)
    with pytest.raises(ValueError, match="bug"), new_hdf5(tmp_path / "b.h5"):
        raise ValueError("bug")


def test_hdf5s_page_about_a_full_disk_is_understood() -> None:
    page = OSError("Can't write data (file write failed: time = Thu\n, errno = 28, error message = 'No space left')")
    assert "run/a.h5: cannot be written: the disk is full; free" in str(disk_fault(page, Path("run/a.h5")))
    assert disk_fault(OSError("something else"), Path("a")) is None


def test_numpys_word_for_a_full_disk_is_understood() -> None:
    short = OSError("479232 requested and 10184 written")
    assert "a.vti: cannot be written: the disk is full, or a quota" in str(disk_fault(short, Path("a.vti")))


def test_a_forbidden_input_is_not_taken_for_a_forbidden_output() -> None:
    forbidden = PermissionError(errno.EACCES, "Permission denied", "/data/input.tif")
    assert disk_fault(forbidden, Path("out.h5")) is None
    forbidden = PermissionError(errno.EACCES, "Permission denied", "out.h5")
    assert "no permission" in str(disk_fault(forbidden, Path("out.h5")))


# ---------------------------------------------------------------- checkpoints


@given(
    st.dictionaries(
        st.sampled_from(["a", "b/c", "b/d", "scale"]),
        st.sampled_from([np.float32, np.int64, np.complex64, np.bool_, np.uint32]).flatmap(
            lambda dtype: arrays(dtype, array_shapes(min_dims=0, max_dims=3, max_side=4, min_side=0))
        ),
        max_size=3,
    ),
    st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=5) | st.floats(allow_nan=False)),
)
@settings(max_examples=20, deadline=None)
def test_a_checkpoint_comes_back_bit_by_bit(
    tmp_path_factory: pytest.TempPathFactory, state: dict[str, np.ndarray], facts: dict[str, object]
) -> None:
    folder = tmp_path_factory.mktemp("checkpoint")
    again = read_checkpoint(write_checkpoint(folder, Checkpoint(7, state, facts)))
    assert (again.step, again.facts) == (7, facts)
    assert again.arrays.keys() == state.keys()
    for name, array in state.items():
        assert again.arrays[name].dtype == array.dtype
        assert again.arrays[name].shape == array.shape
        assert again.arrays[name].tobytes() == array.tobytes()


def test_a_checkpoint_says_who_made_it_and_when_as_all_of_our_files_do(tmp_path: Path) -> None:
    before = datetime.now(UTC).replace(microsecond=0)
    with h5py.File(write_checkpoint(tmp_path, Checkpoint(1, {"w": np.ones(2)}))) as file:
        assert (file.attrs["format"], file.attrs["format_version"]) == ("unflat-checkpoint", "1.0")
        assert file.attrs["creator"] == f"unflat {unflat.__version__}"
        assert before <= datetime.fromisoformat(file.attrs["created"]) <= datetime.now(UTC)
        assert file.attrs["NX_class"] == "NXroot"
        assert file.attrs["default"] in file


@pytest.mark.parametrize("damage", ["cut", "flip", "empty"])
def test_a_torn_checkpoint_is_ignored_and_the_one_before_wins(
    tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    for step in (10, 20, 30):
        newest = write_checkpoint(tmp_path, Checkpoint(step, {"w": np.full(500, float(step))}))
    assert len(list(tmp_path.iterdir())) == 2
    content = bytearray(newest.read_bytes())
    flipped = content.replace(np.float64(30).tobytes() * 10, np.float64(31).tobytes() * 10, 1)
    newest.write_bytes({"cut": content[:-1000], "flip": flipped, "empty": b""}[damage])
    with caplog.at_level(logging.WARNING):
        found = latest_checkpoint(tmp_path)
    assert found is not None
    assert found.step == 20
    write_checkpoint(tmp_path, Checkpoint(25, {}))
    assert sorted(f.name for f in tmp_path.iterdir()) == ["step-000000020.h5", "step-000000025.h5"]


ENDLESS = """
    import sys
    import numpy as np
    from unflat.recon.runs import RunFolder
    with RunFolder.create(sys.argv[1]) as run:
        for step in range(1, 1_000_000):
            run.save_checkpoint(step, {"w": np.full(200_000, float(step))}, {"step": step})
            run.metrics(step, loss=1 / step)
            print(step, flush=True)
"""


def test_a_killed_writer_leaves_a_whole_checkpoint(tmp_path: Path) -> None:
    process = run_python(ENDLESS, tmp_path / "run")
    assert process.stdout is not None
    said = 0
    for line in process.stdout:
        said = int(line)
        if said == 5:
            break
    time.sleep(0.013)  # into the middle of writing the next one, most likely
    process.kill()
    process.communicate(timeout=10)
    assert ending(tmp_path / "run") is None
    with RunFolder.create(tmp_path / "run", resume=True) as run:
        found = run.latest_checkpoint()
        assert found is not None
        assert found.step >= said
        np.testing.assert_array_equal(found.arrays["w"], float(found.step))
        assert not [f for f in run.path.rglob(".part-*") if f.is_file()]


# ---------------------------------------------------------------- the folder


def test_a_finished_run_holds_its_files_and_one_sentinel(tmp_path: Path) -> None:
    with RunFolder.create(tmp_path / "deep" / "run") as run:
        run.write_config("kind: cell\n")
        run.metrics(1, loss=np.float32(0.5), withheld=float("nan"))
        assert json.loads((run.path / "metrics.jsonl").read_text()) == {"step": 1, "loss": 0.5, "withheld": None}
        run.finish(Sentinel.DONE, "300 steps done")
    names = {str(f.relative_to(run.path)) for f in run.path.rglob("*") if f.is_file()}
    logs = {"run.log", "debug.log", "metrics.jsonl"}
    assert names == {"config.yaml", "checkpoint/fingerprint.json", "DONE", *logs}
    assert ending(run.path) == (Sentinel.DONE, "300 steps done")


def test_the_short_log_has_notices_and_the_long_one_everything(tmp_path: Path) -> None:
    logger = logging.getLogger("unflat.recon.somewhere")
    with RunFolder.create(tmp_path / "run") as run:
        logger.info("read %s", tmp_path / "scan.h5")
        logger.debug("detail of scan.h5:/measurement/images")
        try:
            raise ValueError("inner")
        except ValueError:
            logger.exception("trouble")
        run.finish(Sentinel.DONE, f"wrote {run.path / 'model.h5'}")
    logger.error("after the end")
    short, long = run.log.read_text(), (run.path / "debug.log").read_text()
    assert "read …/scan.h5" in short
    assert "trouble" in short
    assert "detail of" not in short
    assert "Traceback" not in short
    assert "detail of scan.h5:/measurement/images" in long
    assert "ValueError: inner" in long
    assert "after the end" not in short + long


def test_no_file_of_a_run_names_the_place_where_it_stands(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path / "run", fingerprint={"seed": 0})
    logging.getLogger("unflat").info("writing to %s", run.path)
    run.save_checkpoint(3, {"w": np.ones(3)}, {})
    with pytest.raises(DataError), run:
        raise DataError(f"{tmp_path}/input.h5: torn")
    for file in run.path.rglob("*"):
        if file.is_file():
            assert str(tmp_path).encode() not in file.read_bytes(), file
    moved = Path(shutil.move(run.path, tmp_path / "moved"))
    with RunFolder.create(moved, resume=True, fingerprint={"seed": 0}) as again:
        found = again.latest_checkpoint()
    assert found is not None
    assert found.step == 3


@pytest.mark.parametrize(
    ("error", "sentinel"),
    [
        (Stopped("SIGTERM received"), "STOPPED"),
        (KeyboardInterrupt(), "STOPPED"),
        (ValueError("bug"), "FAILED"),
        (QualityError("the residual 0.3 is above the gate of 0.1"), "DONE"),
    ],
)
def test_an_error_ends_the_run_with_its_sentinel(tmp_path: Path, error: BaseException, sentinel: str) -> None:
    with pytest.raises(type(error)), RunFolder.create(tmp_path / "run"):
        raise error
    assert ending(tmp_path / "run") == (Sentinel(sentinel), str(error) or "interrupted")


def test_a_result_is_replaced_only_by_force_and_nothing_foreign_with_it(tmp_path: Path) -> None:
    with RunFolder.create(tmp_path / "run") as run:
        run.metrics(1, loss=1.0)
        run.save_checkpoint(1, {}, {})
        run.finish(Sentinel.DONE, "done")
    (run.path / "notes.txt").write_text("mine")
    (run.path / "figures").mkdir()
    (run.path / "figures" / "depths.png").touch()
    with pytest.raises(ConfigError, match=r"already holds a run; .*--resume.*--force"):
        RunFolder.create(run.path)
    with pytest.raises(ConfigError, match="one of them"):
        RunFolder.create(run.path, force=True, resume=True)
    with RunFolder.create(run.path, force=True) as anew:
        assert anew.latest_checkpoint() is None
        assert ending(anew.path) is None
        assert not (anew.path / "metrics.jsonl").exists()
        assert not (anew.path / "figures").exists()
    assert (run.path / "notes.txt").read_text() == "mine"


def test_force_leaves_no_number_and_no_model_of_the_former_run(tmp_path: Path) -> None:
    with RunFolder.create(tmp_path / "run") as run:
        run.finish(Sentinel.DONE, "done")
    models = run.path / "models"
    models.mkdir()
    for name, format_name in (("cell_1.h5", "unflat-model"), ("mine.h5", "somebody-elses")):
        with h5py.File(models / name, "w") as file:
            file.attrs["format"] = format_name
    written = ("scores.csv", "classes.csv", "network.h5", "network-3.h5", "network-12.h5", "teacher.h5", "teacher-3.h5")
    others = ("network-old.h5", "my-network-3.h5", "models/notes.txt")
    for name in (*written, *others):
        (run.path / name).touch()
    RunFolder.create(run.path, resume=True).close()
    assert all((run.path / name).exists() for name in (*written, *others, "models/cell_1.h5"))
    RunFolder.create(run.path, force=True).close()
    assert not any((run.path / name).exists() for name in (*written, "models/cell_1.h5"))
    assert all((run.path / name).exists() for name in (*others, "models/mine.h5"))


def test_the_checksum_of_a_folder_is_that_of_all_below_it(tmp_path: Path) -> None:
    (tmp_path / "cells" / "obj").mkdir(parents=True)
    (tmp_path / "cells" / "obj" / "a.tif").write_text("one")
    before = describe_input(tmp_path / "cells")
    assert before["files"] == 1
    (tmp_path / "cells" / "obj" / "a.tif").write_text("two")
    assert describe_input(tmp_path / "cells")["sha256"] != before["sha256"]


@pytest.mark.parametrize("force", [False, True])
def test_a_folder_of_other_things_is_never_a_run(tmp_path: Path, force: bool) -> None:
    (tmp_path / "model.h5").write_text("mine")
    with pytest.raises(ConfigError, match="holds files, but no run"):
        RunFolder.create(tmp_path, force=force)
    with pytest.raises(ConfigError, match="is a file"):
        RunFolder.create(tmp_path / "model.h5", force=force)
    assert (tmp_path / "model.h5").read_text() == "mine"


@pytest.mark.parametrize("wanted", [{}, {"resume": True}, {"force": True}])
def test_what_a_process_leaves_that_was_killed_before_its_run_began_counts_as_nothing(
    tmp_path: Path, wanted: dict[str, bool]
) -> None:
    code = """
        import os, sys
        from unflat.recon.io import atomic
        from unflat.recon.runs import RunFolder
        atomic._flush = lambda path: os._exit(9)
        RunFolder.create(sys.argv[1])
    """
    process = run_python(code, tmp_path / "run")
    process.communicate(timeout=30)
    assert process.returncode == 9
    (tmp_path / "run" / ".part-node7-1-0-run.lock").touch()  # Of another machine: it may be in use, and stays.
    left = {f.name[:6] for f in (tmp_path / "run").rglob("*")}
    assert left == {"checkp", ".part-", "run.lo"}
    with RunFolder.create(tmp_path / "run", **wanted) as run:
        run.finish(Sentinel.DONE, "done")
    assert ending(tmp_path / "run") == (Sentinel.DONE, "done")


def test_a_checkpoint_folder_of_other_things_is_not_nothing(tmp_path: Path) -> None:
    (tmp_path / "checkpoint").mkdir()
    (tmp_path / "checkpoint" / "weights.pt").write_text("mine")
    with pytest.raises(ConfigError, match="holds files, but no run"):
        RunFolder.create(tmp_path, force=True)
    assert (tmp_path / "checkpoint" / "weights.pt").read_text() == "mine"


def test_a_disk_that_is_full_when_a_run_begins_leaves_an_empty_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("unflat.recon.io.atomic._flush", full)
        with pytest.raises(DataError, match="the disk is full"):
            RunFolder.create(tmp_path / "run")
    assert list((tmp_path / "run").iterdir()) == []
    RunFolder.create(tmp_path / "run").close()


def test_a_run_goes_on_only_as_what_it_was(tmp_path: Path) -> None:
    was = {"config": {"fit": {"steps": 300, "batch": 4}}, "inputs": {"scan.h5": "abc"}}
    RunFolder.create(tmp_path / "run", fingerprint=was).close()
    longer = {"config": {"fit": {"steps": 400, "batch": 4}}, "inputs": {"scan.h5": "abc"}}
    RunFolder.create(tmp_path / "run", fingerprint=longer, resume=True).close()
    other = {"config": {"fit": {"steps": 350, "batch": 8}}, "inputs": {"scan.h5": "abd"}}
    with pytest.raises(ConfigError) as caught:
        RunFolder.create(tmp_path / "run", fingerprint=other, resume=True)
    assert [fault.message for fault in caught.value.faults] == [
        "config.fit.batch was 4 and is now 8",
        "config.fit.steps was 400 and is now 350",
        'inputs.scan.h5 was "abc" and is now "abd"',
    ]


def test_going_on_removes_the_sentinel_and_the_metrics_after_the_checkpoint(tmp_path: Path) -> None:
    with RunFolder.create(tmp_path / "run", resume=True) as run:
        for step in range(1, 6):
            run.metrics(step, loss=1 / step)
            if step == 3:
                run.save_checkpoint(step, {}, {})
        run.finish(Sentinel.STOPPED, "SIGTERM received")
    with (run.path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 6, "lo')
    with RunFolder.create(run.path, resume=True) as again:
        assert ending(run.path) is None
        found = again.latest_checkpoint()
        assert found is not None
        again.metrics(found.step + 1, loss=0.25)
    steps = [json.loads(line)["step"] for line in (run.path / "metrics.jsonl").read_text().splitlines()]
    assert steps == [1, 2, 3, 4]


# ---------------------------------------------------------------- one process at a time


def held(folder: Path, **changes: object) -> Path:
    """The lock of a run that this process has, as another process might have written it; the run is closed."""
    run = RunFolder.create(folder)
    lock = run.path / LOCK
    facts = json.loads(lock.read_text())
    run.close()
    lock.write_text(json.dumps(facts | changes))
    return lock


@pytest.mark.parametrize("wanted", [{}, {"resume": True}, {"force": True}])
def test_a_second_process_is_refused_while_the_first_works_and_let_in_when_it_is_dead(
    tmp_path: Path, wanted: dict[str, bool]
) -> None:
    first = run_python(ENDLESS, tmp_path / "run")
    assert first.stdout is not None
    for line in first.stdout:
        if int(line) == 3:
            break
    with pytest.raises(ConfigError) as caught:
        RunFolder.create(tmp_path / "run", **wanted)
    (fault,) = caught.value.faults
    assert fault.where == str(tmp_path / "run")
    assert f"another process works in this folder: process {first.pid} on {socket.gethostname()}, " in fault.message
    assert datetime.fromisoformat(fault.message.rpartition("since ")[2]) <= datetime.now(UTC)
    assert f"remove {tmp_path / 'run' / LOCK}" in fault.remedy
    assert first.poll() is None
    first.kill()
    time.sleep(0.2)  # Dead, though its parent has not asked yet.
    with RunFolder.create(tmp_path / "run", **(wanted or {"resume": True})):
        pass
    first.communicate(timeout=10)


@pytest.mark.parametrize("error", [None, Stopped("SIGTERM received"), KeyboardInterrupt(), ValueError("bug")])
def test_every_way_out_lets_others_in(tmp_path: Path, error: BaseException | None) -> None:
    with contextlib.suppress(Stopped, KeyboardInterrupt, ValueError), RunFolder.create(tmp_path / "run") as run:
        assert (run.path / LOCK).is_file()
        if error is not None:
            raise error
        run.finish(Sentinel.DONE, "done")
        assert not (run.path / LOCK).exists()
    assert not (tmp_path / "run" / LOCK).exists()
    with pytest.raises(ConfigError, match="already holds a run"):
        RunFolder.create(tmp_path / "run")
    assert not (tmp_path / "run" / LOCK).exists()


def test_a_process_elsewhere_counts_until_somebody_says_that_it_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = held(tmp_path / "run", host="node7", job="4711")
    for restarts in (None, "1"):  # The same job, started anew: of another job with that count nothing is known.
        if restarts:
            monkeypatch.setenv("SLURM_RESTART_COUNT", restarts)
        with pytest.raises(ConfigError, match="on node7, SLURM job 4711, since"):
            RunFolder.create(tmp_path / "run", resume=True)
    monkeypatch.setenv("SLURM_JOB_ID", "4711")
    RunFolder.create(tmp_path / "run", resume=True).close()
    assert not lock.exists()


def test_a_later_process_of_the_same_number_is_another(tmp_path: Path) -> None:
    if not Path("/proc/self/stat").exists():
        pytest.skip("this system does not tell when a process was started")
    held(tmp_path / "run", born="1")
    RunFolder.create(tmp_path / "run", resume=True).close()
    held(tmp_path / "other", born="1", space="pid:[1]")  # Numbers of another container mean nothing here.
    with pytest.raises(ConfigError, match="another process works"):
        RunFolder.create(tmp_path / "other", resume=True)


def test_a_lock_that_tells_nothing_counts_and_one_that_is_anothers_stays(tmp_path: Path) -> None:
    lock = held(tmp_path / "run")
    lock.write_text("")
    with pytest.raises(ConfigError, match=r"a process that run.lock does not tell; wait .* remove"):
        RunFolder.create(tmp_path / "run", force=True)
    lock.unlink()
    with RunFolder.create(tmp_path / "run", force=True):
        lock.write_text("another's")
    assert lock.read_text() == "another's"


@pytest.mark.parametrize("links", [True, False])
def test_a_lock_that_was_taken_away_in_error_comes_back_and_replaces_no_third_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    if not links:
        monkeypatch.setattr(os, "link", refuse)
    mine, lock = tmp_path / "mine", tmp_path / LOCK
    mine.write_text("second")
    _put_back(mine, lock)
    assert lock.read_text() == "second"
    lock.write_text("third")
    mine.write_text("second")
    _put_back(mine, lock)
    assert lock.read_text() == "third"
    assert not mine.exists()


@pytest.mark.parametrize(("told", "count"), [("", 0), ("none", 0), ("2", 2)])
def test_a_restart_count_that_is_no_number_is_none(told: str, count: int) -> None:
    assert LockHolder.myself({"SLURM_RESTART_COUNT": told}).restart == count


# ---------------------------------------------------------------- requests to stop


@pytest.mark.parametrize("name", ["SIGTERM", "SIGUSR1", "SIGINT"])
def test_a_signal_leaves_a_reason_and_the_former_handler_comes_back(name: str) -> None:
    number = getattr(signal, name)
    former = signal.getsignal(number)
    with StopRequest() as stop:
        assert stop.reason is None
        os.kill(os.getpid(), number)
        time.sleep(0.01)
        assert stop.reason == ("interrupted" if name == "SIGINT" else f"{name} received")
        assert stop.interrupted == (name == "SIGINT")
    assert signal.getsignal(number) is former


def test_a_second_interrupt_ends_at_once() -> None:
    def insist() -> None:
        with StopRequest():
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(1)

    with pytest.raises(KeyboardInterrupt):
        insist()


def test_a_time_limit_is_a_reason() -> None:
    with StopRequest(time_limit=0.02) as stop:
        assert stop.reason is None
        time.sleep(0.03)
        assert stop.reason == "time limit of 0.02 s reached"


# ---------------------------------------------------------------- what a machine has


def machine(root: Path, free_kb: int = 8_000_000, **files: str) -> Path:
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/meminfo").write_text(f"MemTotal: 16000000 kB\nMemAvailable:    {free_kb} kB\n")
    for name, text in files.items():
        file = root / name.replace("__", "/").replace("DOT", ".")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return root


def test_free_memory_counts_where_nothing_else_limits(tmp_path: Path) -> None:
    assert available_memory(machine(tmp_path), {}) == 8_000_000 * 1024


def test_the_tightest_control_group_counts_and_its_file_cache_does_not(tmp_path: Path) -> None:
    root = machine(
        tmp_path,
        proc__self__cgroup="0::/job/step\n",
        sys__fs__cgroup__job__memoryDOTmax="3000000000\n",
        sys__fs__cgroup__job__memoryDOTstat="anon 1000000000\nfile 1500000000\n",
        sys__fs__cgroup__job__step__memoryDOTmax="max\n",
    )
    assert available_memory(root, {}) == 2_000_000_000


def test_a_control_group_of_version_1_and_a_containers_view_of_it(tmp_path: Path) -> None:
    root = machine(
        tmp_path,
        proc__self__cgroup="5:cpu:/x\n9:memory:/docker/abc\n",
        sys__fs__cgroup__memory__memoryDOTlimit_in_bytes="1000000\n",
        sys__fs__cgroup__memory__memoryDOTstat="total_rss 400000\n",
    )
    assert available_memory(root, {}) == 600_000
    (root / "sys/fs/cgroup/memory/memory.limit_in_bytes").write_text("9223372036854771712")
    assert available_memory(root, {}) == 8_000_000 * 1024


def test_slurms_grant_counts(tmp_path: Path) -> None:
    root = machine(tmp_path)
    assert available_memory(root, {"SLURM_MEM_PER_NODE": "2048"}) == 2048 * 1024**2
    assert available_memory(root, {"SLURM_MEM_PER_CPU": "512", "SLURM_CPUS_ON_NODE": "4"}) == 2048 * 1024**2
    assert available_memory(root, {"SLURM_MEM_PER_NODE": "0"}) == 8_000_000 * 1024


def test_this_machine_has_memory() -> None:
    assert available_memory() > 2**20


def test_a_run_that_cannot_fit_is_refused_with_advice() -> None:
    estimate = Estimate(3 * 2**30, 60.0, [])
    estimate.require_fit(4 * 2**30, "unused")
    with pytest.raises(DeviceError, match=r"about 3 GiB of memory, and 2 GiB are available; lower fit.batch"):
        estimate.require_fit(2 * 2**30, "lower fit.batch")
