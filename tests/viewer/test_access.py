"""Access to the view over a real socket: nothing is told without the token, to foreign hosts, origins and methods."""

import http.client
import json
import socket
from collections.abc import Callable
from email.message import Message
from pathlib import Path

import pytest

from unflat.recon.viewer import server as server_module
from unflat.recon.viewer.access import Access
from unflat.recon.viewer.server import ViewServer

Serve = Callable[[Path], ViewServer]


@pytest.fixture
def server(serve: Serve, run_folder: Path) -> ViewServer:
    return serve(run_folder)


def ask(
    server: ViewServer, path: str, method: str = "GET", body: str | None = None, **headers: str | bytes
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


def test_names_of_headers_are_compared_without_regard_to_case_and_one_host_is_named(server: ViewServer) -> None:
    def status(*lines: str) -> int:
        lines = ("GET /api/runs HTTP/1.1", f"authorization: Bearer {server.access.token}", "connection: close", *lines)
        with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
            connection.sendall("\r\n".join([*lines, "", ""]).encode())
            return int(connection.recv(12).split()[1])

    assert status("host: 127.0.0.1") == 200
    assert status("host: 127.0.0.1", "oRIGIN: http://evil.example") == 403
    assert status("host: 127.0.0.1", "origin: http://127.0.0.1", "origin: http://evil.example") == 403
    assert status("host: 127.0.0.1", "host: evil.example") == 403
    assert status() == 403


def test_the_machine_is_known_by_its_name_where_others_may_reach_it() -> None:
    def is_refused(host: str, name: str) -> bool:
        headers = Message()
        headers["Host"] = name
        return Access(host, 80).refuse_place(headers, "::ffff:192.0.2.7", is_api=True) is not None

    for name in (socket.gethostname(), f"{socket.gethostname().upper()}:8080", "192.0.2.7:80", "127.0.0.1:80"):
        assert not is_refused("0.0.0.0", name)
    assert is_refused("0.0.0.0", "evil.example")
    if socket.gethostname().lower() != "localhost":
        assert is_refused("127.0.0.1", socket.gethostname())


@pytest.mark.parametrize("other", ['a={"b": [1, "x"]}, {', "x=y; =; ;é", "unflat_8000=old", '"'])
def test_a_cookie_of_another_program_locks_nobody_out(server: ViewServer, other: str) -> None:
    cookie = f"{other}; {server.access.cookie}={server.access.token}; z=1"
    assert ask(server, "/api/runs", Cookie=cookie.encode("latin-1"))[0].status == 200


def test_views_behind_one_forwarded_port_have_cookies_of_their_own() -> None:
    names = {Access("127.0.0.1", 8800).cookie for _ in range(2)}
    assert len(names) == 2


def test_a_visitor_from_a_file_or_another_site_is_led_on_by_the_page_itself(server: ViewServer) -> None:
    response, body = ask(server, f"/?token={server.access.token}", Sec_Fetch_Site="cross-site")
    assert (response.status, b"/enter.js" in body) == (200, True)  # A redirect would come without the strict cookie.
    assert response.headers["Set-Cookie"].startswith(server.access.cookie)
    assert ask(server, "/?token=wrong", Sec_Fetch_Site="cross-site")[0].status == 401


def test_connections_are_bounded_and_strangers_lock_nobody_out(
    serve: Serve, run_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_module, "_CONNECTIONS", 2)
    monkeypatch.setattr(server_module, "_PLACE_TIMEOUT", 0.2)
    server = serve(run_folder)
    idle = [socket.create_connection(("127.0.0.1", server.port), timeout=20) for _ in range(2)]
    known = [http.client.HTTPConnection("127.0.0.1", server.port, timeout=20) for _ in range(3)]
    for connection in known[:2]:  # Each takes the place of a stranger, and keeps it.
        connection.request("GET", "/api/runs", headers=bearer(server))
        assert connection.getresponse().read()
    assert [connection.recv(1) for connection in idle] == [b"", b""]
    known[2].connect()
    assert known[2].sock.recv(1) == b"", "there is no stranger to make room"
    known[0].request("GET", "/api/runs", headers=bearer(server))
    assert known[0].getresponse().status == 200
    for connection in (*idle, *known):
        connection.close()


def test_a_stranger_who_says_nothing_is_sent_away(server: ViewServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module._Handler, "timeout", 0.05)
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        assert connection.recv(1) == b""


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
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        connection.sendall(b"GET http://[/ HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 400 ")
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
