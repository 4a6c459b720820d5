"""One PromQL engine over HTTP: Prometheus, Mimir, Thanos, VictoriaMetrics.

Only range queries are asked, which all of them have
(https://prometheus.io/docs/prometheus/latest/querying/api/#range-queries). Choices, with reasons:

- POST, because our queries are longer than some proxies let an address be; GET where that is not
  taken (a proxy that only lets reading through);
- pieces of 250 points: far below the 11,000 at which Prometheus refuses, and small enough that one
  of a fleet of thousands fits into an engine's limits of time (2 minutes by default) and of samples
  held at once (50 million);
- an engine that says that its answer is partial (Thanos, VictoriaMetrics) has not answered: a sum
  over some of the servers would pass for one over all;
- no redirect is followed (a token must not follow it elsewhere), no proxy of the environment is
  asked; what may pass (busy, restarting) is asked again twice.
"""

import asyncio
import ssl
from collections.abc import Iterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final, Self
from urllib.parse import urlsplit

from agent.report.answers import Again, Answer, Series, judge, series_of, shown
from agent.report.failure import ReportError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from aiohttp import ClientSession

MOST_POINTS: Final = 250
MOST_BYTES: Final = 256 * 1024 * 1024
TIMEOUT_SECONDS: Final = 120.0
"""As long as Prometheus itself works on a query (--query.timeout)."""
AT_ONCE: Final = 3
TRIES: Final = 3
PAUSE_SECONDS: Final = 1.0
REFUSES_POST: Final = frozenset({405, 501})
API: Final = "/api/v1/query_range"


