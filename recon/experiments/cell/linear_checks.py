"""Checks whether linear theory, whose answer a network completes, knows a measurement. Without jax."""

import numpy as np

from ...acquisition import Acquisition
from ...errors import ConfigError, Diagnostic
from .illumination import illumination_of, microscope_of


def linear_fault(acquisition: Acquisition) -> str:
    """Reason for which a network cannot complete a measurement; empty for none."""
    if "field" in acquisition:
        return "complex fields are not inverted linearly"
    if "rotation" in acquisition:
        return "the missing frequencies of a turning specimen are no cone"
    light = illumination_of(acquisition).transmitted(microscope_of(acquisition).numerical_aperture)
    return "" if np.any(light > 0) else "linear theory predicts no light of dark fields, and all views are such"


def require_linear_theory(acquisition: Acquisition, place: str) -> None:
    """Refuse a measurement whose linear answer no network completes.

    Args:
        acquisition: The measurement.
        place: Setting or command that asks for the network.

    Raises:
        ConfigError: If linear theory does not know it.
    """
    if fault := linear_fault(acquisition):
        remedy = "use unflat fit" if place.startswith("unflat") else "set it to none"
        raise ConfigError(Diagnostic(place, f"no network completes such a measurement: {fault}", remedy))
