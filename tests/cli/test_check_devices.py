"""`unflat check` says which devices a run will use and how the views are shared out, from what is known without jax."""

from pathlib import Path

import pytest

from unflat.cli.main import run
from unflat.recon.device_plan import DevicePlan, plan_devices

CARDS = ["NVIDIA A100, 40960 MiB", "NVIDIA T4, 15360 MiB", "NVIDIA T4, 15360 MiB"]
CONFIG = """
kind: cell
volume: {depth: 2 um}
fit: {batch: 6}
simulate: {shape: [16, 16], depth: 2 um, radius: 0.8 um, illumination: {count: 9, na: 0.5}}
"""


@pytest.fixture
def with_plugin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("unflat.recon.device_plan._has_gpu_plugin", lambda: True)


def test_cards_that_jax_cannot_use_are_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("unflat.recon.device_plan._has_gpu_plugin", lambda: False)
    assert plan_devices("auto", {}, CARDS) == DevicePlan("cpu", 1)
    assert plan_devices("gpu", {}, CARDS).count == 3


@pytest.mark.usefixtures("with_plugin")
@pytest.mark.parametrize(
    ("environment", "count", "memory"),
    [({}, 3, 15360), ({"CUDA_VISIBLE_DEVICES": "0"}, 1, 40960), ({"CUDA_VISIBLE_DEVICES": "GPU-a, GPU-b"}, 2, 15360)],
)
def test_the_environment_selects_cards(environment: dict[str, str], count: int, memory: int) -> None:
    plan = plan_devices("auto", environment, CARDS)
    assert (plan.platform, plan.count, plan.memory) == ("gpu", count, memory << 20)


@pytest.mark.usefixtures("with_plugin")
@pytest.mark.parametrize("environment", [{"CUDA_VISIBLE_DEVICES": ""}, {"JAX_PLATFORMS": "cpu"}])
def test_the_environment_may_hide_all_cards(environment: dict[str, str]) -> None:
    assert plan_devices("auto", environment, CARDS) == DevicePlan("cpu", 1)


def test_devices_that_xla_makes_of_a_cpu_count() -> None:
    assert plan_devices("cpu", {"XLA_FLAGS": "--xla_force_host_platform_device_count=4"}).count == 4


@pytest.mark.usefixtures("with_plugin")
def test_check_tells_devices_shares_and_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    config, scan = tmp_path / "run.yaml", tmp_path / "scan.h5"
    config.write_text(CONFIG)
    assert run(["simulate", str(config), "-o", str(scan)]) == 0
    monkeypatch.delenv("JAX_PLATFORMS", raising=False)
    monkeypatch.setattr("unflat.recon.device_plan.nvidia_cards", lambda: ["NVIDIA T4, 1 MiB", *CARDS[1:]])
    assert run(["check", str(config), str(scan)]) == 0
    output = capsys.readouterr()
    assert "computes on 3 GPUs: NVIDIA T4, 1 MiB; NVIDIA T4, 15360 MiB" in output.out
    assert "6 views of a step: 2 on each of 3" in output.out
    assert "of 1 MiB on each GPU" in output.out
    assert "a GPU has less memory than the run likely needs" in output.err
    assert run(["check", str(config), str(scan), "--device", "cpu"]) == 0
    assert "computes on the CPU" in capsys.readouterr().out
