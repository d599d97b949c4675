"""Simulated crystals: shapes, displacement fields, far field and counts."""

from collections.abc import Iterator
from itertools import combinations, pairwise

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from unflat.physics import psf
from unflat.physics.detector import DetectorError, Exposure, expose_scan
from unflat.physics.diffraction import far_field as sampled_far_field
from unflat.physics.diffraction.bragg_geometry import reciprocal_space_steps, sample_positions, strain_from_density
from unflat.physics.phantoms.cells import random_rotation
from unflat.physics.phantoms.crystals import (
    FLAWS,
    STRAINS,
    Crystal,
    Dislocation,
    DisplacementField,
    Inclusion,
    Polyhedron,
    Relaxation,
    Shape,
    ShapeError,
    Waves,
    density,
    facet_normals,
    far_field,
    random_crystal,
    random_grid,
)
from unflat.physics.phantoms.crystals.random_crystal import random_lattice_rotation

SIZE = (40, 36, 38)
NOWHERE = np.zeros(3)


@pytest.fixture(scope="module", autouse=True)
def double() -> Iterator[None]:
    with jax.enable_x64(True):
        yield


def skewed(seed: int, spacing: float) -> np.ndarray:
    """Steps of different lengths, about 20 degrees off the axes, in a random orientation."""
    rng = np.random.default_rng(seed)
    steps = np.diag(rng.uniform(0.8, 1.25, 3)) + rng.uniform(-0.3, 0.3, (3, 3))
    return spacing * steps @ random_rotation(rng)


def block(*sides: float) -> Polyhedron:
    """Box [m] along the axes."""
    normals = np.concatenate([np.eye(3), -np.eye(3)])
    return Polyhedron(normals, np.array([*sides, *sides]) / 2)


def shape_of(seed: int, *flaws: str) -> Shape:
    return random_crystal(seed, strains=(), flaws=flaws).shape


# Shapes


@pytest.mark.parametrize(("indices", "number"), [((1, 1, 1), 8), ((1, 0, 0), 6), ((1, 1, 0), 12), ((2, 1, 0), 24)])
def test_a_family_has_its_facets(indices: tuple[int, int, int], number: int) -> None:
    facets = facet_normals(indices)
    assert len(facets) == number
    np.testing.assert_allclose(np.linalg.norm(facets, axis=1), 1)
    np.testing.assert_allclose(facets.sum(axis=0), 0, atol=1e-12)


@given(st.integers(0, 1000), st.floats(8e-9, 20e-9))
@settings(max_examples=20, deadline=None)
def test_a_crystal_has_its_volume_on_any_skewed_grid(seed: int, spacing: float) -> None:
    shape, steps = shape_of(seed, "substrate"), skewed(seed, spacing)
    radius = 120e-9
    assert shape.body.volume() == pytest.approx(4 / 3 * np.pi * radius**3, rel=1e-6)
    count = int(2 * np.ceil(4.5 * radius / spacing / 2))
    volume = shape.occupancy(steps, (count,) * 3).sum() * abs(np.linalg.det(steps))
    assert volume == pytest.approx(shape.body.volume(), rel=0.004)


def test_a_block_fills_its_voxels_exactly() -> None:
    """On a grid along its sides, and on one sheared along them."""
    shape = Shape(block(5.0, 7.0, 6.5))
    np.testing.assert_allclose(
        shape.occupancy(np.eye(3), (11, 11, 11)).sum(axis=(1, 2)) / 45.5, [0] * 3 + [1] * 5 + [0] * 3
    )
    profile = shape.occupancy(np.eye(3), (11, 11, 11)).sum(axis=(0, 1)) / 35
    np.testing.assert_allclose(profile, [0, 0, 0.75, 1, 1, 1, 1, 1, 0.75, 0, 0][-11:], atol=1e-3)
    sheared = np.array([[1, 0.4, 0], [0, 1, 0], [0, 0, 1.0]])
    assert shape.occupancy(sheared, (11, 15, 11)).sum() == pytest.approx(5 * 7 * 6.5, rel=2e-3)


