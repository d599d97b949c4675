"""unflat: continuous 3D models from flat measurements.

Public API, imported when it is used::

    scan = unflat.read("scan.h5", "run.yaml", {"volume.depth": "9 um"})
    result = unflat.fit(scan, seed=0, progress=print)
    result.model(points)
    result.save("RUN")
"""

from .recon.version import __version__

TYPE_CHECKING = False  # That of typing takes longer to import than the command line takes to answer Ctrl-C.
if TYPE_CHECKING:
    from typing import Any

    from .recon.api import (
        Measurement,
        Result,
        batch,
        configure,
        evaluate,
        fit,
        fit_series,
        load,
        load_series,
        phase,
        predict,
        read,
        run,
        simulate,
    )

__all__ = [
    "Measurement",
    "Result",
    "__version__",
    "batch",
    "configure",
    "evaluate",
    "fit",
    "fit_series",
    "load",
    "load_series",
    "phase",
    "predict",
    "read",
    "run",
    "simulate",
]


def __getattr__(name: str) -> "Any":
    """Import a name of the API when it is first used."""
    if name in __all__:
        from importlib import import_module

        return getattr(import_module(".recon.api", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """Names of the API."""
    return sorted(__all__)
