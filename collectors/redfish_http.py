"""Asks a Redfish service over HTTP: one connection that is kept, JSON objects only.

The choices of `collectors/scraping.py` hold here too: no proxy of the environment, nothing
compressed, a body of bounded size, no redirect to anywhere else (a token must not follow it). What
differs: the connection is kept, because a TLS handshake costs a BMC a good part of a second, and a
redirect to the same path with or without its last slash is followed, which HPE iLO asks for.
"""

import asyncio
import re
import ssl
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import urlsplit

import msgspec

from agent.collector import Transient
from collectors.redfish_settings import RedfishSettings

if TYPE_CHECKING:
    from aiohttp import ClientResponse, ClientSession

Document = dict[str, Any]
MOST_BYTES: Final = 2 * 1024 * 1024
"""An answer that is longer is refused; the longest one recorded (Dell's Power) has 56 kB."""
_PATH: Final = re.compile(r"/redfish/[!-~]*")
_HEADERS: Final = {
    "Accept": "application/json",
    "Accept-Encoding": "identity",
    "OData-Version": "4.0",
    "User-Agent": "wattlas",
}


class Answer(NamedTuple):
    """What the service said."""

    status: int
    document: Document
    """{} where there was no JSON object."""
    token: str
    """X-Auth-Token; "" where there was none."""
    location: str


class Client:
    """One BMC."""

    def __init__(self, settings: RedfishSettings) -> None:
        """Keep where it is; no I/O."""
        parts = urlsplit(settings.url)
        self.where = f"{parts.scheme}://{parts.netloc}"
        """The address as messages show it."""
        self._settings = settings
        self._tls: ssl.SSLContext | None = None
        self._session: ClientSession | None = None
        self._closing: asyncio.Task[None] | None = None

    async def ask(
        self, method: str, path: str, headers: dict[str, str], payload: Document | None = None
    ) -> Answer:
        """Return the answer, whatever its status. Raises `Transient`, `TimeoutError`.

        `path` is an `@odata.id`. Reasons: `refused`, `tls`, `io`, `garbage`, `http` (a redirect).
        """
        for _ in range(2):
            answer = await self._ask(method, path, headers, payload)
            if not 300 <= answer.status < 400:
                return answer
            there = self._own_path(answer.location)
            if there == path or there.rstrip("/") != path.rstrip("/"):
                break
            path = there
        shown = _without_query(answer.location)[:200]
        raise Transient(
            f"{self.where} sends on to {shown!r} (HTTP {answer.status})",
            "http",
            "set url to the address that it names, if you trust it; none is followed",
        )

    def close(self) -> None:
        """Hang up."""
        session, self._session = self._session, None
        if session is not None:
            try:
                self._closing = asyncio.get_running_loop().create_task(session.close())
            except RuntimeError:
                session.detach()

    def tls(self) -> ssl.SSLContext:
        """Return how the BMC is known. Raises `Transient`."""
        if self._tls is None:
            ca_file = self._settings.ca_file
            try:
                context = ssl.create_default_context(cafile=ca_file or None)
            except (OSError, ssl.SSLError) as error:
                why = error.strerror or str(error)
                raise Transient(
                    f"{ca_file}: cannot be read as certificates ({why})",
                    "tls",
                    "name a PEM file that this user may read in ca_file",
                ) from None
            if not self._settings.tls_verify:
                context.check_hostname = False
                context.verify_mode = ssl.CERT_NONE
            self._tls = context
        return self._tls

    # -- inside -------------------------------------------------------------------------------

    async def _ask(
        self, method: str, path: str, headers: dict[str, str], payload: Document | None
    ) -> Answer:
        import aiohttp  # noqa: PLC0415
        from yarl import URL  # noqa: PLC0415

        if not _PATH.fullmatch(path):
            raise self._garbage(f"names {path[:80]!r} as a resource, which is none")
        try:
            async with self._open().request(
                method,
                URL(self.where + path.partition("#")[0], encoded=True),
                headers={**_HEADERS, **headers},
                json=payload,
                allow_redirects=False,
                server_hostname=self._settings.tls_name or None,
            ) as response:
                return Answer(
                    response.status,
                    await self._document(response, path),
                    response.headers.get("X-Auth-Token", ""),
                    response.headers.get("Location", ""),
                )
        except aiohttp.ClientConnectorCertificateError as error:
            why = f"its certificate is not trusted ({error.certificate_error})"
            raise self._failed("tls", why) from None
        except aiohttp.ClientSSLError as error:
            raise self._failed("tls", f"no secure connection ({error.os_error})") from None
        except aiohttp.ClientConnectorError as error:
            if isinstance(error.os_error, ConnectionRefusedError):
                raise self._failed("refused", "connection refused, nothing listens there") from None
            why = error.os_error.strerror or str(error.os_error)
            raise self._failed("io", f"cannot be reached ({why})") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            if isinstance(error, TimeoutError):
                raise
            why = str(error)[:120] or type(error).__name__
            raise self._failed("io", f"the answer broke off or is no HTTP ({why})") from None

    def _open(self) -> "ClientSession":
        import aiohttp  # noqa: PLC0415

        if self._session is None or self._session.closed:
            tls = self.tls() if self.where.startswith("https:") else True
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(ssl=tls, limit=1, keepalive_timeout=30.0),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                timeout=aiohttp.ClientTimeout(total=None),
                trust_env=False,
            )
        return self._session

    async def _document(self, response: "ClientResponse", path: str) -> Document:
        """Return the body as a JSON object; only a good answer must be one."""
        pieces: list[bytes] = []
        size = 0
        async for piece in response.content.iter_any():
            size += len(piece)
            if size > MOST_BYTES:
                raise self._garbage(f"sends more than {MOST_BYTES // 2**20} MiB at {path}")
            pieces.append(piece)
        if not 200 <= response.status < 300:
            return _object(pieces) or {}
        encoding = response.headers.get("Content-Encoding", "identity")
        if encoding != "identity":
            raise self._garbage(f"sends a body compressed with {encoding}, which was not asked for")
        if not size and response.status != 200:
            return {}
        document = _object(pieces)
        if document is None:
            raise self._garbage(f"sends no JSON object at {path}")
        return document

    def _own_path(self, location: str) -> str:
        """Return where a redirect leads on this very service, "" if elsewhere."""
        if location.startswith(self.where + "/"):
            return location[len(self.where) :]
        return location if location.startswith("/") and not location.startswith("//") else ""

    def _garbage(self, what: str) -> Transient:
        return Transient(
            f"{self.where} {what}", "garbage", "look whether url is the address of the BMC"
        )

    def _failed(self, reason: str, why: str) -> Transient:
        remedy = {
            "tls": "name the PEM file of who signed its certificate, or of the certificate itself,"
            " in ca_file; where it has another name than url, set tls_name",
            "refused": "set url to where the BMC's web server listens, and switch Redfish on there",
            "io": "look at url and whether this host reaches the BMC's network",
        }[reason]
        return Transient(f"{self.where}: {why}", reason, remedy)


def _object(pieces: list[bytes]) -> Document | None:
    try:
        found = msgspec.json.decode(b"".join(pieces))
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return found if isinstance(found, dict) else None


def _without_query(address: str) -> str:
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
