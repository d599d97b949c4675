"""What the shape's network learns: codes of real and of simulated cells, each seen in ever other ways."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ....io.network_file import STEPS
from ....networks.architecture import on_device
from ....optimize.task import Batch, Numbers
from . import flow
from .augmentation import TrainingCell, TrainingExample, make_example
from .config import ShapeTrain
from .denoiser import ShapeDenoiser
from .shape_code import decode, pixel_centres
from .thickness_prior import ThicknessPrior, fit_thickness_prior

_FEW = 2
"""Steps from noise to a shape of a network that is distilled."""
_SLOWER = 0.4
"""Share of the learning rate in a distillation: the network knows nearly all of it."""
_WARM_UP = 0.1
"""Most of a distillation in which the rate rises."""
_CHANGE = (0.5, 0.7)
"""Parts of the training between which the share of real cells changes."""
_KNOWN = 200
"""Simulated cells from which heights are learned: more of them say no more."""
_AGAIN = 1
"""What tells the examples of a distillation from those of the training before it."""
_COARSE = 32
"""Voxels along an axis at which trials compare shapes."""


@dataclass
class ShapeObjective:
    """The task.

    Args:
        denoiser: The network.
        settings: How it is trained.
        real: Cells to learn from.
        simulated: Further ones.
        held_out: Cells to be judged by.
        weights: Parameters to begin with; None draws them.
        teacher: Parameters of the network whose draws are learned; None: the cells themselves.
    """

    denoiser: ShapeDenoiser
    settings: ShapeTrain
    seed: int
    real: Sequence[TrainingCell]
    simulated: Sequence[TrainingCell]
    held_out: Sequence[TrainingCell]
    weights: Mapping[str, np.ndarray] | None = None
    teacher: Mapping[str, np.ndarray] | None = None
    _trial: tuple[np.ndarray, np.ndarray] | None = field(default=None, init=False)

    @cached_property
    def heights(self) -> ThicknessPrior:
        """What the cells that are learned from tell of heights."""
        groups = {"real": self.real, "simulated": self.simulated[:_KNOWN]}
        sights = {name: [cell.inputs for cell in cells] for name, cells in groups.items()}
        return fit_thickness_prior(
            sights, {name: [cell.log_height for cell in cells] for name, cells in groups.items()}
        )

    def distilling(self, weights: Mapping[str, np.ndarray]) -> "ShapeObjective":
        """The task that comes after this one.

        Args:
            weights: What this one came to.
        """
        own = self.settings
        changed = {
            "steps": own.distil,
            "learning_rate": _SLOWER * own.learning_rate,
            "warm_up": min(own.warm_up, int(_WARM_UP * own.distil)),
            "real": own.real_at_end,
        }
        return replace(self, settings=own.model_copy(update=changed), weights=weights, teacher=weights)

    @property
    def steps_of_answer(self) -> int:
        """Steps from noise to a shape that the network is made for."""
        return STEPS if self.teacher is None else _FEW

    def initialise(self, seed: int) -> dict[str, np.ndarray]:
        """The parameters to begin with, drawn where none were given."""
        return self.denoiser.initialise(seed) if self.weights is None else dict(self.weights)

    def batch(self, step: int) -> Batch:
        """Looks at cells drawn at random, real ones in their share."""
        rng = np.random.default_rng([self.seed, step] if self.teacher is None else [self.seed, step, _AGAIN])
        share = self.share_of_real(step) if self.simulated else 1.0
        looks = []
        for _ in range(self.settings.batch):
            among = self.real if self.real and rng.random() < share else self.simulated
            looks.append(make_example(among[int(rng.integers(len(among)))], rng))
        return stacked(looks)

    def share_of_real(self, step: int) -> float:
        """Share of real cells among the examples of a step: it changes from a half to seven tenths of the training."""
        first, last = self.settings.real, self.settings.real_at_end
        done = np.clip((step / self.settings.steps - _CHANGE[0]) / (_CHANGE[1] - _CHANGE[0]), 0, 1)
        return float(first + (last - first) * done)

    def loss(self, parameters: dict[str, Array], batch: Any, key: Array) -> tuple[Float[Array, ""], Numbers]:
        """See `flow.loss`, and `flow.distilled` where there is a teacher."""
        codes, seen = batch
        dtype = jnp.dtype(self.settings.precision)
        if self.teacher is None:
            return flow.loss(self.denoiser, parameters, codes, seen, key, dtype)
        return flow.distillation_loss(self.denoiser, parameters, on_device(self.teacher), codes, seen, key, dtype)

    def judge(self, parameters: dict[str, Array]) -> dict[str, float]:
        """Draw a shape of each held-out cell, and take the mean of all: 1 − IoU, on a coarse lattice."""
        if not self.held_out:
            return {}
        if self._trial is None:
            codes, seen = stacked([make_example(one) for one in self.held_out])
            told = [self.heights.predict(one.inputs)[0] for one in self.held_out]
            seen = np.stack([one.inputs.channels(high) for one, high in zip(self.held_out, told, strict=True)])
            self._trial = codes, seen
        codes, seen = self._trial
        start = flow.noise(jax.random.key(0), len(codes))
        drawn = flow.draw(self.denoiser, parameters, jnp.asarray(seen), start, self.steps_of_answer)
        mean = flow.draw(self.denoiser, parameters, jnp.asarray(seen), jnp.zeros_like(start), 1)
        return {"held_out_overlap_error": missed(drawn, codes), "held_out_overlap_error_of_mean": missed(mean, codes)}


def stacked(looks: Sequence[TrainingExample]) -> Batch:
    """Looks as arrays with a leading axis."""
    return np.stack([one.code for one in looks]), np.stack([one.seen for one in looks])


def missed(found: Array, truth: np.ndarray) -> float:
    """Mean of 1 − IoU, on a coarse lattice."""
    places = pixel_centres(_COARSE)
    missed = []
    for one, known in zip(np.asarray(found), truth, strict=True):
        a, b = (decode(code, places, places, places) < 0 for code in (one, known))
        missed.append(1 - (a & b).sum() / max((a | b).sum(), 1))
    return float(np.mean(missed))
