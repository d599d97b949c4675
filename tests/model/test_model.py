"""Models: the continuous fields in NumPy, their file, and the reader that stands in the documentation."""

import importlib.util
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import unflat
from unflat.cli.main import run
from unflat.physics.rotation import rotation_matrix
from unflat.recon.errors import ConfigError, DataError
from unflat.recon.fields.numpy_fields import build_numpy_field
from unflat.recon.frame import ModelFrame
from unflat.recon.grid import Grid
from unflat.recon.io import points
from unflat.recon.io.model_file import write_model
from unflat.recon.model import Model, ModelQuantity

PYRAMID = {
    "type": "pyramid",
    "version": 1,
    "levels": [[4, 5, 6], [7, 9, 8]],
    "features": 3,
    "hidden": 5,
    "outputs": 2,
    "sign": "any",
}
VOXELS = {"type": "voxels", "version": 1, "shape": [5, 6, 7], "outputs": 2, "sign": "any"}
FOURIER = {
    "type": "fourier",
    "version": 1,
    "frequencies_lateral": 2,
    "angles": 3,
    "frequencies_axial": 2,
    "width": 8,
    "depth": 3,
    "skip": [1, 2],
    "outputs": 2,
    "sign": "any",
}
ARCHITECTURES = {"pyramid": PYRAMID, "voxels": VOXELS, "fourier": FOURIER}
FRAME = ModelFrame((-2e-6, -3e-6, -4e-6), (1e-6, 3e-6, 5e-6), (0.2e-6, 0.3e-6, 0.25e-6), {"medium_index": 1.337})
QUANTITIES = (
    ModelQuantity("refractive_index", "1", "real part of the refractive index", 1.337, 0.05),
    ModelQuantity("absorption", "1", "imaginary part of the refractive index", 0.0, 0.01),
)


def shapes_of(architecture: dict[str, Any]) -> dict[str, tuple[int, ...]]:
    """Shapes of the weights of an architecture, written down a second time, from its definition."""
    outputs = architecture["outputs"]
    if architecture["type"] == "voxels":
        return {"grid": (outputs, *architecture["shape"])}
    if architecture["type"] == "pyramid":
        f, h, levels = architecture["features"], architecture["hidden"], architecture["levels"]
        grids: dict[str, tuple[int, ...]] = {f"grid_{i}": (f, *level) for i, level in enumerate(levels)}
        decoder = {"w0": (len(levels) * f, h), "b0": (h,), "w1": (h, outputs), "b1": (outputs,)}
        return grids | ({f"decoder/{n}": s for n, s in decoder.items()} if h else {})
    e = 3 + 4 * architecture["frequencies_lateral"] * architecture["angles"] + 2 * architecture["frequencies_axial"]
    shapes: dict[str, tuple[int, ...]] = {}
    width, depth = architecture["width"], architecture["depth"]
    for i in range(depth + 1):
        inward = (width if i else e) + (e if i in architecture["skip"] else 0)
        outward = width if i < depth else outputs
        shapes |= {f"layer_{i}/w": (inward, outward), f"layer_{i}/b": (outward,)}
    return shapes


