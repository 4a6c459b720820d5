"""The fast rendering against prometheus_client's own, byte for byte."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import choose_encoder

from exporters.rendering import Rendering

ACCEPT = {
    "text": "",
    "openmetrics": "application/openmetrics-text;version=1.0.0",
    "openmetrics, any UTF-8": "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8",
    "text 1.0": "text/plain;version=1.0.0;escaping=values",
    "prometheus 2": "application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4",
}
NAMES = ["wattlas_a_watts", "wattlas_b_joules", "wattlas:c", "wattlas_created", "wattlas_gcount"]
VALUES = st.one_of(
    st.floats(), st.integers(-(2**70), 2**70), st.booleans(), st.sampled_from([1e6, 1e7, 123456.7])
)
SERIES = st.lists(st.tuples(st.tuples(st.text(), st.text()), VALUES), max_size=4)
PAGES = st.lists(
    st.lists(st.tuples(st.sampled_from(NAMES), st.booleans(), st.text(), SERIES), max_size=4),
    min_size=1,
    max_size=4,
)


class Families:
    def __init__(self, families):
        self.families = families

    def collect(self):
        return iter(self.families)


def made(page):
    result = []
    for name, is_counter, documentation, series in page:
        kind = CounterMetricFamily if is_counter else GaugeMetricFamily
        family = kind(name, documentation, labels=["device", "a_label"])
        for labels, value in series:
            family.add_metric(labels, value)
        result.append(family)
    return result


@given(accept=st.sampled_from(sorted(ACCEPT)), pages=PAGES)
def test_every_page_is_the_librarys(accept, pages):
    encode, _ = choose_encoder(ACCEPT[accept])
    rendering = Rendering(encode)
    for page in pages:
        families = made(page)
        for _ in range(2):  # once made by the library, once from what was kept
            assert rendering.render(families) == encode(Families(families))


@pytest.mark.parametrize("accept", ACCEPT.values(), ids=ACCEPT)
def test_only_values_change(accept):
    encode, _ = choose_encoder(accept)
    rendering = Rendering(encode)
    for value in (0, 0.5, 1e6, 1234567.125, 1e21, -1e21, 1e-9, float("nan"), float("inf")):
        families = made([("wattlas_a_watts", False, "Power.", [(("x\n", 'y"\\'), value)])])
        assert rendering.render(families) == encode(Families(families))


@pytest.mark.parametrize("accept", ACCEPT.values(), ids=ACCEPT)
def test_what_it_does_not_know_is_left_to_the_library(accept):
    encode, _ = choose_encoder(accept)
    rendering = Rendering(encode)
    histogram = HistogramMetricFamily("h", "Buckets.", labels=["x"])
    histogram.add_metric(["1"], [("1.0", 3), ("+Inf", 5)], 7.0)
    stamped = GaugeMetricFamily("g", "With a time.", labels=["x"])
    stamped.add_metric(["1"], 2.0, timestamp=1234.5)
    created = CounterMetricFamily("c", "With its beginning.", labels=["x"])
    created.add_metric(["1"], 2.0, created=12.0)
    created.add_metric(["2"], 3.0, created=13.0)
    families = [histogram, stamped, created]
    for _ in range(2):
        assert rendering.render(families) == encode(Families(families))