def distance_from_parts(shape: Shape, steps: np.ndarray, count: int) -> float:
    """Relative distance of a sampling from the mean of a sampling three times as fine."""
    parts = shape.occupancy(steps / 3, (3 * count,) * 3).reshape(count, 3, count, 3, count, 3).mean(axis=(1, 3, 5))
    return float(np.abs(shape.occupancy(steps, (count,) * 3) - parts).sum() / parts.sum())


def test_a_voxel_holds_the_mean_of_its_parts_and_refinement_converges() -> None:
    shape = shape_of(3, "substrate", "notch", "void", "twin")
    errors = [distance_from_parts(shape, skewed(1, 60e-9 / n), 8 * n + 1) for n in (1, 2, 4)]
    assert errors[1] < 0.01
    assert all(second < 0.5 * first for first, second in pairwise(errors))


@given(st.integers(0, 1000), st.lists(st.sampled_from(FLAWS), unique=True))
@settings(max_examples=15, deadline=None)
def test_full_and_empty_voxels_are_those_inside_and_outside(seed: int, flaws: list[str]) -> None:
    shape, steps = shape_of(seed, *flaws), skewed(seed, 14e-9)
    filled = shape.occupancy(steps, SIZE)
    inside = shape.contains(sample_positions(steps, SIZE).reshape(-1, 3)).reshape(SIZE)
    assert inside[filled == 1].all()
    assert not inside[filled == 0].any()
    assert filled.min() >= 0
    assert filled.max() <= 1


def test_flaws_remove_their_parts_of_the_crystal() -> None:
    for seed in range(5):
        whole = shape_of(seed)
        assert not whole.holes
        assert 8 <= len(whole.body.offsets) <= 40
        for flaw in ("notch", "void", "twin"):
            shape = shape_of(seed, flaw)
            assert len(shape.holes) == 1
            share = shape.occupancy(12e-9 * np.eye(3), SIZE).sum() * 12e-9**3 / shape.body.volume()
            assert 0.4 < share < 1


def test_shapes_that_enclose_nothing_are_refused() -> None:
    with pytest.raises(ShapeError, match="origin is not inside"):
        block(1, 1, 1).translate(np.array([2.0, 0, 0])).vertices()
    with pytest.raises(ShapeError, match=r"unknown flaw 'hole': there are substrate, notch"):
        random_crystal(1, flaws=("hole",))
    with pytest.raises(ShapeError, match=r"unknown strain 'bend': there are polynomial"):
        random_crystal(1, strains=("bend",))


def test_moving_turning_and_scaling_a_body() -> None:
    rng = np.random.default_rng(0)
    body, rotation, offset = shape_of(4).body, random_rotation(rng), np.array([1e-8, -2e-8, 3e-8])
    points = rng.uniform(-2e-7, 2e-7, (500, 3))
    moved = body.scale(1.3).rotate(rotation).translate(offset)
    np.testing.assert_array_equal(moved.contains(1.3 * points @ rotation.T + offset), body.contains(points))
    np.testing.assert_allclose(moved.volume(), 1.3**3 * body.volume())


# Strain


def vectors(field: DisplacementField, points: np.ndarray) -> np.ndarray:
    """The displacement [m], all three components."""
    return np.stack([field.along(points, axis) for axis in np.eye(3)], axis=1)


def circuit(point: np.ndarray, line: np.ndarray, radius: float, count: int = 400) -> np.ndarray:
    """Closed path around a line, in the sense of a right-handed screw."""
    x = np.eye(3)[np.argmin(np.abs(line))]
    x = x - (x @ line) * line
    x /= np.linalg.norm(x)
    y = np.cross(line[::-1], x[::-1])[::-1]  # the vector product of (x, y, z), written (z, y, x)
    angle = np.linspace(0, 2 * np.pi, count + 1)[:, None]
    return point + radius * (np.cos(angle) * x + np.sin(angle) * y)


