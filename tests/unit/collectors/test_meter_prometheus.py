"""A series of an exporter's page, and answers of PromQL servers, over real HTTP.

A real Prometheus: tests/e2e/test_meter_prometheus.py.
"""

import asyncio
import json
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from hardware.pages import OPENMETRICS, Pages
from unit.collectors.trees import FIXTURES, Clock, context

from agent.collector import Absent, Context, Transient
from agent.samples import MeterCounter, MeterRate
from agent.site.settings import PrometheusMeter, SiteSettings
from collectors.meter_prometheus import MeterPrometheus
from collectors.meter_promql import query_request, value_of
from collectors.meter_selector import selector_of
from collectors.metering import MeteringSettings

APC = (FIXTURES / "meters/apc-rpdu2-exporter/page.txt").read_text()
QUERY = "/api/v1/query"
JSON = "application/json"


@pytest.fixture
def pages():
    with Pages() as server:
        yield server


def make(*meters, clock=None):
    full = context(Path("/nowhere"), clock)
    site = SiteSettings(meter=meters)
    return MeterPrometheus(
        MeteringSettings(), Context(full.paths, full.clock, full.latest_utilization, site=site)
    )


def meter(pages, name="m", **more):
    more.setdefault("url", pages.url("" if "query" in more else "/metrics"))
    return PrometheusMeter(name=name, **more)


def read(*meters):
    async def collected():
        collector = make(*meters)
        try:
            return list(await collector.collect()), list(collector.problems())
        finally:
            collector.close()

    return asyncio.run(collected())


def failure(one):
    async def poll():
        collector = make(one)
        try:
            await collector.poll(one)
        finally:
            collector.close()

    with pytest.raises(Transient) as caught:
        asyncio.run(poll())
    return caught.value


# -- selectors -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("selector", "accepted"),
    [
        ("m", "abcd"), ("m{}", "abcd"), (' m { x = "1" } ', "a"), ('m{x="1",}', "a"),
        ("m{x='1'}", "a"), ("m{x=`1`}", "a"), ('m{x!="1"}', "bcd"), ('m{x=~"1|2"}', "ab"),
        ('m{x=~"1"}', "a"), ('m{x!~"1.*"}', "bd"), ('m{x=~"1.*"}', "ac"), ('m{x=""}', "d"),
        ('m{x!=""}', "abc"), ('m{x=~".+",x!~"2|12"}', "a"), ('m{y="d}\\""}', "d"),
        ("m{y=~`d.*`}", "d"), ('m{x="\\x31"}', "a"), ('m{x="\\061"}', "a"),
        ('m{x="\\u0031\\U00000032"}', "c"), ("m{x=~'[12]'}", "ab"),
    ],
)  # fmt: skip
def test_matchers_as_prometheus_has_them(selector, accepted):
    series = {"a": {"x": "1"}, "b": {"x": "2"}, "c": {"x": "12"}, "d": {"y": 'd}"'}}
    chosen = selector_of(selector)
    assert chosen.metric == "m"
    assert "".join(name for name, labels in series.items() if chosen.accepts(labels)) == accepted


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "does not begin with the name"), ('{x="1"}', "does not begin with the name"),
        ("1m", "does not begin with the name"), ("m n", "no { there"), ("sum(m)", "no { there"),
        ("m{x=1}", "from 'x=1}' on"), ('m{x="1}', "from 'x=\"1}' on"), ('m{x="1"', "write label="),
        ('m{x="1" y="2"}', "write label="), ("m{,}", "write label="), ('m{x=="1"}', "write label="),
        ('m{x="1"}[5m]', "goes on behind its }"), ('m{x=~"("}', "is no regular expression"),
        ('m{x="\\d"}', "a backslash is written"), ('m{x="\\U99999999"}', "is no character"),
    ],
)  # fmt: skip
def test_texts_that_select_nothing(text, says):
    with pytest.raises(ValueError) as caught:
        selector_of(text)
    assert says in str(caught.value)


# -- pages -----------------------------------------------------------------------------------------


def test_two_values_of_a_pdu_by_snmp_exporter(pages):
    pages.set(APC, "/snmp")
    where = pages.url("/snmp?target=pdu-7&module=apcups")
    label = 'rPDU2DeviceStatusName="rack 7 A"'
    samples, problems = read(
        meter(pages, "energy", url=where, metric=f"rPDU2DeviceStatusEnergy{{{label}}}",
              unit="kWh", scale=0.1),
        meter(pages, "power", url=where, unit="kW", scale=0.01,
              metric='rPDU2DeviceStatusPower{rPDU2DeviceStatusIndex!="2"}'),
    )  # fmt: skip
    # 170 982 tenths of a kWh x 3.6 MJ/kWh; 412 hundredths of a kW
    energy, power = samples
    assert isinstance(energy, MeterCounter)
    assert (energy.meter, energy.total) == ("energy", pytest.approx(61_553_520_000))
    assert isinstance(power, MeterRate)
    assert (power.meter, power.per_second) == ("power", pytest.approx(4120))
    assert problems == []
    assert len(pages.requests("/snmp")) == 1


