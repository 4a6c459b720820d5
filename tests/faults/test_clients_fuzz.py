"""Requests that a fuzzer made up, on every endpoint: no 5xx but documented ones, a quiet log.

Raw bytes by hypothesis; and in the campaign schemathesis with `docs/reference/openapi.json`, from
PyPI, in an environment of its own in the cache directory.
"""

import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from e2e.agents import TESTS
from faults.client_relay import Relay
from faults.client_rig import Watched, unharmed, watched
from faults.client_wire import Address
from faults.conftest import FULL
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

__all__ = ["watched"]
pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1800)]

OPENAPI = TESTS.parent / "docs/reference/openapi.json"
SCHEMATHESIS = "schemathesis==4.32.5"
CHECKS = (
    "not_a_server_error,status_code_conformance,content_type_conformance,"
    "response_schema_conformance,unsupported_method"
)
GROWS_MEBIBYTES = 64.0
EXAMPLES = 3000 if FULL else 50
PATIENCE_SECONDS = 0.05
SAID = frozenset(
    {100, 200, 202, 400, 403, 404, 405, 408, 409, 411, 413, 414, 415, 417, 431, 503, 505}
)
"""What a server of ours may say to anything at all; no 500, 502 or 504."""


# -- raw bytes ------------------------------------------------------------------------------------

TOKENS = st.sampled_from(
    [b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"OPTIONS", b"TRACE", b"CONNECT", b"PRI", b"get"]
)
PATHS = st.sampled_from(
    [
        b"/metrics",
        b"/healthz",
        b"/readyz",
        b"/",
        b"/v1/work",
        b"*",
        b"http://x/metrics",
        b"//",
        b"/%2e",
    ]
)
SOUND_PATHS = st.sampled_from([b"/metrics", b"/v1/work", b"/healthz", b"/", b"/v1/work", b"/other"])
NAMES = st.sampled_from(
    [
        b"Host", b"Accept", b"Accept-Encoding", b"Connection", b"Content-Length", b"Content-Type",
        b"Content-Encoding", b"Transfer-Encoding", b"Expect", b"Upgrade", b"Authorization",
        b"Range", b"If-None-Match", b"Cookie", b"X-Forwarded-For", b"Trailer", b"TE",
    ]
)  # fmt: skip
VALUES = st.sampled_from(
    [
        b"x", b"close", b"keep-alive", b"gzip", b"deflate, br;q=nan", b"chunked", b"0", b"5", b"-1",
        b"99999999999999999999", b"100-continue", b"websocket", b"Basic Og==", b"Basic \xff",
        b"*/*", b"application/openmetrics-text; version=1.0.0", b"text/plain;version=0.0.4;q=1e99",
    ]
)  # fmt: skip
NOISE = st.binary(max_size=40)
JSONISH = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                ["workload", "unit", "amount", "flop", "precision", "device", "seconds"]
            )
            | st.text(max_size=5),
            inner,
            max_size=7,
        )
    ),
    max_leaves=12,
).map(lambda value: json.dumps(value).encode("utf-8", "surrogatepass"))


@st.composite
def tidy(draw: st.DrawFn) -> bytes:
    """Draw a request that is well-formed, with whatever in it."""
    body = draw(st.just(b"") | JSONISH)
    plain = [(b"Accept", b"*/*"), (b"Accept-Encoding", b"gzip"), (b"Range", b"bytes=0-1")]
    more = draw(st.lists(st.sampled_from(plain), max_size=3))
    lines = [
        draw(TOKENS) + b" " + draw(SOUND_PATHS) + b" HTTP/1.1",
        b"Host: x",
        b"Connection: close",
    ]
    lines += [name + b": " + value for name, value in more]
    lines.append(b"Content-Length: %d" % len(body))
    return b"\r\n".join([*lines, b"", body])


@st.composite
def wild(draw: st.DrawFn) -> bytes:
    """Draw something near a request."""
    ending = draw(st.sampled_from([b"\r\n"] * 6 + [b"\n", b"\r"]))
    line = b" ".join(
        [
            draw(TOKENS | NOISE),
            draw(PATHS | NOISE) + draw(st.just(b"") | NOISE),
            draw(st.sampled_from([b"HTTP/1.1"] * 6 + [b"HTTP/1.0", b"HTTP/2", b"", b"FTP/1.1"])),
        ]
    )
    headers = draw(st.lists(st.tuples(NAMES | NOISE, VALUES | NOISE), max_size=6))
    body = draw(st.just(b"") | NOISE | JSONISH)
    lines = [line, *(name + b": " + value for name, value in headers)]
    if draw(st.booleans()):
        lines.append(b"Content-Length: %d" % len(body))
    return ending.join([*lines, b"", body])


