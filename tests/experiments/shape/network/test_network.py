"""The shape's network: codes, sections, inputs, flow, refinement, and continuous models."""

import importlib.util
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from hypothesis import given, settings
from hypothesis import strategies as st

from unflat.physics.fluorescence import MicroscopePsf
from unflat.recon.experiments.shape.cells import CellImage
from unflat.recon.experiments.shape.model import build_model
from unflat.recon.experiments.shape.network import flow, refine
from unflat.recon.experiments.shape.network.augmentation import TrainingCell, make_example, prepare_cell
from unflat.recon.experiments.shape.network.denoiser import ShapeDenoiser
from unflat.recon.experiments.shape.network.inputs import CHANNELS, PictureInput, to_network_input
from unflat.recon.experiments.shape.network.shape_code import (
    EDGE,
    PIXELS,
    UNIT,
    WIDTH,
    code_points,
    decode,
    encode,
    interpolation_matrix,
    pixel_centres,
    section_correction,
    section_points,
)
from unflat.recon.experiments.shape.network.train import folds
from unflat.recon.experiments.shape.output import cube_grid, occupancy
from unflat.recon.experiments.shape.simulate import SimulatedCell, rotate_cell, simulate_cell
from unflat.recon.io.model_file import write_model
from unflat.recon.io.network_file import STEPS
from unflat.recon.metrics.morphology.surface import extract_surface
from unflat.recon.metrics.shapes import signed_distance

HEIGHTS = np.arange(PIXELS) - PIXELS // 2


def ball(radius: float, at: tuple[float, float, float] = (0, 0, 0)) -> np.ndarray:
    """[voxel] Signed distance to a ball on the cube's voxels."""
    z, y, x = np.meshgrid(HEIGHTS, pixel_centres(), pixel_centres(), indexing="ij")
    return np.sqrt((z - at[0]) ** 2 + (y - at[1]) ** 2 + (x - at[2]) ** 2) - radius


def code_of(distance: np.ndarray) -> np.ndarray:
    """Its code."""
    return encode(distance, (HEIGHTS.astype(float), pixel_centres(), pixel_centres()))


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    """IoU."""
    return float((a & b).sum() / (a | b).sum())


@pytest.fixture(scope="module")
def cell() -> SimulatedCell:
    """A simulated discocyte."""
    return simulate_cell(np.random.default_rng(3), "discocyte", 64)


@pytest.fixture(scope="module")
def drawn(cell: SimulatedCell) -> TrainingCell:
    """The same as the network learns it."""
    return prepare_cell(cell.inside, cell.image, cell.mask.astype(float), cell.label, simulated=True)


def test_a_code_reproduces_the_distance_between_its_points() -> None:
    distance = ball(17.3, (2.0, -3.5, 1.2))
    decoded = decode(code_of(distance), HEIGHTS.astype(float), pixel_centres(), pixel_centres())
    near = np.abs(distance) < 3
    assert np.abs(decoded - distance)[near].max() < 0.35
    assert overlap(decoded < 0, distance < 0) > 0.98


def test_a_plane_is_coded_without_error() -> None:
    slope = code_points()[:, None, None] * 0.1 + code_points()[:, None] * -0.05 + 0.2
    code = np.broadcast_to(slope, (EDGE,) * 3)
    places = np.linspace(-29, 29, 40)
    decoded = decode(code / UNIT, places, places, places)
    middle = slice(6, 34)  # At its ends the spline has no slope.
    expected = places[:, None, None] * 0.1 + places[:, None] * -0.05 + 0.2
    np.testing.assert_allclose(
        decoded[middle, middle], np.broadcast_to(expected, decoded.shape)[middle, middle], atol=2e-3
    )


def test_the_matrix_of_a_code_has_rows_that_sum_to_one() -> None:
    np.testing.assert_allclose(interpolation_matrix(np.linspace(-31, 31, 100)).sum(axis=1), 1, atol=1e-12)


