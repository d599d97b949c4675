"""Images of a known index contrast, for simulation and for new light.

Arrays are NumPy, lengths metres; axes ``z y x``.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Num

from ....physics.optics.illumination import PlaneWaves
from ....physics.optics.image_formation import ImageFormation
from ....physics.optics.lattice import Lattice, lateral_padding
from ....physics.optics.microscope import Illumination, Microscope
from ...runs.context import Progress, silent


def simulate_images(
    contrast: Num[np.ndarray, "c z y x"],
    lattice: Lattice,
    microscope: Microscope,
    illumination: Illumination,
    shape: tuple[int, int],
    *,
    scattering: str = "ssnp",
    progress: Progress = silent,
) -> Float[np.ndarray, "view h w"]:
    """Compute the normalised images (1 where there is no specimen), view after view.

    Args:
        contrast: n − n_m, and in a second channel the imaginary index where there is any.
        lattice: Samples of the contrast; ``lattice.binning`` of them to a pixel.
        microscope: The instrument.
        illumination: Light and focus of each view.
        shape: Pixels (y, x) of an image.
        scattering: ``ssnp`` or ``multislice``.
        progress: Called after each image.
    """
    sine = max(np.sqrt((illumination.na**2).sum(-1)).max(), microscope.numerical_aperture) / microscope.medium_index
    padded = lattice.pad(lateral_padding(lattice.thickness, float(sine)))
    simulate_view = _compiled_view(padded, microscope.numerical_aperture, scattering, shape)
    widths = [(0, 0), (0, 0), *padding_widths(lattice.shape[1:], padded.shape[1:])]
    specimen = jnp.pad(jnp.asarray(contrast, jnp.float32), widths)
    views = []
    for view in range(illumination.views):
        light = PlaneWaves.from_illumination(illumination, padded, slice(view, view + 1))
        views.append(np.asarray(simulate_view(specimen, light)))
        progress(view + 1, illumination.views)
    return np.stack(views)


def padding_widths(inner: tuple[int, ...], outer: tuple[int, ...]) -> list[tuple[int, int]]:
    """Count the samples to add on both sides of each axis so that sample ``n // 2`` stays the middle."""
    return [(o // 2 - i // 2, o - i - (o // 2 - i // 2)) for i, o in zip(inner, outer, strict=True)]


@lru_cache(maxsize=8)
def _compiled_view(padded: Lattice, aperture: float, scattering: str, shape: tuple[int, int]) -> Callable[..., Any]:
    formation = ImageFormation(padded, aperture, scattering, shape)
    no_aberrations = jnp.zeros(0, jnp.float32)
    return jax.jit(lambda specimen, light: formation.images(specimen, light, no_aberrations)[0])
