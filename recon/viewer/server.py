"""HTTP server of the view: static files, access, and the answers of the API."""

import errno
import json
import logging
import socket
import threading
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from ..errors import ConfigError, Diagnostic
from ..version import __version__
from .access import HEADERS, WILDCARDS, Access, Refusal
from .api import Api, Response

_log = logging.getLogger(__name__)
PAGE = Path(__file__).with_name("page")
_TYPES = MappingProxyType(
    {
        ".html": "text/html; charset=utf-8",
        ".css": "text/css; charset=utf-8",
        ".js": "text/javascript; charset=utf-8",
        ".mjs": "text/javascript; charset=utf-8",
        ".json": "application/json; charset=utf-8",
        ".svg": "image/svg+xml",
        ".png": "image/png",
        ".ico": "image/x-icon",
        ".txt": "text/plain; charset=utf-8",
    }
)
"""Media types of the files of the page; others, such as licences, are text."""
_CONNECTIONS = 64
"""Largest number of connections at a time; a browser keeps six."""
_STRANGER_TIMEOUT = 5.0
"""[s] Time after which a connection that has not shown the token yet is closed."""
_TIMEOUT = 60.0
"""[s] Time after which a connection without a request is closed."""
_PLACE_TIMEOUT = 1.0
"""[s] Time in which the thread of a closed connection ends."""
_CHUNK = 1 << 18
"""[byte] Part of an answer that is sent at once: the time limit is that of a part, however slow the line."""
_POLL = 0.05
"""[s] Time between two looks at whether the server is to end."""
_LOGIN = (
    "<!doctype html><html lang='en'><meta charset='utf-8'><title>unflat view</title>"
    "<main><h1>unflat view</h1><p>This page needs the token that <code>unflat view</code> printed with its address.</p>"
    "<form method='get' action='/'><label>Token <input name='token' autocomplete='off'></label> "
    "<button>Open</button></form></main></html>"
)
_ENTRY = (
    "<!doctype html><html lang='en'><meta charset='utf-8'><title>unflat view</title>"
    "<script src='/enter.js'></script><noscript><a href='/'>Open the view</a></noscript></html>"
)
"""Page of a visitor who comes from a file or another site: a redirect would not carry the cookie on."""


@dataclass(frozen=True)
class StaticFiles:
    """Files of the page, read once.

    Args:
        files: Content and media type by path, such as ``/style.css``.
    """

    files: MappingProxyType[str, tuple[bytes, str]]

    @classmethod
    def read(cls, folder: Path = PAGE) -> "StaticFiles":
        """Read all files of a folder; ``index.html`` is ``/`` too."""
        files = {}
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                name = "/" + file.relative_to(folder).as_posix()
                files[name] = (file.read_bytes(), _TYPES.get(file.suffix, "text/plain; charset=utf-8"))
        if "/index.html" in files:
            files["/"] = files["/index.html"]
        return cls(MappingProxyType(files))


