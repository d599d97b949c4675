"""A result and the truth that it is compared with, read from files of any form."""

from pathlib import Path

from ..errors import DataError, Diagnostic
from ..io.detector_frame import detector_frame, is_on_detector
from ..io.result import read_result
from ..io.volume_formats import read_volume
from ..model import Model
from ..volume import Volume
from . import experiment_names, get_experiment


def read_pair(result: Path, truth: Path) -> tuple[Model | Volume, Volume]:
    """Read a result and the truth; both on the detector's frame, where one of them is known on no other.

    Args:
        result: A model, a volume, a run folder, or another program's density.
        truth: A volume, an acquisition with its truth inside, a run folder, another program's density, or a folder or
            an archive of sections with their volumes, which is read with the run's config.

    Raises:
        DataError: If one of them cannot be read, the truth is a model, or only one is on the detector's frame.
    """
    reconstruction = read_result(result)
    if reconstruction.kind:
        specimens = get_experiment(reconstruction.kind).read_truth(truth, result / "config.yaml")
        if specimens is not None:
            return reconstruction, specimens
    kind = reconstruction.kind or experiment_names()[0]  # Neither file may give its kind: a TIFF, an MRC map.
    specimen = read_result(truth) if truth.is_dir() else read_volume(truth, kind=kind)
    if not isinstance(specimen, Volume):
        raise DataError(Diagnostic(str(truth), "is a model, and no truth", "sample it: unflat volume"))
    if not any(is_on_detector(each) for each in (reconstruction, specimen)):
        return reconstruction, specimen
    first, second = _on_detector(result), _on_detector(truth)
    return _in_order_of(first, result, second), _in_order_of(second, truth, first)


def _on_detector(path: Path) -> Volume:
    """Read a density on the detector's frame.

    Raises:
        DataError: If there is none.
    """
    volume = detector_frame(path)
    if volume is None:
        message = "holds no density on the detector's frame, as the other does"
        raise DataError(Diagnostic(str(path), message, "compare runs of unflat phase, or sample both on one frame"))
    return volume


def _in_order_of(volume: Volume, path: Path, other: Volume) -> Volume:
    """Take the axes of another program's array as they are stored, where only so they have the other's sizes."""
    if volume.attributes.get("program") != "cohere" or volume.shape == other.shape or volume.shape[::-1] != other.shape:
        return volume
    return detector_frame(path, ("frame", "y", "x")) or volume
