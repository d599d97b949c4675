"""Every command in the documentation runs, on small sizes, or is listed with the reason why it does not.

`pages.yaml` lists, for each page, the files that its reader has, and what makes its commands small. A new command
runs without an entry there if its page's files suffice; a command of another program needs one in `not_run`.
"""

import re
import subprocess
import sys
from fnmatch import fnmatchcase
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml

from unflat.cli.main import COMMANDS, run
from unflat.recon.experiments import BUILT_IN
from unflat.recon.experiments import run as run_module
from unflat.recon.experiments.report_worker import ReportWorkers
from unflat.recon.phase_retrieval import frame_refinement
from unflat.recon.visualization import report
from unflat.recon.visualization.report_figures import draw_figures

from .former_outputs import FormerOutputs
from .given_files import BUILDERS, GivenFiles
from .page_commands import PAGES, ROOT, Step, steps

TABLE: dict[str, Any] = yaml.safe_load((Path(__file__).parent / "pages.yaml").read_text("utf-8"))
NAMES = [str(page.relative_to(ROOT)) for page in PAGES if steps(page)]
METHODS = ("demo", "fit", "phase", "predict", "watch")


def reason_not_to_run(command: str) -> str:
    """Reason for which a command is not run here, or an empty text."""
    return next((reason for pattern, reason in TABLE["not_run"].items() if fnmatchcase(command, pattern)), "")


@pytest.fixture(scope="session")
def given(tmp_path_factory: pytest.TempPathFactory) -> GivenFiles:
    return GivenFiles(tmp_path_factory.mktemp("given"))


@pytest.fixture(scope="session")
def former(tmp_path_factory: pytest.TempPathFactory) -> FormerOutputs:
    return FormerOutputs(tmp_path_factory.mktemp("outputs"))


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_the_commands_of_a_page_run(
    name: str, given: GivenFiles, former: FormerOutputs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    page = TABLE["pages"].get(name) or {}
    with monkeypatch.context() as without_reports:
        _leave_out_reports(without_reports)
        for target, source in (page.get("given") or {}).items():
            given.provide(source, tmp_path / target)
    _draw_few_figures(monkeypatch)
    monkeypatch.setattr(frame_refinement, "ROUNDS", 1)  # Of the fit of frames: eight take half a minute.
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    if not page.get("reports"):
        _leave_out_reports(monkeypatch)
    names: dict[str, Any] = {}
    for step in steps(ROOT / name):
        if step.action == "file":
            Path(step.name).write_text(step.text, "utf-8")
        elif step.action == "python":
            for target, source in (page.get("python") or {}).items():
                given.provide(source, tmp_path / target)
            exec(compile(step.text, f"{name}:{step.line}", "exec"), names)
        elif not reason_not_to_run(step.text):
            status = _run(step, page, former)
            output = capfd.readouterr()
            assert status in _allowed(step, page), f"{name}:{step.line}: {step.text}: status {status}\n{output.err}"


def _leave_out_reports(monkeypatch: pytest.MonkeyPatch) -> None:
    """Write no report at the end of a run, which takes longer than a small run."""
    monkeypatch.setattr(run_module, "write_run_report", lambda *_, **__: None)
    monkeypatch.setattr(ReportWorkers, "submit", lambda *_: None)


def _draw_few_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw only the first figure of each part of a report: the figures take most of its time."""
    monkeypatch.setattr(report, "draw_figures", lambda figures, *rest: draw_figures(list(figures)[:1], *rest))


def _allowed(step: Step, page: dict[str, Any]) -> tuple[int, ...]:
    """Exit statuses that a command may end with; a small reconstruction may be above its gate."""
    command = step.text.split()[1]
    return (0, 5) if command in METHODS or ("check" in step.text.split() and page.get("doubtful")) else (0,)


def _run(step: Step, page: dict[str, Any], former: FormerOutputs) -> int:
    """Run a command in this process."""
    words = _expand(step.text)
    if words[0] == "python":
        return subprocess.run([sys.executable, *words[1:]], check=False).returncode
    assert words[0] == "unflat", f"line {step.line}: {step.text!r} is neither a command of unflat nor in `not_run`"
    words = _shrink(words[1:], page)
    return run(words) if page.get("reports") else former.run(words)


def _expand(command: str) -> list[str]:
    """Split a command into words as the shell does: quotes, patterns, braces."""
    printed = subprocess.run(["bash", "-c", f"printf '%s\\0' {command}"], capture_output=True, text=True, check=True)
    return printed.stdout.split("\0")[:-1]


def _shrink(words: list[str], page: dict[str, Any]) -> list[str]:
    """Add the options that make a command small, after its own."""
    text = " ".join(["unflat", *words])
    table = TABLE["add"] | (page.get("add") or {})
    added = [word for pattern, options in table.items() if fnmatchcase(text, pattern) for word in options]
    kind = _kind(words)
    takes_settings = words[0] == "submit" or "--set" in _options(words[0])
    sets = [w for value in TABLE["small"].get(kind, ()) if takes_settings for w in ("--set", value)]
    if words[0] == "submit":
        return ["submit", *added, *words[1:], *sets]
    return [*words, *added, *sets]


def _kind(words: list[str]) -> str:
    """Kind of the config that a command reads, or of the demo."""
    if words[0] == "init":
        return ""
    for word in words:
        if word.endswith(".yaml") and Path(word).is_file():
            kind = re.search(r"^kind: (\w+)", Path(word).read_text("utf-8"), re.MULTILINE)
            return kind[1] if kind else ""
    return next((word for word in words[1:2] if words[0] == "demo" and word in BUILT_IN), "")


def _options(name: str) -> set[str]:
    """Options of a command."""
    if name not in COMMANDS:
        return set()
    command = import_module(f"unflat.cli.{COMMANDS[name].module}").command
    return {option for parameter in command.params for option in parameter.opts}


def test_the_table_lists_what_the_pages_hold() -> None:
    """No entry outlives its page or its command, and every command that does not run has a reason."""
    commands = [step.text for page in PAGES for step in steps(page) if step.action == "shell"]
    assert [p for p in TABLE["not_run"] if not any(fnmatchcase(command, p) for command in commands)] == []
    assert [pattern for pattern, reason in TABLE["not_run"].items() if len(reason) < 10] == []
    tests = re.findall(r"tests/[\w/]+\.py", " ".join(TABLE["not_run"].values()))
    assert [path for path in tests if not (ROOT / path).exists()] == []
    assert set(TABLE["pages"]) - set(NAMES) == set()
    sources = {s for page in TABLE["pages"].values() for k in ("given", "python") for s in page.get(k, {}).values()}
    assert {source.partition("/")[0] for source in sources} - set(BUILDERS) == set()


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        ("    unflat fit a b  # c\n    unflat x\n", ["unflat fit a b", "unflat x"]),
        ("```sh\nunflat fit \\\n    a\n# no\n```\n", ["unflat fit a"]),
        ("```console\n$ unflat check a\n  4 tiles\n```\n", ["unflat check a"]),
        ("```text\nunflat\n```\n\nunflat `x` in a line\n", []),
        ('```yaml title="a.yaml"\nkind: cell\n```\n', ["kind: cell\n"]),
    ],
)
def test_commands_are_read_from_a_page(block: str, expected: list[str], tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"# Title\n\n{block}", "utf-8")
    assert [step.text for step in steps(page)] == expected
