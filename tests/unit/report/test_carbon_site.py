"""Carbon reports of sites: meters, contracts, fuel; figures worked out by hand."""

import math

import pytest
from unit.report.made_carbon import DAY, HOUR, JANUARY, KWH, ledger, lines, quarters, report

from agent.carbon.settings import Activity
from agent.quarters import Series
from agent.report.carbon_activities import read_activity
from agent.report.carbon_load import cells_of_meter, together
from agent.report.failure import ReportError
from agent.site.cells import Cell, Term
from agent.site.settings import ModbusMeter, VirtualMeter

SITE = """
[host]
grid_zone = "DE"
[carbon.static]
grams_per_kwh = 400.0
source = "supplier's letter of 2024"
market_grams_per_kwh = 600.0
market_source = "residual mix 2024"
[site]
name = "gz-1"
"""
METER = """
[[site.meter]]
name = "{0}"
role = "{1}"
source = "modbus"
host = "10.0.0.5"
map = "schneider-pm5000"
"""


def hourly(name, kwh):
    """Postings of a meter by whole hours."""
    amounts = [each if each is None else each * KWH / 4 for each in kwh for _ in range(4)]
    return quarters(Series("meter", name, "J"), amounts)


def test_the_worked_example_of_the_docs(tmp_path):
    """docs/carbon.md: four hours of 10 kWh; the roof makes 5, a PPA delivers 9, 4, 3 and 0."""
    text = (
        SITE
        + METER.format("feed", "total")
        + METER.format("pv", "generation")
        + METER.format("wind", "none")
        + """
[[carbon.contract]]
name = "roof"
kind = "onsite"
meter = "pv"
[[carbon.contract]]
name = "wind-ppa"
kind = "ppa"
meter = "wind"
grams_per_kwh = 10.0
"""
    )
    made = [5.0, 0.0, 0.0, 0.0]
    where = ledger(
        tmp_path,
        [
            *hourly("feed", [10 - each for each in made]),
            *hourly("pv", made),
            *hourly("wind", [9, 4, 3, 0]),
        ],
    )
    found = report(where, text, end=JANUARY + 4 * HOUR)
    account = lines(found)
    assert (found["scope"], found["name"]) == ("site", "gz-1")
    assert account["2", "location", "operation"] == pytest.approx(14_000)
    assert account["2", "market", "operation"] == pytest.approx(13_920)
    contracts = found["contracts"]
    assert contracts["bought_kwh"] == pytest.approx(35)
    assert contracts["onsite_kwh"] == pytest.approx(5)
    assert contracts["surplus_kwh"] == pytest.approx(4)
    kwh = {line["tier"]: line["kwh"] for line in contracts["lines"]}
    assert kwh == {"contract": pytest.approx(12), "supplier_or_residual": pytest.approx(23)}
    assert found["carbon_free"]["score"] == pytest.approx(5 / 40)  # the PPA emits something
    assert found["restated"] is None
    assert any("own agents' reports" in each for each in found["missing"])


def test_two_feeds_with_a_hole_and_the_it_of_the_common_time(tmp_path):
    text = (
        SITE + METER.format("a", "total") + METER.format("b", "total") + METER.format("pdu", "it")
    )
    where = ledger(
        tmp_path,
        [
            *hourly("a", [6, 6, 6, 6]),
            *hourly("b", [4, None, 4, 4]),
            *hourly("pdu", [8, 8, 8, 8]),
        ],
    )
    found = report(where, text, end=JANUARY + 4 * HOUR)
    assert found["energy_kwh"] == pytest.approx(36)  # what is known of either
    assert found["coverage"] == pytest.approx(7 / 8)
    (per,) = found["per_unit"]
    assert per["value"] == pytest.approx(400 * 30 / 24)  # the three hours that all know


