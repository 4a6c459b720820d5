"""A site's agent: real meters over real protocols, what hangs, what is killed, and its KPIs."""

import json
import os
import socket
import stat
import time
from contextlib import contextmanager

import msgspec
import pytest
from e2e.agents import Agent, settings, simulated, until, wattlas
from hardware.pages import Pages

from agent.ledger import Ledger
from agent.ledger.batch import Batch
from agent.ledger.saved import AgentState
from agent.meter import MeterState
from agent.quarters import QuarterPosting, Series

pytestmark = pytest.mark.e2e

HTTP = """
[[site.meter]]
name = "{name}"
role = "{role}"
source = "http"
url = "{url}"
energy = "/kwh"
energy_unit = "kWh"
power = "/kw"
power_unit = "kW"
interval_seconds = 0.2
timeout_seconds = 1.0
"""


@contextmanager
def silent_server():
    """A TCP server that takes connections and never says anything."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def says(pages, path, **values):
    pages.set(json.dumps(values), path, content_type="application/json")


@pytest.fixture
def pages():
    with Pages() as served:
        yield served


def site(*meters, more=""):
    return f'[site]\nname = "gz-1"\n{"".join(meters)}\n{more}'


@pytest.mark.parallel
def test_meters_are_read_counted_and_survive_a_kill(tmp_path, pages):
    says(pages, "/a", kwh=1000.0, kw=36.0)
    says(pages, "/b", kwh=500.0, kw=18.0)
    virtual = '[[site.meter]]\nname="it"\nrole="it"\nsource="virtual"\nadd=["b"]\n'
    meters = site(
        HTTP.format(name="a", role="total", url=pages.url("/a")),
        HTTP.format(name="b", role="none", url=pages.url("/b")),
        virtual,
    )
    config = settings(tmp_path / "wattlas.toml", more=meters)
    labels = {"site": "gz-1", "meter": "a", "role": "total"}
    with Agent(config) as agent:
        agent.when("both answer", lambda m: len(m.series("wattlas_site_power_watts")) == 3)
        says(pages, "/a", kwh=1002.0, kw=36.0)
        says(pages, "/b", kwh=501.0, kw=18.0)
        page = agent.when(
            "2 kWh are counted",
            lambda m: m.total("wattlas_site_energy_joules", **labels) == pytest.approx(7.2e6),
        )
        assert page.series("wattlas_site_power_watts", **labels) == [(labels, 36_000.0)]
        agent.when(
            "the virtual meter follows",
            lambda m: m.total("wattlas_site_energy_joules", meter="it") == pytest.approx(3.6e6),
        )
        agent.kill()
    says(pages, "/a", kwh=1005.0, kw=36.0)  # it went on while nobody looked
    with Agent(config) as agent:
        agent.when(
            "what flowed meanwhile is counted",
            lambda m: m.total("wattlas_site_energy_joules", **labels) == pytest.approx(1.8e7),
        )


@pytest.mark.parallel
def test_check_says_which_meter_does_not_answer_and_why(tmp_path, pages):
    says(pages, "/good", kwh=1000.0, kw=36.0)
    says(pages, "/odd", energy=1)
    with silent_server() as port:
        meters = site(
            HTTP.format(name="good", role="total", url=pages.url("/good")),
            HTTP.format(name="odd", role="it", url=pages.url("/odd")),
            HTTP.format(name="mute", role="ups", url=f"http://127.0.0.1:{port}/"),
        )
        config = settings(tmp_path / "wattlas.toml", more=meters)
        done = wattlas("check", "--config", config, "--json")
    found = {f["what"]: f for f in json.loads(done.stdout)["findings"]}
    assert found["meter good"]["state"] == "ok"
    assert found["meter good"]["detail"] == "http, total; answers, 36.0 kW"
    assert found["meter odd"]["state"] == found["meter mute"]["state"] == "problem"
    assert "/kwh" in found["meter odd"]["detail"]
    assert found["meter odd"]["remedy"]
    assert "did not answer within" in found["meter mute"]["detail"] or (
        "no answer within" in found["meter mute"]["detail"]
    )


def test_nothing_that_hangs_keeps_a_tick_waiting(tmp_path, pages):
    """A BMC, an IPMI tool, and meters of every protocol, all mute at once."""
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("ipmitool", "ipmi-dcmi", "ipmi-sensors"):
        (tools / name).write_text("#!/bin/sh\nexec sleep 600\n")
        (tools / name).chmod(stat.S_IRWXU)
    secret = tmp_path / "secret"
    secret.write_text("secret\n")
    says(pages, "/good", kwh=1000.0, kw=36.0)
    with (
        simulated(tmp_path / "machine") as root,
        silent_server() as tcp,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp,
    ):
        udp.bind(("127.0.0.1", 0))
        meters = site(
            HTTP.format(name="good", role="total", url=pages.url("/good")),
            HTTP.format(name="mute", role="it", url=f"http://127.0.0.1:{tcp}/"),
            f"""
