"""Command line: exit statuses of real processes, and help that imports no heavy modules."""

import json
import os
import platform
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import pytest

from unflat.cli import console
from unflat.cli.main import COMMANDS, cli, run
from unflat.recon import devices
from unflat.recon.errors import DeviceError
from unflat.recon.experiments import BUILT_IN, get_experiment
from unflat.recon.experiments.methods import METHODS
from unflat.recon.runs.launch import read_launch

from ..commands import run_here

HEAVY = ("jax", "matplotlib", "scipy", "skimage", "optax")


def unflat(
    *words: str | Path, cwd: Path | None = None, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "unflat", *map(str, words)],
        capture_output=True,
        text=True,
        timeout=600,  # Ends what hangs; a busy machine may take minutes.
        check=False,
        cwd=cwd,
        env={**os.environ, **(env or {})},
    )


def run_and_list_imports(*commands: list[str | Path]) -> list[set[str]]:
    """Run commands, one after the other, in a process of their own.

    Returns:
        The heavy modules that are imported after each.
    """
    code = (
        "import json, sys\nfrom unflat.cli.main import run\nfor words in json.loads(sys.argv[1]):\n"
        f"    run(words)\n    print('HEAVY', *[m for m in {HEAVY!r} if m in sys.modules])"
    )
    command = [sys.executable, "-c", code, json.dumps(commands, default=str)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    return [set(line.split()[1:]) for line in result.stdout.splitlines() if line.startswith("HEAVY")]


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "run.yaml"
    path.write_text("kind: cell\nvolume:\n  depth: 4 um\n", "utf-8")
    return path


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    """A small HDF5 file with the names and units of another laboratory."""
    path = tmp_path / "scan.h5"
    with h5py.File(path, "w") as file:
        file["I"] = np.random.default_rng(0).poisson(100, (4, 32, 32)).astype("u2")
        file["led"] = np.array([[0, 1], [1, 0], [0, -1], [-1, 0]])
        file.attrs.update(lambda_nm=532.0, na=0.5, n=1.33)
    return path


FOREIGN = [
    "acquisition.images=/I",
    "acquisition.wavelength=/@lambda_nm in nm",
    "acquisition.numerical_aperture=/@na",
    "acquisition.medium_index=/@n",
    "acquisition.pixel_size=0.3 um",
    "acquisition.led_grid={row_col: /led, pitch: 4 mm, height: 40 mm, centre: [0, 0]}",
]


def sets(*assignments: str) -> list[str]:
    return [word for assignment in assignments for word in ("--set", assignment)]


class TestHelp:
    def test_help_lists_every_command(self) -> None:
        result = unflat("--help")
        assert result.returncode == 0
        assert all(f"  {name} " in result.stdout for name in COMMANDS)

    def test_the_help_of_every_command_shows_examples_and_imports_no_jax(self) -> None:
        """All in one process: what one of them imported would be there after the others too."""
        code = (
            "import sys\nfrom unflat.cli.main import COMMANDS, run\nfor name in COMMANDS:\n"
            f"    run([name, '--help'])\n    print('HEAVY', *[m for m in {HEAVY!r} if m in sys.modules], end='PART')"
        )
        result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
        parts = result.stdout.split("PART")[:-1]
        for name, part in zip(COMMANDS, parts, strict=True):
            text, _, heavy = part.rpartition("HEAVY")
            assert f"unflat {name}" in text.split("Examples:")[1]
            assert set(heavy.split()) & {"jax", "matplotlib"} == set(), name

    def test_help_and_version_import_nothing_heavy(self) -> None:
        assert run_and_list_imports(["--help"], ["--version"]) == [set(), set()]

    def test_init_check_info_and_submit_import_no_jax(self, tmp_path: Path, config: Path, scan: Path) -> None:
        commands: list[list[str | Path]] = [
            ["init", "cell", "-o", tmp_path / "new.yaml"],
            ["check", config, scan, *sets(*FOREIGN)],
            ["info", scan],
            ["submit", "--dry-run", "--", "fit", config, scan, "-o", tmp_path / "RUN", *sets(*FOREIGN)],
        ]
        for words, imported in zip(commands, run_and_list_imports(*commands), strict=True):
            assert imported & {"jax", "matplotlib"} == set(), words

    @pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
    def test_completion_is_offered_for_each_shell(self, shell: str) -> None:
        script = unflat(env={"_UNFLAT_COMPLETE": f"{shell}_source"})
        assert "_UNFLAT_COMPLETE" in script.stdout or shell == "bash"
        # Bash and zsh give the index of the current word, fish the word itself.
        typing = {"COMP_WORDS": "unflat ch", "COMP_CWORD": "ch" if shell == "fish" else "1"}
        words = unflat(env={"_UNFLAT_COMPLETE": f"{shell}_complete", **typing})
        assert "check" in words.stdout


class TestExitStatus:
    @pytest.mark.parametrize(
        ("words", "status", "message"),
        [
            ((), 2, "Usage"),
            (("chekc",), 2, "Did you mean 'check'?"),
            (("init", "celll"), 2, "'celll' is no kind of experiment; there is: cell, crystal, shape"),
            (("demo", "shap"), 2, "'shap' is no kind of experiment; there is: cell, crystal, shape"),
            (("init", "cell", "--sed", "1"), 2, "No such option"),
            (("check", "absent.yaml"), 2, "error: absent.yaml: cannot be read: No such file"),
            (("init", "cell", "--set", "fit.steps=no"), 2, "fit.steps: must be a whole number"),
            (("init", "cell", "--set", "volume.depth=5"), 2, "volume.depth: 5 m is too deep for a cell"),
            (("init", "cell", "-o", "no/such/folder/run.yaml"), 3, "no/such/folder"),
            (("volume", "absent", "-o", "cell.h5"), 3, "error: absent: there is no such file"),
            (("render", "absent", "-o", "cell.png"), 3, "error: absent: there is no such file"),
            (("query", "absent", "points.csv", "-o", "values.csv"), 3, "error: absent: there is no such file"),
            (("evaluate", "absent", "absent.h5"), 3, "error: absent: there is no such file"),
            (("report", "absent"), 3, "error: absent: no such folder"),
        ],
    )
    def test_a_user_error_has_a_message_a_status_and_no_traceback(
        self, words: tuple[str, ...], status: int, message: str, tmp_path: Path
    ) -> None:
        result = run_here(*words, folder=tmp_path)
        assert result.returncode == status, result.stderr
        assert message in result.stdout + result.stderr
        assert "Traceback" not in result.stderr
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize(("words", "status"), [(("chekc",), 2), (("report", "absent"), 3)])
    def test_a_process_ends_with_the_status_of_its_command(
        self, words: tuple[str, ...], status: int, tmp_path: Path
    ) -> None:
        ended, here = unflat(*words, cwd=tmp_path), run_here(*words, folder=tmp_path)
        assert (ended.returncode, ended.stdout, ended.stderr) == (status, here.stdout, here.stderr)

    def test_a_config_is_overwritten_only_by_force(self, tmp_path: Path) -> None:
        path = tmp_path / "run.yaml"
        first = run_here("init", "cell", "-o", path, "--set", "volume.depth=9 um", "--seed", "3")
        assert first.returncode == 0
        assert f"wrote {path}" in first.stdout
        text = path.read_text("utf-8")
        assert "depth: 9 um" in text
        assert "seed: 3" in text
        again = run_here("init", "cell", "-o", path)
        assert again.returncode == 2
        assert "--force" in again.stderr
        assert path.read_text("utf-8") == text
        assert run_here("init", "cell", "-o", path, "--force", "-q").stdout == ""

    def test_without_an_output_the_config_goes_to_stdout(self) -> None:
        assert run_here("init", "cell").stdout.startswith("# Kind of experiment.\nkind: cell\n")
        assert run_here("init", "cell", "--schema").stdout.startswith("{")

    def test_a_bug_is_one_line_and_has_a_traceback_on_request(self) -> None:
        code = (
            "import sys, unflat.recon.experiments as k\nfrom unflat.cli.main import main\n"
            "k.get_experiment = lambda n: 1 / 0\nmain(sys.argv[1:])"
        )

        def run(*words: str) -> subprocess.CompletedProcess[str]:
            command = [sys.executable, "-c", code, "init", "cell", *words]
            return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

        plain, loud = run(), run("-vv")
        assert plain.returncode == loud.returncode == 1
        assert "internal error: ZeroDivisionError" in plain.stderr
        assert "Traceback" not in plain.stderr
        assert "Traceback" in loud.stderr

    def test_a_reader_that_leaves_early_is_no_error(self) -> None:
        reader, writer = os.pipe()
        os.close(reader)
        command = [sys.executable, "-m", "unflat", "init", "cell"]
        result = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
        os.close(writer)
        assert (result.returncode, result.stderr) == (141, "")

    @pytest.mark.parametrize(
        ("code", "status", "message"), [("5", 5, ""), ("None", 0, ""), ("'no licence'", 1, "error: no licence\n")]
    )
    def test_an_exit_within_a_command_keeps_its_status(self, code: str, status: int, message: str) -> None:
        program = (
            "import sys, unflat.recon.experiments as k\nfrom unflat.cli.main import main\n"
            f"k.get_experiment = lambda n: sys.exit({code})\nmain(['init', 'cell'])"
        )
        result = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
        )
        assert (result.returncode, result.stderr) == (status, message)