def drawn(architecture: dict[str, Any], seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {n: (0.4 * rng.standard_normal(s)).astype(np.float32) for n, s in shapes_of(architecture).items()}


def model_of(name: str, **changes: Any) -> Model:
    architecture = {**ARCHITECTURES[name], **changes}
    return Model(architecture, drawn(architecture), FRAME, QUANTITIES, "cell", {"seed": 0, "config": "kind: cell"})


def ensemble_of(name: str, members: int) -> Model:
    architecture = ARCHITECTURES[name]
    return Model.ensemble(architecture, [drawn(architecture, i) for i in range(members)], FRAME, QUANTITIES, "cell", {})


def inside(count: int, seed: int = 1, reach: float = 1.0) -> np.ndarray:
    centre = np.add(FRAME.low, FRAME.high) / 2
    return centre + reach * np.random.default_rng(seed).uniform(-0.5, 0.5, (count, 3)) * FRAME.extent


def axes(*counts: int) -> tuple[np.ndarray, ...]:
    return tuple(np.linspace(a, b, n) for a, b, n in zip(FRAME.low, FRAME.high, counts, strict=True))


@pytest.fixture(scope="module")
def reader() -> Callable[[Path], Callable[[np.ndarray], dict[str, np.ndarray]]]:
    path = Path(__file__).resolve().parents[2] / "docs" / "read_model.py"
    spec = importlib.util.spec_from_file_location("read_model", path)
    if spec is None or spec.loader is None:
        pytest.fail(f"{path} cannot be imported")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.read_model


class TestEvaluation:
    @pytest.mark.parametrize("name", ARCHITECTURES)
    def test_a_grid_and_its_points_agree(self, name: str) -> None:
        model = model_of(name)
        z, y, x = axes(40, 9, 70)  # across the edge of a tile
        lattice = model.sample(z, y, x)
        grid = np.stack(np.meshgrid(z, y, x, indexing="ij"), axis=-1).reshape(-1, 3)
        assert np.ptp(lattice) > 0.01
        np.testing.assert_allclose(lattice.ravel(), model(grid), atol=1e-6 * np.ptp(lattice))

    @pytest.mark.parametrize("sign", ["any", "nonnegative", "nonpositive"])
    @pytest.mark.parametrize("name", ARCHITECTURES)
    def test_the_numpy_model_equals_the_fitted_field(self, name: str, sign: str) -> None:
        import jax.numpy as jnp

        from unflat.recon.fields.fourier import Fourier
        from unflat.recon.fields.pyramid import Pyramid
        from unflat.recon.fields.voxels import Voxels

        architecture = {**ARCHITECTURES[name], "sign": sign}
        plain = {k: v for k, v in architecture.items() if k not in ("type", "version")}
        plain |= {k: tuple(v) for k, v in plain.items() if k in ("shape", "skip")}
        if name == "pyramid":
            plain["levels"] = tuple(map(tuple, plain["levels"]))
        fitted = {"pyramid": Pyramid, "voxels": Voxels, "fourier": Fourier}[name](**plain)
        weights = drawn(architecture)
        assert {n: w.shape for n, w in fitted.init(0).items()} == shapes_of(architecture)
        assert build_numpy_field(json.loads(json.dumps(fitted.architecture)), weights).outputs == 2

        s = np.random.default_rng(3).uniform(-1, 1, (60, 3))
        theirs = fitted.at({n: jnp.asarray(w) for n, w in weights.items()}, jnp.asarray(s, jnp.float32))
        ours = build_numpy_field(architecture, weights).at(s)
        np.testing.assert_allclose(ours.T, theirs, atol=2e-5 * np.abs(ours).max())

    def test_voxels_hold_their_values_at_the_centres_of_cells(self) -> None:
        model = model_of("voxels")
        own = model.grid(spacing=tuple(FRAME.extent / [5, 6, 7]))
        np.testing.assert_allclose(model.sample(*own.axes), 1.337 + 0.05 * model.weights["grid"][0], rtol=0, atol=1e-7)

    def test_a_pyramid_is_smooth(self) -> None:
        """First and second derivatives are continuous across every knot, so that zooming shows no grid."""
        model = model_of("pyramid")
        x = np.linspace(-3.9e-6, 4.9e-6, 4001)
        line = np.stack([np.full_like(x, -0.4e-6), np.full_like(x, 0.7e-6), x], axis=-1)
        step = x[1] - x[0]
        values = (model(line) - 1.337) / 0.05
        slope = np.diff(values) / step * 1e-6
        curvature = np.diff(slope) / step * 1e-6
        # A jump would not shrink with the step: neighbouring values would differ by about their whole range.
        assert np.abs(np.diff(slope)).max() < 2e-3 * np.ptp(slope)
        assert np.abs(np.diff(curvature)).max() < 1e-2 * np.ptp(curvature)
        voxels = model_of("voxels")
        slope = np.diff((voxels(line) - 1.337) / 0.05) / step * 1e-6
        assert np.abs(np.diff(slope)).max() > 0.1 * np.ptp(slope)  # The same test does see a kink.

    @pytest.mark.parametrize(("sign", "direction"), [("nonnegative", 1), ("nonpositive", -1)])
    def test_a_sign_is_kept(self, sign: str, direction: int) -> None:
        model = model_of("pyramid", sign=[sign, "any"])
        assert (direction * (model(inside(500)) - 1.337) > 0).all()
        absorption = model(inside(500), "absorption")
        assert absorption.min() < 0 < absorption.max()

    def test_outside_the_box_is_the_background(self) -> None:
        model = model_of("voxels")
        outside = np.array([[2e-6, 0, 0], [0, -4e-6, 0], [0, 0, 1.0]])
        np.testing.assert_array_equal(model(outside), 1.337)
        np.testing.assert_array_equal(model(outside, "absorption"), 0)
        z, y, x = (np.linspace(2 * a, 2 * b, 12) for a, b in zip(FRAME.low, FRAME.high, strict=True))
        values = model.sample(z, y, x)
        assert values[0, 0, 0] == 1.337
        assert values[5, 5, 5] != 1.337

    def test_the_box_holds_its_own_faces(self) -> None:
        model = model_of("voxels")
        assert FRAME.contains(np.array([FRAME.low, FRAME.high])).all()
        assert (model.sample(*axes(4, 5, 6)) != 1.337).all()

    def test_the_affine_map_takes_the_unit_cube_to_the_box(self) -> None:
        np.testing.assert_allclose(FRAME.world_from_model @ [-1, -1, -1, 1], [*FRAME.low, 1], atol=1e-18)
        np.testing.assert_allclose(FRAME.world_from_model @ [1, 1, 1, 1], [*FRAME.high, 1], atol=1e-18)

    def test_a_spline_alone_needs_no_decoder(self) -> None:
        model = model_of("pyramid", hidden=0)
        assert np.ptp(model(inside(50))) > 1e-3

    def test_members_are_ordered_by_number(self) -> None:
        architecture = {**ARCHITECTURES["voxels"], "members": "draws"}
        sets = [drawn(architecture, i) for i in range(12)]
        model = Model.ensemble(architecture, sets, FRAME, QUANTITIES, "cell", {})
        for number, weights in enumerate(sets):
            np.testing.assert_array_equal(model.draw(number).weights["grid"], weights["grid"])

    def test_an_ensemble_gives_mean_and_spread(self) -> None:
        model = ensemble_of("pyramid", 4)
        models = [Model(PYRAMID, drawn(PYRAMID, i), FRAME, QUANTITIES, "cell") for i in range(4)]
        singles = [single(inside(30), "absorption") for single in models]
        assert [q.name for q in model.quantities][2:] == ["uncertainty_refractive_index", "uncertainty_absorption"]
        np.testing.assert_allclose(model(inside(30), "absorption"), np.mean(singles, axis=0), atol=1e-15)
        spread = model(inside(30), "uncertainty_absorption")
        np.testing.assert_allclose(spread, np.std(singles, axis=0, ddof=1), atol=1e-15)
        assert model(np.ones((1, 3)), "uncertainty_absorption") == 0

    def test_an_unknown_quantity_and_misshaped_points_are_refused(self) -> None:
        model = model_of("voxels")
        with pytest.raises(ConfigError, match=r"no quantity 'density': there are refractive_index, absorption"):
            model(inside(2), "density")
        with pytest.raises(DataError, match=r"shape \(3, 2\)"):
            model.at(np.zeros((3, 2)))

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"type": "hash"}, "unknown architecture 'hash'"),
            ({"version": 2}, "reads version 1"),
            ({"shape": [5, 6]}, "needs"),
            ({"sign": "positive"}, "sign 'positive'"),
            ({"shape": None}, "not complete"),
        ],
    )
    def test_an_unknown_architecture_is_refused(self, change: dict[str, Any], message: str) -> None:
        with pytest.raises(DataError, match=message):
            build_numpy_field({**VOXELS, **change}, drawn(VOXELS))


