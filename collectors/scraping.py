"""Reads metrics pages of other programs over HTTP.

What stands on them: `collectors/scraping_text.py`. Choices, with reasons:

- one connection per scrape: a page is read every 15 s or so, and a kept connection would be found
  dead after each restart of the other program;
- no redirect is followed (a token must not follow it to another host) and no proxy of the
  environment is asked; nothing compressed is accepted (a small body could grow without limit);
- a body that ends without saying how long it is, in the middle of a line, was cut off: half a
  counter's digits would look like a reset.
"""

import asyncio
import os
import ssl
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from agent.collector import Transient
from collectors.scraping_text import PageText

if TYPE_CHECKING:
    from aiohttp import ClientResponse
    from prometheus_client.samples import Sample

MOST_BYTES: Final = 16 * 1024 * 1024
"""A page that is longer is refused: hundreds of times what an exporter of this field writes."""
THREAD_BYTES: Final = 256 * 1024
"""From here on a page is parsed in a thread, so that the event loop does not wait for it."""
SHARE_OF_TIMEOUT: Final = 0.9
"""The scrape gives up this much before the collector's deadline: its message names the page."""
ACCEPT: Final = "text/plain;version=0.0.4, application/openmetrics-text;version=1.0.0;q=0.5"


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


class Scraper:
    """One page of one program."""

    def __init__(
        self,
        url: str,
        wanted: Collection[str],
        *,
        timeout_seconds: float,
        token_file: str = "",
        ca_file: str = "",
    ) -> None:
        """Keep what to read; no I/O.

        `wanted`: names of samples, exactly as they stand on the page. `timeout_seconds`: the
        collector's own deadline. `token_file`: a bearer token, read at each scrape. `ca_file`:
        PEM certificates that may have signed the page's; "": those of the system.
        """
        self._url = url
        self._where = _without_secrets(url)
        self._timeout_seconds = timeout_seconds * SHARE_OF_TIMEOUT
        self._token_file = token_file
        self._ca_file = ca_file
        self._text = PageText(wanted)

    @property
    def where(self) -> str:
        """The address as messages may show it: without query, user name and password."""
        return self._where

    async def scrape(self) -> "list[Sample]":
        """Return the wanted samples, with values as float; none is no error.

        Rows with the same labels share one dictionary: do not change it.

        Raises `Transient`. Reasons: `refused` (nobody listens), `timeout`, `http` (a status other
        than 200), `permission` (401, 403, or the token's file), `tls`, `garbage` (not the format),
        `io` (all else).
        """
        if wrong := what_is_wrong_with(self._url):
            raise Transient(wrong, "settings", "mend url in the settings")
        headers = {"Accept": ACCEPT, "Accept-Encoding": "identity", "User-Agent": "wattlas"}
        if self._token_file:
            headers["Authorization"] = f"Bearer {_read_token(self._token_file)}"
        try:
            async with (
                asyncio.timeout(self._timeout_seconds),
                _get(self._url, headers, self._tls()) as response,
            ):
                body, openmetrics = await self._body(response)
                if len(body) < THREAD_BYTES:
                    return self._parse(body, openmetrics=openmetrics)
                return await asyncio.to_thread(self._parse, body, openmetrics=openmetrics)
        except TimeoutError:
            raise Transient(
                f"{self._where} did not answer within {self._timeout_seconds:.3g} s",
                "timeout",
                "look whether that program hangs, or set a longer timeout_seconds",
            ) from None

    async def _body(self, response: "ClientResponse") -> tuple[str, bool]:
        """Return the text, and whether it is OpenMetrics. Raises `Transient`."""
        if response.status != 200:
            raise self._wrong_status(response.status, response.headers.get("Location", ""))
        kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        encoding = response.headers.get("Content-Encoding", "identity")
        if encoding != "identity":
            raise self._garbage(f"sends a body compressed with {encoding}, which was not asked for")
        if kind not in {"", "text/plain", "application/openmetrics-text"}:
            raise self._garbage(f"sends {kind}, not metrics as text")
        pieces: list[bytes] = []
        size = 0
        async for piece in response.content.iter_any():
            size += len(piece)
            if size > MOST_BYTES:
                raise self._garbage(f"sends more than {MOST_BYTES // 2**20} MiB")
            pieces.append(piece)
        body = b"".join(pieces)
        told = "Content-Length" in response.headers or "Transfer-Encoding" in response.headers
        if body and not told and not body.endswith(b"\n"):
            raise Transient(f"{self._where}: the page was cut off", "io", "it is read again")
        try:
            return body.decode(), kind == "application/openmetrics-text"
        except UnicodeDecodeError as error:
            raise self._garbage(f"sends no UTF-8 text (byte {error.start})") from None

    def _parse(self, text: str, *, openmetrics: bool) -> "list[Sample]":
        """Return the wanted samples of a page. Raises `Transient`."""
        try:
            return self._text.samples(text, openmetrics=openmetrics)
        except ValueError as error:
            raise self._garbage(str(error)) from None

    def _tls(self) -> ssl.SSLContext | bool:
        """Return who may have signed the page's certificate. Raises `Transient`."""
        if not self._ca_file or not self._url.startswith("https:"):
            return True
        try:
            return ssl.create_default_context(cafile=self._ca_file)
        except (OSError, ssl.SSLError) as error:
            why = error.strerror or str(error)
            raise Transient(
                f"{self._ca_file}: cannot be read as certificates ({why})",
                "tls",
                "name a PEM file that this user may read in ca_file",
            ) from None

    def _garbage(self, what: str) -> Transient:
        return Transient(
            f"{self._where} {what}", "garbage", "look whether url is the address of its metrics"
        )

    def _wrong_status(self, status: int, location: str) -> Transient:
        if status in {401, 403}:
            has = "refuses the token" if self._token_file else "asks for a token"
            remedy = (
                f"put the right token into {self._token_file}"
                if self._token_file
                else ("put a token into a file and name it in token_file")
            )
            return Transient(f"{self._where} {has} (HTTP {status})", "permission", remedy)
        if 300 <= status < 400:
            there = _without_secrets(location)[:200]
            return Transient(
                f"{self._where} sends on to {there!r} (HTTP {status})",
                "http",
                "set url to the address that it names, if you trust it; none is followed",
            )
        return Transient(
            f"{self._where} answers HTTP {status}",
            "http",
            "look at that program's log" if status >= 500 else "look at the path in url",
        )


