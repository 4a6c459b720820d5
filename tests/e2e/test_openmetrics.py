"""The ledger's history in a real Prometheus: what it has of a day is what the ledger has.

A trace of 25.5 hours is lived through by the real meter; promtool makes blocks of what is exported
while minutes, hours or only days are left; then the same ledger's agent is started and its page
goes into the same Prometheus, as a later scrape would.
"""

import contextlib
import json
import shutil
import sqlite3
import time

import pytest
from e2e.agents import Agent, settings, wattlas
from engines.prometheus import Prometheus
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from agent.cli.ledger_openmetrics import export_openmetrics
from agent.collector import find_collectors
from agent.ledger import Ledger
from agent.settings import load

pytestmark = [pytest.mark.e2e, pytest.mark.parallel]

HOUR, DAY = 3600, 86400
NOW = int(time.time())
START = (NOW - 10 * DAY) // DAY * DAY
"""A midnight UTC; the trace begins an hour before it. Prometheus drops what lies in its future."""
SECONDS = 25 * HOUR + 1800
STEP = 60
DARK = (7 * HOUR, 8 * HOUR)
"""Of the drive's sensor, by the trace's clock: from 06:00 to 07:00."""
SITE = """
[host]
grid_zone = "DE"
[site]
name = "gz-1"
[[site.meter]]
name = "feed"
role = "total"
source = "modbus"
host = "127.0.0.1:1"
energy = { address = 0, type = "float32", unit = "kWh" }
[[site.meter]]
name = "mains"
role = "water_in"
source = "modbus"
host = "127.0.0.1:1"
energy = { address = 0, type = "float32", unit = "m3" }
[[site.meter]]
name = "half"
role = "it"
source = "virtual"
add = ["feed"]
"""
QUIET = "".join(
    f"[collectors.{name}]\nenabled = false\n"
    for name in ("host", "estimate", "rapl", "hwmon", "nvml", "meter_modbus", "thermal", "perf")
)


def trace():
    """Steady powers, so that all can be worked out by hand."""
    for t in range(0, SECONDS + 1, STEP):
        cpu = {"collector": "rapl", "component": "cpu", "device": 'package-"0"', "kind": "energy"}
        yield {"t": t, **cpu, "value": 100.0 * t + 0.1}
        drive = {"collector": "hwmon", "component": "storage", "device": "nvme0", "kind": "power"}
        if not DARK[0] < t < DARK[1]:
            yield {"t": t, **drive, "value": 20.0}
        work = {"collector": "work", "workload": "llama", "unit": "tokens"}
        yield {"t": t, "kind": "work", **work, "amount": 7.0, "device": "", "since": t - STEP}
        if t % 60 == 0:
            meter = {"collector": "meter_modbus", "kind": "meter_counter"}
            yield {"t": t, **meter, "meter": "feed", "total": 1500.0 * t + 5e9}
            yield {"t": t, **meter, "meter": "mains", "total": 0.01 * t + 123.0}


@pytest.fixture(scope="module")
def lived(tmp_path_factory):
    """The ledger after the trace, the settings, and what replay said."""
    directory = tmp_path_factory.mktemp("openmetrics")
    config = settings(directory / "wattlas.toml", more=SITE + QUIET)
    path = directory / "trace.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in trace()))
    start = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(START - HOUR))
    options = ("--config", config, "--start", start, "--state-dir", directory / "state", "--json")
    done = wattlas("replay", path, *options)
    assert done.returncode == 0, done.stderr
    return directory, config, json.loads(done.stdout)


def pruned(state, minute_days, hour_days):
    ledger = Ledger.open(state)
    ledger.load()
    ledger.prune(START - HOUR + SECONDS, minute_days, hour_days)
    ledger.close()


LEVELS = {"minutes": (7, 400), "hours": (0.5, 400), "days": (0.25, 0.5)}
"""What is left: all; from 12:00 on minutes and before only hours; the day itself only as a day."""


@pytest.fixture(scope="module")
def served(lived, tmp_path_factory):
    """A Prometheus with the day at each level of detail, and the agent's page after it."""
    directory, config, _ = lived
    types = {name: cls.Settings for name, cls in find_collectors().classes.items()}
    loaded = load(config, types)
    prometheus = Prometheus(tmp_path_factory.mktemp("prometheus"))
    last = {}
    for level, days in LEVELS.items():
        state = directory / level
        shutil.copytree(directory / "state", state)
        pruned(state, *days)
        page = directory / f"{level}.txt"
        labels = {"job": "wattlas", "instance": "h1:9760", "level": level}
        written = export_openmetrics(state, START - HOUR, NOW, page, settings=loaded, labels=labels)
        assert written.left_out == []
        assert written.last == START - HOUR + SECONDS
        ends = {
            (name, tuple(sorted((k, v) for k, v in sample.labels.items() if k not in labels))): (
                sample.value
            )
            for name, family in parsed(page).items()
            for sample in family.samples
        }
        assert last in ({}, ends)  # whatever detail is left
        last = ends
        prometheus.fill([page])
    with Agent(config) as agent:
        page = agent.metrics()
    prometheus.fill([_scrape(directory / "scrape.txt", page)])
    with prometheus:
        yield prometheus, last, page


def parsed(page):
    """Read a page by prometheus_client, which is strict."""
    return {family.name: family for family in text_string_to_metric_families(page.read_text())}


