import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.carbon.made import HOUR, KWH, QUARTER, T0, flow, rule, value, yearly

from agent.carbon.operational import located, total
from agent.carbon.timeline import Standing, timeline
from agent.carbon.words import Basis
from agent.site.cells import Cell

DAY_VALUES = [value(hour, 100.0 + 13.0 * hour) for hour in range(24)]


def line(values=DAY_VALUES, hours=24, static=None, **keys):
    return timeline(values, T0, T0 + hours * HOUR, rule(**keys), static)


def test_worked_by_hand():
    """1 kWh a quarter; 100 g/kWh for an hour, then 300 g/kWh: 400 g and 1200 g."""
    cells = flow(T0, T0 + 2 * HOUR, lambda _: 1.0)
    found = total(cells, line([value(0, 100.0), value(1, 300.0)], hours=2))
    assert found.grams == pytest.approx(1600.0, rel=1e-12)
    assert (found.kwh, found.known_kwh, found.coverage) == (8.0, 8.0, 1.0)
    assert found.mean_grams_per_kwh == pytest.approx(200.0)
    assert [each.grams for each in located(cells, line([value(0, 100.0), value(1, 300.0)]))] == [
        100.0,
        100.0,
        100.0,
        100.0,
        300.0,
        300.0,
        300.0,
        300.0,
    ]


def test_the_mean_is_of_energy_and_not_of_time():
    cells = [Cell(T0, T0 + HOUR, 9 * KWH, HOUR), Cell(T0 + HOUR, T0 + 2 * HOUR, KWH, HOUR)]
    found = total(cells, line([value(0, 100.0), value(1, 300.0)], hours=2))
    assert found.mean_grams_per_kwh == pytest.approx(120.0)


def test_a_longer_cell_is_shared_by_time():
    """4 kWh over four hours of which the first has 100, the other three 300 g/kWh."""
    cell = Cell(T0, T0 + 4 * HOUR, 4 * KWH, 4 * HOUR)
    found = total([cell], line([value(0, 100.0), value(1, 300.0, hours=3)], hours=4))
    assert found.grams == pytest.approx(100 + 900)


def test_unknown_is_told_and_not_zero():
    """Two of four hours are unknown: half of the energy, and not half of the emissions."""
    cells = flow(T0, T0 + 4 * HOUR, lambda _: 1.0)
    found = total(cells, line([value(0, 100.0, hours=2)], hours=4, hold_seconds=0.0))
    assert found.grams == pytest.approx(800.0)
    assert found.coverage == pytest.approx(0.5)
    assert found.mean_grams_per_kwh == pytest.approx(100.0)
    unknown = next(row for row in found.rows if row.standing is Standing.UNKNOWN)
    assert (unknown.grams, unknown.kwh) == (None, 8.0)
    assert found.known_seconds == 2 * HOUR


def test_nothing_known_is_none():
    cells = flow(T0, T0 + HOUR, lambda _: 1.0)
    found = total(cells, line([], hours=1))
    assert (found.grams, found.coverage, found.mean_grams_per_kwh) == (None, 0.0, None)
    assert [each.grams for each in located(cells, line([], hours=1))] == [None] * 4


def test_energy_outside_of_the_timeline_is_unknown():
    cells = flow(T0 - HOUR, T0 + HOUR, lambda _: 1.0)
    found = total(cells, line([value(0, 100.0)], hours=1))
    assert (found.grams, found.coverage) == (400.0, 0.5)


def test_no_energy_emits_nothing():
    cells = flow(T0, T0 + HOUR, lambda _: 0.0)
    found = total(cells, line())
    assert (found.grams, found.coverage, found.mean_grams_per_kwh) == (0.0, None, None)


def test_a_meters_own_hole_is_in_the_seconds():
    cells = [Cell(T0, T0 + QUARTER, KWH, 300.0)]
    found = total(cells, line())
    assert (found.seconds, found.known_seconds, found.grams) == (300.0, 300.0, 100.0)


def test_rows_say_what_the_total_stands_on():
    values = [value(0, 100.0, source="a"), value(1, 200.0, source="b")]
    cells = flow(T0, T0 + 10 * HOUR, lambda _: 0.25)
    found = total(cells, line(values, hours=10, static=yearly(), hold_seconds=2 * HOUR))
    assert [(row.provider, row.standing.value, row.kwh) for row in found.rows] == [
        ("neso", "held", pytest.approx(2.0)),
        ("neso", "measured", pytest.approx(2.0)),
        ("static", "average", pytest.approx(6.0)),
    ]
    assert found.rows[1].sources == ("a", "b")
    assert found.grams == pytest.approx(300 + 2 * 200 + 6 * 400)
    assert math.fsum(row.grams for row in found.rows) == pytest.approx(found.grams, rel=1e-12)


def test_marginal_intensities_are_refused():
    marginal = line([value(0, 700.0, basis=Basis.MARGINAL)], basis=Basis.MARGINAL)
    with pytest.raises(ValueError, match="when to run"):
        total([], marginal)
    with pytest.raises(ValueError, match="when to run"):
        located([], marginal)


energies = st.lists(st.floats(0.0, 1e9), min_size=96, max_size=96)


@given(energies, st.lists(st.floats(0.0, 1500.0), min_size=24, max_size=24))
def test_location_based_is_the_sum_of_energy_times_factor(joules, factors):
    cells = [
        Cell(T0 + i * QUARTER, T0 + (i + 1) * QUARTER, each, QUARTER)
        for i, each in enumerate(joules)
    ]
    values = [value(hour, factor) for hour, factor in enumerate(factors)]
    found = total(cells, line(values))
    truth = math.fsum(each / 3.6e6 * factors[i // 4] for i, each in enumerate(joules))
    assert found.grams == pytest.approx(truth, rel=1e-9, abs=1e-12)
    assert math.fsum(each.grams for each in located(cells, line(values))) == pytest.approx(
        truth, rel=1e-9, abs=1e-12
    )


@given(st.lists(energies, min_size=1, max_size=4))
def test_hosts_add_up_to_the_site(hosts):
    laid = line(DAY_VALUES[:18], hold_seconds=2 * HOUR, static=yearly())
    by_host = [
        [
            Cell(T0 + i * QUARTER, T0 + (i + 1) * QUARTER, each, QUARTER)
            for i, each in enumerate(joules)
        ]
        for joules in hosts
    ]
    site = [
        Cell(parts[0].start, parts[0].end, math.fsum(each.amount for each in parts), QUARTER)
        for parts in zip(*by_host, strict=True)
    ]
    found = total(site, laid)
    one_by_one = [total(cells, laid) for cells in by_host]
    assert math.fsum(each.grams for each in one_by_one) == pytest.approx(
        found.grams, rel=1e-9, abs=1e-12
    )
    together = total([cell for cells in by_host for cell in cells], laid)
    assert together.grams == pytest.approx(found.grams, rel=1e-9, abs=1e-12)


def test_hours_of_a_clock_at_half_past_change_nothing():
    """Hours of India begin at half past: shared by time they give what quarters give."""
    start = T0 + HOUR / 2
    coarse = flow(start, start + 20 * HOUR, lambda _: 4.0, step=HOUR)
    fine = flow(start, start + 20 * HOUR, lambda _: 1.0)
    assert total(coarse, line()).grams == pytest.approx(total(fine, line()).grams, rel=1e-12)
