"""Checks whether linear theory, whose answer a network completes, knows a measurement. Without jax."""

from ...acquisition import Acquisition
from ...errors import ConfigError, Diagnostic


def linear_fault(acquisition: Acquisition) -> str:
    """Reason for which a network cannot complete a measurement; empty for none."""
    if "field" in acquisition:
        return "complex fields are not inverted linearly"
    return "the missing frequencies of a turning specimen are no cone" if "rotation" in acquisition else ""


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
