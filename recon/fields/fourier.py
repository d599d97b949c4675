"""DeCAF's field: radial and axial Fourier encodings into a multi-layer perceptron.

Lateral coordinates are turned by A angles and every turned pair is encoded at L octaves; z is encoded at M octaves; the
network is fully connected with skip connections. Source: Liu et al., Nature Machine Intelligence 4, 781 (2022).
"""

from dataclasses import dataclass
from typing import cast

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .base import Axes, Parameters, constrained


@dataclass(frozen=True)
class Fourier:
    """Multi-layer perceptron of encoded coordinates.

    Args:
        frequencies_lateral: Octaves L of each lateral coordinate.
        angles: Turned lateral frames A.
        frequencies_axial: Octaves M of z.
        width: Width of the hidden layers.
        depth: Number of hidden layers.
        skip: Hidden layers whose input the encoding joins again.
        outputs: Quantities K.
        sign: ``any``, ``nonnegative`` or ``nonpositive``.
    """

    frequencies_lateral: int = 6
    angles: int = 6
    frequencies_axial: int = 5
    width: int = 128
    depth: int = 6
    skip: tuple[int, ...] = (3,)
    outputs: int = 1
    sign: str = "any"

    @property
    def architecture(self) -> dict[str, object]:
        """All constants needed to evaluate the field, as plain JSON."""
        return {
            "type": "fourier",
            "version": 1,
            "frequencies_lateral": self.frequencies_lateral,
            "angles": self.angles,
            "frequencies_axial": self.frequencies_axial,
            "width": self.width,
            "depth": self.depth,
            "skip": list(self.skip),
            "outputs": self.outputs,
            "sign": self.sign,
        }

    @property
    def varying(self) -> tuple[str, ...]:
        """Names of the last layer's arrays: a series shares the waves that it adds up."""
        return f"layer_{self.depth}/w", f"layer_{self.depth}/b"

    @property
    def encoded(self) -> int:
        """Length of the encoding."""
        return 3 + 4 * self.frequencies_lateral * self.angles + 2 * self.frequencies_axial

    def init(self, seed: int) -> dict[str, np.ndarray]:
        """Draw weights of He's scale for the hidden layers (ICCV 2015), and zeros for the last."""
        rng = np.random.default_rng(seed)
        drawn: dict[str, np.ndarray] = {}
        inputs = self.encoded
        for i in range(self.depth + 1):
            last = i == self.depth
            if i in self.skip:
                inputs += self.encoded
            outputs = self.outputs if last else self.width
            scale = 0.0 if last else np.sqrt(2 / inputs)
            drawn[f"layer_{i}/w"] = (scale * rng.standard_normal((inputs, outputs))).astype(np.float32)
            drawn[f"layer_{i}/b"] = np.zeros(outputs, np.float32)
            inputs = outputs
        return drawn

    def at(self, parameters: Parameters, points: Float[Array, "n 3"]) -> Float[Array, "n k"]:
        """Evaluate at any points."""
        encoding = self._encode(points)
        wide = encoding
        for i in range(self.depth + 1):
            if i in self.skip:
                wide = jnp.concatenate([wide, encoding], axis=-1)
            wide = wide @ parameters[f"layer_{i}/w"] + parameters[f"layer_{i}/b"][None]
            if i < self.depth:
                wide = jax.nn.gelu(wide)
        return constrained(wide, self.sign)

    def on_grid(self, parameters: Parameters, axes: Axes) -> Float[Array, "k z y x"]:
        """Evaluate on the product of three axes, plane by plane, recomputing each for its gradient."""
        z, y, x = (jnp.asarray(a, parameters["layer_0/w"].dtype) for a in axes)
        lateral = jnp.stack(jnp.meshgrid(y, x, indexing="ij"), axis=-1).reshape(-1, 2)

        @jax.checkpoint
        def plane(height: Float[Array, ""]) -> Float[Array, "n k"]:
            points = jnp.concatenate([jnp.full_like(lateral[:, :1], height), lateral], axis=-1)
            return self.at(parameters, points)

        values = cast(Array, jax.lax.map(plane, z))
        return jnp.moveaxis(values, -1, 0).reshape(self.outputs, len(axes[0]), len(axes[1]), len(axes[2]))

    def fit_to_grid(
        self, parameters: dict[str, np.ndarray], values: Float[np.ndarray, "k z y x"], axes: Axes
    ) -> dict[str, np.ndarray]:
        """Return the parameters as they are: a perceptron has no closed form, and the fit starts from zero."""
        return dict(parameters)

    def _encode(self, points: Float[Array, "n 3"]) -> Float[Array, "n e"]:
        """Encode coordinates: themselves, then sine and cosine by octave and angle, rotated y before rotated x."""
        phases = points @ jnp.asarray(self._waves, points.dtype)
        pairs = jnp.stack([jnp.sin(phases), jnp.cos(phases)], axis=-1)
        return jnp.concatenate([points, pairs.reshape(points.shape[0], -1)], axis=-1)

    @property
    def _waves(self) -> Float[np.ndarray, "3 w"]:
        """Compute the wave vectors of the encoding, as columns along (z, y, x)."""
        columns = []
        for octave in range(self.frequencies_lateral):
            for a in range(self.angles):
                cosine, sine = np.cos(np.pi * a / self.angles), np.sin(np.pi * a / self.angles)
                columns += [2.0**octave * np.array([0.0, cosine, sine]), 2.0**octave * np.array([0.0, -sine, cosine])]
        columns += [2.0**octave * np.array([1.0, 0.0, 0.0]) for octave in range(self.frequencies_axial)]
        return np.pi * np.stack(columns, axis=1)
