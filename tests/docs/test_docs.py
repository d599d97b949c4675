"""The documentation: links lead somewhere, commands and settings exist, and the reference can be generated."""

import importlib.util
import re
import shlex
from pathlib import Path
from types import ModuleType

import pytest
import yaml

from unflat.cli.main import COMMANDS

from .page_commands import steps

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(
    [*(ROOT / "docs").rglob("*.md"), *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md"))]
)
GENERATED = {"reference/commands.md", "reference/settings.md", "reference/api.md"}
NAMES = [str(path.relative_to(ROOT)) for path in PAGES]


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_links_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text("utf-8"))
    missing = [t for t in targets if not t.startswith("http") and not (page.parent / t).exists()]
    assert missing == []


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_commands_and_their_options_exist(page: Path) -> None:
    """Also those of commands that are not run by `test_commands.py`."""
    from importlib import import_module

    for line in [step.text for step in steps(page) if step.action == "shell"]:
        line = line.replace(" -- ", " && unflat ")  # "submit" is followed by a command.
        for part in re.split(r"\s&&\s|\s\|\|\s", line):
            words = shlex.split(part)
            if words[:1] != ["unflat"] or len(words) < 2:
                continue
            assert words[1] in COMMANDS, line
            command = import_module(f"unflat.cli.{COMMANDS[words[1]].module}").command
            known = {option for parameter in command.params for option in parameter.opts}
            known |= {"-v", "-vv", "-q", "--help"}
            unknown = [w for w in words[2:] if re.match(r"--?[a-z]", w) and w.partition("=")[0] not in known]
            assert unknown == [], line


def test_the_site_lists_every_page() -> None:
    nav = str(yaml.safe_load((ROOT / "mkdocs.yml").read_text("utf-8"))["nav"])
    listed = set(re.findall(r"[\w/-]+\.md", nav))
    on_disk = {str(path.relative_to(ROOT / "docs")) for path in PAGES if path.is_relative_to(ROOT / "docs")}
    assert listed == on_disk | GENERATED


def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "reference" / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_reference_is_generated_from_commands_settings_and_docstrings(tmp_path: Path) -> None:
    generator().main(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {Path(name).name for name in GENERATED}
    commands = (tmp_path / "commands.md").read_text("utf-8")
    assert all(f"## unflat {name}\n" in commands for name in COMMANDS)
    assert "`volume.depth`" in (tmp_path / "settings.md").read_text("utf-8")
    assert "## unflat.fit\n" in (tmp_path / "api.md").read_text("utf-8")


def test_every_test_that_the_page_on_reliability_names_is_there() -> None:
    page = (ROOT / "docs" / "reliability.md").read_text("utf-8")
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", page)
    assert len(named) > 20
    for file, name in named:
        assert f"def {name}(" in (ROOT / file).read_text("utf-8"), name
