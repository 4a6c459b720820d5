import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.carbon.made import DAY, HOUR, KWH, QUARTER, T0, flow, moment

from agent.carbon.contracts import Supply, carbon_free, match_hours
from agent.carbon.hours import by_hour
from agent.carbon.settings import Contract
from agent.kpi.period import Period, months
from agent.site.cells import Cell

H0 = round(T0 / HOUR)


def contract(name="wind", kind="ppa", **keys):
    return Contract(name=name, kind=kind, meter=name, **keys)


def hourly(kwh, start=T0):
    return [
        Cell(start + i * HOUR, start + (i + 1) * HOUR, each * KWH, HOUR)
        for i, each in enumerate(kwh)
    ]


def test_worked_by_hand():
    """Loads 10, 10, 10; wind 4, 25, 0: claims 4, 10, 0, 15 kWh of surplus that go nowhere."""
    load = hourly([10, 10, 10])
    found = match_hours(load, [Supply(contract(), hourly([4, 25, 0]))])
    assert [sum(c.joules for c in each.claims) / KWH for each in found] == [4, 10, 0]
    score = carbon_free(load, found, {})
    assert score.score == score.contracted == pytest.approx(14 / 30)
    assert (score.hours, score.hours_without_grid) == (3, 3)
    assert score.surplus_kwh == pytest.approx(15)


def test_the_score_with_the_grids_share():
    """Google's formula: 4 + 6 x 0.5, 10 + 0 x 0.5, 0 + 10 x 0.2 of 30."""
    load = hourly([10, 10, 10])
    found = match_hours(load, [Supply(contract(), hourly([4, 25, 0]))])
    score = carbon_free(load, found, {H0: 0.5, H0 + 1: 0.5, H0 + 2: 0.2})
    assert score.score == pytest.approx((7 + 10 + 2) / 30)
    assert score.hours_without_grid == 0


def test_published_scores():
    """Google's 2025 figures for TEPCO: 7 % contracted, a grid of 18 % makes 16.7 of the rest."""
    load = hourly([100])
    found = match_hours(load, [Supply(contract(), hourly([7]))])
    score = carbon_free(load, found, {H0: 0.18})
    assert score.score - score.contracted == pytest.approx(0.167, abs=0.0005)


def test_the_plant_on_the_site_comes_first_then_ppas_then_certificates():
    supplies = [
        Supply(contract("goo", "certificate"), hourly([8])),
        Supply(contract("wind", "ppa"), hourly([5])),
        Supply(contract("roof", "onsite"), hourly([3])),
    ]
    (found,) = match_hours(hourly([10]), supplies)
    assert [(c.contract.name, c.joules / KWH) for c in found.claims] == [
        ("roof", 3),
        ("wind", 5),
        ("goo", 2),
    ]
    assert found.surplus_joules / KWH == 6
    assert found.onsite_joules / KWH == 3


def test_quarters_add_up_to_hours():
    """A plant that makes 4 kWh in one quarter covers 4 kWh of that hour, as hours are matched."""
    load = flow(T0, T0 + HOUR, lambda _: 1.0)
    wind = [Cell(T0, T0 + QUARTER, 4 * KWH, QUARTER), *flow(T0 + QUARTER, T0 + HOUR, lambda _: 0)]
    (found,) = match_hours(load, [Supply(contract(), wind)])
    assert found.claims[0].joules == pytest.approx(4 * KWH)
    assert found.unknown == ()


def test_what_a_contracts_meter_does_not_know_is_not_claimed_and_told():
    load = hourly([10, 10])
    wind = flow(T0, T0 + HOUR / 2, lambda _: 1.0)
    found = match_hours(load, [Supply(contract(), wind)])
    assert [each.unknown for each in found] == [("wind",), ("wind",)]
    assert found[0].claims[0].joules == pytest.approx(2 * KWH)
    assert carbon_free(load, found, {}).hours_without_contract == 2


def test_a_contract_that_emits_is_not_carbon_free_and_leaves_nothing_to_the_grid():
    load = hourly([10])
    gas = contract("gas", "ppa", grams_per_kwh=350.0)
    found = match_hours(load, [Supply(gas, hourly([6]))])
    assert carbon_free(load, found, {H0: 0.5}).score == pytest.approx(0.2)


def test_an_invoice_of_a_month_is_in_no_hour():
    load = [Cell(T0, T0 + 30 * DAY, 1000 * KWH, 30 * DAY)]
    found = match_hours(load, [Supply(contract(), hourly([4]))])
    score = carbon_free(load, found, {})
    assert (found, score.score, score.hours) == ([], None, 0)
    assert score.unmatchable_kwh == pytest.approx(1000)


def test_a_share_of_the_grid_that_cannot_be_is_refused():
    load = hourly([10])
    with pytest.raises(ValueError, match="0 to 1"):
        carbon_free(load, match_hours(load, []), {H0: 40.0})


amounts = st.lists(st.floats(0.0, 1e6), min_size=0, max_size=30)


