"""Checks of the installation: versions, missing packages, a second copy of unflat, bytecode."""

import sys
from collections.abc import Iterable, Sequence
from importlib.metadata import Distribution, PackageNotFoundError, distributions, version
from importlib.util import cache_from_source, find_spec
from pathlib import Path

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from .remedies import Advice

PACKAGE = "unflat"
_OPTIONAL = {"zarr": "zarr", "stream": "pyzmq"}
"""Extras that add a feature, and the package that each consists of."""


def requirements_of(texts: Iterable[str]) -> list[Requirement]:
    """List the requirements that apply to this Python, without those of extras."""
    listed = [Requirement(text) for text in texts]
    return [each for each in listed if each.marker is None or each.marker.evaluate({"extra": ""})]


def installed_version(name: str) -> str | None:
    """Version of an installed package; None without it."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def check_versions(requirements: Sequence[Requirement]) -> list[Advice]:
    """Find packages that are missing, or whose version is outside the supported range."""
    advice = []
    for each in requirements:
        own = installed_version(each.name)
        command = f"pip install '{each.name}{each.specifier}'"
        if own is None:
            advice.append(Advice(f"{each.name} is not installed", command))
        elif not each.specifier.contains(own, prereleases=True):
            advice.append(Advice(f"{each.name} {own} is not within {each.specifier}, the supported range", command))
    return advice


def check_python(supported: str, own: Sequence[int] = sys.version_info[:3]) -> list[Advice]:
    """Find a Python outside the supported range.

    Args:
        supported: Range as the package states it, such as ``>=3.11``.
        own: Version of Python.
    """
    text = ".".join(map(str, own[:3]))
    if not supported or SpecifierSet(supported).contains(text, prereleases=True):
        return []
    return [Advice(f"Python {text} is not within {supported}", "create an environment with Python 3.11 to 3.13")]


def check_extras(extras: dict[str, str] = _OPTIONAL) -> list[str]:
    """List the extras that are not installed, as pip names them."""
    return [f"{PACKAGE}[{name}]" for name, package in extras.items() if installed_version(package) is None]


def installed_copies(listed: Iterable[Distribution] | None = None) -> list[Path]:
    """Folders in which unflat is installed, in the order in which Python searches them."""
    each = distributions(name=PACKAGE) if listed is None else listed
    return list(dict.fromkeys(Path(str(one.locate_file(""))).resolve() for one in each))


def check_copies(copies: Sequence[Path], imported: Path) -> list[Advice]:
    """Find a second installation of unflat, or a folder of its source that shadows the installed one.

    Args:
        copies: Folders in which unflat is installed.
        imported: Folder of the package that is imported.
    """
    if len(copies) > 1:
        listed = ", ".join(map(str, copies))
        remedy = f"pip uninstall {PACKAGE}, until pip finds none, and install it once"
        return [Advice(f"unflat is installed {len(copies)} times: {listed}; the first one runs", remedy)]
    paths = [Path(folder or ".").resolve() for folder in sys.path]
    named = [folder / PACKAGE for folder in paths if (folder / PACKAGE / "__init__.py").is_file()]
    others = [folder for folder in dict.fromkeys(named) if folder.resolve() != imported.resolve()]
    if others:
        problem = f"unflat runs from {imported}, and {others[0]} lies on Python's path as well"
        return [Advice(problem, "unset PYTHONPATH, or leave that folder before you run unflat")]
    return []


def check_bytecode(package: str = "jax") -> list[Advice]:
    """Find packages whose compiled bytecode is neither stored nor can be: each start compiles them anew."""
    spec = find_spec(package)
    if spec is None or not spec.origin:
        return []
    folder = Path(spec.origin).parent
    if Path(cache_from_source(spec.origin)).is_file():
        return []
    remedy = f"python -m compileall -q {folder.parent}"
    if sys.dont_write_bytecode:
        return [Advice("Python writes no bytecode (PYTHONDONTWRITEBYTECODE): each start compiles jax anew", remedy)]
    return [Advice(f"{folder} has no bytecode yet: starts are slow", remedy)]
