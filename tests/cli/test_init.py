"""``unflat init``: questions at a terminal, answers that are checked, and acquisitions that fill in settings."""

import os
import pty
import re
import select
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from unflat.cli.main import run
from unflat.recon.errors import ConfigError
from unflat.recon.experiments import get_experiment
from unflat.recon.experiments.configs import load_config
from unflat.recon.experiments.questions import answer_question, open_questions


class Terminal:
    """A terminal at which ``unflat init`` runs: its stdin and stderr."""

    def __init__(self, *words: str, cwd: Path):
        self.seen = ""
        self._main, other = pty.openpty()
        command = [sys.executable, "-m", "unflat", "init", *words]
        self.process = subprocess.Popen(
            command, stdin=other, stderr=other, stdout=subprocess.PIPE, cwd=cwd, start_new_session=True
        )
        os.close(other)

    def wait_for(self, text: str) -> None:
        """Read until a text appears."""
        while text not in self.seen:
            ready, _, _ = select.select([self._main], [], [], 60)
            if not ready:
                self.process.kill()
                pytest.fail(f"{text!r} was not asked: {self.seen}")
            self.seen += os.read(self._main, 4096).decode()

    def type(self, answer: str) -> None:
        """Answer a question."""
        os.write(self._main, f"{answer}\n".encode())

    def end(self) -> int:
        """Wait for the end; returns the exit status."""
        try:
            self.process.communicate(timeout=60)
        finally:
            self.process.kill()
            os.close(self._main)
        return self.process.returncode


def test_a_wrong_unit_is_asked_again_and_right_answers_are_written(tmp_path: Path) -> None:
    terminal = Terminal("cell", "-o", "run.yaml", "--set", "acquisition.medium_index=1.34", cwd=tmp_path)
    for asked, answer in (
        ("1/4 Vacuum wavelength", "532"),
        ("'532' has no unit", "532 um"),
        ("'532 um' is not between 0.1 um and 20 um", "532 nm"),
        ("2/4 Numerical aperture", "0.65 um"),
        ("'0.65 um' is a length, not a number", ""),
        ("3/4 Pixel", "0.2 um"),
        ("4/4 Depth", "9 kg"),
        ("unknown unit 'kg'", "9 um"),
    ):
        terminal.wait_for(asked)
        terminal.type(answer)
    assert terminal.end() == 0
    config: Any = load_config(tmp_path / "run.yaml")
    assert config.volume.depth == 9e-6
    assert float(config.acquisition.wavelength.value) == 532e-9
    assert float(config.acquisition.pixel_size.value) == 0.2e-6
    assert config.acquisition.numerical_aperture.is_default("/instrument/numerical_aperture")


def test_an_interrupt_leaves_no_file(tmp_path: Path) -> None:
    terminal = Terminal("crystal", "-o", "run.yaml", cwd=tmp_path)
    terminal.wait_for("1/5 Wavelength of the X-rays")
    terminal.type("9 keV")
    terminal.wait_for("2/5 Distance")
    for _ in range(20):  # One that comes between the question and the reading of its answer waits for the answer.
        terminal.process.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            terminal.process.wait(1)
            break
    assert terminal.end() == 130
    assert list(tmp_path.iterdir()) == []


def test_scripts_are_asked_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["init", "shape", "-o", str(tmp_path / "run.yaml")]) == 0
    assert "Pixel of the pictures" not in capsys.readouterr().err
    assert load_config(tmp_path / "run.yaml") == get_experiment("shape").default_config()


