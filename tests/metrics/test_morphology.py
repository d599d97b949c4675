"""Surfaces and features of shapes of known features: balls, ellipsoids, boxes and a torus."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation
from skimage.morphology import convex_hull_image

from unflat.recon.errors import DataError
from unflat.recon.metrics.morphology.curvature import curvatures
from unflat.recon.metrics.morphology.features import NAMES, feature_columns, shape_features, surface_features
from unflat.recon.metrics.morphology.shapr import COLUMNS, hull_voxels, shapr_features
from unflat.recon.metrics.morphology.surface import Surface, extract_surface
from unflat.recon.metrics.morphology.texture import texture_features

Shape = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]


def lattice(edge: int, step: float, turn: Rotation | None = None, shift: float = 0.0) -> tuple[np.ndarray, ...]:
    """Points (z, y, x) about the middle, seen from a turned shape."""
    axis = (np.arange(edge) - (edge - 1) / 2) * step - shift
    points = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1)
    return tuple(np.moveaxis(points if turn is None else points @ turn.as_matrix(), -1, 0))


def ball(z: np.ndarray, y: np.ndarray, x: np.ndarray, radius: float = 10.0) -> np.ndarray:
    return radius - np.sqrt(z**2 + y**2 + x**2)


def torus(z: np.ndarray, y: np.ndarray, x: np.ndarray) -> np.ndarray:
    return 4.0 - np.hypot(np.hypot(x, y) - 9.0, z)


def ellipsoid(z: np.ndarray, y: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Distance to first order: that is enough on the surface."""
    a, b, c = 5.0, 8.0, 11.0
    level = np.sqrt((z / a) ** 2 + (y / b) ** 2 + (x / c) ** 2)
    slope = np.sqrt((z / a**2) ** 2 + (y / b**2) ** 2 + (x / c**2) ** 2)
    return (1 - level) * np.maximum(level, 1e-3) / np.maximum(slope, 1e-6)


def brick(z: np.ndarray, y: np.ndarray, x: np.ndarray) -> np.ndarray:
    sides = np.stack([np.abs(z) - 5, np.abs(y) - 7, np.abs(x) - 9])
    outside = np.linalg.norm(np.maximum(sides, 0), axis=0)
    return -(outside + np.minimum(sides.max(axis=0), 0))


@cache
def measured(shape: Shape, edge: int = 40, step: float = 0.75, one_bit: bool = False) -> dict[str, float]:
    values = shape(*lattice(edge, step, shift=0.11))
    return shape_features(values > 0 if one_bit else values, (step,) * 3, signed=not one_bit)


def integral(surface: Surface, values: np.ndarray) -> float:
    return float(np.sum(values * surface.weights) * surface.mesh.area)


