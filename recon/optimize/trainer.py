"""The training's loop: steps, the running mean of the weights, trials, checkpoints. It knows no screen and no file.

Examples are made by a thread while the step before is computed. All randomness follows from the seed and the step, so
that a run that goes on comes to the numbers that it would have come to.
"""

import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from time import monotonic
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Int

from ..errors import DataError, Diagnostic
from ..runs.checkpoint import Checkpoint
from .task import Batch, Numbers, TrainingObjective
from .train_settings import TrainSettings

FINAL_RATE = 0.03
"""Share of the learning rate that is left at the end."""
CLIP = 1.0
"""Norm to which a gradient is cut."""
TELL_EVERY = 25
"""Steps over which the numbers of a line of the metrics are averaged."""
SAVE_EVERY = 300.0
"""Seconds between two checkpoints."""
_AHEAD = 3
"""Batches that wait to be learned."""


class TrainingState(NamedTuple):
    """All that a step changes; a tree of arrays."""

    parameters: dict[str, Array]
    mean: dict[str, Array]
    optimiser: Any
    step: Int[Array, ""]


@dataclass(frozen=True)
class TrainingCallbacks:
    """Whom the loop tells, and asks.

    Args:
        metrics: Called with the step and numbers, every few steps.
        save: Called with the step and arrays when a checkpoint is due.
        stop: Asked before each step; a text means to end, and why.
    """

    metrics: Callable[[int, dict[str, float]], None] = lambda step, numbers: None
    save: Callable[[int, dict[str, np.ndarray]], None] = lambda step, arrays: None
    stop: Callable[[], str | None] = lambda: None


@dataclass
class Trainer:
    """One training of one network.

    Args:
        task: What is learned.
        settings: How.
        seed: Of the first weights and of the noise.
    """

    task: TrainingObjective
    settings: TrainSettings
    seed: int
    judged: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.state = self._begin()

    def run(self, watcher: TrainingCallbacks) -> bool:
        """Take all steps that are left, or until asked to stop.

        Returns:
            Whether all were taken.

        Raises:
            DataError: If the loss is no number any more.
        """
        saved, step, recent = monotonic(), int(self.state.step), []
        with self._examples(step) as examples:
            for batch in examples:
                if batch is None or watcher.stop():
                    break
                self.state, numbers = self._advance(self.state, batch)
                step += 1
                recent.append(numbers)
                if step % TELL_EVERY == 0 or step == self.settings.steps:
                    watcher.metrics(step, self._told(step, recent))
                    recent = []
                if monotonic() - saved > SAVE_EVERY:
                    watcher.save(step, self.arrays())
                    saved = monotonic()
        watcher.save(step, self.arrays())
        return step >= self.settings.steps

    def arrays(self) -> dict[str, np.ndarray]:
        """All that is needed to go on, by name."""
        leaves = jax.tree.leaves(self.state)
        return {f"state/{i}": np.asarray(leaf) for i, leaf in enumerate(leaves)}

    def restore(self, checkpoint: Checkpoint) -> None:
        """Go on from what `arrays` gave."""
        leaves, structure = jax.tree.flatten(self.state)
        kept = [jnp.asarray(checkpoint.arrays[f"state/{i}"]) for i in range(len(leaves))]
        self.state = jax.tree.unflatten(structure, kept)

    def _begin(self) -> TrainingState:
        first = self.task.initialise(self.seed)
        parameters, mean = ({name: jnp.array(array) for name, array in first.items()} for _ in range(2))
        return TrainingState(parameters, mean, self._transformation().init(parameters), jnp.zeros((), jnp.int32))

    def _transformation(self) -> optax.GradientTransformation:
        wanted = self.settings
        rate = optax.warmup_cosine_decay_schedule(
            0.0,
            wanted.learning_rate,
            wanted.warm_up,
            max(wanted.steps, wanted.warm_up + 1),
            FINAL_RATE * wanted.learning_rate,
        )
        return optax.chain(
            optax.clip_by_global_norm(CLIP), optax.adamw(rate, b2=0.99, weight_decay=wanted.weight_decay)
        )

    @cached_property
    def _advance(self) -> Callable[[TrainingState, Any], tuple[TrainingState, Numbers]]:
        transformation = self._transformation()

        def advance(state: TrainingState, batch: Any) -> tuple[TrainingState, Numbers]:
            key = jax.random.fold_in(jax.random.key(self.seed), state.step)
            slope = jax.value_and_grad(self.task.loss, has_aux=True)
            (loss, numbers), gradient = slope(state.parameters, batch, key)
            with jax.numpy_dtype_promotion("standard"):  # optax counts its steps in integers
                updates, optimiser = transformation.update(gradient, state.optimiser, state.parameters)
                parameters = optax.apply_updates(state.parameters, updates)
            past = state.step.astype(jnp.float32)  # The mean of a few steps is the mean of few: it forgets sooner.
            weight = jnp.minimum(self.settings.memory, (1.0 + past) / (10.0 + past))
            mean = jax.tree.map(lambda old, new: weight * old + (1 - weight) * new, state.mean, parameters)
            return TrainingState(parameters, mean, optimiser, state.step + 1), numbers | {"loss": loss}

        return jax.jit(advance, donate_argnums=0)

    def _told(self, step: int, recent: list[Numbers]) -> dict[str, float]:
        """Means of the last steps, and a trial when one is due."""
        told = {name: float(np.mean([float(numbers[name]) for numbers in recent])) for name in recent[0]}
        if not np.isfinite(told["loss"]):
            message = f"the loss is no number any more at step {step}"
            raise DataError(Diagnostic("train", message, "lower train.learning_rate, and start anew"))
        if step % self.settings.judge_every < TELL_EVERY or step == self.settings.steps:
            self.judged = self.task.judge(self.state.mean)
            told |= self.judged
        return told

    @contextmanager
    def _examples(self, first: int) -> Iterator[Iterator[Batch | None]]:
        """Batches from a step on, made ahead by a thread."""
        waiting: queue.Queue[Batch | BaseException | None] = queue.Queue(_AHEAD)
        ended = threading.Event()

        def put(item: Batch | BaseException | None) -> None:
            while not ended.is_set():
                with suppress(queue.Full):
                    waiting.put(item, timeout=0.2)
                    break

        def make() -> None:
            try:
                for step in range(first, self.settings.steps):
                    if ended.is_set():
                        return
                    put(self.task.batch(step))
            except BaseException as error:  # The loop raises it.
                put(error)

        def taken() -> Iterator[Batch | None]:
            for _ in range(first, self.settings.steps):
                item = waiting.get()
                if isinstance(item, BaseException):
                    raise item
                yield item

        maker = threading.Thread(target=make, daemon=True)
        maker.start()
        try:
            yield taken()
        finally:
            ended.set()
            maker.join()
