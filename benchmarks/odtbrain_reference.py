"""Reference reconstructions by ODTbrain (Rytov, back-propagation), in an environment of its own.

As a program, run by that environment's Python: SOURCE VIEWS BIN OUTPUT.
"""

import itertools
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .ledger import Ledger

INSTALL_SECONDS = 600


def reconstruct(
    ledger: "Ledger", source: Path, views: str, size: int, accuracy: Callable[[Any], dict[str, Any]]
) -> dict[str, Any] | None:
    """Run ODTbrain and evaluate its result; None if it cannot be installed, and in a trial.

    Args:
        ledger: Ledger that stores the numbers.
        source: File with the fields.
        views: Slice of views.
        size: Binning along each axis.
        accuracy: Function for the accuracy of an index on the samples of the truth.
    """
    if ledger.quick:
        return None

    def compute() -> dict[str, Any]:
        python = _environment(ledger.scratch / "odtbrain")
        return _measure(ledger, python, source, views, size, accuracy)

    try:
        return ledger.part("odtbrain", {"views": views, "bin": size}, compute)
    except (OSError, subprocess.SubprocessError) as error:
        print(f"fdtd: no ODTbrain to compare with: {error}", flush=True)
        return None


def _environment(folder: Path) -> Path:
    """Create an environment with ODTbrain, and return its Python.

    Raises:
        SubprocessError: If it cannot be installed.
    """
    python = folder / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    for words in (
        [sys.executable, "-m", "venv", str(folder)],
        [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "odtbrain", "h5py"],
        [str(python), "-c", "import odtbrain, h5py"],
    ):
        subprocess.run(words, check=True, capture_output=True, timeout=INSTALL_SECONDS)
    return python


def _measure(
    ledger: "Ledger", python: Path, source: Path, views: str, size: int, accuracy: Callable[[Any], dict[str, Any]]
) -> dict[str, Any]:
    import numpy as np

    from .commands import run

    output = ledger.scratch / "odtbrain.npz"
    words = [str(python), str(Path(__file__).resolve()), str(source), views, str(size), str(output)]
    cost = run(words, log=ledger.scratch / "odtbrain.log")
    with np.load(output) as arrays:
        index, metadata = arrays["index"], json.loads(str(arrays["metadata"]))
    figures = [
        accuracy(np.ascontiguousarray(index.transpose(order)[:: steps[0], :: steps[1], :: steps[2]]))
        for order in ((0, 1, 2), (2, 1, 0))  # the rotation is about the middle axis
        for steps in itertools.product((1, -1), repeat=3)
    ]
    best = max(figures, key=lambda one: one["psnr"])
    return {**best, **metadata, "wall_seconds": cost.seconds, "peak_bytes": cost.peak_bytes}


def main(source: str, views: str, size: int, output: str) -> None:
    """Read and bin the fields, reconstruct, and write the result."""
    import h5py
    import numpy as np
    import odtbrain

    chosen = slice(*(int(part) if part else None for part in views.split(":")))
    with h5py.File(source) as file:
        angles = file["angle"][chosen]
        fields = (file["field_real"][chosen] + 1j * file["field_imag"][chosen]) * float(
            file["field_real"].attrs["scale"]
        )
        medium, pixels = float(file.attrs["medium_index"]), float(file.attrs["pixels_per_vacuum_wavelength"])
        distance = float(file.attrs["focus_distance_px"])
    count = fields.shape[1] // size
    cropped = fields[:, : count * size, : count * size]
    coarse = cropped.reshape(len(fields), count, size, count, size).mean(axis=(2, 4))
    began = time.monotonic()
    rytov = odtbrain.sinogram_as_rytov(coarse)
    potential = odtbrain.backpropagate_3d(rytov, angles, pixels / size, medium, lD=distance / size)
    index = odtbrain.odt_to_ri(potential, pixels / size, medium)
    metadata = {"seconds": time.monotonic() - began, "version": f"ODTbrain {odtbrain.__version__}"}
    np.savez(output, index=index.real, metadata=json.dumps(metadata))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4])
