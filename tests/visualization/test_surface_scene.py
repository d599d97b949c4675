"""Surface that the reader of a report turns: its triangles are those of the specimen, and a browser draws them."""

import base64
import json
import re
import shutil
import subprocess
from functools import partial
from pathlib import Path

import imageio.v2 as imageio
import numpy as np
import pytest

from unflat.recon.errors import DataError
from unflat.recon.experiments import get_experiment
from unflat.recon.experiments.crystal.surface import crystal_scene
from unflat.recon.experiments.report import write_run_report
from unflat.recon.io.volume_formats import save
from unflat.recon.sampled import Quantity
from unflat.recon.visualization.specimen_scale import colour_scale
from unflat.recon.visualization.surface_scene import embed_scene, extract_body, result_scene
from unflat.recon.volume import Volume, centred_axis

RADIUS = 1.5e-6
INDEX = Quantity("refractive_index", "1", "")


def ball(quantity: Quantity = INDEX, count: int = 40) -> Volume:
    """A ball with a soft edge, in a box of 4 µm that is off the origin."""
    z, y, x = (centred_axis(count, 4e-6 / count, centre) for centre in (1e-6, 0.0, -2e-6))
    distance = np.sqrt((z[:, None, None] - 1e-6) ** 2 + y[:, None] ** 2 + (x + 2e-6) ** 2)
    values = 1.33 + 0.04 / (1 + np.exp((distance - RADIUS) / 5e-8))
    return Volume("cell", z, y, x, {quantity.name: values.astype(np.float32)}, (quantity,), {"medium_index": 1.33})


def decode(stored: dict[str, str], name: str, dtype: str) -> np.ndarray:
    return np.frombuffer(base64.b64decode(stored[name]), dtype)


def triangles(stored: dict[str, str]) -> np.ndarray:
    """Corners (x, y, z) [m] of the triangles in the page."""
    places = decode(stored, "places", "<u2").reshape(-1, 3) / 65535 * float(stored["extent"])
    return np.asarray(places[decode(stored, "faces", "<u2").reshape(-1, 3)])


def test_the_page_holds_the_surface_of_the_specimen() -> None:
    scene = result_scene(ball(), get_experiment("cell").surface_level)
    assert scene is not None
    embedded = embed_scene(scene)
    (stored,) = json.loads(embedded.data)["bodies"]
    corners = triangles(stored)
    volume = np.einsum("ij,ij->i", corners[:, 0], np.cross(corners[:, 1], corners[:, 2])).sum() / 6
    assert volume == pytest.approx(4 / 3 * np.pi * RADIUS**3, rel=0.02)  # Positive: seen from outside, anticlockwise.
    assert np.ptp(corners.reshape(-1, 3), axis=0) == pytest.approx([2 * RADIUS] * 3, rel=0.02)
    assert re.search(r"refractive index at 1\.3[45]", scene.caption)
    assert embedded.colour_bar is None
    picture = imageio.imread(embedded.png)[..., :3].astype(float) / 255
    drawn = picture.mean(axis=-1) < 0.95
    share = np.pi / 4 * 0.9**2  # A disc that leaves a tenth of the edge free; beside it there is the scale bar.
    assert drawn.mean() == pytest.approx(share, abs=0.02)
    middle = len(picture) // 2
    assert np.all(np.ptp(picture[middle - 9 : middle + 9, middle - 9 : middle + 9], axis=(0, 1)) < 0.06)  # No holes.


def test_a_finer_specimen_does_not_make_a_larger_page() -> None:
    body = extract_body(ball(count=130), INDEX.name, 1.35, share=0.5)
    assert 5_000 < len(body.surface.faces) <= 30_000
    assert np.ptp(body.surface.vertices, axis=0) == pytest.approx([2 * RADIUS] * 3, rel=0.02)


def test_a_specimen_without_a_surface_is_refused() -> None:
    with pytest.raises(DataError, match=r"no surface at the level 1\.5"):
        extract_body(ball(), INDEX.name, 1.5)


def test_a_crystal_has_the_colours_of_its_strain() -> None:
    plain = ball(Quantity("amplitude", "1", ""))
    amplitude = (plain.main - 1.33) / 0.04
    strain = np.where(amplitude > 0.5, np.sign(plain.x + 2e-6) * 1e-3, 0.0)
    values = {"amplitude": amplitude, "strain": strain, "support": (amplitude > 0.5).astype(np.uint8)}
    quantities = tuple(Quantity(name, "1", "") for name in values)
    crystal = Volume("crystal", plain.z, plain.y, plain.x, values, quantities)
    scene = crystal_scene(crystal, get_experiment("crystal").surface_level, partial(colour_scale, crystal))
    embedded = embed_scene(scene)
    (stored,) = json.loads(embedded.data)["bodies"]
    right = decode(stored, "places", "<u2").reshape(-1, 3)[:, 0] > 36_000
    left = decode(stored, "places", "<u2").reshape(-1, 3)[:, 0] < 29_000
    shades = decode(stored, "values", "u1")
    assert shades[right].min() > 250  # The strain beside the surface, not the zeros outside.
    assert shades[left].max() < 5
    bar = embedded.colour_bar
    assert bar is not None
    assert (bar["low"], bar["high"]) == ("−0.001", "0.001")


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("chromium") is None, reason="no Chromium")
def test_a_browser_draws_the_surface(tmp_path: Path) -> None:
    run = tmp_path / "RUN"
    run.mkdir()
    save(ball(), run / "volume.h5")
    (run / "config.yaml").write_text("kind: cell\n")
    page = write_run_report(run)
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--enable-unsafe-swiftshader", "--no-first-run"]
    options += [f"--user-data-dir={tmp_path}/browser", "--virtual-time-budget=3000", "--window-size=900,900"]
    command = ["chromium", *options, "--dump-dom", page.as_uri()]
    text = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    assert re.search(r'<figure class="surface live"', text)  # The script found WebGL, and came to its end.
    assert re.search(r'class="scale drawn" style="width: \d[\d.]*px;">1 µm<', text)
