"""Phasing of a curve whose frames are each at their own q, and the fit of angles, rolls and fluxes of the frames."""

import json
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from unflat.physics.diffraction.far_field import deviance, ifftshift3
from unflat.physics.diffraction.frame_amplitudes import frame_amplitudes
from unflat.recon.errors import Stopped
from unflat.recon.phase_retrieval import frame_refinement, joint_frames, pipeline, refinement, renewed_projections
from unflat.recon.phase_retrieval.align import align
from unflat.recon.phase_retrieval.checkpoint import PipelineState, from_checkpoint, to_checkpoint
from unflat.recon.phase_retrieval.data import DiffractionData
from unflat.recon.phase_retrieval.final_joint_fit import FinalFit
from unflat.recon.phase_retrieval.frame_fit import corrected_pattern, no_corrections, with_positions
from unflat.recon.phase_retrieval.joint_frames import fit_jointly
from unflat.recon.phase_retrieval.multiresolution import crop_pattern, resize_pattern
from unflat.recon.phase_retrieval.pattern import (
    PointSpread,
    evaluate_fit,
    ideal_point_spread,
    predict_counts,
    to_device_pattern,
)
from unflat.recon.phase_retrieval.pipeline import phase
from unflat.recon.phase_retrieval.projections import UNMEASURED
from unflat.recon.phase_retrieval.recipe import final_density, init_state_from_density, run_stage
from unflat.recon.phase_retrieval.settings import PhaseSettings, RefineSettings
from unflat.recon.phase_retrieval.stages import Stage
from unflat.recon.runs.checkpoint import Checkpoint

SHAPE = (24, 20, 20)
RNG = np.random.default_rng(8)
EVEN = np.stack([np.arange(24) - 12.0, np.zeros(24), np.zeros(24)], axis=1)
OFFSETS = RNG.uniform(-0.5, 0.5, (24, 3)) * [1, 0.8, 0.8]
FLUX = np.exp(RNG.normal(0, 0.15, 24))


