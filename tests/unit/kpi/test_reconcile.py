"""Bills against meters, and meters against agents."""

import pytest
from unit.kpi.sites import DAY, HOUR, kwh, meter, moment, one, period, site, steady

from agent.kpi.compare import it_compared
from agent.kpi.fleet import Fleet
from agent.kpi.period import months
from agent.kpi.reconcile import reconcile
from agent.site.cells import Cell

ZONE = "Europe/Berlin"
QUARTER = period("2025-01-01", "2025-04-01", ZONE)
JANUARY, FEBRUARY, MARCH = months(QUARTER)
SITE = site(
    meter("utility-a", "total"),
    meter("utility-b", "total"),
    meter("bill", "none", invoices=("utility-a", "utility-b")),
    time_zone=ZONE,
)


def metered(per_hour_kwh, holes=()):
    return steady(per_hour_kwh * 3.6e6, QUARTER, step=HOUR / 4, holes=holes)


def rows_of(bills, holes=(), where=SITE):
    cells = {"utility-a": metered(60.0), "utility-b": metered(40.0, holes), "bill": bills}
    return {row.month: row for row in reconcile(where, cells, months(QUARTER))}


def test_within_and_outside_tolerance():
    hours = {month.label: month.seconds / HOUR for month in (JANUARY, FEBRUARY, MARCH)}
    assert hours == {"2025-01": 744, "2025-02": 672, "2025-03": 743}  # the clocks go forward
    rows = rows_of([*kwh(74_400, JANUARY), *kwh(67_200 * 1.019, FEBRUARY), *kwh(80_000, MARCH)])
    assert [row.status for row in rows.values()] == ["ok", "ok", "outside"]
    march = rows["2025-03"]
    assert (march.billed, march.compared) == (pytest.approx(80_000), pytest.approx(80_000))
    assert march.measured == pytest.approx(74_300)
    assert march.difference == pytest.approx(-5_700)
    assert march.difference_percent == pytest.approx(-7.125)
    assert (march.what, march.against, march.unit) == ("bill", ("utility-a", "utility-b"), "kWh")


def test_the_tolerance_is_the_sites():
    strict = site(*SITE.meter, time_zone=ZONE, tolerance_percent=0.5)
    rows = rows_of(kwh(74_400 * 1.01, JANUARY), where=strict)
    assert rows["2025-01"].status == "outside"


def test_a_meter_that_does_not_know_all_of_it():
    hole = (JANUARY.start + 3 * DAY, JANUARY.start + 6 * DAY)
    rows = rows_of([*kwh(74_400, JANUARY), *kwh(67_200, FEBRUARY)], holes=[hole])
    january = rows["2025-01"]
    assert (january.status, january.billed) == ("incomplete", 74_400)
    assert january.coverage == pytest.approx(28 / 31)
    assert (january.compared, january.measured, january.difference) == (None, None, None)
    assert "utility-b knows 90.3%" in january.note
    assert rows["2025-02"].status == "ok"


def test_of_several_invoices_in_a_month_those_that_can_be_compared_are():
    half = moment("2025-01-16", ZONE)
    first, second = JANUARY._replace(end=half), JANUARY._replace(start=half)
    hole = (JANUARY.start + 3 * DAY, JANUARY.start + 6 * DAY)
    row = rows_of([*kwh(36_000, first), *kwh(38_500, second)], holes=[hole])["2025-01"]
    assert (row.status, row.billed) == ("incomplete", pytest.approx(74_500))
    assert (row.compared, row.measured) == (pytest.approx(38_500), pytest.approx(38_400))
    assert row.coverage == pytest.approx(28 / 31)


def test_meters_that_know_nothing_of_it():
    row = rows_of(kwh(74_400, JANUARY), holes=[(QUARTER.start, QUARTER.end)])["2025-01"]
    assert (row.status, row.coverage, row.measured) == ("missing", 0.0, None)
    assert row.note == "there is no time that all inputs know: utility-b knows 0.0%"


