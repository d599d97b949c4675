"""What runs leave in their folder besides sentinels and checkpoints, so that another run can take their place."""

import re
import shutil
from contextlib import suppress
from pathlib import Path

from ..errors import DataError
from ..io.atomic import remove_stale

_FILES = (
    "config.yaml",
    "run.log",
    "debug.log",
    "metrics.jsonl",
    "metrics.json",
    "start.h5",
    "model.h5",
    "volume.h5",
    "predictions.h5",
    "profiles.csv",
    "network.h5",
    "teacher.h5",
    "scores.csv",
    "classes.csv",
    "report.html",
)
_PATTERN = re.compile(r"(network|teacher)-\d+\.h5")
"""Of the networks of a cross-validation, whose number the config says."""
_FOLDERS = ("figures", "crystals")
_MODELS = "models"
"""Folder of models that are named after specimens, so that only their format tells that they are a run's."""


def remove_results(run: Path) -> None:
    """Remove what a former run left; what is nobody's result stays.

    Args:
        run: The folder.
    """
    for name in _FILES:
        (run / name).unlink(missing_ok=True)
    for file in run.iterdir():
        if _PATTERN.fullmatch(file.name):
            file.unlink()
    for name in _FOLDERS:
        if (run / name).is_dir():
            shutil.rmtree(run / name)
    _remove_models(run / _MODELS)


def _remove_models(folder: Path) -> None:
    """Remove the models of a former run, and their folder if nothing else is in it."""
    if not folder.is_dir():
        return
    from ..io.hdf5_common import open_checked

    for file in folder.glob("*.h5"):
        with suppress(DataError):  # It is none of our models, and stays.
            with open_checked(file, "unflat-model"):
                pass
            file.unlink()
    remove_stale(folder)
    with suppress(OSError):
        folder.rmdir()
