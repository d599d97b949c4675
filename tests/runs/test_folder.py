"""Run folders: contents, sentinels, replacement and continuation."""

import errno
import json
import logging
import shutil
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import h5py
import numpy as np
import pytest

from unflat.recon.errors import ConfigError, DataError, QualityError, Stopped
from unflat.recon.runs import RunFolder, Sentinel, describe_input, read_ending
from unflat.recon.runs.checkpoint import latest_checkpoint
from unflat.recon.runs.logs import without_absolute_paths


def run_python(program: str, *arguments: object, **options: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", textwrap.dedent(program), *map(str, arguments)]
    return subprocess.Popen(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def test_a_finished_run_holds_its_files_and_one_sentinel(tmp_path: Path) -> None:
    with RunFolder.create(tmp_path / "deep" / "run") as run:
        run.write_config("kind: cell\n")
        run.append_metrics(1, loss=np.float32(0.5), withheld=float("nan"))
        assert json.loads((run.path / "metrics.jsonl").read_text()) == {"step": 1, "loss": 0.5, "withheld": None}
        run.finish(Sentinel.DONE, "300 steps done")
    names = {str(f.relative_to(run.path)) for f in run.path.rglob("*") if f.is_file()}
    logs = {"run.log", "debug.log", "metrics.jsonl"}
    assert names == {"config.yaml", "checkpoint/fingerprint.json", "DONE", *logs}
    assert read_ending(run.path) == (Sentinel.DONE, "300 steps done")


def test_a_name_that_is_no_text_is_readable_in_all_files_of_a_run(tmp_path: Path) -> None:
    # In a process of its own: pytest-xdist cannot send such a name, which it would find in the log.
    program = """
import logging, sys
from pathlib import Path
from unflat.recon.runs.folder import RunFolder, Sentinel
with RunFolder.create(Path(sys.argv[1])) as run:
    logging.getLogger("unflat").setLevel(logging.DEBUG)
    logging.getLogger("unflat.recon.somewhere").info("read bad\\udcff.h5")
    run.write_config("input: bad\\udcff.h5\\n")
    run.finish(Sentinel.FAILED, "bad\\udcff.h5 is truncated")
"""
    folder = tmp_path / "run"
    subprocess.run([sys.executable, "-c", program, str(folder)], check=True, capture_output=True)
    assert read_ending(folder) == (Sentinel.FAILED, "bad\ufffd.h5 is truncated")
    assert (folder / "config.yaml").read_text("utf-8") == "input: bad\ufffd.h5\n"
    assert "read bad" in (folder / "run.log").read_text("utf-8")


def test_the_short_log_has_notices_and_the_long_log_all_records(tmp_path: Path) -> None:
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
    short, long = run.log_path.read_text(), (run.path / "debug.log").read_text()
    assert "read …/scan.h5" in short
    assert "trouble" in short
    assert "detail of" not in short
    assert "Traceback" not in short
    assert "detail of scan.h5:/measurement/images" in long
    assert "ValueError: inner" in long
    assert "after the end" not in short + long


def test_no_file_of_a_run_holds_an_absolute_path(tmp_path: Path) -> None:
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
        checkpoint = again.latest_checkpoint()
    assert checkpoint is not None
    assert checkpoint.step == 3


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
    assert read_ending(tmp_path / "run") == (Sentinel(sentinel), str(error) or "interrupted")


def test_force_replaces_a_run_and_no_other_file(tmp_path: Path) -> None:
    with RunFolder.create(tmp_path / "run") as run:
        run.append_metrics(1, loss=1.0)
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
        assert read_ending(anew.path) is None
        assert not (anew.path / "metrics.jsonl").exists()
        assert not (anew.path / "figures").exists()
    assert (run.path / "notes.txt").read_text() == "mine"


def test_force_removes_all_results_of_the_former_run(tmp_path: Path) -> None:
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


def test_the_checksum_of_a_folder_covers_all_files_below_it(tmp_path: Path) -> None:
    (tmp_path / "cells" / "obj").mkdir(parents=True)
    (tmp_path / "cells" / "obj" / "a.tif").write_text("one")
    before = describe_input(tmp_path / "cells")
    assert before["files"] == 1
    (tmp_path / "cells" / "obj" / "a.tif").write_text("two")
    assert describe_input(tmp_path / "cells")["sha256"] != before["sha256"]


@pytest.mark.parametrize("force", [False, True])
def test_a_folder_of_other_files_is_refused(tmp_path: Path, force: bool) -> None:
    (tmp_path / "model.h5").write_text("mine")
    with pytest.raises(ConfigError, match="holds files, but no run"):
        RunFolder.create(tmp_path, force=force)
    with pytest.raises(ConfigError, match="is a file"):
        RunFolder.create(tmp_path / "model.h5", force=force)
    assert (tmp_path / "model.h5").read_text() == "mine"


@pytest.mark.parametrize("options", [{}, {"resume": True}, {"force": True}])
def test_leftovers_of_a_process_killed_before_its_run_began_do_not_occupy_a_folder(
    tmp_path: Path, options: dict[str, bool]
) -> None:
    code = """
        import os, sys
        from unflat.recon.io import atomic
        from unflat.recon.runs import RunFolder
        atomic.flush = lambda path: os._exit(9)
        RunFolder.create(sys.argv[1])
    """
    process = run_python(code, tmp_path / "run")
    process.communicate(timeout=30)
    assert process.returncode == 9
    (tmp_path / "run" / ".part-node7-1-0-run.lock").touch()  # From another machine: it may be in use, and stays.
    left = {f.name[:6] for f in (tmp_path / "run").rglob("*")}
    assert left == {"checkp", ".part-", "run.lo"}
    with RunFolder.create(tmp_path / "run", **options) as run:
        run.finish(Sentinel.DONE, "done")
    assert read_ending(tmp_path / "run") == (Sentinel.DONE, "done")


def test_other_files_in_a_checkpoint_folder_occupy_it(tmp_path: Path) -> None:
    (tmp_path / "checkpoint").mkdir()
    (tmp_path / "checkpoint" / "weights.pt").write_text("mine")
    with pytest.raises(ConfigError, match="holds files, but no run"):
        RunFolder.create(tmp_path, force=True)
    assert (tmp_path / "checkpoint" / "weights.pt").read_text() == "mine"


def test_a_full_disk_at_the_start_leaves_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("unflat.recon.io.atomic.flush", full)
        with pytest.raises(DataError, match="the disk is full"):
            RunFolder.create(tmp_path / "run")
    assert list((tmp_path / "run").iterdir()) == []
    RunFolder.create(tmp_path / "run").close()


def test_a_run_is_continued_only_with_the_same_fingerprint(tmp_path: Path) -> None:
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


def test_resume_removes_the_sentinel_and_the_metrics_after_the_checkpoint(tmp_path: Path) -> None:
    with RunFolder.create(tmp_path / "run", resume=True) as run:
        for step in range(1, 6):
            run.append_metrics(step, loss=1 / step)
            if step == 3:
                run.save_checkpoint(step, {}, {})
        run.finish(Sentinel.STOPPED, "SIGTERM received")
    with (run.path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 6, "lo')
    with RunFolder.create(run.path, resume=True) as again:
        assert read_ending(run.path) is None
        checkpoint = again.latest_checkpoint()
        assert checkpoint is not None
        again.append_metrics(checkpoint.step + 1, loss=0.25)
    steps = [json.loads(line)["step"] for line in (run.path / "metrics.jsonl").read_text().splitlines()]
    assert steps == [1, 2, 3, 4]


LIMITED_WRITER = """
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
                run.append_metrics(step, loss=0.5)
    except UnflatError as error:
        print(error)
        sys.exit(error.status)
"""


@pytest.mark.parametrize("what", ["checkpoint", "metrics"])
def test_a_full_disk_gives_one_line_and_loses_no_old_file(tmp_path: Path, what: str) -> None:
    process = run_python(LIMITED_WRITER, tmp_path / "run", what)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 3, err
    assert out.count("\n") == 1
    assert "cannot be written" in out
    assert err == ""
    checkpoint = latest_checkpoint(tmp_path / "run" / "checkpoint")
    assert checkpoint is not None
    assert checkpoint.step == 1
    assert read_ending(tmp_path / "run") == (Sentinel.FAILED, without_absolute_paths(out).strip())


@pytest.mark.parametrize("removals", [0, 3, 6])
@pytest.mark.parametrize("options", [{"force": True}, {"resume": True}])
def test_a_process_killed_while_it_replaces_a_run_leaves_a_run(
    tmp_path: Path, removals: int, options: dict[str, bool]
) -> None:
    code = """
        import os, pathlib, sys
        from unflat.recon.runs import RunFolder
        left, unlink = int(sys.argv[2]), pathlib.Path.unlink
        def die_later(path, **options):
            global left
            if path.name in os.listdir(path.parent) and not path.name.startswith(".part-"):
                left -= 1
                if left < 0:
                    os._exit(9)
            unlink(path, **options)
        pathlib.Path.unlink = die_later
        RunFolder.create(sys.argv[1], force=True)
        os._exit(9)
    """
    with RunFolder.create(tmp_path / "run") as run:
        run.write_config("kind: cell\n")
        run.append_metrics(1, loss=1.0)
        run.save_checkpoint(1, {"w": np.ones(3)}, {})
        run.save_checkpoint(2, {"w": np.ones(3)}, {})
        run.finish(Sentinel.DONE, "done")
    killed = run_python(code, run.path, removals)
    killed.communicate(timeout=30)
    assert killed.returncode == 9
    with RunFolder.create(run.path, **options) as again:
        checkpoint = again.latest_checkpoint()
        assert checkpoint is None or checkpoint.arrays["w"].shape == (3,)
        again.finish(Sentinel.DONE, "done again")
    assert read_ending(run.path) == (Sentinel.DONE, "done again")


def test_a_read_only_disk_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(DataError, match="the disk is mounted read-only; write to another folder"):
        RunFolder.create(tmp_path / "run")


def test_a_disk_without_room_for_the_reason_has_a_sentinel_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    def fail(run: RunFolder) -> None:
        monkeypatch.setattr("unflat.recon.io.atomic.flush", full)
        with run:
            run.save_checkpoint(1, {"w": np.ones(3)}, {})

    with pytest.raises(DataError, match=r"step-000000001\.h5: cannot be written: the disk is full"):
        fail(RunFolder.create(tmp_path / "run"))
    assert (tmp_path / "run" / "FAILED").read_text() == ""
    assert read_ending(tmp_path / "run") == (Sentinel.FAILED, "the disk had no room for the reason")


ENDLESS_WRITER = """
    import sys
    import numpy as np
    from unflat.recon.runs import RunFolder
    with RunFolder.create(sys.argv[1]) as run:
        for step in range(1, 1_000_000):
            run.save_checkpoint(step, {"w": np.full(200_000, float(step))}, {"step": step})
            run.append_metrics(step, loss=1 / step)
            print(step, flush=True)
"""


def test_a_killed_writer_leaves_an_intact_checkpoint(tmp_path: Path) -> None:
    process = run_python(ENDLESS_WRITER, tmp_path / "run")
    assert process.stdout is not None
    printed = 0
    for line in process.stdout:
        printed = int(line)
        if printed == 5:
            break
    time.sleep(0.013)  # most likely in the middle of writing the next one
    process.kill()
    process.communicate(timeout=10)
    assert read_ending(tmp_path / "run") is None
    with RunFolder.create(tmp_path / "run", resume=True) as run:
        checkpoint = run.latest_checkpoint()
        assert checkpoint is not None
        assert checkpoint.step >= printed
        np.testing.assert_array_equal(checkpoint.arrays["w"], float(checkpoint.step))
        assert not [f for f in run.path.rglob(".part-*") if f.is_file()]
