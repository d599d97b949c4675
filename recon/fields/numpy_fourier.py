"""DeCAF's field, in NumPy."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from .numpy_common import apply_signs, gelu, get_weight, parse_signs


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

    def encode(self, s: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "n e"]:
        """Compute the perceptron's input: z, y, x, the lateral octaves, direction by direction, then the axial ones."""
        z, y, x = s.T
        turns = np.pi * np.arange(self.angles) / self.angles
        columns = [z, y, x]
        for octave in range(self.frequencies_lateral):
            for cosine, sine in zip(np.cos(turns), np.sin(turns), strict=True):
                for along in (y * cosine + x * sine, -y * sine + x * cosine):
                    phase = 2**octave * np.pi * along
                    columns += [np.sin(phase), np.cos(phase)]
        for octave in range(self.frequencies_axial):
            columns += [np.sin(2**octave * np.pi * z), np.cos(2**octave * np.pi * z)]
        return np.stack(columns, axis=-1)

    def at(self, s: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "k n"]:
        """Evaluate at points."""
        encoded = values = self.encode(np.clip(s, -1, 1)).astype(self.layers[0][0].dtype)
        for i, (w, b) in enumerate(self.layers):
            if i in self.skip:
                values = np.concatenate([values, encoded], axis=-1)
            values = values @ w + b
            if i < len(self.layers) - 1:
                values = gelu(values)
        return apply_signs(values.T, self.signs)

    def near(self, s: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "k n"]:
        """Evaluate at points that lie close together, which is no faster here."""
        return self.at(s)

    def on_grid(
        self, z: Float[np.ndarray, " z"], y: Float[np.ndarray, " y"], x: Float[np.ndarray, " x"]
    ) -> Float[np.ndarray, "k z y x"]:
        """Evaluate on the product of three axes: a perceptron has no shorter way than point by point."""
        points = np.stack(np.meshgrid(z, y, x, indexing="ij"), axis=-1)
        return self.at(points.reshape(-1, 3)).reshape(self.outputs, len(z), len(y), len(x))