class TestRotations:
    def test_about_z_x_rotates_toward_y(self) -> None:
        np.testing.assert_allclose(rotation_matrix((0, 0, 1), np.pi / 2) @ [0, 0, 1], [0, 1, 0], atol=1e-15)

    @given(st.tuples(*[st.floats(-1, 1)] * 3).filter(lambda a: np.linalg.norm(a) > 0.1), st.floats(-7, 7))
    @settings(max_examples=25, deadline=None)
    def test_a_rotation_leaves_its_axis(self, axis: tuple[float, float, float], angle: float) -> None:
        turn = rotation_matrix(axis, angle)
        np.testing.assert_allclose(turn @ turn.T, np.eye(3), atol=1e-12)
        assert np.linalg.det(turn) == pytest.approx(1)
        np.testing.assert_allclose(turn @ axis[::-1], axis[::-1], atol=1e-12)

    @pytest.mark.parametrize("axis", [(0, 0, 1), (0, 1, 0), (1, 0, 0)])
    def test_a_quarter_turn_of_the_field_rotates_the_array(self, axis: tuple[float, float, float]) -> None:
        cube = ModelFrame((-2e-6,) * 3, (2e-6,) * 3)
        architecture = {**PYRAMID, "levels": [[5, 5, 5]]}
        model = Model(architecture, drawn(architecture), cube, QUANTITIES, "cell")
        a = np.linspace(-1.5e-6, 1.5e-6, 7)
        straight = model.volume(Grid(a, a, a)).main
        turned = model.volume(Grid(a, a, a, rotation_matrix(axis, np.pi / 2))).main
        # np.rot90 turns its first axis toward its second: x (2) → y (1), z (0) → x (2), y (1) → z (0).
        plane = {(0, 0, 1): (2, 1), (0, 1, 0): (0, 2), (1, 0, 0): (1, 0)}[axis]
        np.testing.assert_allclose(turned, np.rot90(straight, 1, plane), atol=1e-6)

    def test_an_axis_without_direction_is_refused(self) -> None:
        with pytest.raises(ValueError, match="no direction"):
            rotation_matrix((0, 0, 0), 1)


