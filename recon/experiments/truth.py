"""A result and the truth that it is compared with, read from files of any form."""

from dataclasses import replace
from pathlib import Path

from ..errors import DataError, Diagnostic
from ..io.detector_frame import detector_frame, is_on_detector
from ..model import Model
from ..volume import Volume
from . import get_experiment
from .evaluation import require_one_unit
from .specimens import SpecimenOptions, identify, open_result


def read_pair(result: Path, truth: Path, options: SpecimenOptions | None = None) -> tuple[Model | Volume, Volume]:
    """Read a result and the truth; both on the detector's frame, where one of them is known on no other.

    Args:
        result: A model, a volume, a run folder, or another program's density.
        truth: A volume, an acquisition with its truth inside, a run folder, another program's density, or a folder or
            an archive of sections with their volumes, which is read with the run's config.
        options: Options for what files of other programs leave open.

    Raises:
        ConfigError: If neither file nor the options tell the kind of specimen.
        DataError: If one of them cannot be read, the truth is a model, or only one is on the detector's frame or has a
            voxel of known size.
    """
    options = options or SpecimenOptions()
    reconstruction = open_result(result, options)
    if reconstruction.kind:
        specimens = get_experiment(reconstruction.kind).read_truth(truth, result / "config.yaml")
        if specimens is not None:
            return reconstruction, specimens
    specimen = open_result(truth, options)
    if not isinstance(specimen, Volume):
        raise DataError(Diagnostic(str(truth), "is a model, and no truth", "sample it: unflat volume"))
    kind = options.kind or specimen.kind or reconstruction.kind
    specimen = identify(specimen, truth, replace(options, kind=kind))
    if isinstance(reconstruction, Volume):
        reconstruction = identify(reconstruction, result, replace(options, kind=specimen.kind))
    require_one_unit(reconstruction, specimen)
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
