"""A finished run, and servers of the view, for its tests."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from unflat.recon.viewer.api import Api
from unflat.recon.viewer.catalog import Catalog
from unflat.recon.viewer.server import ViewServer

from .builders import voxel_model, write_run


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run."""
    return write_run(tmp_path_factory.mktemp("runs") / "first", voxel_model())


@pytest.fixture
def serve() -> Iterator[Callable[[Path], ViewServer]]:
    """Function that serves paths on a free port until the test ends."""
    servers: list[tuple[ViewServer, threading.Thread]] = []

    def start(*paths: Path) -> ViewServer:
        server = ViewServer(Api(Catalog(paths)))
        servers.append((server, server.start()))
        return server

    yield start
    for server, thread in servers:
        server.shutdown()
        server.server_close()
        thread.join(10)
