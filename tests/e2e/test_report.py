"""`wattlas report` of CSV files alone and of ledgers, against figures worked out by hand."""

import socket
from itertools import pairwise

import pytest
from e2e.agents import powerless, wattlas
from e2e.report_rig import document, refused, values
from unit.collectors.trees import Clock
from unit.ledger.rig import writer

from agent.ledger.batch import Batch
from agent.quarters import QuarterPosting, Series
from agent.samples import MeterRecord, MeterRecords

pytestmark = [pytest.mark.e2e, pytest.mark.parallel]

CSV_SITE = """
[site]
name = "paper"
time_zone = "Europe/Berlin"
[[site.meter]]
name = "bill"
role = "total"
source = "csv"
file = "{0}/bill.csv"
invoices = ["feed"]
[[site.meter]]
name = "feed"
source = "csv"
file = "{0}/feed.csv"
[[site.meter]]
name = "ups"
role = "ups"
source = "csv"
file = "{0}/ups.csv"
[[site.meter]]
name = "certificates"
role = "renewable"
source = "csv"
file = "{0}/certificates.csv"
"""


@pytest.fixture
def paper(tmp_path):
    """A site that has nothing but CSV files."""
    months = [f"2025-{month:02}-01" for month in range(1, 13)] + ["2026-01-01"]
    spans = list(pairwise(months))

    def write(name, rows):
        lines = ["start,end,value,unit", *rows]
        (tmp_path / f"{name}.csv").write_text("\n".join(lines) + "\n")

    write("bill", [f"{a},{b},150,MWh" for a, b in spans] + ["2025-06-01,2025-07-01,138,MWh"])
    write("feed", [f"{a},{b},149000,kWh" for a, b in spans if a != "2025-11-01"])
    write("ups", [f"{a},{b},100,MWh" for a, b in spans])
    write("certificates", ["2025-01-01,2026-01-01,447,MWh"])
    config = tmp_path / "wattlas.toml"
    config.write_text(CSV_SITE.format(tmp_path))
    return config


YEAR = ("--from", "2025-01-01", "--to", "2026-01-01")


def test_a_site_of_paper_needs_no_ledger_and_no_agent(paper, tmp_path):
    found = document("kpi", "--config", paper, "--state-dir", tmp_path / "nowhere", *YEAR)
    kpis = values(found)
    total = 11 * 150 + 138
    assert kpis["PUE", "PUE1"] == (pytest.approx(total / 1200), 1.0)
    assert kpis["REF", ""] == (pytest.approx(447 / total), 1.0)
    (correction,) = found["history"]
    assert correction == {
        "meter": "bill",
        "from": "2025-06-01T00:00:00+02:00",
        "to": "2025-07-01T00:00:00+02:00",
        "value": pytest.approx(150_000),
        "replaced_by": pytest.approx(138_000),
        "unit": "kWh",
        "line": 7,
        "replaced_by_line": 14,
        "replaced_at": None,
    }
    assert found["problems"] == []


def test_bills_against_meters_by_month(paper):
    rows = document("reconcile", "--config", paper, *YEAR)["rows"]
    assert [row["month"] for row in rows] == [f"2025-{month:02}" for month in range(1, 13)]
    judged = {row["month"][-2:]: row["status"] for row in rows}
    assert judged.pop("06") == "outside"  # 149 MWh against a bill of 138
    assert judged.pop("11") == "missing"
    assert set(judged.values()) == {"ok"}
    june = rows[5]
    assert june["difference"] == pytest.approx(11_000)
    assert june["difference_percent"] == pytest.approx(11 / 138 * 100)
    done = wattlas("report", "reconcile", "--config", paper, *YEAR)
    assert done.returncode == 0  # it is a report
    assert "outside 2 %: 2025-06 bill 138,000.0 kWh, feed 149,000.0 kWh" in done.stdout


def test_a_row_that_cannot_be_used_and_a_file_that_is_not_there(paper, tmp_path):
    (tmp_path / "ups.csv").unlink()
    with (tmp_path / "bill.csv").open("a") as file:
        file.write("2025-13-01,2026-01-01,1,MWh\n")
    found = document("kpi", "--config", paper, *YEAR)
    assert values(found)["PUE", "PUE1"] == (None, 0.0)
    line, absent = found["problems"]
    assert "bill.csv line 15 is left out" in line
    assert absent.startswith(f"ups: {tmp_path}/ups.csv: there is no such file")
    said = wattlas("report", "kpi", "--config", paper, *YEAR).stdout
    assert "missing: ups (ups) knows nothing of the period" in said


def test_what_is_asked_wrongly(paper, url_of_nobody):
    asked = ("kpi", "--config", paper)
    assert "before it begins" in refused(
        *asked, "--from", "2026-01-01", "--to", "2025-01-01", status=2
    )
    assert "is no date" in refused(*asked, "--from", "soon", status=2)
    assert "goes with --prometheus" in refused(*asked, "--site", "x", status=2)
    assert "two sources" in refused(
        *asked, "--prometheus", "http://x", "--state-dir", "/x", status=2
    )
    assert "is no address" in refused(*asked, "--prometheus", "x:9090", status=2)
    assert "nothing listens there" in refused(*asked, "--prometheus", url_of_nobody)
    there = ("--prometheus", url_of_nobody, "--token-file", "/nowhere/token")
    assert "/nowhere/token cannot be read" in refused(*asked, *there)
    assert "nothing is known of" in refused(*asked, "--from", "2020-01-01", "--to", "2020-02-01")


@pytest.fixture
def url_of_nobody():
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{bound.getsockname()[1]}"