class TestSurface:
    @pytest.mark.parametrize("shape", [ball, torus, ellipsoid, brick])
    @pytest.mark.parametrize("form", ["inside", "outside", "one-bit", "grey", "clipped"])
    def test_it_is_closed_and_oriented_outwards(self, shape: Shape, form: str) -> None:
        field = shape(*lattice(40, 0.75))
        grey = np.clip(0.5 + field / 0.75, 0, 1)
        forms = {
            "inside": field,
            "outside": -field,
            "one-bit": field > 0,
            "grey": grey,
            "clipped": np.clip(field, -2, 2),
        }
        surface = extract_surface(forms[form], (0.75,) * 3, signed=form in ("inside", "outside", "clipped"))
        mesh = surface.mesh
        assert mesh.is_watertight
        assert mesh.is_winding_consistent
        assert mesh.euler_number == (0 if shape is torus else 2)
        exact = {
            ball: 4000 / 3 * np.pi,
            torus: 2 * np.pi**2 * 9 * 16,
            ellipsoid: 4 / 3 * np.pi * 5 * 8 * 11,
            brick: 8 * 5 * 7 * 9,
        }
        assert mesh.volume == pytest.approx(exact[shape], rel=0.02 if form != "one-bit" else 0.04)

    @pytest.mark.parametrize("shape", [ball, torus, brick])
    def test_its_mean_curvature_is_that_of_trimesh(self, shape: Shape) -> None:
        surface = extract_surface(shape(*lattice(40, 0.75)) > 0, (0.75,) * 3, sharp=False)
        expected = surface.mesh.integral_mean_curvature / surface.mesh.area
        assert surface.mean_curvature == pytest.approx(expected, rel=1e-6)
        if shape is ball:
            assert surface.mean_curvature == pytest.approx(1 / 10, rel=0.02)

    def test_voxel_steps_are_smoothed(self) -> None:
        """Neighbouring triangles of a one-bit ball lie nearly flat; those of its bare voxels make steps of 45°."""
        inside = ball(*lattice(40, 0.75)) > 0
        smooth, stepped = (extract_surface(inside, (0.75,) * 3, smooth=width).mesh for width in (1.0, 0.0))
        assert np.percentile(smooth.face_adjacency_angles, 99) < 0.5 * np.percentile(stepped.face_adjacency_angles, 99)

    @pytest.mark.parametrize("form", ["one-bit", "grey", "signed distance"])
    @pytest.mark.parametrize("angles", [(0, 0, 0), (0, 0, 5), (10, 20, 30), (45, 35, 0)])
    def test_a_cubes_edges_are_kept_in_any_orientation(self, angles: tuple[int, int, int], form: str) -> None:
        turn, edge = Rotation.from_euler("xyz", angles, degrees=True), 16.0
        sides = np.abs(np.stack(lattice(36, 1.0, turn)))
        excess = sides - edge / 2
        field = -(np.linalg.norm(np.maximum(excess, 0), axis=0) + np.minimum(excess.max(axis=0), 0))
        forms = {"one-bit": field > 0, "grey": np.clip(0.5 + field, 0, 1), "signed distance": field}
        mesh = extract_surface(forms[form], signed=form == "signed distance").mesh
        assert mesh.is_watertight
        assert mesh.area == pytest.approx(6 * edge**2, rel=0.02)
        assert mesh.volume == pytest.approx(edge**3, rel=0.01)

    @pytest.mark.parametrize("steps", [(5.0, 1.0, 1.0), (1.0, 3.0, 1.0)])
    def test_flat_voxels_leave_no_steps_and_no_round_edges(self, steps: tuple[float, float, float]) -> None:
        radius = 12.0
        axes = [(np.arange(n) - n / 2 + 0.3) * d for n, d in zip((int(36 / d) for d in steps), steps, strict=True)]
        z, y, x = np.meshgrid(*axes, indexing="ij")
        round_one = extract_surface(z**2 + y**2 + x**2 <= radius**2, steps).mesh
        assert round_one.area == pytest.approx(4 * np.pi * radius**2, rel=0.015)
        assert round_one.volume == pytest.approx(4 / 3 * np.pi * radius**3, rel=0.015)
        inside = np.zeros(z.shape, bool)
        inside[2:-2, 3:-3, 3:-3] = True
        edges = [np.count_nonzero(inside.any(axis=other)) for other in ((1, 2), (0, 2), (0, 1))] * np.array(steps)
        area = 2 * (edges[0] * edges[1] + edges[1] * edges[2] + edges[0] * edges[2])
        assert extract_surface(inside, steps).mesh.area == pytest.approx(area, rel=0.01)

    @pytest.mark.parametrize("thickness", [2, 4])
    def test_a_thin_plate_of_voxels(self, thickness: int) -> None:
        inside = np.zeros((12, 30, 30), bool)
        inside[4 : 4 + thickness, 5:25, 5:25] = True
        mesh = extract_surface(inside).mesh
        assert mesh.area == pytest.approx(2 * 400 + 80 * thickness, rel=0.01)
        assert mesh.volume == pytest.approx(400 * thickness)

    def test_samples_that_touch_by_an_edge_are_apart_and_closed(self) -> None:
        inside = np.zeros((6, 6, 6), bool)
        inside[2, 2, 2:4] = inside[3, 3, 2:4] = True
        mesh = extract_surface(inside).mesh
        assert mesh.is_watertight
        assert mesh.body_count == 2

    def test_the_same_shape_at_other_samplings(self) -> None:
        volumes = [
            extract_surface(ball(*lattice(n, 30 / n)), (30 / n,) * 3, signed=True).mesh.volume for n in (32, 64, 128)
        ]
        np.testing.assert_allclose(volumes, volumes[-1], rtol=0.01)

    def test_anisotropic_voxels_and_origin(self) -> None:
        z, y, x = np.meshgrid(np.arange(15) * 2.0, np.arange(30), np.arange(60) * 0.5, indexing="ij")
        inside = (z - 14) ** 2 + (y - 14) ** 2 + (x - 14) ** 2 < 10**2
        surface = extract_surface(inside, (2.0, 1.0, 0.5), origin=(100.0, 0.0, -14.0))
        assert surface.mesh.volume == pytest.approx(np.count_nonzero(inside), rel=0.02)  # a voxel is 1 large
        np.testing.assert_allclose(surface.mesh.center_mass, (0.0, 14.0, 114.0), atol=0.1)

    def test_it_is_closed_at_the_faces_of_the_box(self) -> None:
        field = ball(*lattice(20, 0.75))
        assert field[0].max() > 0
        for values, signed in ((field, True), (field > 0, False)):
            mesh = extract_surface(values, (0.75,) * 3, signed=signed).mesh
            assert mesh.is_watertight
            assert np.ptp(mesh.vertices[:, 2]) == pytest.approx(15, abs=0.8)

    def test_a_volume_that_fills_its_box_has_the_surface_of_the_box(self) -> None:
        surface = extract_surface(np.full((6, 8, 10), 255, np.uint8), (2.0, 1.0, 1.0), background=0.0)
        assert surface.box_faces == 6
        assert surface.mesh.is_watertight
        assert surface.mesh.volume == pytest.approx(12 * 8 * 10)
        assert surface.mesh.area == pytest.approx(2 * (12 * 8 + 12 * 10 + 8 * 10), rel=0.01)

    def test_the_faces_of_the_box_that_a_shape_reaches_are_counted(self) -> None:
        field = ball(*lattice(40, 0.75))
        assert extract_surface(field > 0).box_faces == 0
        half = extract_surface(field[20:] > 0)
        assert half.box_faces == 1
        assert half.mesh.volume == pytest.approx(np.count_nonzero(field[20:] > 0))

    def test_a_value_on_the_level_makes_no_triangle_without_area(self) -> None:
        z, y, x = lattice(21, 1.0)
        mesh = extract_surface(5.0 - np.max(np.abs([z, y, x]), axis=0), signed=True).mesh
        assert mesh.is_watertight
        assert mesh.area_faces.min() > 0

    @pytest.mark.parametrize(
        ("values", "options", "message"),
        [
            (np.full((4, 4, 4), np.nan), {}, "64 of 64 values are not finite"),
            (np.zeros((4, 4, 4)), {}, "no surface at the level 0: the values go from 0 to 0"),
            (np.ones((4, 4, 4)), {"signed": True}, "no surface"),
            (np.arange(64.0).reshape(4, 4, 4), {"level": 99.0}, "level 99: the values go from 0 to 63"),
        ],
    )
    def test_faults(self, values: np.ndarray, options: dict, message: str) -> None:
        with pytest.raises(DataError, match=message):
            extract_surface(values, **options)


