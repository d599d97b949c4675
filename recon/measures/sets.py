"""Sets of features by name."""

from ..errors import ConfigError

STANDARD = "standard"
SETS = (STANDARD, "shapr")
"""As the command line names them."""


def require_standard(name: str, kind: str) -> None:
    """Refuse a set of features that a kind has not.

    Raises:
        ConfigError: If it is not the standard one.
    """
    if name != STANDARD:
        raise ConfigError(f"--features {name}: those are features of shapes, and this is a {kind}; leave it out")
