"""Entry of the command line: signals are taken before anything slow is imported."""

from ..recon.signals import ignore_late_signals, take_signals

TYPE_CHECKING = False  # As in the root of the package: imports of the library's typing come after the signals.
if TYPE_CHECKING:
    from typing import NoReturn


def main() -> "NoReturn":
    """Run the command line as a process of its own, and exit with its status."""
    take_signals()
    from .main import main as run_command_line

    try:
        run_command_line()
    finally:
        ignore_late_signals()