class TestCurvature:
    def test_a_ball_has_that_of_its_radius(self) -> None:
        mean, gaussian = curvatures(extract_surface(ball(*lattice(40, 0.75)), (0.75,) * 3, signed=True))
        np.testing.assert_allclose(mean, 0.1, rtol=0.03)
        np.testing.assert_allclose(gaussian, 0.01, rtol=0.06)

    @pytest.mark.parametrize("one_bit", [False, True])
    @pytest.mark.parametrize("shape", [ball, ellipsoid, torus])
    def test_its_integral_is_that_of_the_genus(self, shape: Shape, one_bit: bool) -> None:
        """Gauss and Bonnet: ∫K dA = 2πχ, computed from a field that knows nothing of the mesh's edges."""
        field = shape(*lattice(48, 0.6))
        surface = extract_surface(field > 0 if one_bit else field, (0.6,) * 3, signed=not one_bit)
        _, gaussian = curvatures(surface)
        assert integral(surface, gaussian) / (2 * np.pi) == pytest.approx(surface.mesh.euler_number, abs=0.04)

    def test_on_a_torus_it_is_known_at_each_point(self) -> None:
        surface = extract_surface(torus(*lattice(64, 0.45)), (0.45,) * 3, signed=True)
        _, y, x = surface.vertices.T - (63 / 2 * 0.45)
        across = np.hypot(x, y)
        cosine = (across - 9) / 4
        mean, gaussian = curvatures(surface)
        np.testing.assert_allclose(gaussian, cosine / (4 * across), atol=0.004)
        np.testing.assert_allclose(mean, (9 + 8 * cosine) / (8 * across), atol=0.012)

    def test_it_agrees_with_the_integral_of_the_mesh(self) -> None:
        """From the field, and from the angles between the triangles."""
        surface = extract_surface(ellipsoid(*lattice(48, 0.6)), (0.6,) * 3, signed=True)
        mean, _ = curvatures(surface)
        assert integral(surface, mean) == pytest.approx(surface.mesh.integral_mean_curvature, rel=0.01)


