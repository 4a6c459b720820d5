"""The ledger's history as OpenMetrics text: levels of detail, joints, and figures by hand."""

import io
from itertools import pairwise

import msgspec
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from agent.carbon.live import EmissionsState
from agent.cli.common import Failure
from agent.cli.ledger_openmetrics import STDOUT, export_openmetrics
from agent.ledger import Ledger, LedgerError
from agent.ledger.batch import Batch
from agent.ledger.saved import AgentState, CarbonState
from agent.meter import MeterState, Posting, StreamIdentity, StreamState
from agent.quantities import Component, Quality
from agent.quarters import QuarterPosting, QuartersState, Series
from agent.report.failure import ReportError
from agent.report.openmetrics import write_openmetrics
from agent.report_book import ENERGY, ReportState
from agent.settings import parse
from agent.site.book import BookState
from agent.site.book import MeterState as SiteMeterState
from agent.wall import HostState

DAY = 20_000
"""2024-10-04, in days since 1970."""
MINUTE = DAY * 1440
T = MINUTE * 60
CPU = StreamIdentity("rapl", Component.CPU, 'package "0"\\', Quality.MEASURED)
COUNTER = StreamIdentity("nvml", Component.GPU, "GPU-1", Quality.MEASURED)
SENSOR = StreamIdentity("nvml", Component.GPU, "GPU-1", Quality.INTEGRATED)
WALL = StreamIdentity("hwmon", Component.HOST, "power1", Quality.INTEGRATED)
PSYS = StreamIdentity("rapl", Component.PLATFORM, "psys", Quality.MEASURED, counted=False)


def ledger(directory, streams, postings=(), quarters=(), *, prune=None, **state):
    """Write a ledger. `streams`: identity to (joules, gap seconds); `prune`: (now, days, days)."""
    states = [
        StreamState(joules=joules, gap_seconds=gap, away=[(float("-inf"), 0.0)])
        for joules, gap in streams.values()
    ]
    minutes = state.pop("open_minutes", {})
    body = AgentState(MeterState(streams=states, open_minutes=minutes), **state)
    new = Ledger.open(directory)
    new.commit(
        list(enumerate(streams)),
        msgspec.msgpack.encode(body),
        Batch(postings=list(postings), quarters=list(quarters)),
    )
    if prune:
        new.prune(*prune)
    new.close()
    return directory


def exported(directory, start=0.0, end=2 * T, **options):
    """Return {name: {labels: [(seconds since T, value)]}}, and what was left out."""
    text = io.StringIO()
    written = write_openmetrics(directory, start, end, text, **options)
    found = {}
    for family in text_string_to_metric_families(text.getvalue()):
        assert family.type == "counter"
        for sample in family.samples:
            at = float(sample.timestamp) - T
            series = found.setdefault(family.name, {}).setdefault(tuple(sample.labels.items()), [])
            series.append((at, sample.value))
    assert text.getvalue().endswith("# EOF\n")
    return found, written.left_out


def posting(minute, joules, stream=0, gap=0.0):
    return Posting(MINUTE + minute, stream, joules, 60.0 - gap, gap)


