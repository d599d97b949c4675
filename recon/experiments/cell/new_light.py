"""Image that a microscope would give of a fitted cell under light that was never used."""

from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from ....physics.optics.lattice import Lattice
from ....physics.optics.microscope import Illumination, Microscope
from ...errors import ConfigError, DataError
from ...model import Model
from ...visualization.style import (
    IMAGE_COLOURS,
    add_colour_bar,
    add_scale_bar,
    colour_range,
    house_style,
    new_image_figure,
)
from .geometry import SSNP_LIMIT

if TYPE_CHECKING:
    import matplotlib.figure

_INSTRUMENT = ("wavelength", "numerical_aperture", "medium_index")


def predict_image(
    model: Model,
    na: tuple[float, float],
    *,
    defocus: float = 0.0,
    microscope: Microscope | None = None,
    shape: tuple[int, int] | None = None,
) -> Float[np.ndarray, "y x"]:
    """Predict the intensity image under one tilted plane wave, by the physics that the fit used.

    Args:
        model: The specimen.
        na: Numerical aperture (y, x) of the light: n·sin θ, signed.
        defocus: [m] Plane of focus along +z.
        microscope: The instrument; by default the one that measured the cell.
        shape: [pixel] (y, x) of the image; the model's lateral extent by default.

    Returns:
        Intensity, 1 where there is no specimen.

    Raises:
        ConfigError: If the light is steeper than the medium allows.
        DataError: If the model's file does not describe its microscope.
    """
    from .imaging import simulate_images

    scope = microscope or microscope_of_model(model)
    if np.hypot(*na) >= scope.medium_index:
        raise ConfigError(
            f"light of NA ({na[0]:g}, {na[1]:g}) cannot travel in a medium of index {scope.medium_index:g}"
        )
    lattice = _lattice_of(model, scope)
    contrast = [model.sample(*lattice.axes, "refractive_index") - scope.medium_index]
    if any(quantity.name == "absorption" for quantity in model.quantities):
        contrast.append(model.sample(*lattice.axes, "absorption"))
    light = Illumination.from_directions(np.array([na]), np.array([defocus]))
    # The slices are those of the fit: as thick as multi-slice allows, which SSNP does not.
    scattering = "ssnp" if lattice.cycles(lattice.pitch[0]) <= SSNP_LIMIT else "multislice"
    images = simulate_images(
        np.stack(contrast), lattice, scope, light, shape or lattice.shape[1:], scattering=scattering
    )
    return np.asarray(images[0], np.float32)


def _lattice_of(model: Model, microscope: Microscope) -> Lattice:
    """Sample the model's box at the microscope's pixel, in the slices of the fit."""
    extent = model.frame.extent
    thickness = model.frame.spacing[0] if model.frame.spacing else extent[0] / 32
    slices = max(1, round(float(extent[0]) / thickness))
    rows, columns = (max(1, round(float(e) / p)) for e, p in zip(extent[1:], microscope.pixel_size, strict=True))
    pitch = (float(extent[0] / slices), *microscope.pixel_size)
    middle = model.frame.low[0] + (slices // 2 + 0.5) * pitch[0]
    return Lattice((slices, rows, columns), pitch, microscope.wavelength, microscope.medium_index, middle)


def microscope_of_model(model: Model) -> Microscope:
    """Describe the microscope whose images a model was fitted to, from its frame's attributes.

    Raises:
        DataError: If they are missing.
    """
    attributes = model.frame.attributes
    if missing := [name for name in _INSTRUMENT if name not in attributes]:
        raise DataError(
            f"the model does not tell the {', '.join(missing).replace('_', ' ')} of its microscope: "
            "an image under new light needs a model that was fitted to images"
        )
    wavelength, aperture, medium = (float(attributes[name]) for name in _INSTRUMENT)
    return Microscope(wavelength, aperture, medium, pixel_size_of(model))


def pixel_size_of(model: Model) -> tuple[float, float]:
    """[m] Pixel (y, x) of the images that a model was fitted to; its own sampling where it is not recorded.

    Raises:
        DataError: If neither is recorded.
    """
    attributes, spacing = model.frame.attributes, model.frame.spacing
    if "pixel_size_y" in attributes and "pixel_size_x" in attributes:
        return float(attributes["pixel_size_y"]), float(attributes["pixel_size_x"])
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
    """Draw the image under one tilted plane wave; arguments as for :func:`predict_image`."""
    scope = microscope_of_model(model)
    picture = predict_image(model, na, defocus=defocus, microscope=scope)
    shown = limits or colour_range(picture, outliers=2e-3)
    with house_style():
        figure, axes, bar = new_image_figure(picture.shape)
        image = axes.imshow(picture, cmap=IMAGE_COLOURS, vmin=shown[0], vmax=shown[1], interpolation="bicubic")
        axes.set_xticks([])
        axes.set_yticks([])
        title = f"predicted under light of NA (y, x) = ({na[0]:.3g}, {na[1]:.3g}), focus at {defocus * 1e6:.3g} µm"
        axes.set_title(title.replace("-", "−"), loc="left", pad=4)
        add_scale_bar(axes, picture.shape[1] * scope.pixel_size[1])
        add_colour_bar(figure, image, bar, "intensity (incident = 1)")
    return figure
