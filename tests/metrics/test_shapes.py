"""Errors of shapes and scores of draws: solids counted by hand, properties of scores, published baselines."""

import csv
import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.ndimage import binary_dilation

from unflat.recon.errors import DataError
from unflat.recon.experiments.shape.scores import score_cell, score_shapes
from unflat.recon.io.table import Column, Table, concatenate
from unflat.recon.metrics.shapes import (
    crps,
    diversity,
    hausdorff,
    interval,
    otsu_binarize,
    overlap_error,
    roughness_voxels,
    shape_errors,
    signed_distance,
    surface_voxels,
)
from unflat.recon.metrics.stereology import build_ellipsoid, extrude_section


def box(shape: tuple[int, int, int], low: tuple[int, int, int], high: tuple[int, int, int]) -> np.ndarray:
    inside = np.zeros(shape, bool)
    inside[tuple(slice(a, b) for a, b in zip(low, high, strict=True))] = True
    return inside


def ball(edge: int, radius: float, shift: float = 0.0) -> np.ndarray:
    z, y, x = np.indices((edge,) * 3) - edge // 2
    return np.asarray(z**2 + y**2 + (x - shift) ** 2 <= radius**2)


class TestErrors:
    def test_of_boxes_counted_by_hand(self) -> None:
        truth, result = box((16,) * 3, (4, 4, 4), (10, 10, 10)), box((16,) * 3, (4, 4, 4), (10, 10, 7))
        errors = shape_errors(truth, result)
        assert errors["overlap_error"] == pytest.approx(0.5)
        assert errors["volume"] == pytest.approx(0.5)
        # The surface of a box is the box without the box that is one voxel less on each side.
        assert surface_voxels(truth) == 6**3 - 4**3
        assert errors["surface"] == pytest.approx(1 - (6 * 6 * 3 - 4 * 4 * 1) / (6**3 - 4**3))
        assert shape_errors(truth, truth) == dict.fromkeys(errors, 0.0)

    @given(hnp.arrays(bool, st.tuples(*[st.integers(1, 7)] * 3)))
    @settings(max_examples=40, deadline=None)
    def test_the_surface_is_what_a_dilation_of_the_outside_reaches(self, inside: np.ndarray) -> None:
        reached = binary_dilation(~inside, np.ones((3, 3, 3), bool)) & inside
        assert surface_voxels(inside) == np.count_nonzero(reached)

    def test_a_face_of_the_array_is_no_surface(self) -> None:
        slab = box((8, 8, 8), (0, 0, 0), (4, 8, 8))
        assert surface_voxels(slab) == 64

    @given(st.integers(0, 3), st.floats(3, 7))
    @settings(max_examples=10, deadline=None)
    def test_roughness_does_not_depend_on_the_margin(self, rim: int, radius: float) -> None:
        inside = ball(40, radius, 0.4)
        assert roughness_voxels(inside) == roughness_voxels(np.pad(inside, rim))
        smoother = ball(40, 2 * radius, 0.4)
        assert roughness_voxels(smoother) / smoother.sum() < roughness_voxels(inside) / inside.sum() + 1e-9

    def test_otsus_threshold_binarizes_any_values(self) -> None:
        inside = ball(24, 8)
        for values in (inside.astype(np.uint8) * 255, np.where(inside, 0.9, 0.1), inside * 3.0 - 1):
            np.testing.assert_array_equal(otsu_binarize(values), inside)
        assert not otsu_binarize(np.zeros((4, 4, 4))).any()
        with pytest.raises(DataError, match="not finite"):
            otsu_binarize(np.full((4, 4, 4), np.nan))

    def test_other_voxels_are_refused(self) -> None:
        with pytest.raises(DataError, match=r"\(8, 8, 8\), the truth \(9, 9, 9\)"):
            shape_errors(ball(9, 3), ball(8, 3))


