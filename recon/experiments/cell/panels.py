"""Panel of a live view with the image of a cell under light of the user's choosing."""

from collections.abc import Mapping

import numpy as np

from ...model import Model
from ...visualization.panels import Panel, PanelContent, PanelImage, PanelParameter, PanelSubject
from ...visualization.prediction_panels import prediction_panels
from ...visualization.style import colour_range

_STEEPEST = 0.95
"""Largest numerical aperture of the light over the index of the medium."""
_STEPS = 100
"""Number of steps of a control."""


def view_panels(subject: PanelSubject) -> list[Panel]:
    """List the panels: the image under new light, and measured and modelled views."""
    model = subject.specimen
    attributes = model.frame.attributes if isinstance(model, Model) else {}
    pixel = float(attributes["pixel_size_x"]) if "pixel_size_x" in attributes else None
    views = prediction_panels(subject.folder, pixel)
    if isinstance(model, Model) and all(name in attributes for name in ("numerical_aperture", "medium_index")):
        return [_light_panel(model, float(attributes["numerical_aperture"]), float(attributes["medium_index"])), *views]
    return views


def _light_panel(model: Model, aperture: float, medium: float) -> Panel:
    steepest = round(_STEEPEST * medium / np.sqrt(2), 2)  # In both directions together.
    depth = float(model.frame.extent[0])
    parameters = (
        PanelParameter("na_y", "Aperture of the light along y", -steepest, steepest, 0.01, 0.0),
        PanelParameter("na_x", "Aperture of the light along x", -steepest, steepest, 0.01, 0.0),
        PanelParameter("focus", "Plane of focus", -depth, depth, depth / _STEPS, 0.0, "m"),
    )

    def draw(values: Mapping[str, float]) -> PanelContent:
        from ... import devices

        devices.use("cpu")  # Before jax is imported: a GPU is left to the run that uses it.
        from .new_light import pixel_size_of, predict_image

        na = (values["na_y"], values["na_x"])
        image = np.asarray(predict_image(model, na, defocus=values["focus"]), np.float64)
        low, high = colour_range(image, outliers=2e-3)
        shown = PanelImage("predicted intensity", image, low, high, unit="incident = 1", pixel=pixel_size_of(model)[1])
        dark = "" if np.hypot(*na) <= aperture else ": a dark field"
        text = f"Light of NA (y, x) = ({na[0]:.3g}, {na[1]:.3g}), focus at {values['focus'] * 1e6:.3g} µm; "
        text += f"the objective has NA {aperture:.3g}{dark}."
        return PanelContent((shown,), text.replace("-", "−"))

    return Panel("light", "Image under new light", draw, parameters)
