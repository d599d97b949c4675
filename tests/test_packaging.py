"""Installation: the wheel, built through the source distribution, holds all it needs and runs elsewhere."""

import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

pytestmark = pytest.mark.slow


def has_setuptools() -> bool:
    """Whether the build needs nothing from elsewhere: setuptools 77 is what pyproject.toml asks for."""
    try:
        from importlib.metadata import version

        return int(version("setuptools").split(".")[0]) >= 77
    except ImportError:
        return False


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    # Without --sdist or --wheel `build` makes the wheel out of the source distribution, so that both are tested.
    isolation = ["--no-isolation"] if has_setuptools() else []
    result = subprocess.run(
        [sys.executable, "-m", "build", *isolation, "--outdir", str(folder), str(ROOT)],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert result.returncode == 0, result.stdout[-2000:] + result.stderr[-2000:]
    (path,) = folder.glob("*.whl")
    return path


def test_the_wheel_holds_every_module_and_what_lies_beside_it(wheel: Path) -> None:
    inside = set(zipfile.ZipFile(wheel).namelist())
    rooms = ("cli", "recon", "physics", "configs")
    expected = {
        f"unflat/{path.relative_to(ROOT)}"
        for room in rooms
        for pattern in ("*.py", "*.yaml", "*.json", "*.html", "page/**/*.*")
        for path in (ROOT / room).rglob(pattern)
    }
    assert expected <= inside
    assert "unflat/py.typed" in inside
    networks = {name.split("/")[-1] for name in inside if "/networks/" in name and name.endswith(".h5")}
    assert networks == {"cell.h5", "crystal.h5", "shape.h5"}  # Teachers, and logs of trainings, stay in the repository.
    assert not [name for name in inside if name.endswith(".jsonl")]
    assert {name.split("/")[0] for name in inside} == {"unflat", f"{'-'.join(wheel.name.split('-')[:2])}.dist-info"}
    assert not [name for name in inside if "/tests/" in name or "/.ci/" in name]


def test_the_wheel_installs_and_runs_in_a_fresh_environment(wheel: Path, tmp_path: Path) -> None:
    home = tmp_path / "fresh"
    venv.create(home, with_pip=False)
    scripts = home / ("Scripts" if os.name == "nt" else "bin")
    # The wheel alone is installed; the libraries are this environment's, without the editable unflat in it: .pth
    # files are read only in a site directory, and here the folder comes in through a .pth file's line.
    site = next((home / "lib").glob("python*/site-packages")) if os.name != "nt" else home / "Lib" / "site-packages"
    (site / "libraries.pth").write_text(f"{sysconfig.get_path('purelib')}\n{sysconfig.get_path('platlib')}\n", "utf-8")
    pip = [sys.executable, "-m", "pip", f"--python={scripts / 'python'}", "install", "--no-deps", "--no-index"]
    done = subprocess.run(
        [*pip, "--quiet", "--disable-pip-version-check", "--ignore-installed", str(wheel)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr

    def run(*words: str) -> str:
        alone = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        result = subprocess.run(
            list(words), capture_output=True, text=True, timeout=60, check=False, cwd=tmp_path, env=alone
        )
        assert result.returncode == 0, result.stderr
        return result.stdout

    assert "Turn flat measurements" in run(str(scripts / "unflat"), "--help")
    where = run(str(scripts / "python"), "-c", "import unflat; print(unflat.__file__)")
    assert Path(where.strip()).is_relative_to(site)
    assert "kind: cell" in run(str(scripts / "unflat"), "init", "cell")
