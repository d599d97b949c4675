"""The file of a network: its constants, its weights, what it was trained on and how well it did. No code, no pickle."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from ..errors import DataError, Diagnostic
from .atomic import write_atomically
from .hdf5_common import open_checked, text_of, write_root_attributes
from .safe_hdf5 import new_hdf5

FORMAT = "unflat-network"
FILE_NAME = "network.h5"
TEACHER = "teacher"
"""In place of ``network`` in the name of a network as it was before it was distilled."""
SHIPPED = "shipped"
"""What a config says for the network that comes with unflat."""
STEPS_OF_ANSWER = "steps_of_answer"
"""Name, in the provenance, of the steps from noise to an answer that a network is made for."""
STEPS = 8
"""The same of networks that are not distilled, and of those that say nothing of it."""
_FOLDER = Path(__file__).parents[1] / "networks" / "shipped"
_LARGEST = 100.0
"""Weight beyond which a network is not believed."""


@dataclass(frozen=True)
class Network:
    """A trained network.

    Args:
        kind: Kind of experiment.
        constants: What its architecture needs to be built again.
        weights: By name.
        provenance: Config, seed, versions, numbers of its training.
        statistics: What was learned beside the weights, without steps; a kind knows what it is.
    """

    kind: str
    constants: Mapping[str, Any]
    weights: Mapping[str, np.ndarray]
    provenance: Mapping[str, Any] = field(default_factory=dict)
    statistics: Mapping[str, np.ndarray] = field(default_factory=dict)

    @property
    def steps(self) -> int:
        """Steps from noise to an answer that it is made for."""
        return int(self.provenance.get(STEPS_OF_ANSWER, STEPS))

    @property
    def distilled(self) -> bool:
        """Whether it has learned the draws of another, and knows its own way no more."""
        return self.steps < STEPS


def write(network: Network, path: Path) -> None:
    """Write a network, whole or not at all; weights in float16, in which nothing of the answers is lost.

    Raises:
        DataError: If the disk refuses, or a weight is not finite.
    """
    bad = [name for name, array in network.weights.items() if not np.all(np.abs(array) < _LARGEST)]
    if bad:
        raise DataError(
            Diagnostic(str(path), f"the weights {bad[0]} are not finite or far too large; nothing is written")
        )
    with write_atomically(path) as temporary, new_hdf5(temporary) as file:
        write_root_attributes(file, FORMAT, network.kind, "weights")
        file["architecture"] = json.dumps(dict(network.constants))
        file["provenance"] = json.dumps(dict(network.provenance), default=str)
        group = file.create_group("weights")
        group.attrs["NX_class"] = "NXcollection"
        for name, array in network.weights.items():
            packed: dict[str, Any] = {"compression": "gzip", "shuffle": True} if array.size > 1024 else {}
            group.create_dataset(name, data=np.asarray(array, np.float16), **packed).attrs["units"] = "1"
        for name, array in network.statistics.items():
            file.create_dataset(f"statistics/{name}", data=np.asarray(array, np.float64)).attrs["units"] = "1"


def read(name: str | Path, kind: str) -> Network:
    """Read a network.

    Args:
        name: Its file, the run that trained it, or ``shipped``.
        kind: Of the experiment that it is for.

    Raises:
        DataError: If there is none, or it is not one of this kind.
    """
    path = path_of(name, kind)
    with open_checked(path, FORMAT) as file:
        found = text_of(file.attrs.get("kind", ""))
        if found != kind:
            remedy = f"name a network for a {kind}, or predict.network=shipped"
            raise DataError(Diagnostic(str(path), f"is a network for a {found}, not for a {kind}", remedy))
        weights = {name: array.astype(np.float32) for name, array in _arrays(file, "weights").items()}
        statistics = _arrays(file, "statistics")
        constants, provenance = (json.loads(text_of(file[part][()])) for part in ("architecture", "provenance"))
    return Network(kind, constants, weights, provenance, statistics)


def _arrays(file: h5py.File, group: str) -> dict[str, np.ndarray]:
    found = file.get(group, {})
    return {name: item[()] for name, item in found.items() if isinstance(item, h5py.Dataset)}


def path_of(name: str | Path, kind: str) -> Path:
    """Find a network's file; arguments as for `read`.

    Raises:
        DataError: If none comes with this copy.
    """
    if str(name) == SHIPPED:
        path = _FOLDER / f"{kind}.h5"
        if not path.is_file():
            message = f"no network for a {kind} comes with this copy"
            raise DataError(
                Diagnostic("predict.network", message, f"train one with unflat train, and name {FILE_NAME}")
            )
        return path
    path = Path(name)
    return path / FILE_NAME if path.is_dir() else path


def path_before(name: str | Path, kind: str) -> Path:
    """Find the file of a network that is to be trained on: as it was before it was distilled, if that is beside it.

    Args:
        name: As for `read`.
        kind: Likewise.

    Raises:
        DataError: If none comes with this copy.
    """
    path = path_of(name, kind)
    former = f"{kind}-{TEACHER}.h5" if str(name) == SHIPPED else path.name.replace(Path(FILE_NAME).stem, TEACHER)
    beside = path.with_name(former)
    return beside if beside.is_file() else path