def quarter(number, series, amount, gap=0.0):
    return QuarterPosting(MINUTE // 15 + number, series, amount, 900.0 - gap, gap)


def only(found, name):
    (series,) = found[name].values()
    return series


def test_a_counter_is_where_it_stands_less_what_came_since(tmp_path):
    postings = [posting(0, 600.0), posting(1, 1200.0), posting(2, 0.25)]
    found, _ = exported(ledger(tmp_path, {CPU: (5000.25, 0.0)}, postings))
    series = found["wattlas_component_energy_joules"]
    labels = (
        ("component", "cpu"),
        ("device", 'package "0"\\'),
        ("source", "rapl"),
        ("quality", "measured"),
    )
    # 5000.25 J now, of which 1800.25 J are in the tables
    assert series == {labels: [(0, 3200.0), (60, 3800.0), (120, 5000.0), (180, 5000.25)]}
    assert only(found, "wattlas_host_energy_joules") == series[labels]
    assert dict(only(found, "wattlas_energy_gap_seconds")) == {
        0: 0.0,
        60: 0.0,
        120: 0.0,
        180: 0.0,
    }


def test_the_minute_under_way_is_left_to_the_agents_page(tmp_path):
    under_way = {MINUTE + 1: {0: [50.0, 10.0, 3.0]}}
    postings = [posting(0, 600.0, gap=5.0)]
    state = ledger(tmp_path, {CPU: (650.0, 8.0)}, postings, open_minutes=under_way)
    found, _ = exported(state)
    assert only(found, "wattlas_component_energy_joules") == [(0, 0.0), (60, 600.0)]
    assert only(found, "wattlas_energy_gap_seconds") == [(0, 0.0), (60, 5.0)]


def test_it_never_ends_above_what_the_agent_shows(tmp_path):
    """Sums in another order differ in the last bits; a counter a bit too high reads as reset."""
    amounts = [0.1 + 0.7 * (n % 13) + 1e-7 * n for n in range(600)]
    total = 0.0
    for amount in amounts:
        total += amount
    postings = [posting(n, amount) for n, amount in enumerate(amounts)]
    values = only(
        exported(ledger(tmp_path, {CPU: (total, 0.0)}, postings))[0],
        "wattlas_component_energy_joules",
    )
    assert values[-1] == (600 * 60, total)
    assert all(a <= b for (_, a), (_, b) in pairwise(values))
    assert values[0] == (0, pytest.approx(0.0, abs=1e-6))


def test_the_finest_level_that_is_whole_is_taken(tmp_path):
    """Two days of 1 J a minute; minutes are kept since 12:00 of the second, hours since 06:00 of
    the first: which is thus only a day."""
    postings = [posting(n, 1.0) for n in range(2 * 1440)]
    now = T + 2 * 86400
    state = ledger(tmp_path, {CPU: (2880.0, 0.0)}, postings, prune=(now, 0.5, 1.75))
    values = only(exported(state)[0], "wattlas_component_energy_joules")
    hours = [(86400 + n * 3600, 1440.0 + 60 * n) for n in range(1, 13)]
    minutes = [(129600 + n * 60, 2160.0 + n) for n in range(1, 721)]
    assert values == [(0, 0.0), (86400, 1440.0), *hours, *minutes]


def test_an_hour_whose_minutes_are_not_all_there_is_an_hour(tmp_path):
    postings = [posting(n, 1.0) for n in range(120)]
    state = ledger(tmp_path, {CPU: (120.0, 0.0)}, postings)
    new = Ledger.open(state)
    with new._db as db:
        db.execute("DELETE FROM minute WHERE minute = ?", (MINUTE + 7,))
    new.close()
    values = only(exported(state)[0], "wattlas_component_energy_joules")
    assert values[:3] == [(0, 0.0), (3600, 60.0), (3660, 61.0)]


def test_a_hole_begins_and_ends_at_the_same_value(tmp_path):
    postings = [posting(0, 10.0), posting(5, 20.0)]
    values = only(
        exported(ledger(tmp_path, {CPU: (30.0, 0.0)}, postings))[0],
        "wattlas_component_energy_joules",
    )
    assert values == [(0, 0.0), (60, 10.0), (300, 10.0), (360, 30.0)]


def test_a_devices_counter_and_sensor_have_one_gap(tmp_path):
    """As on /metrics: the longer one."""
    postings = [posting(0, 10.0, 0, gap=4.0), posting(1, 10.0), posting(1, 5.0, 1, gap=9.0)]
    found, _ = exported(ledger(tmp_path, {COUNTER: (20.0, 4.0), SENSOR: (5.0, 9.0)}, postings))
    (series,) = found["wattlas_energy_gap_seconds"].items()
    assert series == (
        (("component", "gpu"), ("device", "GPU-1"), ("source", "nvml")),
        [(0, 0.0), (60, 4.0), (120, 9.0)],
    )
    host = found["wattlas_host_energy_joules"]
    assert host[("quality", "measured"),] == [(0, 0.0), (60, 10.0), (120, 20.0)]
    assert host[("quality", "integrated"),] == [(60, 0.0), (120, 5.0)]


def test_what_was_never_counted_has_no_counter(tmp_path):
    postings = [posting(0, 10.0), posting(0, 0.0, 1)]
    found, _ = exported(ledger(tmp_path, {CPU: (10.0, 0.0), PSYS: (0.0, 0.0)}, postings))
    assert [dict(labels)["device"] for labels in found["wattlas_component_energy_joules"]] == [
        'package "0"\\'
    ]


def test_a_wall_meter_is_no_part(tmp_path):
    postings = [posting(0, 10.0), posting(0, 25.0, 1, gap=2.0)]
    host = HostState(0.0, 0.0, joules={Quality.INTEGRATED: 100.0})
    state = ledger(
        tmp_path,
        {CPU: (10.0, 0.0), WALL: (25.0, 2.0)},
        postings,
        [quarter(0, ENERGY, 25.0)],
        host=host,
    )
    found, left_out = exported(state)
    wall = (("device", "power1"), ("source", "hwmon"))
    assert found["wattlas_wall_energy_joules"] == {
        (*wall, ("quality", "integrated")): [(0, 0.0), (60, 25.0)]
    }
    assert found["wattlas_wall_gap_seconds"] == {wall: [(0, 0.0), (60, 2.0)]}
    assert len(found["wattlas_component_energy_joules"]) == 1
    assert found["wattlas_host_energy_joules"] == {
        (("quality", "integrated"),): [(0, 75.0), (900, 100.0)]
    }
    assert left_out == []


def test_which_quality_a_walled_hosts_energy_is_of_is_not_made_up(tmp_path):
    joules = {Quality.INTEGRATED: 100.0, Quality.ESTIMATED: 3.0}
    host = HostState(0.0, 0.0, joules=joules)
    quarters = [quarter(0, ENERGY, 25.0)]
    found, left_out = exported(ledger(tmp_path, {}, [], quarters, host=host))
    assert found == {}
    (why,) = left_out
    assert why.startswith("wattlas_host_energy_joules_total: this host has a meter of the whole")


SITE = """
[site]
name = "gz-1"
[[site.meter]]
name = "feed"
role = "total"
source = "modbus"
host = "127.0.0.1:1"
energy = { address = 0, type = "float32", unit = "kWh" }
[[site.meter]]
name = "ups"
source = "modbus"
host = "127.0.0.1:1"
energy = { address = 0, type = "float32", unit = "kWh" }
[[site.meter]]
name = "rest"
role = "it"
source = "virtual"
add = ["feed"]
subtract = ["ups"]
"""


@pytest.fixture
def site_ledger(tmp_path):
    feed, ups = Series("meter", "feed", "J"), Series("meter", "ups", "J")
    meters = {"feed": SiteMeterState(amount=1000.0, gap_seconds=30.0)}
    meters["ups"] = SiteMeterState(amount=400.0)
    book = BookState(meters=meters, virtual={"rest": 600.0})
    under_way = {MINUTE // 15 + 3: {"meter\tfeed\tJ": [100.0, 900.0, 0.0]}}
    rows = [quarter(0, feed, 500.0), quarter(1, feed, 100.0, 30.0), quarter(2, feed, 300.0)]
    rows += [quarter(0, ups, 100.0), quarter(1, ups, 250.0), quarter(2, ups, 50.0)]
    reports = ReportState(quarters=QuartersState(under_way), site=book)
    return ledger(tmp_path, {}, [], rows, reports=reports)


def test_a_sites_meters_and_a_sum_that_never_falls(site_ledger):
    site = parse(SITE, None, {}).site
    found, left_out = exported(site_ledger, site=site, site_name="gz-1")
    assert left_out == []

    def of(name, role):
        return (("site", "gz-1"), ("meter", name), ("role", role))

    edges = (0, 900, 1800, 2700)
    assert found["wattlas_site_energy_joules"] == {
        of("feed", "total"): list(zip(edges, (0.0, 500.0, 600.0, 900.0), strict=True)),
        of("ups", "none"): list(zip(edges, (0.0, 100.0, 350.0, 400.0), strict=True)),
        # 400, 250 (the part that is taken off ran ahead), 500
        of("rest", "it"): list(zip(edges, (0.0, 400.0, 400.0, 500.0), strict=True)),
    }
    gaps = found["wattlas_site_gap_seconds"]
    assert gaps[of("feed", "total")] == list(zip(edges, (0.0, 0.0, 30.0, 30.0), strict=True))
    assert gaps[of("rest", "it")] == gaps[of("feed", "total")]


def test_meters_without_settings_are_named(site_ledger):
    found, (why,) = exported(site_ledger)
    assert found == {}
    assert why == (
        "the site's meters feed, ups: the ledger does not say their roles; name the settings that"
        " do with --config"
    )


def test_work_and_emissions(tmp_path):
    work, grams = (
        Series("work", "a b tokens", "tokens"),
        Series("emission", "2 market operation", "g"),
    )
    life = Series("emission", "3 - manufacturing", "g")
    rows = [quarter(0, work, 40.0), quarter(0, grams, 2.5), quarter(0, life, 0.5)]
    emitted = {"2\tmarket\toperation": 12.5, "3\t\tmanufacturing": 0.5, "3\t\trecycling": 7.0}
    state = ledger(
        tmp_path,
        {},
        [],
        rows,
        reports=ReportState(work={"a b\ttokens": 100.0}),
        carbon=CarbonState(EmissionsState(emitted)),
    )
    found, _ = exported(state)
    labels = (("workload", "a b"), ("unit", "tokens"))
    assert found["wattlas_work"] == {labels: [(0, 60.0), (900, 100.0)]}
    assert found["wattlas_emissions_grams"] == {
        (("scope", "2"), ("basis", "market"), ("stage", "operation")): [(0, 10.0), (900, 12.5)],
        (("scope", "3"), ("basis", ""), ("stage", "manufacturing")): [(0, 0.0), (900, 0.5)],
    }


def test_a_period_is_cut_at_its_edges(tmp_path):
    postings = [posting(n, 1.0) for n in range(10)]
    state = ledger(tmp_path, {CPU: (10.0, 0.0)}, postings)
    found, _ = exported(state, T + 150.0, T + 300.0)
    values = only(found, "wattlas_component_energy_joules")
    assert values == [(180, 3.0), (240, 4.0), (300, 5.0)]
    assert exported(state, T + 1e6, T + 2e6)[0] == {}


def test_labels_of_the_scrape_go_onto_every_series(tmp_path):
    state = ledger(tmp_path, {CPU: (1.0, 0.0)}, [posting(0, 1.0)])
    more = {"job": "wattlas", "instance": 'h"1:9760'}
    found, _ = exported(state, labels=more)
    for series in found.values():
        assert all(dict(labels).items() >= more.items() for labels in series)


@pytest.mark.parametrize("name", ["", "1a", "a-b", "__name__", "device", "quality"])
def test_a_label_that_would_break_the_page_is_refused(tmp_path, name):
    state = ledger(tmp_path, {CPU: (1.0, 0.0)}, [posting(0, 1.0)])
    with pytest.raises(ReportError, match="label") as caught:
        exported(state, labels={name: "x"})
    assert caught.value.status == 2


def test_an_empty_ledger_gives_an_empty_page(tmp_path):
    Ledger.open(tmp_path).close()
    assert exported(tmp_path) == ({}, [])


def test_a_state_that_is_not_understood_is_said(tmp_path):
    new = Ledger.open(tmp_path)
    new.commit([], b"nonsense", Batch())
    new.close()
    with pytest.raises(LedgerError, match=r"ledger\.db: the saved state is not understood"):
        exported(tmp_path)


def test_the_file_appears_when_it_is_whole(tmp_path, capsys):
    state = ledger(tmp_path / "state", {CPU: (1.0, 0.0)}, [posting(0, 1.0)])
    page = tmp_path / "page.txt"
    written = export_openmetrics(state, 0.0, 2 * T, page)
    assert (written.series, written.samples, written.first, written.last) == (3, 6, T, T + 60)
    assert capsys.readouterr() == ("", "6 samples of 3 series\n")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["page.txt", "state"]
    with pytest.raises(Failure, match="there is no ledger"):
        export_openmetrics(tmp_path / "nowhere", 0.0, 1.0, tmp_path / "other.txt")
    with pytest.raises(Failure, match="cannot be written"):
        export_openmetrics(state, 0.0, 1.0, tmp_path / "no" / "page.txt")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["page.txt", "state"]


def test_to_stdout_and_what_is_left_out_to_stderr(site_ledger, capsys):
    export_openmetrics(site_ledger, 0.0, 2 * T, STDOUT)
    said = capsys.readouterr()
    assert said.out == "# EOF\n"
    assert said.err.startswith("0 samples of 0 series\nleft out: the site's meters feed, ups: ")
