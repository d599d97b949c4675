"""DeCAF's field, in NumPy."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from .numpy_common import apply_signs, gelu, get_weight, parse_signs

_BLOCK = 2048
"""Points that the perceptron takes at once: what is computed of them stays in a cache."""
_ROWS = (24, 12, 8, 6, 4, 3, 2, 1)
"""Numbers of points that are multiplied by the weights of a layer at once; each divides a block."""
_ONE_THREAD = 1 << 18
"""Multiplications up to which OpenBLAS stays on one thread; the planes of a view are on several threads already."""


@dataclass(frozen=True)
class NumpyFourier:
    """DeCAF's field: radial and axial Fourier encodings into a multilayer perceptron (Liu et al. 2022).

    Args:
        frequencies_lateral: Number of octaves of the lateral encoding.
        angles: Number of directions of the lateral encoding in the (y, x) plane.
        frequencies_axial: Number of octaves of the axial encoding.
        layers: Weights and offsets of each layer; the last gives the outputs.
        skip: Layers whose input is the previous layer's output followed by the encoding.
        signs: Sign of each output.
    """

    frequencies_lateral: int
    angles: int
    frequencies_axial: int
    layers: tuple[tuple[Float[np.ndarray, "_i _o"], Float[np.ndarray, " _o"]], ...]
    skip: tuple[int, ...]
    signs: tuple[str, ...]

    @classmethod
    def load(cls, architecture: Mapping[str, Any], weights: Mapping[str, np.ndarray]) -> "NumpyFourier":
        """Build the field from a model file's description and weights."""
        lateral, angles, axial = (architecture[k] for k in ("frequencies_lateral", "angles", "frequencies_axial"))
        width, depth, skip = architecture["width"], architecture["depth"], tuple(architecture["skip"])
        encoded = 3 + 4 * lateral * angles + 2 * axial
        layers = []
        for i in range(depth + 1):
            inward = (width if i else encoded) + encoded * (i in skip)
            outward = width if i < depth else architecture["outputs"]
            w = get_weight(weights, f"layer_{i}/w", (inward, outward))
            layers.append((w, get_weight(weights, f"layer_{i}/b", (outward,))))
        return cls(lateral, angles, axial, tuple(layers), skip, parse_signs(architecture))

    @property
    def outputs(self) -> int:
        """Number K of raw outputs."""
        return len(self.layers[-1][1])

    @property
    def samples(self) -> tuple[int, int, int]:
        """Four samples in the finest period."""
        lateral, axial = (4 * 2 ** max(f - 1, 0) for f in (self.frequencies_lateral, self.frequencies_axial))
        return axial, lateral, lateral

    def encode(self, s: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "e n"]:
        """Compute the perceptron's input: z, y, x, the lateral octaves, direction by direction, then the axial ones."""
        dtype = self.layers[0][0].dtype
        z, y, x = s.T
        turns = np.pi * np.arange(self.angles)[:, None, None] / self.angles
        cosine, sine = np.cos(turns), np.sin(turns)
        along = np.concatenate([y * cosine + x * sine, -y * sine + x * cosine], axis=1)
        lateral = _octaves(np.pi * along, self.frequencies_lateral, dtype).reshape(-1, len(s))
        axial = _octaves(np.pi * z, self.frequencies_axial, dtype).reshape(-1, len(s))
        return np.concatenate([np.stack([z, y, x]).astype(dtype), lateral, axial])

    def at(self, s: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "k n"]:
        """Evaluate at points."""
        raw = np.empty((len(s), self.outputs), self.layers[0][0].dtype)
        for start in range(0, len(s), _BLOCK):
            raw[start : start + _BLOCK] = self._evaluate(s[start : start + _BLOCK])
        return apply_signs(np.ascontiguousarray(raw.T), self.signs)

    def _evaluate(self, s: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "n k"]:
        """Evaluate the perceptron, without the signs of its outputs."""
        padding = -len(s) % max(_ROWS)
        points = np.pad(np.clip(s, -1, 1), ((0, padding), (0, 0)))
        encoded = values = np.ascontiguousarray(self.encode(points).T)
        for i, (w, b) in enumerate(self.layers):
            if i in self.skip:
                values = np.concatenate([values, encoded], axis=-1)
            values = np.matmul(values.reshape(-1, _rows(w), len(w)), w).reshape(len(points), -1)
            values += b
            if i < len(self.layers) - 1:
                values = gelu(values)
        return values[: len(s)]

    def near(self, s: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "k n"]:
        """Evaluate at points that lie close together, which is no faster here."""
        return self.at(s)

    def on_grid(
        self, z: Float[np.ndarray, " z"], y: Float[np.ndarray, " y"], x: Float[np.ndarray, " x"]
    ) -> Float[np.ndarray, "k z y x"]:
        """Evaluate on the product of three axes: a perceptron has no shorter way than point by point."""
        points = np.stack(np.meshgrid(z, y, x, indexing="ij"), axis=-1)
        return self.at(points.reshape(-1, 3)).reshape(self.outputs, len(z), len(y), len(x))


def _octaves(phase: Float[np.ndarray, "*n"], count: int, dtype: np.dtype[Any]) -> Float[np.ndarray, "count *m"]:
    """Sine and cosine of a phase [rad] and of its octaves, by the formulas of the double angle.

    Args:
        phase: Phase.
        count: Number of octaves.
        dtype: Precision of the result; each octave doubles the error.

    Returns:
        Octaves first, and sine and cosine along the axis before the last.
    """
    waves = np.empty((count, *phase.shape[:-1], 2, phase.shape[-1]), dtype)
    for octave, (sine, cosine) in enumerate(zip(waves[..., 0, :], waves[..., 1, :], strict=True)):
        if octave:
            below = waves[octave - 1]
            np.multiply(below[..., 0, :], below[..., 1, :], out=sine)
            sine *= 2
            np.multiply(below[..., 0, :], below[..., 0, :], out=cosine)
            cosine *= -2
            cosine += 1
        else:
            sine[...], cosine[...] = np.sin(phase), np.cos(phase)
    return waves


def _rows(w: Float[np.ndarray, "i o"]) -> int:
    """Choose how many points are multiplied by weights at once."""
    return next((rows for rows in _ROWS if rows * w.size <= _ONE_THREAD), 1)
