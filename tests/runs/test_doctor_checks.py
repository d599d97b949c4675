"""Checks of ``unflat doctor``: each finds its problem, is silent without it, and names a command."""

import os
import sys
from importlib.metadata import Distribution
from pathlib import Path

import pytest

from unflat.recon.runs import gpu_checks, installation_checks, machine_checks
from unflat.recon.runs.remedies import Advice

CARDS = ["NVIDIA H200, 143771 MiB"]


def one(advice: list[Advice]) -> str:
    (each,) = advice
    return f"{each.problem} | {each.remedy}"


class TestGpu:
    def test_a_card_without_the_plugin(self) -> None:
        assert "pip install 'unflat[cuda]'" in one(gpu_checks.check_plugin(CARDS, []))
        assert gpu_checks.check_plugin(CARDS, ["cuda13"]) == gpu_checks.check_plugin([], []) == []
        assert "pip uninstall jax-cuda12-plugin" in one(gpu_checks.check_plugin(CARDS, ["cuda12", "cuda13"]))

    @pytest.mark.parametrize(
        ("version", "plugin", "words"),
        [
            ("570.86.15", "cuda13", "older than 580.0 | jax[cuda12]"),
            ("470.57.02", "cuda12", "older than 525.60"),
            ("580.65.06", "cuda13", ""),
            ("525.60.13", "cuda12", ""),
            ("", "cuda13", ""),
        ],
    )
    def test_an_old_driver(self, version: str, plugin: str, words: str) -> None:
        advice = gpu_checks.check_driver(version, [plugin])
        assert bool(advice) == bool(words)
        assert all(word in one(advice) for word in words.split(" | ") if word)

    @pytest.mark.parametrize(
        ("environment", "words"),
        [
            ({"JAX_PLATFORMS": "cuda0"}, "'cuda0' is no platform"),
            ({"JAX_PLATFORMS": "cpu"}, "hides this machine's GPU | unset JAX_PLATFORMS"),
            ({"JAX_PLATFORMS": "cuda,cpu"}, ""),
            ({}, ""),
        ],
    )
    def test_platforms(self, environment: dict[str, str], words: str) -> None:
        advice = gpu_checks.check_platforms(environment, CARDS, "auto")
        assert words in one(advice) if words else advice == []
        assert not words or gpu_checks.check_platforms({"JAX_PLATFORMS": "cpu"}, CARDS, "cpu") == []

    def test_preallocation(self) -> None:
        assert "unset" in one(gpu_checks.check_preallocation({"XLA_PYTHON_CLIENT_PREALLOCATE": "true"}, CARDS))
        assert "no memory" in one(gpu_checks.check_preallocation({"XLA_PYTHON_CLIENT_MEM_FRACTION": ".98"}, CARDS))
        for harmless in ({}, {"XLA_PYTHON_CLIENT_PREALLOCATE": "false"}, {"XLA_PYTHON_CLIENT_MEM_FRACTION": "x"}):
            assert gpu_checks.check_preallocation(harmless, CARDS) == []


