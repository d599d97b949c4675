"""File of a network: its constants, weights, provenance and training statistics. No code, no pickle."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from ..errors import DataError, Diagnostic
from .atomic import write_atomically
from .guard import COPY_AGAIN
from .hdf5_common import open_checked, read_json, text_of, write_root_attributes
from .safe_hdf5 import new_hdf5

FORMAT = "unflat-network"
FILE_NAME = "network.h5"
TEACHER = "teacher"
"""In place of ``network`` in the name of a network as it was before it was distilled."""
SHIPPED = "shipped"
"""Name, in a config, of the network that comes with unflat."""
SAMPLING_STEPS = "steps_of_answer"
"""Name, in the provenance, of the number of steps from noise to a sample that a network is made for."""
TRAINED_ON = "trained_on"
"""Root attribute that describes the specimens of the training."""
STEPS = 8
"""Number of those steps for networks that are not distilled, and for those whose provenance lacks it."""
_FOLDER = Path(__file__).parents[1] / "networks" / "shipped"
_MOST_STEPS = 10_000
_LARGEST = 100.0
"""Weight beyond which a network is refused."""
SELF_TEST = "selftest"
"""Group of the values that the network gives for inputs which are drawn from a seed."""
_FORMER_NAME = re.compile(r"(?P<layer>.+)\.(?P<array>[wb])")
_FORMER_ARRAYS = {"w": "kernel", "b": "bias"}


@dataclass(frozen=True)
class Network:
    """Contents of a network's file.

    Args:
        kind: Kind of experiment.
        constants: Arguments that build the architecture again.
        weights: Arrays by name.
        provenance: Config, seed, versions, numbers of the training.
        statistics: Arrays that were learned beside the weights, without steps, for the experiment.
        trained_on: Description of the specimens of the training in one line; empty if unknown.
        self_test: Values that the stored weights give for inputs which are drawn from a seed; None in files of
            earlier versions, and where the weights have changed since.
        source: File that it was read from; empty if none.
    """

    kind: str
    constants: Mapping[str, Any]
    weights: Mapping[str, np.ndarray]
    provenance: Mapping[str, Any] = field(default_factory=dict)
    statistics: Mapping[str, np.ndarray] = field(default_factory=dict)
    trained_on: str = ""
    self_test: np.ndarray | None = None
    source: str = field(default="", compare=False)

    @property
    def steps(self) -> int:
        """Number of steps from noise to a sample that the network is made for."""
        return int(self.provenance.get(SAMPLING_STEPS, STEPS))

    @property
    def distilled(self) -> bool:
        """Whether it has learned the draws of another network in fewer steps."""
        return self.steps < STEPS


def write(network: Network, path: Path) -> None:
    """Write a network, whole or not at all; weights in float16, which changes nothing in the samples.

    Raises:
        DataError: If the disk refuses, or a weight or a value of the self-test is not finite.
    """
    bad = [name for name, array in network.weights.items() if not np.all(np.abs(array) < _LARGEST)]
    if bad:
        raise DataError(
            Diagnostic(str(path), f"the weights {bad[0]} are not finite or far too large; nothing is written")
        )
    if network.self_test is not None and not np.isfinite(network.self_test).all():
        raise DataError(Diagnostic(str(path), "the network gives values that are not finite; nothing is written"))
    with write_atomically(path) as temporary, new_hdf5(temporary) as file:
        write_root_attributes(file, FORMAT, network.kind, "weights")
        if network.trained_on:
            file.attrs[TRAINED_ON] = network.trained_on
        file["architecture"] = json.dumps(dict(network.constants))
        file["provenance"] = json.dumps(dict(network.provenance), default=str)
        group = file.create_group("weights")
        group.attrs["NX_class"] = "NXcollection"
        for name, array in network.weights.items():
            packed: dict[str, Any] = (
                {"compression": "gzip", "shuffle": True, "fletcher32": True} if array.size > 1024 else {}
            )
            group.create_dataset(name, data=np.asarray(array, np.float16), **packed).attrs["units"] = "1"
        for name, array in network.statistics.items():
            file.create_dataset(f"statistics/{name}", data=np.asarray(array, np.float64)).attrs["units"] = "1"
        if network.self_test is not None:
            file.create_dataset(f"{SELF_TEST}/values", data=network.self_test).attrs["units"] = "1"


def as_stored(network: Network) -> Network:
    """Return a network with the weights that its file holds, without the self-test of those that it was read with."""
    weights = {name: np.asarray(array, np.float16).astype(np.float32) for name, array in network.weights.items()}
    return replace(network, weights=weights, self_test=None)


def read(name: str | Path, kind: str) -> Network:
    """Read a network.

    Args:
        name: Path of the network, the folder of the run that trained it, or ``shipped``.
        kind: Kind of experiment that it is needed for.

    Raises:
        DataError: If there is none, or it is not one of this kind.
    """
    path = path_of(name, kind)
    state = path.stat() if path.is_file() else None
    return _read(path, kind, state and (state.st_ino, state.st_size, state.st_mtime_ns))


@lru_cache(maxsize=1)
def _read(path: Path, kind: str, state: tuple[int, ...] | None) -> Network:
    """Read a file of a network, once for all parts of a run that need it.

    Args:
        path: The file.
        kind: Kind of experiment that it is needed for.
        state: Numbers that change with the file.
    """
    with open_checked(path, FORMAT) as file:
        actual = text_of(file.attrs.get("kind", ""))
        if actual != kind:
            remedy = f"name a network for a {kind}, or predict.network=shipped"
            raise DataError(Diagnostic(str(path), f"is a network for a {actual}, not for a {kind}", remedy))
        weights = {_current_name(name): array.astype(np.float32) for name, array in _arrays(file, "weights").items()}
        statistics, self_test = (_arrays(file, group) for group in ("statistics", SELF_TEST))
        constants, provenance = (read_json(file[part]) for part in ("architecture", "provenance"))
        trained_on = text_of(file.attrs.get(TRAINED_ON, ""))
    test = self_test.get("values")
    network = Network(kind, constants, weights, provenance, statistics, trained_on, test, str(path))
    if not isinstance(constants, dict) or not isinstance(provenance, dict) or not _is_count(network.provenance):
        raise DataError(Diagnostic(str(path), "its constants or its provenance are none of a network", COPY_AGAIN))
    return network


def _is_count(provenance: Mapping[str, Any]) -> bool:
    """Whether the number of steps to a sample is a positive whole number."""
    steps = provenance.get(SAMPLING_STEPS, STEPS)
    return isinstance(steps, int | float) and 0 < steps < _MOST_STEPS and steps == int(steps)


def _arrays(file: h5py.File, group: str) -> dict[str, np.ndarray]:
    """Read the arrays of numbers in a group.

    Raises:
        DataError: If it is no group, or one of them holds no numbers.
    """
    items = file.get(group)
    if items is not None and not isinstance(items, h5py.Group):
        raise DataError(Diagnostic(f"{file.filename}:/{group}", "is no group of arrays", COPY_AGAIN))
    datasets = {name: item for name, item in (items or {}).items() if isinstance(item, h5py.Dataset)}
    wrong = next((name for name, item in datasets.items() if item.dtype.kind not in "iuf"), None)
    if wrong is not None:
        raise DataError(Diagnostic(f"{file.filename}:/{group}/{wrong}", "holds no real numbers", COPY_AGAIN))
    return {name: np.asarray(item[()]) for name, item in datasets.items()}


def _current_name(name: str) -> str:
    """Translate a weight's name in files written before networks were flax modules: ``in.w``, ``up.0.0.tune.b``."""
    former = _FORMER_NAME.fullmatch(name)
    if former is None:
        return name
    layer = "input" if former["layer"] == "in" else former["layer"]
    prefix = "" if layer == "skips" else "unet."
    return f"{prefix}{layer}.{_FORMER_ARRAYS[former['array']]}"


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


def teacher_path(name: str | Path, kind: str) -> Path:
    """Find the file of the network before it was distilled, if it is beside the network's own; else that one.

    Args:
        name: File of the network, the folder of the run that trained it, or ``shipped``, beside which there is none.
        kind: Kind of experiment.

    Raises:
        DataError: If none comes with this copy.
    """
    path = path_of(name, kind)
    beside = path.with_name(path.name.replace(Path(FILE_NAME).stem, TEACHER))
    return beside if beside.is_file() else path
