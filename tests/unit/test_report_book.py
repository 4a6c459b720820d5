"""What reports are made of, from a trace through the real replay and ledger."""

import contextlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

from agent.ledger.reading import LedgerReader
from agent.report_book import ReportBook
from agent.site.settings import SiteSettings

WATTLAS = Path(sys.executable).parent / "wattlas"
START = "2026-03-01T00:00:00Z"
UNIX = 1_772_323_200.0
HOUR = 3600


def lines():
    """One hour: a package of 100 W, a wall of 180 W but for ten minutes, half busy, a meter."""
    for t in range(HOUR + 1):
        cpu = {"collector": "rapl", "component": "cpu", "device": "package-0", "kind": "energy"}
        yield {"t": t} | cpu | {"value": 5000.0 + 100.0 * t}
        load = {"collector": "host", "component": "cpu", "device": "all", "kind": "utilization"}
        yield {"t": t} | load | {"value": 0.5}
        if t % 5 == 0 and not 1200 < t < 1800:
            wall = {"collector": "redfish", "component": "host", "device": "node", "kind": "power"}
            yield {"t": t} | wall | {"value": 180.0}
        if t % 10 == 0:
            yield {
                "t": t,
                "kind": "meter_counter",
                "collector": "meter_http",
                "meter": "feed",
                "total": 1e9 + 300.0 * t,
            }
    work = {"kind": "work", "collector": "work", "workload": "llm", "unit": "tokens"}
    yield {"t": HOUR + 1} | work | {"amount": 5000.0}
    yield {"t": HOUR + 1000} | work | {"amount": 0.0}


@pytest.fixture(scope="module")
def state_dir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("reports")
    trace = folder / "trace.jsonl"
    trace.write_text("".join(json.dumps(line) + "\n" for line in lines()))
    settings = folder / "wattlas.toml"
    settings.write_text(
        '[site]\nname = "s"\n[[site.meter]]\nname = "feed"\nrole = "total"\nsource = "http"\n'
        'url = "http://m"\nenergy = "/e"\n'
    )
    command = ["replay", trace, "--config", settings, "--start", START]
    command += ["--state-dir", folder / "state", "--json"]
    done = subprocess.run([WATTLAS, *command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder / "state"


def sums(state_dir, kind, name):
    with contextlib.closing(LedgerReader.open(state_dir)) as reader:
        cells = reader.cells(kind, name, UNIX, UNIX + HOUR)
    return sum(cell.amount for cell in cells), sum(cell.seconds for cell in cells)


def test_the_sites_meter_by_quarter(state_dir):
    joules, seconds = sums(state_dir, "meter", "feed")
    assert joules == pytest.approx(300.0 * HOUR)
    assert seconds == pytest.approx(HOUR)


def test_the_hosts_figure_is_the_walls_and_else_the_parts(state_dir):
    joules, seconds = sums(state_dir, "host", "energy")
    assert joules == pytest.approx(180.0 * 3000 + 100.0 * 600, rel=1e-3)
    assert seconds == pytest.approx(HOUR, rel=1e-3)


def test_wall_and_compute_are_of_the_same_minutes(state_dir):
    wall, seconds = sums(state_dir, "host", "wall")
    compute, same = sums(state_dir, "host", "compute")
    assert seconds == same == pytest.approx(3000.0, abs=120)
    assert wall / compute == pytest.approx(1.8)


def test_utilization_times_time(state_dir):
    busy, seconds = sums(state_dir, "host", "cpu_busy")
    assert busy / seconds == pytest.approx(0.5)
    assert seconds == pytest.approx(HOUR, abs=1.5)


def test_work_is_posted_once_a_quarter(state_dir):
    with contextlib.closing(LedgerReader.open(state_dir)) as reader:
        cells = reader.cells("work", "llm tokens", UNIX, UNIX + 2 * HOUR)
    assert sum(cell.amount for cell in cells) == pytest.approx(5000.0)


@pytest.mark.parametrize("step", [86_400.0, -86_400.0, 56 * 365 * 86_400.0])
def test_a_clock_that_is_set_neither_spreads_work_nor_loses_it(step):
    book = ReportBook(SiteSettings())
    book.work({("llm", "tokens"): 100.0}, UNIX)
    book.work({("llm", "tokens"): 700.0}, UNIX + 900.0 + step)
    posted = book.close(UNIX + 10 * 86_400.0 + abs(step))
    assert sum(p.amount for p in posted) == pytest.approx(600.0)
    assert len(posted) <= 3


def test_a_report_can_be_made_of_it(state_dir):
    command = ["report", "kpi", "--state-dir", state_dir, "--json"]
    command += ["--from", "2026-03-01T00:00", "--to", "2026-03-01T01:00"]
    done = subprocess.run([WATTLAS, *command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = {kpi["name"]: kpi for kpi in json.loads(done.stdout)["kpis"]}
    assert found["ITUE"]["value"] == pytest.approx(1.8)
    assert found["ITEUsv"]["value"] == pytest.approx(50.0, abs=0.1) or found["ITEUsv"][
        "value"
    ] == pytest.approx(0.5, abs=1e-3)
