"""Continuous model of a crystal and its likelihood: signs, sizes, gradients, recovery."""

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import unflat
from unflat.physics.diffraction.bragg_geometry import reciprocal_space_steps
from unflat.physics.diffraction.far_field import ifftshift3
from unflat.physics.diffraction.matrix_dft import SupportBox
from unflat.recon.acquisition import Acquisition
from unflat.recon.errors import DataError
from unflat.recon.experiments.crystal.config import CrystalSettings
from unflat.recon.experiments.crystal.evaluate import score
from unflat.recon.experiments.crystal.guess_density import InitialGuess
from unflat.recon.experiments.crystal.laboratory import LaboratoryFrame
from unflat.recon.experiments.crystal.likelihood import CrystalLikelihood
from unflat.recon.experiments.crystal.model import build_model, sample_volume
from unflat.recon.experiments.crystal.preprocess import preprocess
from unflat.recon.experiments.crystal.simulate import simulate
from unflat.recon.fields.base import grid_axes
from unflat.recon.fields.build import field_for
from unflat.recon.fields.pyramid import Pyramid
from unflat.recon.grid import Grid
from unflat.recon.io.model_file import write_model
from unflat.recon.model import Model
from unflat.recon.optimize.fit_loop import Fit
from unflat.recon.optimize.objective import Objective
from unflat.recon.optimize.program import FitState
from unflat.recon.optimize.trainer import Callbacks
from unflat.recon.phase_retrieval.align import align

STEPS = 1e-8 * np.array([[1.0, 0.2, 0.0], [0.1, 0.9, 0.1], [0.0, -0.2, 1.1]])
SHAPE = (40, 40, 40)
G = np.array([1e10, 1.5e10, -2e10])
BOX = SupportBox((8, 8, 8), (24, 24, 24), SHAPE, 2)
RADIUS = 8.5e-8


def sample_outputs(wave: Any) -> np.ndarray:
    """Sample the outputs s, a, b of a ball with a soft edge and a wave, a function of the position [m]."""
    positions = np.stack(np.meshgrid(*BOX.axes, indexing="ij"), axis=-1) @ STEPS
    distance, values = np.linalg.norm(positions, axis=-1), wave(positions)
    return np.stack([np.clip((RADIUS - distance) / 1e-8, -1.5, 1.5), values.real, values.imag])


FIELD = Pyramid(((27, 27, 27),) * 3, 3, 0, 3)
"""Architecture of three equal levels: each corrects the residual of the level before."""


def fitted(wave: Any) -> dict[str, np.ndarray]:
    """Weights of such a ball."""
    return FIELD.fit_to_grid(FIELD.init(0), sample_outputs(wave), grid_axes(BOX.samples))


def crystal(phase: Any, basis: bool = True) -> Model:
    """Model of a ball with a phase, a function of the position [m]."""
    return model_with(lambda positions: np.exp(1j * phase(positions)), basis)


def model_with(wave: Any, basis: bool = True) -> Model:
    place = LaboratoryFrame(reciprocal_space_steps(STEPS, SHAPE), G) if basis else LaboratoryFrame()
    steps = STEPS if basis else np.eye(3)
    return build_model(FIELD.architecture, [fitted(wave)], BOX, place, steps, None, {})


@cache
def strained() -> Model:
    """Model of a ball with `quadratic_strain_phase`."""
    return crystal(quadratic_strain_phase)


def quadratic_strain_phase(positions: np.ndarray) -> np.ndarray:
    """Phase of a displacement along G whose strain is 2.5e4 x_G."""
    x = positions @ (G / np.linalg.norm(G))
    return np.asarray(-np.linalg.norm(G) * 1.25e4 * x**2)


