"""Random number generators and random rotations."""

import numpy as np
from jaxtyping import Float

Seed = int | np.random.Generator


def generator(seed: Seed) -> np.random.Generator:
    """Return the generator of a seed, or a generator unchanged."""
    return seed if isinstance(seed, np.random.Generator) else np.random.default_rng(seed)


def random_rotation(rng: np.random.Generator) -> Float[np.ndarray, "3 3"]:
    """Draw a uniformly random rotation (QR of a Gaussian matrix; Mezzadri, Notices AMS 54, 592 (2007))."""
    q, r = np.linalg.qr(rng.normal(size=(3, 3)))
    q *= np.sign(np.diag(r))
    return np.asarray(q if np.linalg.det(q) > 0 else q[:, ::-1].copy())
