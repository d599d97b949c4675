"""Completion of a begun fit, or a linear answer, by a network: the posterior mean, and draws of what was not seen.

Fields wider than a tile are cut into overlapping ones, of about the size of the training's. At each step of the flow
their estimates are blended, so that a draw has no seams. The draws deviate from the mean by as much as the network
estimates its own error: those of a flow that was trained for hours only are too alike.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from itertools import product

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from scipy import ndimage

from ....blend import smooth_step
from ....io.network_file import read
from ....metrics.missing_cone import Aperture
from ....networks.flow import integrate, remaining_noise
from ....networks.weights import compile_with, load_network
from .denoiser import CellDenoiser, Condition
from .inputs import OVERLAP, TILE, NetworkInput, Spacing, Values, to_network_input

_TOGETHER = 4
"""Tiles in one call of the network."""
_SMOOTHING = 1.0
"""[sample] Width over which the variances of the draws, and of the network's error, are averaged."""
_WIDENING = 1.4
"""Factor by which draws have to be wider than the network estimates on its own grid and for its own forward model: they
are resampled to the grid of the fit, and cut at the medium's index, and the images are not by the training's model.
By seven predictions of simulated specimens (SSNP, other seeds than the benchmarks')."""
_FACTORS = (0.2, 6.0)
"""Least and largest factor on the deviation of the draws."""

Tile = tuple[slice, slice]
Draws = Float[np.ndarray, "draw z y x"]


@dataclass(frozen=True)
class Completion:
    """Trained network, ready for begun fits and linear answers.

    Args:
        denoiser: Network.
        steps: Number of steps from noise to a draw.
        coverage: Share of the voxels in doubt of held-out specimens within its 90 % interval; None if unknown.
        spread_factor: Factor on its own spread, by held-out specimens.
    """

    denoiser: CellDenoiser
    steps: int = 8
    coverage: float | None = None
    spread_factor: float = 1.0

    @classmethod
    def load(cls, setting: str) -> "Completion":
        """Load a network.

        Args:
            setting: File of the network, the folder of the run that trained it, or ``shipped``.

        Raises:
            DataError: If there is none, or it is not one of a cell.
        """
        network = read(setting, "cell")
        numbers = network.provenance.get("numbers", {})
        denoiser, factor = load_network(network, CellDenoiser), float(numbers.get("spread_factor", 1.0))
        return cls(denoiser, network.steps, numbers.get("held_out_coverage"), factor)

    def mean(self, contrast: Values, spacing: Spacing, aperture: Aperture, *, is_fit: bool) -> Values:
        """Compute the posterior mean of the index contrast given a begun fit, or the linear answer.

        Args:
            contrast: Contrast of the fit, or the linear answer (`initial_guess.invert_born_model`). Where the specimen
                is known to be less dense than the medium, take the opposite of the answer to its opposite: most of the
                training are denser.
            spacing: [m] Distance between its samples (z, y, x).
            aperture: Apertures of light and objective.
            is_fit: Whether it is that of a fit.

        Returns:
            Index contrast on the same grid.
        """
        given = to_network_input(contrast, spacing, aperture, self.denoiser.multiple, is_fit=is_fit)
        estimate, _ = self._estimate(given, np.zeros_like(given.contrast), 0.0)
        return given.to_contrast(estimate, _shape(contrast))

    def draws(
        self,
        contrast: Values,
        spacing: Spacing,
        aperture: Aperture,
        count: int,
        seed: int,
        progress: Callable[[int], None] = lambda step: None,
        *,
        is_fit: bool,
    ) -> Draws:
        """Draw contrasts from the posterior given a begun fit, or the linear answer.

        Args:
            contrast: Contrast of the fit, or the linear answer, as for `mean`.
            spacing: [m] Distance between its samples (z, y, x).
            aperture: Apertures of light and objective.
            count: Number of draws.
            seed: Seed of the noise.
            progress: Called with the number of steps done, of all draws.
            is_fit: Whether it is that of a fit.

        Returns:
            Index contrasts on the same grid.
        """
        given = to_network_input(contrast, spacing, aperture, self.denoiser.multiple, is_fit=is_fit)

        def advance(noisy: Values, now: Float[Array, ""], then: Float[Array, ""]) -> Values:
            estimate, _ = self._estimate(given, noisy, float(now))
            return np.asarray(estimate + float(remaining_noise(now, then)) * (noisy - estimate))

        drawn = []
        for number in range(count):
            noise = np.random.default_rng([seed, number]).normal(size=given.contrast.shape).astype(np.float32)
            drawn.append(integrate(advance, noise, self.steps, _offset_progress(progress, number * self.steps)))
        mean, log_spread = self._estimate(given, np.zeros_like(given.contrast), 0.0)
        spread = spread_draws(np.stack(drawn), mean, _WIDENING * self.spread_factor * np.exp(log_spread))
        return np.stack([given.to_contrast(one, _shape(contrast)) for one in spread])

    def _estimate(self, given: NetworkInput, noisy: Values, time: float) -> tuple[Values, Values]:
        """Apply the network to all tiles of a field, and blend what it estimates: the contrast, and ln σ."""
        totals, weights = np.zeros((2, *noisy.shape), np.float32), np.zeros(noisy.shape[1:], np.float32)
        tiles = _tiles(noisy.shape[1:])
        for first in range(0, len(tiles), _TOGETHER):
            some = tiles[first : first + _TOGETHER]
            full = some + [some[-1]] * (min(_TOGETHER, len(tiles)) - len(some))  # One program for all calls.
            noisy_tiles, contrast, inside = (
                jnp.asarray(np.stack([values[:, y, x] for y, x in full]))
                for values in (noisy, given.contrast, given.inside)
            )
            instrument = jnp.broadcast_to(jnp.asarray(given.instrument), (len(full), len(given.instrument)))
            times = jnp.full(len(full), time, jnp.float32)
            estimates = self._apply(noisy_tiles, times, Condition(contrast, inside, instrument))
            both = np.stack([np.asarray(each) for each in estimates], axis=1)
            for (y, x), estimate in zip(some, both[: len(some)], strict=True):
                window = _window(y, noisy.shape[1])[:, None] * _window(x, noisy.shape[2])[None]
                totals[:, :, y, x] += window * estimate
                weights[y, x] += window
        contrast_of_all, log_spread = totals / weights
        return contrast_of_all, log_spread

    @cached_property
    def _apply(self) -> Callable[..., tuple[Array, Array]]:
        return compile_with(CellDenoiser.estimate_with_spread, self.denoiser)


