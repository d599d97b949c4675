"""Completion of a linear answer by a network: the posterior mean, and draws that differ where the light did not see.

Fields wider than a tile are cut into overlapping ones, of about the size of the training's. At each step of the flow
their estimates are blended, so that a draw has no seams.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from itertools import product

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ....blend import smooth_step
from ....io.network_file import read
from ....metrics.missing_cone import Aperture
from ....networks.flow import integrate, remaining_noise
from ....networks.weights import compile_with, load_network
from .denoiser import CellDenoiser, Condition
from .inputs import LinearInput, Spacing, Values, to_linear_input

TILE = 64
"""Samples along y and x of the widest field that is not cut."""
_OVERLAP = 16
"""Samples that neighbouring tiles share."""
_TOGETHER = 4
"""Tiles in one call of the network."""

Tile = tuple[slice, slice]
Draws = Float[np.ndarray, "draw z y x"]


@dataclass(frozen=True)
class Completion:
    """Trained network, ready for linear answers.

    Args:
        denoiser: Network.
        steps: Number of steps from noise to a draw.
        trained_on: Description of the specimens of the training in one line; empty if unknown.
    """

    denoiser: CellDenoiser
    steps: int = 8
    trained_on: str = ""

    @classmethod
    def load(cls, setting: str) -> "Completion":
        """Load a network.

        Args:
            setting: File of the network, the folder of the run that trained it, or ``shipped``.

        Raises:
            DataError: If there is none, or it is not one of a cell.
        """
        network = read(setting, "cell")
        return cls(load_network(network, CellDenoiser), network.steps, network.trained_on)

    def mean(self, contrast: Values, spacing: Spacing, aperture: Aperture) -> Values:
        """Compute the posterior mean of the index contrast given the linear answer.

        Args:
            contrast: Linear answer (`initial_guess.invert_born_model`). Where the specimen is known to be less dense
                than the medium, take the opposite of the answer to its opposite: most of the training are denser.
            spacing: [m] Distance between its samples (z, y, x).
            aperture: Apertures of light and objective.

        Returns:
            Index contrast on the same grid.
        """
        linear = to_linear_input(contrast, spacing, aperture, self.denoiser.multiple)
        estimate = self._estimate(linear, np.zeros_like(linear.contrast), 0.0)
        return linear.to_contrast(estimate, _shape(contrast))

    def draws(
        self,
        contrast: Values,
        spacing: Spacing,
        aperture: Aperture,
        count: int,
        seed: int,
        progress: Callable[[int], None] = lambda step: None,
    ) -> Draws:
        """Draw contrasts from the posterior given the linear answer.

        Args:
            contrast: Linear answer, as for `mean`.
            spacing: [m] Distance between its samples (z, y, x).
            aperture: Apertures of light and objective.
            count: Number of draws.
            seed: Seed of the noise: the draw of a number does not depend on the count.
            progress: Called with the number of steps done, of all draws.

        Returns:
            Index contrasts on the same grid.
        """
        linear = to_linear_input(contrast, spacing, aperture, self.denoiser.multiple)

        def advance(noisy: Values, now: Float[Array, ""], then: Float[Array, ""]) -> Values:
            estimate = self._estimate(linear, noisy, float(now))
            return np.asarray(estimate + float(remaining_noise(now, then)) * (noisy - estimate))

        drawn = []
        for number in range(count):
            noise = np.random.default_rng([seed, number]).normal(size=linear.contrast.shape).astype(np.float32)
            drawn.append(integrate(advance, noise, self.steps, _offset_progress(progress, number * self.steps)))
        return np.stack([linear.to_contrast(one, _shape(contrast)) for one in drawn])

    def _estimate(self, linear: LinearInput, noisy: Values, time: float) -> Values:
        """Apply the network to all tiles of a field, and blend what it estimates."""
        total, weights = np.zeros_like(noisy), np.zeros(noisy.shape[1:], np.float32)
        tiles = _tiles(noisy.shape[1:])
        for first in range(0, len(tiles), _TOGETHER):
            some = tiles[first : first + _TOGETHER]
            full = some + [some[-1]] * (min(_TOGETHER, len(tiles)) - len(some))  # One program for all calls.
            noisy_tiles, contrast, inside = (
                jnp.asarray(np.stack([values[:, y, x] for y, x in full]))
                for values in (noisy, linear.contrast, linear.inside)
            )
            instrument = jnp.broadcast_to(jnp.asarray(linear.instrument), (len(full), len(linear.instrument)))
            times = jnp.full(len(full), time, jnp.float32)
            estimates = np.asarray(self._apply(noisy_tiles, times, Condition(contrast, inside, instrument)))
            for (y, x), estimate in zip(some, estimates[: len(some)], strict=True):
                window = _window(y, noisy.shape[1])[:, None] * _window(x, noisy.shape[2])[None]
                total[:, y, x] += window * estimate
                weights[y, x] += window
        return np.asarray(total / weights)

    @cached_property
    def _apply(self) -> Callable[..., Float[np.ndarray, "tile z y x"]]:
        return compile_with(CellDenoiser.estimate, self.denoiser)


def _offset_progress(progress: Callable[[int], None], done: int) -> Callable[[int], None]:
    """Report steps of a draw as steps of all draws."""
    return lambda step: progress(done + step)


def _shape(values: Values) -> tuple[int, int, int]:
    z, y, x = values.shape
    return z, y, x


def _tiles(shape: tuple[int, ...]) -> list[Tile]:
    """Cut a field into tiles of one size that overlap by `_OVERLAP` samples at least."""
    along = []
    for n in shape:
        edge = min(n, TILE)
        count = 1 if n == edge else -(-(n - _OVERLAP) // (edge - _OVERLAP))
        starts = np.linspace(0, n - edge, count).round().astype(int)
        along.append([slice(int(start), int(start) + edge) for start in starts])
    return list(product(*along))


def _window(tile: slice, size: int) -> Float[np.ndarray, " n"]:
    """Weight of a tile along one axis: it rises over the overlap with a neighbour."""
    position = np.arange(tile.start, tile.stop)
    weight = np.ones(len(position))
    if tile.start > 0:
        weight = np.minimum(weight, (position - tile.start + 0.5) / _OVERLAP)
    if tile.stop < size:
        weight = np.minimum(weight, (tile.stop - position - 0.5) / _OVERLAP)
    return np.asarray(smooth_step(weight), np.float32)
