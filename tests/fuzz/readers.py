"""Readers under test, each as a command calls it, with its sound files."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from . import seeds
from .seeds import Seed

Read = Callable[[Path, random.Random], object]


@dataclass(frozen=True)
class Reader:
    """A reader under test.

    Args:
        read: Function that reads a path, with random choices of its own.
        make: Function that makes the sound inputs.
    """

    read: Read
    make: Callable[[], list[Seed]]


@cache
def _config(kind: str, *assignments: str) -> Any:
    from unflat.recon.experiments.configs import parse_config

    return parse_config(f"kind: {kind}\n", assignments)


@cache
def _info() -> tuple[list[Any], list[Any]]:
    from unflat.recon.experiments import experiment_names, get_experiment

    experiments = [get_experiment(name) for name in experiment_names()]
    readers = [reader for experiment in experiments for reader in experiment.readers()]
    return readers, [describer for experiment in experiments for describer in experiment.describers()]


def _describe(path: Path) -> object:
    from unflat.recon.io.inspect import describe

    return describe(path, *_info())


def _measurement(kind: str, path: Path, *assignments: str) -> object:
    from unflat.recon.experiments import get_experiment

    experiment = get_experiment(kind)
    acquisition = experiment.read(_config(kind, *assignments), path)
    return experiment.validate(acquisition)


LITERALS = (
    "acquisition.wavelength=515 nm",
    "acquisition.numerical_aperture=0.65",
    "acquisition.medium_index=1.33",
    "acquisition.pixel_size=0.1 um",
    f"acquisition.illumination_na={seeds.NA.tolist()}",
)
LAB = (
    "acquisition.images=/I_raw",
    "acquisition.wavelength=/setup/lambda",
    "acquisition.pixel_size=/setup@pixel in nm",
    "acquisition.numerical_aperture=/@NA",
    "acquisition.medium_index=/@n",
    "acquisition.illumination_na=/setup/tilt",
)


def _acquisition(path: Path, rng: random.Random) -> object:
    if rng.random() < 0.3:
        return _describe(path)
    kind = path.stem if path.stem in ("crystal", "shape") else "cell"
    return _measurement(kind, path)


def _foreign(path: Path, rng: random.Random) -> object:
    if rng.random() < 0.3:
        return _describe(path)
    if rng.random() < 0.3:
        return _measurement("cell", path, *LITERALS, "acquisition.field=/parts", "acquisition.images=null")
    return _measurement("cell", path, *LAB)


def _volume(path: Path, rng: random.Random) -> object:
    from unflat.recon.io.volume_formats import read_volume

    return _describe(path) if rng.random() < 0.3 else read_volume(path)


def _stack(path: Path, rng: random.Random) -> object:
    """Read images or volumes of formats that hold both."""
    from unflat.recon.io.volume_formats import read_volume

    choice = rng.random()
    if choice < 0.25:
        return _describe(path)
    if choice < 0.5:
        return read_volume(path, rng.choice((None, (1e-7, 1e-7, 1e-7))))
    named = ("acquisition.images=/I", "acquisition.wavelength=515 nm") if path.suffix in (".npz", ".mat") else ()
    return _measurement("cell", path, *LITERALS, *named)


def _matlab(path: Path, rng: random.Random) -> object:
    if rng.random() < 0.3:
        return _describe(path)
    named = ("images=/I", "illumination_na=/setup/na", "wavelength=/setup/lambda in nm")
    return _measurement("cell", path, *LITERALS, *(f"acquisition.{name}" for name in named))


def _model(path: Path, _rng: random.Random) -> object:
    from unflat.recon.io.result import read_result

    model = read_result(path)
    return model.at(np.array([np.mean(model.bounds, axis=0), model.bounds[0]]))


def _network(path: Path, _rng: random.Random) -> object:
    from unflat.recon.io.network_file import read

    return read(path, "shape").steps


def _checkpoint(path: Path, _rng: random.Random) -> object:
    from unflat.recon.runs.checkpoint import latest_checkpoint

    return latest_checkpoint(path)


def _run(path: Path, rng: random.Random) -> object:
    from unflat.recon.runs.folder import RunFolder
    from unflat.recon.visualization.run_data import gather

    if rng.random() < 0.4:
        with RunFolder.create(path, resume=True, fingerprint={"config": {"seed": 0}}) as folder:
            return folder.latest_checkpoint()
    data = gather(path)
    return data.kind


def _density(path: Path, rng: random.Random) -> object:
    from unflat.recon.io.volume_formats import read_volume

    return read_volume(path)


def _cxi(path: Path, rng: random.Random) -> object:
    from unflat.recon.io.volume_formats import read_volume

    choice = rng.random()
    if choice < 0.3:
        return _describe(path)
    return read_volume(path) if path.stem == "phased" or choice < 0.4 else _measurement("crystal", path)


def _points(path: Path, rng: random.Random) -> object:
    from unflat.recon.io.points import read_points

    return read_points(path, rng.choice(("m", "um")))


def _scan(path: Path, rng: random.Random) -> object:
    return _describe(path) if rng.random() < 0.3 else _measurement("crystal", path)


def _sections(path: Path, rng: random.Random) -> object:
    return _describe(path) if rng.random() < 0.3 else _measurement("shape", path)


def _folder(path: Path, rng: random.Random) -> object:
    if rng.random() < 0.3:
        return _describe(path)
    table = rng.choice(("leds.csv", "leds.npy"))
    return _measurement("cell", path, *LITERALS, f"acquisition.illumination_na=/{table}")


def _yaml(path: Path, _rng: random.Random) -> object:
    from unflat.recon.experiments.configs import load_config

    return load_config(path)


READERS: dict[str, Reader] = {
    "acquisition": Reader(_acquisition, seeds.acquisitions),
    "foreign-hdf5": Reader(_foreign, seeds.foreign_hdf5),
    "volume-hdf5": Reader(_volume, seeds.volumes_hdf5),
    "model": Reader(_model, seeds.models),
    "network": Reader(_network, seeds.networks),
    "checkpoint": Reader(_checkpoint, seeds.checkpoints),
    "run-folder": Reader(_run, seeds.runs),
    "cxi": Reader(_cxi, seeds.cxis),
    "tiff": Reader(_stack, seeds.tiffs),
    "image-folder": Reader(_folder, seeds.image_folders),
    "matlab": Reader(_matlab, seeds.matlabs),
    "npz": Reader(_stack, seeds.npzs),
    "npy": Reader(_density, seeds.npys),
    "points": Reader(_points, seeds.points),
    "spec": Reader(_scan, seeds.specs),
    "34-id-c": Reader(_scan, seeds.scans),
    "section-zip": Reader(_sections, seeds.section_archives),
    "sections": Reader(_sections, seeds.sections),
    "mrc": Reader(_volume, seeds.mrcs),
    "vti": Reader(_volume, seeds.vtis),
    "config": Reader(_yaml, seeds.configs),
}