class TestModel:
    def test_strain_has_the_sign_and_the_size_of_the_truth(self) -> None:
        model, unit = strained(), G / np.linalg.norm(G)
        x = np.linspace(-6e-8, 6e-8, 25)
        points = x[:, None] * unit
        np.testing.assert_allclose(model(points, "strain"), 2.5e4 * x, atol=2e-5)
        u = model(points, "displacement")
        np.testing.assert_allclose(u - u[12], 1.25e4 * x**2, atol=1e-12)
        np.testing.assert_allclose(model(points, "phase"), -np.linalg.norm(G) * u, rtol=1e-9)
        np.testing.assert_allclose(model(points, "amplitude"), 1, atol=0.06)

    def test_strain_is_the_slope_of_the_displacement(self) -> None:
        model, unit = strained(), G / np.linalg.norm(G)
        points = np.random.default_rng(0).uniform(-4e-8, 4e-8, (50, 3))
        h = 1e-11
        slope = (model(points + h * unit, "displacement") - model(points - h * unit, "displacement")) / (2 * h)
        np.testing.assert_allclose(model(points, "strain"), slope, atol=1e-8)

    def test_outside_the_crystal_there_is_nothing(self) -> None:
        model = strained()
        values = model.at(np.array([[1.05e-7, 0, 0], [0, 0, 1e-6]]))
        np.testing.assert_allclose(values, 0, atol=0.02)

    def test_two_lattices_agree_and_a_lattice_with_its_points(self) -> None:
        """Samples do not depend on their neighbours, also in a skewed box."""
        model = strained()
        coarse = np.arange(-2, 3) * 2.4e-8
        fine = np.arange(-8, 9) * 6e-9
        for name in ("amplitude", "phase", "strain"):
            one, other = model.sample(coarse, coarse, coarse, name), model.sample(fine, fine, fine, name)
            np.testing.assert_allclose(one, other[::4, ::4, ::4], atol=1e-9 * np.abs(one).max())
        grid = np.stack(np.meshgrid(coarse, coarse, coarse, indexing="ij"), axis=-1).reshape(-1, 3)
        np.testing.assert_allclose(model.sample(coarse, coarse, coarse, "phase").ravel(), model(grid, "phase"))

    def test_between_the_voxels_it_is_smooth(self) -> None:
        model, x = strained(), np.linspace(-6e-8, 6e-8, 2001)
        line = np.stack([0.1 * x, x, 0.2 * x], axis=-1)
        for name in ("amplitude", "strain"):
            slope = np.diff(model(line, name))
            assert np.abs(np.diff(slope)).max() < 0.05 * np.abs(slope).max()

    def test_phases_beyond_pi_are_unwrapped(self) -> None:
        unit, k = G / np.linalg.norm(G), 2 * np.pi / 1.6e-7
        model = crystal(lambda positions: 4 * np.cos(k * (positions @ unit)))
        x = np.linspace(-6e-8, 6e-8, 49)
        phase = model(x[:, None] * unit, "phase")
        assert np.ptp(phase) > 2 * np.pi
        assert np.abs(np.diff(phase)).max() < 1
        np.testing.assert_allclose(
            model(x[:, None] * unit, "strain"), 4 * k * np.sin(k * x) / np.linalg.norm(G), atol=3e-4
        )

    def test_a_dislocation_is_a_zero_of_a_smooth_wave(self) -> None:
        """The phase winds by 2π around a line, which no smooth real phase does; on the line the density is 0."""

        def wave(positions: np.ndarray) -> np.ndarray:
            y, x = positions[..., 1], positions[..., 2]
            return np.asarray((x + 1j * y) / np.sqrt(x**2 + y**2 + (1e-8) ** 2))

        model = model_with(wave)
        turn = np.linspace(0, 2 * np.pi, 73)
        ring = 4e-8 * np.stack([np.zeros_like(turn), np.sin(turn), np.cos(turn)], axis=-1)
        steps = np.angle(np.exp(1j * np.diff(model(ring, "phase"))))
        assert abs(steps.sum()) == pytest.approx(2 * np.pi, abs=1e-6)
        assert np.abs(steps).max() < 0.6  # no jump but the cut of 2π, which is none
        assert model(np.zeros((1, 3)), "amplitude")[0] < 0.15
        assert np.isfinite(model(ring, "strain")).all()

    def test_a_ramp_and_an_offset_do_not_show(self) -> None:
        tilt = np.array([1e6, -2e6, 3e6])
        one, other = strained(), crystal(lambda p: quadratic_strain_phase(p) + p @ tilt + 0.7)
        points = np.random.default_rng(0).uniform(-4e-8, 4e-8, (50, 3))
        for name, scale in (("phase", 0.02), ("strain", 2e-5)):
            np.testing.assert_allclose(one(points, name), other(points, name), atol=scale)

    def test_without_a_basis_the_model_is_in_voxels(self, tmp_path: Path) -> None:
        model = crystal(lambda p: 0 * p[..., 0], basis=False)
        assert [q.name for q in model.quantities] == ["amplitude", "phase", "occupancy"]
        write_model(model, tmp_path / "m.h5")
        again = unflat.load(tmp_path / "m.h5")
        assert again.frame.length_unit == "voxel"
        assert sample_volume(again, again.grid()).length_unit == "voxel"
        np.testing.assert_allclose(again.spacing, 1)

    def test_it_is_written_and_read_skewed(self, tmp_path: Path) -> None:
        model = strained()
        write_model(model, tmp_path / "m.h5")
        again = unflat.load(tmp_path / "m.h5")
        np.testing.assert_array_equal(again.frame.world_from_model, model.frame.world_from_model)
        points = np.random.default_rng(0).uniform(-1e-7, 1e-7, (200, 3))
        np.testing.assert_array_equal(again.at(points), model.at(points))

    def test_an_unknown_head_is_refused(self) -> None:
        model = strained()
        head = {**model.architecture["head"], "version": 2}
        with pytest.raises(DataError, match=r"unknown head 'crystal' of version 2"):
            replace(model, architecture={**model.architecture, "head": head})

    def test_an_ensemble_has_a_spread(self) -> None:
        weights = [
            fitted(lambda positions, f=f: np.exp(1j * f * quadratic_strain_phase(positions))) for f in (1.0, 1.2)
        ]
        place = LaboratoryFrame(reciprocal_space_steps(STEPS, SHAPE), G)
        model = build_model(FIELD.architecture, weights, BOX, place, STEPS, None, {})
        point = (4e-8 * G / np.linalg.norm(G))[None]
        assert model(point, "strain")[0] == pytest.approx(1.1e-3, rel=0.05)
        assert model(point, "uncertainty_strain")[0] == pytest.approx(0.2e-3 / np.sqrt(2), rel=0.2)