class Engine:
    """One engine's HTTP API. Use as an asynchronous context."""

    def __init__(
        self,
        url: str,
        *,
        token: str = "",
        ca_file: str = "",
        timeout_seconds: float = TIMEOUT_SECONDS,
        pause_seconds: float = PAUSE_SECONDS,
    ) -> None:
        """Keep what to ask; no I/O, but for `ca_file`.

        `url`: up to but without /api/v1, e.g. "http://mimir:8080/prometheus". `token`: a bearer
        token. `ca_file`: PEM certificates that may have signed the server's. Raises `ReportError`.
        """
        self._url = checked(url) + API
        self.where = shown(self._url.removesuffix(API))
        self._token = token
        self._tls = _tls(ca_file)
        self._timeout_seconds = timeout_seconds
        self._pause_seconds = pause_seconds
        self._method = "POST"
        self._turn = asyncio.Semaphore(AT_ONCE)
        self._session: ClientSession | None = None
        self.asked = 0
        """Answers that came."""
        self.warnings: set[str] = set()
        """What the engine said beside its answers."""

    async def __aenter__(self) -> Self:
        import aiohttp  # noqa: PLC0415 - other commands do without

        headers = {"User-Agent": "wattlas"}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=self._tls, limit=AT_ONCE),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None),
            headers=headers,
            trust_env=False,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._session is not None
        await self._session.close()
        await asyncio.sleep(0)  # closed transports let go of their sockets in the loop's next round

    async def range(self, query: str, start: float, end: float, step: float) -> list[Series]:
        """Return the series of a query at `start`, `start` + `step` … `end`, in Unix time.

        At most `MOST_POINTS` points; see `pieces`. Raises `ReportError`, one plain sentence.
        """
        asked = {"query": query, "start": f"{start:.3f}", "end": f"{end:.3f}", "step": f"{step:g}"}
        asked["partial_response"] = "false"  # Thanos; the others do not know it
        async with self._turn:
            for left in range(TRIES - 1, -1, -1):
                try:
                    answer = await self._ask(asked)
                    break
                except Again as again:
                    if not left:
                        raise ReportError(str(again)) from None
                    await asyncio.sleep(self._pause_seconds)
        self.asked += 1
        self.warnings.update(answer.warnings)
        return series_of(self.where, answer)

    async def _ask(self, asked: dict[str, str]) -> Answer:
        try:
            async with asyncio.timeout(self._timeout_seconds), self._send(asked) as response:
                body = await self._body(response)
                status = response.status
                location = response.headers.get("Location", "")
        except TimeoutError:
            raise ReportError(
                f"{self.where} did not answer within {self._timeout_seconds:g} s; ask for a"
                " shorter period, or look whether it is overloaded"
            ) from None
        if status in REFUSES_POST and self._method == "POST":
            self._method = "GET"
            return await self._ask(asked)
        return judge(self.where, status, body, location, has_token=bool(self._token))

    @asynccontextmanager
    async def _send(self, asked: dict[str, str]) -> "AsyncIterator[Any]":
        """Send a query; raises `ReportError` or `Again` for all that aiohttp raises."""
        import aiohttp  # noqa: PLC0415

        assert self._session is not None
        is_post = self._method == "POST"
        try:
            async with self._session.request(
                self._method,
                self._url,
                allow_redirects=False,
                data=asked if is_post else None,
                params=None if is_post else asked,
            ) as response:
                yield response
        except (aiohttp.ClientSSLError, aiohttp.ClientConnectorCertificateError) as error:
            why = getattr(error, "certificate_error", None) or getattr(error, "os_error", error)
            raise ReportError(
                f"{self.where}: no trusted connection ({why}); name the PEM file of who signed its"
                " certificate with --ca-file"
            ) from None
        except aiohttp.ClientConnectorError as error:
            if isinstance(error.os_error, ConnectionRefusedError):
                raise ReportError(
                    f"{self.where}: connection refused, nothing listens there; start it, or mend"
                    " --prometheus"
                ) from None
            why = error.os_error.strerror or str(error.os_error)
            raise ReportError(
                f"{self.where}: cannot be reached ({why}); mend --prometheus"
            ) from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            if isinstance(error, TimeoutError):
                raise
            why = str(error)[:120] or type(error).__name__
            raise Again(
                f"{self.where}: the answer broke off or is no HTTP ({why}); look at its log"
            ) from None

    async def _body(self, response: Any) -> bytes:
        pieces: list[bytes] = []
        size = 0
        async for piece in response.content.iter_any():
            size += len(piece)
            if size > MOST_BYTES:
                raise ReportError(
                    f"{self.where} sends more than {MOST_BYTES // 2**20} MiB for one query; name"
                    " one site with --site"
                )
            pieces.append(piece)
        return b"".join(pieces)


def pieces(start: float, end: float, step: float) -> Iterator[tuple[float, float]]:
    """Split a period so that no piece has more than `MOST_POINTS` steps.

    Yields the first and the last grid instant *after* the piece's own beginning.
    """
    at = start
    while at < end:
        until = min(end, at + MOST_POINTS * step)
        yield at + step, until
        at = until


def checked(url: str) -> str:
    """Return an engine's address without what belongs to the API. Raises `ReportError`."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise ReportError(f"--prometheus: {url!r} is no address: {error}", status=2) from None
    if parts.username is not None or parts.password is not None:
        raise ReportError(
            "--prometheus: no password belongs in an address; put a bearer token in a file and"
            " name it with --token-file",
            status=2,
        )
    if parts.scheme not in {"http", "https"} or not parts.hostname or port == 0 or parts.query:
        raise ReportError(
            f"--prometheus: {url!r} is no address; write it as http://host:9090", status=2
        )
    path = parts.path.partition("/api/v1")[0].rstrip("/")
    return f"{parts.scheme}://{parts.netloc}{path}"


def _tls(ca_file: str) -> ssl.SSLContext | bool:
    if not ca_file:
        return True
    try:
        return ssl.create_default_context(cafile=ca_file)
    except (OSError, ssl.SSLError) as error:
        why = error.strerror or str(error)
        raise ReportError(
            f"{ca_file}: cannot be read as certificates ({why}); name a PEM file that this user may"
            " read with --ca-file"
        ) from None
