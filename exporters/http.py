"""The HTTP side: /metrics, /healthz, /readyz and a page that says where they are.

Read-only. Handlers print what is there; none touches a sensor.
"""

import errno
import html
from collections.abc import Callable
from typing import Final

from aiohttp import web

from agent.http_log import logger_of
from exporters.prometheus import PrometheusPages

MAX_HEADER_BYTES: Final = 8190


_LOGGER: Final = logger_of("http")


class ListenError(Exception):
    """The address cannot be listened on: one sentence with the remedy."""


class HttpServer:
    """Serves one agent's pages."""

    def __init__(
        self,
        pages: PrometheusPages,
        *,
        healthy: Callable[[], str],
        ready: Callable[[], str],
        version: str,
    ) -> None:
        """`healthy` and `ready` return "" for yes, else why not."""
        self._pages = pages
        self._healthy = healthy
        self._ready = ready
        self._version = version
        self._runner: web.AppRunner | None = None

    async def start(self, host: str, port: int) -> tuple[str, int]:
        """Listen; return the address, with the port that was picked for port 0."""
        app = web.Application()
        app.router.add_get("/metrics", self._metrics)
        app.router.add_get("/healthz", self._healthz)
        app.router.add_get("/readyz", self._readyz)
        app.router.add_get("/", self._index)
        self._runner = web.AppRunner(
            app,
            access_log=None,
            logger=_LOGGER,
            handle_signals=False,
            max_line_size=MAX_HEADER_BYTES,
            max_field_size=MAX_HEADER_BYTES,
            shutdown_timeout=1.0,
            keepalive_timeout=90.0,  # longer than a scrape interval: no new connection each time
        )
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, host, port, backlog=128).start()
        except (OSError, UnicodeError) as error:  # the latter: no name can look so (RFC 1035)
            await self.stop()
            where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
            number = getattr(error, "errno", None)
            if number == errno.EADDRINUSE:
                why = "another program listens there; stop it or set agent.listen to a free port"
            elif number == errno.EACCES:
                why = "not permitted; ports below 1024 need privilege, set agent.listen to another"
            else:
                reason = getattr(error, "strerror", None) or error
                why = f"cannot listen ({reason}); set agent.listen to an address of this host"
            raise ListenError(f"{where}: {why}") from error
        address: tuple[str, int] = self._runner.addresses[0][:2]
        return address

    async def stop(self) -> None:
        """Stop listening and close what is open."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _metrics(self, request: web.Request) -> web.Response:
        gzipped = takes_gzip(request.headers.get("Accept-Encoding", ""))
        accept = request.headers.get("Accept", "")
        page = self._pages.scraped(request.remote or "", accept, gzipped=gzipped)
        headers = {"Content-Type": page.content_type, "Vary": "Accept, Accept-Encoding"}
        if page.gzipped:
            headers["Content-Encoding"] = "gzip"
        return web.Response(body=page.body, headers=headers)

    async def _healthz(self, _request: web.Request) -> web.Response:
        return _verdict(self._healthy())

    async def _readyz(self, _request: web.Request) -> web.Response:
        return _verdict(self._ready())

    async def _index(self, _request: web.Request) -> web.Response:
        text = (
            "<!doctype html><html lang=en><meta charset=utf-8><title>Wattlas</title>"
            f"<h1>Wattlas {html.escape(self._version)}</h1>"
            "<p>Energy and carbon of this server."
            "<ul><li><a href=/metrics>/metrics</a> for Prometheus"
            "<li><a href=/healthz>/healthz</a>: is it measuring?"
            "<li><a href=/readyz>/readyz</a>: has it begun?</ul></html>\n"
        )
        return web.Response(text=text, content_type="text/html")


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
