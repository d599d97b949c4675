"""Commands of unflat in the process of the tests, where jax is loaded and its programs are traced already."""

import contextlib
import io
import subprocess
from pathlib import Path

from unflat.cli.main import run


def run_here(*words: str | Path, folder: Path = Path()) -> subprocess.CompletedProcess[str]:
    """Run a command; its exit status is the one that a process of its own would end with.

    Args:
        words: Words after ``unflat``.
        folder: Working folder of the command.
    """
    out, err, line = io.StringIO(), io.StringIO(), [str(word) for word in words]
    with contextlib.chdir(folder), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = run(line)
    return subprocess.CompletedProcess(line, status, out.getvalue(), err.getvalue())
