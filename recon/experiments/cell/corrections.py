"""Corrections of the instrument that are fitted besides the specimen: its sources, its focus, its pupil.

The corrections are dimensionless and zero for the instrument as it is described. Those of the sources are one vector
for each, or, as of an array that is displaced as a whole, a turn, a shift and a scale:
NA' = (1 + scale) R(turn) NA + shift, with NA along (y, x) and R from +x towards +y.
"""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from ....physics.optics.illumination import PlaneWaves
from ....physics.optics.microscope import Illumination, Microscope
from ....physics.optics.pupil import FIRST_ZERNIKE
from ...optimize.likelihood import Nuisance
from .config import Refine

SOURCE_SHIFT = 0.01
"""Expected error of a source's numerical aperture: the unit of its correction."""
ARRAY_TURN, ARRAY_SHIFT, ARRAY_SCALE = 0.12, 0.06, 0.12
"""Units of the corrections of an array of sources: turn [rad], numerical aperture of the shift, scale.

They set the optimiser's steps: a tenth as large, 300 steps do not reach a turn of 1° (measured on simulated cells)."""
FOCUS_SHIFT = 1.0
"""Expected error of the focal plane, in wavelengths of the medium."""


def no_corrections(refine: Refine, illumination: Illumination) -> dict[str, np.ndarray]:
    """List the corrections that the config asks for, all zero."""
    corrections: dict[str, np.ndarray] = {}
    if refine.sources == "rigid":
        corrections["array"] = np.zeros(4, np.float32)
    elif refine.sources:
        corrections["sources"] = np.zeros(illumination.na.shape, np.float32)
    if refine.defocus:
        corrections["defocus"] = np.zeros((), np.float32)
    if refine.zernike:
        corrections["zernike"] = np.zeros(refine.zernike, np.float32)
    return corrections


def corrected_light(
    light: PlaneWaves, corrections: Nuisance, views: Int[Array | np.ndarray, " view"], medium_index: float
) -> PlaneWaves:
    """Apply the corrections of sources and focus to the light of some views."""
    if "array" in corrections:
        light = light._replace(tilts=_moved(light.tilts, corrections["array"], medium_index))
    if "sources" in corrections:
        light = light._replace(tilts=light.tilts + SOURCE_SHIFT / medium_index * corrections["sources"][views])
    if "defocus" in corrections:
        light = light._replace(defocus=light.defocus + FOCUS_SHIFT * corrections["defocus"])
    return light


def aberrations_of(corrections: Nuisance) -> Float[Array, " j"]:
    """Zernike coefficients [rad]; that of defocus is 0 where the focus is fitted itself."""
    coefficients = corrections.get("zernike", jnp.zeros(0, jnp.float32))
    if "defocus" in corrections and coefficients.shape[0]:
        return coefficients.at[0].set(0)
    return coefficients


def correction_numbers(corrections: Nuisance, microscope: Microscope) -> dict[str, float]:
    """Convert the corrections to numbers for ``metrics.json``: turn [°], shift [NA], scale, focus [m], pupil [rad]."""
    numbers = {}
    if "sources" in corrections:
        numbers["source_correction"] = SOURCE_SHIFT * float(np.abs(np.asarray(corrections["sources"])).max())
    if "array" in corrections:
        turn, y, x, scale = (float(value) for value in np.asarray(corrections["array"]))
        numbers |= {"light_turn": float(np.rad2deg(ARRAY_TURN * turn)), "light_scale": 1 + ARRAY_SCALE * scale}
        numbers |= {"light_shift_y": ARRAY_SHIFT * y, "light_shift_x": ARRAY_SHIFT * x}
    if "defocus" in corrections:
        wave = microscope.wavelength / microscope.medium_index
        numbers["focus_correction"] = FOCUS_SHIFT * wave * float(corrections["defocus"])
    if "zernike" in corrections:
        coefficients = np.asarray(aberrations_of(corrections), np.float64)
        numbers |= {f"zernike_{FIRST_ZERNIKE + i}": float(value) for i, value in enumerate(coefficients)}
        numbers["aberration"] = float(np.sqrt(np.sum(coefficients**2)))
    return numbers


def _moved(
    tilts: Float[Array, "view source 2"], motion: Float[Array, " 4"], medium_index: float
) -> Float[Array, "view source 2"]:
    """Turn, scale and shift all tilts."""
    turn, scale = ARRAY_TURN * motion[0], 1 + ARRAY_SCALE * motion[3]
    cosine, sine = jnp.cos(turn), jnp.sin(turn)
    y, x = tilts[..., 0], tilts[..., 1]
    turned = jnp.stack([cosine * y + sine * x, cosine * x - sine * y], axis=-1)
    return scale * turned + ARRAY_SHIFT / medium_index * motion[None, None, 1:3]