def crystal(total: float = 1e7) -> np.ndarray:
    z, y, x = np.meshgrid(*[np.arange(n) - n // 2 for n in SHAPE], indexing="ij")
    inside = (np.abs(z) <= 4) & (np.abs(y + 0.4 * x) <= 3) & (np.abs(x) <= 3) & (z + y + x < 6)
    density = inside * np.exp(1j * (0.3 * np.sin(0.5 * z) + 0.05 * x * y))
    return np.asarray(density * np.sqrt(total / (np.sum(np.abs(density) ** 2) * density.size)))


def measured(positions: np.ndarray, flux: np.ndarray | None = None, *, tell: bool = True) -> DiffractionData:
    """Counts of the crystal in frames at their own q, summed in float64."""
    counts = np.abs(frame_amplitudes(crystal(), positions)) ** 2
    counts = np.random.default_rng(0).poisson(counts * (1 if flux is None else flux[:, None, None]))
    order = np.argsort(positions[:, 0], kind="stable")
    return DiffractionData(
        counts[order].astype(float), np.ones(SHAPE, np.float32), positions=positions[order] if tell else None
    )


def test_a_curve_of_uneven_frames_is_phased() -> None:
    """Half a step of jitter, and rolls."""
    positions = EVEN + OFFSETS
    quick: dict[str, Any] = {
        "recipe": [{"hio": {"iterations": 150}}, {"er": {"iterations": 20}}],
        "starts": 3,
        "keep": 1,
        "refine": {"iterations": 60, "margin": 0},
    }
    result = phase(measured(positions), PhaseSettings.model_validate(quick), 1)
    assert align(result.density, crystal().astype(np.complex64)).correlation > 0.94
    assert result.numbers["llk"] < 3


@pytest.mark.parametrize("method", ["raar", "gps"])
def test_the_true_density_is_a_fixed_point(method: str) -> None:
    data = measured(EVEN + OFFSETS)
    exact = np.abs(frame_amplitudes(crystal(), EVEN + OFFSETS)) ** 2
    order = np.argsort((EVEN + OFFSETS)[:, 0], kind="stable")
    pattern = to_device_pattern(DiffractionData(exact[order], data.weights, positions=data.positions), 0.0, 0)
    true = jnp.asarray(ifftshift3(crystal()), jnp.complex64)
    state = init_state_from_density(true, jax.random.key(0), 0.2, pattern)
    state = run_stage(state, pattern, Stage(method, 0.8, 20, False))
    error = final_density(state, pattern) - true
    assert float(jnp.linalg.norm(error.ravel()) / jnp.linalg.norm(true.ravel())) < 0.12  # most of it a scale


def test_the_gradient_is_that_of_the_deviance() -> None:
    pattern = to_device_pattern(measured(EVEN + OFFSETS), 0.05, 0)
    spread = PointSpread(jnp.asarray([0.4, 0.3, 0.5], jnp.float32), jnp.asarray(3.0, jnp.float32))
    true = jnp.asarray(ifftshift3(crystal()), jnp.complex64)
    support = (jnp.abs(true) > 0).astype(jnp.float32)
    noise = jnp.asarray(RNG.normal(0, 0.1, SHAPE), jnp.float32) * jnp.abs(true)
    state = refinement.init_refinement(jax.lax.complex(true.real + noise, true.imag), support, spread)

    def loss(real: jax.Array, imag: jax.Array) -> jax.Array:
        modelled = predict_counts(jax.lax.complex(real, imag), spread, pattern.exposure, pattern.curve)
        return deviance(pattern.counts, modelled, pattern.fitted)

    gradient = np.array(jax.grad(loss, (0, 1))(state.density.real, state.density.imag))
    expected = (gradient[0] + 1j * gradient[1]) * np.asarray(support)
    first = refinement.refine_block(state, pattern, 1, RefineSettings(psf=False, background=False))
    moved = np.asarray(first.density - state.density)
    cosine = -np.vdot(expected, moved).real / np.linalg.norm(expected) / np.linalg.norm(moved)
    assert cosine == pytest.approx(1, abs=1e-3)


def test_angles_rolls_and_fluxes_are_fitted() -> None:
    stated = with_positions(to_device_pattern(measured(EVEN + OFFSETS, FLUX, tell=False), 0.0, 0))
    start, corrections = jnp.asarray(ifftshift3(crystal()), jnp.complex64), no_corrections(stated)
    fixed = ((jnp.abs(start) > 0).astype(jnp.float32), ideal_point_spread(), stated)
    density = start
    for _ in range(2):  # As in two rounds of the refinement: one leaves 0.11 pixels in the faintest frame.
        density, corrections = fit_jointly(density, *fixed, corrections, (True, True, True))
    true = (EVEN + OFFSETS)[np.argsort((EVEN + OFFSETS)[:, 0], kind="stable")] - EVEN
    rest = np.fft.fftshift(np.asarray(corrections.offsets), axes=0) - true
    frames = np.arange(24)
    for axis in range(3):  # Beside the mean and the slope, which the density makes up for.
        assert np.abs(rest[:, axis] - np.polyval(np.polyfit(frames, rest[:, axis], 1), frames)).max() < 0.1
    flux_error = np.fft.fftshift(np.asarray(corrections.flux)) - np.log(FLUX)
    assert flux_error.std() < 0.4 * np.log(FLUX).std()
    _, only = fit_jointly(start, *fixed, no_corrections(stated), (True, False, False))
    assert not jnp.any(only.offsets[:, 1:] != 0)
    assert not jnp.any(only.flux != 0)
    assert corrected_pattern(stated, corrections).positions is not None


@pytest.mark.slow
@pytest.mark.parametrize("jitter", [1.0, 0.0])
def test_fitted_frames_are_taken_only_of_a_curve_that_is_not_even(
    monkeypatch: pytest.MonkeyPatch, jitter: float
) -> None:
    monkeypatch.setattr(frame_refinement, "ROUNDS", 1)
    offsets = OFFSETS * [jitter, 0, 0]
    stated = to_device_pattern(measured(EVEN + offsets, tell=False), 0.05, 1)
    true = jnp.asarray(ifftshift3(crystal()), jnp.complex64)
    start = refinement.init_refinement(true, (jnp.abs(true) > 0).astype(jnp.float32), ideal_point_spread())
    settings = RefineSettings(angles=True)
    fitted = frame_refinement.refine_round(frame_refinement.init_frames(start, stated), stated, settings)
    assert fitted.has_ended
    outcome = frame_refinement.end_frames(fitted, start, stated, settings)
    assert bool(outcome.numbers["frames_taken"]) == (jitter > 0)
    corrections = outcome.corrections()
    if corrections is None:
        assert outcome.pattern(stated) is stated
        assert refinement.free_llk(outcome.state, stated) <= refinement.free_llk(start, stated)
        return
    rest = corrections.offsets[:, 0] - offsets[:, 0]
    rest -= np.polyval(np.polyfit(np.arange(24), rest, 1), np.arange(24))
    assert rest.std() < 0.5 * offsets[:, 0].std()
    deviations = corrections.deviations
    assert deviations is not None
    assert (deviations[:, 0] > 0).all()
    assert not deviations[:, 1:].any()


def test_a_stopped_fit_of_frames_goes_on_with_its_round(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (frame_refinement, pipeline):
        monkeypatch.setattr(module, "ROUNDS", 2)
    monkeypatch.setattr(renewed_projections, "STAGES", (Stage("er", 0.7, 20, False, shrink_wrap=(1.0, 0.25)),))
    for name in ("CYCLES", "CYCLES_ALONE"):
        monkeypatch.setattr(frame_refinement, name, 1)
    monkeypatch.setattr(frame_refinement, "_REFINED", 5)
    monkeypatch.setattr(joint_frames, "STEPS", 1)
    monkeypatch.setattr(joint_frames, "SAMPLES", 1)
    # What a round counts as stays: the progress must not depend on how much of it is done.
    settings = PhaseSettings.model_validate(
        {"recipe": [{"er": {"iterations": 20}}], "starts": 1, "refine": {"iterations": 5, "margin": 0, "angles": True}}
    )
    data, checkpoints, progress = measured(EVEN + OFFSETS * [1, 0, 0], tell=False), [], []

    def save(step: int, arrays: dict[str, np.ndarray], metadata: dict[str, Any]) -> None:
        checkpoints.append(Checkpoint(step, arrays, json.loads(json.dumps(metadata))))

    def note(done: int, total: int, **metrics: float) -> None:
        assert done <= total
        progress.append(done)

    whole = phase(data, settings, 1, note, save_checkpoint=save)
    assert progress.count(progress[-1]) <= 2  # The total is reached at the end alone.
    first = next(one for one in checkpoints if one.metadata["frames"])
    progress.clear()
    with pytest.raises(Stopped):
        phase(data, settings, 1, note, lambda: "asked" if progress else None, first, save)
    stopped = checkpoints[-1]
    assert progress[-1] > stopped.step == first.step
    assert stopped.metadata["frames"]["round"] == 1
    resumed = phase(data, settings, 1, note, checkpoint=stopped)
    np.testing.assert_array_equal(resumed.density, whole.density)
    assert resumed.numbers == whole.numbers

    last = next(one for one in reversed(checkpoints) if one.metadata["frames"] and one.metadata["frames"]["round"] == 2)
    progress.clear()
    with pytest.raises(Stopped):  # In the final fit, which begins anew.
        phase(data, settings, 1, note, lambda: "asked" if progress else None, last, save)
    assert progress[-1] > checkpoints[-1].step == last.step
    resumed = phase(data, settings, 1, note, checkpoint=checkpoints[-1])
    np.testing.assert_array_equal(resumed.density, whole.density)
    assert resumed.numbers == whole.numbers

    ended = next(one for one in checkpoints if one.metadata["frames_outcome"])
    assert ended.metadata["frames"] is None
    monkeypatch.setattr(pipeline, "end_frames", None)  # Its outcome is in the checkpoint.
    resumed = phase(data, settings, 1, checkpoint=ended)
    np.testing.assert_array_equal(resumed.density, whole.density)
    assert resumed.numbers == whole.numbers
    assert (resumed.frames is None) == (whole.frames is None)
    if whole.frames is not None and resumed.frames is not None:
        for one, other in zip(resumed.frames, whole.frames, strict=True):
            np.testing.assert_array_equal(one, other)


def test_a_checkpoint_without_the_outcome_of_the_frames_loses_what_followed_from_it() -> None:
    """Older versions began the last fit anew, but went on with the margin of another one."""
    true = jnp.asarray(ifftshift3(crystal()), jnp.complex64)
    one = refinement.init_refinement(true, (jnp.abs(true) > 0).astype(jnp.float32), ideal_point_spread())
    now = frame_refinement.init_frames(one, to_device_pattern(measured(EVEN), 0.05, 1))._replace(round=8)
    results = {"start 8": one, "mode of all": one, "margin 0": one}
    under_way = refinement.RefinementUnderWay("margin 1", one, one, 1.0)
    state = PipelineState([], [], {}, None, 0, results=results, refining=under_way, frames=now)
    arrays, metadata = to_checkpoint(state, 5)
    older = {name: value for name, value in metadata.items() if name != "frames_outcome"}
    restored, done = from_checkpoint(Checkpoint(5, arrays, json.loads(json.dumps(older))))
    assert done == 5
    assert restored.frames is not None
    assert restored.frames.has_ended
    assert list(restored.results) == ["start 8", "mode of all"]
    assert restored.refining is None

    outcome = frame_refinement.FrameRefinement(one, {"frames_taken": 0.0})
    ended = PipelineState([], [], {}, None, 0, results=results, refining=under_way, frames_outcome=outcome)
    restored, _ = from_checkpoint(Checkpoint(5, *to_checkpoint(ended, 5)))
    assert list(restored.results) == list(results)
    assert restored.refining is not None


def test_the_rounds_are_the_result_where_they_explain_the_withheld_pixels_better(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A last fit that fails, after rounds that have reached the truth."""
    offsets = OFFSETS * [1, 0, 0]
    stated = to_device_pattern(measured(EVEN + offsets, tell=False), 0.05, 1)
    true = jnp.asarray(ifftshift3(crystal()), jnp.complex64)
    support = (jnp.abs(true) > 0).astype(jnp.float32)
    best = refinement.init_refinement(true, support, ideal_point_spread())
    parameters = no_corrections(stated)._replace(offsets=jnp.asarray(np.fft.ifftshift(offsets, axes=0), jnp.float32))
    pattern = corrected_pattern(stated, parameters)
    now = frame_refinement.init_frames(best, stated)._replace(
        best_corrections=parameters, least=refinement.free_llk(best, pattern), round=frame_refinement.ROUNDS
    )

    def fail(state: Any, corrections: Any, stated: Any, settings: Any, *_: Any) -> FinalFit:
        wrong = corrections._replace(offsets=0 * corrections.offsets)
        return FinalFit(state.density, support, state.point_spread, with_positions(stated), wrong, (1, 1, 1, 1))

    monkeypatch.setattr(frame_refinement, "fit_finally", fail)
    monkeypatch.setattr(joint_frames, "SAMPLES", 2)
    outcome = frame_refinement.end_frames(now, best, stated, RefineSettings(angles=True))
    assert outcome.state is best
    assert outcome.parameters is parameters
    assert outcome.numbers["frames_llk_free"] == now.least
    corrections = outcome.corrections()
    assert corrections is not None
    np.testing.assert_allclose(corrections.offsets, offsets, atol=1e-6)
    assert corrections.deviations is not None
    assert (corrections.deviations[:, 0] > 0).all()
    assert corrections.deviations[:, 0].max() < 0.5


def test_a_smaller_array_has_the_frames_within_it() -> None:
    pattern = to_device_pattern(measured(EVEN + OFFSETS), 0.05, 0)
    middle = crop_pattern(pattern, 0.5)
    assert middle.positions is not None
    beyond = np.abs(np.asarray(middle.positions)[:, 0]) > 6
    assert (np.asarray(middle.fitted)[beyond] == 0).all()
    assert (np.asarray(middle.amplitude)[beyond] == UNMEASURED).all()
    around = resize_pattern(pattern, (30, 20, 20))
    np.testing.assert_array_equal(np.sort(np.asarray(around.positions)[12:18, 0]), [-15, -14, -13, 12, 13, 14])


def test_a_blur_leaves_the_errors_finite() -> None:
    pattern = to_device_pattern(measured(EVEN + OFFSETS), 0.05, 0)
    spread = PointSpread(jnp.asarray([0.8, 0.3, 0.3], jnp.float32), jnp.asarray(0.0, jnp.float32))
    fit = evaluate_fit(jnp.asarray(ifftshift3(crystal()), jnp.complex64), spread, pattern)
    assert all(np.isfinite(float(number)) for number in fit)
