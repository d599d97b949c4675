"""Training of a network: AdamW, the running mean of the weights, validation, examples made ahead by a thread.

All randomness follows from the seed and the step, so that a resumed run comes to the numbers of an uninterrupted one.
"""

import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cached_property
from typing import Any, NamedTuple, Protocol, TypeAlias, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int

from .. import processes
from ..errors import DataError, Diagnostic
from ..runs import Status
from ..runs.checkpoint import Checkpoint
from ..runs.context import never_stop
from ..sharding import divide, replicate, whole
from .train_settings import TrainSettings
from .trainer import Callbacks, Trainer, state_from_arrays, state_to_arrays

FINAL_RATE = 0.03
"""Fraction of the learning rate that is left at the end."""
GRADIENT_NORM_LIMIT = 1.0
"""Norm to which a gradient is cut."""
REPORT_EVERY = 25
"""Steps over which the numbers of a line of the metrics are averaged."""
CHECKPOINT_INTERVAL = 300.0
"""[s] Time between two checkpoints."""
_POLL_INTERVAL = 0.5
"""[s] Time for which one of several processes waits for examples before it asks the others."""
_VALIDATION_DUE = "is_validation_due"
"""Name, among the metadata of a checkpoint, of whether the validation after its step was given up."""
_WAITING_BATCHES = 3
"""Batches that wait to be learned."""

Batch: TypeAlias = tuple[np.ndarray, ...]
Metrics: TypeAlias = dict[str, Array]


@runtime_checkable
class TrainingObjective(Protocol):
    """Loss of a network on examples, and its validation.

    An objective may have an attribute ``frozen``: a tree of arrays that the loss needs besides the examples, such as
    another network, as the last part of each batch. None: there is none.
    """

    def init(self, seed: int) -> Any:
        """Build the network before the training: a tree of arrays."""
        ...

    def batch(self, step: int) -> Batch | None:
        """Make the examples of a step, the same at each call; None if a stop was requested meanwhile."""
        ...

    def loss(self, network: Any, batch: Any, key: Array) -> tuple[Float[Array, ""], Metrics]:
        """Compute the loss and further metrics of a step. Jittable."""
        ...

    def validate(self, network: Any, should_stop: Callable[[], str | None]) -> dict[str, float] | None:
        """Measure the quality on held-out specimens; None if a stop was requested meanwhile.

        The first number is shown on the screen.
        """
        ...


class TrainingState(NamedTuple):
    """Variables of a training; a tree of arrays.

    Args:
        network: Network that is trained.
        mean: Network with the running mean of the weights.
        optimiser: State of the optimiser.
        step: Number of steps done.
    """

    network: Any
    mean: Any
    optimiser: Any
    step: Int[Array, ""]


