"""The HTTP side of `/v1/work` on a Unix socket, with limits on everything that a client can do."""

import asyncio
import contextlib
import socket
from typing import Final

import msgspec
from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from agent.http_log import logger_of
from agent.http_requests import with_target
from collectors.work_peers import Peers
from collectors.work_reports import Refused, Reports

PATH: Final = "/v1/work"
MAX_BODY_BYTES: Final = 64 * 1024
MAX_HEADER_BYTES: Final = 8190
MAX_CONNECTIONS: Final = 64
CONNECTION_SECONDS: Final = 10.0
"""A connection is closed after so long, whatever it is doing: it is there for one report."""
_SWEEP_SECONDS: Final = 1.0
_BUSY: Final = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain; charset=utf-8\r\n"
    b"Retry-After: 1\r\nConnection: close\r\nContent-Length: 41\r\n\r\n"
    b"too many clients at once; try again soon\n"
)


_LOGGER: Final = logger_of("work")


class WorkServer:
    """Serves one socket from `start` until `close`, which waits for nothing."""

    def __init__(self, reports: Reports, peers: Peers | None = None) -> None:
        """`peers` None: whoever the file's permissions let in."""
        self._reports = reports
        self._peers = peers or Peers()
        self._handlers: web.Server | None = None
        self._listener: asyncio.Server | None = None
        self._opened: dict[RequestHandler, float] = {}
        self._sweeping: asyncio.TimerHandle | None = None

    async def start(self, listening: socket.socket) -> None:
        """Answer on a bound socket, which is ours from here on."""
        app = web.Application(client_max_size=MAX_BODY_BYTES)
        app.router.add_post(PATH, self._post)
        app.router.add_get(PATH, self._get, allow_head=False)
        app.router.add_route("*", PATH, _no_such_method)
        app.router.add_route("*", "/{path:.*}", _no_such_path)
        app.on_response_prepare.append(_close_afterwards)
        runner = web.AppRunner(
            app,
            access_log=None,
            logger=_LOGGER,
            handle_signals=False,
            max_line_size=MAX_HEADER_BYTES,
            max_field_size=MAX_HEADER_BYTES,
            lingering_time=1.0,
            tcp_keepalive=False,
        )
        await runner.setup()
        assert runner.server is not None
        runner.server.request_factory = with_target(runner.server.request_factory)
        self._handlers = runner.server
        loop = asyncio.get_running_loop()
        self._listener = await loop.create_unix_server(self._connected, sock=listening, backlog=128)
        self._sweeping = loop.call_later(_SWEEP_SECONDS, self._sweep)

    def close(self) -> None:
        """Stop listening and hang up, at once: a report that was answered has been taken."""
        if self._sweeping is not None:
            self._sweeping.cancel()
        if self._listener is not None:
            self._listener.close()
        if self._handlers is not None:
            for handler in self._handlers.connections:
                handler.force_close()
        self._opened.clear()

    def _connected(self) -> asyncio.BaseProtocol:
        """Return what talks with a new client."""
        assert self._handlers is not None
        if len(self._handlers.connections) >= MAX_CONNECTIONS:
            return _Busy()
        handler = self._handlers()
        self._opened[handler] = asyncio.get_running_loop().time()
        return handler

    def _sweep(self) -> None:
        """Hang up on those who take too long."""
        assert self._handlers is not None
        loop = asyncio.get_running_loop()
        here = set(self._handlers.connections)
        self._opened = {handler: at for handler, at in self._opened.items() if handler in here}
        for handler, at in self._opened.items():
            if loop.time() - at > CONNECTION_SECONDS:
                handler.force_close()
        self._sweeping = loop.call_later(_SWEEP_SECONDS, self._sweep)

    async def _post(self, request: web.Request) -> web.Response:
        refused = self._refusal(request)
        if refused is not None:
            return refused
        try:
            body = await request.read()
        except web.HTTPRequestEntityTooLarge:
            return _say(
                413, f"a body may have {MAX_BODY_BYTES} bytes; send the reports in several requests"
            )
        except (web.RequestPayloadError, ConnectionError, ValueError):
            return _say(400, "the body ended early or is not encoded as its headers say; send JSON")
        try:
            accepted = self._reports.add(body)
        except Refused as why:
            return _say(why.status, why.sentence)
        return web.json_response({"accepted": accepted}, status=202)

    async def _get(self, request: web.Request) -> web.Response:
        refused = self._refusal(request)
        if refused is not None:
            return refused
        summary = msgspec.json.decode(self._reports.summary()) | {"refused": self._peers.refused}
        return web.json_response(summary)

    def _refusal(self, request: web.Request) -> web.Response | None:
        transport = request.transport
        connection = transport.get_extra_info("socket") if transport is not None else None
        why = self._peers.refusal(connection)
        return _say(403, why) if why else None


class _Busy(asyncio.Protocol):
    """Says so and hangs up."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        with contextlib.suppress(OSError):
            transport.write(_BUSY)
        transport.close()


async def _no_such_method(request: web.Request) -> web.Response:
    answer = _say(405, f"{PATH} takes POST, a report, and GET, the sums; not {request.method}")
    answer.headers["Allow"] = "GET, POST"
    return answer


async def _no_such_path(_request: web.Request) -> web.Response:
    return _say(404, f"there is only {PATH} here; send reports with POST {PATH}")


async def _close_afterwards(_request: web.Request, response: web.StreamResponse) -> None:
    """One connection, one report: so one that is long open is a client that hangs."""
    response.force_close()


def _say(status: int, sentence: str) -> web.Response:
    retry = {"Retry-After": "1"} if status == 503 else {}
    return web.Response(status=status, text=f"{sentence}\n", headers=retry)
