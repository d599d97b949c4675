"""Remarks on the network that a fit or a prediction of a cell uses, before it begins. Without jax."""

import numpy as np

from ...acquisition import Acquisition
from ...errors import DeviceError
from ...io.network_file import read
from .config import CellSettings
from .estimate import require_one_piece
from .hidden_views import choose_hidden_views, untestable
from .illumination import illumination_of, microscope_of
from .linear_checks import linear_fault


def remarks(method: str, settings: CellSettings, acquisition: Acquisition) -> tuple[list[str], list[str]]:
    """Say which network is used for what, and by which views a prior is tested.

    Returns:
        Notes and warnings.

    Raises:
        DataError: If the file of a network is damaged.
    """
    fault = linear_fault(acquisition)
    if method == "predict":
        if not fault:
            return [], _doubts(settings, acquisition)
        # A prediction refuses such a measurement; who asks for none need not know.
        is_default = settings.predict == type(settings.predict)()
        return [], [] if is_default else [f"unflat predict: {fault}"]
    if method != "fit" or settings.fit.prior == "none":
        return [], []
    network = read(settings.fit.prior, settings.kind)
    if fault:
        return [], [f"fit.prior: {fault}; set it to none"]
    light, reason = _test(settings, acquisition)
    if reason:
        return [], [f"fit.prior: not used: it cannot be tested: {reason}"]
    trained = f", trained on {network.trained_on}" if network.trained_on else ""
    text = f"fit.prior: a network{trained}; its weight is set by how well it predicts hidden views {light}"
    return [text], []


def _test(settings: CellSettings, acquisition: Acquisition) -> tuple[str, str]:
    """Describe the light of the views that will be hidden from a test, and say for what reason there can be none."""
    light = illumination_of(acquisition)
    bright = np.flatnonzero(light.transmitted(microscope_of(acquisition).numerical_aperture) > 0)
    chosen = choose_hidden_views(light, bright)
    return chosen.text, untestable(chosen, settings.fit.steps, has_withheld=settings.fit.withheld > 0)


def _doubts(settings: CellSettings, acquisition: Acquisition) -> list[str]:
    """Warn of a field that is too large for the fit that a prediction begins, and of a completion without a test."""
    if settings.predict.start != "fit":
        return []
    try:
        require_one_piece(settings, acquisition)
    except DeviceError as error:
        return [f"unflat predict: {error}"]
    _, reason = _test(settings, acquisition) if settings.predict.test else ("", "")
    return [f"predict.test: the completion is taken as it is: it cannot be tested: {reason}"] if reason else []