def _scrape(path, page):
    """Write what a Prometheus would have scraped of the agent's counters later."""
    at = START - HOUR + SECONDS + 20 * 60
    with path.open("w") as file:
        for name, family in page.families.items():
            if family.type != "counter" or not name.startswith("wattlas_"):
                continue
            file.write(f"# TYPE {name} counter\n")
            for sample in family.samples:
                for level in LEVELS:
                    more = {"job": "wattlas", "instance": "h1:9760", "level": level}
                    labels = ",".join(
                        f"{k}={json.dumps(v)}" for k, v in (sample.labels | more).items()
                    )
                    file.write(f"{sample.name}{{{labels}}} {sample.value!r} {at}\n")
        file.write("# EOF\n")
    return path


def day_of_ledger(state):
    """The ledger's own sums of the day, by SQL alone."""
    with contextlib.closing(sqlite3.connect(state / "ledger.db")) as db:
        streams = db.execute(
            "SELECT component, joules, gap_seconds FROM day JOIN stream ON id = stream"
            " WHERE day = ?",
            (START // DAY,),
        ).fetchall()
        quarters = db.execute(
            "SELECT kind, name, sum(amount) FROM quarter JOIN series ON id = series"
            " WHERE quarter >= ? AND quarter < ? GROUP BY 1, 2",
            (START // 900, (START + DAY) // 900),
        ).fetchall()
    return {c: (j, g) for c, j, g in streams}, {(k, n): a for k, n, a in quarters}


@pytest.mark.parametrize("level", LEVELS)
def test_a_days_increase_is_the_ledgers_own_sum(lived, served, level):
    prometheus, _, _ = served
    streams, quarters = day_of_ledger(lived[0] / "state")
    assert streams["cpu"][0] == pytest.approx(100 * DAY, rel=1e-9)
    assert streams["storage"] == pytest.approx((20.0 * 23 * HOUR, HOUR), rel=1e-6)

    def increase(name, **labels):
        of = ",".join(f'{k}="{v}"' for k, v in (labels | {"level": level}).items())
        (value,) = prometheus.at(f"increase({name}_total{{{of}}}[1d])", START + DAY).values()
        return value

    def ledger(kind, name):
        return pytest.approx(quarters[kind, name], rel=1e-9)

    exact = {"rel": 1e-9, "abs": 1e-9}
    for component, (joules, gap_seconds) in streams.items():
        part = "wattlas_component_energy_joules"
        assert increase(part, component=component) == pytest.approx(joules, **exact)
        dark = increase("wattlas_energy_gap_seconds", component=component)
        assert dark == pytest.approx(gap_seconds, **exact)
    host = "wattlas_host_energy_joules"
    assert increase(host, quality="measured") == pytest.approx(streams["cpu"][0], **exact)
    assert increase(host, quality="integrated") == pytest.approx(streams["storage"][0], **exact)
    site = {"site": "gz-1", "meter": "feed", "role": "total"}
    assert increase("wattlas_site_energy_joules", **site) == ledger("meter", "feed")
    assert increase("wattlas_site_energy_joules", meter="half") == ledger("meter", "feed")
    assert quarters["meter", "feed"] == pytest.approx(1500.0 * DAY)
    assert increase("wattlas_site_water_liters", meter="mains") == ledger("meter", "mains")
    assert increase("wattlas_work", unit="tokens") == ledger("work", "llama tokens")
    scope_2 = {"scope": "2", "basis": "location", "stage": "operation"}
    emitted = increase("wattlas_emissions_grams", **scope_2)
    assert emitted == ledger("emission", "2 location operation")
    assert emitted > 0


def test_minutes_show_when_it_flowed(served):
    prometheus, _, _ = served
    dark = 'wattlas_component_energy_joules_total{component="storage",level="minutes"}'
    at = START + 6 * HOUR + 1800
    assert list(prometheus.at(f"increase({dark}[20m])", at).values()) == [0.0]
    lit = list(prometheus.at(f"rate({dark}[20m])", START + 9 * HOUR).values())
    assert lit == [pytest.approx(20.0, rel=1e-9)]


def test_counters_go_on_from_where_the_export_ends(served):
    """No false reset, no joule twice, and the names and labels are those of /metrics."""
    prometheus, last, page = served
    shown = {
        (name, labels): value
        for (name, labels), value in page.counters().items()
        if name in {name for name, _ in last}
    }
    assert shown.keys() == last.keys()
    for (name, labels), ends in last.items():
        value = shown[name, labels]
        if "gap" in name or "emissions" in name:  # the agent was off since
            assert value >= ends, (name, labels)
        else:
            assert value == ends > 0, (name, labels)
    for level in LEVELS:
        for name in {name for name, _ in last}:
            resets = prometheus.at(f'resets({name}_total{{level="{level}"}}[3d])', START + 2 * DAY)
            assert len(resets) == sum(name == one for one, _ in last)
            assert set(resets.values()) == {0.0}


def test_a_period_has_its_edges_and_no_more(lived, tmp_path):
    """From 06:10 to 07:10: each series begins with the total at its first edge."""
    directory, _, _ = lived
    begin = START + 6 * HOUR + 600
    page = tmp_path / "hour.txt"
    written = export_openmetrics(directory / "state", begin, begin + HOUR, page)
    assert (written.first, written.last) == (begin, begin + HOUR)
    (left_out,) = written.left_out
    assert left_out.startswith("the site's meters feed, mains: ")
    values = {
        float(sample.timestamp): sample.value
        for sample in parsed(page)["wattlas_component_energy_joules"].samples
        if sample.labels["component"] == "cpu"
    }
    assert list(values) == list(range(begin, begin + HOUR + 1, 60))
    assert values[begin] == pytest.approx(100.0 * (7 * HOUR + 600))
    assert values[begin + HOUR] - values[begin] == pytest.approx(100.0 * HOUR, rel=1e-9)
