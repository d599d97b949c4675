"""Parts that the architectures share: look-up of weights, the sign of an output, and the activation."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from ..errors import DataError

SIGNS = ("any", "nonnegative", "nonpositive")
SOFTNESS = 0.05  # Raw value at which a signed output bends from 0 to the straight line.


def gelu(x: Float[np.ndarray, "*shape"]) -> Float[np.ndarray, "*shape"]:
    """Gaussian error linear unit in its tanh form (Hendrycks & Gimpel 2016)."""
    # In place and with Python's own numbers: no temporary arrays, and single precision stays what it is.
    values: np.ndarray = x * x
    values *= 0.044715
    values += 1
    values *= x
    values *= math.sqrt(2 / math.pi)
    np.tanh(values, out=values)
    values += 1
    values *= x
    values *= 0.5
    return values


def apply_signs(raw: Float[np.ndarray, "k *n"], signs: Sequence[str]) -> Float[np.ndarray, "k *n"]:
    """Constrain outputs to their sign by a smooth bend: g(r) = (r + √(r² + 4δ²))/2, or −g(−r)."""
    constrained = raw.copy()
    for r, sign in zip(constrained, signs, strict=True):
        if sign != "any":
            root = np.sqrt(r**2 + 4 * SOFTNESS**2)
            r += root if sign == "nonnegative" else -root
            r /= 2
    return constrained


def get_weight(weights: Mapping[str, np.ndarray], name: str, shape: tuple[int, ...]) -> Float[np.ndarray, "*shape"]:
    """Look up a weight, and check its shape."""
    if name not in weights:
        raise DataError(f"the weight {name} is missing; there are {', '.join(sorted(weights))}")
    array = weights[name]
    if array.shape != tuple(shape):
        raise DataError(f"the weight {name} has the shape {array.shape}; the architecture needs {tuple(shape)}")
    return array


def parse_signs(architecture: Mapping[str, Any]) -> tuple[str, ...]:
    """Read the sign of each output: one word for all, or a list."""
    sign, outputs = architecture.get("sign", "any"), architecture["outputs"]
    signs = (sign,) * outputs if isinstance(sign, str) else tuple(sign)
    if len(signs) != outputs or not set(signs) <= set(SIGNS):
        raise DataError(f"sign {sign!r} for {outputs} outputs; it is one of {', '.join(SIGNS)}, or one for each output")
    return signs