class TestFeatures:
    def test_a_ball(self) -> None:
        features = measured(ball)
        exact = {
            "volume": 4000 / 3 * np.pi,
            "surface_area": 400 * np.pi,
            "surface_to_volume": 0.3,
            "equivalent_diameter": 20,
            "sphericity": 1,
            "solidity": 1,
            "convexity": 1,
            "bodies": 1,
            "extent_major": 20,
            "extent_z": 20,
            "elongation": 1,
            "flatness": 1,
            "feret_diameter": 20,
            "inscribed_radius": 10,
            "radius_of_gyration": 10 * np.sqrt(3 / 5),
            "inertia_minor": 1,
            "radius_mean": 10,
            "kurtosis_major": 15 / 7,
            "mean_curvature_mean": 0.1,
            "gaussian_curvature_p50": 0.01,
            "bending_energy": 1,
            "projected_area": 100 * np.pi,
            "projected_perimeter": 20 * np.pi,
            "projected_circularity": 1,
            "thickness_max": 20,
        }
        for name, value in exact.items():
            assert features[name] == pytest.approx(value, rel=0.02), name
        for name in ("genus", "anisotropy", "radius_std", "roughness", "hollow", "saddle"):
            assert features[name] == pytest.approx(0, abs=0.02), name

    def test_an_ellipsoid(self) -> None:
        features = measured(ellipsoid)
        assert [features[f"extent_{n}"] for n in ("major", "middle", "minor")] == pytest.approx([22, 16, 10], rel=0.01)
        gyration = [features[f"gyration_{n}"] for n in ("major", "middle", "minor")]
        assert gyration == pytest.approx([11 / np.sqrt(5), 8 / np.sqrt(5), 5 / np.sqrt(5)], rel=0.01)
        assert features["surface_area"] == pytest.approx(
            # Thomsen's formula, right to 1.2 %.
            4 * np.pi * ((40**1.6075 + 55**1.6075 + 88**1.6075) / 3) ** (1 / 1.6075), rel=0.02
        )  # fmt: skip
        assert features["projected_eccentricity"] == pytest.approx(np.sqrt(1 - (8 / 11) ** 2), rel=0.02)
        assert features["tilt"] == pytest.approx(0, abs=0.01)

    def test_a_torus(self) -> None:
        features = measured(torus)
        assert features["genus"] == 1
        assert features["surface_area"] == pytest.approx(4 * np.pi**2 * 36, rel=0.01)
        assert features["gaussian_curvature_mean"] == pytest.approx(0, abs=3e-4)
        assert features["bending_energy"] == pytest.approx(np.pi * 81 / (4 * 4 * np.sqrt(81 - 16)), rel=0.03)
        assert features["saddle"] == pytest.approx(0.5 - 4 / (9 * np.pi), abs=0.02)
        assert features["inscribed_radius"] == pytest.approx(4, rel=0.01)
        assert features["projected_solidity"] == pytest.approx((169 - 25) / 169, rel=0.02)

    def test_a_box(self) -> None:
        features = measured(brick, 52, 0.5)
        assert features["volume"] == pytest.approx(8 * 5 * 7 * 9, rel=0.01)
        assert features["surface_area"] == pytest.approx(8 * (35 + 45 + 63), rel=0.03)
        assert features["solidity"] == pytest.approx(1, abs=0.01)
        assert features["projected_area"] == pytest.approx(4 * 63, rel=0.02)
        assert features["gyration_major"] == pytest.approx(9 / np.sqrt(3), rel=0.01)

    @pytest.mark.parametrize("shape", [ball, ellipsoid, torus])
    def test_they_do_not_depend_on_sampling(self, shape: Shape) -> None:
        coarse, fine, one_bit = measured(shape), measured(shape, 72, 0.4), measured(shape, 72, 0.4, one_bit=True)
        scale = fine["equivalent_diameter"]
        units = {c.name: c.unit.count("m") and (1 if c.unit == "m" else 0) for c in feature_columns("m")}
        for name in NAMES:
            if name.startswith(
                (
                    "skewness",
                    "projected_ecc",
                    "texture",
                    "tilt",
                    "gaussian",
                    "mean_curvature_p",
                    "thickness_skew",
                    "saddle",
                )
            ):
                continue
            least = 0.02 * scale if units[name] else 0.02
            assert coarse[name] == pytest.approx(fine[name], rel=0.05, abs=least), name
            assert one_bit[name] == pytest.approx(fine[name], rel=0.08, abs=least), name

    @given(st.integers(0, 10**6))
    @settings(max_examples=4, deadline=None)
    def test_rotation_changes_only_oriented_features(self, seed: int) -> None:
        turn = Rotation.random(rng=np.random.default_rng(seed)) if seed else Rotation.identity()
        features = shape_features(ellipsoid(*lattice(40, 0.75, turn)), (0.75,) * 3, signed=True)
        upright = measured(ellipsoid)
        for name in NAMES:
            if name.startswith(
                ("extent_z", "extent_y", "extent_x", "projected", "thickness", "texture", "tilt", "skew")
            ):
                continue
            assert features[name] == pytest.approx(upright[name], rel=0.04, abs=0.02), name

    def test_a_larger_shape_has_the_same_form(self) -> None:
        values = ellipsoid(*lattice(40, 0.75))
        small, large = (surface_features(extract_surface(values, (d,) * 3, signed=True)) for d in (1.0, 3.0))
        powers = {"": 0, "rad": 0, "bit": 0, "L": 1, "L2": 2, "L3": 3, "1/L": -1, "1/L2": -2}
        for column in feature_columns("L"):
            assert large[column.name] == pytest.approx(
                small[column.name] * 3.0 ** powers[column.unit], rel=1e-3, abs=1e-6
            )

    def test_roughness_is_the_height_of_protrusions(self) -> None:
        def rippled(height: float) -> float:
            z, y, x = lattice(64, 0.5)
            r = np.sqrt(z**2 + y**2 + x**2)
            waves = np.sin(3.5 * z) * np.sin(3.5 * y) * np.sin(3.5 * x)  # as long as 1.8, half of it 0.9
            return shape_features(10 + height * waves - r, (0.5,) * 3, signed=True)["roughness"]

        low, high = rippled(0.2), rippled(0.4)
        assert high == pytest.approx(2 * low, rel=0.15)
        assert high == pytest.approx(0.4 / np.sqrt(8), rel=0.5)

    def test_each_is_described_once(self) -> None:
        assert len(set(NAMES)) == len(NAMES) == len(feature_columns("um"))
        assert all(column.meaning for column in feature_columns("um"))
        assert tuple(measured(ball)) == NAMES