class NetworkTrainer(Trainer):
    """Training of one network.

    Args:
        objective: Examples, loss and validation.
        settings: Steps and rates.
        seed: Seed of the first weights and of the noise.

    Attributes:
        validation: Numbers of the newest validation.
    """

    def __init__(self, objective: TrainingObjective, settings: TrainSettings, seed: int) -> None:
        self.objective, self.settings, self.seed = objective, settings, seed
        self.validation: dict[str, float] = {}
        self.state: TrainingState = replicate(self._init())
        self._recent: list[Metrics] = []
        self._take: Callable[[float | None], Batch | None] = lambda seconds: None
        self._should_stop = self._stop_reason = never_stop
        self._is_validation_due = False
        self._batch: Batch | None = None

    @property
    def total_steps(self) -> int:
        """Number of steps in all."""
        return self.settings.steps

    @property
    def checkpoint_interval(self) -> float:
        """[s] Time between two checkpoints."""
        return CHECKPOINT_INTERVAL

    @property
    def mean_network(self) -> Any:
        """Network with the running mean of the weights, on the devices of this process."""
        if jax.process_count() == 1:
            return self.state.mean
        return jax.tree.map(lambda leaf: jnp.asarray(np.asarray(leaf)), self.state.mean)

    def run(self, callbacks: Callbacks) -> Status:
        """Take the steps that are left, and save a checkpoint at the end.

        A validation in which a training was stopped, and that of one that was done already, comes first.

        Raises:
            DataError: If the loss is not finite.
        """
        self._should_stop, self._stop_reason = callbacks.should_stop, callbacks.stop_reason
        if (self._is_validation_due or self.step == self.total_steps) and self._validate():
            callbacks.progress(self.step, self.validation)
        with self._examples(self.step) as self._take:
            outcome = super().run(callbacks)
        if outcome is Status.STOPPED:
            return outcome
        self.save(callbacks)
        return Status.STOPPED if self._is_validation_due else outcome

    def prepare(self) -> bool:
        """Wait for the examples of the next step; of several processes, until all have theirs, or are to stop."""
        group = processes.current()
        self._batch = self._take(None if group.is_alone else _POLL_INTERVAL)
        while not all(has_examples for has_examples, _ in group.gather(self._batch is not None)):
            if group.is_alone or self._should_stop():
                return False
            if self._batch is None:
                self._batch = self._take(_POLL_INTERVAL)
        return True

    def advance(self) -> list[tuple[int, dict[str, float]]]:
        """Take one step; returns the means of the last steps now and then, with a validation when it is due."""
        with jax.numpy_dtype_promotion("standard"):  # optax counts its steps in integers
            rate = np.float32(self._learning_rate(self.step))
        state, metrics = self._update(self.state, self._batch, self._frozen, rate)
        if not processes.current().is_alone:
            metrics["loss"].block_until_ready()  # If another process ends, the state before is the one to save.
        self.state = state
        self.step += 1
        self._recent.append(metrics)
        if self.step % REPORT_EVERY and self.step != self.total_steps:
            return []
        means = {name: float(np.mean([float(one[name]) for one in self._recent])) for name in metrics}
        self._recent = []
        if not np.isfinite(means["loss"]):
            message = f"the loss is no number any more at step {self.step}"
            raise DataError(Diagnostic("train", message, "lower train.learning_rate, and start anew"))
        is_due = self.step % self.settings.judge_every < REPORT_EVERY or self.step == self.total_steps
        if is_due and self._validate():
            means |= self.validation
        return [(self.step, means)]

    def _validate(self) -> bool:
        """Validate in one process, for all; False if that was given up because of a request to stop."""

        def validate() -> dict[str, float] | None:
            return self.objective.validate(self.mean_network, self._stop_reason)

        numbers = processes.current().share_or_compute(validate)
        self._is_validation_due = numbers is None
        self.validation = numbers or {}
        return not self._is_validation_due

    def checkpoint(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Collect the arrays from which the training can be resumed, and whether a validation is due first."""
        return state_to_arrays(self.state), {_VALIDATION_DUE: self._is_validation_due}

    def restore(self, checkpoint: Checkpoint) -> None:
        """Resume from a checkpoint.

        Raises:
            DataError: If it is not one of this training.
        """
        self.state = replicate(state_from_arrays(self.state, checkpoint.arrays))
        self.step = int(self.state.step)
        self._is_validation_due = bool(checkpoint.metadata.get(_VALIDATION_DUE, False))

    def _init(self) -> TrainingState:
        network = self.objective.init(self.seed)
        first, mean = (jax.tree.map(jnp.array, network) for _ in range(2))
        return TrainingState(first, mean, self._transformation().init(first), jnp.zeros((), jnp.int32))

    def _transformation(self, rate: Array | float = 0.0) -> optax.GradientTransformation:
        """AdamW at a learning rate: a number that the program is given, so that trainings of any length share it."""
        return optax.chain(
            optax.clip_by_global_norm(GRADIENT_NORM_LIMIT),
            optax.adamw(lambda count: rate, b2=0.99, weight_decay=self.settings.weight_decay),
        )

    @cached_property
    def _learning_rate(self) -> Callable[[int], Array]:
        """Learning rate of a step: it rises linearly during the warm-up, and falls by half a cosine."""
        settings = self.settings
        highest, steps = settings.learning_rate, max(settings.steps, settings.warm_up + 1)
        return jax.jit(optax.warmup_cosine_decay_schedule(0.0, highest, settings.warm_up, steps, FINAL_RATE * highest))

    @cached_property
    def _frozen(self) -> tuple[Any, ...]:
        """Last part of each batch, if the objective has one: an argument of the program, not a constant of it."""
        frozen = getattr(self.objective, "frozen", None)
        return () if frozen is None else (replicate(frozen),)

    @cached_property
    def _update(self) -> Callable[[TrainingState, Any, tuple[Any, ...], Any], tuple[TrainingState, Metrics]]:
        def update(
            state: TrainingState, batch: Any, frozen: tuple[Any, ...], rate: Array
        ) -> tuple[TrainingState, Metrics]:
            batch = (*divide(batch), *frozen)
            key = jax.random.fold_in(jax.random.key(self.seed), state.step)
            differentiate = jax.value_and_grad(self.objective.loss, has_aux=True)
            (loss, metrics), gradient = differentiate(state.network, batch, key)
            with jax.numpy_dtype_promotion("standard"):  # optax counts its steps in integers
                updates, optimiser = self._transformation(rate).update(gradient, state.optimiser, state.network)
                network = optax.apply_updates(state.network, updates)
            done = state.step.astype(jnp.float32)
            # EMA warm-up: smaller decay in the first steps.
            decay = jnp.minimum(self.settings.memory, (1.0 + done) / (10.0 + done))
            mean = jax.tree.map(lambda old, new: decay * old + (1 - decay) * new, state.mean, network)
            return TrainingState(network, mean, optimiser, state.step + 1), metrics | {"loss": loss}

        if jax.process_count() == 1:
            return jax.jit(update, donate_argnums=0)
        return jax.jit(update, out_shardings=whole())

    @contextmanager
    def _examples(self, first: int) -> Iterator[Callable[[float | None], Batch | None]]:
        """Yield a function that takes the batches from a step on, which a thread makes ahead, one by one.

        It gets the time [s] to wait; it returns None if none is made by then, or a stop was requested.
        """
        ready: queue.Queue[Batch | BaseException | None] = queue.Queue(_WAITING_BATCHES)
        ended = threading.Event()

        def put(item: Batch | BaseException | None) -> None:
            while not ended.is_set():
                with suppress(queue.Full):
                    ready.put(item, timeout=0.2)
                    break

        def make() -> None:
            try:
                for step in range(first, self.settings.steps):
                    if ended.is_set():
                        return
                    put(self.objective.batch(step))
            except BaseException as error:  # The loop raises it.
                put(error)

        def take(seconds: float | None) -> Batch | None:
            try:
                item = ready.get(timeout=seconds)
            except queue.Empty:
                return None
            if isinstance(item, BaseException):
                raise item
            return item

        maker = threading.Thread(target=make, daemon=True)
        maker.start()
        try:
            yield take
        finally:
            ended.set()
            maker.join()
