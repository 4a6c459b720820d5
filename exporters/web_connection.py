"""One client's connection: aiohttp talks HTTP, and here is how long and how much it may."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from enum import Enum
from typing import Any, Final

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.web_protocol import RequestHandler

from agent.http_log import logger_of
from agent.http_requests import with_target
from exporters.web_complaints import Complaints
from exporters.web_turns import Turns

MAX_LINE_BYTES: Final = 8190
"""Of the request line, and of each header."""
MAX_HEADERS: Final = 100
MAX_REQUEST_BYTES: Final = 32 * 1024
"""Of a request in all."""
READ_SECONDS: Final = 10.0
"""Within this a request must be there, from its first byte on."""
ANSWER_SECONDS: Final = 30.0
"""Within this a client must have taken its answer."""
IDLE_SECONDS: Final = 90.0
"""A connection is kept so long without a request: longer than a scrape interval."""
BYE_SECONDS: Final = 5.0
"""After so long a client that does not close is hung up on."""
WRITE_BYTES: Final = 64 * 1024
"""A page is handed to the kernel in such pieces, so that one who does not read holds one piece."""

_TOO_LARGE: Final = (
    b"HTTP/1.1 413 Content Too Large\r\nContent-Type: text/plain; charset=utf-8\r\n"
    b"Connection: close\r\nContent-Length: 43\r\n\r\n"
    b"a request may have 32 KiB and takes no body"
)

_LOGGER: Final = logger_of("http")


class Phase(Enum):
    """What a connection is doing."""

    READING = "reading"
    ANSWERING = "answering"
    IDLE = "idle"
    CLOSING = "closing"


_LIMITS: Final = {
    Phase.READING: READ_SECONDS,
    Phase.ANSWERING: ANSWER_SECONDS,
    Phase.IDLE: IDLE_SECONDS,
    Phase.CLOSING: BYE_SECONDS,
}


class Connection(RequestHandler):
    """A client's connection with its limits."""

    __slots__ = (
        "_held", "_server", "_time", "client", "credit", "phase", "secure", "since", "size", "wire",
    )  # fmt: skip

    def __init__(self, server: "ConnectionServer", **more: Any) -> None:
        super().__init__(server, loop=server.loop, **more)
        self._server = server
        self._time = server.loop.time
        self._held = bytearray()
        self.wire: asyncio.Transport | None = None
        """Known from when it is made until it is really gone."""
        self.client = ""
        self.phase = Phase.READING
        self.since = self._time()
        self.size = 0
        """Bytes of the request that is being read."""
        self.credit = False
        """Whether what it sent has waited its turn already."""
        self.secure: ssl.SSLContext | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin, unless the client's certificate is not one of those that are let in."""
        assert isinstance(transport, asyncio.Transport)
        self.wire = transport
        self.client = (transport.get_extra_info("peername") or ("",))[0]
        self.secure = transport.get_extra_info("sslcontext")
        self._server.came(self)
        super().connection_made(transport)
        why = self._server.unwanted(transport)
        if why:
            self._server.complaints.add(why, self.client)
            transport.abort()

    def connection_lost(self, exc: BaseException | None) -> None:
        """Forget it."""
        self._server.went(self)
        self.wire = None
        self._held.clear()
        task, is_idle = self._task_handler, self._current_request is None
        super().connection_lost(exc)
        if task is not None and is_idle:
            task.cancel()  # it hung up before its turn: aiohttp has let go of what it would need

    def data_received(self, data: bytes) -> None:
        """Hand on what came, when it is this client's turn."""
        if not data:  # aiohttp reads on in what it has
            super().data_received(data)
            return
        if self.phase is Phase.IDLE:
            self.turn_to(Phase.READING)
        self.size += len(data)
        if self.size > MAX_REQUEST_BYTES and self.phase is Phase.READING:
            self._refuse_size()
            return
        self._held += data
        if len(self._held) == len(data):
            self._server.turns.take(self._go_on)

    def _go_on(self) -> None:
        data = bytes(self._held)
        self._held.clear()
        if self.wire is not None and data:
            self.credit = True
            super().data_received(data)

    def _refuse_size(self) -> None:
        if self.wire is not None and not self.wire.is_closing():
            self._server.complaints.add("a request that is too large", self.client)
            self.wire.write(_TOO_LARGE)
            self.turn_to(Phase.CLOSING)
            self.force_close()

    def turn_to(self, phase: Phase) -> None:
        """Go over to another phase, whose time begins now."""
        self.phase = phase
        self.since = self._time()

    def hang_up(self, why: str = "") -> None:
        """Cut it off at once."""
        if why:
            self._server.complaints.add(why, self.client)
        if self.wire is not None:
            self.wire.abort()

    def judge(self, now: float) -> None:
        """Look whether its time is up."""
        if self.wire is None:
            return
        if self.phase is not Phase.CLOSING and self.wire.is_closing():
            self.turn_to(Phase.CLOSING)
        unread = self.wire.get_write_buffer_size() > 0
        phase = Phase.ANSWERING if self.phase is Phase.IDLE and unread else self.phase
        if now - self.since <= _LIMITS[phase]:
            return
        if phase is Phase.IDLE:
            self.force_close()
        elif phase is Phase.READING:
            self.hang_up(f"no whole request within {READ_SECONDS:g} s")
        else:
            self.hang_up(f"an answer that was not taken within {ANSWER_SECONDS:g} s")

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer a request that is none; a fault of ours is aiohttp's to log."""
        if not isinstance(exc, HttpProcessingError):
            return super().handle_error(request, status, exc, message)
        self._server.complaints.add("a request that is not HTTP", self.client)
        # without aiohttp's words, which repeat what the client sent
        answer = web.Response(status=status, text="this is no request of HTTP/1.1\n")
        answer.force_close()
        return answer


