"""A scraper as Prometheus is one: HTTP/1.1, kept alive, gzip, OpenMetrics preferred."""

import gzip
import math
import socket
import time
from collections.abc import Sequence
from typing import NamedTuple

ACCEPT = (
    "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
    "text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
)
"""What Prometheus 2.42 asks for (scrape/scrape.go)."""
TIMEOUT_SECONDS = 10.0


class Answer(NamedTuple):
    """One scrape: seconds from sending the request to the last byte, and what came."""

    seconds: float
    sent_bytes: int
    encoded: bytes
    gzipped: bool

    def text(self) -> str:
        """Return the page."""
        return (gzip.decompress(self.encoded) if self.gzipped else self.encoded).decode()


class Connection:
    """One kept connection to one target on this host."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._socket: socket.socket | None = None
        self._request = (
            f"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUser-Agent: Prometheus/2.42.0\r\n"
            f"Accept: {ACCEPT}\r\nAccept-Encoding: gzip\r\n"
            "X-Prometheus-Scrape-Timeout-Seconds: 10\r\n\r\n"
        ).encode()

    def get(self) -> Answer:
        """Scrape once. Raises OSError, also for an answer that is not 200."""
        kept = self._socket is not None
        try:
            return self._get(self._socket or self._connect())
        except OSError:
            self.close()
            if not kept:
                raise
        # The other side lets go of a connection that nobody used for a while.
        return self._get(self._connect())

    def _connect(self) -> socket.socket:
        self._socket = socket.create_connection(("127.0.0.1", self._port), TIMEOUT_SECONDS)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return self._socket

    def close(self) -> None:
        """Let go of the connection."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _get(self, connection: socket.socket) -> Answer:
        start = time.perf_counter()
        connection.sendall(self._request)
        data = bytearray()
        while (end := data.find(b"\r\n\r\n")) < 0:
            data += _receive(connection)
        head, body = bytes(data[:end]).lower(), data[end + 4 :]
        if b" 200 " not in head.split(b"\r\n", 1)[0]:
            raise OSError(f"the answer was {head[:40]!r}")
        if b"transfer-encoding: chunked" in head:
            while not body.endswith(b"0\r\n\r\n"):
                body += _receive(connection)
            seconds = time.perf_counter() - start
            encoded = _unchunked(bytes(body))
        else:
            length = int(head.split(b"content-length:", 1)[1].split(b"\r\n", 1)[0])
            while len(body) < length:
                body += _receive(connection)
            seconds = time.perf_counter() - start
            encoded = bytes(body)
        return Answer(seconds, len(encoded), encoded, b"content-encoding: gzip" in head)


def _receive(connection: socket.socket) -> bytes:
    data = connection.recv(1 << 18)
    if not data:
        raise OSError("the connection was closed in the middle of an answer")
    return data


def _unchunked(data: bytes) -> bytes:
    parts, at = [], 0
    while True:
        end = data.index(b"\r\n", at)
        size = int(data[at:end].split(b";")[0], 16)
        if size == 0:
            return b"".join(parts)
        parts.append(data[end + 2 : end + 2 + size])
        at = end + 4 + size


def values(page: str) -> dict[str, float]:
    """Return each series of a page."""
    found = {}
    for line in page.splitlines():
        if line and not line.startswith("#"):
            series, _, value = line.rpartition(" ")
            found[series] = float(value)
    return found


def quantile(sample: Sequence[float], q: float) -> float:
    """Return the smallest value that at least a share `q` of the sample does not pass."""
    return sorted(sample)[max(0, math.ceil(q * len(sample)) - 1)] if sample else math.nan
