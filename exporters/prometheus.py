"""The page a Prometheus scrapes: one snapshot in text or OpenMetrics, made once and kept."""

import gzip
from collections.abc import Callable
from typing import Final, NamedTuple

from prometheus_client.exposition import choose_encoder

from agent.snapshot import Snapshot
from exporters.families import SnapshotCollector

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
    """Pages of the newest snapshot, each variant made at its first scrape."""

    def __init__(self, snapshot: Callable[[], Snapshot]) -> None:
        self._snapshot = snapshot
        self._of: Snapshot | None = None
        self._pages: dict[tuple[str, bool], Page] = {}

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
            encode, content_type = choose_encoder(accept)
            page = Page(encode(SnapshotCollector(snapshot)), content_type, gzipped=False)
        if len(self._pages) < MAX_KEPT:
            self._pages[key] = page
        return page
