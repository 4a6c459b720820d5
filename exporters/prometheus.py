"""The page a Prometheus scrapes: one snapshot in text or OpenMetrics, made once and kept."""

import contextlib
import gzip
import time
from collections.abc import Callable
from typing import Final, NamedTuple

from prometheus_client.exposition import choose_encoder

from agent.snapshot import Snapshot
from exporters.families import SnapshotCollector
from exporters.habits import Habits
from exporters.rendering import Rendering

GZIP_LEVEL: Final = 1
"""0.3 ms per 1,000 series; level 6 takes four times that for a tenth less."""
MAX_KEPT: Final = 8
"""Variants of one snapshot kept; a client can ask for many by its Accept header."""


class Page(NamedTuple):
    """An answer to a scrape."""

    body: bytes
    content_type: str
    gzipped: bool


class PrometheusPages:
    """Pages of the newest snapshot, each variant made just before its scrape or at the first."""

    def __init__(self, snapshot: Callable[[], Snapshot]) -> None:
        self._snapshot = snapshot
        self._of: Snapshot | None = None
        self._pages: dict[tuple[str, bool], Page] = {}
        self._formats: dict[str, tuple[Rendering, str]] = {}
        """By Accept header: its renderer and content type."""
        self._habits = Habits()

    def scraped(self, client: str, accept: str, *, gzipped: bool) -> Page:
        """Return the page for a client's Accept header, and learn when it comes."""
        self._habits.saw((client, accept, gzipped), time.monotonic())
        return self.page(accept, gzipped=gzipped)

    def prepare(self, until: float) -> None:
        """Make the pages that are likely to be asked for by `until`, in monotonic seconds."""
        for _, accept, gzipped in self._habits.expected(time.monotonic(), until):
            # A bug here shows when the page is asked for; it must not stop the measuring.
            with contextlib.suppress(Exception):
                self.page(accept, gzipped=gzipped)

    def page(self, accept: str, *, gzipped: bool) -> Page:
        """Return the page for an Accept header."""
        snapshot = self._snapshot()
        if snapshot is not self._of:
            self._of, self._pages = snapshot, {}
        key = (accept, gzipped)
        kept = self._pages.get(key)
        if kept is not None:
            return kept
        if gzipped:
            plain = self.page(accept, gzipped=False)
            page = Page(gzip.compress(plain.body, GZIP_LEVEL, mtime=0), plain.content_type, True)
        else:
            rendering, content_type = self._format(accept)
            body = rendering.render(SnapshotCollector(snapshot).collect())
            page = Page(body, content_type, gzipped=False)
        if len(self._pages) < MAX_KEPT:
            self._pages[key] = page
        return page

    def _format(self, accept: str) -> tuple[Rendering, str]:
        kept = self._formats.get(accept)
        if kept is None:
            encode, content_type = choose_encoder(accept)
            if len(self._formats) >= MAX_KEPT:
                self._formats.clear()
            kept = self._formats[accept] = (Rendering(encode), content_type)
        return kept