class TestHausdorff:
    def test_it_is_the_shift_of_moved_boxes(self) -> None:
        one, other = box((20,) * 3, (4, 4, 4), (12, 12, 12)), box((20,) * 3, (4, 4, 7), (12, 12, 15))
        assert hausdorff(one, other, share=1.0) == 3
        assert hausdorff(one, other, (1.0, 1.0, 0.2), share=1.0) == pytest.approx(0.6)
        assert hausdorff(one, other) == hausdorff(other, one) <= 3
        assert hausdorff(one, one) == 0
        assert np.isnan(hausdorff(one, np.zeros_like(one)))

    def test_a_speck_moves_the_greatest_distance_and_not_95_percent(self) -> None:
        one = ball(32, 9)
        other = one.copy()
        other[1, 1, 1] = True
        assert hausdorff(one, other) == 0
        assert hausdorff(one, other, share=1.0) > 10

    def test_empty_space_around_the_shapes_changes_nothing(self) -> None:
        one, other = ball(20, 6.0), ball(20, 5.0, 1.0)
        wide = [np.pad(shape, ((9, 3), (0, 7), (5, 5))) for shape in (one, other)]
        assert hausdorff(*wide, (2.0, 1.0, 1.0)) == hausdorff(one, other, (2.0, 1.0, 1.0))
        part = (slice(9, -3), slice(None, -7), slice(5, -5))
        assert np.array_equal(signed_distance(wide[0])[part], signed_distance(one))


class TestSpread:
    @given(hnp.arrays(float, st.integers(1, 8), elements=st.floats(-10, 10)), st.floats(-10, 10))
    @settings(max_examples=50, deadline=None)
    def test_crps_is_invariant_to_shifts_and_scales_with_values(self, draws: np.ndarray, truth: float) -> None:
        score = crps(draws, truth)
        assert crps(draws + 3, truth + 3) == pytest.approx(score, abs=1e-9)
        assert crps(2 * draws, 2 * truth) == pytest.approx(2 * score, abs=1e-9)
        if len(set(draws)) == 1:
            assert score == pytest.approx(abs(draws[0] - truth))

    def test_crps_of_many_draws_is_that_of_the_normal_law(self) -> None:
        """Its mean is the same for few draws: it is fair."""
        rng = np.random.default_rng(0)
        # E|X − y| − E|X − X'|/2 of a standard normal, y from the same: 1/√π.
        for k in (2, 5, 40):
            scores = [crps(row[:-1], row[-1]) for row in rng.normal(size=(3000, k + 1))]
            assert np.mean(scores) == pytest.approx(1 / np.sqrt(np.pi), abs=0.04)

    @pytest.mark.parametrize("k", [2, 5, 19, 30])
    def test_the_interval_holds_as_many_truths_as_it_says(self, k: int) -> None:
        rows = np.random.default_rng(1).gumbel(size=(1500, k + 1))
        ends = [interval(row[:-1]) for row in rows]
        held = np.mean([low <= row[-1] <= high for row, (low, high, _) in zip(rows, ends, strict=True)])
        assert held == pytest.approx(ends[0][2], abs=0.03)
        assert ends[0][2] == pytest.approx(min(0.9, (k - 1) / (k + 1)))

    def test_diversity(self) -> None:
        one, other = ball(16, 5), ~ball(16, 5)
        assert diversity(np.stack([one, one])) == 0
        assert diversity(np.stack([one, one, other])) == pytest.approx(2 / 3)
        assert np.isnan(diversity(one[None]))


