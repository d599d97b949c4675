"""Answers of the view without sockets: descriptions, samples, progress, panels, and refusals in one line."""

import base64
import json
import os
from dataclasses import replace
from pathlib import Path
from threading import Event, Thread
from typing import Any

import h5py
import numpy as np
import pytest

from unflat.recon.errors import DataError
from unflat.recon.io.model_file import write_model
from unflat.recon.io.predictions import write_predictions
from unflat.recon.io.volume_formats import save
from unflat.recon.sampled import Quantity
from unflat.recon.viewer import textures
from unflat.recon.viewer.api import Api, Response
from unflat.recon.viewer.catalog import Catalog
from unflat.recon.viewer.files import read_inside
from unflat.recon.visualization.slices import orthogonal_slices
from unflat.recon.visualization.specimen_scale import colour_scale
from unflat.recon.volume import Volume

from .builders import FRAME, voxel_model, voxel_series, write_run

PLANE = {"origin": "0,0,0", "right": "0,0,1e-7", "down": "0,1e-7,0", "width": "20", "height": "10"}


class Client:
    """The API of some paths, with its first run."""

    def __init__(self, *paths: Path):
        self.api = Api(Catalog(paths))
        self.run = ""
        self.run = self.json("runs")["runs"][0]["id"]

    def ask(self, path: str, **query: Any) -> Response:
        return self.api.respond(path.replace("RUN", self.run), {name: str(value) for name, value in query.items()})

    def json(self, path: str, **query: Any) -> Any:
        response = self.ask(path, **query)
        assert response.status == 200, response.body
        return json.loads(response.body)

    def plane(self, **query: Any) -> np.ndarray:
        response = self.ask("runs/RUN/plane", **{**PLANE, **query})
        assert response.status == 200, response.body
        return np.frombuffer(response.body, "<f4").reshape(10, 20)


@pytest.fixture
def client(run_folder: Path) -> Client:
    return Client(run_folder)


def test_a_run_is_listed_and_described(client: Client) -> None:
    (row,) = client.json("runs")["runs"]
    assert {"name": "first", "kind": "cell", "state": "done", "has_result": True, "step": 1200}.items() <= row.items()
    assert row["verdict"] == {"soundness": "sound", "reasons": []}
    described = client.json("runs/RUN")
    assert (described["length_unit"], described["draws"], described["cells"]) == ("m", 1, None)
    assert described["bounds"] == [list(FRAME.low), list(FRAME.high)]
    (quantity,) = described["quantities"]
    assert (quantity["name"], quantity["background"], quantity["spread"]) == ("refractive_index", 1.337, None)
    assert 1.337 <= quantity["low"] < quantity["high"] <= 1.337 + 0.05


def test_planes_textures_and_profiles_are_samples_of_the_model(client: Client) -> None:
    model = voxel_model()
    y, x = (np.arange(10) - 4.5) * 1e-7, (np.arange(20) - 9.5) * 1e-7
    np.testing.assert_allclose(client.plane(), model.sample(np.zeros(1), y, x)[0], atol=1e-6)
    response = client.ask("runs/RUN/texture", longest=32)
    header = json.loads(response.headers["X-Texture"])
    values = np.frombuffer(response.body, "<f2").reshape(header["shape"]).astype(float)
    assert max(header["shape"]) == 32
    low, high = np.array(header["bounds"])
    index = (3, 7, 20)
    point = low + (np.array(index) + 0.5) * (high - low) / header["shape"]
    restored = header["low"] + values[index] * (header["high"] - header["low"])
    assert restored == pytest.approx(float(model(point[None])[0]), abs=2e-3 * (header["high"] - header["low"]))
    line = client.json("runs/RUN/profile", **{"from": "0,0,0", "to": "0,0,9e-6"}, count=10)
    assert line["distance"][-1] == pytest.approx(9e-6)
    assert line["values"][0] == pytest.approx(float(model(np.zeros((1, 3)))[0]))
    assert line["values"][-1] is None, "outside the box"