@pytest.mark.parametrize(
    ("metric", "reason", "says"),
    [
        ("rPDU2DeviceStatusPower", "many", 'matches 2 series, e.g. {rPDU2DeviceStatusIndex="1"'),
        ('rPDU2DeviceStatusPower{x=""}', "many", "matches 2 series"),
        ('rPDU2DeviceStatusPower{rPDU2DeviceStatusIndex="3"}', "gone", "none of its 2 series"),
        ("rPDU2DeviceStatus", "gone", "rPDU2DeviceStatus is not on the page"),
        ("rPDU2DeviceStatusPower{", "settings", "cannot be read"),
    ],
)  # fmt: skip
def test_not_exactly_one_series(pages, metric, reason, says):
    pages.set(APC)
    error = failure(meter(pages, metric=metric, unit="kW"))
    assert (error.reason, says in error.why, bool(error.remedy)) == (reason, True, True), error.why


def test_one_wrong_meter_of_a_page_harms_no_other(pages):
    pages.set("a 5\n")
    samples, problems = read(
        meter(pages, "a", metric="a", unit="W"), meter(pages, "b", metric="b", unit="W"),
        meter(pages, "c", metric="{", unit="W"), meter(pages, "d", unit="W"),
        meter(pages, "e", metric="a", query="a", unit="W"), meter(pages, "f", metric="a", unit="x"),
    )  # fmt: skip
    assert [(s.meter, s.per_second) for s in samples] == [("a", 5.0)]
    assert {p.what: p.reason for p in problems} == {
        "b": "gone", "c": "settings", "d": "settings", "e": "settings", "f": "settings",
    }  # fmt: skip
    assert len(pages.requests()) == 1


def test_not_a_number_is_no_reading(pages):
    pages.set("a NaN\n")
    with pytest.raises(Transient, match=r"gives no number \(nan\) \(and 1 more\)"):
        read(meter(pages, "a", metric="a"), meter(pages, "b", metric="a", unit="W"))


def test_a_page_that_is_none_and_a_password(pages, tmp_path):
    (tmp_path / "password").write_text("secret\n")
    pages.set("<html>", content_type="text/html")
    one = meter(pages, metric="a", user="u", password_file=str(tmp_path / "password"))
    assert "sends text/html, not metrics as text" in failure(one).why
    assert pages.requests()[-1]["authorization"] == "Basic dTpzZWNyZXQ="  # u:secret


@pytest.mark.parametrize(
    ("body", "kind"),
    [("w 5 {ms}\n", "text/plain"), ("# TYPE w gauge\nw 5 {s}\n# EOF\n", OPENMETRICS)],
)
def test_a_time_stamp_of_the_page_that_stands_still(pages, body, kind):
    clock = Clock()
    one = meter(pages, metric="w", unit="W", interval_seconds=10.0)

    async def polls():
        collector = make(one, clock=clock)
        found = []
        for after, second in [(0, 0), (30, 0), (1, 0), (1, 1)]:
            clock.now += after
            at = 1_767_225_600 + second
            pages.set(body.format(s=at, ms=at * 1000), content_type=kind)
            try:
                found.append((await collector.poll(one))[0].number)
            except Transient as error:
                found.append(error.reason)
        collector.close()
        return found

    assert asyncio.run(polls()) == [5.0, 5.0, "stale", 5.0]


# -- PromQL ----------------------------------------------------------------------------------------


def vector(*series):
    return {"status": "success", "data": {"resultType": "vector", "result": list(series)}}


ONE = {"metric": {"job": "pdu"}, "value": [1767225600.1, "3500.5"]}


@pytest.mark.parametrize("base", ["", "/", "/prometheus", "/api/v1/query"])
def test_a_query_to_a_server_at_any_path(pages, base):
    path = base.rstrip("/").removesuffix(QUERY) + QUERY
    pages.set(json.dumps(vector(ONE)), path, content_type=JSON)
    samples, _ = read(
        meter(pages, url=pages.url(base), query="sum(pdu_kw)", unit="kW", scale=0.001)
    )
    assert [s.per_second for s in samples] == [pytest.approx(3500.5)]
    assert len(pages.requests(path)) == 1


