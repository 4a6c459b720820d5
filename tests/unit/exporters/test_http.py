"""The HTTP side over real sockets on the loopback."""

import asyncio
import gzip
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import ClientSession
from unit.exporters.made import snapshot

from exporters.http import HttpServer
from exporters.prometheus import PrometheusPages
from exporters.web_connection import MAX_LINE_BYTES


class Agent:
    """What the server asks."""

    def __init__(self) -> None:
        self.unhealthy = ""
        self.unready = ""
        self.snapshots = 0

    def snapshot(self):
        self.snapshots += 1
        return SNAPSHOT


SNAPSHOT = snapshot()


@asynccontextmanager
async def serving(agent: Agent) -> AsyncIterator[str]:
    server = HttpServer(
        PrometheusPages(agent.snapshot),
        healthy=lambda: agent.unhealthy,
        ready=lambda: agent.unready,
        version="1.2.3",
    )
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listening:
        listening.setblocking(False)
        server.start([listening])
        try:
            yield "http://{}:{}".format(*listening.getsockname())
        finally:
            await server.stop()


def with_server(function: Callable[[str, Agent], Any]) -> Any:
    agent = Agent()

    async def run() -> Any:
        async with serving(agent) as url:
            return await function(url, agent)

    return asyncio.run(run())


async def fetch(url: str, method: str = "GET", **headers: str) -> tuple[int, dict[str, str], bytes]:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    async with (
        ClientSession(auto_decompress=False, skip_auto_headers=["Accept-Encoding"]) as session,
        session.request(method, url, headers=names) as answer,
    ):
        return answer.status, dict(answer.headers), await answer.read()


def send(url: str, data: bytes, *, hang_up: bool) -> bytes:
    """Return all that the server answers to these bytes until it closes."""
    host, _, port = url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=2) as s:
        s.sendall(data)
        if hang_up:
            s.shutdown(socket.SHUT_WR)
        answer = b""
        while part := s.recv(65536):
            answer += part
        return answer


def test_metrics_in_text():
    async def run(url, agent):
        return await fetch(f"{url}/metrics")

    status, headers, body = with_server(run)
    assert status == 200
    assert headers["Content-Type"].startswith("text/plain; version=")
    assert headers["Vary"] == "Accept, Accept-Encoding"
    assert "Content-Encoding" not in headers
    assert b"wattlas_build_info{" in body


@pytest.mark.parametrize(
    ("accept", "gzipped"),
    [
        ("gzip", True),
        ("deflate, gzip;q=0.5", True),
        ("GZIP", True),
        ("*", True),
        ("", False),
        ("identity", False),
        ("gzip;q=0", False),
        ("gzip; q=0.000, identity", False),
        ("*;q=0", False),
        ("gzip;q=0, *", False),
        ("br, x-gzipped", False),
        ("gzip;q=nonsense", False),
    ],
)
def test_gzip_when_asked(accept, gzipped):
    async def run(url, agent):
        return await fetch(f"{url}/metrics", Accept_Encoding=accept)

    status, headers, body = with_server(run)
    assert (status, headers.get("Content-Encoding")) == (200, "gzip" if gzipped else None)
    assert b"wattlas_build_info{" in (gzip.decompress(body) if gzipped else body)


def test_openmetrics_when_asked():
    async def run(url, agent):
        return await fetch(f"{url}/metrics", Accept="application/openmetrics-text")

    _, headers, body = with_server(run)
    assert headers["Content-Type"].startswith("application/openmetrics-text")
    assert body.endswith(b"# EOF\n")


def test_head_is_get_without_a_body():
    async def run(url, agent):
        return await fetch(f"{url}/metrics"), await fetch(f"{url}/metrics", "HEAD")

    (_, got, body), (status, headers, nothing) = with_server(run)
    assert (status, nothing) == (200, b"")
    assert headers["Content-Type"] == got["Content-Type"]
    assert int(headers["Content-Length"]) == len(body)


@pytest.mark.parametrize("path", ["healthz", "readyz"])
def test_health_says_why_not(path):
    async def run(url, agent):
        well = await fetch(f"{url}/{path}")
        agent.unhealthy = agent.unready = "no tick for 12 s"
        return well, await fetch(f"{url}/{path}")

    (well, _, said), (ill, _, why) = with_server(run)
    assert (well, said, ill, why) == (200, b"ok\n", 503, b"no tick for 12 s\n")


def test_health_takes_no_snapshot():
    async def run(url, agent):
        for path in ("healthz", "readyz", ""):
            await fetch(f"{url}/{path}")
        return agent.snapshots

    assert with_server(run) == 0


def test_the_first_page_says_where_to_look():
    async def run(url, agent):
        return await fetch(url)

    status, headers, body = with_server(run)
    assert (status, headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert b"1.2.3" in body
    assert b"/metrics" in body


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nothing", 404),
        ("GET", "/metrics/", 404),
        ("GET", "/../etc/passwd", 404),
        ("POST", "/metrics", 405),
        ("PUT", "/healthz", 405),
        ("DELETE", "/", 405),
    ],
)
def test_nothing_else_is_there(method, path, status):
    async def run(url, agent):
        return (await fetch(f"{url}{path}", method))[0]

    assert with_server(run) == status


@pytest.mark.parametrize(
    ("data", "begins"),
    [
        (b"\0" * 1000, b"HTTP/1.0 400"),
        (b"GET /metrics HTTP/9.9\r\n\r\n", b"HTTP/1.0 400"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"HTTP/1.0 400"),  # TLS
        (b"GET /metrics HTTP/1.1\r\nHost: a\r\nX : b\r\n\r\n", b"HTTP/1.0 400"),
        (b"GET /%zz%00%ff HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", b"HTTP/1.1 404"),
        (b"GET /" + b"a" * 2 * MAX_LINE_BYTES + b" HTTP/1.1\r\n\r\n", b"HTTP/1.0 400"),
        (
            b"GET /metrics HTTP/1.1\r\nX: " + b"a" * 2 * MAX_LINE_BYTES + b"\r\n\r\n",
            b"HTTP/1.0 400",
        ),
        (b"GET /metrics HTTP/1.1\r\n" + b"X: y\r\n" * 5000 + b"\r\n", b"HTTP/1.0 400"),
        (b"", b""),
        (b"GET /metr", b""),
    ],
)
def test_junk_is_refused_with_no_more_than_one_line_in_the_log(data, begins, capfd, caplog):
    async def run(url, agent):
        answers = {await asyncio.to_thread(send, url, data, hang_up=not begins) for _ in range(3)}
        return answers, (await fetch(f"{url}/healthz"))[0]

    answers, after = with_server(run)
    assert {answer[: len(begins) or None] for answer in answers} == {begins}
    assert after == 200
    out, err = capfd.readouterr()
    assert (caplog.text, err) == ("", "")
    assert out.count("\n") == out.count("client_refused") <= 1


def test_many_scrapers_at_once_get_one_page():
    async def run(url, agent):
        async with ClientSession() as session:

            async def scrape() -> bytes:
                async with session.get(f"{url}/metrics") as answer:
                    return await answer.read()

            return await asyncio.gather(*(scrape() for _ in range(50)))

    assert len(set(with_server(run))) == 1
