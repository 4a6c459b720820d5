"""Asks other programs for a document over HTTP, and says in plain words what went wrong.

Choices, with reasons:

- one connection per document: one is read every few seconds at most, and a kept connection would
  be found dead after each restart of the other program;
- no redirect is followed (a token must not follow it to another host) and no proxy of the
  environment is asked; nothing compressed is accepted (a small body could grow without limit);
- a body has a bound.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import urlsplit

from agent.collector import Transient
from agent.http_access import Access, without_secrets

if TYPE_CHECKING:
    from aiohttp import ClientResponse

SHARE_OF_TIMEOUT: Final = 0.9
"""Asking ends this much before the caller's deadline: the message names the address."""


class Answer(NamedTuple):
    """What came back, whole."""

    status: int
    kind: str
    """Content type, lower case, without parameters; "" if it was not said."""
    body: bytes
    length_was_told: bool
    """False: the body ended with the connection, so it may have been cut off."""


ROUNDS: Final = 5
"""Of the event loop, for a connection with TLS to be closed."""


def what_is_wrong_with(url: str) -> str:
    """Return what is wrong with an address of a page, as settings would say it; "" if nothing."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        return f"{url!r} is no address: {error}"
    if parts.scheme not in {"http", "https"} or not parts.hostname or port == 0:
        return f"{url!r} is no address; write it as http://host:port/metrics"
    if parts.username is not None or parts.password is not None:
        return "no password belongs in an address; put a bearer token in a file and name token_file"
    if any(character.isspace() for character in url):
        return f"{url!r} is no address: it has a space in it"
    return ""


class Fetcher:
    """One address of one program."""

    def __init__(
        self,
        url: str,
        *,
        what: str,
        accept: str,
        most_bytes: int,
        timeout_seconds: float,
        access: Access,
    ) -> None:
        """Keep what to ask for; no I/O.

        `what` it should be the address of, for messages: "its metrics". `timeout_seconds`:
        the caller's own deadline.
        """
        self._url = url
        self.where = without_secrets(url)
        self._what = what
        self._accept = accept
        self._most_bytes = most_bytes
        self._timeout_seconds = timeout_seconds * SHARE_OF_TIMEOUT
        self._access = access

    async def fetch(
        self, form: Mapping[str, str] | None = None, *, errors: Collection[int] = ()
    ) -> Answer:
        """Return the document; `form` is sent by POST. Of statuses only 200 and `errors` pass.

        Raises `Transient`. Reasons: `refused` (nobody listens), `timeout`, `http` (another
        status), `permission` (401, 403, or a file of ours), `tls`, `garbage`, `settings`, `io`
        (all else).
        """
        if wrong := what_is_wrong_with(self._url):
            raise Transient(wrong, "settings", "mend url in the settings")
        headers = {"Accept": self._accept, "Accept-Encoding": "identity", "User-Agent": "wattlas"}
        headers |= self._access.authorization()
        try:
            async with (
                asyncio.timeout(self._timeout_seconds),
                ask(self._url, headers, form, self._access.tls(self._url)) as response,
            ):
                return await self._answer(response, errors)
        except TimeoutError:
            raise Transient(
                f"{self.where} did not answer within {self._timeout_seconds:.3g} s",
                "timeout",
                "look whether that program hangs, or set a longer timeout_seconds",
            ) from None

    def garbage(self, what: str) -> Transient:
        """Return that it sends something else than it should."""
        return Transient(
            f"{self.where} {what}", "garbage", f"look whether url is the address of {self._what}"
        )

    async def _answer(self, response: "ClientResponse", errors: Collection[int]) -> Answer:
        if response.status != 200 and response.status not in errors:
            raise self._wrong_status(response)
        kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        encoding = response.headers.get("Content-Encoding", "identity")
        if encoding != "identity":
            raise self.garbage(f"sends a body compressed with {encoding}, which was not asked for")
        pieces: list[bytes] = []
        size = 0
        async for piece in response.content.iter_any():
            size += len(piece)
            if size > self._most_bytes:
                raise self.garbage(f"sends more than {self._most_bytes // 2**20} MiB")
            pieces.append(piece)
        told = "Content-Length" in response.headers or "Transfer-Encoding" in response.headers
        return Answer(response.status, kind, b"".join(pieces), told)

    def _wrong_status(self, response: "ClientResponse") -> Transient:
        status = response.status
        if status in {401, 403}:
            wanted = response.headers.get("WWW-Authenticate", "")
            has, remedy = self._access.refused(wanted)
            return Transient(f"{self.where} {has} (HTTP {status})", "permission", remedy)
        if 300 <= status < 400:
            there = without_secrets(response.headers.get("Location", ""))[:200]
            return Transient(
                f"{self.where} sends on to {there!r} (HTTP {status})",
                "http",
                "set url to the address that it names, if you trust it; none is followed",
            )
        return Transient(
            f"{self.where} answers HTTP {status}",
            "http",
            "look at that program's log" if status >= 500 else "look at the path in url",
        )


@asynccontextmanager
async def ask(
    url: str, headers: dict[str, str], form: Mapping[str, str] | None, tls: ssl.SSLContext | bool
) -> AsyncIterator["ClientResponse"]:
    """Send a request; closes the connection. Raises `Transient` for all that aiohttp raises."""
    import aiohttp  # noqa: PLC0415
    from yarl import URL  # noqa: PLC0415

    where = without_secrets(url)
    method = "GET" if form is None else "POST"
    try:
        async with (
            aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(ssl=tls, force_close=True, limit=1),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                timeout=aiohttp.ClientTimeout(total=None),
                trust_env=False,
            ) as session,
            session.request(
                method, URL(url), headers=headers, data=form, allow_redirects=False
            ) as response,
        ):
            yield response
    except aiohttp.ClientConnectorCertificateError as error:
        raise Transient(
            f"{where}: its certificate is not trusted ({error.certificate_error})",
            "tls",
            "name the PEM file of who signed it in ca_file",
        ) from None
    except aiohttp.ClientSSLError as error:
        raise Transient(
            f"{where}: no secure connection ({error.os_error})",
            "tls",
            "name the PEM file of who signed its certificate in ca_file",
        ) from None
    except aiohttp.ClientConnectorError as error:
        if isinstance(error.os_error, ConnectionRefusedError):
            raise Transient(
                f"{where}: connection refused, nothing listens there",
                "refused",
                "start that program, or set url to where it listens",
            ) from None
        why = error.os_error.strerror or str(error.os_error)
        raise Transient(f"{where}: cannot be reached ({why})", "io", "look at url") from None
    except (aiohttp.ClientError, OSError, ValueError) as error:
        if isinstance(error, TimeoutError):
            raise
        why = str(error)[:120] or type(error).__name__
        raise Transient(f"{where}: the answer broke off or is no HTTP ({why})", "io") from None
    finally:
        # A closed transport lets go of its socket in the loop's next round, one with TLS a few
        # rounds later, which `wattlas read` would not have otherwise.
        for _ in range(ROUNDS if tls else 1):
            await asyncio.sleep(0)
