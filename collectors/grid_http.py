"""Asks a provider's API: conditional requests, rate limits, and refusals in plain words.

Connections, TLS, redirects and the bound of a body are as in collectors/fetching.py.
"""

import asyncio
from collections.abc import Collection, Mapping
from email.utils import parsedate_to_datetime
from typing import Final
from urllib.parse import urlencode

from agent.clock import Clock
from agent.collector import Transient
from agent.http_access import Access, without_secrets
from collectors.fetching import ask, what_is_wrong_with
from collectors.grid_cache import Memory
from collectors.grid_provider import DAY, DENIED_SECONDS, Trouble, garbage

MOST_BYTES: Final = 16 * 2**20
"""ENTSO-E's longest answers have some 5 MiB."""
NOTHING: Final = b""


class Web:
    """One provider's API."""

    def __init__(self, memory: Memory, clock: Clock, timeout_seconds: float) -> None:
        self.memory = memory
        self._clock = clock
        self._timeout_seconds = timeout_seconds

    async def get(
        self,
        url: str,
        query: Mapping[str, str] | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        secret_query: Mapping[str, str] | None = None,
        accept: str = "application/json",
        nothing_at: Collection[int] = (),
        passing: Collection[int] = (),
        key_remedy: str = "",
        secret: bool = False,
    ) -> bytes:
        """Return the document, or the kept one if it is unchanged (304).

        `nothing_at`: statuses by which it says that it has no data; then `NOTHING` is returned.
        `passing`: other statuses whose body is wanted. `key_remedy`: what to do when the key is
        refused. `secret`: the answer is one, and is not kept. Raises `Trouble`, and `Transient`
        where nobody answers.
        """
        address = f"{url}?{urlencode(query)}" if query else url
        where = without_secrets(url)
        if wrong := what_is_wrong_with(url):
            raise Trouble(
                wrong, "settings", "mend url in the settings", wait_seconds=DENIED_SECONDS
            )
        full = address
        if secret_query:
            full += ("&" if query else "?") + urlencode(secret_query)
        sent = {"Accept": accept, "Accept-Encoding": "identity", "User-Agent": "wattlas"}
        sent |= dict(headers or {})
        kept = self.memory.answers.get(address)
        if kept is not None:
            sent |= {"If-None-Match": kept.etag} if kept.etag else {}
            sent |= {"If-Modified-Since": kept.modified} if kept.modified else {}
        try:
            async with (
                asyncio.timeout(self._timeout_seconds),
                ask(full, sent, None, Access().tls(url)) as response,
            ):
                status, answered = response.status, response.headers
                if status == 304 and kept is not None:
                    self.memory.answers[address] = self.memory.answers.pop(address)
                    return kept.body.encode()
                if status in nothing_at:
                    return NOTHING
                if status != 200 and status not in passing:
                    raise self._refused(status, answered, where, key_remedy)
                if answered.get("Content-Encoding", "identity") != "identity":
                    raise garbage(where, "sends a compressed body, which was not asked for")
                body = bytearray()
                async for piece in response.content.iter_any():
                    body += piece
                    if len(body) > MOST_BYTES:
                        raise garbage(where, f"sends more than {MOST_BYTES // 2**20} MiB")
        except TimeoutError:
            raise Transient(
                f"{where} did not answer within {self._timeout_seconds:.3g} s",
                "timeout",
                "look at the network; it is asked again later",
            ) from None
        if status == 200 and not secret:
            etag, modified = answered.get("ETag", ""), answered.get("Last-Modified", "")
            self.memory.keep(address, etag, modified, bytes(body))
        return bytes(body)

    def _refused(
        self, status: int, answered: Mapping[str, str], where: str, key_remedy: str
    ) -> Trouble:
        wait = self._retry_after(answered)
        if status == 429:
            return Trouble(
                f"{where} is asked too often (HTTP 429)",
                "rate",
                "raise carbon.interval_seconds, or let fewer agents ask",
                wait_seconds=wait,
            )
        if status in {401, 403}:
            return Trouble(
                f"{where} refuses the key, or the key has no right to it (HTTP {status})",
                "permission",
                key_remedy or "look at the plan that the key belongs to",
                wait_seconds=max(DENIED_SECONDS, wait or 0.0),
            )
        if 300 <= status < 400:
            return Trouble(
                f"{where} sends on to another address (HTTP {status}), which is not followed",
                "http",
                "set url to the address that it names, if you trust it",
            )
        return Trouble(
            f"{where} answers HTTP {status}",
            "http",
            "it is asked again later" if status >= 500 else "look at zone and url in the settings",
            wait_seconds=wait,
        )

    def _retry_after(self, answered: Mapping[str, str]) -> float | None:
        """Return how long it asks to wait (RFC 9110, 10.2.3), at most a day; None: not said.

        A date is taken against the answer's own Date, so that our clock may be wrong.
        """
        said = answered.get("Retry-After", "").strip()
        if said.isascii() and said.isdigit():
            return min(float(said[:9]), DAY)
        try:
            until = parsedate_to_datetime(said).timestamp()
        except ValueError:
            return None
        try:
            now = parsedate_to_datetime(answered.get("Date", "")).timestamp()
        except ValueError:
            now = self._clock.wall()
        return min(max(until - now, 0.0), DAY)