[[site.meter]]
name = "modbus"
source = "modbus"
host = "127.0.0.1:{tcp}"
energy = {{ address = 0 }}
[[site.meter]]
name = "snmp"
source = "snmp"
host = "127.0.0.1:{udp.getsockname()[1]}"
energy_oid = "1.3.6.1.4.1.1.1.0"
[[site.meter]]
name = "promql"
source = "prometheus"
url = "http://127.0.0.1:{tcp}"
query = "x"
""",
            more=f"""
[collectors.redfish]
url = "http://127.0.0.1:{tcp}"
user = "u"
password_file = "{secret}"
[collectors.ipmi]
host = "127.0.0.1"
user = "u"
password_file = "{secret}"
""",
        )
        config = settings(tmp_path / "wattlas.toml", root=root, more=meters)
        with Agent(config, PATH=f"{tools}{os.pathsep}{os.environ['PATH']}") as agent:
            begun = time.monotonic()
            until("8 s have passed", lambda: time.monotonic() - begun > 8)
            page = agent.counts()
            assert page.total("wattlas_ticks_skipped") == 0
            assert page.total("wattlas_energy_gap_seconds", source="rapl") == 0
            assert page.total("wattlas_collector_up", collector="rapl") == 1
            assert page.series("wattlas_site_power_watts", meter="good")
            ups = {labels["collector"]: up for labels, up in page.series("wattlas_collector_up")}
            assert ups["meter_modbus"] == ups["meter_snmp"] == ups["meter_prometheus"] == 0
            assert agent.stop() == 0


@pytest.mark.parallel
def test_kpis_of_the_year_are_there_from_the_start(tmp_path, pages):
    """Out of the ledger: the agent was there before; feeds 120, UPS 100, and a hole of a week."""
    state_dir = tmp_path / "state"
    state_dir.mkdir()
    now = time.time() // 900
    ledger = Ledger.open(state_dir)
    ledger.load()
    year = range(int(now) - 366 * 96, int(now))
    hole = range(int(now) - 100 * 96, int(now) - 93 * 96)
    rows = [
        QuarterPosting(quarter, Series("meter", name, "J"), joules, 900.0, 0.0)
        for quarter in year
        for name, joules in (("a", 120.0), ("b", 100.0))
        if not (name == "a" and quarter in hole)
    ]
    ledger.commit([], msgspec.msgpack.encode(AgentState(MeterState())), Batch(quarters=rows))
    ledger.close()
    says(pages, "/a", kwh=1000.0, kw=36.0)
    says(pages, "/b", kwh=1000.0, kw=30.0)
    meters = site(
        HTTP.format(name="a", role="total", url=pages.url("/a")),
        HTTP.format(name="b", role="ups", url=pages.url("/b")),
    )
    config = settings(tmp_path / "wattlas.toml", more=meters)
    with Agent(config) as agent:
        page = agent.when(
            "the KPIs are worked out", lambda m: len(m.series("wattlas_site_pue_ratio")) == 4
        )
        found = {
            (labels["category"], labels["window"]): value
            for labels, value in page.series("wattlas_site_pue_ratio", site="gz-1")
        }
        assert found == {
            ("iPUE1", "1h"): pytest.approx(1.2),
            ("iPUE1", "24h"): pytest.approx(1.2),
            ("iPUE1", "30d"): pytest.approx(1.2),
            ("PUE1", "365d"): pytest.approx(1.2),
        }
        ((_, coverage),) = page.series(
            "wattlas_site_kpi_coverage_ratio", kpi="PUE", window="365d", category="PUE1"
        )
        assert coverage == pytest.approx((365 - 7) / 365, abs=2 / 365)


@pytest.mark.parallel
def test_the_contracts_own_example_is_told_what_it_lacks(tmp_path):
    example = '[[site.meter]]\nname = "utility-a"\nrole = "total"\nsource = "modbus"\n'
    config = settings(tmp_path / "wattlas.toml", more=site(example))
    done = wattlas("check", "--config", config, "--json")
    found = {f["what"]: f for f in json.loads(done.stdout)["findings"]}
    assert found["meter utility-a"]["state"] == "problem"
    assert "nothing says where the meter is" in found["meter utility-a"]["detail"]
    assert 'host = "10.0.0.5:502"' in found["meter utility-a"]["remedy"]
