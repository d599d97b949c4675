"""Access to the view: a token, and the hosts and origins that requests may name.

The server listens on the loopback by default. A page of another site in the same browser can still send requests to it:
they lack the token, which a cookie holds for the same site only, and name a foreign origin or, by a changed name
server, a foreign host.
"""

import hashlib
import secrets
import socket
from dataclasses import dataclass, field
from email.message import Message
from functools import cached_property
from http import HTTPStatus

TOKEN_BYTES = 32
LOOPBACK = ("127.0.0.1", "localhost", "::1")
WILDCARDS = ("0.0.0.0", "::", "")
"""Addresses that stand for all of a machine."""

HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' blob: data:; media-src 'self' blob:; "
    "style-src 'self'; script-src 'self'; connect-src 'self'; object-src 'none'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
"""Headers of every answer: nothing is loaded from elsewhere, and no other site shows the page."""

REPORT_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; img-src data:; style-src 'unsafe-inline'; font-src data:; "
    "script-src 'unsafe-inline'; sandbox allow-scripts; frame-ancestors 'self'"
}
"""Headers of a report, a file of the run.

Its scripts turn the surface that it shows. They run without an origin, so that they see neither the cookie nor the
answers of the server, and it loads nothing.
"""


@dataclass(frozen=True)
class Refusal:
    """Answer to a request that is refused.

    Args:
        status: Status.
        message: Message.
    """

    status: HTTPStatus
    message: str


@dataclass(frozen=True)
class Access:
    """Rules of access to one server.

    Args:
        host: Address that the server listens on.
        port: Port that it listens on.
        token: Token; a new one by default.
    """

    host: str
    port: int
    token: str = field(default_factory=lambda: secrets.token_urlsafe(TOKEN_BYTES), repr=False)

    @property
    def cookie(self) -> str:
        """Name of the cookie: several views have one host in the browser, and two of them may have one port."""
        return f"unflat_{hashlib.blake2b(self.token.encode(), digest_size=6).hexdigest()}"

    @property
    def set_cookie(self) -> str:
        """Header that stores the token in the browser until it is closed."""
        return f"{self.cookie}={self.token}; HttpOnly; SameSite=Strict; Path=/"

    def refuse_place(self, headers: Message, address: str, *, is_api: bool) -> Refusal | None:
        """Refuse a request for a foreign host, or from a foreign origin; None for one that is allowed.

        Args:
            headers: Headers of the request; their names are compared without regard to case.
            address: Address of this machine that the connection was made to.
            is_api: Whether it asks for data.
        """
        hosts, origins = headers.get_all("Host", []), headers.get_all("Origin", [])
        host = hosts[0] if hosts else ""
        if len(hosts) != 1 or not self._is_own_host(host, address):
            return Refusal(HTTPStatus.FORBIDDEN, f"this server is not {', '.join(hosts)[:200]!r}")
        foreign = [origin for origin in origins if origin.lower() != f"http://{host}".lower()]
        if foreign:
            return Refusal(HTTPStatus.FORBIDDEN, f"requests from {foreign[0][:200]!r} are refused")
        if is_api and not {*headers.get_all("Sec-Fetch-Site", [])} <= {"same-origin", "none"}:
            return Refusal(HTTPStatus.FORBIDDEN, "requests from other sites are refused")
        return None

    def is_token(self, text: str) -> bool:
        """Whether a text is the token, compared in constant time."""
        return secrets.compare_digest(text.encode("utf-8", "surrogateescape"), self.token.encode())

    def admits(self, headers: Message) -> bool:
        """Whether a request holds the token, in the cookie or as a bearer."""
        scheme, _, bearer = headers.get("Authorization", "").partition(" ")
        if scheme.lower() == "bearer" and self.is_token(bearer.strip()):
            return True
        # By hand: the standard parser gives up all cookies for one of another program that it cannot read.
        cookies = (part.strip().partition("=") for part in ";".join(headers.get_all("Cookie", [])).split(";"))
        return any(name == self.cookie and self.is_token(value) for name, _, value in cookies)

    def _is_own_host(self, header: str, address: str) -> bool:
        """Whether a ``Host`` names this machine; a port that is forwarded differs from the server's own."""
        name = header
        if header.startswith("["):
            name = header[1:].partition("]")[0]
        elif header.count(":") == 1:
            name = header.partition(":")[0]
        own = {*LOOPBACK, *self._names, address.removeprefix("::ffff:").partition("%")[0].lower()}
        return name.lower().rstrip(".") in own

    @cached_property
    def _names(self) -> tuple[str, ...]:
        """Address of the server, and the names of the machine where others can reach it."""
        if self.host in LOOPBACK:
            return (self.host,)
        return self.host.lower(), socket.gethostname().lower(), socket.getfqdn().lower()
