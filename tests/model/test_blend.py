"""Models of several tiles, blended: a partition of unity, without seams, and its file."""

import importlib.util
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import unflat
from unflat.cli.main import run
from unflat.recon.blend import Tile, split_tiles
from unflat.recon.errors import DataError
from unflat.recon.frame import ModelFrame
from unflat.recon.io.model_file import write_model
from unflat.recon.model import Model, ModelQuantity

FRAME = ModelFrame((-1.0, -2.0, -3.0), (1.0, 2.0, 3.0), (0.25, 0.25, 0.25), {"medium_index": 1.33})
OUTPUTS = (ModelQuantity("refractive_index", "1", "real part of the refractive index", 1.33, 0.05),)
VOXELS = {"type": "voxels", "version": 1, "shape": [3, 5, 7], "outputs": 1, "sign": "any"}


def ramp_of(low: float, high: float, ends: tuple[float, float], width: float) -> tuple[float, float, float, float]:
    """Window of a tile whose ramps are inside its box, but for those at the ends of the field."""
    left, right = (0 if low == ends[0] else width), (0 if high == ends[1] else width)
    return low, low + left, high - right, high


def row_of_tiles(cuts: list[float], overlap: float) -> list[Tile]:
    """Tiles along x between cuts, each reaching half the overlap beyond its cuts."""
    ends, tiles = (cuts[0], cuts[-1]), []
    for a, b in pairwise(cuts):
        low, high = max(ends[0], a - overlap / 2), min(ends[1], b + overlap / 2)
        whole = [(low, low, high, high) for low, high in ((-1.0, 1.0), (-2.0, 2.0))]
        window = (whole[0], whole[1], ramp_of(low, high, ends, overlap))
        tiles.append(Tile((-1.0, -2.0, low), (1.0, 2.0, high), window))
    return tiles


def tiled(members: int = 1, seed: int = 0, same: bool = False) -> Model:
    """Model of three tiles, with fields of their own or one constant."""
    rng = np.random.default_rng(seed)
    parts = []
    for _ in range(3):
        weights = [
            {"grid": np.full((1, 3, 5, 7), 0.7, np.float32) if same else rng.normal(size=(1, 3, 5, 7)).astype("f4")}
            for _ in range(members)
        ]
        parts.append(Model.ensemble(VOXELS, weights, FRAME, OUTPUTS, "cell", {"seed": seed}))
    return Model.blend(parts, row_of_tiles([-3.0, -1.2, 1.0, 3.0], 0.8), FRAME)


def points_in(reach: float = 1.0, count: int = 300) -> np.ndarray:
    return reach * np.random.default_rng(1).uniform(FRAME.low, FRAME.high, (count, 3))


@settings(deadline=None, max_examples=40)
@given(
    st.lists(st.floats(1.2, 4.0), min_size=1, max_size=5),
    st.floats(0.1, 1.0),
    st.lists(st.floats(0, 1), min_size=1, max_size=30),
)
def test_the_windows_of_neighbours_sum_to_one_everywhere(lengths: list[float], overlap: float, at: list[float]) -> None:
    cuts = [0.0, *np.cumsum(lengths).tolist()]
    places = np.array([0.0, 1.0, *at]) * cuts[-1]
    total = sum(tile.along(2, places) for tile in row_of_tiles(cuts, overlap))
    np.testing.assert_allclose(total, 1, atol=1e-12)


def test_a_blend_of_equal_fields_is_that_field() -> None:
    np.testing.assert_allclose(tiled(same=True)(points_in()), 1.33 + 0.05 * 0.7, rtol=0, atol=1e-8)


def test_away_from_overlaps_the_blend_is_the_tile() -> None:
    model = tiled()
    one, other, tile, _ = next(iter(model.overlaps()))
    left = points_in() * [1, 1, 0] + np.array([0, 0, -2.4])
    np.testing.assert_array_equal(model(left), one(left))
    middle = left + np.array([0, 0, 2.4])
    np.testing.assert_array_equal(model(middle), other(middle))
    seam = left + np.array([0, 0, 1.2])  # At the cut both count half.
    np.testing.assert_allclose(model(seam), (one(seam) + other(seam)) / 2, atol=1e-9)
    assert tile.window[2][3] == pytest.approx(-0.8)


def test_the_blend_has_a_continuous_slope_across_the_ramps() -> None:
    x = np.linspace(-2.9, 2.9, 20001)
    model = tiled()
    model = replace(model, weights={n: np.full_like(w, n < "tile_1") for n, w in model.weights.items()})
    slope = np.diff(model(np.stack([0 * x, 0 * x, x], axis=1))) / (x[1] - x[0])
    assert np.ptp(slope) > 0.05  # It falls from the first tile's value to the second's,
    assert np.abs(np.diff(slope)).max() < 2e-3 * np.ptp(slope)  # and nowhere does the slope jump.


