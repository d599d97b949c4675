"""Training of networks: the programs that trainings share."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from unflat.recon.optimize.network_trainer import NetworkTrainer
from unflat.recon.optimize.train_settings import TrainSettings


def settings(**changed: Any) -> Any:
    return TrainSettings.model_validate({"steps": 40, "warm_up": 5, "learning_rate": 0.002, "batch": 1} | changed)


class Distance:
    """Distance of one number from what is frozen."""

    def __init__(self, goal: float) -> None:
        self.frozen = jnp.float32(goal)

    def init(self, seed: int) -> Any:
        return {"w": jnp.zeros(())}

    def batch(self, step: int) -> tuple[np.ndarray, ...]:
        return (np.ones(1, np.float32),)

    def loss(self, network: Any, batch: Any, key: jax.Array) -> tuple[jax.Array, dict[str, jax.Array]]:
        ones, goal = batch
        return (ones[0] * (network["w"] - goal) ** 2), {}

    def validate(self, network: Any, should_stop: Any) -> dict[str, float]:
        return {}


def test_one_program_serves_any_length_rate_and_frozen_network() -> None:
    def program(goal: float, **changed: Any) -> tuple[str, float]:
        trainer = NetworkTrainer(Distance(goal), settings(**changed), 0)
        arguments = (trainer.state, (np.ones(1, np.float32),), trainer._frozen, np.float32(0.1))
        text = trainer._update.lower(*arguments).as_text()  # type: ignore[attr-defined]
        return str(text), float(trainer._update(*arguments)[0].network["w"])

    one, other = program(2.0), program(-3.0, steps=100, warm_up=10, learning_rate=0.1)
    assert one[0] == other[0]
    assert one[1] == pytest.approx(0.1, rel=1e-3)  # Adam's first step has the length of the rate.
    assert other[1] == pytest.approx(-0.1, rel=1e-3)
