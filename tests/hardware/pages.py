"""Metrics pages of other programs: a real HTTP server on loopback and a free port.

It runs in a thread with an event loop of its own, so that the code under test may have another
one, or be another process. A test sets what a path answers, may let it misbehave, and counts
what was asked.
"""

import asyncio
import socket
import threading
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass, field
from ssl import SSLContext
from types import TracebackType
from typing import Any, Literal, Self

from aiohttp import web

TEXT = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
WAIT_SECONDS = 20.0
"""How long a test waits for something that must come."""

Manner = Literal["whole", "hang", "slow", "half", "unsaid"]
"""hang: nothing until released; slow: half of the body, the rest once released; half: announces
all, sends half and hangs up; unsaid: no length, ends with the connection."""


@dataclass
class _Page:
    body: bytes
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    manner: Manner = "whole"


class Pages:
    """The server. Use as `with Pages() as pages:`."""

    def __init__(self, tls: SSLContext | None = None) -> None:
        self._tls = tls
        self._pages: dict[str, _Page] = {}
        self._asked: dict[str, list[dict[str, str]]] = {}
        self._changed = threading.Condition()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="pages", daemon=True)
        self._released: dict[str, asyncio.Event] = {}
        self._runner: web.AppRunner | None = None
        self._holder = _bound(0)
        self.port: int = self._holder.getsockname()[1]

    def __enter__(self) -> Self:
        self._thread.start()
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
        self._holder.close()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(WAIT_SECONDS)
        self._loop.close()

    def start(self) -> None:
        """Listen, on the same port as ever."""
        if self._runner is None:
            self._run(self._start())

    def stop(self) -> None:
        """Hang up on everybody and refuse connections; the port stays ours."""
        if self._runner is not None:
            self.release()
            self._run(self._stop())

    def url(self, path: str = "/metrics") -> str:
        """Return the address of a path."""
        return f"http{'s' if self._tls else ''}://127.0.0.1:{self.port}{path}"

    def set(
        self,
        body: str | bytes,
        path: str = "/metrics",
        *,
        status: int = 200,
        content_type: str = TEXT,
        headers: Mapping[str, str] | None = None,
        manner: Manner = "whole",
    ) -> None:
        """Answer this from now on."""
        raw = body.encode() if isinstance(body, str) else body
        kind = {"Content-Type": content_type} if content_type else {}
        self._pages[path] = _Page(raw, status, {**kind, **(headers or {})}, manner)

    def release(self, path: str | None = None) -> None:
        """Let those go on who hang or wait for the rest: at one path, or all."""
        self._run(self._release(path))

    def requests(self, path: str = "/metrics") -> list[dict[str, str]]:
        """Return the headers of each request so far, their names in lower case."""
        with self._changed:
            return list(self._asked.get(path, ()))

    def wait_for(self, count: int, path: str = "/metrics") -> None:
        """Wait until a path was asked for so many times."""
        with self._changed:
            if not self._changed.wait_for(
                lambda: len(self._asked.get(path, ())) >= count, WAIT_SECONDS
            ):
                raise TimeoutError(f"{path} was asked for {len(self._asked.get(path, ()))} times")

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(WAIT_SECONDS)

    async def _start(self) -> None:
        app = web.Application()
        app.router.add_get("/{path:.*}", self._answer)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.0)
        await self._runner.setup()
        self._holder.close()
        await web.SockSite(self._runner, _bound(self.port), ssl_context=self._tls).start()

    async def _stop(self) -> None:
        assert self._runner is not None
        await self._runner.cleanup()
        self._runner = None
        self._holder = _bound(self.port)

    async def _release(self, path: str | None) -> None:
        for at in list(self._released) if path is None else [path]:
            self._released.pop(at, asyncio.Event()).set()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        path = request.path
        released = self._released.setdefault(path, asyncio.Event())
        page = self._pages.get(path, _Page(b"404: Not Found\n", 404))
        with self._changed:
            headers = {name.lower(): value for name, value in request.headers.items()}
            self._asked.setdefault(path, []).append(headers)
            self._changed.notify_all()
        if page.manner == "hang":
            await released.wait()
        if page.manner in {"whole", "hang"}:
            return web.Response(body=page.body, status=page.status, headers=page.headers)
        middle = len(page.body) // 2
        if page.manner == "slow":
            slow = web.StreamResponse(status=page.status, headers=page.headers)
            await slow.prepare(request)
            await slow.write(page.body[:middle])
            await released.wait()
            await slow.write(page.body[middle:])
            return slow
        return self._break_off(request, page, middle)

    def _break_off(self, request: web.Request, page: _Page, middle: int) -> web.StreamResponse:
        """Write below aiohttp, which would not let a body end early, and hang up."""
        length = f"Content-Length: {len(page.body)}\r\n" if page.manner == "half" else ""
        head = "".join(f"{name}: {value}\r\n" for name, value in page.headers.items())
        body = page.body[:middle] if page.manner == "half" else page.body
        start = f"HTTP/1.1 {page.status} x\r\nConnection: close\r\n{length}{head}\r\n"
        assert request.transport is not None
        request.transport.write(start.encode() + body)
        request.transport.close()
        return web.Response()


def _bound(port: int) -> socket.socket:
    """Return a socket that has a loopback port but does not listen: connections are refused."""
    bound = socket.socket()
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.bind(("127.0.0.1", port))
    return bound
