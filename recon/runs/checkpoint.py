"""The state of a run between two steps, on disk.

One HDF5 file a step: a group of arrays, the plain facts beside them as JSON, and a SHA-256 of both. A file that cannot
be read whole, or that does not give its own sum, is as good as none: the one before it counts.
"""

import hashlib
import json
import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..io.atomic import remove_stale, write_atomically
from ..io.safe_hdf5 import new_hdf5

_log = logging.getLogger(__name__)
_PATTERN = "step-*.h5"


@dataclass(frozen=True)
class Checkpoint:
    """All that a run needs to go on.

    Args:
        step: Steps done.
        arrays: State by name; a name may hold "/".
        facts: Further state that JSON can hold.
    """

    step: int
    arrays: dict[str, np.ndarray]
    facts: dict[str, Any] = field(default_factory=dict)


def write_checkpoint(folder: Path, checkpoint: Checkpoint) -> Path:
    """Write a checkpoint, and keep only the one before it.

    Args:
        folder: Where checkpoints stand.
        checkpoint: What to write.

    Returns:
        The file.

    Raises:
        DataError: If the disk refuses.
    """
    from ..io.hdf5_common import write_root_attributes

    path = folder / f"step-{checkpoint.step:09d}.h5"
    facts = json.dumps(checkpoint.facts, sort_keys=True)
    with write_atomically(path) as temporary, new_hdf5(temporary) as file:
        write_root_attributes(file, "unflat-checkpoint", None, "arrays")
        file.attrs["step"] = checkpoint.step
        file.attrs["sha256"] = _checksum(checkpoint.step, checkpoint.arrays, facts)
        file["facts"] = facts
        group = file.create_group("arrays")
        for name, array in checkpoint.arrays.items():
            group[name] = array
    _prune(folder, path)
    return path


def latest_checkpoint(folder: Path) -> Checkpoint | None:
    """Read the newest checkpoint that is whole, if there is one."""
    remove_stale(folder)
    for path in sorted(folder.glob(_PATTERN), reverse=True):
        try:
            return read_checkpoint(path)
        except (OSError, KeyError, ValueError, RuntimeError) as error:
            _log.warning("%s is torn and is ignored (%s)", path.name, str(error).partition("\n")[0])
    return None


def read_checkpoint(path: Path) -> Checkpoint:
    """Read one checkpoint.

    Raises:
        OSError, KeyError, ValueError, RuntimeError: If it is torn, in the many ways that HDF5 has to say so.
    """
    import h5py  # Late, as everything that is slow: the folder of a run is also opened to be looked at.

    arrays: dict[str, np.ndarray] = {}
    with h5py.File(path, "r") as file:
        step, facts, checksum = int(file.attrs["step"]), file["facts"].asstr()[()], file.attrs["sha256"]

        def collect(name: str, node: Any) -> None:
            if isinstance(node, h5py.Dataset):
                arrays[name] = np.asarray(node[()])

        file["arrays"].visititems(collect)
    if _checksum(step, arrays, facts) != checksum:
        raise ValueError("its checksum is wrong")
    return Checkpoint(step, arrays, json.loads(facts))


def _checksum(step: int, arrays: dict[str, np.ndarray], facts: str) -> str:
    total = hashlib.sha256(f"{step}\n{facts}\n".encode())
    for name in sorted(arrays):
        array = np.asarray(arrays[name])
        total.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        total.update(np.ascontiguousarray(array).tobytes())
    return total.hexdigest()


def _prune(folder: Path, newest: Path) -> None:
    """Keep the newest and the one before it.

    Those of later steps are leavings of a run that was taken up again from an earlier one.
    """
    others = sorted((path for path in folder.glob(_PATTERN) if path != newest), reverse=True)
    before = [path for path in others if path.name < newest.name][:1]
    for path in others:
        if path not in before:
            path.unlink(missing_ok=True)
