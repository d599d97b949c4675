"""Inputs and stand-ins that several tests of commands share."""

from pathlib import Path

import pytest

from unflat.cli.main import run

CONFIG = """kind: cell
volume: {depth: 2 um}
fit: {steps: 3, field: voxels, sign: any, start: none}
physics: {absorption: false}
simulate: {shape: [16, 16], illumination: {count: 6}}
"""


@pytest.fixture(scope="session")
def scan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A simulated scan of a tiny cell, beside its config."""
    folder = tmp_path_factory.mktemp("cell")
    (folder / "run.yaml").write_text(CONFIG, "utf-8")
    assert run(["simulate", str(folder / "run.yaml"), "-o", str(folder / "scan.h5")]) == 0
    return folder / "scan.h5"