@given(st.integers(0, 1000))
@settings(max_examples=20, deadline=None)
def test_around_a_dislocation_the_displacement_grows_by_the_burgers_vector(seed: int) -> None:
    """For any character, direction and path."""
    rng = np.random.default_rng(seed)
    line, burgers, point = random_rotation(rng)[0], 3e-10 * rng.normal(size=3), 1e-8 * rng.normal(size=3)
    path = circuit(point, line, 2e-8) + 3e-9 * np.sin(np.linspace(0, 6 * np.pi, 401))[:, None] * rng.normal(size=3)
    steps = np.diff(vectors(Dislocation(point, line, burgers), path), axis=0)
    jump = np.argmax(np.linalg.norm(steps, axis=1))
    smooth = np.delete(steps, jump, axis=0)
    assert np.linalg.norm(smooth, axis=1).max() < 0.1 * np.linalg.norm(burgers)
    np.testing.assert_allclose(smooth.sum(axis=0), burgers, atol=0.05 * np.linalg.norm(burgers))
    np.testing.assert_allclose(steps.sum(axis=0), 0, atol=1e-18)


def test_a_screw_dislocation_is_right_handed_in_the_laboratory() -> None:
    """A right-handed screw along +z: from +x to +y the crystal climbs a quarter of b."""
    screw = Dislocation(NOWHERE, np.array([1.0, 0, 0]), np.array([4e-10, 0, 0]))
    on_x, on_y = np.array([[0, 0, 1e-8]]), np.array([[0, 1e-8, 0]])
    climbed = vectors(screw, on_y) - vectors(screw, on_x)
    np.testing.assert_allclose(climbed, [[1e-10, 0, 0]], atol=1e-16)


@pytest.mark.parametrize(
    ("field", "ratio"),
    [
        (Dislocation(NOWHERE, np.array([0.6, 0.8, 0]), np.array([2e-10, 1e-10, 3e-10]), poisson=0.3, core=1e-14), 0.3),
        (Dislocation(NOWHERE, np.array([0.0, 0, 1]), np.array([2e-10, 1e-10, 0.0]), poisson=0.42, core=1e-14), 0.42),
        (Inclusion(NOWHERE, 5e-9, 0.02), 0.25),
    ],
)
def test_elastic_fields_are_in_equilibrium(field: DisplacementField, ratio: float) -> None:
    """Navier: (1 − 2ν) ∇²u + ∇(∇·u) = 0, by finite differences beside the core and the cut."""
    step, n = 2e-10, 5
    centre = np.array([9e-9, 7e-9, 8e-9])
    points = centre + step * (sample_positions(np.eye(3), (n,) * 3).reshape(-1, 3))
    u = vectors(field, points).reshape(n, n, n, 3)
    slopes = np.stack([np.gradient(u, step, axis=axis) for axis in range(3)], axis=-1)
    second = np.stack([np.gradient(slopes, step, axis=axis) for axis in range(3)], axis=-1)[2, 2, 2]
    laplacian = np.einsum("ijj->i", second)
    divergence = np.einsum("jji->i", second)
    scale = np.abs(second).max()
    np.testing.assert_allclose(((1 - 2 * ratio) * laplacian + divergence) / scale, 0, atol=0.01)


def test_an_inclusion_has_its_misfit_inside_and_falls_off_outside() -> None:
    inclusion = Inclusion(np.array([1e-8, 0, 0]), 3e-8, 0.01)
    inside, rim, far = (vectors(inclusion, inclusion.centre + np.array([[0, d, 0]]))[0, 1] for d in (1e-8, 3e-8, 6e-8))
    assert inside == pytest.approx(1e-10)
    assert rim == pytest.approx(3e-10)
    assert far == pytest.approx(3e-10 / 4)