def said(address: Address, wire: bytes, patience_seconds: float = 60.0) -> list[int]:
    """Send something and return the statuses of the answers.

    Who has not answered and hung up after `patience_seconds` is told that it was all: to wait for
    the rest of what may be no request would take the server's own limit each time.
    """
    family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
    found = b""
    with socket.socket(family, socket.SOCK_STREAM) as client, suppress(ConnectionError):
        client.settimeout(patience_seconds)
        client.connect(address)
        client.sendall(wire)
        with suppress(TimeoutError):
            while data := client.recv(65536):
                found += data
        client.settimeout(60.0)
        client.shutdown(socket.SHUT_WR)
        while data := client.recv(65536):
            found += data
    return [int(match) for match in re.findall(rb"^HTTP/1\.[01] (\d{3}) ", found, re.MULTILINE)]


def test_the_wire_test_can_fail(watched: Watched) -> None:
    get = b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    assert said(watched.address, b"GET /healthz" + get) == [200]
    assert said(watched.address, b"GET /nothing" + get) == [404]
    assert said(watched.work, b"GET /v1/work" + get) == [200]
    assert said(watched.work, b"PUT /v1/work" + get) == [405]


@pytest.mark.parametrize("where", ["the network", "the work socket"])
def test_raw_bytes(watched: Watched, where: str, tell: Callable[..., None]) -> None:
    address: Address = watched.work if where == "the work socket" else watched.address
    answered: list[int] = []

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(tidy() | wild())
    def fuzz(wire: bytes) -> None:
        statuses = said(address, wire, PATIENCE_SECONDS)
        assert SAID.issuperset(statuses), statuses
        answered.extend(statuses)

    with unharmed(watched, grows=GROWS_MEBIBYTES) as told:
        fuzz()
    assert set(answered) > {400}  # it got through to something
    tell(
        f"fuzzed bytes to {where}",
        trials=EXAMPLES,
        error=told.error,
        statuses=" ".join(map(str, sorted(set(answered)))),
        latest_tick_seconds=round(told.late_seconds, 3),
    )


# -- what the description says --------------------------------------------------------------------


def test_the_description_is_of_what_is_there(watched: Watched) -> None:
    paths = json.loads(OPENAPI.read_text(encoding="utf-8"))["paths"]
    shown = re.findall(r"href=(/\w*)>", watched.agent.get("/")[1].decode())
    assert {"/", *shown} == {path for path in paths if "servers" not in paths[path]}
    for path, methods in paths.items():
        address: Address = watched.work if "servers" in methods else watched.address
        for method in ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"):
            head = f"{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
            (status,) = said(address, f"{head}Content-Length: 0\r\n\r\n".encode())
            documented = methods.get(method.lower())
            if documented is None:
                assert status == 405, (method, path)
            else:
                assert str(status) in documented["responses"], (method, path, status)


@pytest.fixture(scope="module")
def schemathesis() -> Path:
    """The command, in an environment that is made once and kept."""
    if not FULL:
        pytest.skip("only in the whole campaign: scripts/faults")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    place = cache / "wattlas-faults" / SCHEMATHESIS.replace("==", "-")
    command = place / "bin/schemathesis"
    if not command.exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", place], check=True, timeout=300)
        done = subprocess.run(
            [place / "bin/python", "-m", "pip", "install", "--quiet", SCHEMATHESIS],
            capture_output=True,
            text=True,
            timeout=900,
            check=False,
        )
        if done.returncode:
            pytest.skip(f"{SCHEMATHESIS} could not be installed: {done.stderr.strip()[-300:]}")
    return command


@pytest.mark.parametrize("where", ["the network", "the work socket"])
def test_schemathesis(
    watched: Watched, schemathesis: Path, where: str, tmp_path: Path, tell: Callable[..., None]
) -> None:
    relay = Relay(watched.work)
    relay.start()
    is_work = where == "the work socket"
    paths = ["--include-path" if is_work else "--exclude-path", "/v1/work"]
    url = relay.url if is_work else watched.agent.url
    document = json.loads(OPENAPI.read_text(encoding="utf-8"))
    document["paths"]["/v1/work"].pop("servers")
    (tmp_path / "openapi.json").write_text(json.dumps(document))
    command = [
        schemathesis, "run", tmp_path / "openapi.json", "--url", url, *paths,
        "--checks", CHECKS,
        "--max-examples", "500", "--seed", "7", "--phases", "examples,coverage,fuzzing",
        "--generation-database", "none", "--no-color", "--request-timeout", "30",
    ]  # fmt: skip
    try:
        with unharmed(watched, grows=GROWS_MEBIBYTES) as told:
            done = subprocess.run(
                [*map(str, command)],
                capture_output=True,
                text=True,
                timeout=1500,
                check=False,
                cwd=tmp_path,
            )
    finally:
        relay.stop()
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    generated = re.search(r"(\d+) generated", done.stdout)
    assert generated, done.stdout[-3000:]
    tell(
        f"schemathesis on {where}",
        trials=int(generated[1]),
        error=told.error,
        latest_tick_seconds=round(told.late_seconds, 3),
    )
