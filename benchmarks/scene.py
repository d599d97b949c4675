"""Simulated cell for the comparison of fields, in speed and with few images.

It is a wider version of the cell of the demo, with images by SSNP at half the voxel with photon noise.
"""

from pathlib import Path

from unflat.recon.experiments.shipped_configs import shipped

from .commands import Options, assigned, unflat
from .ledger import Ledger, Numbers

CONFIG = "demo-cell"
OF_FIELD: dict[str, Options] = {
    "pyramid": {},
    "voxels": {"fit.learning_rate": 0.1, "fit.tv": 8.0},
    "fourier": {"fit.learning_rate": 0.002},
}
"""Options of each field. Those of the voxels are the best of eighteen pairs on a cell of another seed, and the learning
rate of the Fourier field (DeCAF) is the best of a few; the pyramid has the defaults."""
TINY_FIELD: Options = {"fit.fourier.width": 8, "fit.fourier.depth": 2}


def scene(ledger: Ledger, images: int, quick_images: int) -> Options:
    """Return the options of the cell and its illumination, for a number of images."""
    side, depth = ledger.choose((64, "7 um"), (24, "3 um"))
    return {
        "simulate.shape": [side, side],
        "simulate.depth": depth,
        "volume.depth": depth,
        "simulate.illumination.count": ledger.choose(images, quick_images),
    }


def files(ledger: Ledger) -> tuple[Path, Path]:
    """Write the config, and return its path and that of the acquisition."""
    config = ledger.scratch / "config.yaml"
    config.write_text(shipped(CONFIG), encoding="utf-8")
    return config, ledger.scratch / "acquisition.h5"


def simulate(ledger: Ledger, options: Options) -> Numbers:
    """Simulate the images by the command, replacing former ones."""
    config, acquisition = files(ledger)
    words: tuple[str | Path, ...] = (
        "simulate",
        config,
        "-o",
        acquisition,
        "--force",
        "--device",
        ledger.device,
        *assigned(options),
    )
    return {"seconds": unflat(*words, log=ledger.scratch / "simulate.log").seconds}
