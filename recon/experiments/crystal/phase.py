"""Phase retrieval of a crystal: from a measurement to a run folder with volume, predictions and numbers."""

from collections.abc import Mapping

from ... import processes
from ...devices import release_memory, return_large_blocks
from ...phase_retrieval.pipeline import phase as phase_counts
from ...runs import Gate, RunContext, RunOutcome
from .config import CrystalSettings
from .network.starts import network_starts, network_starts_numbers
from .phasing_output import write_phasing_result
from .preprocess import preprocess
from .start_records import CheckpointWriter
from .summary import quality_deviance
from .warm_start import add_start, former_density, starts_beside


@return_large_blocks()
def phase(context: RunContext) -> RunOutcome:
    """Retrieve the phase of a rocking curve and write the result.

    Args:
        context: Config, measurement and folder.

    Raises:
        Stopped: If the run was asked to end early.
        DataError: If there is no such network as the config names.
    """
    settings, measurement = context.config, context.measurement
    scan = preprocess(settings, measurement)
    release_memory()
    checkpoints = CheckpointWriter(context.folder, withheld=settings.phase.free > 0)
    former = former_density(scan, context)
    if former is not None:
        update = {"starts": starts_beside(settings.phase.starts), "network_starts": 0}
        few = settings.phase.model_copy(update=update)
        settings = settings.model_copy(update={"phase": few})
    drawn = network_starts(settings, scan)
    result = phase_counts(
        scan.data,
        settings.phase,
        settings.seed,
        context.progress,
        context.should_stop,
        context.folder.latest_checkpoint(),
        checkpoints.save,
        drawn if former is None else add_start(former, drawn, settings),
    )
    processes.current().finish_sharing()
    checkpoints.write_rows(result.solutions)
    numbers = write_phasing_result(settings, scan, result, measurement.truth, context)
    if former is not None:
        numbers["warm_start_kept"] = float(bool(result.solutions[0]["kept"]))
    if drawn is not None:
        numbers |= network_starts_numbers(result.solutions[former is not None :], drawn.count)
    return RunOutcome(numbers, _gate(settings, numbers))


def _gate(settings: CrystalSettings, numbers: Mapping[str, float]) -> Gate | None:
    if settings.phase.gate is None:
        return None
    pixels = "withheld" if "llk_free" in numbers else "fitted"
    return Gate(f"Poisson deviance of the {pixels} pixels", quality_deviance(numbers), settings.phase.gate)
