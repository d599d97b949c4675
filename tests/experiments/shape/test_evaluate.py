"""Evaluation of shapes against the truth: quantities, samples, and matching of cells."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from unflat.cli.main import run
from unflat.recon.errors import DataError
from unflat.recon.experiments import get_experiment
from unflat.recon.experiments.shape.binarize import binarize
from unflat.recon.experiments.shape.cells import CellImage
from unflat.recon.experiments.shape.evaluate import evaluate
from unflat.recon.experiments.shape.grids import centred_grid, cube_grid, resample_shapes
from unflat.recon.experiments.shape.model import build_model
from unflat.recon.experiments.shape.network.inputs import to_network_input
from unflat.recon.experiments.shape.network.shape_code import encode, pixel_centres
from unflat.recon.experiments.shape.schema import OCCUPANCY
from unflat.recon.io.model_file import write_model
from unflat.recon.io.volume_formats import save
from unflat.recon.io.volume_stack import write_many
from unflat.recon.model import Model
from unflat.recon.sampled import Quantity
from unflat.recon.volume import SIGNED_DISTANCE, Volume

VOXEL = 0.2e-6
DISTANCE = Quantity(SIGNED_DISTANCE, "m", "distance to the surface, negative inside")


def distance_of(radius: float, edge: int = 64, centre: tuple[float, float, float] = (0.0, 2.0, -3.0)) -> np.ndarray:
    """[voxel of 64] To the surface of a ball, in the cube's samples."""
    axes = np.meshgrid(*centred_grid((edge,) * 3, (64 / edge,) * 3).axes, indexing="ij")
    apart = sum((axis - c) ** 2 for axis, c in zip(axes, centre, strict=True))
    return np.asarray(np.sqrt(apart) - radius)


def volume_of(values: np.ndarray, quantity: Quantity = OCCUPANCY, names: Sequence[str] = (), **more: object) -> Volume:
    edge = values.shape[-1]
    axes = centred_grid((edge,) * 3, (VOXEL * 64 / edge,) * 3).axes
    volume = Volume("shape", *axes, {quantity.name: values}, (quantity,), names=tuple(names))
    return replace(volume, **more)  # type: ignore[arg-type]


def cells_of(*radii: float, names: Sequence[str] = (), edge: int = 64) -> Volume:
    """Make the truth, or draws, of several balls."""
    filled = np.stack([distance_of(radius, edge) < 0 for radius in radii])[:, None]
    return volume_of(filled.astype(np.uint8), names=names)


def model(name: str = "a") -> Model:
    """Make the predicted model of a ball."""
    distance = distance_of(15)
    code = encode(distance, (np.arange(64) - 32.0, pixel_centres(), pixel_centres()))
    section = (distance[32] < 0).astype(float)
    cell = CellImage(name, "", section, section, (VOXEL,) * 3, "m")
    return build_model(cell, code[None], to_network_input(section, section), {})


class TestBinarize:
    def test_any_quantity_of_a_shape(self) -> None:
        distance = distance_of(12, 32)
        inside = distance < 0
        for values, quantity in (
            (distance, DISTANCE),
            (inside.astype(np.uint8), OCCUPANCY),
            (np.clip(0.5 - distance, 0, 1), OCCUPANCY),
            (np.uint8(255) * inside, Quantity("value", "1", "")),
        ):
            np.testing.assert_array_equal(binarize(volume_of(values, quantity)), inside)

    @pytest.mark.parametrize(
        ("values", "name", "message"),
        [
            (np.zeros((4, 4, 4)), "strain", "holds strain, which tells no inside"),
            (-np.ones((4, 4, 4)), "occupancy", "never negative"),
            (-np.ones((4, 4, 4)), "value", "never negative"),
            (np.full((4, 4, 4), np.nan), SIGNED_DISTANCE, "not finite"),
            (np.full((4, 4, 4), np.nan), "occupancy", "not finite"),
        ],
    )
    def test_faults(self, values: np.ndarray, name: str, message: str) -> None:
        with pytest.raises(DataError, match=message):
            binarize(volume_of(values, Quantity(name, "1", "")))