def config(**fit: Any) -> CrystalSettings:
    simulated = {"shape": [32, 32, 32], "oversampling": 2.6, "flaws": [], "strains": ["polynomial"]}
    simulated |= {"phase": [0.8, 0.9], "detector": {"counts": 1e6}}
    chosen = {"steps": 60, "pyramid": {"levels": 3, "hidden": 8}} | fit
    return CrystalSettings.model_validate({"kind": "crystal", "seed": 3, "simulate": simulated, "fit": chosen})


@cache
def measured() -> Acquisition:
    return simulate(config())


@cache
def rough_density() -> np.ndarray:
    """True density at the resolution of the detector, with noise and then blurred."""
    from scipy.ndimage import gaussian_filter

    from unflat.physics.diffraction.bragg_geometry import real_space_steps
    from unflat.physics.phantoms.crystals import far_field
    from unflat.recon.experiments.crystal.simulate import draw_crystal
    from unflat.recon.experiments.crystal.simulated_geometry import simulated_reflection

    settings = config()
    curve = simulated_reflection(settings.simulate)
    steps = real_space_steps(curve.basis, settings.simulate.shape)
    true = draw_crystal(settings.simulate, curve, steps, settings.seed)
    field = far_field(true, steps, settings.simulate.shape)
    density = np.fft.fftshift(np.fft.ifftn(ifftshift3(np.asarray(field))))
    density = density * np.sqrt(measured()["images"].sum() / (np.abs(field) ** 2).sum())
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(2, *density.shape)) * 0.3 * np.abs(density).max()
    density = density + (noise[0] + 1j * noise[1]) * (np.abs(density) > 0.2 * np.abs(density).max())
    return np.asarray(gaussian_filter(density.real, 1.0) + 1j * gaussian_filter(density.imag, 1.0))