def spread_draws(draws: Draws, mean: Values, spread: Values) -> Draws:
    """Stretch or shrink the deviation of draws from a mean, voxel by voxel, to a standard deviation.

    Args:
        draws: Draws, two at least.
        mean: Posterior mean, about which they are to lie.
        spread: Standard deviation that they are to have.
    """
    deviations = draws - draws.mean(axis=0)
    own = (deviations**2).sum(axis=0) / (len(draws) - 1)
    smooth = [ndimage.gaussian_filter(variance, _SMOOTHING) for variance in (spread**2, own)]
    factor = np.sqrt(smooth[0] / np.maximum(smooth[1], 1e-12))
    return np.asarray(mean + np.clip(factor, *_FACTORS) * deviations, np.float32)


def _offset_progress(progress: Callable[[int], None], done: int) -> Callable[[int], None]:
    """Report steps of a draw as steps of all draws."""
    return lambda step: progress(done + step)


def _shape(values: Values) -> tuple[int, int, int]:
    z, y, x = values.shape
    return z, y, x


def _tiles(shape: tuple[int, ...]) -> list[Tile]:
    """Cut a field into tiles of one size that overlap by `OVERLAP` samples at least."""
    along = []
    for n in shape:
        edge = min(n, TILE)
        count = 1 if n == edge else -(-(n - OVERLAP) // (edge - OVERLAP))
        starts = np.linspace(0, n - edge, count).round().astype(int)
        along.append([slice(int(start), int(start) + edge) for start in starts])
    return list(product(*along))


def _window(tile: slice, size: int) -> Float[np.ndarray, " n"]:
    """Weight of a tile along one axis: it rises over the overlap with a neighbour."""
    position = np.arange(tile.start, tile.stop)
    weight = np.ones(len(position))
    if tile.start > 0:
        weight = np.minimum(weight, (position - tile.start + 0.5) / OVERLAP)
    if tile.stop < size:
        weight = np.minimum(weight, (tile.stop - position - 0.5) / OVERLAP)
    return np.asarray(smooth_step(weight), np.float32)