def test_answers_may_come_from_a_file(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "unflat", "init", "shape", "--ask", "-o", "run.yaml"]
    answers = "0.17 um\ncut\n\n8\ntrue\n"
    for text, status in ((answers, 0), ("0.17 um\n", 2)):
        (tmp_path / "run.yaml").unlink(missing_ok=True)
        result = subprocess.run(command, input=text, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert result.returncode == status, result.stderr
        assert status or re.search(r"left as it is: [\w.]+: \w+", result.stderr)
    assert "the answers end before the last question" in result.stderr
    assert not (tmp_path / "run.yaml").exists()


@pytest.mark.parametrize("kind", ["cell", "crystal", "shape"])
def test_the_example_of_each_question_is_an_answer(kind: str) -> None:
    experiment = get_experiment(kind)
    config = experiment.default_config()
    assert len(experiment.questions) == 5
    for question in experiment.questions:
        config = answer_question(config, question, question.example)
        if question.dimension not in (None, "number"):
            for wrong in ("5", "3 kg", "-1 um", "0 m", "nonsense", "4 GiB"):
                with pytest.raises(ConfigError, match=question.setting):
                    answer_question(config, question, wrong)
    assert config != experiment.default_config()


def test_a_place_in_a_file_is_an_answer() -> None:
    experiment = get_experiment("cell")
    config: Any = answer_question(experiment.default_config(), experiment.questions[0], "/@lambda_nm in nm")
    assert config.acquisition.wavelength.attribute == "lambda_nm"
    with pytest.raises(ConfigError, match="which is no length"):
        answer_question(config, experiment.questions[0], "/@lambda in s")


def test_one_length_stands_for_all_axes_of_a_voxel() -> None:
    experiment = get_experiment("shape")
    config: Any = answer_question(experiment.default_config(), experiment.questions[0], "0.17 um")
    assert np.allclose(config.acquisition.voxel_size.value, 0.17e-6)
    assert config.acquisition.voxel_size.value.shape == (3,)


def test_a_foreign_file_fills_in_its_places(tmp_path: Path) -> None:
    scan = tmp_path / "scan.h5"
    with h5py.File(scan, "w") as file:
        file["data/I_raw"] = np.ones((4, 16, 16), "u2")
        file.attrs.update(lambda_nm=532.0, NA=0.5, n_medium=1.33, magnification=20.0)
        file["px"] = 0.3
        file["px"].attrs["units"] = "um"
    output = tmp_path / "run.yaml"
    assert run(["init", "cell", str(scan), "-o", str(output), "--set", "acquisition.medium_index=1.34"]) == 0
    section: Any = load_config(output).acquisition
    assert (section.images.path, section.pixel_size.path) == ("/data/I_raw", "/px")
    assert (section.wavelength.attribute, section.wavelength.unit) == ("lambda_nm", "nm")
    assert section.numerical_aperture.attribute == "NA"
    assert float(section.medium_index.value) == 1.34


def test_numbers_that_make_no_sense_are_left_open(tmp_path: Path) -> None:
    scan = tmp_path / "scan.h5"
    with h5py.File(scan, "w") as file:
        file["one"] = file["two"] = np.ones((4, 16, 16))
        file.attrs.update({"lambda": 532.0, "NA": 0.5, "na_obj": 0.6})
    assert run(["init", "cell", str(scan), "-o", str(tmp_path / "run.yaml")]) == 0
    assert load_config(tmp_path / "run.yaml") == get_experiment("cell").default_config()


def test_our_own_files_need_only_the_depth(scan: Path, tmp_path: Path) -> None:
    from unflat.recon.experiments.fill_config import known_arrays

    experiment = get_experiment("cell")
    known = known_arrays(experiment, experiment.default_config(), scan)
    assert known.assignments == []
    (question,) = open_questions(experiment.questions, [], known.places)
    assert question.setting == "volume.depth"
    assert open_questions(experiment.questions, ["volume={depth: 3 um}"], known.places) == []


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (["absent.h5"], 3, "absent.h5"),
        (["absent.h5", "--schema"], 2, "--schema"),
        (["--workflow", "--ask"], 2, "--workflow"),
    ],
)
def test_wrong_options_write_nothing(
    words: list[str], status: int, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["init", "cell", *words, "-o", str(tmp_path / "run.yaml")]) == status
    assert message in capsys.readouterr().err
    assert not (tmp_path / "run.yaml").exists()
