"""Machine on which results were measured."""

from functools import cache
from hashlib import sha256
from pathlib import Path

from unflat.recon.benchmarking.machine import machine

__all__ = ["machine", "sentence", "source"]


@cache
def source() -> str:
    """Return a short checksum of the measured code; the parts of a benchmark should have the same."""
    root = Path(__file__).resolve().parents[1]
    digest = sha256()
    for path in sorted(p for room in ("cli", "recon", "physics") for p in (root / room).rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def sentence(description: dict[str, str]) -> str:
    """Format the description of a machine in one line."""
    accelerator = description["accelerator"] or "no accelerator"
    template = (
        "{cores} cores ({cpu}), {memory} of memory, {graphics}; Python {python}, jax {jax}, numpy {numpy}, "
        "unflat {unflat}; {system}"
    )
    return template.format(**description, graphics=accelerator)
