"""Access to the view over a real socket: nothing is told without the token, to foreign hosts, origins and methods."""

import http.client
import json
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from unflat.recon.viewer.server import ViewServer

Serve = Callable[[Path], ViewServer]


@pytest.fixture
def server(serve: Serve, run_folder: Path) -> ViewServer:
    return serve(run_folder)


def ask(
    server: ViewServer, path: str, method: str = "GET", body: str | None = None, **headers: str
) -> tuple[http.client.HTTPResponse, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    try:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, body, named)
        response = connection.getresponse()
        return response, response.read()
    finally:
        connection.close()


def bearer(server: ViewServer) -> dict[str, str]:
    return {"Authorization": f"Bearer {server.access.token}"}


def test_the_token_of_the_address_becomes_a_cookie_that_opens_everything(server: ViewServer) -> None:
    response, _ = ask(server, f"/?token={server.access.token}&x=1")
    assert (response.status, response.headers["Location"]) == (303, "/")
    cookie = response.headers["Set-Cookie"]
    assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= set(cookie.split("; "))
    response, body = ask(server, "/api/runs", Cookie=cookie.split(";")[0])
    assert response.status == 200
    assert json.loads(body)["runs"][0]["name"] == "first"
    assert ask(server, "/", Cookie=cookie.split(";")[0])[0].status == 200


@pytest.mark.parametrize("path", ["/", "/index.html", "/api/runs", "/api/runs/x/plane", "/?token=wrong", "/none"])
def test_nothing_is_told_without_the_token(server: ViewServer, path: str) -> None:
    assert ask(server, path)[0].status == 401
    wrong = {"Authorization": f"Bearer {server.access.token[:-1]}", "Cookie": f"{server.access.cookie}=x"}
    response, body = ask(server, path, **wrong)
    assert response.status == 401
    assert b"first" not in body


def test_a_browser_without_the_token_gets_a_page_that_asks_for_it(server: ViewServer) -> None:
    response, body = ask(server, "/", Accept="text/html")
    assert response.status == 401
    assert b"token" in body


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "evil.example:80"},
        {"Host": "127.0.0.1.evil.example"},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "https://127.0.0.1"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},  # A page on another port of this machine.
    ],
)
def test_foreign_hosts_and_origins_are_refused_even_with_the_token(server: ViewServer, headers: dict[str, str]) -> None:
    assert ask(server, "/api/runs", **bearer(server), **headers)[0].status == 403


def test_a_forwarded_port_is_no_foreign_host(server: ViewServer) -> None:
    for host in ("localhost:9999", "127.0.0.1:9999", "[::1]:9999"):
        headers = {"Host": host, "Origin": f"http://{host}", **bearer(server)}
        assert ask(server, "/api/runs", **headers)[0].status == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"])
def test_nothing_is_written(server: ViewServer, method: str) -> None:
    response, _ = ask(server, "/api/runs", method, "x", **bearer(server))
    assert (response.status, response.headers["Allow"]) == (405, "GET, HEAD")


def test_head_has_the_headers_and_no_content(server: ViewServer) -> None:
    response, body = ask(server, "/api/runs", "HEAD", **bearer(server))
    assert (response.status, body) == (200, b"")
    assert int(response.headers["Content-Length"]) > 0


@pytest.mark.parametrize(
    "path",
    ["/../api.py", "/%2e%2e/server.py", "//etc/passwd", "/..%2fapi.py", "/page/index.html", "/api/runs/../../x"],
)
def test_no_path_leads_out_of_the_page(server: ViewServer, path: str) -> None:
    response, body = ask(server, path, **bearer(server))
    assert response.status == 404
    assert set(json.loads(body)) == {"error"}


def test_every_answer_forbids_what_comes_from_elsewhere(server: ViewServer) -> None:
    for path in ("/", "/api/runs", "/none"):
        headers = ask(server, path, **bearer(server))[0].headers
        policy = headers["Content-Security-Policy"]
        assert "default-src 'self'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "no-referrer"
    assert ask(server, "/api/runs", **bearer(server))[0].headers["Cache-Control"] == "no-store"


def test_what_is_no_http_breaks_nothing(server: ViewServer) -> None:
    for junk in (b"\x16\x03\x01\x02\x00\x01", b"GET /" + b"x" * 70000 + b" HTTP/1.1\r\n\r\n", b"GET\r\n\r\n"):
        with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
            connection.sendall(junk)
            connection.shutdown(socket.SHUT_WR)
            connection.recv(100)
    assert ask(server, "/api/runs", **bearer(server))[0].status == 200


def test_the_token_is_long_and_new_for_each_server(serve: Serve, run_folder: Path) -> None:
    tokens = {serve(run_folder).access.token for _ in range(3)}
    assert len(tokens) == 3
    assert all(len(token) >= 43 for token in tokens)
