"""Work shared out among devices: the numbers of one device, on four that XLA makes of a CPU."""

import json
import os
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from unflat.cli.main import run

pytestmark = pytest.mark.usefixtures("no_report")

ROOT = Path(__file__).resolve().parents[1]
CONFIG = """
kind: cell
volume: {depth: 2 um}
physics: {absorption: false}
fit: {steps: 6, batch: 6, field: voxels, sign: any}
simulate: {shape: [16, 16], depth: 2 um, radius: 0.8 um, photons: 5000, illumination: {count: 9, na: 0.5}}
"""
GRADIENT = """
import jax, jax.numpy as jnp, numpy as np
from unflat.recon.sharding import map_shards
assert jax.local_device_count() == 4
rows = jnp.arange(15.0).reshape(5, 3)
function = lambda weight, rows: jnp.sin(rows @ weight)
loss = lambda weight, over: jnp.mean(over(weight, rows) ** 2)
shared = lambda weight, rows: map_shards(function, weight, rows)
weight = jnp.array([0.3, -0.2, 0.5])
np.testing.assert_allclose(jax.jit(shared)(weight, rows), function(weight, rows), rtol=1e-6)
gradients = [jax.jit(jax.grad(loss), static_argnums=1)(weight, over) for over in (function, shared)]
np.testing.assert_allclose(*gradients, rtol=1e-5)
assert len(jax.jit(shared)(weight, rows[:4]).sharding.device_set) == 4
"""


def four_devices(*words: str) -> subprocess.CompletedProcess[str]:
    """Run Python with four devices."""
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count=4"
    environment = os.environ | {"XLA_FLAGS": flags}
    return subprocess.run([sys.executable, *words], env=environment, capture_output=True, text=True, check=True)


def test_values_and_gradients_are_those_of_one_device() -> None:
    four_devices("-c", GRADIENT)


@pytest.mark.slow
def test_a_fit_by_the_command_line_gives_the_numbers_of_one_device(tmp_path: Path) -> None:
    (tmp_path / "run.yaml").write_text(CONFIG)
    assert run(["simulate", str(tmp_path / "run.yaml"), "-o", str(tmp_path / "scan.h5")]) == 0
    words = ["fit", str(tmp_path / "run.yaml"), str(tmp_path / "scan.h5"), "-o"]
    assert run([*words, str(tmp_path / "one")]) == 0
    four_devices("-m", "unflat", *words, str(tmp_path / "four"))
    courses, indices = [], []
    for name in ("one", "four"):
        lines = (tmp_path / name / "metrics.jsonl").read_text().splitlines()
        courses.append([json.loads(line)["loss"] for line in lines])
        with h5py.File(tmp_path / name / "volume.h5") as file:
            indices.append(file["volume/refractive_index"][()])
    np.testing.assert_allclose(*courses, rtol=1e-4)
    np.testing.assert_allclose(*indices, atol=1e-6)


@pytest.mark.slow
def test_starts_of_a_phase_retrieval_are_those_of_one_device() -> None:
    test = "tests/phase_retrieval/test_projections.py::test_starts_computed_together_equal_starts_computed_alone"
    four_devices("-m", "pytest", "-q", "-n0", "-p", "no:cacheprovider", str(ROOT / test))
