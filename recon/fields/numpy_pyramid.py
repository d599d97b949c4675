"""The pyramid of cubic splines with a decoder, in NumPy."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Float

from ..errors import DataError
from . import near_points, numpy_spline
from .numpy_common import apply_signs, gelu, get_weight, parse_signs

BLOCK = 512  # Points that the decoder takes at once.


@dataclass(frozen=True)
class NumpyPyramid:
    """Cubic splines on grids from coarse to fine, and a small decoder of all their features.

    raw_k = Σ_l feature[l, k] + (gelu(features · w0 + b0) · w1 + b1)_k: the first K features of each level add up as
    they are, and the decoder of all of them corrects the sum.

    Args:
        grids: Spline coefficients of each level, (feature, z, y, x).
        w0: Weights from the features of all levels, level by level, to the hidden layer.
        b0: Offsets of the hidden layer.
        w1: Weights from the hidden layer to the outputs.
        b1: Offsets of the outputs.
        signs: Sign of each output: ``any``, ``nonnegative`` or ``nonpositive``.
    """

    grids: tuple[Float[np.ndarray, "f _z _y _x"], ...]
    w0: Float[np.ndarray, "lf h"]
    b0: Float[np.ndarray, " h"]
    w1: Float[np.ndarray, "h k"]
    b1: Float[np.ndarray, " k"]
    signs: tuple[str, ...]

    @classmethod
    def load(cls, architecture: Mapping[str, Any], weights: Mapping[str, np.ndarray]) -> "NumpyPyramid":
        """Build the field from a model file's description and weights."""
        levels, features, hidden = architecture["levels"], architecture["features"], architecture["hidden"]
        outputs = architecture["outputs"]
        if outputs > features:
            raise DataError(f"{outputs} outputs need as many features a level, not {features}")
        if not hidden:  # A spline alone: a decoder of no width gives 0.
            weights = {**weights, "decoder/b1": np.zeros(outputs)}
            weights |= {"decoder/w0": np.zeros((len(levels) * features, 0)), "decoder/b0": np.zeros(0)}
            weights |= {"decoder/w1": np.zeros((0, outputs))}
        return cls(
            tuple(get_weight(weights, f"grid_{i}", (features, *level)) for i, level in enumerate(levels)),
            get_weight(weights, "decoder/w0", (len(levels) * features, hidden)),
            get_weight(weights, "decoder/b0", (hidden,)),
            get_weight(weights, "decoder/w1", (hidden, outputs)),
            get_weight(weights, "decoder/b1", (outputs,)),
            parse_signs(architecture),
        )

    @property
    def outputs(self) -> int:
        """Number K of raw outputs."""
        return len(self.b1)

    @property
    def samples(self) -> tuple[int, int, int]:
        """The intervals of the finest level."""
        z, y, x = np.max([g.shape[1:] for g in self.grids], axis=0) - numpy_spline.ORDER + 1
        return int(z), int(y), int(x)

    def at(self, s: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "k n"]:
        """Evaluate at points."""
        return self._decoded([numpy_spline.at_points(g, s) for g in self.grids])

    def near(self, s: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "k n"]:
        """Evaluate at points that lie close together, in the precision of the weights."""
        return self.from_splines([near_points.interpolate(spline, s) for spline in self.splines], s)

    @cached_property
    def splines(self) -> tuple[Float[np.ndarray, "_z _y _x f"], ...]:
        """Coefficients of each level, features last."""
        return tuple(near_points.channels_last(grid) for grid in self.grids)

    def from_splines(
        self, values: Sequence[Float[np.ndarray, "f n"]], s: Float[np.ndarray, "n 3"]
    ) -> Float[np.ndarray, "k n"]:
        """Compute the outputs at points from the values of the splines there."""
        return self._decoded(values)

    def on_grid(
        self, z: Float[np.ndarray, " z"], y: Float[np.ndarray, " y"], x: Float[np.ndarray, " x"]
    ) -> Float[np.ndarray, "k z y x"]:
        """Evaluate on the product of three axes."""
        levels = []
        for grid in self.grids:
            bands = (numpy_spline.spline_band(s, n) for s, n in zip((z, y, x), grid.shape[1:], strict=True))
            levels.append(numpy_spline.on_grid(grid, *bands).reshape(len(grid), -1))
        return self._decoded(levels).reshape(self.outputs, len(z), len(y), len(x))

    def _decoded(self, levels: Sequence[Float[np.ndarray, "f n"]]) -> Float[np.ndarray, "k n"]:
        features = np.concatenate(levels)
        raw: np.ndarray = sum((level[: self.outputs] for level in levels[1:]), levels[0][: self.outputs])
        raw = raw + self.b1[:, None]
        w0, w1, b0 = np.ascontiguousarray(self.w0.T), np.ascontiguousarray(self.w1.T), self.b0[:, None]
        for start in range(0, features.shape[1], BLOCK):  # Small blocks stay in the cache, and on one thread.
            block = slice(start, start + BLOCK)
            raw[:, block] += w1 @ gelu(w0 @ features[:, block] + b0)
        return apply_signs(raw, self.signs)