class TestTexture:
    def test_brightness_sampling_and_position_do_not_matter(self) -> None:
        y, x = np.indices((80, 80))
        outline = (y - 38.0) ** 2 + (x - 41.0) ** 2 < 30**2
        picture = np.sin(y / 6) + np.cos(x / 5)
        one = texture_features(picture, outline)
        assert texture_features(7 * picture + 3, np.roll(outline, 0)) == pytest.approx(one, rel=1e-6)
        moved = texture_features(np.roll(picture, (3, -5), (0, 1)), np.roll(outline, (3, -5), (0, 1)))
        assert moved == pytest.approx(one, rel=1e-6)
        assert texture_features(np.ones((80, 80)), outline)["entropy"] == 0
        finer = texture_features(np.kron(picture, np.ones((2, 2))), np.kron(outline, np.ones((2, 2))) > 0, (0.5, 0.5))
        assert finer["contrast"] == pytest.approx(one["contrast"], rel=0.1)

    def test_an_empty_outline(self) -> None:
        with pytest.raises(DataError, match="outline is empty"):
            texture_features(np.ones((8, 8)), np.zeros((8, 8), bool))


class TestShapr:
    def test_there_are_126_and_countable_ones_are_exact(self) -> None:
        inside = np.zeros((64, 64, 64), bool)
        inside[20:40, 16:48, 24:44] = True
        features = shapr_features(inside.astype(np.uint8) * 255)
        assert tuple(features) == tuple(c.name for c in COLUMNS)
        assert len(set(features)) == 126
        exact = {
            "volume": 20 * 32 * 20,
            "mean": 20 * 32 * 20 / 64**3,
            "boundary_3D": 20 * 32 * 20 - 18 * 30 * 18,
            "xy_bounary": 32 * 20 - 30 * 18,
            "xz_boundary": 20 * 20 - 18 * 18,
            "yz_boundary": 20 * 32 - 18 * 30,
            "convexity": 0,
            "xy_convexity": 0,
            "zsum_max": 20,
            "zsum_mean": 20 * 32 * 20 / 64**2,
            "moment_cc_zsum": 31.5,
            "moment_cr_zsum": 33.5,
            "moment_cr1_v": 33.5,
        }
        for name, value in exact.items():
            assert features[name] == pytest.approx(value), name
        assert abs(features["mesh_volume"]) == pytest.approx(exact["volume"], rel=0.02)
        assert features["mesh_convex_hull_volume"] == pytest.approx(abs(features["mesh_volume"]), rel=1e-3)
        assert all(np.isfinite(value) for value in features.values())

    @given(st.integers(0, 10**6))
    @settings(max_examples=6, deadline=None)
    def test_the_hull_is_that_of_scikit_image(self, seed: int) -> None:
        inside = np.random.default_rng(seed).random((9, 8, 10)) < 0.03
        inside[2:4, 3:6, 4] = True
        assert hull_voxels(inside) == np.count_nonzero(convex_hull_image(inside))

    def test_faults(self) -> None:
        with pytest.raises(DataError, match="64 x 64 x 64"):
            shapr_features(np.ones((32, 32, 32)))
        with pytest.raises(DataError, match="no surface"):
            shapr_features(np.zeros((64, 64, 64)))


def test_the_documentation_lists_every_feature(root: Path) -> None:
    text = (root / "docs" / "reference" / "measures.md").read_text("utf-8")
    missing = [c.name for c in feature_columns("um") if f"| `{c.name}` | {c.unit} | {c.meaning} |" not in text]
    assert missing == []
