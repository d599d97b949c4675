"""Numbers of `unflat measure` for the report of a run with one specimen."""

from collections.abc import Callable

from ..config.advice import shell
from ..errors import ConfigError, DataError
from ..io.table import Table
from ..io.volume_formats import read_volume
from ..visualization.measures import Measures
from ..visualization.run_data import RunData
from ..volume import Volume

_LARGEST = 4_000_000
"""[sample] Largest volume that is measured for a report: about a second."""


def measure_run(measure: Callable[[Volume], Table], run: RunData) -> Measures | None:
    """Measure the sampled result of a run.

    Args:
        measure: Function that measures a specimen of the run's kind.
        run: Data of the run.

    Returns:
        Its measures; None for a run without samples, and for a kind that is not measured.

    Raises:
        DataError: If it cannot be measured, or is too large to be measured at once.
    """
    volume = sampled_volume(run)
    if volume is None or volume.cells is not None:
        return None
    if volume.main.size > _LARGEST:
        samples = f"{volume.main.size / 1e6:.1f} million samples, of which a report measures at most 4 million"
        raise DataError(f"volume.h5 has {samples}; for its table: {shell('unflat', 'measure', run.name)}")
    try:
        table = measure(volume)
    except ConfigError:
        return None
    return Measures(table, "Of the samples in volume.h5; unflat measure writes these numbers as a table.")


def sampled_volume(run: RunData) -> Volume | None:
    """Read the sampled result of a run; None where it has none."""
    if isinstance(run.result, Volume):
        return run.result
    file = run.folder / "volume.h5"
    return read_volume(file) if run.result is not None and file.is_file() else None
