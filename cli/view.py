"""``unflat view``: a live page of results and of runs that go on."""

import os
import shlex
import signal
import socket
import sys
import tempfile
import threading
import webbrowser
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from html import escape
from pathlib import Path

import click

from . import console
from .options import PATH


@click.command()
@click.argument("paths", type=PATH, nargs=-1, required=True, metavar="PATH...")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=0, show_default=True, help="Port to listen on; 0 for a free one."
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--browser/--no-browser", default=None, help="Open the page in a browser; by default where there is a display."
)
@click.option(
    "--link", default="", metavar="STATE", help="Part after # of a link that the page copied: the exact view."
)
def command(paths: tuple[Path, ...], port: int, host: str, browser: bool | None, link: str) -> None:
    """Show PATHS in a browser: run folders, folders of runs, model files or volumes.

    The page samples the continuous model as you drag: planes at any angle and zoom, volume rendering, the draws of a
    prediction and their spread, profiles. Of a run that goes on it shows losses and verdict as they come, and a new
    run of a folder appears by itself. It needs the run folder only, neither the data nor a GPU, and loads nothing from
    other machines. Ctrl-C ends it.

    On a remote machine, it prints the command that forwards its port to yours.

    \b
    Examples:
      unflat view RUN
      unflat view RUN1 RUN2
      unflat view RUNS --port 8800 --no-browser
      unflat view model.h5
    """
    from ..recon.viewer.access import LOOPBACK
    from ..recon.viewer.api import Api
    from ..recon.viewer.catalog import Catalog
    from ..recon.viewer.server import ViewServer

    catalog = Catalog(paths)
    if not catalog.entries():
        console.note(f"{', '.join(map(str, paths))}: no run yet; it is shown when it begins")
    with ViewServer(Api(catalog), host, port) as server:
        if host not in LOOPBACK:
            console.warn(f"--host {host}: others on the network can reach the page, and its traffic is not encrypted")
        state = f"#{link.removeprefix('#')}" if link else ""
        console.print_line(f"view: {server.url}{state}")
        if forwarding := forward_command(server.port, os.environ):
            console.print_line(f"from your machine: {forwarding}")
        with _end_of_process() as ended, ExitStack() as stack:
            server.start()
            if browser or (browser is None and _has_display(os.environ)):
                _open_browser(server.local_url + state, stack)
            ended.wait()
            server.shutdown()


def forward_command(port: int, environment: Mapping[str, str]) -> str:
    """Write the command that forwards a port of this machine to that of the user; empty where both are one.

    Args:
        port: Port of the server.
        environment: Environment variables: those of a login by ssh, or of a SLURM job.
    """
    host, here = socket.gethostname(), ("ssh", "-L", f"{port}:127.0.0.1:{port}")
    if "SLURM_JOB_ID" in environment:
        login = environment.get("SLURM_SUBMIT_HOST", "")
        jump = ("-J", login) if login and login != host else ()
        return shlex.join([*here, *jump, host])
    return shlex.join([*here, host]) if "SSH_CONNECTION" in environment else ""


def _open_browser(url: str, stack: ExitStack) -> None:
    """Open an address in the user's browser.

    Args:
        url: The address, with the token.
        stack: Receives what is to be removed at the end.
    """
    try:
        page = stack.enter_context(redirect_page(url))
    except OSError as error:
        console.warn(f"no browser is opened: {error}")
        return
    threading.Thread(target=webbrowser.open, args=(page.as_uri(),), daemon=True).start()


@contextmanager
def redirect_page(url: str) -> Iterator[Path]:
    """Yield a page that only the user can read and that leads to an address, until it is no longer needed.

    The browser is started with the name of this file: all users of a machine see the arguments of its processes, and
    the address holds the token.

    Args:
        url: The address.
    """
    # A browser from a snap sees neither the temporary files of the machine nor hidden folders.
    folder = Path.home() if Path("/snap/bin").is_dir() else None
    descriptor, name = tempfile.mkstemp(".html", "unflat-view-", folder)  # Mode 0600.
    page = Path(name)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            refresh = f'<meta http-equiv="refresh" content="0; url={escape(url)}">'
            stream.write(f'<!doctype html><meta charset="utf-8"><title>unflat view</title>{refresh}\n')
        yield page
    finally:
        with suppress(OSError):
            page.unlink()


@contextmanager
def _end_of_process() -> Iterator[threading.Event]:
    """Yield an event that Ctrl-C and SIGTERM set: each is the regular end of a view."""
    ended = threading.Event()
    former = {number: signal.signal(number, lambda *_: ended.set()) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield ended
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


def _has_display(environment: Mapping[str, str]) -> bool:
    """Whether a browser could open a window here."""
    if any(name in environment for name in ("SSH_CONNECTION", "SLURM_JOB_ID", "CI")):
        return False
    return sys.platform in ("win32", "darwin") or bool(environment.get("DISPLAY") or environment.get("WAYLAND_DISPLAY"))