JUNE = 1_780_272_000  # 2026-06-01T00:00:00Z
FIRST = JUNE // 900


def kept(directory, quarters, records=None):
    """Write a ledger as an agent does, and leave it closed."""
    ledger = writer(directory, Clock())
    ledger.open()
    ledger.submit_now([], b"state", Batch([], list(quarters), records or {}, JUNE))
    ledger.close_now()


def quarters_of(kind, name, unit, amount, numbers, seconds=900.0):
    series = Series(kind, name, unit)
    return [QuarterPosting(FIRST + n, series, amount, seconds, 900.0 - seconds) for n in numbers]


def test_a_sites_ledger_with_a_hole_and_an_invoice_whose_file_is_gone(tmp_path):
    old = MeterRecord(JUNE, JUNE + 86400, 9.9e9, 2)
    new = MeterRecord(JUNE, JUNE + 86400, 86400 * 1e5, 3)
    day, hole = range(96), {8, 9, 10}
    kept(
        tmp_path / "state",
        [
            *quarters_of("meter", "feed", "J", 900 * 1e5, [n for n in day if n not in hole]),
            *quarters_of("meter", "feed", "J", 0.0, hole, 0.0),
            *quarters_of("meter", "pdu", "J", 900 * 8e4, day),
        ],
        {"bill": MeterRecords("meter_csv", "bill", 0.0, (old, new))},
    )
    config = tmp_path / "wattlas.toml"
    config.write_text(f"""
[agent]
state_dir = "{tmp_path}/state"
[site]
name = "gz-1"
[[site.meter]]
name = "feed"
role = "total"
source = "modbus"
host = "10.0.0.5"
map = "schneider-pm5000"
[[site.meter]]
name = "pdu"
role = "it"
source = "modbus"
host = "10.0.0.6"
map = "schneider-pm5000"
[[site.meter]]
name = "bill"
source = "csv"
file = "{tmp_path}/gone.csv"
invoices = ["feed"]
""")
    span = ("--from", "2026-06-01", "--to", "2026-06-02")
    found = document("kpi", "--config", config, *span)
    assert values(found)["PUE", "iPUE2"] == (pytest.approx(1.25), pytest.approx(93 / 96))
    missing = {m["name"]: m["missing"] for m in found["meters"]}
    assert missing["feed"] == [
        {"from": "2026-06-01T02:00:00+00:00", "to": "2026-06-01T02:45:00+00:00"}
    ]
    (problem,) = found["problems"]
    assert problem.endswith("(the ledger's copy is used)")
    (correction,) = found["history"]
    assert (correction["value"], correction["replaced_by"]) == pytest.approx((2750.0, 2400.0))
    assert correction["replaced_at"] == "2026-06-01T00:00:00+00:00"
    (row,) = document("reconcile", "--config", config, *span)["rows"]
    assert (row["status"], row["billed"]) == ("incomplete", pytest.approx(2400.0))


def test_a_hosts_own_ledger_is_a_fleet_of_one(tmp_path):
    day = range(96)
    known = [n for n in day if n != 5]
    kept(
        tmp_path,
        [
            *quarters_of("host", "energy", "J", 900 * 400.0, day),
            *quarters_of("host", "wall", "J", 900 * 400.0, known),
            *quarters_of("host", "compute", "J", 900 * 320.0, known),
            *quarters_of("host", "cpu_busy", "s", 300.0, day),
            *quarters_of("work", "llama tokens", "tokens", 6000.0, [1, 2], 0.0),
            *quarters_of("work", "qwen tokens", "tokens", 3600.0, [2], 0.0),
        ],
    )
    config = tmp_path / "wattlas.toml"
    config.write_text("")
    span = ("--from", "2026-06-01", "--to", "2026-06-02")
    found = document("kpi", "--config", config, "--state-dir", tmp_path, *span)
    kpis = {name: value for (name, _), value in values(found).items()}
    assert kpis["ITUE"] == (pytest.approx(1.25), pytest.approx(95 / 96))
    assert kpis["ITEUsv"] == (pytest.approx(1 / 3), 1.0)
    assert kpis["work/E_IT"] == (pytest.approx(15_600 / 9.6), 1.0)  # 400 W for a day


def test_without_anything_it_says_what_to_do(tmp_path):
    config = tmp_path / "wattlas.toml"
    config.write_text(f'[agent]\nstate_dir = "{tmp_path}"\n')
    said = refused("kpi", "--config", config)
    assert "ledger.db: there is no ledger; name its directory with --state-dir" in said
    assert "[[site.meter]]" in said
    kept(tmp_path, quarters_of("host", "energy", "J", 1.0, [0]))
    assert "nothing is known of 2020-01" in refused(
        "kpi", "--config", config, "--from", "2020-01-01", "--to", "2020-02-01"
    )
    (tmp_path / "ledger.db").write_bytes(b"no database at all" * 1000)
    assert "ledger.db" in refused("kpi", "--config", config)


def test_a_ledger_that_may_only_be_read(tmp_path):
    kept(tmp_path / "state", quarters_of("host", "energy", "J", 3.6e6, range(96)))
    config = tmp_path / "wattlas.toml"
    config.write_text("")
    for path in (tmp_path / "state/ledger.db", tmp_path / "state"):
        path.chmod(0o444 if path.is_file() else 0o555)
    span = ("--from", "2026-06-01", "--to", "2026-06-02")
    done = powerless(
        "report", "kpi", "--config", config, "--state-dir", tmp_path / "state", *span, "--json"
    )
    (tmp_path / "state").chmod(0o755)
    assert (done.returncode, done.stderr) == (0, "")
