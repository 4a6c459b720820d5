import math

import pytest
from unit.carbon.made import DAY, moment

from agent.carbon.activities import LossesOf, category3, loss_ratio, scope1
from agent.carbon.settings import Activity
from agent.kpi.period import Period, months
from agent.site.cells import Cell

YEAR = Period(moment("2024-01-01"), moment("2025-01-01"))
DIESEL = Activity(name="diesel", file="diesel.csv", kilograms_per_unit=3.0, source="example")


def cell(start, end, amount):
    begin, until = moment(start), moment(end)
    return Cell(begin, until, amount, until - begin)


def test_diesel_of_the_ghg_protocols_example():
    """Technical Guidance for Calculating Scope 3 Emissions, example 4.1: 660,000 kg.

    The formula is that of Scope 1; in the example the trucks are somebody else's.
    """
    records = [cell("2024-01-01", "2024-02-01", each) for each in (50_000, 80_000, 90_000)]
    assert scope1(DIESEL, records, YEAR).grams == 660_000_000.0


def test_refrigerant_of_the_ghg_protocols_example():
    """The same: 50 kg of R410a x 2,000 = 100,000 kg."""
    refill = Activity(name="R410a", file="r.csv", kilograms_per_unit=2000.0)
    found = scope1(refill, [Cell(moment("2024-06-01"), moment("2024-06-01"), 50.0, 0.0)], YEAR)
    assert found.grams == 100_000_000.0
    assert (found.amount, found.records, found.seconds) == (50.0, 1, 0.0)


def test_no_record_is_unknown_and_a_record_of_none_is_none():
    assert scope1(DIESEL, [], YEAR).grams is None
    assert scope1(DIESEL, [cell("2024-01-01", "2024-02-01", 0.0)], YEAR).grams == 0.0
    assert scope1(DIESEL, [cell("2023-01-01", "2023-02-01", 7.0)], YEAR).grams is None


def test_months_add_up_to_the_year():
    records = [cell("2023-12-20", "2024-02-10", 520.0), cell("2024-02-10", "2024-11-01", 2650.0)]
    found = [scope1(DIESEL, records, month) for month in months(YEAR)]
    year = scope1(DIESEL, records, YEAR)
    assert math.fsum(each.grams for each in found if each.grams) == pytest.approx(year.grams)
    assert found[11].grams is None
    assert (found[0].shared, year.shared) == (1, 1)
    assert year.amount == pytest.approx(520.0 * 40 / 52 + 2650.0)
    assert found[1].seconds == pytest.approx(29 * DAY)  # a leap year


def test_a_negative_amount_is_refused():
    with pytest.raises(ValueError, match="diesel"):
        scope1(DIESEL, [cell("2024-01-01", "2024-02-01", -1.0)], YEAR)


EXAMPLE = [
    # Technical Guidance for Calculating Scope 3 Emissions, example 3.1:
    # kWh, upstream and combustion kg/kWh, losses in %
    (500_000, 0.12, 0.8, 10.0),
    (600_000, 0.10, 0.4, 13.0),
    (400_000, 0.15, 0.8, 15.0),
    (5_500_000, 0.10, 0.5, 10.0),
    (200_000, 0.05, 0.4, 12.0),
]


def test_upstream_of_the_ghg_protocols_example():
    """Printed: 740,000 kg."""
    found = [
        category3(kwh * direct * 1e3, kwh * (direct + upstream) * 1e3, None).upstream
        for kwh, upstream, direct, _ in EXAMPLE
    ]
    assert sum(found) / 1e3 == pytest.approx(740_000)


def test_losses_of_the_ghg_protocols_example():
    """Printed: 404,175 kg, of which 375 are of district heating; with combustion factors."""
    found = [category3(kwh * direct * 1e3, None, rate) for kwh, _, direct, rate in EXAMPLE]
    assert sum(each.transmission for each in found) / 1e3 == pytest.approx(404_175 - 375)
    assert all(each.transmission_is_direct_only for each in found)


def test_losses_are_counted_with_the_life_cycle_where_it_is_known():
    found = category3(400.0, 500.0, 10.0)
    assert (found.upstream, found.transmission) == (100.0, 50.0)
    assert not found.transmission_is_direct_only


def test_losses_as_a_share_of_generation():
    assert loss_ratio(6.0, LossesOf.GENERATION) == pytest.approx(6.38 / 100, abs=5e-5)
    assert loss_ratio(6.0) == 0.06
    with pytest.raises(ValueError, match="nothing to deliver"):
        loss_ratio(100.0, LossesOf.GENERATION)
    with pytest.raises(ValueError, match="losses_percent"):
        loss_ratio(-1.0)


def test_unknown_stays_unknown():
    assert category3(400.0, None, None) == (None, None, False)
    assert category3(None, 500.0, None) == (None, None, False)
    assert category3(None, None, 10.0) == (None, None, False)
    assert category3(500.0, 400.0, None).upstream is None
