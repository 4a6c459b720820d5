import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.carbon.made import DAY, HOUR, KWH, T0, flow, moment, rule, value, yearly

from agent.carbon.contracts import Supply
from agent.carbon.market import Tier, scope2_with_contracts
from agent.carbon.settings import Contract
from agent.carbon.timeline import timeline
from agent.carbon.words import Basis, Factor
from agent.kpi.period import Period, months
from agent.site.cells import Cell

HOURS = 4
PERIOD = Period(T0, T0 + HOURS * HOUR)


def lines(location=400.0, market=None, start=T0, end=T0 + HOURS * HOUR):
    by_location = timeline([], start, end, rule(), yearly(location))
    by_market = timeline(
        [],
        start,
        end,
        rule(basis=Basis.MARKET),
        None if market is None else yearly(market, Basis.MARKET, source="residual mix"),
    )
    return by_location, by_market


def count(load, supplies=(), market=None, period=PERIOD):
    return scope2_with_contracts(
        load, supplies, *lines(market=market, start=period.start, end=period.end), period
    )


def load_of(kwh):
    return [
        Cell(T0 + i * HOUR, T0 + (i + 1) * HOUR, each * KWH, HOUR) for i, each in enumerate(kwh)
    ]


def ppa(kwh, **keys):
    return Supply(Contract(name="wind", kind="ppa", meter="wind", **keys), load_of(kwh))


def roof(kwh):
    return Supply(Contract(name="roof", kind="onsite", meter="roof"), load_of(kwh))


def rows(found):
    return [(row.tier.value, row.name, round(row.kwh, 9), row.grams) for row in found.lines]


def test_worked_by_hand():
    """40 kWh, 5 of them from the roof, 12 by the PPA at 10 g; the rest at the residual mix of 600.

    By location: 35 kWh x 400 = 14,000 g. By market: 12 x 10 + 23 x 600 = 13,920 g.
    """
    found = count(
        load_of([10] * 4), [roof([5, 0, 0, 0]), ppa([9, 4, 3, 0], grams_per_kwh=10.0)], 600
    )
    assert found.location.grams == pytest.approx(14_000)
    assert found.grams == pytest.approx(13_920)
    assert (found.bought_kwh, found.onsite_kwh) == (pytest.approx(35), pytest.approx(5))
    assert found.surplus_kwh == pytest.approx(4)
    assert rows(found) == [
        ("contract", "wind", 12.0, pytest.approx(120)),
        ("supplier_or_residual", "residual mix 2025", 23.0, pytest.approx(13_800)),
    ]
    assert found.known_kwh == pytest.approx(35)


def test_without_contracts_and_factors_it_is_the_locations_and_says_so():
    found = count(load_of([10] * 4))
    assert found.grams == found.location.grams == pytest.approx(16_000)
    assert [row.tier for row in found.lines] == [Tier.LOCATION]


def test_a_yearly_amount_counts_for_its_share_of_the_year_and_in_no_hour():
    """8,760 kWh of 2025 are 1 kWh an hour: 4 of the 40, off every hour alike."""
    certificate = Supply(Contract(name="goo", kind="certificate", kwh_per_year=8760.0, year=2025))
    found = count(load_of([10] * 4), [certificate])
    assert rows(found)[0] == ("contract", "goo", pytest.approx(4.0), 0.0)
    assert found.grams == pytest.approx(36 * 400)
    assert found.location.grams == pytest.approx(16_000)


def test_a_yearly_amount_of_another_vintage_does_not_count():
    certificate = Supply(Contract(name="goo", kind="certificate", kwh_per_year=8760.0, year=2024))
    assert count(load_of([10] * 4), [certificate]).grams == pytest.approx(16_000)


def test_a_yearly_amount_is_capped_at_the_load():
    certificate = Supply(Contract(name="goo", kind="certificate", kwh_per_year=8760e3))
    found = count(load_of([10] * 4), [ppa([10, 0, 0, 0]), certificate])
    assert found.grams == 0.0
    assert found.unused_kwh == pytest.approx(4000 - 30)


def test_a_statement_of_a_month_is_in_no_hour_either():
    month = Supply(
        Contract(name="goo", kind="certificate", meter="goo"),
        [Cell(T0, T0 + 30 * DAY, 7200 * KWH, 30 * DAY)],
    )
    found = count(load_of([10] * 4), [month])
    assert rows(found)[0] == ("contract", "goo", pytest.approx(40.0), 0.0)
    assert found.grams == 0.0


def test_unknown_factors_leave_the_rest_unknown():
    by_location = timeline([value(0, 100.0)], T0, T0 + HOURS * HOUR, rule(hold_seconds=0.0))
    by_market = timeline([], T0, T0 + HOURS * HOUR, rule(basis=Basis.MARKET))
    found = scope2_with_contracts(load_of([10] * 4), [], by_location, by_market, PERIOD)
    assert (found.grams, found.known_kwh) == (pytest.approx(1000), pytest.approx(10))
    assert rows(found)[-1] == ("unknown", "", 30.0, None)


def test_offsets_never_enter():
    with pytest.raises(ValueError, match="wind"):
        count(load_of([10] * 4), [ppa([1] * 4, grams_per_kwh=-100.0)])


def test_families_are_never_mixed():
    by_location, _ = lines()
    other = timeline([], T0, T0 + HOUR, rule(basis=Basis.MARKET, factor=Factor.LIFECYCLE))
    with pytest.raises(ValueError, match="never mixed"):
        scope2_with_contracts([], [], by_location, other, PERIOD)


@given(
    load=st.lists(st.floats(0.0, 1e4), min_size=4, max_size=4),
    sun=st.lists(st.floats(0.0, 1e4), min_size=4, max_size=4),
    wind=st.lists(st.floats(0.0, 1e4), min_size=4, max_size=4),
    certificates=st.floats(0.0, 1e8),
)
def test_energy_is_conserved_and_nothing_goes_below_zero(load, sun, wind, certificates):
    goo = Supply(Contract(name="goo", kind="certificate", kwh_per_year=certificates))
    found = count(load_of(load), [roof(sun), ppa(wind), goo], 600.0)
    total = math.fsum(load)
    assert found.bought_kwh + found.onsite_kwh == pytest.approx(total, abs=1e-6)
    assert math.fsum(row.kwh for row in found.lines) == pytest.approx(found.bought_kwh, abs=1e-6)
    assert found.grams is None or found.grams >= 0
    assert all(row.kwh >= 0 and (row.grams or 0) >= 0 for row in found.lines)
    assert found.location.grams == pytest.approx(found.bought_kwh * 400, abs=1e-3)


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "Asia/Kolkata"])
def test_the_months_of_a_leap_year_share_a_yearly_amount(zone):
    year = Period(moment("2024-01-01", zone), moment("2025-01-01", zone), zone)
    goo = Supply(Contract(name="goo", kind="certificate", kwh_per_year=8784.0, year=2024))
    claimed = 0.0
    for month in months(year):
        load = flow(month.start, month.end, lambda _: 25.0, step=HOUR * 6)
        load = [cell for cell in load if cell.end <= month.end]
        claimed += sum(
            row.kwh for row in count(load, [goo], period=month).lines if row.name == "goo"
        )
    assert claimed == pytest.approx(8784.0)
