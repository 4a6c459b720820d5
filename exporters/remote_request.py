"""One request of remote write over HTTP, and what its answer means.

- The connection is kept between requests; it is made anew when a certificate file has changed.
- Tokens and passwords are read at each request, so a new one is used at once.
- No redirect is followed (a token must not follow it) and no proxy of the environment is asked.
"""

import asyncio
import os
import re
from collections.abc import Mapping
from contextlib import suppress
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Final, NamedTuple

from agent.clock import Clock
from agent.collector import Transient
from agent.host import build_info
from agent.http_access import Access, without_secrets
from agent.remote_settings import RemoteWriteSettings

if TYPE_CHECKING:
    from aiohttp import ClientResponse, ClientSession

V1: Final = "1.0"
V2: Final = "2.0"
CONTENT_TYPES: Final = {
    V1: ("application/x-protobuf", "0.1.0"),
    V2: ("application/x-protobuf;proto=io.prometheus.write.v2.Request", "2.0.0"),
}
"""Content-Type and X-Prometheus-Remote-Write-Version (both specifications, "Protocol")."""
WRITTEN: Final = (
    "X-Prometheus-Remote-Write-Samples-Written",
    "X-Prometheus-Remote-Write-Histograms-Written",
    "X-Prometheus-Remote-Write-Exemplars-Written",
)
IDLE_SECONDS: Final = 50.0
"""A connection is kept so long: receivers and proxies close theirs after 60 s or later."""
MAX_ANSWER_BYTES: Final = 4096
MAX_SENTENCE: Final = 200
MAX_RETRY_AFTER_SECONDS: Final = 3600.0
_NOT_PLAIN: Final = re.compile(r"[^\x20-\x7e\xa0-\uffff]+")


class Answer(NamedTuple):
    """What the receiver said."""

    status: int
    written: int | None
    """Samples that it says it has written; None: it does not say."""
    retry_after: float
    """Seconds; 0: it does not say."""
    sentence: str
    """Its own words, short and without our secrets."""


class Unanswered(Exception):
    """There was no answer: one sentence with the remedy."""

    def __init__(self, why: str, *, may_have_arrived: bool) -> None:
        super().__init__(why)
        self.may_have_arrived = may_have_arrived


