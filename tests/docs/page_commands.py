"""Commands of a page: the lines of its shell blocks, its Python blocks, and the files that it prints in full."""

import re
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*(ROOT / "docs").rglob("*.md"), ROOT / "README.md", ROOT / "CONTRIBUTING.md"])
SHELL = ("sh", "console")


@dataclass(frozen=True)
class Step:
    """One thing that a reader does with a page.

    Attributes:
        line: Line of the page, from 1.
        action: ``shell`` for a command, ``python`` for a block of code, ``file`` for a file to write.
        text: The command without its comment, the code, or the content of the file.
        name: Name of the file.
    """

    line: int
    action: str
    text: str
    name: str = ""


def steps(page: Path) -> list[Step]:
    """Read the steps of a page, in their order.

    An indented block, and a fenced one of ``sh``, holds commands; one of ``console`` holds commands after ``$``, and
    their output. A fence with ``title="NAME"`` is a file. Fences of other languages are neither.
    """
    result: list[Step] = []
    for token in MarkdownIt().parse(page.read_text("utf-8")):
        if token.type not in ("fence", "code_block") or token.map is None:
            continue
        language, first = (token.info.split() or [""])[0], token.map[0] + 1
        title = re.search(r'title="([^"]+)"', token.info)
        if title:
            result.append(Step(first, "file", token.content, title[1]))
        elif token.type == "code_block":
            result += _commands(token.content, first)
        elif language == "console":
            typed = (line[2:] if line.startswith("$ ") else "" for line in token.content.splitlines())
            result += _commands("\n".join(typed), first + 1)
        elif language == "sh":
            result += _commands(token.content, first + 1)
        elif language == "python":
            result.append(Step(first + 1, "python", token.content))
    return result


def _commands(text: str, first: int) -> list[Step]:
    """Split a block into commands: a line each, longer where it ends with a backslash; comments are left out."""
    result, pending, start = list[Step](), "", first
    for number, line in enumerate(text.splitlines(), first):
        start = start if pending else number
        pending += line.rstrip("\\")
        if line.endswith("\\"):
            continue
        command = re.sub(r"(^|\s)#.*", "", pending).strip()  # No command of ours has a # within quotes.
        if command:
            result.append(Step(start, "shell", re.sub(r"\s+", " ", command)))
        pending = ""
    return result
