"""Order of the house: the direction of imports, the list of packages, generated configs, docstrings."""

import ast
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from unflat.recon.experiments import shipped_configs

ROOT = Path(__file__).resolve().parents[1]
ROOMS = ("physics", "recon", "cli")  # each may import those before it
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
MODULES = sorted(p for room in (*ROOMS, "configs") for p in (ROOT / room).rglob("*.py"))


def imported_rooms(path: Path) -> Iterator[tuple[str, int]]:
    """Rooms of ours that a module imports, anywhere in it, with the line."""
    package = path.relative_to(ROOT).parent.parts
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = package[: len(package) - node.level + 1]
            for name in [node.module] if node.module else [a.name for a in node.names]:
                yield (*base, *str(name).split("."))[0], node.lineno
        elif isinstance(node, ast.ImportFrom | ast.Import):
            for name in [node.module or ""] if isinstance(node, ast.ImportFrom) else [a.name for a in node.names]:
                if name.split(".")[0] == "unflat":
                    yield "an absolute import of unflat", node.lineno


@pytest.mark.parametrize("room", ROOMS)
def test_imports_run_only_from_cli_to_recon_to_physics(room: str) -> None:
    allowed = {*ROOMS[: ROOMS.index(room) + 1], "__version__"}
    wrong = [
        f"{path.relative_to(ROOT)}:{line} imports {target}"
        for path in MODULES
        if path.relative_to(ROOT).parts[0] == room
        for target, line in imported_rooms(path)
        if target not in allowed
    ]
    assert wrong == []


def test_configs_import_nothing() -> None:
    assert [target for path in (ROOT / "configs").rglob("*.py") for target in imported_rooms(path)] == []


def test_the_list_of_packages_is_what_stands_on_the_disk() -> None:
    on_disk = {".".join(("unflat", *p.parent.relative_to(ROOT).parts)) for p in MODULES if p.name == "__init__.py"}
    assert sorted(PYPROJECT["tool"]["setuptools"]["packages"]) == sorted({"unflat", *on_disk})


def test_every_folder_of_code_is_a_package() -> None:
    assert [str(p) for p in MODULES if not (p.parent / "__init__.py").exists()] == []


def test_the_shipped_configs_are_what_the_settings_say() -> None:
    assert shipped_configs.stale() == [], "run python -m unflat.recon.experiments.shipped_configs"


def test_a_shipped_config_is_found_by_its_name() -> None:
    assert shipped_configs.shipped("demo-cell").startswith("# yaml-language-server")
    with pytest.raises(Exception, match=r"no shipped config 'x': there are .*demo-cell\.yaml"):
        shipped_configs.shipped("x")


def test_every_module_says_what_it_is() -> None:
    assert [str(p.relative_to(ROOT)) for p in MODULES if not ast.get_docstring(ast.parse(p.read_text("utf-8")))] == []


def test_nothing_is_validated_by_assert() -> None:
    asserts = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Assert)
    ]
    assert asserts == []


def test_the_dependencies_are_those_that_are_imported() -> None:
    """No dependency is declared for nothing, and none is used undeclared."""
    names = {"PyYAML": "yaml", "pillow": "PIL", "scikit-image": "skimage"}
    declared = {text.split(">")[0].split("[")[0] for text in PYPROJECT["project"]["dependencies"]}
    imported = set()
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                imported |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                imported.add(str(node.module).split(".")[0])
    import sys

    third_party = imported - set(sys.stdlib_module_names)
    third_party -= {"pydantic_core"}  # pydantic's own, of one version with it
    third_party -= {"zarr", "zmq"}  # extras, named where they are missing
    # Without an import of ours: jax computes with jaxlib.
    assert {names.get(name, name) for name in declared} - third_party <= {"jaxlib"}
    assert third_party <= {names.get(name, name) for name in declared}