@asynccontextmanager
async def _get(
    url: str, headers: dict[str, str], tls: ssl.SSLContext | bool
) -> AsyncIterator["ClientResponse"]:
    """Ask for a page; closes the connection. Raises `Transient` for all that aiohttp raises."""
    import aiohttp  # noqa: PLC0415
    from yarl import URL  # noqa: PLC0415

    where = _without_secrets(url)
    try:
        async with (
            aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(ssl=tls, force_close=True, limit=1),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                timeout=aiohttp.ClientTimeout(total=None),
                trust_env=False,
            ) as session,
            session.get(URL(url), headers=headers, allow_redirects=False) as response,
        ):
            yield response
    except aiohttp.ClientSSLError as error:
        raise Transient(
            f"{where}: no secure connection ({error.os_error})",
            "tls",
            "name the PEM file of who signed its certificate in ca_file",
        ) from None
    except aiohttp.ClientConnectorCertificateError as error:
        raise Transient(
            f"{where}: its certificate is not trusted ({error.certificate_error})",
            "tls",
            "name the PEM file of who signed it in ca_file",
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
        # A closed transport lets go of its socket in the loop's next round, which `wattlas read`
        # would not have otherwise.
        await asyncio.sleep(0)


def _read_token(path: str) -> str:
    """Return what a file of one token holds. Raises `Transient`; the message has no token."""
    remedy = f"put one token into {path} and let this user read it"
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            token = os.read(descriptor, 65_536).decode("ascii").strip()
        finally:
            os.close(descriptor)
    except OSError as error:
        why = f"the token file {path} cannot be read ({error.strerror})"
        raise Transient(why, "permission", remedy) from None
    except UnicodeDecodeError:
        token = ""
    if not token or not token.isprintable() or " " in token:
        raise Transient(f"the token file {path} does not hold one token", "permission", remedy)
    return token


def _without_secrets(url: str) -> str:
    """Return scheme, host, port and path of an address."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "the page"
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
