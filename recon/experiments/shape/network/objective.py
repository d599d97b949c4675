"""Objective of the shape's network: codes of real and simulated cells, augmented."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ....io.network_file import STEPS
from ....networks.weights import load_weights
from ....optimize.network_trainer import Batch, Metrics
from . import flow
from .augmentation import TrainingCell, TrainingExample, make_example
from .config import ShapeNetwork, ShapeTrain
from .denoiser import ShapeDenoiser
from .shape_code import decode, pixel_centres
from .thickness_prior import ThicknessPrior, fit_thickness_prior

_DISTILLED_STEPS = 2
"""Steps from noise to a shape of a network that is distilled."""
_DISTILLATION_RATE_FACTOR = 0.4
"""Learning rate of a distillation relative to that of the training, whose weights it starts from."""
_WARM_UP = 0.1
"""Largest fraction of a distillation in which the rate rises."""
_TRANSITION_PERIOD = (0.5, 0.7)
"""Parts of the training between which the fraction of real cells changes."""
_THICKNESS_CELLS = 200
"""Simulated cells from which heights are learned: more of them add nothing."""
_DISTILLATION = 1
"""Distinguishes the examples of a distillation from those of the training before it."""
_VALIDATION_EDGE = 32
"""Voxels along an axis at which validations compare shapes."""


@dataclass
class ShapeObjective:
    """Loss of the shape's network on cells of known shape, and its validation.

    Args:
        network: Architecture.
        settings: Settings of the training.
        seed: Seed of the examples.
        real: Real cells to learn from.
        simulated: Cells to learn from with simulated pictures.
        held_out: Cells of the validation.
        weights: Weights to begin with; None draws them.
        teacher: Weights of the network whose draws are learned; None: the cells themselves are.
    """

    network: ShapeNetwork
    settings: ShapeTrain
    seed: int
    real: Sequence[TrainingCell]
    simulated: Sequence[TrainingCell]
    held_out: Sequence[TrainingCell]
    weights: Mapping[str, np.ndarray] | None = None
    teacher: Mapping[str, np.ndarray] | None = None
    _validation: tuple[np.ndarray, np.ndarray] | None = field(default=None, init=False)

    @cached_property
    def thickness_prior(self) -> ThicknessPrior:
        """Prior of the heights, learned from the cells of the training."""
        groups = {"real": self.real, "simulated": self.simulated[:_THICKNESS_CELLS]}
        pictures = {name: [cell.inputs for cell in cells] for name, cells in groups.items()}
        return fit_thickness_prior(
            pictures, {name: [cell.log_height for cell in cells] for name, cells in groups.items()}
        )

    def for_distillation(self, weights: Mapping[str, np.ndarray]) -> "ShapeObjective":
        """Build the objective of the distillation that follows.

        Args:
            weights: Weights at the end of this training.
        """
        own = self.settings
        changed = {
            "steps": own.distil,
            "learning_rate": _DISTILLATION_RATE_FACTOR * own.learning_rate,
            "warm_up": min(own.warm_up, int(_WARM_UP * own.distil)),
            "real": own.real_at_end,
        }
        return replace(self, settings=own.model_copy(update=changed), weights=weights, teacher=weights)

    @property
    def sampling_steps(self) -> int:
        """Number of steps from noise to a shape that the network is made for."""
        return STEPS if self.teacher is None else _DISTILLED_STEPS

    def init(self, seed: int) -> ShapeDenoiser:
        """Build the network before the training."""
        denoiser = ShapeDenoiser(self.network.widths, self.network.blocks, seed=seed)
        return denoiser if self.weights is None else load_weights(denoiser, self.weights)

    @cached_property
    def frozen(self) -> ShapeDenoiser | None:
        """Network whose draws are learned: an argument of the program, which the distillations of all folds share."""
        if self.teacher is None:
            return None
        return load_weights(ShapeDenoiser(self.network.widths, self.network.blocks), self.teacher)

    def batch(self, step: int) -> Batch:
        """Make examples of cells drawn at random, with a fraction of real ones."""
        rng = np.random.default_rng([self.seed, step] if self.teacher is None else [self.seed, step, _DISTILLATION])
        fraction = self.fraction_of_real(step) if self.simulated else 1.0
        examples = []
        for _ in range(self.settings.batch):
            cells = self.real if self.real and rng.random() < fraction else self.simulated
            examples.append(make_example(cells[int(rng.integers(len(cells)))], rng))
        return stack(examples)

    def fraction_of_real(self, step: int) -> float:
        """Compute the fraction of real cells among examples: it changes from half to seven tenths of the training."""
        first, last = self.settings.real, self.settings.real_at_end
        done = np.clip(
            (step / self.settings.steps - _TRANSITION_PERIOD[0]) / (_TRANSITION_PERIOD[1] - _TRANSITION_PERIOD[0]), 0, 1
        )
        return float(first + (last - first) * done)

    def loss(self, network: ShapeDenoiser, batch: Any, key: Array) -> tuple[Float[Array, ""], Metrics]:
        """Compute the loss of a batch (`flow.loss`, or `flow.distillation_loss` with a teacher as its last part)."""
        codes, seen, *teacher = batch
        dtype = jnp.dtype(self.settings.precision)
        if not teacher:
            return flow.loss(network, codes, seen, key, dtype)
        return flow.distillation_loss(network, teacher[0], codes, seen, key, dtype)

    def validate(self, network: ShapeDenoiser, should_stop: Callable[[], str | None]) -> dict[str, float] | None:
        """Draw a shape of each held-out cell, and take the mean of all: 1 − IoU, on a coarse grid.

        None if a stop was requested meanwhile.
        """
        if not self.held_out:
            return {}
        codes, seen = self._held_out()
        start = flow.noise(jax.random.key(0), len(codes))
        drawn = flow.draw(network, jnp.asarray(seen), start, self.sampling_steps).block_until_ready()
        if should_stop():
            return None
        mean = flow.draw(network, jnp.asarray(seen), jnp.zeros_like(start), 1)
        return {
            "held_out_overlap_error": one_minus_iou(drawn, codes),
            "held_out_overlap_error_of_mean": one_minus_iou(mean, codes),
        }

    def _held_out(self) -> tuple[np.ndarray, np.ndarray]:
        """Codes of the held-out cells, and their pictures with the heights that the prior predicts."""
        if self._validation is None:
            codes, _ = stack([make_example(cell) for cell in self.held_out])
            heights = [self.thickness_prior.predict(cell.inputs)[0] for cell in self.held_out]
            pairs = zip(self.held_out, heights, strict=True)
            self._validation = codes, np.stack([cell.inputs.channels(height) for cell, height in pairs])
        return self._validation


def stack(examples: Sequence[TrainingExample]) -> Batch:
    """Stack examples along a new first axis."""
    return np.stack([one.code for one in examples]), np.stack([one.seen for one in examples])


def one_minus_iou(codes: Array, truth: np.ndarray) -> float:
    """Mean of 1 − IoU, on a coarse grid."""
    places = pixel_centres(_VALIDATION_EDGE)
    errors = []
    for code, known in zip(np.asarray(codes), truth, strict=True):
        a, b = (decode(one, places, places, places) < 0 for one in (code, known))
        errors.append(1 - (a & b).sum() / max((a | b).sum(), 1))
    return float(np.mean(errors))