class Requests:
    """The receiver of one set of settings."""

    def __init__(self, settings: RemoteWriteSettings, clock: Clock) -> None:
        """Keep what is needed; no I/O."""
        self.where = without_secrets(settings.url)
        self.access = Access(
            settings.token_file,
            settings.user,
            settings.password_file,
            settings.ca_file,
            settings.cert_file,
            settings.key_file,
        )
        self._settings = settings
        self._clock = clock
        self._session: ClientSession | None = None
        self._files: tuple[object, ...] = ()
        self._agent = f"wattlas/{build_info().version}"

    async def send(self, message: bytes, version: str) -> Answer:
        """Send a protocol buffer in the block format of snappy. Raises `Unanswered`."""
        import cramjam  # noqa: PLC0415 - not in the memory of an agent that sends nothing

        body = bytes(cramjam.snappy.compress_raw(message))
        seconds = self._settings.timeout_seconds
        try:
            identity = self.access.authorization()
            async with asyncio.timeout(seconds):
                return await self._post(body, self._headers(version) | identity, identity)
        except Transient as error:
            await self.close()
            remedy = f"; {error.remedy}" if error.remedy else ""
            raise Unanswered(f"{error.why}{remedy}", may_have_arrived=False) from None
        except TimeoutError:
            await self.close()
            raise Unanswered(
                f"{self.where} did not answer within {seconds:.3g} s; look whether it hangs, or"
                " set a longer remote_write.timeout_seconds",
                may_have_arrived=True,
            ) from None

    async def close(self) -> None:
        """Close the connection; the next request opens another."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    def _headers(self, version: str) -> dict[str, str]:
        kind, spoken = CONTENT_TYPES[version]
        return self._settings.headers | {
            "Content-Type": kind,
            "Content-Encoding": "snappy",
            "X-Prometheus-Remote-Write-Version": spoken,
            "User-Agent": self._agent,
            "Accept-Encoding": "identity",
        }

    async def _post(
        self, body: bytes, headers: Mapping[str, str], identity: Mapping[str, str]
    ) -> Answer:
        import aiohttp  # noqa: PLC0415 - as above
        from yarl import URL  # noqa: PLC0415

        session = await self._connected()
        url = URL(self._settings.url)
        try:
            async with session.post(
                url, data=body, headers=headers, allow_redirects=False
            ) as response:
                return await self._answer(response, identity)
        except aiohttp.ClientConnectorCertificateError as error:
            why = f"its certificate is not trusted ({error.certificate_error})"
            raise self._unreachable(why, "ca_file") from None
        except aiohttp.ClientSSLError as error:
            why = f"no secure connection ({error.os_error})"
            raise self._unreachable(why, "ca_file, cert_file and key_file") from None
        except aiohttp.ClientConnectorError as error:
            if isinstance(error.os_error, ConnectionRefusedError):
                why = "connection refused, nothing listens there"
            else:
                why = f"cannot be reached ({error.os_error.strerror or error.os_error})"
            raise self._unreachable(why, "url") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            if isinstance(error, TimeoutError):
                raise
            await self.close()
            why = str(error)[:120] or type(error).__name__
            raise Unanswered(
                f"{self.where}: the answer broke off or is no HTTP ({why})", may_have_arrived=True
            ) from None

    def _unreachable(self, why: str, key: str) -> Unanswered:
        return Unanswered(
            f"{self.where}: {why}; if it is up, look at remote_write.{key}",
            may_have_arrived=False,
        )

    async def _connected(self) -> "ClientSession":
        """Return the session, a new one if a file of certificates has changed."""
        import aiohttp  # noqa: PLC0415 - as above

        access = self.access
        files = tuple(map(_version_of, (access.ca_file, access.cert_file, access.key_file)))
        if self._session is not None and files != self._files:
            await self.close()
        if self._session is None:
            tls = access.tls(self._settings.url)
            self._files = files
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(ssl=tls, limit=1, keepalive_timeout=IDLE_SECONDS),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                timeout=aiohttp.ClientTimeout(total=None),
                trust_env=False,
            )
        return self._session

    async def _answer(self, response: "ClientResponse", identity: Mapping[str, str]) -> Answer:
        body = b""
        async for piece in response.content.iter_any():
            body += piece
            if len(body) > MAX_ANSWER_BYTES:
                response.close()  # enough is known
                break
        status, headers = response.status, response.headers
        text = body[:MAX_ANSWER_BYTES].decode(errors="replace")
        if status in {401, 403, 407}:
            has, remedy = self.access.refused(headers.get("WWW-Authenticate", ""))
            text = f"{has}; {remedy}"
        elif 300 <= status < 400:
            there = without_secrets(headers.get("Location", ""))
            text = f"sends on to {there}; set remote_write.url to that, if you trust it"
        written: int | None = None
        if any(name in headers for name in WRITTEN):
            # "any missing header means no element of this category was written"
            written = _whole(headers.get(WRITTEN[0], "0"))
        return Answer(
            status,
            written,
            self._seconds(headers.get("Retry-After", "")),
            _sentence(text, identity),
        )

    def _seconds(self, text: str) -> float:
        """Return what Retry-After says (RFC 9110, 10.2.3), in seconds from now."""
        seconds = 0.0
        if text.strip().isdecimal():
            seconds = float(text[:9])
        elif text:
            with suppress(ValueError, OverflowError):
                seconds = parsedate_to_datetime(text).timestamp() - self._clock.wall()
        return min(max(seconds, 0.0), MAX_RETRY_AFTER_SECONDS)


def _sentence(text: str, identity: Mapping[str, str]) -> str:
    """Return the first words of an answer in one line; what we said of ourselves is taken out."""
    for header in identity.values():
        for secret in (header, *header.split(" ")[1:]):
            text = text.replace(secret, "...")
    plain = " ".join(_NOT_PLAIN.sub(" ", text).split())
    return plain if len(plain) <= MAX_SENTENCE else plain[: MAX_SENTENCE - 4] + " ..."


def _whole(text: str) -> int:
    return int(text) if text.strip().isdecimal() else 0


def _version_of(path: str) -> tuple[int, ...]:
    """Return what changes when a file is replaced or written."""
    if not path:
        return ()
    try:
        status = os.stat(path)  # noqa: PTH116 - a Path would be made at each request
    except OSError:
        return (0,)
    return status.st_dev, status.st_ino, status.st_mtime_ns, status.st_size
