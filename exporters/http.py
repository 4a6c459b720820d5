"""The HTTP side: /metrics, /healthz, /readyz and a page that says where they are.

Read-only. What is answered is there already; nothing a client does touches a sensor. Who may come
in, and how much he may, is in `exporters/web_access.py`, `web_door.py` and `web_connection.py`.
"""

import asyncio
import html
import socket
from collections.abc import Callable, Sequence
from typing import Final

from aiohttp import web

from exporters.prometheus import PrometheusPages
from exporters.web_access import Access
from exporters.web_complaints import Complaints
from exporters.web_connection import WRITE_BYTES, Connection, ConnectionServer, Phase
from exporters.web_door import Door
from exporters.web_turns import Turns

DRAIN_SECONDS: Final = 1.0
"""So long is waited at a stop for clients that have asked or just come."""
_DRAIN_STEP_SECONDS: Final = 0.01

Page = Callable[[web.BaseRequest], web.Response]


class HttpServer:
    """Serves one agent's pages."""

    def __init__(
        self,
        pages: PrometheusPages,
        *,
        healthy: Callable[[], str],
        ready: Callable[[], str],
        version: str,
        access: Access | None = None,
    ) -> None:
        """`healthy` and `ready` return "" for yes, else why not. `access` None: plain HTTP."""
        self._pages = pages
        self._healthy = healthy
        self._ready = ready
        self._version = version
        self._access = access or Access()
        self._complaints = Complaints()
        self._routes: dict[str, Page] = {
            "/metrics": self._metrics,
            "/healthz": lambda _: _verdict(self._healthy()),
            "/readyz": lambda _: _verdict(self._ready()),
            "/": self._index,
        }
        self._turns: Turns | None = None
        self._server: ConnectionServer | None = None
        self._door: Door | None = None
        self._leaving = False

    def start(self, listening: Sequence[socket.socket]) -> None:
        """Answer on sockets that listen already; they stay their owner's."""
        access = self._access
        self._turns = Turns()
        self._server = ConnectionServer(
            self._answer, self._turns, self._complaints, access.unwanted
        )
        self._door = Door(self._server, self._turns, self._complaints, lambda: access.tls)
        access.changed = self._begin_anew
        self._door.open(listening)

    def _begin_anew(self) -> None:
        """Have who is connected come anew: under the rules that are now."""
        if self._server is not None:
            self._server.hang_up_idle(unless=self._access.tls)

    def listen(self, listening: Sequence[socket.socket]) -> bool:
        """Go over to other sockets; False: they are the same. Who is connected stays so."""
        assert self._door is not None
        return self._door.open(listening)

    def drain(self, *, last: bool) -> None:
        """Accept no more, answer who is connected once more, and have them leave with that.

        `last`: nobody will accept after us, so those who wait for it come in as well.
        """
        self._leaving = True
        if self._door is not None:
            self._door.close(last=last)

    async def stop(self) -> None:
        """Answer what is under way and close every connection; the sockets stay open."""
        self.drain(last=False)
        if self._server is None or self._door is None or self._turns is None:
            return
        for _ in range(round(DRAIN_SECONDS / _DRAIN_STEP_SECONDS)):
            if not (self._door.crowded() or self._server.busy()):
                break
            await asyncio.sleep(_DRAIN_STEP_SECONDS)
        self._door.end()
        self._server.pre_shutdown()
        await self._server.shutdown(DRAIN_SECONDS)
        self._server.end()
        self._turns.close()
        self._access.close()

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request, to the last byte."""
        connection = request.protocol
        assert isinstance(connection, Connection)
        assert self._turns is not None
        connection.turn_to(Phase.ANSWERING)
        connection.size = 0
        if not connection.credit:  # it sent several requests at once: each waits its turn
            await self._turns.wait()
        connection.credit = False
        response: web.StreamResponse = await self._page(request)
        response.headers.update(self._access.headers)
        if self._leaving or connection.secure is not self._access.tls:
            response.force_close()
        body = response.body if isinstance(response, web.Response) else None
        try:
            if isinstance(body, bytes) and len(body) > WRITE_BYTES and request.method == "GET":
                response = await _in_pieces(request, response, body)
            else:
                await response.prepare(request)
            await response.write_eof()
        except ConnectionError:
            pass  # it has gone
        connection.turn_to(Phase.IDLE)
        return response

    async def _page(self, request: web.BaseRequest) -> web.Response:
        refused = await self._access.refusal(request)
        if refused is not None:
            self._complaints.add(refused.why, request.remote or "")
            return refused.response()
        page = self._routes.get(request.path)
        if page is None:
            return _say(404, "there is no such page; / lists those that are there")
        if request.method not in {"GET", "HEAD"}:
            answer = _say(405, f"{request.path} is read-only")
            answer.headers["Allow"] = "GET, HEAD"
            answer.force_close()
            return answer
        if request.body_exists:
            answer = _say(413, "a request has no body here")
            answer.force_close()
            return answer
        return page(request)

    def _metrics(self, request: web.BaseRequest) -> web.Response:
        gzipped = takes_gzip(request.headers.get("Accept-Encoding", ""))
        accept = request.headers.get("Accept", "")
        page = self._pages.scraped(request.remote or "", accept, gzipped=gzipped)
        headers = {"Content-Type": page.content_type, "Vary": "Accept, Accept-Encoding"}
        if page.gzipped:
            headers["Content-Encoding"] = "gzip"
        return web.Response(body=page.body, headers=headers)

    def _index(self, _request: web.BaseRequest) -> web.Response:
        text = (
            "<!doctype html><html lang=en><meta charset=utf-8><title>Wattlas</title>"
            f"<h1>Wattlas {html.escape(self._version)}</h1>"
            "<p>Energy and carbon of this server."
            "<ul><li><a href=/metrics>/metrics</a> for Prometheus"
            "<li><a href=/healthz>/healthz</a>: is it measuring?"
            "<li><a href=/readyz>/readyz</a>: has it begun?</ul></html>\n"
        )
        return web.Response(text=text, content_type="text/html")


async def _in_pieces(
    request: web.BaseRequest, whole: web.StreamResponse, body: bytes
) -> web.StreamResponse:
    """Send a large page piece by piece: who does not read holds one piece, not the page."""
    response = web.StreamResponse(status=whole.status, headers=whole.headers)
    response.content_length = len(body)
    if whole.keep_alive is False:
        response.force_close()
    await response.prepare(request)
    view = memoryview(body)
    for begin in range(0, len(body), WRITE_BYTES):
        await response.write(view[begin : begin + WRITE_BYTES])
    return response


def takes_gzip(accept_encoding: str) -> bool:
    """Tell whether a client wants gzip (RFC 9110, 12.5.3); a weight that is no number is 0."""
    wanted: dict[str, bool] = {}
    for choice in accept_encoding.lower().split(","):
        name, _, parameter = choice.partition(";")
        try:
            weight = float(parameter.strip().removeprefix("q=") or 1)
        except ValueError:
            weight = 0.0
        wanted[name.strip()] = weight > 0
    return wanted.get("gzip", wanted.get("*", False))


def _verdict(why_not: str) -> web.Response:
    return web.Response(text=f"{why_not or 'ok'}\n", status=503 if why_not else 200)


def _say(status: int, sentence: str) -> web.Response:
    return web.Response(text=f"{sentence}\n", status=status)
