"""The command ``unflat view`` in a real process: its line, its end, its refusals, and the way through a tunnel."""

import json
import signal
import socket
import subprocess
import sys
import threading
import urllib.request
from contextlib import ExitStack
from pathlib import Path

import pytest

from unflat.cli import view
from unflat.cli.main import run
from unflat.cli.view import forward_command


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("RUNS")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_prints_its_address_serves_and_ends_with_0(folder: Path, number: signal.Signals) -> None:
    words = [sys.executable, "-m", "unflat", "view", str(folder), "--no-browser", "--link", "v=1"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line.startswith("view: http://127.0.0.1:")
            url, _, state = line.removeprefix("view: ").strip().partition("#")
            assert state == "v=1"
            base, _, token = url.partition("/?token=")
            request = urllib.request.Request(f"{base}/api/runs", headers={"Authorization": f"Bearer {token}"})
            with urllib.request.urlopen(request, timeout=20) as response:
                assert json.loads(response.read())["runs"] == []
            process.send_signal(number)
            assert process.wait(20) == 0
            assert process.stderr is not None
            assert "Traceback" not in process.stderr.read()
        finally:
            process.kill()


def test_a_missing_path_and_a_taken_port_end_in_one_line(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["view", str(tmp_path / "none"), "--no-browser"]) == 3
    (tmp_path / "x.txt").write_text("words")
    assert run(["view", str(tmp_path / "x.txt"), "--no-browser"]) == 3
    assert run(["view", str(folder), "--no-browser", "--host", "192.0.2.1"]) == 2
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert run(["view", str(folder), "--no-browser", "--port", str(port)]) == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert len(lines) == 4
    assert "no such file or folder" in lines[0]
    assert "neither a model nor a volume" in lines[1]
    assert "an address of this machine" in lines[2]
    assert str(port) in lines[3]


def test_the_browser_is_started_without_the_token_in_its_arguments(monkeypatch: pytest.MonkeyPatch) -> None:
    arguments: list[str] = []
    started = threading.Event()
    monkeypatch.setattr(view.webbrowser, "open", lambda url: (arguments.append(url), started.set()))
    with ExitStack() as stack:
        view._open_browser("http://127.0.0.1:80/?token=SECRET#v=1", stack)
        assert started.wait(20)
        page = Path(arguments[0].removeprefix("file://"))
        assert "SECRET" not in arguments[0]
        assert "url=http://127.0.0.1:80/?token=SECRET#v=1" in page.read_text("utf-8")
        assert page.stat().st_mode & 0o077 == 0
    assert not page.exists()


def test_on_another_machine_it_names_the_tunnel() -> None:
    host = socket.gethostname()
    assert forward_command(8800, {}) == ""
    assert forward_command(8800, {"SSH_CONNECTION": "x"}) == f"ssh -L 8800:127.0.0.1:8800 {host}"
    job = {"SLURM_JOB_ID": "7", "SLURM_SUBMIT_HOST": "login1"}
    assert forward_command(8800, job) == f"ssh -L 8800:127.0.0.1:8800 -J login1 {host}"
