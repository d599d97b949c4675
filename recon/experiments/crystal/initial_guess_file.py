"""File of the initial guess that ``fit.start`` names, checked before a run begins: nothing here needs jax."""

from pathlib import Path

import h5py

from ...errors import ConfigError, DataError, Diagnostic
from ...io.hdf5_common import open_checked
from .config import CrystalSettings

WORDS = ("phase", "none")
"""Values of ``fit.start`` that name no file."""


def resolve_start_file(settings: CrystalSettings) -> Path | None:
    """Find the file of the density that is the initial guess of a fit.

    Args:
        settings: Settings of the run.

    Returns:
        Path of the file; None if ``fit.start`` names none.

    Raises:
        ConfigError: If there is no such file.
        DataError: If it holds no density in the detector's frame.
    """
    if settings.fit.start in WORDS:
        return None
    path = Path(settings.fit.start)
    file = path / "volume.h5" if path.is_dir() else path
    if not file.is_file():
        message = f"{str(path)!r} is neither a run with a volume.h5 nor a volume file"
        raise ConfigError(Diagnostic("fit.start", message, "name one, or write 'phase' or 'none'"))
    with open_checked(file) as h5:
        require_density(h5, file)
    return file


def require_density(h5: h5py.File, file: Path) -> None:
    """Refuse a file without a density in the detector's frame.

    Raises:
        DataError: If it has none.
    """
    if "detector_frame/density" not in h5:
        remedy = "name a crystal's volume.h5 as phase, fit or predict write it"
        raise DataError(Diagnostic(str(file), "holds no /detector_frame/density", remedy))
