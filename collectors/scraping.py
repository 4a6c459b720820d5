"""Reads metrics pages of other programs over HTTP.

How they are asked for: `collectors/fetching.py`. What stands on them:
`collectors/scraping_text.py`. A body that ends without saying how long it is, in the middle of a
line, was cut off: half a counter's digits would look like a reset.
"""

import asyncio
from collections.abc import Collection
from typing import TYPE_CHECKING, Final

from agent.collector import Transient
from agent.http_access import Access
from collectors.fetching import Fetcher, what_is_wrong_with
from collectors.scraping_text import PageText

if TYPE_CHECKING:
    from prometheus_client.samples import Sample

__all__ = ["MOST_BYTES", "Scraper", "what_is_wrong_with"]

MOST_BYTES: Final = 16 * 1024 * 1024
"""A page that is longer is refused: hundreds of times what an exporter of this field writes."""
THREAD_BYTES: Final = 256 * 1024
"""From here on a page is parsed in a thread, so that the event loop does not wait for it."""
ACCEPT: Final = "text/plain;version=0.0.4, application/openmetrics-text;version=1.0.0;q=0.5"
OPENMETRICS: Final = "application/openmetrics-text"


class Scraper:
    """One page of one program."""

    def __init__(
        self,
        url: str,
        wanted: Collection[str],
        *,
        timeout_seconds: float,
        token_file: str = "",
        user: str = "",
        password_file: str = "",
        ca_file: str = "",
        cert_file: str = "",
        key_file: str = "",
    ) -> None:
        """Keep what to read; no I/O.

        `wanted`: names of samples, exactly as they stand on the page. `timeout_seconds`: the
        collector's own deadline. `token_file`: a bearer token, read at each scrape; or `user` and
        `password_file` for basic authentication. `ca_file`: PEM certificates that may have signed
        the page's; "": those of the system. `cert_file`, `key_file`: what shows it who we are.
        """
        self._fetcher = Fetcher(
            url,
            what="its metrics",
            accept=ACCEPT,
            most_bytes=MOST_BYTES,
            timeout_seconds=timeout_seconds,
            access=Access(token_file, user, password_file, ca_file, cert_file, key_file),
        )
        self._text = PageText(wanted)

    @property
    def where(self) -> str:
        """The address as messages may show it: without query, user name and password."""
        return self._fetcher.where

    async def scrape(self) -> "list[Sample]":
        """Return the wanted samples, with values as float; none is no error.

        Rows with the same labels share one dictionary: do not change it.

        Raises `Transient`. Reasons: those of `Fetcher.fetch`, and `garbage` (not the format).
        """
        answer = await self._fetcher.fetch()
        body = answer.body
        if answer.kind not in {"", "text/plain", OPENMETRICS}:
            raise self._fetcher.garbage(f"sends {answer.kind}, not metrics as text")
        if body and not answer.length_was_told and not body.endswith(b"\n"):
            raise Transient(f"{self.where}: the page was cut off", "io", "it is read again")
        try:
            text = body.decode()
        except UnicodeDecodeError as error:
            raise self._fetcher.garbage(f"sends no UTF-8 text (byte {error.start})") from None
        openmetrics = answer.kind == OPENMETRICS
        if len(text) < THREAD_BYTES:
            return self._parse(text, openmetrics=openmetrics)
        return await asyncio.to_thread(self._parse, text, openmetrics=openmetrics)

    def _parse(self, text: str, *, openmetrics: bool) -> "list[Sample]":
        """Return the wanted samples of a page. Raises `Transient`."""
        try:
            return self._text.samples(text, openmetrics=openmetrics)
        except ValueError as error:
            raise self._fetcher.garbage(str(error)) from None
