"""Images of a known index contrast: what simulation, rendering and benchmarks ask of the physics.

Arrays are NumPy, lengths metres; axes ``z y x``.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Num

from ....physics.optics.illumination import PlaneWaves
from ....physics.optics.image_formation import ImageFormation
from ....physics.optics.lattice import Lattice, lateral_padding
from ....physics.optics.microscope import Illumination, Microscope
from ...runs.context import Progress, silent
from .geometry import SSNP_LIMIT

if TYPE_CHECKING:
    from ...model import Model


def images(
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
        lattice: Where it is sampled; ``lattice.binning`` samples to a pixel.
        microscope: The instrument.
        illumination: Light and focus of each view.
        shape: Pixels (y, x) of an image.
        scattering: ``ssnp`` or ``multislice``.
        progress: Told of each image.
    """
    sine = max(np.sqrt((illumination.na**2).sum(-1)).max(), microscope.numerical_aperture) / microscope.medium_index
    padded = lattice.pad(lateral_padding(lattice.thickness, float(sine)))
    program = _program(padded, microscope.numerical_aperture, scattering, shape)
    widths = [(0, 0), (0, 0), *margins(lattice.shape[1:], padded.shape[1:])]
    out = []
    specimen = jnp.pad(jnp.asarray(contrast, jnp.float32), widths)
    for view in range(illumination.views):
        light = PlaneWaves.from_illumination(illumination, padded, slice(view, view + 1))
        out.append(np.asarray(program(specimen, light)))
        progress(view + 1, illumination.views)
    return np.stack(out)


def margins(inner: tuple[int, ...], outer: tuple[int, ...]) -> list[tuple[int, int]]:
    """Samples to add on both sides of each axis so that sample ``n // 2`` stays the middle."""
    return [(o // 2 - i // 2, o - i - (o // 2 - i // 2)) for i, o in zip(inner, outer, strict=True)]


@lru_cache(maxsize=8)
def _program(padded: Lattice, aperture: float, scattering: str, shape: tuple[int, int]) -> Callable[..., Any]:
    camera = ImageFormation(padded, aperture, scattering, shape)
    none = jnp.zeros(0, jnp.float32)
    return jax.jit(lambda specimen, light: camera.images(specimen, light, none)[0])


def predict_image(
    model: "Model",
    microscope: Microscope,
    na: tuple[float, float],
    defocus: float = 0.0,
    shape: tuple[int, int] | None = None,
) -> Float[np.ndarray, "h w"]:
    """Image of a model under any light: sampled on its own box at the microscope's pixel, lit, and imaged.

    The slices are those that the model was fitted with, and they decide the scattering model: SSNP needs thin slices,
    multi-slice takes thick ones.

    Args:
        model: A cell's model.
        microscope: The instrument, whose medium is the model's.
        na: Aperture (y, x) of the light.
        defocus: [m] Plane of focus along +z.
        shape: Pixels (y, x); by default the model's box.
    """
    extent = model.frame.extent
    spacing = model.frame.spacing or (extent[0] / 32, *microscope.pixel_size)
    pitch = (float(extent[0] / max(1, round(extent[0] / spacing[0]))), *microscope.pixel_size)
    counts = tuple(max(1, round(float(e) / p)) for e, p in zip(extent, pitch, strict=True))
    middle = model.frame.low[0] + (counts[0] // 2 + 0.5) * pitch[0]
    lattice = Lattice((counts[0], counts[1], counts[2]), pitch, microscope.wavelength, microscope.medium_index, middle)
    contrast = [model.sample(*lattice.axes, "refractive_index") - microscope.medium_index]
    if any(q.name == "absorption" for q in model.quantities):
        contrast.append(model.sample(*lattice.axes, "absorption"))
    light = Illumination.from_directions(np.array([na]), np.array([defocus]))
    scattering = "ssnp" if lattice.cycles(pitch[0]) <= SSNP_LIMIT else "multislice"
    image: np.ndarray = images(
        np.stack(contrast), lattice, microscope, light, shape or lattice.shape[1:], scattering=scattering
    )[0]
    return image
