"""Sampling of codes by the network: draws of cells, each with noise, height and relief of its own."""

from collections.abc import Sequence
from zlib import crc32

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from ....io.network_file import Network
from ....networks.weights import load_network
from . import flow
from .config import BATCH, ShapePredict
from .denoiser import ShapeDenoiser
from .inputs import PictureInput
from .relief import vary_relief
from .shape_code import EDGE
from .thickness_prior import ThicknessPrior


class CodeSampler:
    """Network with the pictures that it is shown.

    Args:
        network: File of the network.
        pictures: Pictures of the cells.
        names: Names of the cells, from which the seeds of their draws follow: they do not depend on other cells.
        seed: Seed of the run.
        settings: Settings of the prediction.
    """

    def __init__(
        self,
        network: Network,
        pictures: Sequence[PictureInput],
        names: Sequence[str],
        seed: int,
        settings: ShapePredict,
    ) -> None:
        self._denoiser, self._settings = load_network(network, ShapeDenoiser), settings
        self._steps = 1 if settings.mean else settings.steps or network.steps
        prior = ThicknessPrior.from_arrays(network.statistics)
        self._pictures, self._heights = pictures, [prior.predict(picture) for picture in pictures]
        self._seeds = [[seed, crc32(name.encode())] for name in names]

    def sample(self, pairs: Sequence[tuple[int, int]]) -> Float[np.ndarray, "pair z y x"]:
        """Sample codes.

        Args:
            pairs: Numbers of cell and draw, at most `BATCH`.
        """
        filled = [*pairs] + [pairs[-1]] * (min(BATCH, _power_of_two(len(pairs))) - len(pairs))  # Few programs.
        noise, deviations = zip(*(self._noise(cell, draw) for cell, draw in filled), strict=True)
        seen = []
        for (cell, _), (height, _) in zip(filled, deviations, strict=True):
            mean, spread = self._heights[cell]
            seen.append(self._pictures[cell].channels(mean + spread * height))
        start = jnp.asarray(np.stack(noise), jnp.float32)
        codes = np.array(flow.draw(self._denoiser, jnp.asarray(np.stack(seen)), start, self._steps))[: len(pairs)]
        if self._settings.mean:
            return codes
        return np.stack([vary_relief(code, own) for code, (_, own) in zip(codes, deviations, strict=False)])

    def complete(
        self, cell: int, codes: Float[np.ndarray, "known z y x"], count: int
    ) -> Float[np.ndarray, "draw z y x"]:
        """Continue the draws of a cell up to a number.

        Args:
            cell: Number of the cell.
            codes: Codes of its first draws.
            count: Number of draws to have; more are kept.
        """
        missing = [(cell, draw) for draw in range(len(codes), count)]
        more = [self.sample(missing[i : i + BATCH]) for i in range(0, len(missing), BATCH)]
        return np.concatenate([codes, *more])

    def _noise(self, cell: int, draw: int) -> tuple[Float[np.ndarray, "z y x"], tuple[float, float]]:
        """Draw the noise of a code, and the deviations of height and relief; zeros for the mean."""
        if self._settings.mean:
            return np.zeros((EDGE,) * 3), (0.0, 0.0)
        rng, strength = np.random.default_rng([*self._seeds[cell], draw]), self._settings.temperature
        noise = strength * rng.normal(size=(EDGE,) * 3)
        return noise, (strength * float(rng.normal()), strength * float(rng.normal()))


def _power_of_two(count: int) -> int:
    """Round up to a power of two."""
    return 1 << (count - 1).bit_length()
