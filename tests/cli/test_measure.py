"""``unflat measure`` and ``unflat mesh``: tables and surfaces of known specimens, and faulty input."""

import csv
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import trimesh

from unflat.cli.main import run
from unflat.cli.measure import _warn_of_box
from unflat.recon.errors import ConfigError, DataError, ExitStatus
from unflat.recon.frame import ModelFrame
from unflat.recon.io.model_file import write_model
from unflat.recon.io.safe_hdf5 import set_root_attributes
from unflat.recon.io.table import Column, Table
from unflat.recon.io.volume_formats import save
from unflat.recon.io.volume_stack import counts, members, write_many
from unflat.recon.metrics.edge_profile import median_edge_width
from unflat.recon.model import Model, ModelQuantity
from unflat.recon.sampled import Quantity
from unflat.recon.volume import Volume, centred_axis

STEP = 0.2e-6
RADIUS = 2e-6
VOLUME = 4 / 3 * np.pi * 2.0**3  # um3
MEDIUM, INSIDE = 1.337, 1.377
OCCUPANCY = Quantity("occupancy", "1", "0 outside, 1 inside")


def ball(radius: float = RADIUS, edge: int = 32) -> np.ndarray:
    """Signed distance of a ball, positive inside [m]."""
    axis = centred_axis(edge, STEP)
    z, y, x = np.meshgrid(axis, axis, axis, indexing="ij")
    return radius - np.sqrt(z**2 + y**2 + x**2)


def grey(distance: np.ndarray) -> np.ndarray:
    return np.clip(0.5 + distance / STEP, 0, 1).astype(np.float32)


def volume(kind: str, values: dict[str, np.ndarray], unit: str = "m", **attributes: Any) -> Volume:
    edge = len(next(iter(values.values())))
    axis = centred_axis(edge, STEP if unit == "m" else 1.0)
    quantities = tuple(Quantity(name, "1", "") for name in values)
    return Volume(kind, axis, axis, axis, values, quantities, attributes, unit)  # type: ignore[arg-type]


def cell(scale: float = 1.0, unit: str = "m") -> Volume:
    index = MEDIUM + (INSIDE - MEDIUM) * scale * grey(ball())
    return volume("cell", {"refractive_index": index.astype(np.float32)}, unit, medium_index=MEDIUM)


def crystal() -> Volume:
    distance = ball()
    z = np.broadcast_to(centred_axis(32, STEP)[:, None, None], distance.shape)
    strain = np.where(distance > 0, 1e-3 * z / RADIUS, np.nan)
    values = {
        "amplitude": grey(distance),
        "strain": strain,
        "displacement": 0.0 * distance,
        "support": 1.0 * (distance > 0),
    }
    return volume("crystal", values)


@pytest.fixture
def shapes(tmp_path: Path) -> Path:
    """Two cells of three draws."""
    path = tmp_path / "shapes.h5"
    values = np.stack([[grey(ball(r * 1e-6)) for r in radii] for radii in ((1.8, 2.0, 2.2), (1.0, 1.5, 1.2))])
    write_many(path, volume("shape", {"occupancy": grey(ball())}), values, names=["a", "b"], labels=["x", ""])
    return path


@pytest.fixture
def written(tmp_path: Path) -> Callable[[Volume, str], Path]:
    def write(what: Volume, name: str = "volume.h5") -> Path:
        save(what, tmp_path / name)
        return tmp_path / name

    return write


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def run_command(*words: str | Path) -> int:
    return run([str(word) for word in words])


