"""The simulated cell on which the fields compete, for speed and with fewer and fewer images.

It is the demonstration's cell, wider: SSNP at half the voxel with photon noise makes its images.
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
"""The fields, each with a strength and a rate of its own. Those of the voxels are the best of eighteen pairs on a cell
of another seed, the rate of DeCAF's field the best of a few; the pyramid has the defaults."""
TINY_FIELD: Options = {"fit.fourier.width": 8, "fit.fourier.depth": 2}


def scene(ledger: Ledger, images: int, quick_images: int) -> Options:
    """The cell and its light: a number of images of it, another where everything is to be tiny."""
    side, depth = ledger.choose((64, "7 um"), (24, "3 um"))
    return {
        "simulate.shape": [side, side],
        "simulate.depth": depth,
        "volume.depth": depth,
        "simulate.illumination.count": ledger.choose(images, quick_images),
    }


def files(ledger: Ledger) -> tuple[Path, Path]:
    """The config, written afresh, and where the images go."""
    config = ledger.scratch / "config.yaml"
    config.write_text(shipped(CONFIG), encoding="utf-8")
    return config, ledger.scratch / "acquisition.h5"


def simulate(ledger: Ledger, options: Options) -> Numbers:
    """Make the images by the command, replacing what is there."""
    config, acquisition = files(ledger)
    words = ("simulate", config, "-o", acquisition, "--force", "--device", ledger.device, *assigned(options))
    return {"seconds": unflat(*words, log=ledger.scratch / "simulate.log").seconds}