class TestCheck:
    def test_a_valid_pair_is_reported_with_memory_and_time(self, config: Path, scan: Path) -> None:
        result = run_here("check", config, scan, *sets(*FOREIGN, "acquisition.pixel_size=0.3125 um"))
        assert result.returncode == 0, result.stderr
        assert "images: 4 x 32 x 32" in result.stdout
        assert "pixel_size: 312.5 nm, 312.5 nm" in result.stdout
        assert "memory about" in result.stdout

    def test_every_fault_of_a_config_has_its_line(self, config: Path) -> None:
        config.write_text("kind: cell\nvolume:\n  depht: 4 um\nfit: {steps: many}\n", "utf-8")
        result = run_here("check", config)
        assert result.returncode == 2
        assert f"error: {config}:3:3: volume.depht: unknown key; did you mean 'depth'?" in result.stderr
        assert f"error: {config}:4:7: fit.steps" in result.stderr

    def test_all_names_missing_from_the_file_are_reported_at_once(self, config: Path, scan: Path) -> None:
        wrong = sets(*FOREIGN, "acquisition.images=/I_raw", "acquisition.medium_index=/@index")
        result = run_here("check", config, scan, *wrong)
        assert result.returncode == 3
        assert "/I_raw" in result.stderr
        assert "index" in result.stderr
        assert "Traceback" not in result.stderr

    def test_a_volume_without_depth_is_refused_with_the_remedy(self, config: Path, scan: Path) -> None:
        result = run_here("check", config, scan, *sets(*FOREIGN, "volume.depth="))
        assert result.returncode == 2
        assert "--set volume.depth=" in result.stderr

    def test_a_missing_file_is_a_fault_of_the_data(self, config: Path, tmp_path: Path) -> None:
        result = run_here("check", config, tmp_path / "absent.h5")
        assert result.returncode == 3
        assert "absent.h5" in result.stderr


