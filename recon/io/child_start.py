"""Start of a Python process that serves this one until its standard input ends."""

import subprocess
import sys
from typing import Any


def child_command(module: str, *arguments: str) -> list[str]:
    """Words that start such a process.

    It ignores signals before it imports anything slow: a cluster sends them to every process of a job, and the one that
    asks this for work takes its death for a fault of a file.

    Args:
        module: Module whose function ``serve`` is run.
        arguments: Arguments of the process.
    """
    package = __name__.partition(".")[0]
    code = (
        f"import sys; sys.path[:] = {[p for p in sys.path if p]!r}; "
        f"from {package}.recon.signals import leave_signals_to_parent; leave_signals_to_parent(); "
        f"from {module} import serve; serve()"
    )
    return [sys.executable, "-c", code, *arguments]


def start_child(module: str, *arguments: str, **options: Any) -> "subprocess.Popen[bytes]":
    """Start such a process, with pipes to and from it, in a session of its own: Ctrl-C is for the command alone.

    Args:
        module: Module whose function ``serve`` is run.
        arguments: Arguments of the process.
        options: Further options of `subprocess.Popen`.
    """
    command = child_command(module, *arguments)
    return subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=sys.platform != "win32", **options
    )