class ConnectionServer(web.Server):
    """Makes connections, knows them all, and ends those whose time is up."""

    def __init__(
        self,
        handler: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]],
        turns: Turns,
        complaints: Complaints,
        unwanted: Callable[[asyncio.Transport], str],
    ) -> None:
        """`unwanted` says why a client's certificate does not let it in, "" if it does."""
        super().__init__(handler)
        self.request_factory = with_target(self.request_factory)
        self.loop = asyncio.get_running_loop()
        self.turns = turns
        self.complaints = complaints
        self.unwanted = unwanted
        self.here: dict[Connection, None] = {}
        self._sweeping: asyncio.TimerHandle | None = None

    def __call__(self) -> Connection:
        """Make the connection of a new client."""
        return Connection(
            self,
            access_log=None,
            logger=_LOGGER,
            max_line_size=MAX_LINE_BYTES,
            max_field_size=MAX_LINE_BYTES,
            max_headers=MAX_HEADERS,
            keepalive_timeout=2 * IDLE_SECONDS,  # we look ourselves
            lingering_time=0.5,
            auto_decompress=False,
        )

    def came(self, connection: Connection) -> None:
        """Take note of a new one."""
        self.here[connection] = None
        if self._sweeping is None:
            self._sweeping = self.loop.call_later(1.0, self._sweep)

    def went(self, connection: Connection) -> None:
        """Forget one."""
        self.here.pop(connection, None)

    def hang_up_idle(self, *, unless: ssl.SSLContext | None) -> None:
        """Close connections that wait for a request and were made before TLS was as it is now."""
        for connection in list(self.here):
            if connection.secure is not unless and connection.phase is Phase.IDLE:
                connection.force_close()

    def busy(self) -> bool:
        """Tell whether a client waits for an answer, or has come and not asked yet."""
        return any(c.phase in {Phase.ANSWERING, Phase.READING} for c in self.here)

    def end(self) -> None:
        """Cut off whoever is left, and look after nobody any more."""
        if self._sweeping is not None:
            self._sweeping.cancel()
            self._sweeping = None
        for connection in list(self.here):
            connection.hang_up()

    def _sweep(self) -> None:
        self._sweeping = None
        now = self.loop.time()
        for connection in list(self.here):
            connection.judge(now)
        if self.here:
            self._sweeping = self.loop.call_later(1.0, self._sweep)