class TestFile:
    @pytest.mark.parametrize("name", ARCHITECTURES)
    def test_a_model_is_read_as_it_was_written(self, name: str, tmp_path: Path) -> None:
        model = model_of(name)
        write_model(model, tmp_path / "model.h5")
        again = unflat.load(tmp_path)  # a run folder
        np.testing.assert_array_equal(again(inside(200)), model(inside(200)))
        assert again.quantities == model.quantities
        assert again.frame == model.frame
        assert again.provenance == model.provenance
        assert again.architecture == model.architecture

    def test_the_layout_is_the_documented_one(self, tmp_path: Path) -> None:
        write_model(model_of("pyramid"), tmp_path / "m.h5")
        with h5py.File(tmp_path / "m.h5") as file:
            assert file.attrs["format"].decode() == "unflat-model"
            assert file.attrs["format_version"].decode() == "1.0"
            assert file.attrs["creator"].decode().startswith("unflat ")
            assert file.attrs["created"].decode().endswith("+00:00")
            assert file.attrs["NX_class"].decode() == "NXroot"
            assert json.loads(file["architecture"][()])["type"] == "pyramid"
            assert file["weights/decoder/w0"].shape == (6, 5)
            assert file["frame/medium_index"][()] == 1.337
            assert file["selftest/points"].shape[0] >= 64
            assert file["quantities/name"].asstr()[0] == "refractive_index"
            assert json.loads(file["provenance"][()])["seed"] == 0
            lacking = []
            file.visititems(
                lambda n, d: (
                    lacking.append(n)
                    if isinstance(d, h5py.Dataset) and d.dtype.kind in "fi" and "units" not in d.attrs
                    else None
                )
            )
            assert lacking == []
            assert set(file["selftest/values"].attrs["units"].astype(str)) == {"1"}

    @pytest.mark.parametrize("sign", ["any", "nonnegative", ["nonpositive", "any"]])
    @pytest.mark.parametrize("name", ARCHITECTURES)
    def test_the_documented_reader_gives_the_same_values(
        self, name: str, sign: str | list[str], tmp_path: Path, reader: Any
    ) -> None:
        model = model_of(name, sign=sign)
        write_model(model, tmp_path / "m.h5")
        places = np.concatenate([inside(100, reach=1.2), [FRAME.low, FRAME.high]])
        values = reader(tmp_path / "m.h5")(places)
        for quantity in ("refractive_index", "absorption"):
            np.testing.assert_allclose(values[quantity], model(places, quantity), rtol=0, atol=1e-12)

    def test_the_documented_reader_reads_ensembles_and_splines_without_decoder(
        self, tmp_path: Path, reader: Any
    ) -> None:
        for model in (ensemble_of("voxels", 3), model_of("pyramid", hidden=0)):
            write_model(model, tmp_path / "m.h5")
            values = reader(tmp_path / "m.h5")(inside(50))
            for quantity in model.quantities:
                np.testing.assert_allclose(values[quantity.name], model(inside(50), quantity.name), atol=1e-12)

    def test_a_model_with_a_consensus_is_of_version_1_1(self, tmp_path: Path, reader: Any) -> None:
        sets = [drawn(VOXELS, i) for i in range(2)]
        model = Model.ensemble(VOXELS | {"members": "draws"}, sets, FRAME, QUANTITIES, "cell", {}, drawn(VOXELS, 2))
        write_model(model, tmp_path / "m.h5")
        with h5py.File(tmp_path / "m.h5") as file:
            assert file.attrs["format_version"].decode() == "1.1"
        again, values = unflat.load(tmp_path / "m.h5"), reader(tmp_path / "m.h5")(inside(50))
        for quantity in model.quantities:
            np.testing.assert_array_equal(again(inside(50), quantity.name), model(inside(50), quantity.name))
            np.testing.assert_allclose(values[quantity.name], model(inside(50), quantity.name), atol=1e-12)

    def test_the_documented_reader_is_short_and_needs_neither_unflat_nor_jax(self, tmp_path: Path) -> None:
        path = Path(__file__).resolve().parents[2] / "docs" / "read_model.py"
        text = path.read_text("utf-8")
        assert len(text.splitlines()) <= 140
        assert {line.split()[1] for line in text.splitlines() if line.startswith(("import", "from"))} == {
            "json",
            "h5py",
            "numpy",
        }

    def test_reading_and_evaluating_a_model_needs_no_jax(self, tmp_path: Path) -> None:
        write_model(model_of("pyramid"), tmp_path / "m.h5")
        code = (
            "import sys, numpy, unflat; m = unflat.load(sys.argv[1]); m(numpy.zeros((3, 3)));"
            "m.sample(*[numpy.zeros(2)] * 3); print('jax' in sys.modules)"
        )
        command = [sys.executable, "-c", code, str(tmp_path / "m.h5")]
        assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip() == "False"

    def test_a_changed_weight_fails_the_self_test(self, tmp_path: Path) -> None:
        write_model(model_of("pyramid"), tmp_path / "m.h5")
        with h5py.File(tmp_path / "m.h5", "a") as file:
            file["weights/decoder/b1"][0] += 0.01
        with pytest.raises(DataError, match=r"m\.h5:/selftest: the model gives refr.* when it was written"):
            unflat.load(tmp_path / "m.h5")

    @pytest.mark.parametrize("share", [0.0, 0.1, 0.6, 0.95])
    def test_a_torn_file_is_refused(self, share: float, tmp_path: Path) -> None:
        write_model(model_of("pyramid"), tmp_path / "m.h5")
        whole = (tmp_path / "m.h5").read_bytes()
        (tmp_path / "m.h5").write_bytes(whole[: int(share * len(whole))])
        with pytest.raises(DataError, match=r"m\.h5"):
            unflat.load(tmp_path / "m.h5")

    @pytest.mark.parametrize("part", ["architecture", "weights/grid_1", "frame", "quantities/scale", "selftest/points"])
    def test_a_file_that_lacks_a_part_is_refused(self, part: str, tmp_path: Path) -> None:
        write_model(model_of("pyramid"), tmp_path / "m.h5")
        with h5py.File(tmp_path / "m.h5", "a") as file:
            del file[part]
        with pytest.raises(DataError, match=r"m\.h5"):
            unflat.load(tmp_path / "m.h5")

    def test_files_that_are_not_models_are_refused(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match="there is no such file"):
            unflat.load(tmp_path / "absent.h5")
        with pytest.raises(DataError, match=r"holds no model\.h5"):
            unflat.load(tmp_path)
        with h5py.File(tmp_path / "other.h5", "w") as file:
            file.attrs["format"] = "unflat-acquisition"
        with pytest.raises(DataError, match="of the format 'unflat-acquisition'; unflat-model is needed"):
            unflat.load(tmp_path / "other.h5")

    def test_a_model_that_is_not_finite_is_not_written(self, tmp_path: Path) -> None:
        weights = drawn(VOXELS)
        weights["grid"][:] = np.nan
        with pytest.raises(DataError, match="not finite"):
            write_model(Model(VOXELS, weights, FRAME, QUANTITIES, "cell"), tmp_path / "m.h5")
        assert not list(tmp_path.iterdir())