class TestGrids:
    @pytest.mark.parametrize("edge", [32, 48, 96, 128])
    def test_a_shape_keeps_its_volume_and_place_on_finer_and_coarser_samples(self, edge: int) -> None:
        inside = (distance_of(15) < 0)[None]
        resampled = resample_shapes(
            inside, centred_grid((64,) * 3, (1.0,) * 3), centred_grid((edge,) * 3, (64 / edge,) * 3)
        )
        assert resampled.sum() * (64 / edge) ** 3 == pytest.approx(inside.sum(), rel=0.04)
        expected = distance_of(15, edge)
        far = np.abs(expected) > 1.5 * max(1, 64 / edge)
        np.testing.assert_array_equal(resampled[0][far], expected[far] < 0)

    def test_samples_at_the_border_are_retained(self) -> None:
        resampled = resample_shapes(
            np.ones((1, 8, 8, 8), bool), centred_grid((8,) * 3, (1.0,) * 3), centred_grid((16,) * 3, (0.5,) * 3)
        )
        assert resampled[0, 1:].all()


class TestEvaluate:
    def test_a_signed_distance_has_the_scores_of_an_occupancy(self) -> None:
        truth = cells_of(15)
        apart = volume_of(distance_of(13) * VOXEL, DISTANCE)
        errors = evaluate(apart, truth).numbers
        assert errors["overlap_error"] == pytest.approx(1 - (13 / 15) ** 3, abs=0.02)
        assert evaluate(cells_of(13), truth).numbers["volume"] == errors["volume"]
        known = volume_of((distance_of(15) * VOXEL)[None, None], DISTANCE)
        assert evaluate(apart, known).numbers == errors

    def test_a_model_is_sampled_on_the_truths_grid(self) -> None:
        truth = cells_of(15, names=["a"])
        numbers = evaluate(model(), truth).numbers
        assert numbers["overlap_error"] < 0.02
        assert numbers["section"] > 0.98
        shifted = replace(truth, y=truth.y + VOXEL / 2, x=truth.x + VOXEL / 2)
        assert evaluate(model(), shifted).numbers["overlap_error"] > 2 * numbers["overlap_error"]

    def test_a_model_is_matched_to_its_cell_by_name(self) -> None:
        truth = cells_of(6, 15, names=["b", "a"])
        assert evaluate(model(), truth).cells.column("name") == ["a"]
        assert evaluate(model(), truth).numbers["overlap_error"] < 0.02
        with pytest.raises(DataError, match=r"1 of the result's 1 cells are not in the truth: c; it is of b, a"):
            evaluate(model("c"), truth)

    def test_a_model_at_its_own_spacing_has_similar_scores(self) -> None:
        numbers = evaluate(model().volume(), cells_of(15)).numbers  # 68 samples of the whole box, half a slice aside
        assert numbers["overlap_error"] < 0.06
        assert numbers["volume"] < 0.02

    def test_voxels_and_metres_are_not_compared(self) -> None:
        truth = cells_of(15)
        for result in (model(), cells_of(15)):
            with pytest.raises(DataError, match="the result counts in metres, the truth in voxels"):
                evaluate(result, replace(truth, length_unit="voxel"))

    def test_cells_are_matched_by_name(self) -> None:
        truth = replace(cells_of(8, 12, 15, names=["a", "b", "c"]), labels=("x", "y", "x"))
        scores = evaluate(cells_of(15, 8, 12, names=["c", "a", "b"]), truth)
        assert scores.cells.column("name") == ["a", "b", "c"]
        assert scores.cells.column("label") == ["x", "y", "x"]
        assert scores.numbers["overlap_error"] == 0
        some = evaluate(cells_of(15, 12, names=["c", "b"]), truth)
        assert some.cells.column("name") == ["b", "c"]
        assert some.numbers["overlap_error"] == 0
        with pytest.raises(DataError, match=r"1 of the result's 3 cells are not in the truth: d"):
            evaluate(cells_of(15, 8, 12, names=["c", "a", "d"]), truth)
        with pytest.raises(DataError, match="the result is of 2 cells, the truth of 3"):
            evaluate(cells_of(8, 12), truth)  # Without names they cannot be matched.

    def test_the_truth_is_resampled_to_the_result(self) -> None:
        fine = evaluate(cells_of(15, edge=128), cells_of(15)).numbers
        assert fine["overlap_error"] < 0.04
        assert fine["hausdorff"] < 0.25  # [um]

    def test_samples_that_cannot_be_compared_are_refused(self) -> None:
        truth = cells_of(15)
        other = replace(truth, z=truth.z * 1.2, y=truth.y * 1.2, x=truth.x * 1.2)
        with pytest.raises(DataError, match=r"2.4e-07, 2.4e-07, 2.4e-07 m apart, as many of the truth 2e-07"):
            evaluate(other, truth)
        part = volume_of(truth.main[..., 20:44, 20:44, 20:44])
        near = replace(part, z=truth.z[20:44], y=truth.y[20:44], x=truth.x[20:44])
        with pytest.raises(DataError, match="1 of 1 true shapes reach beyond the samples"):
            evaluate(near, truth)

    def test_the_centre_of_an_array_does_not_matter(self) -> None:
        truth = cells_of(15)
        foreign = replace(truth, y=truth.y - VOXEL / 2, x=truth.x - VOXEL / 2)
        assert evaluate(foreign, truth).numbers["overlap_error"] == 0


