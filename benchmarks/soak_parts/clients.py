"""Who comes to the agent meanwhile: Prometheus servers, programs with work, and the ill-behaved."""

import asyncio
import contextlib
import gzip
import json
import random
import socket
import struct
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

SCRAPE_SECONDS = 15.0
WORK_SECONDS = 5.0
BREAK_SECONDS = 7.0
SLOW_SECONDS = 20.0
ACCEPT = (
    "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
    "text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
)
"""What Prometheus 2.42 sends."""
HEAD = (
    "GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: Prometheus/2.42.0\r\n"
    f"Accept: {ACCEPT}\r\nAccept-Encoding: gzip\r\n\r\n"
)
RESET = struct.pack("ii", 1, 0)
"""SO_LINGER: closing sends RST."""
HALVES: Sequence[bytes] = (
    b"",
    b"GET /metr",
    b"GET /metrics HTTP/1.1\r\nHost: x\r\nX-Half: ",
    b"POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\nhalf",
    b"GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(64),
    b"GET /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
    b"GET " + b"/a" * 6000 + b" HTTP/1.1\r\n\r\n",
)


class Refused(Exception):
    """The agent did not answer as it should."""


class Clients:
    """All clients of one agent. `counts` says what happened."""

    def __init__(self, work_socket: Path) -> None:
        self.port = 0
        self.counts: Counter[str] = Counter()
        self.page = b""
        """The newest, not compressed."""
        self._work_socket = work_socket
        self._dice = random.Random(7)

    async def keep_scraping(self, *, stay: bool) -> None:
        """Scrape as Prometheus does; not `stay`: by a new connection each time."""
        kept: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        while True:
            reader, writer = kept or await asyncio.open_connection("127.0.0.1", self.port)
            writer.write(HEAD.encode())
            page = await _answer(reader)
            self.page = page
            self.counts["scrapes"] += 1
            if stay:
                kept = reader, writer
            else:
                writer.close()
                await writer.wait_closed()
            await asyncio.sleep(SCRAPE_SECONDS)

    async def keep_reporting(self) -> None:
        """Report work over the Unix socket."""
        workloads = ("llama-70b", "resnet50", "batch")
        while True:
            await asyncio.sleep(WORK_SECONDS)
            for workload in workloads:
                body = json.dumps(
                    {"workload": workload, "unit": "tokens", "amount": 1000, "device": "gpu"}
                    | ({"flop": 1e15, "precision": "fp16_tensor"} if workload == "batch" else {})
                ).encode()
                head = f"POST /v1/work HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
                reader, writer = await asyncio.open_unix_connection(self._work_socket)
                writer.write(head.encode() + body)
                await _answer(reader)
                writer.close()
                self.counts["reports"] += 1

    async def keep_breaking(self) -> None:
        """Come, say half of something, and go: by RST, by FIN, or after a long silence."""
        while True:
            await asyncio.sleep(BREAK_SECONDS)
            half = HALVES[self.counts["broken off"] % len(HALVES)]
            is_work = self._dice.random() < 0.2
            with contextlib.suppress(ConnectionError):
                await self._break_off(half, is_work)
            self.counts["broken off"] += 1

    async def _break_off(self, half: bytes, is_work: bool) -> None:
        if is_work:
            reader, writer = await asyncio.open_unix_connection(self._work_socket)
        else:
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        how = self._dice.randrange(3)
        try:
            writer.write(half)
            await asyncio.sleep(SLOW_SECONDS if how == 2 else 0.001)
            if how == 0 and not is_work:
                own: socket.socket = writer.get_extra_info("socket")
                own.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            if how == 1:
                await asyncio.wait_for(reader.read(1000), 1.0)
        except TimeoutError:
            pass
        finally:
            writer.transport.abort()


async def _answer(reader: asyncio.StreamReader) -> bytes:
    """Read one answer. Raises `Refused` for one that is no success."""
    head = await reader.readuntil(b"\r\n\r\n")
    status = int(head[9:12])
    lines = head.decode().lower().split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines[1:] if ": " in line)
    body = await reader.readexactly(int(headers["content-length"]))
    if not 200 <= status < 300:
        raise Refused(f"status {status}: {body[:200]!r}")
    return gzip.decompress(body) if headers.get("content-encoding") == "gzip" else body