class TestMeasure:
    def test_a_cells_dry_mass_is_its_contrast_over_the_increment(self, tmp_path: Path, written: Any) -> None:
        assert run_command("measure", written(cell()), "-o", tmp_path / "t.csv") == 0
        (row,) = rows(tmp_path / "t.csv")
        assert float(row["volume [um3]"]) == pytest.approx(VOLUME, rel=0.02)
        # [um3] 1e-12 mL, over mL/g, is 1e-12 g: a picogram.
        expected = VOLUME * (INSIDE - MEDIUM) / 0.185
        assert float(row["dry_mass [pg]"]) == pytest.approx(expected, rel=0.05)
        assert float(row["dry_mass_box [pg]"]) == pytest.approx(expected, rel=0.02)
        assert float(row["dry_mass_high [pg]"]) / float(row["dry_mass_low [pg]"]) == pytest.approx(19 / 18)
        assert float(row["dry_mass_density [g/L]"]) == pytest.approx(0.04 / 0.185 * 1e3, rel=0.05)
        assert float(row["medium_index"]) == pytest.approx(MEDIUM)
        assert float(row["max_index"]) == pytest.approx(INSIDE, abs=1e-5)

    def test_a_result_that_was_not_sound_is_measured_with_its_reasons(
        self, tmp_path: Path, written: Any, capsys: Any
    ) -> None:
        path = written(cell())
        for attributes, warned in (({}, False), ({"verdict_reasons": ""}, False), ({"verdict_reasons": "open"}, True)):
            set_root_attributes(path, attributes)
            assert run_command("measure", path, "-o", tmp_path / "t.csv", "--force") == 0
            assert ("was not sound: open" in capsys.readouterr().err) == warned

    def test_samples_of_unknown_size_have_no_mass(self, tmp_path: Path, written: Any) -> None:
        assert run_command("measure", written(cell(unit="voxel")), "-o", tmp_path / "t.csv") == 0
        (row,) = rows(tmp_path / "t.csv")
        assert float(row["volume [voxel3]"]) == pytest.approx(VOLUME / 0.2**3, rel=0.02)
        assert row["dry_mass [pg]"] == ""

    def test_the_strain_of_a_crystal_is_measured(self, tmp_path: Path, written: Any) -> None:
        assert run_command("measure", written(crystal()), "-o", tmp_path / "t.csv") == 0
        (row,) = rows(tmp_path / "t.csv")
        assert float(row["volume [nm3]"]) == pytest.approx(VOLUME * 1e9, rel=0.02)
        assert float(row["extent_z [nm]"]) == pytest.approx(4000, rel=0.02)
        assert float(row["strain_mean"]) == pytest.approx(0, abs=1e-6)
        assert float(row["strain_rms"]) == pytest.approx(1e-3 / np.sqrt(5), rel=0.03)
        assert 50 < float(row["edge_width [nm]"]) < 300

    def test_edges_are_measured_as_the_run_measured_them(self, tmp_path: Path, written: Any) -> None:
        """A crystal whose amplitude is uneven has the middle of its support, not that of its mass."""
        even = crystal()
        amplitude = np.abs(even.main) * np.linspace(0.6, 1.0, len(even.x))
        support = (amplitude > amplitude.max() / 4).astype(np.uint8)
        quantities = (Quantity("amplitude", "1", ""), Quantity("support", "1", ""))
        uneven = replace(even, values={"amplitude": amplitude, "support": support}, quantities=quantities)
        assert run_command("measure", written(uneven), "-o", tmp_path / "t.csv") == 0
        (row,) = rows(tmp_path / "t.csv")
        assert float(row["edge_width [nm]"]) == pytest.approx(1e9 * median_edge_width(uneven, "amplitude"), rel=1e-3)

    def test_a_row_for_each_cell_and_draw(self, shapes: Path, tmp_path: Path) -> None:
        assert run_command("measure", shapes, "-o", tmp_path / "t.csv") == 0
        table = rows(tmp_path / "t.csv")
        assert [(r["cell"], r["draw"], r["name"], r["label"]) for r in table[::3]] == [
            ("0", "0", "a", "x"),
            ("1", "0", "b", ""),
        ]
        radii = np.array([float(r["equivalent_diameter [um]"]) / 2 for r in table])
        np.testing.assert_allclose(radii, (1.8, 2.0, 2.2, 1.0, 1.5, 1.2), rtol=0.02)
        np.testing.assert_allclose([float(r["mean_curvature_mean [1/um]"]) for r in table], 1 / radii, rtol=0.05)

    def test_shaprs_features_need_64_samples(self, shapes: Path, tmp_path: Path, capsys: Any) -> None:
        assert run_command("measure", shapes, "-o", tmp_path / "t.csv", "--features", "shapr") == ExitStatus.DATA
        assert "64 x 64 x 64" in capsys.readouterr().err

    def test_a_faulty_specimen_is_reported_and_the_others_are_written(
        self, tmp_path: Path, written: Any, capsys: Any
    ) -> None:
        good = written(cell())
        faulty = cell()
        faulty.values["refractive_index"][3, 3, 3] = np.nan
        bad = written(faulty, "nan.h5")
        status = run_command("measure", bad, good, tmp_path / "absent.h5", "-o", tmp_path / "t.csv")
        assert status == ExitStatus.DATA
        message = capsys.readouterr().err
        assert "nan.h5" in message
        assert "1 of 32768 values are not finite" in message
        assert "absent.h5" in message
        assert [Path(row["file"]).name for row in rows(tmp_path / "t.csv")] == ["volume.h5"]

    def test_a_specimen_that_contradicts_an_option_is_reported_alone(
        self, tmp_path: Path, written: Any, capsys: Any
    ) -> None:
        write_model(model(), tmp_path / "model.h5")
        words = ["measure", written(cell()), tmp_path / "model.h5", "-o", tmp_path / "t.csv", "--spacing", "0.3 um"]
        assert run_command(*words) == ExitStatus.USAGE
        assert "leave out --spacing" in capsys.readouterr().err
        assert [Path(row["file"]).name for row in rows(tmp_path / "t.csv")] == ["model.h5"]
        assert run_command(*words, tmp_path / "absent.h5", "--force") == ExitStatus.DATA

    def test_a_model_is_measured_at_any_spacing(self, tmp_path: Path) -> None:
        path = tmp_path / "model.h5"
        write_model(model(), path)
        assert run_command("measure", path, "-o", tmp_path / "a.csv") == 0
        assert run_command("measure", path, "-o", tmp_path / "b.csv", "--spacing", "0.3 um") == 0
        one, other = (float(rows(tmp_path / name)[0]["volume [um3]"]) for name in ("a.csv", "b.csv"))
        assert one == pytest.approx(other, rel=0.03)

    def test_an_ensemble_of_fits_is_measured_by_its_mean(self, tmp_path: Path) -> None:
        one = model()
        fits = [{"grid": scale * one.weights["grid"]} for scale in (0.5, 1.0, 1.2)]
        ensemble = Model.ensemble(one.architecture, fits, one.frame, one.outputs, "cell", {})
        assert ensemble.draw(0) is ensemble
        write_model(ensemble, tmp_path / "model.h5")
        assert run_command("measure", tmp_path / "model.h5", "-o", tmp_path / "t.csv") == 0
        (row,) = rows(tmp_path / "t.csv")
        assert float(row["max_index"]) == pytest.approx(MEDIUM + 0.9 * (INSIDE - MEDIUM), abs=1e-4)

    @pytest.mark.parametrize(("draws", "name"), [((0,), "RUN"), ((0, 1), "RUN draw 0, RUN draw 1")])
    def test_a_draw_is_named_where_a_specimen_has_several(self, draws: tuple[int, ...], name: str, capsys: Any) -> None:
        rows = [{"file": "RUN", "cell": 0, "draw": k, "name": "", "label": "", "box_faces": 1} for k in draws]
        _warn_of_box(Table(tuple(Column(key) for key in rows[0]), tuple(rows)))
        assert capsys.readouterr().err.strip().endswith(f"are closed there: {name}")

    @pytest.mark.parametrize(
        ("words", "message"),
        [
            (["-o", "t.txt"], "is not the name of a table"),
            (["-o", "t.csv", "--features", "shapr"], "those are features of shapes"),
            (["-o", "t.csv", "--spacing", "1 um"], "leave out --spacing"),
            (["-o", "t.csv", "--kind", "lattice"], "no kind of experiment"),
            (["-o", "volume.h5.csv"], "exists already"),
        ],
    )
    def test_faults_of_the_command_line(
        self, words: list[str], message: str, written: Any, tmp_path: Path, monkeypatch: Any, capsys: Any
    ) -> None:
        monkeypatch.chdir(tmp_path)
        (tmp_path / "volume.h5.csv").touch()
        assert run_command("measure", written(cell()), *words) == ExitStatus.USAGE
        assert message in capsys.readouterr().err