class ViewServer(ThreadingHTTPServer):
    """Server of one view.

    Args:
        api: Answers.
        host: Address to listen on.
        port: Port; 0 for a free one.

    Raises:
        ConfigError: If the port is in use, or the address is none of this machine.
    """

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, api: Api, host: str = "127.0.0.1", port: int = 0):
        self.api = api
        self.static = StaticFiles.read()
        self._places = threading.BoundedSemaphore(_CONNECTIONS)
        self._strangers: dict[socket.socket, None] = {}
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            super().__init__((host, port), _Handler)
        except (OSError, OverflowError) as error:
            raise ConfigError(_cannot_listen(host, port, error)) from error
        self.access = Access(host, self.port)

    @property
    def port(self) -> int:
        """Port that it listens on."""
        return int(self.server_address[1])

    @property
    def url(self) -> str:
        """Address of the page, with the token; that of all addresses of the machine has its name."""
        host = self.access.host
        return self._url_at(socket.gethostname() if host in WILDCARDS else host)

    @property
    def local_url(self) -> str:
        """Address of the page on this machine, with the token."""
        host = self.access.host
        return self._url_at(("::1" if ":" in host else "127.0.0.1") if host in WILDCARDS else host)

    def _url_at(self, host: str) -> str:
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}/?token={self.access.token}"

    def start(self) -> threading.Thread:
        """Serve in a thread of its own."""
        thread = threading.Thread(target=self.serve_forever, args=(_POLL,), name="view", daemon=True)
        thread.start()
        return thread

    def process_request(self, request: Any, client_address: Any) -> None:
        """Serve a connection in a thread of its own; where there are too many, the oldest of a stranger is closed."""
        if not self._places.acquire(blocking=False):
            self._close_stranger()
            if not self._places.acquire(timeout=_PLACE_TIMEOUT):
                _log.debug("%d connections are open: another one is closed", _CONNECTIONS)
                self.shutdown_request(request)
                return
        try:
            self._strangers[request] = None
            super().process_request(request, client_address)
        except BaseException:
            self._leave(request)
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Serve a connection, and give its place free."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._leave(request)

    def admit(self, request: socket.socket) -> None:
        """Note that a connection has shown the token: it stays open between its requests."""
        request.settimeout(_TIMEOUT)
        self._strangers.pop(request, None)

    def _leave(self, request: socket.socket) -> None:
        self._strangers.pop(request, None)
        self._places.release()

    def _close_stranger(self) -> None:
        """Close the oldest connection that has not shown the token, so that strangers lock nobody out."""
        with suppress(StopIteration, RuntimeError, OSError):  # It may end by itself meanwhile.
            next(iter(self._strangers)).shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Note a connection that broke; a browser closes those that it needs no more."""
        _log.debug("connection of %s broke", client_address, exc_info=True)


class _Handler(BaseHTTPRequestHandler):
    """Handler of the requests of one connection."""

    server: ViewServer
    protocol_version = "HTTP/1.1"
    server_version = f"unflat/{__version__}"
    sys_version = ""
    timeout = _STRANGER_TIMEOUT
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        """Answer a request."""
        self._send(self._answer())

    def do_HEAD(self) -> None:
        """Answer a request without the content."""
        self._send(self._answer())

    def parse_request(self) -> bool:
        """Parse a request, and refuse all but GET and HEAD.

        Returns:
            Whether it is to be answered.
        """
        if not super().parse_request():
            return False
        if self.command in ("GET", "HEAD"):
            return True
        self.close_connection = True  # Its content is not read.
        self._send(Response.error("only GET and HEAD are answered", HTTPStatus.METHOD_NOT_ALLOWED))
        return False

    def _answer(self) -> Response:
        try:
            address = urlsplit(self.path)
        except ValueError:
            return Response.error("the address of the request is none", HTTPStatus.BAD_REQUEST)
        is_api, access = address.path.startswith("/api/"), self.server.access
        local = str(self.connection.getsockname()[0])
        if (refusal := access.refuse_place(self.headers, local, is_api=is_api)) is not None:
            return _refused(refusal)
        query = dict(parse_qsl(address.query, keep_blank_values=True))
        if address.path == "/" and access.is_token(query.get("token", "")):
            return self._let_in()
        if not access.admits(self.headers):
            return self._ask_for_token(is_api=is_api)
        self.server.admit(self.connection)
        if is_api:
            return self.server.api.respond(address.path.removeprefix("/api/"), query)
        known = self.server.static.files.get(address.path)
        if known is None:
            return Response.error("there is no such file", HTTPStatus.NOT_FOUND)
        return Response(*known, headers={"Cache-Control": "no-cache"})

    def _let_in(self) -> Response:
        """Store the token in the browser, and go on to the page."""
        cookie = {"Set-Cookie": self.server.access.set_cookie}
        if self.headers.get("Sec-Fetch-Site", "none") in ("none", "same-origin"):
            return Response(b"", "text/plain", HTTPStatus.SEE_OTHER, {"Location": "/", **cookie})
        return Response(_ENTRY.encode(), _TYPES[".html"], headers=cookie)

    def _ask_for_token(self, *, is_api: bool) -> Response:
        if is_api or "text/html" not in self.headers.get("Accept", ""):
            return Response.error("the token is missing or wrong", HTTPStatus.UNAUTHORIZED)
        return Response(_LOGIN.encode(), _TYPES[".html"], HTTPStatus.UNAUTHORIZED)

    def _send(self, response: Response) -> None:
        self.send_response(response.status)
        headers = {"Cache-Control": "no-store", **HEADERS, **response.headers}
        headers |= {"Content-Type": response.type, "Content-Length": str(len(response.body))}
        if response.status is HTTPStatus.METHOD_NOT_ALLOWED:
            headers["Allow"] = "GET, HEAD"
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            for start in range(0, len(response.body), _CHUNK):
                self.wfile.write(memoryview(response.body)[start : start + _CHUNK])

    def log_message(self, format: str, *args: Any) -> None:
        """Write to the debug log only; the token of the first request is left out."""
        text = (format % args).replace(self.server.access.token, "TOKEN")
        _log.debug("%s %s", self.address_string(), json.dumps(text))


def _refused(refusal: Refusal) -> Response:
    return Response.error(refusal.message, refusal.status)


def _cannot_listen(host: str, port: int, error: OSError | OverflowError) -> Diagnostic:
    message = f"cannot listen on {host}, port {port}: {getattr(error, 'strerror', None) or error}"
    if isinstance(error, socket.gaierror) or getattr(error, "errno", None) == errno.EADDRNOTAVAIL:
        return Diagnostic("--host", message, "name an address of this machine, or leave it out")
    return Diagnostic("--port", message, "take another port, or leave it out")