class TestDevices:
    def test_a_missing_gpu_is_refused(self) -> None:
        if devices.nvidia_cards():
            pytest.skip("this machine has an NVIDIA card")
        result = unflat("doctor", "--device", "gpu")
        assert result.returncode == 4
        assert "no GPU to compute on" in result.stderr
        assert "--device cpu" in result.stderr

    def test_doctor_reports_a_missing_gpu(self) -> None:
        if devices.nvidia_cards():
            pytest.skip("this machine has an NVIDIA card")
        result = unflat("doctor")
        assert result.returncode == 0
        assert "NO GPU" in result.stdout
        assert "SLURM" in result.stdout
        assert f"compiled programs are cached in {os.environ['JAX_COMPILATION_CACHE_DIR']}, by JAX_" in result.stdout
        assert re.search("networks that give the values of their training here: .*crystal, shape", result.stdout)

    def test_a_gpu_that_jax_cannot_use_gives_a_warning(self, monkeypatch: pytest.MonkeyPatch) -> None:
        logged: list[str] = []
        monkeypatch.setattr(devices, "nvidia_cards", lambda: ["H200"])
        monkeypatch.setattr(devices, "_cpu_is_requested", lambda: False)
        monkeypatch.setattr(devices._log, "warning", lambda text, *values: logged.append(text % values))
        devices.use("auto")
        assert "COMPUTING ON THE CPU" in logged[0]
        assert devices.INSTALL_CUDA in logged[0]
        with pytest.raises(DeviceError, match=r"install jax's part for it with pip install 'unflat\[cuda\]'"):
            devices.use("gpu")

    @pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc can be told to retain memory")
    def test_freed_memory_is_reused_by_the_next_step(self) -> None:
        # NumPy allocates by the same C library; each page that it requests from the system is a page fault.
        code = (
            "import resource, sys\nimport numpy as np\nfrom unflat.recon import devices\ndevices.use('cpu')\n"
            "def faults():\n"
            "    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt\n"
            "    np.ones(1 << 24)\n"
            "    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before\n"
            "faults()\nsys.exit(faults() > 1000)\n"
        )
        environment = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
        assert subprocess.run([sys.executable, "-c", code], env=environment, check=False).returncode == 0

    def test_without_a_writable_folder_there_is_no_cache(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR", raising=False)
        monkeypatch.setenv("XDG_CACHE_HOME", "/proc/none")
        assert devices.compilation_cache() is None


class TestProgress:
    def test_a_log_gets_plain_lines(self, capfd: pytest.CaptureFixture[str]) -> None:
        console.reset()
        with console.progress("fit") as show:
            for step in range(1, 101):
                show(step, 100, loss=1 / step)
        lines = capfd.readouterr().err.splitlines()
        assert lines == ["fit: 1/100  loss 1", "fit: 100/100  loss 0.01"]

    def test_the_remaining_time_follows_from_the_pace(self, capfd: pytest.CaptureFixture[str]) -> None:
        show = console.PlainProgress(interval=0.0)
        show(10, 100)
        show._start -= 10  # ten steps in ten seconds
        show(20, 100)
        assert capfd.readouterr().err.splitlines()[-1] == "20/100    1 min 20 s left"

    def test_few_steps_tell_no_pace(self, capfd: pytest.CaptureFixture[str]) -> None:
        show = console.PlainProgress(interval=0.0)
        for step in (0, 3, 10):
            show(step, 200)
            show._start -= 5
        lines = capfd.readouterr().err.splitlines()
        assert lines == ["0/200", "3/200    estimating the time left", "10/200    3 min 10 s left"]

    def test_a_new_total_starts_a_new_pace(self, capfd: pytest.CaptureFixture[str]) -> None:
        show = console.PlainProgress(interval=0.0)
        show(1, 600)
        show(600, 600)
        show(10, 100)
        show._start -= 10
        show(20, 100)
        assert capfd.readouterr().err.splitlines()[-2:] == ["10/100", "20/100    1 min 20 s left"]

    def test_quiet_prints_nothing(self, capfd: pytest.CaptureFixture[str]) -> None:
        console.reset()
        console.set_quiet(True)
        with console.progress("fit") as show:
            show(1, 1)
        console.print_line("nothing")
        console.reset()
        assert capfd.readouterr() == ("", "")


def test_every_method_is_a_command_of_its_name() -> None:
    assert [method.name for method in METHODS.values()] == list(METHODS)
    assert set(METHODS) <= set(COMMANDS)


@pytest.mark.parametrize("name", BUILT_IN)
def test_a_kind_offers_its_default_method(name: str) -> None:
    experiment = get_experiment(name)
    assert experiment.offers(experiment.default_method)


@pytest.mark.usefixtures("no_report")
def test_a_stopped_demo_names_the_command_that_goes_on(tmp_path: Path) -> None:
    small = ["simulate.shape=[32, 32]", "simulate.illumination.count=6", "fit.steps=100000", "volume.depth=4 um"]
    small += ["fit.field=voxels", "fit.start=none", "physics.absorption=false"]
    demo = tmp_path / "my demo"
    words = [sys.executable, "-m", "unflat", "demo", "-o", str(demo), *(w for s in small for w in ("--set", s))]
    process = subprocess.Popen(words, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    while not (demo / "run" / "metrics.jsonl").exists() and process.poll() is None:
        time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    err = process.communicate(timeout=60)[1]
    assert process.returncode == 75, err
    assert "again with --resume" not in err
    command = shlex.split(err.strip().splitlines()[-1].partition("go on with: ")[2])
    assert command[0] == "unflat"
    launch = read_launch(demo / "run")  # The command that the report shows, and that status offers.
    assert launch is not None
    assert launch.command is not None
    assert [Path(word).name for word in launch.command.words] == [Path(word).name for word in command[1:-1]]
    again = run_here(*command[1:], "--time-limit", "0.1 s")
    assert again.returncode == 75, again.stderr


def test_a_device_without_memory_ends_with_4(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("RESOURCE_EXHAUSTED: Out of memory while trying to allocate 8589934592 bytes.")

    monkeypatch.setattr(cli, "main", fail)
    assert run([]) == 4
    assert "out of memory: RESOURCE_EXHAUSTED" in capfd.readouterr().err
