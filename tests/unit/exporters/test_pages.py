"""Pages are made once per snapshot and variant, and kept within bounds."""

import gzip

import pytest
from unit.exporters.made import bare, snapshot

from exporters.prometheus import MAX_KEPT, PrometheusPages

TEXT = "text/plain; version="
OPENMETRICS = "application/openmetrics-text; version=1.0.0"
PROMETHEUS = (
    "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
    "text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
)


class Source:
    """Where the pages get their snapshot."""

    def __init__(self):
        self.now = snapshot()
        self.asked = 0

    def __call__(self):
        self.asked += 1
        return self.now


@pytest.fixture
def source():
    return Source()


@pytest.mark.parametrize(
    ("accept", "begins"),
    [
        ("", TEXT),
        ("*/*", TEXT),
        ("text/plain;version=0.0.4", TEXT),
        ("text/html,application/xhtml+xml", TEXT),
        (OPENMETRICS, OPENMETRICS),
        (PROMETHEUS, OPENMETRICS),
        (";;;=,,,;q=", TEXT),
    ],
)
def test_the_format_is_negotiated(source, accept, begins):
    page = PrometheusPages(source).page(accept, gzipped=False)
    assert page.content_type.startswith(begins)
    assert page.body.endswith(b"# EOF\n") == (begins == OPENMETRICS)


def test_a_page_is_made_once_per_snapshot_and_variant(source):
    pages = PrometheusPages(source)
    first = pages.page(PROMETHEUS, gzipped=True)
    assert pages.page(PROMETHEUS, gzipped=True) is first
    plain = pages.page(PROMETHEUS, gzipped=False)
    assert plain is not first
    assert gzip.decompress(first.body) == plain.body
    assert first.content_type == plain.content_type
    source.now = bare()
    assert pages.page(PROMETHEUS, gzipped=True).body != first.body


def test_a_page_is_the_same_bytes_each_time_it_is_made(source):
    bodies = {PrometheusPages(source).page("", gzipped=True).body for _ in range(2)}
    assert len(bodies) == 1  # no time of day in the gzip header


def test_what_is_kept_is_bounded(source):
    pages = PrometheusPages(source)
    for number in range(20 * MAX_KEPT):
        page = pages.page(f"text/x-{number}", gzipped=number % 2 == 0)
        assert page.body
    assert len(pages._pages) <= MAX_KEPT


def test_old_pages_are_let_go(source):
    pages = PrometheusPages(source)
    pages.page("", gzipped=True)
    source.now = bare()
    pages.page("", gzipped=False)
    assert len(pages._pages) == 1
