"""`wattlas report --prometheus` of a real Prometheus, against figures worked out by hand.

The world behind Prometheus is described in `report_world`. Times that are not known there:

- utility-a: day 1, 6:00 to 9:15 (its meter is silent from 6:00 to 9:00; scrapes lag, so that 43 s
  of the silence show in the next quarter of an hour);
- ups-2: day 2, 3:00 to 3:15 (its register began anew);
- agents: day 2, 15:15 to 16:15 (h1 is away), day 3, 5:00 to 5:15 (h2 has a gap);
- wall and parts: the agents' times, and day 1, 20:00 to 20:15 (h2's agent lost its ledger).

The site's agent was not scraped on day 3 from 10:00 to 11:30, which loses nothing.
"""

import os
import shutil

import pytest
from e2e.agents import wattlas
from e2e.report_rig import document, refused, values
from e2e.report_world import serving, small_site

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.parallel,
    pytest.mark.skipif(
        shutil.which("prometheus") is None and "CI" not in os.environ,
        reason="prometheus is not installed here; scripts/setup --dev does it",
    ),
]
PERIOD = ("--from", "2026-06-01", "--to", "2026-06-04")
CLOSE = 1e-3
"""Scrapes lag up to 60 s behind the grid; by that much the energy at the ends is another's."""


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("world"), small_site()) as server:
        yield server.url


def near(value, coverage):
    return (pytest.approx(value, rel=CLOSE), pytest.approx(coverage, abs=1e-9))


def test_kpis_of_a_fleet_and_its_meters(url):
    found = document("kpi", "--prometheus", url, "--site", "gz-1", *PERIOD)
    assert found["period"] == {
        "from": "2026-06-01T00:00:00+00:00",
        "to": "2026-06-04T00:00:00+00:00",
        "time_zone": "UTC",
    }
    kpis = values(found)
    # 72 h less 3.25 h of utility-a and 0.25 h of ups-2
    hours = 68.5
    total = 3.0 * hours + 90.0 - 3.25 * 1.0 - 0.25 * 1.0  # utility-b: 1 kW by night, 1.5 by day
    assert kpis["PUE", "iPUE1"] == near(total / (2.5 * hours), hours / 72)
    assert kpis["DCiE", "iPUE1"] == near((2.5 * hours) / total, hours / 72)
    assert kpis["WUE", "iWUE1 IT1"] == near(36.0 / 2.5, 71.75 / 72)  # 0.01 l/s
    assert kpis["CUE", "IT1"] == (None, 0.0)
    # 2 servers of 3 have a wall meter: (500 + 800) / (350 + 600)
    assert kpis["ITUE", ""] == near(1300 / 950, 70.5 / 72)
    # h1 half busy, h2 a quarter, h3 wholly and from noon of day 2 on; in the quarter of an hour in
    # which a server comes it is not observed yet
    late = 36 - 0.25 - 1
    observed = 2 * 71 + late
    assert kpis["ITEUsv", ""] == near((0.75 * 71 + late) / observed, 71 / 72)
    # 100 tokens/s from 1:00 of day 1 on, over the time that agents and feeds know
    hours = 72 - 3.25 - 1 - 0.25
    total = 3.0 * hours + 90.0 - 3.25 * 1.0 - 1.0 * 1.5 - 0.25 * 1.0
    assert kpis["DCeP", ""] == near(360_000 * (hours - 1) / total, hours / 72)


def test_the_agents_are_compared_with_the_meters(url):
    both = document("kpi", "--prometheus", url, "--site", "gz-1", *PERIOD)[
        "it_by_meters_and_agents"
    ]
    hours = 72 - 0.25 - 1 - 0.25
    assert both["coverage"] == pytest.approx(hours / 72)
    assert both["meters_kwh"] == pytest.approx(2.5 * hours, rel=CLOSE)
    assert both["agents_kwh"] == pytest.approx(
        0.5 * hours + 0.8 * hours + 1.0 * (36 - 1.25), rel=CLOSE
    )


def test_holes_are_named(url):
    found = document("kpi", "--prometheus", url, "--site", "gz-1", *PERIOD)
    missing = {m["name"]: m["missing"] for m in found["meters"]}
    assert missing == {
        "mains": [],
        "ups-1": [],
        "ups-2": [{"from": "2026-06-02T03:00:00+00:00", "to": "2026-06-02T03:15:00+00:00"}],
        "utility-a": [{"from": "2026-06-01T06:00:00+00:00", "to": "2026-06-01T09:15:00+00:00"}],
        "utility-b": [],
    }
    assert found["servers"]["count"] == 3
    odd = {s["instance"]: s for s in found["servers"]["not_always_there"]}
    assert odd.keys() == {"h1:9760", "h3:9760"}
    assert odd["h1:9760"]["missing_seconds"] == 3 * 900  # at 15:30, 15:45 and 16:00
    assert odd["h3:9760"]["from"] == "2026-06-02T12:15:00+00:00"


