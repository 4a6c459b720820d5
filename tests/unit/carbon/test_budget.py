import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.carbon.made import DAY, HOUR, KWH, QUARTER, flow, moment

from agent.carbon.budget import Records, used, year_of
from agent.carbon.settings import Budget
from agent.site.cells import Cell


def steady(start, end, per_day, step=HOUR, scale=1.0):
    """Cells of `per_day` in 24 hours."""
    return [
        cell._replace(amount=cell.amount / KWH * scale)
        for cell in flow(start, end, lambda _: per_day * step / DAY, step)
    ]


def energy(start, end, kwh_per_day):
    return Records(joules=steady(start, end, kwh_per_day, scale=KWH))


def of(budget, records, now, zone="UTC"):
    (found,) = used(budget, records, now, zone)
    return found


YEARLY = Budget(name="energy-2025", kwh=3650.0)


def test_worked_by_hand():
    """10 kWh a day of a budget of 10 kWh a day: after 73 days a fifth is used."""
    now = moment("2025-01-01") + 73 * DAY
    found = of(YEARLY, energy(moment("2025-01-01"), now, 10.0), now)
    assert found.used == pytest.approx(730.0)
    assert found.share == pytest.approx(0.2)
    assert (found.coverage, found.unit, found.of) == (pytest.approx(1.0), "kWh", "energy")
    for pace in found.paces:
        assert pace.per_day == pytest.approx(10.0)
        assert pace.expected == pytest.approx(3650.0)
    assert [pace.days for pace in found.paces] == [7, 30, None]


def test_the_date_on_which_it_runs_out():
    """730 kWh in 73 days, then 20 kWh a day for a week: 2,780 kWh are left, for 139 days."""
    start = moment("2025-01-01")
    turn, now = start + 73 * DAY, start + 80 * DAY
    joules = [*energy(start, turn, 10.0).joules, *energy(turn, now, 20.0).joules]
    found = of(YEARLY, Records(joules=joules), now)
    week, month, whole = found.paces
    assert found.used == pytest.approx(870.0)
    assert week.runs_out == pytest.approx(now + 139 * DAY)
    assert week.expected == pytest.approx(870 + 285 * 20)
    assert month.per_day == pytest.approx((23 * 10 + 7 * 20) / 30)
    assert whole.per_day == pytest.approx(870 / 80)
    assert whole.runs_out == pytest.approx(now + 2780 / (870 / 80) * DAY)


def test_a_budget_that_lasts_has_no_date():
    now = moment("2025-03-01")
    found = of(YEARLY, energy(moment("2025-01-01"), now, 5.0), now)
    assert [pace.runs_out for pace in found.paces] == [None] * 3
    assert found.exceeded is None


def test_a_budget_that_is_used_up_says_since_when():
    now = moment("2025-12-01")
    found = of(YEARLY, energy(moment("2025-01-01"), now, 20.0), now)
    assert found.exceeded == pytest.approx(moment("2025-01-01") + 182.5 * DAY)
    assert found.share > 1
    assert {pace.runs_out for pace in found.paces} == {found.exceeded}


def test_what_is_unknown_is_not_nothing():
    """Half of 100 days unknown: 500 kWh are known, and the outlook reckons with 1,000."""
    start = moment("2025-01-01")
    now = start + 100 * DAY
    found = of(YEARLY, energy(start + 50 * DAY, now, 10.0), now)
    assert found.used == pytest.approx(500.0)
    assert found.coverage == pytest.approx(0.5)
    assert found.paces[0].expected == pytest.approx(3650.0)


def test_nothing_known_is_none():
    found = of(YEARLY, Records(), moment("2025-03-01"))
    assert (found.used, found.share, found.coverage) == (None, None, 0.0)
    assert {pace.per_day for pace in found.paces} == {None}
    assert {pace.expected for pace in found.paces} == {None}


def test_the_first_day_of_a_year_looks_back_into_the_last():
    now = moment("2026-01-01T12:00")
    found = of(YEARLY, energy(moment("2025-12-01"), now, 10.0), now)
    assert found.used == pytest.approx(5.0)
    assert found.paces[0].per_day == pytest.approx(10.0)
    assert found.paces[0].expected == pytest.approx(3650.0)


def test_carbon_in_kilograms():
    budget = Budget(name="carbon", period="month", kilograms=310.0)
    now = moment("2025-01-16")
    records = Records(grams=steady(moment("2025-01-01"), now, 10_000.0))
    found = of(budget, records, now)
    assert (found.of, found.unit) == ("carbon", "kg")
    assert found.used == pytest.approx(150.0)
    assert found.paces[2].expected == pytest.approx(310.0)


