"""Files that a config names beside the acquisition: checked before a result is replaced, and never deleted with it."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from unflat.cli.main import run
from unflat.recon.io.network_file import Network, write
from unflat.recon.runs import RunFolder, Sentinel


@pytest.fixture
def finished_run(tmp_path: Path) -> Path:
    """A finished run with a density and a network, and a config for another run."""
    (tmp_path / "c.yaml").write_text("kind: crystal\ndevice: cpu\n", "utf-8")
    with RunFolder.create(tmp_path / "RUN") as folder:
        with h5py.File(folder.path / "volume.h5", "w") as file:
            file["detector_frame/density"] = np.ones((8, 8, 8), complex)
        write(Network("crystal", {}, {"w": np.ones(3)}), folder.path / "network.h5")
        folder.finish(Sentinel.DONE, "done")
    return tmp_path / "RUN"


@pytest.mark.parametrize(
    ("command", "setting", "value", "status", "message"),
    [
        ("fit", "fit.start", "TYPO", 2, "'TYPO' is neither a run with a volume.h5 nor a volume file"),
        ("fit", "fit.start", "{run}/network.h5", 3, "holds no /detector_frame/density"),
        ("fit", "fit.start", "{run}", 2, "which the run is to be written to; write to another folder with -o"),
        ("predict", "predict.network", "{run}", 2, "which the run is to be written to"),
        ("predict", "predict.network", "nowhere.h5", 3, "nowhere.h5"),
        ("train", "train.network", "{run}/network.h5", 2, "which the run is to be written to"),
        ("train", "train.network", "nowhere.h5", 3, "nowhere.h5"),
    ],
)
def test_a_faulty_file_does_not_replace_a_result(
    finished_run: Path,
    command: str,
    setting: str,
    value: str,
    status: int,
    message: str,
    capfd: pytest.CaptureFixture[str],
) -> None:
    words = [command, str(finished_run.with_name("c.yaml"))] + ([] if command == "train" else ["scan.h5"])
    assert (
        run([*words, "-o", str(finished_run), "--force", "--set", f"{setting}={value.format(run=finished_run)}"])
        == status
    )
    assert " ".join(message.split()) in " ".join(capfd.readouterr().err.split())
    assert {"DONE", "volume.h5", "network.h5"} <= {file.name for file in finished_run.iterdir()}


@pytest.mark.parametrize(
    ("setting", "status", "message"),
    [
        ("fit.start=TYPO", 2, "'TYPO' is neither a run"),
        ("predict.network=nowhere.h5", 3, "nowhere.h5"),
        ("fit.start=phase", 0, ""),
    ],
)
def test_check_examines_the_named_files(
    finished_run: Path, setting: str, status: int, message: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(["check", str(finished_run.with_name("c.yaml")), "--set", setting]) == status
    assert message in capfd.readouterr().err