class TestCommands:
    @pytest.fixture
    def files(self, tmp_path: Path) -> Path:
        write_model(model(), tmp_path / "model.h5")
        save(cells_of(15), tmp_path / "truth.h5")
        return tmp_path

    def test_a_sampled_model_is_evaluated(self, files: Path, capsys: pytest.CaptureFixture[str]) -> None:
        sampled, truth = str(files / "v.h5"), str(files / "truth.h5")
        assert run(["volume", str(files / "model.h5"), "-o", sampled, "--like", truth, "--draw", "0"]) == 0
        capsys.readouterr()
        assert run(["evaluate", sampled, truth, "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["overlap_error"] < 0.02

    def test_one_draw_and_its_consensus_have_scores_of_their_own(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        draw = cells_of(10, edge=32)
        write_many(tmp_path / "run.h5", draw.cell(0), draw.main, names=["a"])
        with h5py.File(tmp_path / "run.h5", "r+") as file:
            file["consensus/occupancy"] = cells_of(15, edge=32).main[0]
        (tmp_path / "truth").mkdir()
        save(cells_of(15, edge=32).cell(0), tmp_path / "truth" / "a.h5")
        assert run(["evaluate", str(tmp_path / "run.h5"), str(tmp_path / "truth"), "--json"]) == 0
        numbers = json.loads(capsys.readouterr().out)
        assert numbers["consensus_overlap_error"] == 0
        assert numbers["overlap_error"] == pytest.approx(1 - (10 / 15) ** 3, abs=0.02)

    def test_shaprs_features_of_a_model_are_those_of_its_cube(self, files: Path) -> None:
        from unflat.recon.experiments.shape.measure import measure

        table = files / "t.csv"
        assert run(["measure", str(files / "model.h5"), "-o", str(table), "--features", "shapr"]) == 0
        head, row = (line.split(",") for line in table.read_text("utf-8").splitlines())
        assert float(row[head.index("volume")]) == pytest.approx(4 / 3 * np.pi * 15**3, rel=0.02)
        distance = volume_of(distance_of(15) * VOXEL, DISTANCE)
        whole = measure(distance, features="shapr").rows[0]
        assert whole["volume"] == (distance_of(15) < 0).sum()
        lattice = cube_grid(model(), 64)
        np.testing.assert_allclose(lattice.y, distance.y, atol=1e-4 * VOXEL)
        np.testing.assert_allclose(lattice.z, distance.z, atol=1e-4 * VOXEL)


class TestTwoResults:
    """A second run has draws; the one shape of each of its cells is the consensus."""

    def of_draws(self, *radii: float, names: Sequence[str] = ("a", "b"), consensus: bool = True) -> Volume:
        shape = (distance_of(radii[0], 32) < 0).astype(np.float32)
        draws = np.stack([(distance_of(radius, 32) < 0).astype(np.float32) for radius in radii])
        own = {OCCUPANCY.name: np.stack([shape] * len(names))} if consensus else {}
        return volume_of(np.stack([draws] * len(names)), names=names, consensus=own)

    def test_the_consensus_is_the_reference(self) -> None:
        first, second = self.of_draws(15, 20, 10), self.of_draws(15, 8, names=("b", "a"))
        assert evaluate(first, second).numbers["consensus_overlap_error"] == 0
        figure = get_experiment("shape").comparison_figure(second, first, ("SECOND", "FIRST"))
        assert figure is not None
        texts = [text.get_text() for text in figure.axes[0].texts]
        assert {"SECOND", "FIRST", "b: 1 − IoU 0.000", "a: 1 − IoU 0.000", "across x (y z)"} <= set(texts)

    def test_draws_without_a_consensus_are_no_reference(self) -> None:
        with pytest.raises(DataError, match="2 draws of each cell and no consensus"):
            evaluate(self.of_draws(15, 20), self.of_draws(15, 20, consensus=False))
