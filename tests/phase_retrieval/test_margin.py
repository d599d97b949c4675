"""Last refinement with a margin: what sharp edges scatter beyond the detector is not folded onto it."""

import jax.numpy as jnp
import numpy as np
import pytest

from unflat.physics.diffraction.far_field import fftshift3
from unflat.recon.errors import Stopped
from unflat.recon.phase_retrieval import pipeline
from unflat.recon.phase_retrieval.data import DiffractionData
from unflat.recon.phase_retrieval.margin import extend_pattern, extended_shape, resample_refinement
from unflat.recon.phase_retrieval.multiresolution import crop_pattern, resample_density
from unflat.recon.phase_retrieval.pattern import ideal_point_spread, predict_counts, to_device_pattern
from unflat.recon.phase_retrieval.pipeline import InitialStarts, phase
from unflat.recon.phase_retrieval.refinement import init_refinement
from unflat.recon.phase_retrieval.settings import PhaseSettings
from unflat.recon.runs.checkpoint import Checkpoint

SHAPE, FINE = (24, 24, 24), (48, 48, 48)


def block(shape: tuple[int, int, int], size: float) -> np.ndarray:
    """Oblique block with sharp edges and a phase, in FFT order; ``size`` is relative to the array's edge."""
    z, y, x = np.meshgrid(*[np.fft.fftfreq(n) for n in shape], indexing="ij")
    inside = (np.abs(z + 0.3 * y) < size) & (np.abs(y - 0.2 * x) < size) & (np.abs(x) < size)
    return (inside * np.exp(2j * np.cos(9 * x) + 3j * y)).astype(np.complex64)


def measured(fine: np.ndarray, seed: int = 0) -> DiffractionData:
    """Noisy counts within the detector of a density that may scatter beyond it."""
    low = resample_density(jnp.asarray(fine), SHAPE)
    counts = fftshift3(np.abs(np.fft.fftn(np.asarray(low))) ** 2)
    counts = np.random.default_rng(seed).poisson(counts * 3e7 / counts.sum()).astype(float)
    return DiffractionData(counts, np.ones(SHAPE))


def test_the_measured_part_of_an_extended_pattern_is_the_pattern() -> None:
    pattern = to_device_pattern(measured(block(FINE, 0.15)), 0.05, 0)
    extended = extend_pattern(pattern, 0.25)
    assert extended.counts.shape == extended_shape(SHAPE, 0.25) == (30, 30, 30)
    for whole, part in zip(crop_pattern(extended, 0.8), pattern, strict=True):
        np.testing.assert_array_equal(whole, part)
    assert float(jnp.sum(extended.fitted + extended.free)) == np.prod(SHAPE)
    assert float(jnp.sum(extended.counts)) == float(jnp.sum(pattern.counts))


def test_a_margin_changes_no_predicted_count() -> None:
    density = jnp.asarray(block(SHAPE, 0.2))
    state = init_refinement(density, jnp.ones(SHAPE, jnp.float32), ideal_point_spread())
    there = resample_refinement(state, (30, 30, 30))
    back = resample_refinement(there, SHAPE)
    np.testing.assert_allclose(back.density, density, atol=1e-5)
    one = jnp.ones((30, 1, 1), jnp.float32)
    predicted = fftshift3(np.asarray(predict_counts(there.density, there.point_spread, one)))
    expected = fftshift3(np.asarray(predict_counts(density, state.point_spread, one[:24])))
    np.testing.assert_allclose(predicted[3:27, 3:27, 3:27], expected, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize(("shape", "expected"), [(FINE, 0.25), (SHAPE, None)])
def test_a_margin_is_taken_where_edges_scatter_beyond_the_detector(
    shape: tuple[int, int, int], expected: float | None
) -> None:
    truth = block(shape, 0.15)
    guess = fftshift3(np.asarray(resample_density(jnp.asarray(truth), SHAPE)))[None]
    data = measured(truth)
    guess = guess * np.sqrt(data.counts.sum() / (np.sum(np.abs(guess) ** 2) * np.prod(SHAPE)))
    llk = {}
    for margin in (0.0, 0.25):
        refine = {"iterations": 60, "margin": margin, "psf": False}
        recipe = [{"er": {"iterations": 10}}]
        settings = PhaseSettings.model_validate({"recipe": recipe, "starts": 1, "keep": 1, "refine": refine})
        result = phase(data, settings, 0, initial=InitialStarts(1, lambda: guess.astype(np.complex64)))
        llk[margin] = result.numbers["llk_free"]
        assert result.density.shape == SHAPE
        if expected is not None:
            assert result.numbers["margin"] == (expected if margin else 0)
    assert llk[0.25] <= llk[0.0] * (1 + 1e-6)
    if expected is not None:
        assert llk[0.25] < 0.7 * llk[0.0]


def test_a_run_stopped_in_its_last_refinement_counts_the_same_iterations(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline, "PATIENCE", 1)
    recipe = [{"er": {"iterations": 10}}]
    refine = {"iterations": 60, "margin": 0.25, "psf": False}
    settings = PhaseSettings.model_validate({"recipe": recipe, "starts": 1, "keep": 1, "refine": refine})
    data, guess = measured(block(FINE, 0.15)), 30 * fftshift3(block(SHAPE, 0.15))[None]
    initial, questions = InitialStarts(1, lambda: guess), [0]

    def count() -> None:
        questions[0] += 1

    whole = phase(data, settings, 0, should_stop=count, initial=initial)
    last, saved = questions[0], []
    questions[0] = 0

    def stop_before_the_end() -> str | None:
        count()
        return "enough" if questions[0] >= last else None

    with pytest.raises(Stopped):
        phase(
            data,
            settings,
            0,
            should_stop=stop_before_the_end,
            save_checkpoint=lambda *state: saved.append(Checkpoint(*state)),
            initial=initial,
        )
    again = phase(data, settings, 0, checkpoint=saved[-1], initial=initial)
    assert again.numbers == whole.numbers
