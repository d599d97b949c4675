"""Reference reconstructions by cohere (PyPI: cohere-core), in an environment of its own.

    python -m venv FOLDER && FOLDER/bin/python -m pip install cohere-core

As a program, run by that environment's Python: AMPLITUDES.npy OUTPUT.npz SEED SEQUENCE. The recipe is the one that
cohere-ui ships for its own example, scan 54 of 34-ID-C.
"""

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .ledger import Ledger

INSTALL_SECONDS = 900
SEQUENCE = "3*(20*ER+180*HIO)+20*ER"
SHORT = "2*ER+8*HIO"
RECIPE: dict[str, Any] = {
    "hio_beta": 0.9,
    "initial_support_area": [0.5, 0.5, 0.5],
    "shrink_wrap_trigger": [1, 1],
    "shrink_wrap_type": "GAUSS",
    "shrink_wrap_threshold": 0.1,
    "shrink_wrap_gauss_sigma": 1.0,
    "twin_trigger": [2],
    "twin_halves": [0, 0],
}


class Absent(RuntimeError):  # noqa: N818 - it is no fault
    """Reason why cohere cannot be installed here."""


def environment(ledger: "Ledger") -> Path:
    """Return the Python of an environment with cohere, created if need be.

    Raises:
        Absent: If it cannot be installed.
    """
    folder = ledger.scratch.parent / "cohere"
    python = folder / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    probe = [str(python), "-c", "import cohere_core.controller.phasing"]
    steps = [
        [sys.executable, "-m", "venv", str(folder)],
        [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "cohere-core"],
        probe,
    ]
    try:
        if python.exists() and subprocess.run(probe, capture_output=True, check=False).returncode == 0:
            return python
        for words in steps:
            subprocess.run(words, check=True, capture_output=True, timeout=INSTALL_SECONDS)
    except (OSError, subprocess.SubprocessError) as error:
        raise Absent(f"no cohere to compare with: {error}") from error
    return python


def reconstruct(ledger: "Ledger", name: str, amplitudes: Any, seed: int, sequence: str = SEQUENCE) -> dict[str, Any]:
    """Run cohere once.

    Args:
        ledger: Ledger with the folder of files.
        name: Base name of the files.
        amplitudes: √counts (frame, y, x), the brightest pixel in the centre; 0 at pixels without a measurement, since
            cohere has no mask.
        seed: Seed of the start.
        sequence: Sequence of algorithms.

    Returns:
        ``modelled`` counts at some scale and ``density``, both centred; ``seconds`` of the iterations alone and of the
        whole process, ``iterations``, ``version``.

    Raises:
        Absent: If it cannot be installed.
    """
    import numpy as np
    from scipy import fft

    from .commands import run

    python = environment(ledger)
    source, output = ledger.scratch / f"{name}.npy", ledger.scratch / f"{name}-{seed}.npz"
    np.save(source, np.asarray(amplitudes, np.float32))
    words = [str(python), str(Path(__file__).resolve()), str(source), str(output), str(seed), sequence]
    cost = run(words, log=ledger.scratch / f"{name}-{seed}.log", folder=ledger.scratch)
    with np.load(output) as arrays:
        image, metadata = arrays["image"], json.loads(str(arrays["metadata"]))
    # Cohere propagates by the inverse transform; the conjugate propagates by the forward one.
    image = np.conj(image)
    modelled = np.abs(fft.fftshift(fft.fftn(image.astype(np.complex128)))) ** 2
    return {"modelled": modelled, "density": image, "wall_seconds": cost.seconds, **metadata}


def main(source: str, output: str, seed: int, sequence: str) -> None:
    """Reconstruct by cohere and write the result."""
    from importlib.metadata import version

    import numpy as np
    from cohere_core.controller import phasing

    np.random.seed(seed)
    np.random.seed = lambda *_: None  # otherwise cohere seeds by the clock
    worker = phasing.create_rec({**RECIPE, "algorithm_sequence": sequence}, source, "np", -1, debug=True)
    began = time.monotonic()
    worker.iterate()
    seconds = time.monotonic() - began
    metadata = {"seconds": seconds, "iterations": len(worker.errs), "version": f"cohere {version('cohere-core')}"}
    np.savez(output, image=np.asarray(worker.ds_image), metadata=json.dumps(metadata))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4])
