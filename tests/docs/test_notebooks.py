"""The tutorials run, on small sizes, and hold no output."""

import json
from pathlib import Path
from typing import Any

import pytest

TUTORIALS = sorted((Path(__file__).resolve().parents[2] / "docs" / "tutorials").glob("*.ipynb"))
SMALL: dict[str, str] = {
    "cell": 'parameters = {"simulate.shape": [32, 32], "simulate.illumination.count": 8, "simulate.depth": "3 um", '
    '"volume.depth": "3 um", "fit.steps": 5}',
    "crystal": 'parameters = {"simulate.shape": [32, 32, 32], "simulate.flaws": [], "phase.starts": 2, '
    '"phase.recipe": [{"hio": {"iterations": 30}}, {"er": {"iterations": 10}}], "phase.refine.iterations": 10}',
    "shape": 'parameters = {"simulate.cells": 1}\ndraws = 2',
}
"""Text that stands for the cell tagged ``parameters``."""


def code_cells(path: Path) -> list[dict[str, Any]]:
    cells: list[dict[str, Any]] = json.loads(path.read_text("utf-8"))["cells"]
    return [cell for cell in cells if cell["cell_type"] == "code"]


def test_there_is_a_tutorial_for_each_kind() -> None:
    assert {path.stem for path in TUTORIALS} == set(SMALL)


@pytest.mark.slow
@pytest.mark.parametrize("path", TUTORIALS, ids=lambda path: path.stem)
def test_a_tutorial_runs(path: Path) -> None:
    from matplotlib import pyplot as plt

    names: dict[str, Any] = {}
    for cell in code_cells(path):
        tagged = "parameters" in cell["metadata"].get("tags", [])
        text = SMALL[path.stem] if tagged else "".join(cell["source"])
        exec(compile(text, f"{path.name}:{cell['id']}", "exec"), names)
    plt.close("all")


@pytest.mark.parametrize("path", TUTORIALS, ids=lambda path: path.stem)
def test_a_tutorial_holds_no_output(path: Path) -> None:
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code_cells(path))
