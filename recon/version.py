"""Version of the package, below every room that writes it into a file."""

__version__ = "0.1.0"