def test_fuel_and_refrigerants_in_their_own_units(tmp_path):
    (tmp_path / "diesel.csv").write_text(
        "start,end,value,unit\n2025-01-01,2025-01-02,100,l\n2025-01-02,2025-01-03,50,l\n"
        "2025-01-02,2025-01-03,1,m3\n"
    )
    (tmp_path / "gas.csv").write_text("start,end,value,unit\n2025-01-01,2025-01-03,2,MWh\n")
    (tmp_path / "refill.csv").write_text("start,end,value,unit\n2024-01-01,2024-01-02,3,kg\n")
    text = SITE + METER.format("feed", "total")
    for kind, name, factor in (
        ("fuel", "diesel", 3.0),
        ("fuel", "gas", 200.0),
        ("refrigerant", "refill", 1300.0),
    ):
        text += (
            f'[[carbon.{kind}]]\nname = "{name}"\nfile = "{tmp_path}/{name}.csv"\n'
            f'kilograms_per_unit = {factor}\nsource = "IPCC, 2021"\n'
        )
    where = ledger(tmp_path / "state", hourly("feed", [1] * 24))
    found = report(where, text, end=JANUARY + DAY)
    scope1 = {each["name"]: each["grams"] for each in found["scope_1"]}
    assert scope1 == {
        "diesel": pytest.approx(300e3),
        "gas": pytest.approx(200e3),  # half of two days
        "refill": None,
    }
    assert lines(found)["1", "-", "operation"] == pytest.approx(500e3)
    series = math.fsum(sum(each["grams"].values()) for each in found["series"]["stages"])
    assert series == pytest.approx(found["totals"][0]["grams"])
    assert any("diesel.csv line 4 is left out: it is in m3" in each for each in found["missing"])
    assert any("refill: there are no records" in each for each in found["missing"])
    source = next(each for each in found["sources"] if each["what"].startswith("diesel"))
    assert (source["source"], source["year"]) == ("IPCC, 2021", "2021")


def test_a_file_that_is_not_there_is_a_problem_and_no_zero(tmp_path):
    activity = Activity(name="oil", file=f"{tmp_path}/oil.csv", kilograms_per_unit=1.0)
    found = read_activity(activity, "UTC")
    assert found.cells == []
    assert "there is no such file" in found.problems[0]


def test_a_market_budget_counts_contracts_of_a_year(tmp_path):
    text = (
        SITE
        + METER.format("feed", "total")
        + """
[[carbon.contract]]
name = "goo"
kind = "certificate"
kwh_per_year = 4380.0
[[carbon.budget]]
name = "market"
period = "month"
kilograms = 1000.0
basis = "market"
"""
    )
    days = 10
    where = ledger(tmp_path, hourly("feed", [1.0] * 24 * days))
    found = report(where, text, end=JANUARY + days * DAY)
    # half of each hour is certified
    assert lines(found)["2", "market", "operation"] == pytest.approx(120 * 600)
    (budget,) = found["budgets"]
    assert budget["used"] == pytest.approx(72.0, rel=1e-6)
    assert budget["basis"] == "market"
    assert budget["paces"][2]["expected"] == pytest.approx(31 * 7.2, rel=1e-6)


def test_energy_that_would_be_counted_twice_is_refused(tmp_path):
    virtual = """
[[site.meter]]
name = "both"
role = "total"
source = "virtual"
add = ["a"]
"""
    where = ledger(tmp_path, hourly("a", [1]))
    with pytest.raises(ReportError, match="a is counted twice"):
        report(where, SITE + METER.format("a", "total") + virtual)


def test_gas_that_is_weighted_is_no_electricity(tmp_path):
    text = SITE + METER.format("feed", "total") + METER.format("gas", "total") + "weight = 0.4\n"
    where = ledger(tmp_path, [*hourly("feed", [1] * 24), *hourly("gas", [9] * 24)])
    found = report(where, text)
    assert found["energy_kwh"] == pytest.approx(24)
    assert any(each.startswith("gas: its weight of 0.4") for each in found["missing"])


def test_a_difference_of_meters_is_known_only_where_both_are():
    meters = {
        "a": ModbusMeter(name="a"),
        "b": ModbusMeter(name="b"),
        "net": VirtualMeter(name="net", add=("a",), subtract=("b",)),
    }
    cells = {
        "a": [Cell(0, 900, 10.0, 900.0), Cell(900, 1800, 10.0, 900.0)],
        "b": [Cell(0, 900, 4.0, 900.0)],
    }
    assert cells_of_meter("net", meters, cells) == [[Cell(0, 900, 6.0, 900.0)]]
    hour = [Cell(0, 1800, 30.0, 1800.0)]
    (one,) = together([[Term(cells["a"])], [Term(hour)]])
    assert one == (0, 1800, (20.0, 30.0))