def test_grids_points_and_rotated_grids_agree() -> None:
    model = tiled(members=2)
    z, y, x = np.linspace(-1.2, 1, 5), np.linspace(2, -2.2, 9), np.linspace(-3, 3.3, 41)
    points = np.stack(np.meshgrid(z, y, x, indexing="ij"), axis=-1).reshape(-1, 3)
    for quantity in model.quantities:
        values = model.at(points, [quantity.name])[:, 0]
        np.testing.assert_allclose(model.sample(z, y, x, quantity.name).ravel(), values, atol=1e-7)
    assert {q.name for q in model.quantities} == {"refractive_index", "uncertainty_refractive_index"}
    assert model.volume().shape == (8, 16, 24)


def test_each_member_is_a_blend_of_its_own() -> None:
    model, points = tiled(members=2), points_in()
    members = [member(points) for member in model.split_members()]
    np.testing.assert_allclose(np.mean(members, axis=0), model(points), atol=1e-9)
    assert all(len(member.tiles) == 3 for member in model.split_members())


def test_outside_the_box_is_the_background() -> None:
    outside = points_in() + np.array([0, 0, 7.0])
    assert (tiled()(outside) == 1.33).all()


class TestFile:
    def test_a_model_of_tiles_survives_its_file(self, tmp_path: Path) -> None:
        model = tiled(members=2)
        write_model(model, tmp_path / "m.h5")
        again = unflat.load(tmp_path / "m.h5")
        assert again.tiles == model.tiles
        np.testing.assert_array_equal(again(points_in(1.1)), model(points_in(1.1)))

    def test_the_documented_reader_gives_the_same_values(self, tmp_path: Path) -> None:
        path = Path(__file__).resolve().parents[2] / "docs" / "read_model.py"
        spec = importlib.util.spec_from_file_location("read_model", path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        model = tiled(members=2)
        write_model(model, tmp_path / "m.h5")
        values = module.read_model(tmp_path / "m.h5")(points_in(1.1))
        for quantity in model.quantities:
            np.testing.assert_allclose(values[quantity.name], model(points_in(1.1), quantity.name), atol=1e-12)

    def test_readers_of_the_first_format_refuse_it_by_its_version(self, tmp_path: Path) -> None:
        write_model(tiled(), tmp_path / "m.h5")
        with h5py.File(tmp_path / "m.h5") as file:
            assert file.attrs["format_version"].decode() == "2.0"

    @pytest.mark.parametrize("fault", ["gap", "count", "not finite", "shape"])
    def test_damaged_tiles_are_refused(self, tmp_path: Path, fault: str) -> None:
        write_model(tiled(), tmp_path / "m.h5")
        with h5py.File(tmp_path / "m.h5", "r+") as file:
            windows = file["tiles/window"][()]
            if fault == "gap":
                windows[0, 2, 2:] = [-2.9, -2.8]
            elif fault == "not finite":
                windows[1, 1] = np.nan
            if fault in ("gap", "not finite"):
                file["tiles/window"][...] = windows
            else:
                del file["tiles/window"]
                file["tiles/window"] = windows[:2] if fault == "count" else windows[..., :2]
        with pytest.raises(DataError):
            unflat.load(tmp_path / "m.h5")

    def test_commands_read_it_as_any_model(self, tmp_path: Path, capsys: Any) -> None:
        write_model(tiled(), tmp_path / "m.h5")
        line = ["--line", "0m,0m,-2m", "0m,0m,2m", "--samples", "9"]
        assert run(["query", str(tmp_path / "m.h5"), *line, "-o", str(tmp_path / "q.npy")]) == 0
        expected = tiled()(np.stack([np.zeros(9), np.zeros(9), np.linspace(-2, 2, 9)], axis=1))
        np.testing.assert_allclose(np.load(tmp_path / "q.npy")["refractive_index"], expected)
        assert run(["info", str(tmp_path / "m.h5")]) == 0
        assert "tiles" in capsys.readouterr().out
        assert run(["volume", str(tmp_path / "m.h5"), "-o", str(tmp_path / "v.h5")]) == 0


def test_a_tile_without_weights_is_refused() -> None:
    with pytest.raises(DataError, match="tile_1 has no weights"):
        split_tiles({"tile_0/grid": np.zeros(3)}, 2)