class TestScore:
    def test_perfect_draws(self) -> None:
        truth = np.stack([ball(24, 7), ball(24, 8, 2)])
        draws = np.repeat(truth[:, None], 3, axis=1)
        scores = score_shapes(draws, truth, labels=["b", "a"], names=["x", "y"], masks=truth[:, 12])
        assert scores.cells.column("overlap_error") == [0, 0]
        assert [row["label"] for row in scores.classes.rows] == ["a", "b", "all"]
        assert (
            scores.numbers["hausdorff_voxels"] == scores.numbers["crps_curvature"] == scores.numbers["diversity"] == 0
        )
        assert scores.numbers["section"] == scores.numbers["coverage_volume"] == 1
        assert scores.numbers["coverage_expected"] == pytest.approx(0.5)

    def test_the_best_draw_is_better_than_the_mean_and_a_class_is_the_mean_of_its_cells(self) -> None:
        truth = np.stack([ball(24, r) for r in (6, 7, 8)])
        draws = np.stack([[ball(24, r - 1), ball(24, r, 1), ball(24, r + 2)] for r in (6, 7, 8)])
        scores = score_shapes(draws, truth, labels=["a", "a", "b"], spacing=(2e-7, 1e-7, 1e-7))
        for row in scores.cells.rows:
            for name in ("overlap_error", "volume", "surface", "roughness", "hausdorff"):
                assert row[f"best_{name}"] <= row[name]
        a, b, both = scores.classes.rows
        assert a["overlap_error"] == pytest.approx(np.mean(scores.cells.column("overlap_error")[:2]))
        assert 3 * float(both["volume"]) == pytest.approx(2 * float(a["volume"]) + float(b["volume"]))
        assert (a["cells"], b["cells"], both["cells"], both["draws"]) == (2, 1, 3, 3)
        assert scores.numbers["hausdorff"] == pytest.approx(1e-6 * float(both["hausdorff"]))  # metres, not um
        read = list(csv.DictReader(io.StringIO(scores.cells.csv())))
        assert float(read[2]["hausdorff [um]"]) == pytest.approx(float(scores.cells.rows[2]["hausdorff"]))

    def test_the_consensus_is_filled_by_most_draws(self) -> None:
        truth = ball(24, 7)
        draws = np.stack([truth, ball(24, 9), np.roll(ball(24, 7), 3, axis=0), ball(24, 6)])
        row = score_cell(draws, truth)
        middle = draws.sum(axis=0) >= 3
        assert row["consensus_overlap_error"] == pytest.approx(1 - (truth & middle).sum() / (truth | middle).sum())
        assert row["consensus_overlap_error"] < row["overlap_error"]
        assert score_cell(draws[1:2], truth)["consensus_volume"] == score_cell(draws[1:2], truth)["volume"]

    def test_one_draw_has_no_interval(self) -> None:
        row = score_cell(ball(20, 6)[None], ball(20, 7))
        assert "coverage_volume" not in row
        assert row["crps_volume"] == pytest.approx(row["volume"])
        assert np.isnan(row["diversity"])

    def test_an_empty_draw_has_the_largest_errors(self) -> None:
        row = score_cell(np.zeros((1, 20, 20, 20)), ball(20, 7))
        assert row["overlap_error"] == row["volume"] == row["roughness"] == row["crps_curvature"] == 1
        assert row["hausdorff"] == pytest.approx(20 * 3**0.5)

    def test_an_empty_draw_improves_no_mean(self) -> None:
        truth = np.stack([ball(24, 7), ball(24, 8)])
        draws = np.stack([[ball(24, 6), ball(24, 8)], [ball(24, 7), ball(24, 7)]])
        empty = draws.copy()
        empty[1] = False
        whole, less = score_shapes(draws, truth).numbers, score_shapes(empty, truth).numbers
        for name in ("overlap_error", "volume", "surface", "roughness", "hausdorff_voxels", "crps_curvature"):
            assert less[name] > whole[name]
        assert score_shapes(empty, truth).cells.column("hausdorff")[1] == pytest.approx(24 * 3**0.5)

    @pytest.mark.parametrize(
        ("draws", "truth", "options", "message"),
        [
            (np.zeros((2, 1, 4, 4, 4)), np.ones((1, 4, 4, 4)), {}, "2 shapes and 1 true"),
            (np.zeros((1, 1, 4, 4, 4)), np.ones((1, 4, 4, 5)), {}, r"\(1, 4, 4, 4\), a truth of \(4, 4, 5\)"),
            (np.zeros((1, 0, 4, 4, 4)), np.ones((1, 4, 4, 4)), {}, r"draws of the shape \(0, 4, 4, 4\)"),
            (np.zeros((1, 1, 4, 4, 4)), np.zeros((1, 4, 4, 4)), {}, "true shape is empty"),
            (np.full((1, 1, 4, 4, 4), np.inf), np.ones((1, 4, 4, 4)), {}, "not finite"),
            (np.zeros((1, 1, 4, 4, 4)), np.ones((1, 4, 4, 4)), {"labels": ["a", "b"]}, "2 labels"),
            (np.zeros((0, 1, 4, 4, 4)), np.zeros((0, 4, 4, 4)), {}, "no cell"),
        ],
    )
    def test_faults(self, draws: np.ndarray, truth: np.ndarray, options: dict, message: str) -> None:
        with pytest.raises(DataError, match=message):
            score_shapes(draws, truth, **options)


