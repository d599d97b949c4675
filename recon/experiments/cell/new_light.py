"""The image that a microscope would give under light it never used."""

from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from ...errors import ConfigError, DataError
from ...model import Model
from ...visualization.style import (
    IMAGE_COLOURS,
    add_colour_bar,
    add_scale_bar,
    colour_range,
    house_style,
    single_image_axes,
)

if TYPE_CHECKING:
    import matplotlib.figure

    from ....physics.optics.microscope import Microscope

_FACTS = ("wavelength", "numerical_aperture", "medium_index")


def image_under(
    model: Model,
    na: tuple[float, float],
    *,
    defocus: float = 0.0,
    microscope: "Microscope | None" = None,
    shape: tuple[int, int] | None = None,
) -> Float[np.ndarray, "y x"]:
    """Predict the intensity image under one tilted plane wave, by the physics that the fit used.

    Args:
        model: The specimen.
        na: Numerical aperture (y, x) of the light: n·sin θ, signed.
        defocus: [m] Plane of focus along +z.
        microscope: The instrument; the one that the model was made with if absent.
        shape: [pixel] (y, x) of the image; the model's lateral extent if absent.

    Returns:
        Intensity, 1 where there is no specimen.

    Raises:
        ConfigError: If the light is steeper than the medium allows.
        DataError: If the model does not tell its microscope.
    """
    from .forward import predict_image

    scope = microscope or microscope_of(model)
    if np.hypot(*na) >= scope.medium_index:
        raise ConfigError(
            f"light of NA ({na[0]:g}, {na[1]:g}) cannot travel in a medium of index {scope.medium_index:g}"
        )
    if shape is None:
        extent = np.subtract(model.frame.high, model.frame.low)[1:]
        rows, columns = (max(round(float(e) / p), 1) for e, p in zip(extent, scope.pixel_size, strict=True))
        shape = (rows, columns)
    return np.asarray(predict_image(model, scope, na, defocus, shape), np.float32)


def microscope_of(model: Model) -> "Microscope":
    """The microscope that a model was made with, from its frame's attributes.

    Raises:
        DataError: If they do not tell it.
    """
    from ....physics.optics.microscope import Microscope

    facts = model.frame.attributes
    if missing := [name for name in _FACTS if name not in facts]:
        raise DataError(
            f"the model does not tell the {', '.join(missing).replace('_', ' ')} of its microscope: "
            "an image under new light needs a model that was fitted to images"
        )
    wavelength, aperture, medium = (float(facts[name]) for name in _FACTS)
    return Microscope(wavelength, aperture, medium, pixel_size_of(model))


def pixel_size_of(model: Model) -> tuple[float, float]:
    """[m] Pixel (y, x) of the images that a model was fitted to; its own sampling where it does not tell.

    Raises:
        DataError: If it tells neither.
    """
    facts, spacing = model.frame.attributes, model.frame.spacing
    if "pixel_size_y" in facts and "pixel_size_x" in facts:
        return float(facts["pixel_size_y"]), float(facts["pixel_size_x"])
    if spacing is None:
        raise DataError("the model tells neither its microscope's pixel size nor its own sampling")
    return spacing[1], spacing[2]


def light_figure(
    model: Model,
    na: tuple[float, float],
    *,
    defocus: float = 0.0,
    limits: tuple[float, float] | None = None,
) -> "matplotlib.figure.Figure":
    """Draw the image under one tilted plane wave; arguments as for :func:`image_under`."""
    scope = microscope_of(model)
    picture = image_under(model, na, defocus=defocus, microscope=scope)
    shown = limits or colour_range(picture, outliers=2e-3)
    with house_style():
        figure, axes, bar = single_image_axes(picture.shape)
        image = axes.imshow(picture, cmap=IMAGE_COLOURS, vmin=shown[0], vmax=shown[1], interpolation="bicubic")
        axes.set_xticks([])
        axes.set_yticks([])
        title = f"predicted under light of NA (y, x) = ({na[0]:.3g}, {na[1]:.3g}), focus at {defocus * 1e6:.3g} µm"
        axes.set_title(title.replace("-", "−"), loc="left", pad=4)
        add_scale_bar(axes, picture.shape[1] * scope.pixel_size[1])
        add_colour_bar(figure, image, bar, "intensity (incident = 1)")
    return figure
