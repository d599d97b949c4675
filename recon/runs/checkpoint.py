"""Checkpoints: the state of a run between two steps, on disk.

One HDF5 file per step holds a group of arrays, metadata as JSON (dataset ``facts``), and a SHA-256 checksum of both. A
file that is damaged or does not match its checksum is ignored; the one before it is used.
"""

import hashlib
import json
import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import DataError, Diagnostic, UnflatError
from ..io.atomic import remove_stale, write_atomically
from ..io.json_text import parse_json
from ..io.safe_hdf5 import new_hdf5

_log = logging.getLogger(__name__)
_PATTERN = "step-*.h5"


@dataclass(frozen=True)
class Checkpoint:
    """State from which a run can be continued.

    Args:
        step: Number of completed steps.
        arrays: Arrays of the state by name; a name may contain "/".
        metadata: State that JSON can hold.
    """

    step: int
    arrays: dict[str, np.ndarray]
    metadata: dict[str, Any] = field(default_factory=dict)


def write_checkpoint(folder: Path, checkpoint: Checkpoint) -> Path:
    """Write a checkpoint, and remove all others but the one before it.

    Args:
        folder: Folder of checkpoints.
        checkpoint: State to write.

    Returns:
        Path of the file.

    Raises:
        DataError: If the file cannot be written.
    """
    from ..io.hdf5_common import write_root_attributes

    path = folder / f"step-{checkpoint.step:09d}.h5"
    metadata = json.dumps(checkpoint.metadata, sort_keys=True)
    with write_atomically(path) as temporary, new_hdf5(temporary, sealed=False) as file:
        write_root_attributes(file, "unflat-checkpoint", None, "arrays")
        file.attrs["step"] = checkpoint.step
        file.attrs["sha256"] = _checksum(checkpoint.step, checkpoint.arrays, metadata)
        file["facts"] = metadata
        group = file.create_group("arrays")
        for name, array in checkpoint.arrays.items():
            group[name] = array
    _prune(folder, path)
    return path


def latest_checkpoint(folder: Path) -> Checkpoint | None:
    """Read the newest intact checkpoint of a folder; None if there is none."""
    remove_stale(folder)
    for path in sorted(folder.glob(_PATTERN), reverse=True):
        try:
            return read_checkpoint(path)
        except UnflatError as error:
            _log.warning("%s is damaged and is ignored (%s)", path.name, error.faults[0].message)
    return None


def read_checkpoint(path: Path) -> Checkpoint:
    """Read one checkpoint.

    Raises:
        DataError: If the file is damaged.
    """
    import h5py  # Late because it is slow: commands that only look at a run folder import this module too.

    from ..io.hdf5_common import open_checked

    arrays: dict[str, np.ndarray] = {}
    with open_checked(path) as file:
        step, metadata, checksum = int(file.attrs["step"]), file["facts"].asstr()[()], file.attrs["sha256"]

        def collect(name: str, node: Any) -> None:
            if isinstance(node, h5py.Dataset):
                arrays[name] = np.asarray(node[()])

        file["arrays"].visititems(collect)
        if _checksum(step, arrays, metadata) != checksum:
            raise DataError(Diagnostic(str(path), "its checksum is wrong"))
        return Checkpoint(step, arrays, parse_json(metadata))


def _checksum(step: int, arrays: dict[str, np.ndarray], metadata: str) -> str:
    total = hashlib.sha256(f"{step}\n{metadata}\n".encode())
    for name in sorted(arrays):
        array = np.asarray(arrays[name])
        total.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        total.update(np.ascontiguousarray(array).tobytes())
    return total.hexdigest()


def _prune(folder: Path, newest: Path) -> None:
    """Remove all checkpoints but the newest and the one before it.

    Checkpoints of later steps are left over from a run that was continued from an earlier one.
    """
    others = sorted((path for path in folder.glob(_PATTERN) if path != newest), reverse=True)
    before = [path for path in others if path.name < newest.name][:1]
    for path in others:
        if path not in before:
            path.unlink(missing_ok=True)