class TestStereology:
    def test_solids_of_a_disc(self) -> None:
        y, x = np.indices((64, 64)) - 32
        disc = y**2 + x**2 <= 20**2
        solid = extrude_section(disc, 64)
        assert solid.any(axis=(1, 2)).sum() == 20
        np.testing.assert_array_equal(solid[32], disc)
        egg = build_ellipsoid(disc, 64)
        assert egg.sum() == pytest.approx(4 / 3 * np.pi * 20 * 20 * 10, rel=0.04)
        assert overlap_error(disc[None], egg[32][None]) < 0.06
        with pytest.raises(DataError, match="empty"):
            extrude_section(np.zeros((8, 8), bool), 8)

    @pytest.mark.slow
    def test_errors_on_real_cells_are_the_published_ones(self, shared_data: Path) -> None:
        """Compare with the errors of 135 cells in BASELINES, within the deviation of the 108 available ones."""
        tifffile = pytest.importorskip("tifffile")
        errors: dict[str, list[list[float]]] = {"extrude_section": [], "build_ellipsoid": []}
        with zipfile.ZipFile(shared_data / "shapes" / "red_blood_cells_108.zip") as archive:
            for name in [n for n in archive.namelist() if "/obj/" in n]:
                truth = tifffile.imread(io.BytesIO(archive.read(name)))
                mask = otsu_binarize(tifffile.imread(io.BytesIO(archive.read(name.replace("/obj/", "/mask/"))))[None])[
                    0
                ]
                truth = otsu_binarize(truth)
                for solid in (extrude_section, build_ellipsoid):
                    errors[solid.__name__].append(list(shape_errors(truth, solid(mask, 64)).values()))
        assert len(errors["extrude_section"]) == 108
        np.testing.assert_allclose(np.mean(errors["extrude_section"], axis=0), (0.492, 0.366, 0.374, 0.278), atol=0.015)
        np.testing.assert_allclose(np.mean(errors["build_ellipsoid"], axis=0), (0.620, 0.503, 0.506, 0.552), atol=0.015)


class TestTable:
    def test_units_are_in_the_header_and_unknown_values_are_empty(self, tmp_path: Path) -> None:
        table = Table((Column("name"), Column("volume", "um3")), ({"name": "a, b", "volume": np.nan}, {"name": "c"}))
        table.save(tmp_path / "t.csv")
        assert (tmp_path / "t.csv").read_text("utf-8") == 'name,volume [um3]\n"a, b",\nc,\n'
        with pytest.raises(DataError, match="no column area"):
            Table((Column("name"),), ({"area": 1.0},))

    def test_tables_are_joined_by_name_and_unit(self) -> None:
        one = Table((Column("name"), Column("size", "um")), ({"name": "a", "size": 1.0},))
        other = Table((Column("name"), Column("size", "voxel"), Column("n")), ({"name": "b", "size": 2.0, "n": 3},))
        assert concatenate([one, other]).csv() == "name,size [um],size [voxel],n\na,1,,\nb,,2,3\n"