class TestInstallation:
    def test_versions_outside_their_range_and_missing_packages(self) -> None:
        texts = ["numpy<1", "nothing-of-this-name>=2", "click>=8", "jax>=9; python_version<'3'", "x; extra=='test'"]
        needed = installation_checks.requirements_of(texts)
        assert [each.name for each in needed] == ["numpy", "nothing-of-this-name", "click"]
        old, missing = installation_checks.check_versions(needed)
        assert "is not within <1" in old.problem
        assert missing.remedy == "pip install 'nothing-of-this-name>=2'"

    def test_python_and_extras(self) -> None:
        assert "3.9.1 is not within" in one(installation_checks.check_python(">=3.11", (3, 9, 1)))
        assert installation_checks.check_python(">=3.11", (3, 13, 0)) == []
        assert installation_checks.check_extras({"zarr": "no-such-package", "x": "numpy"}) == ["unflat[zarr]"]

    def test_two_installations(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("one", "two"):
            folder = tmp_path / name / "unflat-0.1.0.dist-info"
            folder.mkdir(parents=True)
            (folder / "METADATA").write_text("Name: unflat\nVersion: 0.1.0\n")
        paths = [str(tmp_path / name) for name in ("one", "two")]
        copies = installation_checks.installed_copies(Distribution.discover(name="unflat", path=paths))
        assert len(copies) == 2
        assert "installed 2 times" in one(installation_checks.check_copies(copies, tmp_path))
        package = tmp_path / "three" / "unflat"
        package.mkdir(parents=True)
        (package / "__init__.py").touch()
        monkeypatch.setattr(sys, "path", [str(package.parent)])
        assert "lies on Python's path" in one(installation_checks.check_copies(copies[:1], tmp_path / "one"))
        assert installation_checks.check_copies(copies[:1], package) == []

    def test_missing_bytecode(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "slow_package.py").write_text("x = 1\n")
        monkeypatch.syspath_prepend(str(tmp_path))
        assert "python -m compileall" in one(installation_checks.check_bytecode("slow_package"))
        assert installation_checks.check_bytecode("no_package_of_this_name") == []


class TestMachine:
    def test_folders_that_cannot_be_written(self, tmp_path: Path) -> None:
        assert machine_checks.check_folder(tmp_path, "cache", "") == []
        advice = machine_checks.check_folder(tmp_path / "absent", "cache", "export XDG_CACHE_HOME=FOLDER")
        assert "No such file" in one(advice)

    def test_the_file_system_of_a_folder(self, tmp_path: Path) -> None:
        mounts = f"/dev/a / ext4 rw 0 0\nserver:/x {tmp_path.parent} nfs4 rw 0 0\n"
        assert machine_checks.file_system(tmp_path, mounts) == "nfs4"
        assert machine_checks.file_system(Path("/"), mounts) == "ext4"

    def test_locks(self, tmp_path: Path) -> None:
        def check(value: str, kind: str, locks: bool) -> list[Advice]:
            environment = {"HDF5_USE_FILE_LOCKING": value} if value else {}
            return machine_checks.check_locks(tmp_path, environment, kind, locks=locks)

        assert machine_checks.can_lock(tmp_path)
        assert "export HDF5_USE_FILE_LOCKING=FALSE" in one(check("", "nfs", False))
        assert "does not know" in one(check("maybe", "ext4", True))
        assert "may hang" in one(check("TRUE", "lustre", True))
        assert check("FALSE", "nfs", False) == check("", "nfs", True) == check("", "ext4", True) == []

    def test_clocks_and_limits(self, tmp_path: Path) -> None:
        assert abs(machine_checks.clock_skew(tmp_path)) < 1
        assert "40 s after" in one(machine_checks.check_clock(40.0))
        assert machine_checks.check_clock(-0.5) == []
        assert "ulimit -n" in one(machine_checks.check_limits(256, None))
        assert "ulimit -v" in one(machine_checks.check_limits(4096, 8 << 30))
        assert machine_checks.check_limits(None, None) == []

    def test_threads_and_cores(self) -> None:
        assert "export OMP_NUM_THREADS=16" in one(machine_checks.check_threads({"OMP_NUM_THREADS": "1"}, 16, 16))
        assert "taskset" in one(machine_checks.check_threads({}, 2, 16))
        assert "--cpus-per-task" in one(machine_checks.check_threads({"SLURM_JOB_ID": "7"}, 2, 16))
        assert machine_checks.check_threads({"OMP_NUM_THREADS": "16"}, 16, 16) == []

    def test_text(self) -> None:
        assert "PYTHONUTF8=1" in one(machine_checks.check_text("ascii", "utf-8"))
        assert "ISO8859-1" in one(machine_checks.check_text("utf-8", "ISO8859-1"))
        assert machine_checks.check_text("utf-8", "UTF8") == machine_checks.check_text("utf-8", None) == []

    def test_slurm(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        program = tmp_path / "sinfo"
        program.write_text("#!/bin/sh\nprintf 'short\\ngpu\\n'\n")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
        partitions, refusal = machine_checks.slurm_partitions()
        assert (partitions, refusal) == (["short", "gpu"], "")
        assert "--partition short" in one(machine_checks.check_slurm(True, partitions, refusal))
        program.write_text("#!/bin/sh\necho 'slurm_load_partitions: no route' >&2; exit 1\n")
        assert "no route" in one(machine_checks.check_slurm(True, *machine_checks.slurm_partitions()))
        assert machine_checks.check_slurm(True, ["batch*"], "") == machine_checks.check_slurm(False, [], "x") == []