def test_a_query_goes_by_get_until_it_is_too_long_for_an_address():
    url, form = query_request("http://p:9090/x?tenant=a", 'sum(a{b=~"c|d"})', 5.0)
    assert form is None
    assert urlsplit(url)._replace(query="").geturl() == "http://p:9090/x/api/v1/query"
    assert parse_qs(urlsplit(url).query) == {
        "tenant": ["a"], "query": ['sum(a{b=~"c|d"})'], "timeout": ["5000ms"],
    }  # fmt: skip
    url, form = query_request("http://p:9090", "a+" * 1000 + "a", 5.0)
    assert url == "http://p:9090/api/v1/query"
    assert form == {"query": "a+" * 1000 + "a", "timeout": "5000ms"}


def test_a_scalar():
    answer = {"status": "success", "data": {"resultType": "scalar", "result": [1.0, "42"]}}
    assert value_of(answer, "p") == 42.0


@pytest.mark.parametrize(
    ("answer", "reason", "says"),
    [
        (vector(), "nothing", "the query gives nothing now"),
        (vector(ONE, ONE, ONE), "many", 'the query gives 3 series, e.g. {job="pdu"} and'),
        (vector({"metric": {}, "value": [1, "NaN"]}), "nothing", "gives NaN, no number"),
        (vector({"metric": {}, "value": [1, "+Inf"]}), "nothing", "gives +Inf, no number"),
        (vector({"metric": {}, "value": [1, 5]}), "garbage", "unknown form"),
        (vector({"metric": {}, "value": [1, "x"]}), "garbage", "value that is the text 'x'"),
        (vector({"metric": {}, "histogram": [1, {}]}), "settings", "gives a histogram"),
        (vector(5), "garbage", "series that has no value"),
        ({"status": "success", "data": {"resultType": "matrix", "result": []}}, "settings",
         "gives a range, not one number"),
        ({"status": "success", "data": {"resultType": "string", "result": [1, "a"]}}, "settings",
         "gives a text, not one number"),
        ({"status": "success", "data": None}, "garbage", "without a result"),
        ({"status": "success", "data": {"resultType": "vector", "result": {}}}, "garbage",
         "without a result"),
        ({"status": "fine"}, "garbage", "not as a PromQL server does"),
        ([], "garbage", "not as a PromQL server does"),
        ({**vector(ONE), "warnings": ["store a is away"]}, "partial", "warns: store a is away"),
        ({**vector(ONE), "isPartial": True}, "partial", "warns: the answer is partial"),
        ({"status": "error", "errorType": "bad_data", "error": "1:5: parse error"}, "settings",
         "does not understand the query: 1:5: parse error"),
        ({"status": "error", "errorType": "execution", "error": "many-to-many"}, "garbage",
         "cannot work out the query: many-to-many"),
        ({"status": "error", "errorType": "timeout", "error": "query timed out"}, "timeout",
         "took too long over the query"),
        ({"status": "error", "errorType": "422", "error": "cannot parse"}, "http",
         "reports an error '422': cannot parse"),
        ({"status": "error"}, "http", "reports an error ''"),
    ],
)  # fmt: skip
def test_answers_that_are_no_value(answer, reason, says):
    with pytest.raises(Transient) as caught:
        value_of(answer, "http://p/api/v1/query")
    error = caught.value
    assert (error.reason, says in error.why, bool(error.remedy)) == (reason, True, True), error.why


def test_info_annotations_do_not_count_against_a_value():
    assert value_of({**vector(ONE), "infos": ["metric might not be a counter"]}, "p") == 3500.5


@pytest.mark.parametrize(
    ("status", "says"), [(400, "does not understand"), (422, "cannot work"), (503, "took too long")]
)
def test_errors_come_with_a_status_and_are_read_all_the_same(pages, status, says):
    kind = {400: "bad_data", 422: "execution", 503: "timeout"}[status]
    body = json.dumps({"status": "error", "errorType": kind, "error": "why"})
    pages.set(body, QUERY, content_type=JSON, status=status)
    assert says in failure(meter(pages, query="x")).why


def test_answers_of_what_is_no_promql_server(pages):
    pages.set("<html>log in</html>", QUERY, content_type="text/html")
    assert "sends a web page" in failure(meter(pages, query="x")).why
    pages.set("Service Unavailable", QUERY, status=503)
    assert "sends no whole JSON" in failure(meter(pages, query="x")).why
    pages.set("", QUERY, status=404)
    assert "answers HTTP 404" in failure(meter(pages, query="x")).why
    assert "is no address" in failure(meter(pages, query="x", url="p:9090")).why


def test_no_such_meter_is_absent():
    with pytest.raises(Absent, match='source = "prometheus"'):
        read()