def test_settings_say_what_the_engine_cannot(url, tmp_path):
    (tmp_path / "bill.csv").write_text(
        "start,end,value,unit\n2026-06-01,2026-06-04,90,kWh\n2026-06-01,2026-06-04,92,kWh\n"
    )
    config = tmp_path / "wattlas.toml"
    source = 'source = "prometheus"\nurl = "http://x/metrics"\nmetric = "x"'
    config.write_text(f"""
[site]
name = "gz-1"
[[site.meter]]
name = "utility-b"
role = "total"
carbon_kilograms_per_kwh = 0.5
{source}
[[site.meter]]
name = "ups-1"
role = "it"
category = 3
{source}
[[site.meter]]
name = "chiller"
role = "cooling"
{source}
[[site.meter]]
name = "bill-b"
source = "csv"
file = "{tmp_path}/bill.csv"
invoices = ["utility-b"]
""")
    found = document("kpi", "--config", config, "--prometheus", url, *PERIOD)
    kpis = values(found)
    assert kpis["PUE", "iPUE3"] == near(90 / (1.5 * 72), 1.0)
    assert kpis["CUE", "IT3"] == near(45 / (1.5 * 72), 1.0)
    assert found["problems"] == ["chiller: the engine has nothing of it in this period"]
    (correction,) = found["history"]
    assert (correction["value"], correction["replaced_by"]) == pytest.approx((90.0, 92.0))
    bill, agents = document("reconcile", "--config", config, "--prometheus", url, *PERIOD)["rows"]
    assert (bill["what"], bill["against"], bill["status"]) == ("bill-b", ["utility-b"], "outside")
    assert bill["difference"] == pytest.approx(-2.0, abs=0.01)
    assert bill["difference_percent"] == pytest.approx(-2 / 92 * 100, rel=0.01)
    assert (agents["what"], agents["against"]) == ("E_IT3", ["agents"])


def test_a_site_without_agents_and_settings_of_another_one(url, tmp_path):
    config = tmp_path / "wattlas.toml"
    meter = 'name = "x"\nrole = "total"\nsource = "http"\nurl = "http://x"\nenergy = "/e"'
    config.write_text(f'[site]\nname = "gz-1"\n[[site.meter]]\n{meter}\n')
    there = ("--prometheus", url, "--site", "bare")
    found = document("kpi", "--config", config, *there, *PERIOD)
    assert values(found).keys() == {("PUE", "iPUE2"), ("DCiE", "iPUE2"), ("CUE", "IT2")}
    assert values(found)["PUE", "iPUE2"] == near(1.25, 1.0)
    of_another, no_agent, category = found["problems"]
    assert of_another.startswith("[site] of the settings is of gz-1")
    assert "no agent says that it is of the site bare, only of gz-1, other" in no_agent
    assert "category 2) is assumed" in category
    assert found["servers"] == {"count": 0, "not_always_there": []}


def test_the_table_names_what_is_missing(url):
    done = wattlas("report", "kpi", "--prometheus", url, "--site", "gz-1", *PERIOD)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[0] == "gz-1: 2026-06-01 to 2026-06-04 (not included), UTC"
    assert lines[2].split() == ["PUE", "1.7051", "iPUE1", "95.14", "%"]
    assert "missing: ups-2 (ups) knows 99.65 %: not 2026-06-02 03:00 to 2026-06-02 03:15" in lines
    assert "missing: 0.75 h of the server h1:9760" in lines
    assert not any("leaves that out" in line for line in lines)
    more = ("--from", "2026-05-01", "--to", "2026-06-04")
    said = wattlas("report", "kpi", "--prometheus", url, "--site", "gz-1", *more).stdout
    assert said.endswith(
        "note: nothing is known before 2026-06-01; --from 2026-06-01 leaves that out\n"
    )


def test_which_site_must_be_clear(url):
    assert "several sites (bare, gz-1, other)" in refused("kpi", "--prometheus", url, *PERIOD)
    there = ("--prometheus", url, "--site")
    assert "neither meters nor agents of the site moon" in refused("kpi", *there, "moon", *PERIOD)
    assert "neither" in refused("kpi", *there, "gz-1", "--from", "2020-01-01", "--to", "2020-01-02")
    assert "HTTP 404" in refused("kpi", "--prometheus", f"{url}/graph", *PERIOD)