def test_draws_their_mean_and_their_spread(tmp_path: Path) -> None:
    model = voxel_model(members=3, draws=True)
    client = Client(write_run(tmp_path / "run", model))
    described = client.json("runs/RUN")
    assert (described["draws"], described["draws_name"]["many"]) == (3, "draws")
    assert [q["name"] for q in described["quantities"]] == ["refractive_index"]
    spread = described["quantities"][0]["spread"]
    assert (spread["low"], spread["colours"]) == (0, "viridis")
    draws = np.stack([client.plane(draw=k) for k in range(3)])
    assert np.ptp(draws, axis=0).max() > 0.01
    np.testing.assert_allclose(client.plane(draw="mean"), draws.mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(client.plane(draw="spread"), draws.std(axis=0, ddof=1), atol=1e-6)
    assert client.ask("runs/RUN/plane", **PLANE, draw=3).status == 400


def test_a_consensus_is_shown_in_place_of_the_mean_and_said_to_be(tmp_path: Path) -> None:
    client = Client(write_run(tmp_path / "run", voxel_model(members=3, draws=True, consensus=True)))
    assert client.json("runs/RUN")["has_consensus"]
    np.testing.assert_allclose(client.plane(draw="mean"), client.plane(draw=0), atol=1e-6)
    other = Client(write_run(tmp_path / "other", voxel_model(members=3, draws=True)))
    assert not other.json("runs/RUN")["has_consensus"]


def test_a_series_is_sampled_at_a_position(tmp_path: Path) -> None:
    series = voxel_series()
    client = Client(write_run(tmp_path / "RUN", series))
    described = client.json("runs/RUN")
    expected = {"name": "time", "unit": "s", "positions": [0, 10, 30], "default": 30}
    assert described["series"] == expected
    y, x = 1e-7 * (np.arange(10) - 4.5), 1e-7 * (np.arange(20) - 9.5)
    for query, position in (({}, 30.0), ({"at": 10}, 10.0), ({"at": 4}, 4.0)):
        plane = series.at(position).sample(np.zeros(1), y, x)[0]
        np.testing.assert_allclose(client.plane(**query), plane, atol=1e-6)
    low, high = (described["quantities"][0][name] for name in ("low", "high"))
    assert all(colour_scale(series.at(p)).low >= low and colour_scale(series.at(p)).high <= high for p in (0, 10, 30))
    refusal = client.ask("runs/RUN/plane", **PLANE, at=31)
    assert refusal.status == 400
    assert b"outside the series" in refusal.body


def crystal_volume(**values: np.ndarray) -> Volume:
    """A volume of one crystal with some quantities on 13 × 15 × 17 samples."""
    axes = [np.arange(n) * 1e-8 for n in (13, 15, 17)]
    units = {"phase": "rad", "uncertainty_phase": "rad"}
    quantities = tuple(Quantity(name, units.get(name, "1"), f"meaning of {name}") for name in values)
    return Volume("crystal", *axes, values, quantities)


def describe(volume: Volume, file: Path) -> tuple[Client, dict[str, Any]]:
    """Serve a volume; its quantities by name."""
    save(volume, file)
    client = Client(file)
    return client, {q["name"]: q for q in client.json("runs/RUN")["quantities"]}


def test_a_phase_has_a_cyclic_map_within_half_a_turn_and_a_mask_its_two_values(tmp_path: Path) -> None:
    ramp = np.broadcast_to(np.linspace(-9, 9, 17, dtype=np.float32), (13, 15, 17))
    mask = (np.abs(ramp) < 6).astype(np.uint8)
    wrapped = ((ramp + np.pi) % (2 * np.pi) - np.pi).astype(np.float32)
    client, quantities = describe(crystal_volume(support=mask, phase=wrapped), tmp_path / "wrapped.h5")
    phase, support = quantities["phase"], quantities["support"]
    assert (phase["low"], phase["high"], phase["colours"]) == (-np.pi, np.pi, "twilight")
    assert not phase["diverging"]
    assert (support["low"], support["high"]) == (0, 1)
    values = client.plane(quantity="support", origin="5e-8,6e-8,7e-8", right="0,0,7e-9", down="0,9e-9,0")
    assert set(values[np.isfinite(values)]) == {0.0, 1.0}
    phase = describe(crystal_volume(phase=ramp), tmp_path / "unwrapped.h5")[1]["phase"]
    assert (phase["colours"], phase["diverging"]) == ("RdBu_r", True)
    assert -phase["low"] == phase["high"] == pytest.approx(9, rel=0.05)


def test_the_uncertainty_that_a_result_stores_is_its_spread(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    values = {name: rng.random((13, 15, 17)).astype(np.float32) for name in ("amplitude", "phase", "uncertainty_phase")}
    client, quantities = describe(crystal_volume(**values), tmp_path / "volume.h5")
    assert list(quantities) == ["amplitude", "phase"]
    assert quantities["amplitude"]["spread"] is None
    spread = quantities["phase"]["spread"]
    assert (spread["low"], spread["colours"], spread["meaning"]) == (0, "viridis", "meaning of uncertainty_phase")
    place = {"origin": "6e-8,7e-8,8e-8", "right": "0,0,1e-8", "down": "0,1e-8,0", "width": 17, "height": 15}
    response = client.ask("runs/RUN/plane", **place, quantity="phase", draw="spread")
    plane = np.frombuffer(response.body, "<f4").reshape(15, 17)
    np.testing.assert_allclose(plane, values["uncertainty_phase"][6], atol=1e-6)
    response = client.ask("runs/RUN/plane", **place, quantity="amplitude", draw="spread")
    assert response.status == 400
    assert "no spread of amplitude" in json.loads(response.body)["error"]


def test_the_fits_of_an_ensemble_are_members(tmp_path: Path) -> None:
    client = Client(write_run(tmp_path / "run", voxel_model(members=3)))
    run = client.json("runs/RUN")
    assert (run["draws"], run["draws_name"]) == (3, {"one": "member", "many": "members"})
    assert run["quantities"][0]["spread"]["meaning"] == "standard deviation of refractive_index over the members"
    assert "no member 3" in json.loads(client.ask("runs/RUN/plane", **PLANE, draw=3).body)["error"]


def test_the_range_is_that_of_the_figures(tmp_path: Path) -> None:
    grid = np.full((1, 6, 8, 10), -1.0, np.float32)
    grid[0, 4, 2, 7] = 5.0  # A small bead: few samples have its values, and the middle of the box has none of them.
    model = replace(voxel_model(), weights={"grid": grid})
    (quantity,) = Client(write_run(tmp_path / "run", model)).json("runs/RUN")["quantities"]
    figure = orthogonal_slices(model)  # Through the middle: the range is not that of its own planes.
    low, high = next(axes.images[0].get_clim() for axes in figure.axes if axes.images)
    assert high - low > 0.1
    assert (quantity["low"], quantity["high"]) == (low, high)


def test_the_specimens_of_a_run_of_many_are_told_apart(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run")
    (run / "models").mkdir()
    for number in range(12):
        write_model(voxel_model(number), run / "models" / f"cell_{number}.h5")
    client = Client(run)
    described = client.json("runs/RUN")
    assert described["cells"] == 12
    assert described["names"][9:11] == ["cell_9", "cell_10"]
    point = voxel_model(10).sample(np.zeros(1), np.zeros(1) - 4.5e-7, np.zeros(1) - 9.5e-7).item()
    assert client.plane(cell=10)[0, 0] == pytest.approx(point, abs=1e-6)
    assert client.ask("runs/RUN/plane", **PLANE, cell=12).status == 400


def test_progress_tells_curves_numbers_and_log(client: Client) -> None:
    progress = client.json("runs/RUN/progress")
    curve = progress["series"]["loss"]
    assert len(curve) == 500
    assert (curve[0], curve[-1]) == ([1, 1], [1200, pytest.approx(1 / 1200)])
    assert set(progress["series"]) == {"loss"}
    numbers = {row["name"]: row for row in progress["numbers"]}
    assert numbers["seconds"]["value"] == "75 s"
    assert numbers["loss"]["title"] == "Final loss"
    assert progress["log"][-1].endswith("another")


def test_measured_and_modelled_views_are_a_panel(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", voxel_model())
    measured = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    withheld = np.array([False, True])
    write_predictions(run / "predictions.h5", "cell", np.array([3, 8]), withheld, measured, measured + 1)
    client = Client(run)
    (panel,) = client.json("runs/RUN")["panels"]
    assert (panel["name"], panel["parameters"][0]["high"]) == ("views", 1)
    content = client.json("runs/RUN/panel/views", view=1)
    assert "View 8" in content["text"]
    assert "withheld" in content["text"]
    images = [
        np.frombuffer(base64.b64decode(i["data"]), "<f4").reshape(i["height"], i["width"]) for i in content["images"]
    ]
    np.testing.assert_array_equal(images[0], measured[1])
    np.testing.assert_array_equal(images[2], np.ones((3, 4)))
    assert client.ask("runs/RUN/panel/views", view=2).status == 400
    assert client.ask("runs/RUN/panel/none").status == 404


def test_pictures_are_drawn_for_browsers_that_cannot(client: Client) -> None:
    import io

    from PIL import Image

    sides = []
    for azimuth in (0, 90):
        response = client.ask("runs/RUN/picture", azimuth=azimuth, size=64)
        assert response.type == "image/png"
        sides.append(np.asarray(Image.open(io.BytesIO(response.body)), float))
    assert sides[0].shape == (64, 64, 3)
    assert np.abs(sides[0] - sides[1]).mean() > 5
    surface = client.ask("runs/RUN/picture", style="surface", level=1.36, size=64)
    assert surface.status == 200
    assert client.ask("runs/RUN/picture", style="surface", level=2.0).status == 409
    assert client.ask("runs/RUN/picture", style="x").status == 400


def test_a_report_has_no_origin_and_loads_nothing(run_folder: Path, client: Client) -> None:
    assert client.ask("runs/RUN/report").status == 404
    (run_folder / "report.html").write_text("<h1>Report</h1>", "utf-8")
    response = client.ask("runs/RUN/report")
    assert response.body == b"<h1>Report</h1>"
    policy = response.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "sandbox allow-scripts;" in policy
    assert "same-origin" not in policy
    assert "http" not in policy


@pytest.mark.parametrize("name", ["report.html", "run.log", "metrics.json", "metrics.jsonl", "DONE"])
def test_a_link_of_a_run_to_a_file_of_the_user_is_not_followed(tmp_path: Path, name: str) -> None:
    run = write_run(tmp_path / "run", voxel_model())
    (tmp_path / "private").write_text('{"step": 1, "secret": 5}\n', "utf-8")
    (run / name).unlink(missing_ok=True)
    (run / name).symlink_to(tmp_path / "private")
    client = Client(run)
    response = client.ask("runs/RUN/report")
    assert response.status == (409 if name == "report.html" else 404)
    assert b"secret" not in response.body + client.ask("runs/RUN/progress").body + client.ask("runs").body


def test_what_is_no_regular_file_or_is_too_large_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(bytes(101))
    assert len(read_inside(tmp_path, "large", 101)) == 101
    with pytest.raises(DataError, match="larger"):
        read_inside(tmp_path, "large", 100)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DataError, match="regular"):
        read_inside(tmp_path, "pipe", 100)


@pytest.mark.parametrize(
    ("path", "query", "status"),
    [
        ("", {}, 404),
        ("runs/none", {}, 404),
        ("runs/RUN/none", {}, 404),
        ("runs/RUN/panel/a/b", {}, 404),
        ("runs/RUN/plane", {}, 400),
        ("runs/RUN/plane", {**PLANE, "width": "9999"}, 400),
        ("runs/RUN/plane", {**PLANE, "origin": "0,0"}, 400),
        ("runs/RUN/plane", {**PLANE, "origin": "0,0,nan"}, 400),
        ("runs/RUN/plane", {**PLANE, "quantity": "mass"}, 400),
        ("runs/RUN/plane", {**PLANE, "draw": "first"}, 400),
        ("runs/RUN/plane", {**PLANE, "draw": "spread"}, 400),
        ("runs/RUN/texture", {"longest": "1000"}, 400),
        ("runs/RUN/texture", {"longest": "x"}, 400),
        ("runs/RUN/profile", {"from": "0,0,0", "to": "0,0,1", "count": "1"}, 400),
        ("runs/RUN/profile", {"from": "0,0,0", "to": "0,0,1", "count": "10001"}, 400),
    ],
)
def test_a_wrong_request_is_answered_in_one_line(client: Client, path: str, query: dict[str, str], status: int) -> None:
    response = client.ask(path, **query)
    assert response.status == status
    message = json.loads(response.body)["error"]
    assert message
    assert "Traceback" not in message


def test_a_damaged_or_vanished_result_is_told_and_the_next_one_is_shown(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", voxel_model())
    client = Client(run)
    client.plane()
    with h5py.File(run / "model.h5", "r+") as file:
        file["weights/grid"][...] = 0
    response = client.ask("runs/RUN/plane", **PLANE)
    assert response.status == 409
    assert "damaged" in json.loads(response.body)["error"]
    (run / "model.h5").unlink()
    assert client.ask("runs/RUN/plane", **PLANE).status == 409
    write_model(voxel_model(9), run / "model.h5")
    y, x = (np.arange(10) - 4.5) * 1e-7, (np.arange(20) - 9.5) * 1e-7
    np.testing.assert_allclose(client.plane(), voxel_model(9).sample(np.zeros(1), y, x)[0], atol=1e-6)


def test_a_plane_does_not_wait_for_a_volume(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    client = Client(write_run(tmp_path / "run", voxel_model(members=5, draws=True)))
    client.json("runs/RUN")
    begun, has_planes, sample = Event(), Event(), textures.sample_grid
    statuses: list[int] = []

    def sample_late(*arguments: Any) -> np.ndarray:
        values = sample(*arguments)
        begun.set()
        assert has_planes.wait(60), "the volume holds a lock that the planes need"
        return values

    monkeypatch.setattr(textures, "sample_grid", sample_late)
    query = {"longest": 16, "draw": "spread"}
    large = Thread(target=lambda: statuses.append(client.ask("runs/RUN/texture", **query).status))
    large.start()
    assert begun.wait(60)
    small = Thread(target=lambda: statuses.extend(client.ask("runs/RUN/plane", **PLANE).status for _ in range(3)))
    small.start()
    small.join(60)
    has_planes.set()
    large.join(60)
    assert statuses == [200] * 4