@given(
    load=amounts,
    supplied=st.lists(
        st.tuples(
            st.sampled_from(["onsite", "ppa", "certificate"]),
            st.sampled_from([900, 1800, 3600]),
            st.integers(-4, 8),
            amounts,
            st.floats(0.0, 500.0),
        ),
        max_size=5,
    ),
    grid=st.dictionaries(st.integers(0, 8), st.floats(0.0, 1.0)),
)
def test_no_hours_claim_exceeds_its_load(load, supplied, grid):
    cells = [
        Cell(T0 + i * QUARTER, T0 + (i + 1) * QUARTER, each * KWH, QUARTER)
        for i, each in enumerate(load)
    ]
    supplies = [
        Supply(
            contract(f"c{index}", kind, grams_per_kwh=rate if rate > 250 else 0.0),
            [
                Cell(
                    T0 + first * QUARTER + i * step,
                    T0 + first * QUARTER + (i + 1) * step,
                    each * KWH,
                    step,
                )
                for i, each in enumerate(kwh)
            ],
        )
        for index, (kind, step, first, kwh, rate) in enumerate(supplied)
    ]
    found = match_hours(cells, supplies)
    loads = by_hour(cells)
    assert {each.hour for each in found} == set(loads)
    for each in found:
        claimed = math.fsum(claim.joules for claim in each.claims)
        assert claimed <= loads[each.hour].joules * (1 + 1e-12)
        for supply in supplies:
            own = math.fsum(c.joules for c in each.claims if c.contract is supply.contract)
            have = by_hour(supply.cells).get(each.hour)
            assert own <= (have.joules if have else 0.0)
        assert each.surplus_joules >= 0
    score = carbon_free(cells, found, {H0 + hour: share for hour, share in grid.items()})
    if score.score is not None:
        assert 0 <= score.contracted <= score.score * (1 + 1e-12)
        assert score.score <= 1 + 1e-9


ZONES = [
    "UTC",
    "Asia/Kolkata",  # +5:30
    "Asia/Kathmandu",  # +5:45
    "Australia/Lord_Howe",  # +10:30, half an hour of summer time
    "America/St_Johns",
    "Europe/Berlin",
    "Asia/Shanghai",
]
HALF_PAST = {"Asia/Kolkata", "Asia/Kathmandu", "America/St_Johns"}
"""Where midnight is not at the full hour of UTC."""


@pytest.mark.parametrize("zone", ZONES)
def test_no_clock_changes_the_matching(zone):
    """The same six weeks of a leap year around the clock change, read by any calendar."""
    start, end = moment("2024-02-26"), moment("2024-04-08")

    def load_of(at):
        return 3 + math.sin(at / 5e3)

    def wind_of(at):
        return max(0.0, 4 * math.sin(at / 2e4))

    load, wind = flow(start, end, load_of), flow(start, end, wind_of)
    whole = match_hours(load, [Supply(contract(), wind)])
    assert len(whole) == 42 * 24
    hours = []
    for month in months(Period(start, end, zone)):
        hours += match_hours(load, [Supply(contract(), wind)], month)
    claimed = math.fsum(c.joules for each in whole for c in each.claims)
    by_month = math.fsum(c.joules for each in hours for c in each.claims)
    # a month that begins at half past cuts an hour in two; all others are matched alike
    assert len(hours) - len(whole) == (2 if zone in HALF_PAST else 0)
    assert by_month <= claimed * (1 + 1e-12)
    assert by_month == pytest.approx(claimed, rel=2e-4 if zone in HALF_PAST else 1e-12)
    assert math.fsum(each.load.joules for each in hours) == pytest.approx(
        math.fsum(cell.amount for cell in load)
    )


def test_months_that_meet_at_half_past_do_not_both_claim_the_hour():
    edge = T0 + HOUR / 2
    load, wind = hourly([10]), [Supply(contract(), hourly([8]))]
    found = [
        *match_hours(load, wind, Period(T0, edge)),
        *match_hours(load, wind, Period(edge, T0 + HOUR)),
    ]
    assert [each.claims[0].joules / KWH for each in found] == [pytest.approx(4)] * 2


@pytest.mark.parametrize(
    ("day", "zone", "hours"),
    [
        ("2025-03-30", "Europe/Berlin", 23),
        ("2025-10-26", "Europe/Berlin", 25),
        ("2025-06-01", "Europe/Berlin", 24),
        ("2024-02-29", "Asia/Shanghai", 24),
    ],
)
def test_days_have_their_hours_and_each_is_matched_once(day, zone, hours):
    start = moment(day, zone)
    end = start + hours * HOUR
    load = flow(start, end, lambda _: 1.0)
    plant = Supply(contract("roof", "onsite"), flow(start, end, lambda _: 0.5))
    found = match_hours(load, [plant])
    assert len(found) == hours
    assert len({each.hour for each in found}) == hours
    assert all(each.claims[0].joules == pytest.approx(2 * KWH) for each in found)
    assert carbon_free(load, found, {}).score == pytest.approx(0.5)


def test_hours_of_a_plant_that_begin_at_half_past():
    """Hours of India's clock lie half in each of two hours of UTC: shared by time."""
    start = T0 + HOUR / 2
    load = flow(T0, T0 + 3 * HOUR, lambda _: 1.0)
    found = match_hours(load, [Supply(contract(), hourly([2.0, 6.0], start))])
    assert [sum(c.joules for c in each.claims) / KWH for each in found] == [
        pytest.approx(1.0),
        pytest.approx(4.0),
        pytest.approx(3.0),
    ]
