import pytest
from unit.kpi.sites import moment, period

from agent.kpi.period import Period, month_of, months


@pytest.mark.parametrize(
    ("start", "end", "zone", "is_year"),
    [
        ("2025-01-01", "2026-01-01", "UTC", True),
        ("2025-01-01", "2025-12-31", "UTC", False),
        ("2024-03-01", "2025-03-01", "Europe/Berlin", True),
        ("2024-01-01", "2024-12-31", "Asia/Shanghai", False),  # 365 days of a leap year
        ("2024-02-29", "2025-02-28", "UTC", False),
        ("2024-02-29", "2025-03-01", "UTC", True),
        ("2023-07-01", "2025-07-01", "UTC", True),
    ],
)
def test_twelve_months_by_the_calendar(start, end, zone, is_year):
    assert period(start, end, zone).is_year is is_year


def test_the_sites_calendar_counts():
    """A year in UTC, which in Berlin runs from 02:00 summer time to 01:00 winter time."""
    begin, end = moment("2025-10-26"), moment("2026-10-26")
    assert Period(begin, end, "UTC").is_year
    assert Period(begin, end, "Asia/Shanghai").is_year
    assert not Period(begin, end, "Europe/Berlin").is_year
    assert Period(begin, end + 3600, "Europe/Berlin").is_year


def test_months_in_the_sites_zone():
    found = months(period("2025-03-01", "2025-05-01", "Europe/Berlin"))
    assert [each.label for each in found] == ["2025-03", "2025-04"]
    assert found[0].seconds == 31 * 86400 - 3600  # the clocks go forward
    assert found[0].end == found[1].start == moment("2025-04-01", "Europe/Berlin")


def test_months_of_a_period_that_begins_within_one():
    found = months(period("2025-11-15", "2026-01-10"))
    assert [each.label for each in found] == [
        "2025-11-15 to 2025-12-01",
        "2025-12",
        "2026-01-01 to 2026-01-10",
    ]
    assert sum(each.seconds for each in found) == period("2025-11-15", "2026-01-10").seconds


def test_december_ends_with_the_year():
    december = month_of(moment("2025-12-31T23:59"), "UTC")
    assert (december.start, december.end) == (moment("2025-12-01"), moment("2026-01-01"))


def test_a_period_without_time_has_no_months():
    assert months(Period(5.0, 5.0)) == []