def rough_guess() -> InitialGuess:
    return InitialGuess.from_density(rough_density(), np.zeros(3), 0.05)


@cache
def problem(fineness: int = 2) -> CrystalLikelihood:
    settings = config(fineness=fineness)
    return CrystalLikelihood(settings, preprocess(settings, measured()), rough_guess())


class TestLikelihood:
    def test_the_gradient_is_that_of_finite_differences(self) -> None:
        known, rng = problem(), np.random.default_rng(0)
        values = jnp.asarray(known.initial_guess(np.zeros(1, int)))
        nuisance = {name: jnp.asarray(array) for name, array in known.nuisance_parameters.items()}
        batch = known.batch(np.zeros(1, int))

        @jax.jit
        def loss(trained: tuple[jax.Array, dict[str, jax.Array]]) -> jax.Array:
            return known.losses(*trained, batch)[0]

        trained = (values, nuisance)
        gradient = jax.grad(loss)(trained)
        smooth = jax.tree.map(lambda leaf: jnp.asarray(rng.normal(size=leaf.shape), jnp.float32), trained)
        for direction in (gradient, smooth):
            along = sum(
                float(jnp.vdot(a, b)) for a, b in zip(*map(jax.tree.leaves, (gradient, direction)), strict=True)
            )
            h = 1e-3 * float(loss(trained)) / abs(along)
            after, before = (
                loss(jax.tree.map(lambda leaf, step, far=far: leaf + far * step, trained, direction)) for far in (h, -h)
            )
            assert float(after - before) / (2 * h) == pytest.approx(along, rel=0.03)

    def test_withheld_pixels_are_those_that_phasing_withholds(self) -> None:
        from unflat.recon.phase_retrieval.holdout import free_pixels

        known = problem()
        fitted, free = known.pixel_weights
        good = known.scan.good
        np.testing.assert_array_equal(free > 0, free_pixels(good.astype(np.float32), 0.05, 3))
        np.testing.assert_array_equal(fitted + free, good)

    def test_the_prediction_does_not_depend_on_the_fineness(self) -> None:
        """For a density without details finer than a voxel."""
        fields = []
        for known in (problem(2), problem(3)):
            smooth = [np.cos(np.pi * s / 2) for s in grid_axes(known.box.samples)]
            bump = smooth[0][:, None, None] * smooth[1][:, None] * smooth[2]
            values = jnp.asarray(np.stack([2 * bump - 1, bump, 0.3 * bump]), jnp.float32)
            fields.append(np.asarray(jnp.abs(known.far_field(values))))
        np.testing.assert_allclose(fields[0], fields[1], atol=2e-3 * fields[0].max())

    def test_a_small_crystal_is_recovered_from_a_rough_start(self) -> None:
        known, settings = problem(), config()
        field = field_for(settings.fit, known.grid, 3)
        fit = Fit(Objective(known, field, settings.fit), 3)
        fit.run(Callbacks())
        truth = measured().truth
        assert truth is not None
        assert fit.start_residual is not None
        assert fit.validation.value < 0.2 * fit.start_residual
        assert fit.validation.value < 3
        accuracy = score(known.model(field.architecture, [fit.best[0]], {}), truth)
        assert accuracy["correlation"] > 0.97
        assert accuracy["strain_correlation"] > 0.7
        assert accuracy["strain_error"] < accuracy["strain_truth"]
        assert align(known.guess.density, known.guess.density).correlation == pytest.approx(1)

    def test_a_fading_beam_gives_as_good_a_density(self) -> None:
        """Counts are thinned, more from frame to frame, as under a fading beam."""
        whole, settings = measured(), config()
        assert whole.truth is not None
        flux = np.geomspace(1, 1 / 3, len(whole["images"]))
        thinned = np.random.default_rng(0).binomial(whole["images"].astype(int), flux[:, None, None])
        arrays = {**whole.arrays, "images": thinned.astype(np.float32), "monitor": 1e4 * flux}
        scan = preprocess(settings, replace(whole, arrays=arrays))
        np.testing.assert_array_equal(scan.counts, thinned)
        known = CrystalLikelihood(settings, scan, InitialGuess.from_density(rough_density() * 0.8, np.zeros(3), 0.05))
        fit = Fit(Objective(known, field_for(settings.fit, known.grid, 3), settings.fit), 3)
        fit.run(Callbacks())
        assert 0.5 < fit.validation.value < 3
        model = known.model(fit.objective.field.architecture, [fit.best[0]], {})
        assert score(model, whole.truth)["correlation"] > 0.97

    def test_members_of_an_ensemble_differ_and_agree(self) -> None:
        known = problem()
        field = field_for(known.settings.fit, known.grid, 3)
        one, two = (Fit(Objective(known, field, known.settings.fit), 3, member) for member in (0, 1))
        assert not np.array_equal(one.state.field["decoder/w0"], two.state.field["decoder/w0"])

    @pytest.mark.parametrize(("slack", "best"), [(0.0, 1), (0.05, 3)])
    def test_a_later_state_is_kept_where_it_is_no_worse(
        self, slack: float, best: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The tolerance is relative to the best state, so that the loss cannot drift in small steps."""
        fit = Fit(Objective(problem(), FIELD, config(slack=slack).fit), 3)
        fit._state = FitState({}, {}, None, jnp.zeros(()), {}, {})
        for fit.step, figure in enumerate([9.0, 2.0, 2.2, 2.09, 2.13]):
            monkeypatch.setattr(fit, "losses", lambda *_, figure=figure, **__: np.array([figure]))
            assert fit.validate() == figure
        assert fit.validation.step == best
        assert fit.validation.least == 2.0


class TestInitialGuess:
    def test_a_start_is_moved_to_the_middle_without_its_ramp(self) -> None:
        origin = rough_guess()
        index = np.indices(origin.density.shape)
        turns = sum(
            2 * np.pi * r * i / n for r, i, n in zip((0.3, -0.2, 0.4), index, origin.density.shape, strict=True)
        )
        moved = np.roll(rough_density() * np.exp(1j * turns), (9, -7, 12), axis=(0, 1, 2))
        again = InitialGuess.from_density(moved, np.zeros(3), 0.0)
        np.testing.assert_array_equal(again.support, origin.support)
        np.testing.assert_allclose(again.offset - origin.offset, (0.3, -0.2, 0.4), atol=1e-6)
        turn = np.vdot(origin.density, again.density)
        np.testing.assert_allclose(
            again.density * np.conj(turn) / abs(turn), origin.density, atol=1e-6 * np.abs(origin.density).max()
        )

    def test_a_blind_start_lies_in_the_middle(self) -> None:
        from unflat.recon.experiments.crystal.initial_guess import find_initial_guess

        settings = config(start="none")
        guess = find_initial_guess(settings, preprocess(settings, measured()))
        middle = np.argwhere(guess.support).mean(axis=0)
        np.testing.assert_allclose(middle, 16, atol=0.6)
        assert 0.005 < guess.support.mean() < 0.15


def test_volumes_of_model_and_phasing_hold_the_same_quantities() -> None:
    model = strained()
    x = np.arange(-12, 13) * 1e-8
    volume = sample_volume(model, Grid(x, x, x))
    assert list(volume.values) == ["amplitude", "phase", "displacement", "strain", "support", "density"]
    inside = volume.values["support"] > 0
    assert inside.sum() * 1e-24 == pytest.approx(4 / 3 * np.pi * RADIUS**3, rel=0.1)
    np.testing.assert_allclose(np.abs(volume.values["density"]), volume.values["amplitude"], atol=1e-5)
    turned = volume.values["density"][inside] * np.exp(-1j * volume.values["phase"][inside])
    np.testing.assert_allclose(np.angle(turned), 0, atol=1e-4)