def test_relaxation_decays_below_the_facets() -> None:
    body = shape_of(5).body
    facets = len(body.offsets)
    amplitudes = np.where(np.arange(facets) == 0, 1e-10, 0)
    field = Relaxation(body.normals, body.offsets, amplitudes, 1e-8)
    depths = np.array([-1e-8, 0, 1e-8, 3e-8])
    points = (body.offsets[0] - depths)[:, None] * body.normals[0]
    outward = field.along(points, body.normals[0])
    np.testing.assert_allclose(outward, 1e-10 * np.exp(-np.maximum(depths, 0) / 1e-8))


def test_random_waves_have_their_variance_and_correlation() -> None:
    rng, correlation = np.random.default_rng(2), 3e-8
    first = rng.uniform(-1e-6, 1e-6, (2000, 3))
    second = first + correlation * np.array([0.6, 0.8, 0])
    fields = [Waves.random(rng, correlation, 100) for _ in range(10)]
    a, b = (np.concatenate([f.along(p, np.array([0.0, 0, 1])) for f in fields]) for p in (first, second))
    assert np.var(a) == pytest.approx(1, abs=0.15)
    assert np.mean(a * b) / np.var(a) == pytest.approx(np.exp(-0.5), abs=0.08)


@pytest.mark.parametrize("name", STRAINS)
def test_displacement_is_proportional_to_the_scale(name: str) -> None:
    points = np.random.default_rng(0).uniform(-1e-7, 1e-7, (50, 3))
    for strain in random_crystal(6, strains=(name,)).displacement_fields:
        once, thrice = (strain.scale(f).along(points, np.array([0.6, 0, 0.8])) for f in (1.0, 3.0))
        np.testing.assert_allclose(thrice, 3 * once)


# Crystals


def probes_of(crystal: Crystal, count: int = 4000) -> np.ndarray:
    points = np.random.default_rng(0).uniform(-3e-7, 3e-7, (20 * count, 3))
    return points[crystal.shape.contains(points)][:count]


@pytest.mark.parametrize("name", STRAINS[:4])
@pytest.mark.parametrize("strength", [0.2, 3.0])
def test_a_displacement_field_has_the_requested_strength(name: str, strength: float) -> None:
    for seed in range(3):
        crystal = random_crystal(seed, strains=(name,), phase=(strength, strength), flaws=())
        points = probes_of(crystal)
        phase = crystal.phase(points)
        assert np.diff(np.quantile(phase, (0.01, 0.99)))[0] / 2 == pytest.approx(strength, rel=0.15)
        columns = np.column_stack([points * 1e7, np.ones(len(points))])
        plane = np.linalg.lstsq(columns, phase, rcond=None)[0]
        assert np.abs(columns @ plane).max() < 0.15 * strength + 0.02


@pytest.mark.parametrize("name", ["screw", "edge"])
def test_a_crystal_s_dislocation_winds_its_phase_once(name: str) -> None:
    for seed in range(6):
        crystal = random_crystal(seed, strains=(name,), flaws=())
        line = next(s for s in crystal.displacement_fields if isinstance(s, Dislocation))
        assert abs(crystal.bragg_vector @ line.burgers) == pytest.approx(2 * np.pi)
        assert abs(line.line @ line.burgers) / np.linalg.norm(line.burgers) == pytest.approx(
            float(name == "screw"), abs=1e-9
        )
        phase = crystal.phase(circuit(line.point, line.line, 4e-8))
        winding = np.sum(np.angle(np.exp(1j * np.diff(phase))))
        assert winding == pytest.approx(-crystal.bragg_vector @ line.burgers)