class TestPoints:
    @pytest.mark.parametrize(
        ("name", "text"),
        [
            ("a.csv", "x [um],label,z (um),y\n3,7,1,2e-6\n6,8,4,5e-6\n"),
            ("b.csv", "0.000001,0.000002,0.000003\n4e-6,5e-6,6e-6\n"),
            ("c.txt", "# z y x\n1e-6 2e-6  3e-6\n\n4e-6 5e-6 6e-6\n"),
            ("d.tsv", "# made by hand\nz [um]\ty [um]\tx [um]\n1\t2\t3\n4\t5\t6\n"),
            ("e.csv", "\ufeffz;y;x [nm]\r\n1e-6;2e-6;3000\r\n4e-6;5e-6;6000\r\n"),
            ("g.csv", "x um,label,z (um),y_nm\n3,7,1,2000\n6,8,4,5000\n"),
            ("h.csv", "z um,y um,x um\n1,2,3\n4,5,6\n"),
            ("i.csv", "z_um,y_um,x_um,x_start\n1,2,3,9\n4,5,6,9\n"),
            ("j.csv", "# x_ray of a bead\n1e-6,2e-6,3e-6\n4e-6,5e-6,6e-6\n"),
            ("f.txt", "z [um] y [um] x [um]\n1 2 3\n4 5 6\n"),
        ],
    )
    def test_text_is_read_with_its_header_and_units(self, name: str, text: str, tmp_path: Path) -> None:
        (tmp_path / name).write_text(text, "utf-8", newline="")
        read = points.read_points(tmp_path / name)
        np.testing.assert_allclose(read, np.array([[1, 2, 3], [4, 5, 6]]) * 1e-6, rtol=1e-12)

    @pytest.mark.parametrize("extension", points.EXTENSIONS)
    def test_written_values_can_be_read_as_points(self, extension: str, tmp_path: Path) -> None:
        model, places, path = model_of("voxels"), inside(20), tmp_path / f"v{extension}"
        points.write_values(path, places, model.at(places, ["absorption"]), model, ["absorption"])
        unit = 1e-6 if extension in (".npy", ".npz") else 1  # the others say that they are in metres
        np.testing.assert_allclose(points.read_points(path, "um"), places * unit, rtol=1e-10)

    @pytest.mark.parametrize(
        ("name", "text", "message"),
        [
            ("a.csv", "", "cannot be read|holds an array"),
            ("a.csv", "z,y\n1,2\n", "does not name all of z, y, x"),
            ("a.csv", "1,2,3,4\n", "4 columns, and no header"),
            ("a.csv", "z,y,x\n1,2,oops\n", "oops"),
            ("a.csv", "z,y,x\n1,2,nan\n", "point 1 is not finite"),
            ("a.csv", "z [kg],y,x\n1,2,3\n", "kg"),
            ("a.csv", "z (px),y (px),x (px)\n1,2,3\n", "the unit 'px' is unknown"),
            ("a.csv", "z px,y px,x px\n1,2,3\n", "the unit 'px' is unknown"),
            ("a.csv", "z_px,y_px,x_px\n1,2,3\n", "the unit 'px' is unknown"),
            ("a.npy", "nonsense", "cannot be read"),
            ("a.npz", "nonsense", r"a\.npz: the file is damaged"),
            ("a.h5", "nonsense", r"a\.h5"),
        ],
    )
    def test_files_without_points_are_refused(self, name: str, text: str, message: str, tmp_path: Path) -> None:
        (tmp_path / name).write_text(text, "utf-8")
        with pytest.raises(DataError, match=message):
            points.read_points(tmp_path / name)

    def test_query_writes_coordinates_and_values_with_units(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        model, path = model_of("pyramid"), tmp_path / "v.csv"
        write_model(model, tmp_path / "model.h5")
        np.save(tmp_path / "p.npy", inside(10) * 1e6)
        words = ["query", str(tmp_path), str(tmp_path / "p.npy"), "-o", str(path)]
        assert run([*words, "--unit", "um"]) == 0
        assert path.read_text().splitlines()[0] == "z [m],y [m],x [m],refractive_index [1],absorption [1]"
        table = np.loadtxt(path, delimiter=",", skiprows=1)
        np.testing.assert_allclose(table[:, 3], model(inside(10)), rtol=1e-11)
        assert f"wrote {path}" in capsys.readouterr().out
        assert run(words) == 2  # nothing is overwritten
        assert run([*words, "--force"]) == 0  # micrometres taken for metres
        assert "10 of 10 points lie outside the model's box" in capsys.readouterr().err
        assert run([*words, "--force", "--quantity", "density"]) == 2
        assert run([*words[:-1], str(tmp_path / "v.doc")]) == 2
        assert run([*words, "--force", "--unit", "s"]) == 2

    def test_samples_outside_the_box_are_reported(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        write_model(model_of("voxels"), tmp_path / "model.h5")
        assert run(["volume", str(tmp_path), "-o", str(tmp_path / "v.h5"), "--region", "1mm:1.001mm,:,:"]) == 0
        assert "no sample lies in the box of the model" in capsys.readouterr().err

    def test_query_writes_records_and_hdf5(self, tmp_path: Path) -> None:
        model = model_of("voxels")
        write_model(model, tmp_path / "model.h5")
        np.savez(tmp_path / "p.npz", points=inside(10))
        for name in ("v.npy", "v.h5"):
            words = ["query", str(tmp_path / "model.h5"), str(tmp_path / "p.npz"), "-o", str(tmp_path / name)]
            assert run(words) == 0
        table = np.load(tmp_path / "v.npy")
        np.testing.assert_array_equal(table["refractive_index [1]"], model(inside(10)))
        np.testing.assert_array_equal(table["x"], inside(10)[:, 2])
        with h5py.File(tmp_path / "v.h5") as file:
            np.testing.assert_array_equal(file["absorption"][()], model(inside(10), "absorption"))
            assert file["absorption"].attrs["units"].decode() == "1"
            assert file["z"].attrs["units"].decode() == "m"


def test_info_describes_a_run_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_model(model_of("voxels"), tmp_path / "model.h5")
    (tmp_path / "DONE").write_text("all steps done\n", "utf-8")
    assert run(["info", str(tmp_path)]) == 0
    shown = capsys.readouterr().out
    assert "run, DONE: all steps done" in shown
    assert "field: voxels" in shown
