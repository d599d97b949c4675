"""Images of a training's specimens, and the linear answers to them."""

from collections.abc import Callable
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .....physics.optics.born import BornModel
from .....physics.optics.illumination import PlaneWaves
from .....physics.optics.microscope import Illumination
from ..imaging import padding_widths, simulate_images
from ..initial_guess import STRENGTH
from .instruments import FIELD, Instrument, disturb

_PHOTONS = (500.0, 30000.0)
"""Photons of a pixel without specimen."""

_TOGETHER = 8
"""Specimens in one call."""

Contrasts = Float[np.ndarray, "specimen _z _y _x"]
Quantities = Float[np.ndarray, "specimen c _z _y _x"]
Images = Float[np.ndarray, "specimen view _h _w"]


def measure(
    rng: np.random.Generator,
    instrument: Instrument,
    contrasts: Contrasts,
    absorption: Contrasts | None = None,
    *,
    nonlinear: bool,
) -> Images:
    """Simulate the images of specimens under light a little beside the described one, with counting noise.

    Args:
        rng: Random number generator.
        instrument: Instrument.
        contrasts: Index contrast of the specimens and of their surroundings.
        absorption: Imaginary index of them, for waves that propagate through all slices; None for transparent ones.
        nonlinear: Whether waves propagate through all slices; else linear theory makes the images.
    """
    light = disturb(rng, instrument.illumination, instrument.microscope.numerical_aperture)
    if nonlinear:
        given = [contrasts] if absorption is None else [contrasts, absorption]
        clean = _multislice_images(instrument, light, np.stack(given, axis=1))
    else:
        clean = _linear_images(instrument, light, contrasts)
    low, high = np.log(_PHOTONS)
    photons = np.exp(rng.uniform(low, high, (len(clean), 1, 1, 1)))
    return np.asarray(clean + rng.normal(size=clean.shape) * np.sqrt(np.maximum(clean, 0) / photons), np.float32)


def invert(instrument: Instrument, images: Images) -> Contrasts:
    """Invert images by linear theory, as `initial_guess.invert_born_model` does for those of an acquisition."""
    padded = instrument.padded
    gains = images.mean(axis=(2, 3), keepdims=True)
    widths = [(0, 0), (0, 0), *padding_widths(images.shape[2:], padded.shape[1:])]
    whole = np.pad(images / gains, widths, constant_values=1)
    model, light = _model(instrument), PlaneWaves.from_illumination(instrument.illumination, padded)

    def inverse(one: Float[Array, "view y x"]) -> Float[Array, "z y x"]:
        return model.inverse(one, light, STRENGTH)[0]

    # Mapped over some specimens, the systems of equations are set up and decomposed once for them.
    return _middle(_map_together(inverse, whole))


def _linear_images(instrument: Instrument, light: Illumination, contrasts: Contrasts) -> Images:
    padded = instrument.padded
    widths = [(0, 0), (0, 0), *padding_widths(contrasts.shape[2:], padded.shape[1:])]
    model, waves = _model(instrument), PlaneWaves.from_illumination(light, padded)
    images = _map_together(lambda one: model.images(one[None], waves), np.pad(contrasts, widths))
    return np.asarray(np.maximum(_middle(images), 0))


def _multislice_images(instrument: Instrument, light: Illumination, quantities: Quantities) -> Images:
    z, y, x = quantities.shape[2:]
    lattice, microscope = replace(instrument.lattice, shape=(z, y, x)), instrument.microscope
    field = (FIELD, FIELD)
    each = (simulate_images(one, lattice, microscope, light, field, scattering="multislice") for one in quantities)
    return np.stack(list(each))


def _map_together(
    function: Callable[[Float[Array, "n y x"]], Float[Array, "m y x"]], arrays: Float[np.ndarray, "specimen n y x"]
) -> Float[np.ndarray, "specimen m y x"]:
    """Apply a function to each specimen, to a few of them in one call; memory for all would slow it down."""
    mapped = jax.jit(jax.vmap(function))
    parts = [arrays[i : i + _TOGETHER] for i in range(0, len(arrays), _TOGETHER)]
    return np.concatenate([np.asarray(mapped(jnp.asarray(part))) for part in parts])


def _model(instrument: Instrument) -> BornModel:
    return BornModel(instrument.padded, instrument.microscope.numerical_aperture)


def _middle(values: Float[np.ndarray, "specimen n _y _x"]) -> Float[np.ndarray, "specimen n _h _w"]:
    """Crop to the field."""
    top, left = (n // 2 - FIELD // 2 for n in values.shape[2:])
    return values[:, :, top : top + FIELD, left : left + FIELD]