@pytest.mark.parametrize(
    ("now", "zone", "days"),
    [
        ("2024-02-10", "Asia/Shanghai", 29),
        ("2025-02-10", "Asia/Shanghai", 28),
        ("2025-03-20", "Europe/Berlin", 31 - 1 / 24),
        ("2025-10-10", "Europe/Berlin", 31 + 1 / 24),
        ("2024-04-03", "Australia/Lord_Howe", 30 + 0.5 / 24),
    ],
)
def test_months_of_the_sites_calendar(now, zone, days):
    budget = Budget(name="b", period="month", kwh=1000.0)
    moment_ = moment(now, zone)
    start = moment(now[:8] + "01", zone)
    found = of(budget, energy(start, moment_, 10.0), moment_, zone)
    assert found.period.start == start
    assert found.period.seconds == pytest.approx(days * DAY)
    assert found.paces[2].expected == pytest.approx(10.0 * days, rel=1e-3)


def test_a_leap_year_and_a_common_one():
    assert year_of(moment("2024-06-01"), "UTC").seconds == 366 * DAY
    assert year_of(moment("2025-06-01"), "UTC").seconds == 365 * DAY
    last_hour = moment("2024-12-31T20:00")
    assert year_of(last_hour, "Asia/Shanghai").start == moment("2025-01-01", "Asia/Shanghai")


def test_an_intensity_and_when_it_crosses_its_limit():
    """2 g a token over 1,000 tokens, then two days of 5 g at 100 tokens a day; the limit is 3.

    The pace of a week is of 5 days at the old and 2 at the new one.
    """
    budget = Budget(name="tokens", grams_per_unit=3.0, unit="tokens")
    start = moment("2025-01-01")
    turn = start + 60 * DAY
    now = turn + 2 * DAY
    grams = [Cell(start, turn, 2000.0, 60 * DAY), *steady(turn, now, 500.0)]
    work = [Cell(start, turn, 1000.0, 60 * DAY), *steady(turn, now, 100.0)]
    found = of(budget, Records(grams=grams, work=work), now)
    assert (found.of, found.unit) == ("intensity", "g/tokens")
    assert found.used == pytest.approx(3000 / 1200)
    week, _, whole = found.paces
    assert whole.expected == pytest.approx(2.5)
    assert whole.runs_out is None
    rate, work_rate = (1000 + 2000 / 60 * 5) / 7, (200 + 1000 / 60 * 5) / 7
    assert week.per_day == pytest.approx(rate / work_rate)
    days = (3 * 1200 - 3000) / (rate - 3 * work_rate)
    assert week.runs_out == pytest.approx(now + days * DAY)


def test_an_intensity_without_work_is_unknown():
    budget = Budget(name="tokens", grams_per_unit=3.0)
    now = moment("2025-02-01")
    found = of(budget, Records(grams=steady(moment("2025-01-01"), now, 10.0)), now)
    assert (found.used, found.share, found.exceeded) == (None, None, None)


def test_all_limits_of_one_budget():
    budget = Budget(name="b", kwh=1.0, kilograms=1.0, grams_per_unit=1.0)
    found = used(budget, Records(), moment("2025-02-01"), "UTC")
    assert [each.of for each in found] == ["energy", "carbon", "intensity"]


@given(
    st.lists(st.floats(0.0, 100.0), min_size=4, max_size=60),
    st.floats(10.0, 5000.0),
)
def test_going_on_at_that_pace_reaches_the_limit_on_that_date(kwh, limit):
    start = moment("2025-03-01")
    now = start + len(kwh) * 6 * HOUR
    cells = [
        Cell(start + i * 6 * HOUR, start + (i + 1) * 6 * HOUR, each * KWH, 6 * HOUR)
        for i, each in enumerate(kwh)
    ]
    found = of(Budget(name="b", period="month", kwh=limit), Records(joules=cells), now)
    for pace in found.paces:
        if found.exceeded is None and pace.runs_out is not None:
            reached = found.used + pace.per_day * (pace.runs_out - now) / DAY
            assert reached == pytest.approx(limit, rel=1e-9)
            assert now <= pace.runs_out <= found.period.end
        if pace.runs_out is None:
            assert pace.expected <= limit * (1 + 1e-9)
    assert (found.exceeded is not None) == (found.used >= limit)


def test_quarters_give_what_hours_give():
    now = moment("2025-02-01")
    start = moment("2025-01-01")
    fine = Records(joules=steady(start, now, 10.0, QUARTER, KWH))
    assert of(YEARLY, fine, now).used == pytest.approx(
        of(YEARLY, energy(start, now, 10.0), now).used
    )