def test_no_invoice():
    rows = rows_of(kwh(74_400, JANUARY))
    march = rows["2025-03"]
    assert (march.status, march.billed) == ("missing", None)
    assert march.note == "there is no invoice for this month"


def test_an_invoice_across_months_is_compared_over_its_own_time():
    """From 10 January to 10 February: in the month of its middle, and none is missing."""
    long = period("2025-01-10", "2025-02-10", ZONE)
    rows = rows_of([*kwh(100 * long.seconds / HOUR, long), *kwh(74_300, MARCH)])
    assert list(rows) == ["2025-01", "2025-03"]
    assert (rows["2025-01"].status, rows["2025-01"].start) == ("ok", long.start)


def test_a_bill_of_a_quarter_stands_alone():
    rows = rows_of(kwh(100 * QUARTER.seconds / HOUR, QUARTER))
    assert list(rows) == ["2025-02"]
    assert rows["2025-02"].status == "ok"


def test_water_is_in_litres():
    where = site(meter("mains", "water_in"), meter("bill", "water_in", invoices=("mains",)))
    february = period("2025-02-01", "2025-03-01")
    cells = {"mains": one(1000.0, february), "bill": one(990.0, february)}
    (row,) = reconcile(where, cells, [february])
    assert (row.unit, row.billed, row.measured, row.status) == ("l", 990.0, 1000.0, "ok")


def test_a_bill_of_nothing():
    rows = rows_of([Cell(JANUARY.start, JANUARY.end, 0.0, JANUARY.seconds)])
    assert (rows["2025-01"].status, rows["2025-01"].difference_percent) == ("outside", None)


def test_an_unknown_meter_is_said():
    where = site(meter("bill", "none", invoices=("nobody",)))
    (row,) = reconcile(where, {"bill": kwh(5, JANUARY)}, [JANUARY])
    assert (row.status, row.note) == ("missing", "there is no meter named 'nobody'")


def test_it_meters_against_agents():
    where = site(meter("ups", "ups"), meter("pdu", "it"), time_zone=ZONE)
    hole = (FEBRUARY.start, FEBRUARY.start + 14 * DAY)
    fleet = Fleet(
        it=[
            cell
            for cell in steady(97.0 * 3.6e6, QUARTER, step=HOUR, holes=[hole])
            if cell.end <= MARCH.start
        ]
    )
    cells = {"ups": metered(104.0), "pdu": metered(100.0)}
    rows = {row.month: row for row in reconcile(where, cells, months(QUARTER), fleet)}
    january = rows["2025-01"]
    assert (january.what, january.against, january.status) == ("E_IT2", ("agents",), "outside")
    assert january.difference_percent == pytest.approx(-3.0)
    assert (rows["2025-02"].status, rows["2025-02"].coverage) == ("incomplete", 0.5)
    assert rows["2025-02"].difference_percent == pytest.approx(-3.0)
    assert (rows["2025-03"].status, rows["2025-03"].billed) == ("missing", None)


def test_compared_with_the_finest_category():
    where = site(meter("ups", "ups"), meter("rack", "it", category=3))
    cells = {"ups": kwh(105, JANUARY), "rack": kwh(100, JANUARY)}
    found = it_compared(where, cells, JANUARY, Fleet(it=kwh(98, JANUARY)))
    assert (found.category, found.meters) == (3, ("rack",))
    assert (found.meters_kwh, found.agents_kwh) == (pytest.approx(100), pytest.approx(98))
    assert found.difference_kwh == pytest.approx(-2)
    assert found.difference_percent == pytest.approx(-2)


def test_nothing_to_compare():
    only_meters = site(meter("pdu", "it"))
    assert it_compared(only_meters, {"pdu": kwh(1, JANUARY)}, JANUARY, Fleet()) is None
    assert it_compared(site(), {}, JANUARY, Fleet(it=kwh(1, JANUARY))) is None
    apart = it_compared(only_meters, {"pdu": kwh(1, JANUARY)}, JANUARY, Fleet(it=kwh(1, FEBRUARY)))
    assert (apart.coverage, apart.meters_kwh, apart.difference_kwh) == (0.0, None, None)
