"""The pure parts: periods, counters into cells, expected servers, holes."""

import msgspec
import pytest

from agent.kpi.period import Period
from agent.report.answers import Series
from agent.report.counters import _by_meter, cells_of
from agent.report.failure import ReportError
from agent.report.fleet import Stay, _cells, _expected
from agent.report.missing import covers, unknown
from agent.report.period import iso, period_of, show, step_of
from agent.report.widen import widened
from agent.site.cells import Cell
from agent.site.settings import SiteSettings

NOW = 1_780_000_000.0  # 2026-05-28T20:26:40Z
BERLIN = "Europe/Berlin"


def site(*meters, **more) -> SiteSettings:
    return msgspec.convert({"meter": list(meters), **more}, SiteSettings)


def test_a_period_is_by_the_sites_calendar():
    period = period_of("2026-03-29", "2026-03-30", BERLIN, NOW)
    assert period.seconds == 23 * 3600  # clocks were put forward
    assert iso(period.start, BERLIN) == "2026-03-29T00:00:00+01:00"
    assert (show(period.end, BERLIN), show(period.end + 900, BERLIN)) == (
        "2026-03-30",
        "2026-03-30 00:15",
    )


def test_the_default_is_the_year_up_to_the_last_midnight():
    period = period_of("", "", BERLIN, NOW)
    assert iso(period.end, BERLIN) == "2026-05-28T00:00:00+02:00"
    assert iso(period.start, BERLIN) == "2025-05-28T00:00:00+02:00"
    assert period.is_year
    leap = period_of("", "2024-02-29", "UTC", NOW)
    assert (iso(leap.start, "UTC")[:10], leap.is_year) == ("2023-02-28", True)


@pytest.mark.parametrize(
    ("begin", "end", "part"),
    [
        ("2026-01-02", "2026-01-01", "ends (2026-01-01) before it begins (2026-01-02)"),
        ("2026-01-01", "2026-01-01", "--to is not included"),
        ("yesterday", "", "--from: 'yesterday' is no date"),
        ("2026-02-30", "", "--from"),
        ("", "2026-01-01T10:07", "--to 2026-01-01T10:07: figures are kept by quarter"),
    ],
)
def test_periods_that_are_none(begin, end, part):
    with pytest.raises(ReportError) as caught:
        period_of(begin, end, "UTC", NOW)
    assert part in str(caught.value)
    assert caught.value.status == 2


def test_long_periods_go_by_hours_where_they_fit():
    assert step_of(Period(0, 40 * 86400)) == 900
    assert step_of(Period(0, 41 * 86400)) == 3600
    # midnight in Kolkata is half past an hour
    assert step_of(period_of("2025-01-01", "2026-01-01", "Asia/Kolkata", NOW)) == 900


def test_differences_bridge_missing_points_and_stop_at_a_reset():
    totals = {0: 10.0, 900: 20.0, 3600: 60.0, 4500: 5.0, 5400: 9.0, 6300: 10.0}
    gaps = {0: 0.0, 900: 0.0, 3600: 300.0, 4500: 300.0, 5400: 300.0, 6300: 2000.0}
    assert cells_of(totals, gaps) == [
        Cell(0, 900, 10.0, 900.0),
        Cell(900, 3600, 40.0, 2400.0),  # nobody was asked for three quarters, 300 s are a gap
        Cell(4500, 5400, 4.0, 900.0),  # what was counted at the reset nobody knows
        Cell(5400, 6300, 1.0, 0.0),  # more gap than time: it was booked late
    ]
    assert cells_of(totals, {}) == []


def series(points, **labels) -> Series:
    return Series({"meter": "m", "role": "total", "instance": "a", "job": "j"} | labels, points)


def test_a_meter_that_got_another_role_or_agent_goes_on():
    moved = [series({0: 1.0, 1: 2.0}), series({1: 2.0, 2: 3.0}, instance="b", role="it")]
    assert _by_meter(moved) == {"m": {0: 1.0, 1: 2.0, 2: 3.0}}


def test_a_meter_that_is_there_twice_is_refused():
    points = {0: 1.0, 1: 2.0, 2: 3.0}
    with pytest.raises(ReportError, match=r"by a \(job j\) and b \(job j\)"):
        _by_meter([series(points), series(points, instance="b")])


def test_a_server_is_expected_from_first_to_last():
    stays = [Stay("always", 0, 40, 5), Stay("late", 20, 40, 3), Stay("gone", 0, 10, 2)]
    stays.append(Stay("once", 30, 30, 1))
    assert _expected(stays, 0, 40, 10) == {10: 2.0, 20: 1.0, 30: 2.0, 40: 2.0}
    assert _expected(stays[1:2], 0, 40, 10) == {30: 1.0, 40: 1.0}
    assert Stay("hole", 0, 40, 3).missing_seconds(10) == 20
    assert stays[0].missing_seconds(10) == 0


def test_a_share_of_the_servers_is_a_share_of_the_time():
    assert _cells({10.0: 5.0, 20.0: 7.0}, {10.0: 1.0, 20.0: 0.5}, 10.0) == [
        Cell(0, 10, 5.0, 10.0),
        Cell(10, 20, 7.0, 5.0),
    ]


def test_holes_are_named_with_their_times():
    cells = [Cell(-900, 0, 1, 900), Cell(0, 900, 1, 900), Cell(900, 1800, 1, 400)]
    cells += [Cell(2700, 3600, 1, 900), Cell(3600, 5400, 1, 1800)]
    period = Period(0, 4500)
    assert unknown(cells, period) == [(900, 2700), (3600, 4500)]
    assert unknown([], period) == [(0, 4500)]
    meters = site(
        {"name": "bill", "source": "csv", "file": "x", "role": "total"},
        {"name": "sum", "source": "virtual", "add": ["bill"], "role": "it"},
    )
    (cover,) = covers(meters, {"bill": cells}, period)
    assert (cover.meter, cover.role, cover.source) == ("bill", "total", "csv")
    assert cover.coverage == pytest.approx((900 + 400 + 900) / 4500)
    assert "lies only partly" in cover.note


def test_invoices_that_reach_beyond_the_period_are_looked_at_whole():
    meters = site(
        {"name": "bill", "source": "csv", "file": "x", "invoices": ["m"]},
        {"name": "certificate", "source": "csv", "file": "y", "role": "renewable"},
    )
    period = Period(9000, 18000)
    early, late = Cell(8000, 12000, 1, 4000), Cell(17000, 18100, 1, 1100)
    other = Cell(0, 17000, 1, 17000)  # its middle lies before the period
    cells = {"bill": [other, early, late], "certificate": [Cell(0, 90000, 1, 90000)]}
    assert widened(period, meters, cells) == Period(7200, 18900)
    assert widened(period, meters, {}) == period