def test_the_distance_of_voxels_is_half_a_voxel_beside_the_surface() -> None:
    inside = np.zeros((9, 9), bool)
    inside[2:7, :] = True
    signed = signed_distance(inside)
    np.testing.assert_allclose(signed[:, 4], [1.5, 0.5, -0.5, -1.5, -2.5, -1.5, -0.5, 0.5, 1.5])


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 1000), radius=st.floats(6, 25), squeeze=st.floats(0.6, 1.6))
def test_any_draw_passes_through_the_section(seed: int, radius: float, squeeze: float) -> None:
    rng = np.random.default_rng(seed)
    y, x = np.meshgrid(pixel_centres(), pixel_centres(), indexing="ij")
    mask = np.hypot(y * squeeze, x / squeeze) < radius
    inputs = to_network_input(mask * 1.0, mask * 1.0)
    rough = np.clip(code_of(ball(18.0)) + 0.2 * rng.standard_normal((EDGE,) * 3), -1.5, 1.5)
    model = build_model(CellImage("c", "", mask * 1.0, mask * 1.0, (1, 1, 1), "voxel"), rough[None], inputs, {})
    section = model.sample(np.zeros(1), pixel_centres(), pixel_centres())[0] < 0
    assert overlap(section, mask) > 0.97


def test_a_shape_that_agrees_with_its_section_is_unchanged() -> None:
    distance = ball(15.0)
    inputs = to_network_input(np.ones((64, 64)), (distance[32] < 0).astype(float))
    inner = np.abs(section_points()) < 20
    correction = section_correction(code_of(distance), inputs.outline())[np.ix_(inner, inner)]
    assert np.abs(correction).max() < 0.6  # The mask has pixels, the ball has none.


@pytest.mark.parametrize("size", [32, 128, 96])
def test_pictures_of_any_size_show_the_same_cell(size: int) -> None:
    def seen(count: int) -> PictureInput:
        y, x = np.meshgrid(pixel_centres(count), pixel_centres(count), indexing="ij")
        return to_network_input(7e3 * np.exp(-(y**2 + x**2) / 400), (np.hypot(y, x - 3) < 14).astype(float))

    one, other = seen(64), seen(size)
    np.testing.assert_allclose(one.image, other.image, atol=0.06)
    near = np.abs(one.section) < 5
    np.testing.assert_allclose(one.section[near], other.section[near], atol=1.5 * 64 / min(size, 64))


def test_brightness_has_no_unit(cell: SimulatedCell) -> None:
    one, other = (to_network_input(factor * cell.image, cell.mask.astype(float)) for factor in (1.0, 1234.5))
    np.testing.assert_allclose(one.channels(3.0), other.channels(3.0), rtol=1e-5)


def test_augmentation_transforms_code_and_picture_together(drawn: TrainingCell) -> None:
    rng = np.random.default_rng(0)
    for _ in range(6):
        seen = make_example(drawn, rng)
        middle = decode(seen.code, np.zeros(1), pixel_centres(), pixel_centres())[0] < 0
        assert overlap(middle, seen.seen[..., 2] > 0.5) > 0.85


def test_a_stretched_cell_has_its_own_height(drawn: TrainingCell) -> None:
    rng, ratios = np.random.default_rng(1), []
    for _ in range(12):
        seen = make_example(drawn, rng)
        inside = np.clip(0.5 - decode(seen.code, HEIGHTS.astype(float), pixel_centres(), pixel_centres()), 0, 1)
        high = np.exp(0.3 * seen.seen[0, 0, 3]) * 30
        ratios.append(inside.sum() / seen.seen[..., 2].sum() / high)
    assert np.std(np.log(ratios)) < 0.06  # Heights themselves differ by 0.12.
    assert np.mean(ratios) == pytest.approx(1, abs=0.06)


def test_a_rotated_cell_keeps_its_volume(cell: SimulatedCell) -> None:
    rng = np.random.default_rng(1)
    volumes = [rotate_cell(rng, cell.inside).inside.sum() for _ in range(4)]
    np.testing.assert_allclose(volumes, cell.inside.sum(), rtol=0.03)


def test_every_class_has_its_share_in_every_fold() -> None:
    labels = ["a"] * 53 + ["b"] * 25 + ["c"] * 18 + ["d"] * 12
    division = folds(labels, 5, 0)
    sizes = np.bincount(division)
    assert sizes.max() - sizes.min() <= 1
    for name in "abcd":
        counts = np.bincount(division[np.array(labels) == name], minlength=5)
        assert counts.max() - counts.min() <= 1
    assert not np.array_equal(division, folds(labels, 5, 1))


class Oracle(ShapeDenoiser):
    """Network whose estimate is always 0.25."""

    def estimate(self, noisy: Any, time: Any, seen: Any, dtype: Any = None) -> Any:
        del time, seen, dtype
        return jnp.full_like(noisy, 0.25)


@pytest.mark.parametrize("steps", [1, 4])
def test_the_flow_ends_at_what_the_network_knows(steps: int) -> None:
    seen = jnp.zeros((2, PIXELS, PIXELS, CHANNELS))
    codes = flow.draw(Oracle((8,), (1,)), seen, flow.noise(jax.random.key(0), 2), steps)
    np.testing.assert_allclose(codes, 0.25, atol=1e-6)


