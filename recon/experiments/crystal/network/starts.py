"""Starts of phasing that a network draws; the others begin at random, and the withheld pixels decide between them.

Strong strain leaves random starts in local minima that a network, trained on such crystals, starts beyond; a crystal
unlike those of its training costs a few starts of a short recipe.
"""

import logging
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from jaxtyping import Complex

from ....io.network_file import read
from ....networks.weights import load_network
from ....phase_retrieval.pipeline import InitialStarts
from ..config import CrystalSettings
from ..preprocess import PreprocessedScan
from .denoiser import CrystalDenoiser
from .sample import draw_samples, resample_scan

_log = logging.getLogger(__name__)


def network_starts(settings: CrystalSettings, scan: PreprocessedScan) -> InitialStarts | None:
    """Choose the starts that the network draws.

    Args:
        settings: Config.
        scan: Preprocessed measurement.

    Returns:
        The first starts, drawn once they are needed; None for random starts alone: as the config says, or with auto
        where the oversampling does not suffice for a network.

    Raises:
        DataError: If there is no such network.
    """
    count, is_fine = settings.phase.network_count, all(scan.sampling.is_sufficient)
    if not count or (settings.phase.network_starts == "auto" and not is_fine):
        return None
    network = read(settings.predict.network, "crystal")

    def compute() -> Complex[np.ndarray, "k z y x"]:
        pattern = resample_scan(scan, settings.phase.free, settings.seed)
        draws = max(count, settings.predict.draws)
        denoiser = load_network(network, CrystalDenoiser)
        samples = draw_samples(denoiser, pattern, draws, settings.predict.steps, settings.seed, best=count)
        _log.info("the network draws %d starts: chi %s", count, ", ".join(f"{chi:.3g}" for chi in samples.chi))
        return samples.densities

    return InitialStarts(count, compute, settings.predict.recipe)


def network_starts_numbers(starts: Iterable[Mapping[str, Any]], count: int) -> dict[str, float]:
    """Count the network's starts, and those of them that the result was combined from.

    Args:
        starts: Row of each start, the network's first.
        count: Number of the network's starts.
    """
    own = list(starts)[:count]
    return {"network_starts": float(len(own)), "network_starts_kept": float(sum(bool(row["kept"]) for row in own))}
