"""Names and prose: standard openings of docstrings and arguments, no vague names, one meaning for a class name."""

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
OPENING = re.compile(r"^(What|Where|Whom|How|Who|Whose)\b")
ARGUMENT = re.compile(
    r"^\s+\**[\w/, *]+(?: \([^)]*\))?: (Of|Which|Its|Their|As|Told|The same|What|Where|Whom|How|Likewise)\b"
)
VAGUE = {"found", "wanted", "facts", "told", "kept"}
FILES = [
    path for room in ("physics", "recon", "cli", "tests", "benchmarks") for path in sorted((ROOT / room).rglob("*.py"))
]


def violations(tree: ast.Module) -> Iterator[str]:
    """Lines of a module that the house rules forbid."""
    for node in ast.walk(tree):
        line = getattr(node, "lineno", 1)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            text = ast.get_docstring(node) or ""
            if OPENING.match(text):
                yield f"{line}: docstring opens with {text.split()[0]!r}"
            listing = False
            for entry in text.splitlines():
                if re.match(r"^[A-Z]\w+:$", entry):
                    listing = entry in ("Args:", "Attributes:")
                elif listing and ARGUMENT.match(entry):
                    yield f"{line}: argument line {entry.strip()[:60]!r}"
        text = getattr(node.value, "value", None) if isinstance(node, ast.Expr) else None
        if isinstance(text, str) and OPENING.match(text):  # Of a constant or an attribute.
            yield f"{line}: docstring opens with {text.split()[0]!r}"
        names = {
            ast.Name: lambda n: n.id if isinstance(n.ctx, ast.Store) else "",
            ast.arg: lambda n: n.arg,
            ast.FunctionDef: lambda n: n.name,
        }
        name = names.get(type(node), lambda _: "")(node)
        if name in VAGUE:
            yield f"{line}: {name!r} is no name of a variable or function"


def test_prose_and_names_are_plain() -> None:
    wrong = [
        f"{path.relative_to(ROOT)}:{text}" for path in FILES for text in violations(ast.parse(path.read_text("utf-8")))
    ]
    assert wrong == []


@pytest.mark.parametrize(
    "text",
    [
        '"""What a thing is."""',
        'def f(a):\n    """Compute.\n\n    Args:\n        a: Its width.\n    """',
        'A = 1\n"""What it is."""',
        "found = 1",
        "def f(told): ...",
        "def kept(): ...",
    ],
)
def test_a_violation_would_be_seen(text: str) -> None:
    assert list(violations(ast.parse(text)))


def test_a_class_name_has_one_meaning() -> None:
    defined = defaultdict(list)
    for path in FILES:
        if path.relative_to(ROOT).parts[0] in ("physics", "recon", "cli"):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if isinstance(node, ast.ClassDef):
                    defined[node.name].append(str(path.relative_to(ROOT)))
    assert {name: files for name, files in defined.items() if len(files) > 1} == {}