def test_the_lattice_is_rotated_to_its_bragg_vector() -> None:
    for seed in range(5):
        rng = np.random.default_rng(seed)
        bragg = 1e10 * rng.normal(size=3)
        rotation = random_lattice_rotation(rng, bragg)
        np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-12)
        assert np.linalg.det(rotation) == pytest.approx(1)
        np.testing.assert_allclose(rotation @ np.ones(3) / np.sqrt(3), bragg / np.linalg.norm(bragg))
    body = random_crystal(1, bragg_vector=bragg, strains=(), flaws=()).shape.body
    assert np.isclose(body.normals @ bragg / np.linalg.norm(bragg), 1).any()


def test_a_seed_determines_the_crystal_and_the_pattern() -> None:
    def pattern(seed: int) -> np.ndarray:
        crystal = random_crystal(seed)
        field = far_field(crystal, random_grid(seed, crystal, SIZE), SIZE, fineness=1)
        return expose_scan(field, Exposure(1e6, hot_pixels=2, aliens=1), seed).counts

    first, again, other = (pattern(seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert np.any(first != other)


@given(st.integers(0, 1000), st.sampled_from([0.0, 0.3]))
@settings(max_examples=10, deadline=None)
def test_the_grid_has_the_requested_oversampling(seed: int, skew: float) -> None:
    crystal = random_crystal(seed, flaws=(), strains=())
    steps = random_grid(seed, crystal, SIZE, oversampling=(2.0, 4.0), max_skew=skew)
    filled = crystal.shape.occupancy(steps, SIZE) > 0
    ratios = [n / np.ptp(np.nonzero(filled)[axis]) for axis, n in enumerate(SIZE)]
    assert min(ratios) > 1.7
    assert max(ratios) < 4.6
    angles = [abs(a @ b) / np.linalg.norm(a) / np.linalg.norm(b) for a, b in combinations(steps, 2)]
    assert max(angles) < (0.7 if skew else 1e-12)


def test_the_density_is_the_crystal_at_its_points() -> None:
    crystal = random_crystal(7, strains=("waves", "edge"), flaws=("void",))
    steps = random_grid(7, crystal, SIZE)
    sampled = density(crystal, steps, SIZE)
    assert sampled.dtype == np.complex64
    full = np.abs(sampled) > 0.9999
    phase = crystal.phase(sample_positions(steps, SIZE)[full])
    np.testing.assert_allclose(sampled[full], np.exp(1j * phase), atol=1e-4)


def test_the_strain_of_a_sampled_crystal_is_its_displacement_s_slope() -> None:
    crystal = random_crystal(8, strains=("polynomial", "waves"), phase=(0.5, 0.5), flaws=())
    direction = crystal.bragg_vector / np.linalg.norm(crystal.bragg_vector)
    steps = random_grid(8, crystal, (48,) * 3)
    sampled = density(crystal, steps, (48,) * 3)
    result = strain_from_density(sampled, steps, crystal.bragg_vector, np.abs(sampled) > 0.999)
    known = ndimage.binary_erosion(np.isfinite(result))
    where = sample_positions(steps, (48,) * 3)[known]
    expected = (
        crystal.displacement(where + 1e-10 * direction) - crystal.displacement(where - 1e-10 * direction)
    ) / 2e-10
    assert np.std(result[known] - expected) < 0.1 * np.std(expected)
    assert np.corrcoef(result[known], expected)[0, 1] > 0.99


# The far field


def test_a_block_diffracts_as_a_block() -> None:
    """Π L sin(qL/2)/(qL/2) at every q, on a grid that does not fit the sides."""
    sides, steps, shape = np.array([9.3, 7.7, 11.1]) * 1e-9, 1.3e-9 * np.eye(3), (32, 30, 31)
    q = sample_positions(reciprocal_space_steps(steps, shape), shape)
    expected = np.prod(np.sinc(q * sides / (2 * np.pi)) * sides / 1.3e-9, axis=-1)
    crystal = Crystal(Shape(block(*sides)), (), np.array([1e10, 0, 0]))
    result = [far_field(crystal, steps, shape, fineness=n) for n in (1, 2, 3)]
    errors = [np.linalg.norm(f - expected) / np.linalg.norm(expected) for f in result]
    assert errors[1] < 0.025
    assert errors[2] < 0.008
    assert errors[0] > 4 * errors[1]


def test_the_far_field_does_not_depend_on_the_grid_of_the_density() -> None:
    """The far field at the q of the skewed array, summed over a fine grid along the laboratory's axes."""
    crystal = random_crystal(9, strains=("waves", "polynomial"), flaws=("substrate", "notch"))
    steps, fine = random_grid(9, crystal, SIZE, max_skew=0.3), 5e-9
    straight = density(crystal, fine * np.eye(3), (110,) * 3)
    inside = straight != 0
    where, values = sample_positions(fine * np.eye(3), (110,) * 3)[inside], straight[inside]
    result, basis = far_field(crystal, steps, SIZE), reciprocal_space_steps(steps, SIZE)
    rng = np.random.default_rng(0)
    for index in rng.integers(-9, 10, (30, 3)):
        q = index @ basis
        expected = np.sum(values * np.exp(-1j * (where @ q))) * fine**3 / abs(np.linalg.det(steps))
        expected /= np.prod(np.sinc(fine * q / (2 * np.pi)))
        assert abs(result[tuple(index + np.array(SIZE) // 2)] - expected) < 5e-3 * np.abs(result).max()


def test_the_far_field_is_that_of_the_sampled_density_where_it_is_strong() -> None:
    crystal = random_crystal(10, phase=(0.5, 1.0))
    steps = random_grid(10, crystal, SIZE)
    sampled = sampled_far_field.ifftshift3(density(crystal, steps, SIZE))
    plain = np.asarray(sampled_far_field.fftshift3(sampled_far_field.far_field(jnp.asarray(sampled))))
    result = far_field(crystal, steps, SIZE)
    assert abs(np.vdot(plain, result)) / np.linalg.norm(plain) / np.linalg.norm(result) > 0.99
    back = np.fft.ifftn(np.fft.ifftshift(result))
    assert abs(np.vdot(sampled, back)) / np.linalg.norm(sampled) / np.linalg.norm(back) > 0.98


def test_a_perfect_lattice_has_friedel_symmetry_and_a_strained_one_does_not() -> None:
    def asymmetry(strains: tuple[str, ...]) -> float:
        crystal = random_crystal(11, strains=strains, phase=(2.0, 2.0), flaws=("notch",))
        field = np.abs(far_field(crystal, random_grid(11, crystal, (33,) * 3), (33,) * 3))
        return float(np.abs(field - field[::-1, ::-1, ::-1]).max() / field.max())

    assert asymmetry(()) < 1e-5
    assert asymmetry(("polynomial",)) > 0.05


# Counts

FIELD = far_field(random_crystal(12, strains=()), 14e-9 * np.eye(3), SIZE, fineness=1)


def test_counts_are_poisson_around_the_model() -> None:
    exposure = Exposure(total=1e6, background=0.5, sigmas=(0.5, 0.3, 0.6))
    shots = [expose_scan(FIELD, exposure, seed) for seed in range(60)]
    counts, modelled = np.stack([shot.counts for shot in shots]).astype(float), shots[0].modelled.astype(float)
    assert modelled.sum() == pytest.approx(1e6 + 0.5 * modelled.size, rel=1e-5)
    np.testing.assert_array_equal(counts, np.round(counts))
    spread = np.sqrt(modelled)
    pull = (counts - modelled) / spread
    assert pull.mean() == pytest.approx(0, abs=5e-3)
    assert pull.std() == pytest.approx(1, abs=5e-3)
    assert pull.mean(axis=0).std() == pytest.approx(1 / np.sqrt(60), rel=0.02)
    bright = modelled > 200
    weights = np.ones_like(modelled[None])
    deviance = sampled_far_field.deviance(
        *(jnp.asarray(a) for a in (counts[:1] * bright, modelled[None] * bright, weights * bright))
    )
    assert deviance == pytest.approx(1, abs=0.1)


@given(st.tuples(*[st.floats(0, 0.9)] * 3))
@settings(max_examples=10, deadline=None)
def test_the_pattern_agrees_with_the_model_of_the_fit(sigmas: tuple[float, float, float]) -> None:
    """Taps in float64 here, transfer functions in the model."""
    shot = expose_scan(FIELD, Exposure(total=1e7, background=0.2, sigmas=sigmas), 0)
    cornered = np.fft.ifftn(sampled_far_field.ifftshift3(FIELD.astype(complex) * np.sqrt(shot.scale)))
    transfer = psf.gaussian_transfer(SIZE, jnp.array(sigmas))
    model = sampled_far_field.fftshift3(sampled_far_field.intensity(jnp.asarray(cornered), transfer, 0.2))
    np.testing.assert_allclose(model, shot.modelled, rtol=1e-4, atol=1e-2)


def test_the_pattern_has_the_requested_peak_or_total() -> None:
    assert expose_scan(FIELD, Exposure(total=None, peak=5e4), 0).modelled.max() == pytest.approx(5e4, rel=1e-5)
    for total in (1e4, 1e9):
        assert expose_scan(FIELD, Exposure(total=total), 0).counts.sum(dtype=float) == pytest.approx(total, rel=0.05)


def test_gaps_and_saturation_are_masked_and_nothing_else_is() -> None:
    gaps = ((2, 18, 21), (0, 0, 9))
    shot = expose_scan(FIELD, Exposure(total=1e7, saturation=2e4, gaps=gaps, hot_pixels=5, background=2.0), 3)
    missing = np.zeros(SIZE, bool)
    missing[:, :, 18:21] = missing[:9] = True
    assert not shot.counts[missing].any()
    assert shot.mask[missing].all()
    assert shot.counts.max() == 2e4
    np.testing.assert_array_equal(shot.mask[~missing] == 1, shot.counts[~missing] == 2e4)
    assert 0 < (shot.counts == 2e4).sum() < 500
    assert not np.array_equal(shot.mask == 1, shot.hot)


def test_hot_pixels_are_hot_in_every_frame() -> None:
    quiet, hot = (expose_scan(FIELD, Exposure(total=1e5, hot_pixels=n), 4) for n in (0, 4))
    assert hot.hot.any(axis=0).sum() == 4
    assert np.all(hot.hot.all(axis=0) == hot.hot.any(axis=0))
    assert not quiet.hot.any()
    assert hot.counts[hot.hot].mean() > 5 + quiet.modelled[hot.hot].mean()


def test_aliens_lie_beside_the_peak_and_are_not_in_the_model() -> None:
    shot = expose_scan(FIELD, Exposure(total=1e6, aliens=2, alien_share=0.05), 5)
    assert shot.aliens.sum() == pytest.approx(1e5, rel=1e-4)
    assert shot.modelled.sum() == pytest.approx(1e6, rel=1e-4)
    away = np.array(np.unravel_index(shot.aliens.argmax(), SIZE)) - np.array(SIZE) // 2
    assert np.max(np.abs(away) / np.array(SIZE)) > 0.15
    assert shot.counts.sum() == pytest.approx(1.1e6, rel=0.01)


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ({"total": None}, "total None and peak None: give one of them"),
        ({"total": 0.0}, "give one of them, and positive"),
        ({"peak": 10.0}, "give one of them"),
        ({"background": -1.0}, "background -1 is negative"),
        ({"sigmas": (0.1, -0.2, 0.0)}, r"sigmas \(0.1, -0.2, 0.0\)"),
        ({"gaps": ((3, 0, 1),)}, r"gap \(3, 0, 1\): give the axis"),
    ],
)
def test_impossible_exposures_are_refused(numbers: dict[str, float], message: str) -> None:
    with pytest.raises(DetectorError, match=message):
        Exposure(**numbers)