def model() -> Model:
    grid = grey(ball())
    architecture = {"type": "voxels", "version": 1, "shape": list(grid.shape), "outputs": 1, "sign": "any"}
    half = 16 * STEP
    frame = ModelFrame((-half,) * 3, (half,) * 3, (STEP,) * 3, {"medium_index": MEDIUM})
    quantity = ModelQuantity("refractive_index", "1", "real part of the refractive index", MEDIUM, INSIDE - MEDIUM)
    return Model(architecture, {"grid": grid[None]}, frame, (quantity,), "cell")


class TestMesh:
    @pytest.mark.parametrize("extension", [".stl", ".ply", ".obj"])
    def test_the_mesh_is_closed_and_in_micrometres(
        self, extension: str, tmp_path: Path, written: Any, capsys: Any
    ) -> None:
        path = tmp_path / f"cell{extension}"
        assert run_command("mesh", written(cell()), "-o", path) == 0
        assert "lengths in um" in capsys.readouterr().out
        read = trimesh.load_mesh(path)
        assert read.is_watertight
        assert read.is_winding_consistent
        assert read.volume == pytest.approx(VOLUME, rel=0.02)
        assert b"lengths in um" in path.read_bytes()[:200]
        # The middle of the range of the index is at the edge of the ball.
        np.testing.assert_allclose(np.linalg.norm(read.vertices, axis=1), 2.0, atol=0.03)

    def test_a_cell_is_meshed_as_it_is_measured(self, tmp_path: Path, written: Any) -> None:
        granule = np.where(ball(0.6e-6) > 0, np.float32(0.06), 0)
        dense = cell()
        dense = replace(dense, values={"refractive_index": dense.values["refractive_index"] + granule})
        for name, each in {"granule": dense, "less dense": cell(scale=-1.0)}.items():
            path = written(each)
            assert run_command("measure", path, "-o", tmp_path / "t.csv", "--force") == 0
            assert run_command("mesh", path, "-o", tmp_path / "m.stl", "--force") == 0
            (row,) = rows(tmp_path / "t.csv")
            volumes = [float(row["volume [um3]"]), trimesh.load_mesh(tmp_path / "m.stl").volume]
            np.testing.assert_allclose(volumes, VOLUME, rtol=0.02, err_msg=name)
            assert row["box_faces"] == "0"
        assert float(row["dry_mass [pg]"]) == pytest.approx(-VOLUME * (INSIDE - MEDIUM) / 0.185, rel=0.05)

    def test_a_model_at_two_spacings_is_one_shape_without_steps(self, tmp_path: Path) -> None:
        write_model(model(), tmp_path / "model.h5")
        meshes = []
        for name, spacing in (("coarse.ply", "0.2 um"), ("fine.ply", "0.06 um")):
            assert run_command("mesh", tmp_path / "model.h5", "-o", tmp_path / name, "--spacing", spacing) == 0
            meshes.append(trimesh.load_mesh(tmp_path / name))
        coarse, fine = meshes
        assert len(fine.faces) > 8 * len(coarse.faces)
        assert coarse.volume == pytest.approx(fine.volume, rel=0.01)
        assert coarse.is_watertight
        assert fine.is_watertight

    def test_level_and_quantity(self, tmp_path: Path, written: Any) -> None:
        field = ball()
        path = written(volume("shape", {"occupancy": grey(field), "signed_distance": -field * 1e6}))
        assert run_command("mesh", path, "-o", tmp_path / "own.stl") == 0
        assert run_command("mesh", path, "-o", tmp_path / "wide.stl", "--level", "0.5") == 0
        assert run_command("mesh", path, "-o", tmp_path / "other.stl", "--quantity", "occupancy") == 0
        volumes = [trimesh.load_mesh(tmp_path / f"{name}.stl").volume for name in ("own", "wide", "other")]
        np.testing.assert_allclose(volumes, [VOLUME, VOLUME * 1.25**3, VOLUME], rtol=0.02)

    def test_one_specimen_of_many_must_be_chosen(self, shapes: Path, tmp_path: Path, capsys: Any) -> None:
        assert run_command("mesh", shapes, "-o", tmp_path / "m.stl") == ExitStatus.USAGE
        assert "holds 2 cells, and a mesh is of one; choose one: --cell 0 … 1" in capsys.readouterr().err
        assert run_command("mesh", shapes, "-o", tmp_path / "m.stl", "--cell", "1", "--draw", "7") == ExitStatus.USAGE
        assert "has no draw 7; they are numbered 0 to 2" in capsys.readouterr().err
        assert run_command("mesh", shapes, "-o", tmp_path / "m.stl", "--cell", "1", "--draw", "1") == 0
        assert trimesh.load_mesh(tmp_path / "m.stl").volume == pytest.approx(4 / 3 * np.pi * 1.5**3, rel=0.02)

    def test_the_consensus_is_filled_by_most_draws(self, shapes: Path, tmp_path: Path, capsys: Any) -> None:
        assert run_command("mesh", shapes, "-o", tmp_path / "m.stl", "--cell", "1", "--consensus") == 0
        assert trimesh.load_mesh(tmp_path / "m.stl").volume == pytest.approx(4 / 3 * np.pi * 1.2**3, rel=0.02)
        assert run_command("mesh", shapes, "-o", tmp_path / "m.stl", "--consensus", "--force") == ExitStatus.USAGE
        assert "choose one: --cell" in capsys.readouterr().err
        words = ("--cell", "1", "--draw", "0", "--consensus", "--force")
        assert run_command("mesh", shapes, "-o", tmp_path / "m.stl", *words) == ExitStatus.USAGE
        assert "is of all draws, and --draw 0 of one" in capsys.readouterr().err

    def test_each_cell_of_a_folder_has_a_surface_of_its_consensus(self, tmp_path: Path, shapes: Path) -> None:
        folder = tmp_path / "cells"
        folder.mkdir()
        with h5py.File(shapes, "r+") as file:
            file["consensus/occupancy"] = np.stack([grey(ball(radius)) for radius in (1.6e-6, 2.4e-6)])
        for name in ("p.h5", "q.h5"):
            shutil.copy(shapes, folder / name)
        assert run_command("mesh", folder, "-o", tmp_path / "m.stl") == 0
        meshes = {path.name: trimesh.load_mesh(path) for path in tmp_path.glob("*.stl")}
        assert sorted(meshes) == ["m-p-p.stl", "m-p-x.stl", "m-q-q.stl", "m-q-x.stl"]
        for name, mesh in meshes.items():
            radius = 1.6 if "x" in name else 2.4
            assert mesh.volume == pytest.approx(4 / 3 * np.pi * radius**3, rel=0.02)

    def test_samples_of_unknown_size_give_voxels(self, tmp_path: Path, written: Any, capsys: Any) -> None:
        assert run_command("mesh", written(cell(unit="voxel")), "-o", tmp_path / "m.ply") == 0
        assert "lengths in voxel" in capsys.readouterr().out
        assert trimesh.load_mesh(tmp_path / "m.ply").volume == pytest.approx(VOLUME / 0.2**3, rel=0.02)

    @pytest.mark.parametrize(
        ("words", "status", "message"),
        [
            (["-o", "m.gltf"], 2, "has no extension of a mesh; use one of .stl, .ply, .obj"),
            (["-o", "m.stl", "--quantity", "density"], 2, "no quantity 'density': there are 0 (refractive_index)"),
            (["-o", "m.stl", "--spacing", "1 um"], 2, "leave out --spacing"),
            (["-o", "m.stl", "--cell", "2"], 2, "has no cell 2"),
            (["-o", "m.stl", "--level", "9"], 3, "no surface at the level 9: the values go from 1.337 to 1.377"),
            (["-o", "no/m.stl"], 3, "there is no folder"),
        ],
    )
    def test_faults(
        self, words: list[str], status: int, message: str, written: Any, tmp_path: Path, monkeypatch: Any, capsys: Any
    ) -> None:
        monkeypatch.chdir(tmp_path)
        path = written(cell())
        assert run_command("mesh", path, *words) == status
        assert message in capsys.readouterr().err
        assert [p.name for p in tmp_path.iterdir()] == [path.name]

    def test_volumes_without_a_surface(self, tmp_path: Path, written: Any, capsys: Any) -> None:
        for scale, message in ((0.0, "no surface at the level"), (np.nan, "values are not finite")):
            assert run_command("mesh", written(cell(scale)), "-o", tmp_path / "m.stl") == ExitStatus.DATA
            assert message in capsys.readouterr().err
        complex_one = volume("crystal", {"density": grey(ball()).astype(complex), "amplitude": grey(ball())})
        assert run_command("mesh", written(complex_one), "-o", tmp_path / "m.stl") == ExitStatus.USAGE
        assert "density is complex and has no surface: choose a real quantity (amplitude)" in capsys.readouterr().err

    def test_exit_statuses_of_a_process(self, tmp_path: Path, written: Any) -> None:
        words = [sys.executable, "-m", "unflat", "mesh", str(written(cell())), "-o", str(tmp_path / "m.stl")]
        first, again = (subprocess.run(words, capture_output=True, text=True, check=False) for _ in range(2))
        assert (first.returncode, first.stderr) == (0, "")
        assert (again.returncode, again.stdout) == (2, "")
        assert "exists already" in again.stderr
        assert "Traceback" not in again.stderr


class TestMany:
    def test_a_stack_of_volumes_is_read_as_it_was_written(self, shapes: Path) -> None:
        assert counts(shapes) == (2, 3)
        stack = list(members(shapes))
        assert [(m.cell, m.draw, m.name, m.label) for m in stack[2:4]] == [(0, 2, "a", "x"), (1, 0, "b", "")]
        np.testing.assert_array_equal(stack[5].volume.main, grey(ball(1.2e-6)))
        assert stack[0].volume.spacing == pytest.approx((STEP,) * 3)
        assert [m.draw for m in members(shapes, cell=1, draw=2)] == [2]

    def test_faults(self, shapes: Path, tmp_path: Path, written: Any) -> None:
        single = written(cell())
        assert counts(single) is None
        assert counts(tmp_path / "absent.h5") is None
        with pytest.raises(DataError, match="holds one volume"):
            list(members(single))
        with pytest.raises(ConfigError, match="has no cell 2"):
            list(members(shapes, cell=2))
        with pytest.raises(DataError, match=r"on axes of \(32, 32, 32\)"):
            write_many(tmp_path / "x.h5", cell(), np.zeros((1, 1, 2, 2, 2)))
        assert not (tmp_path / "x.h5").exists()