def test_a_small_network_learns_one_cell(drawn: TrainingCell) -> None:
    denoiser, seen = ShapeDenoiser((8,), (1,), seed=0), make_example(drawn)
    codes, pictures = (jnp.stack([jnp.asarray(one)] * 8) for one in (seen.code, seen.seen))

    @jax.jit
    def step(denoiser: ShapeDenoiser, key: jax.Array) -> tuple[jax.Array, ShapeDenoiser]:
        def loss(denoiser: ShapeDenoiser) -> jax.Array:
            return flow.loss(denoiser, codes, pictures, key, jnp.float32)[1]["error"]

        value, slopes = jax.value_and_grad(loss)(denoiser)
        return value, jax.tree.map(lambda array, slope: array - 0.003 * jnp.sign(slope), denoiser, slopes)

    errors = []
    for i in range(120):
        value, denoiser = step(denoiser, jax.random.key(i))
        errors.append(float(value))
    assert np.mean(errors[-10:]) < 0.4 * np.mean(errors[:10])


class CurvedFlow(ShapeDenoiser):
    """Network with an affine estimate that does not depend on the time: its paths from noise are curves."""

    def estimate(self, noisy: Any, time: Any, seen: Any, dtype: Any = None) -> Any:
        return 0.5 * noisy + 0.1


class StraightFlow(ShapeDenoiser):
    """Network with straight paths from noise to a·noise + b."""

    def __init__(self, a: Any, b: Any) -> None:
        super().__init__((8,), (1,))
        self.a, self.b = nnx.Param(jnp.asarray(a)), nnx.Param(jnp.asarray(b))

    def estimate(self, noisy: Any, time: Any, seen: Any, dtype: Any = None) -> Any:
        a, b, t = self.a[...], self.b[...], time[:, None, None, None]
        return b + a * (noisy - t * b) / (1 - t + t * a)


def test_what_is_distilled_ends_in_one_step_where_its_teacher_does_in_many() -> None:
    teacher, seen = CurvedFlow((8,), (1,)), jnp.zeros((64, PIXELS, PIXELS, CHANNELS))
    end = partial(flow.draw, teacher, seen[:1], steps=STEPS)
    b = end(jnp.zeros((1, EDGE, EDGE, EDGE)))[0, 0, 0, 0]
    a = end(jnp.ones((1, EDGE, EDGE, EDGE)))[0, 0, 0, 0] - b

    def error(a: Any, b: Any, mean: Any) -> float:
        codes = jnp.full((64, EDGE, EDGE, EDGE), mean)
        student = StraightFlow(a, b)
        return float(flow.distillation_loss(student, teacher, codes, seen, jax.random.key(0), jnp.float32)[1]["error"])

    assert error(a, b, mean=b) < 1e-10
    assert error(a, b, mean=b + 1) == pytest.approx(0.2, abs=0.1)  # Those alone that are asked for the mean.
    assert error(a + 0.1, b, mean=b) > 1e-3
    assert abs(float(teacher.estimate(jnp.ones((1, 1, 1, 1)), jnp.zeros(1), None)[0, 0, 0, 0] - a - b)) > 0.05


@pytest.mark.parametrize("time", [0.0, 0.3, 0.9, 0.98])
def test_a_network_that_says_nothing_gives_the_likeliest_code_of_numbers_that_know_nothing_of_another(
    time: float,
) -> None:
    denoiser = ShapeDenoiser((8,), (1,))  # all weights are 0
    middle, spread = denoiser.codes
    own, other = jax.random.split(jax.random.key(2))
    codes = middle + spread * flow.noise(own, 4)
    noisy = time * codes + (1 - time) * flow.noise(other, 4)
    estimated = denoiser.estimate(noisy, jnp.full(4, time), jnp.zeros((4, PIXELS, PIXELS, CHANNELS)))
    variance = 1 / (1 / spread**2 + (time / (1 - time)) ** 2)  # What is known before, and what is measured.
    np.testing.assert_allclose(((estimated - codes) ** 2).mean(), variance, rtol=0.05)


