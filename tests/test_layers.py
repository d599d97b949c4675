"""Layers: each room imports only those below it, late imports included, and no files import each other in a circle."""

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LAYERS: tuple[tuple[str, ...], ...] = (
    ("physics",),
    ("recon/errors.py", "recon/version.py", "recon/signals.py"),
    (
        "recon/config",
        "recon/devices.py",
        "recon/device_plan.py",
        "recon/processes",
        "recon/sharding.py",
        "recon/memory.py",
    ),
    (
        "recon/fields",
        "recon/grid.py",
        "recon/frame.py",
        "recon/sampled.py",
        "recon/slice_plane.py",
        "recon/ensemble.py",
        "recon/blend.py",
        "recon/splines.py",
        "recon/series_axis.py",
    ),
    ("recon/model.py", "recon/model_series.py", "recon/volume.py", "recon/acquisition.py"),
    ("recon/io",),
    ("recon/metrics",),
    ("recon/runs",),
    ("recon/benchmarking", "recon/visualization", "recon/phase_retrieval", "recon/optimize", "recon/networks"),
    ("recon/experiments",),
    ("recon/viewer",),
    ("recon/api.py", "__init__.py"),
    ("cli", "__main__.py"),
)
"""Rooms from the bottom to the top. Rooms of one layer may import each other, but in no circle."""
PACKAGES = ("recon/__init__.py",)
"""Modules that import nothing."""


def modules() -> dict[str, Path]:
    """Every module of the package, by its dotted name."""
    files = [path for room in ("physics", "recon", "cli") for path in sorted((ROOT / room).rglob("*.py"))]
    named = {}
    for path in [*files, ROOT / "__init__.py", ROOT / "__main__.py"]:
        parts = ["unflat", *path.relative_to(ROOT).with_suffix("").parts]
        named[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return named


def import_graph() -> dict[str, dict[str, int]]:
    """Files that each file imports, with the line; imports within functions and for type checks count."""
    named = modules()
    graph: dict[str, dict[str, int]] = {}
    for name, path in named.items():
        package = name if path.name == "__init__.py" else name.rpartition(".")[0]
        imports = graph.setdefault(str(path.relative_to(ROOT)), {})
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not (isinstance(node, ast.ImportFrom) and node.level):
                continue
            parents = package.split(".")
            base = ".".join([*parents[: len(parents) - node.level + 1], *([node.module] if node.module else [])])
            for alias in node.names:
                target = named.get(f"{base}.{alias.name}") or named.get(base)
                if target is not None and target != path:
                    imports.setdefault(str(target.relative_to(ROOT)), node.lineno)
    return graph


def layer_of(file: str) -> int:
    """Number of the layer that a file belongs to."""
    return next(
        (n for n, rooms in enumerate(LAYERS) if any(file == room or file.startswith(f"{room}/") for room in rooms)), -1
    )


def circles(graph: dict[str, dict[str, int]]) -> list[list[str]]:
    """Sets of files that import each other (Tarjan's strongly connected components)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    components: list[list[str]] = []

    def visit(node: str) -> None:
        index[node] = low[node] = len(index)
        stack.append(node)
        for other in graph.get(node, {}):
            if other not in index:
                visit(other)
                low[node] = min(low[node], low[other])
            elif other in stack:
                low[node] = min(low[node], index[other])
        if low[node] == index[node]:
            component = [stack.pop()]
            while component[-1] != node:
                component.append(stack.pop())
            if len(component) > 1:
                components.append(sorted(component))

    for node in graph:
        if node not in index:
            visit(node)
    return components


def test_every_file_has_a_layer() -> None:
    assert [file for file in import_graph() if layer_of(file) < 0 and file not in PACKAGES] == []


def test_no_room_imports_one_above_it() -> None:
    upward = [
        f"{file}:{line} imports {target}"
        for file, imports in import_graph().items()
        for target, line in imports.items()
        if layer_of(target) > layer_of(file)
    ]
    assert upward == []


def test_no_files_import_each_other_in_a_circle() -> None:
    assert circles(import_graph()) == []


def test_a_circle_would_be_seen() -> None:
    assert circles({"a": {"b": 1}, "b": {"c": 1}, "c": {"a": 1}, "d": {"a": 1}}) == [["a", "b", "c"]]


def kinds_named(tree: ast.AST) -> list[int]:
    """Lines on which the name of a built-in kind is compared with, passed as, or the default of a ``kind``."""
    from unflat.recon.experiments import BUILT_IN

    def names_kind(node: ast.AST | None) -> bool:
        return isinstance(node, ast.Constant) and node.value in BUILT_IN

    def is_kind(node: ast.AST) -> bool:
        return str(getattr(node, "id", getattr(node, "attr", getattr(node, "arg", "")))).lower() == "kind"

    lines = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare):
            parts = [node.left, *node.comparators]
            hit = any(map(is_kind, parts)) and any(map(names_kind, parts))
        elif isinstance(node, ast.arguments):
            arguments = [*node.posonlyargs, *node.args][-len(node.defaults) or len(node.args) :]
            pairs = [*zip(arguments, node.defaults, strict=False), *zip(node.kwonlyargs, node.kw_defaults, strict=True)]
            hit = any(is_kind(argument) and names_kind(default) for argument, default in pairs)
        elif isinstance(node, ast.keyword | ast.AnnAssign):
            hit = is_kind(node if isinstance(node, ast.keyword) else node.target) and names_kind(node.value)
        elif isinstance(node, ast.Assign):
            hit = any(map(is_kind, node.targets)) and names_kind(node.value)
        else:
            continue
        if hit:
            lines.append(getattr(node, "lineno", 0))
    return lines


def test_generic_rooms_know_no_kind_by_name() -> None:
    exempt = {"recon/io/phasing_programs.py"}  # Files of programs that phase crystals.
    named = [
        f"{file}:{line}"
        for file in import_graph()
        if file.startswith("recon/") and 0 <= layer_of(file) < layer_of("recon/experiments") and file not in exempt
        for line in kinds_named(ast.parse((ROOT / file).read_text("utf-8")))
    ]
    assert named == []


def test_a_kind_by_name_would_be_seen() -> None:
    for text in (
        "kind == 'cell'",
        "def f(kind='crystal'): ...",
        "f(kind='shape')",
        "kind: str = 'cell'",
        "KIND = 'cell'",
    ):
        assert kinds_named(ast.parse(text)), text
    assert kinds_named(ast.parse("def f(axis='cell', *, shape='x'): ...")) == []
