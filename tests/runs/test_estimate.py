"""Available memory, and runs that need more."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from unflat.recon import devices
from unflat.recon.errors import DeviceError
from unflat.recon.runs import Estimate, available_memory


def make_machine(root: Path, free_kb: int = 8_000_000, **files: str) -> Path:
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/meminfo").write_text(f"MemTotal: 16000000 kB\nMemAvailable:    {free_kb} kB\n")
    for name, text in files.items():
        file = root / name.replace("__", "/").replace("DOT", ".")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return root


def test_free_memory_counts_where_nothing_else_limits(tmp_path: Path) -> None:
    assert available_memory(make_machine(tmp_path), {}) == 8_000_000 * 1024


def test_the_tightest_control_group_limits_memory_without_its_file_cache(tmp_path: Path) -> None:
    root = make_machine(
        tmp_path,
        proc__self__cgroup="0::/job/step\n",
        sys__fs__cgroup__job__memoryDOTmax="3000000000\n",
        sys__fs__cgroup__job__memoryDOTstat="anon 1000000000\nfile 1500000000\n",
        sys__fs__cgroup__job__step__memoryDOTmax="max\n",
    )
    assert available_memory(root, {}) == 2_000_000_000


def test_control_groups_of_version_1_inside_a_container(tmp_path: Path) -> None:
    root = make_machine(
        tmp_path,
        proc__self__cgroup="5:cpu:/x\n9:memory:/docker/abc\n",
        sys__fs__cgroup__memory__memoryDOTlimit_in_bytes="1000000\n",
        sys__fs__cgroup__memory__memoryDOTstat="total_rss 400000\n",
    )
    assert available_memory(root, {}) == 600_000
    (root / "sys/fs/cgroup/memory/memory.limit_in_bytes").write_text("9223372036854771712")
    assert available_memory(root, {}) == 8_000_000 * 1024


def test_slurms_grant_limits_memory(tmp_path: Path) -> None:
    root = make_machine(tmp_path)
    assert available_memory(root, {"SLURM_MEM_PER_NODE": "2048"}) == 2048 * 1024**2
    assert available_memory(root, {"SLURM_MEM_PER_CPU": "512", "SLURM_CPUS_ON_NODE": "4"}) == 2048 * 1024**2
    assert available_memory(root, {"SLURM_MEM_PER_NODE": "0"}) == 8_000_000 * 1024


def test_this_machine_has_available_memory() -> None:
    assert available_memory() > 2**20


def test_a_run_larger_than_memory_is_refused_with_a_remedy() -> None:
    estimate = Estimate(3 * 2**30, 60.0, [])
    estimate.require_fit(4 * 2**30, "unused")
    with pytest.raises(DeviceError, match=r"3 GiB .* 2 GiB .*lower fit.batch"):
        estimate.require_fit(2 * 2**30, "lower fit.batch")


def test_processes_of_one_machine_share_its_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "available_memory", lambda: 1 << 30)
    assert devices.host_memory() == devices.device_memory("cpu") == 1 << 30
    monkeypatch.setattr(devices, "current", lambda: SimpleNamespace(local=(1, 4)))
    assert devices.host_memory() == devices.device_memory("cpu") == 1 << 28