def test_a_draw_is_refined_towards_its_picture(cell: SimulatedCell, drawn: TrainingCell) -> None:
    truth = make_example(drawn).code
    image = jnp.asarray(drawn.inputs.image, jnp.float32)
    start = jnp.asarray(np.clip(truth * 0.7 - 0.1, -1.5, 1.5))[None]
    blur = MicroscopePsf(0.9, 2.5, 0.25, 3.5)
    refined, before, after = refine._fit(start, image, blur, 40)
    membrane = jnp.log(jnp.array([3.5]))
    np.testing.assert_allclose(before, refine.misfit(refine.RefinedDraws(start, membrane), image, blur), rtol=1e-4)
    assert float(refine.misfit(refine.RefinedDraws(refined, membrane), image, blur)[0]) < 0.7 * float(before[0])
    assert float(after[0]) < 0.7 * float(before[0])
    assert float(jnp.sqrt(((refined - start) ** 2).mean())) < 0.2


def test_the_mesh_of_a_draw_is_watertight_and_has_no_steps_however_fine_it_is(
    cell: SimulatedCell, drawn: TrainingCell
) -> None:
    mask, voxel = cell.mask.astype(float), (0.2e-6, 0.17e-6, 0.17e-6)
    rough = make_example(drawn).code + 0.03 * np.random.default_rng(0).standard_normal((EDGE,) * 3)
    bends, volumes = [], []
    for edge in (64, 192):
        model = build_model(CellImage("c", "", cell.image, mask, voxel, "m"), rough[None], drawn.inputs, {}, edge)
        lattice = cube_grid(model, edge)
        distance = model.sample(lattice.z, lattice.y, lattice.x)
        mesh = extract_surface(distance, [1e6 * step for step in model.spacing], signed=True).mesh
        assert mesh.is_watertight
        assert mesh.is_winding_consistent
        volumes.append(mesh.volume)
        bends.append(np.degrees(np.quantile(mesh.face_adjacency_angles, [0.5, 0.95, 0.99])))
    assert volumes[0] == pytest.approx(volumes[1], rel=0.01)
    # A smooth surface bends the less from face to face the finer these are; a staircase of voxels by 45 degrees always.
    assert (bends[0] < (5, 15, 25)).all()
    assert (bends[1] < 0.4 * bends[0]).all()


def test_a_distance_on_anisotropic_voxels_is_described_as_such(cell: SimulatedCell, drawn: TrainingCell) -> None:
    mask, code = cell.mask.astype(float), make_example(drawn).code[None]
    for voxel, cubes in (((0.17e-6,) * 3, True), ((0.2e-6, 0.17e-6, 0.17e-6), False)):
        model = build_model(CellImage("c", "", cell.image, mask, voxel, "m"), code, drawn.inputs, {})
        assert ("no true distance" in model.quantities[0].meaning) is not cubes


def test_the_continuous_model_is_the_code_and_has_one_volume_at_any_sampling(tmp_path: Path) -> None:
    distance = ball(16.0)
    mask = (distance[32] < 0).astype(float)
    voxel = (0.2e-6, 0.17e-6, 0.17e-6)
    codes = np.stack([code_of(distance), code_of(distance * 0.9 - 1)])
    model = build_model(
        CellImage("a ball", "round", mask, mask, voxel, "m"), codes, to_network_input(mask, mask), {}, 64
    )
    assert model.draws == 2
    one = model.draw(0)
    far = 6 * WIDTH  # Away from the section nothing is added.
    expected = 0.17e-6 * decode(codes[0], np.array([far]), pixel_centres(), pixel_centres())[0]
    np.testing.assert_allclose(
        one.sample(np.array([far * 0.2e-6]), *[pixel_centres() * 0.17e-6] * 2)[0], expected, atol=2e-11
    )
    volumes = []
    for edge in (64, 256):
        finer = build_model(
            CellImage("a ball", "round", mask, mask, voxel, "m"), codes[:1], to_network_input(mask, mask), {}, edge
        )
        volumes.append(occupancy(finer, edge).sum() * np.prod(finer.spacing))
    np.testing.assert_allclose(volumes[0], volumes[1], rtol=0.01)
    np.testing.assert_allclose(volumes[1], 4 / 3 * np.pi * 16**3 * np.prod(voxel), rtol=0.03)
    write_model(model, tmp_path / "model.h5")
    path = Path(__file__).resolve().parents[4] / "docs" / "read_model.py"
    spec = importlib.util.spec_from_file_location("read_model", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    points = np.random.default_rng(0).uniform(-6e-6, 6e-6, (200, 3))
    values = module.read_model(tmp_path / "model.h5")(points)
    for quantity in model.quantities:
        np.testing.assert_allclose(values[quantity.name], model(points, quantity.name), atol=1e-14)
