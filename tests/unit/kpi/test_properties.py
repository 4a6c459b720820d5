"""What holds for any figures."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from unit.kpi.sites import HOUR, meter, only, period, site

from agent.kpi.compose import site_kpis
from agent.kpi.days import by_day
from agent.kpi.pue import dcie, pue
from agent.kpi.shares import ref
from agent.site.cells import Cell, Term, common

WEEK = period("2025-03-03", "2025-03-10")
HOURS = 168
energies = st.floats(1.0, 1e12)
calm = settings(deadline=None, max_examples=40)
"""A busy machine may take its time."""
SITE = site(
    meter("grid", "total", carbon_kilograms_per_kwh=0.4),
    meter("roof", "generation", carbon_kilograms_per_kwh=0.0, renewable=True),
    meter("pdu", "it"),
    meter("heat", "reused_heat"),
    meter("mains", "water_in"),
)
LOADS = {"grid": 140.0, "roof": 10.0, "pdu": 100.0, "heat": 30.0, "mains": 0.2}


def hours(load, unknown=(), scale=1.0):
    return [
        Cell(WEEK.start + h * HOUR, WEEK.start + (h + 1) * HOUR, load * scale, HOUR)
        for h in range(HOURS)
        if h not in unknown
    ]


@calm
@given(total=energies, it=energies)
def test_dcie_is_one_over_pue(total, it):
    assert pue(total, it) * dcie(total, it) == pytest.approx(1.0)


@calm
@given(renewable=st.floats(0.0, 1e12), total=energies)
def test_ref_is_a_share(renewable, total):
    assert 0.0 <= ref(renewable, total) <= 1.0


@calm
@given(scale=st.floats(0.001, 1000.0))
def test_ratios_do_not_depend_on_size(scale):
    whole = site_kpis(SITE, {name: hours(load) for name, load in LOADS.items()}, WEEK)
    sized = site_kpis(SITE, {name: hours(load, (), scale) for name, load in LOADS.items()}, WEEK)
    for one, other in zip(whole, sized, strict=True):
        assert other.value == pytest.approx(one.value)


@calm
@given(
    unknown=st.dictionaries(
        st.sampled_from(sorted(LOADS)), st.sets(st.integers(0, HOURS - 1), max_size=40), max_size=3
    )
)
def test_holes_change_the_coverage_and_no_ratio_of_constant_loads(unknown):
    cells = {name: hours(load, unknown.get(name, ())) for name, load in LOADS.items()}
    whole = site_kpis(SITE, {name: hours(load) for name, load in LOADS.items()}, WEEK)
    for one, other in zip(whole, site_kpis(SITE, cells, WEEK), strict=True):
        assert other.value == pytest.approx(one.value)
        meters = {meter for each in one.inputs for meter in each.meters}
        lost = set().union(*(unknown.get(meter, set()) for meter in meters))
        assert other.coverage == pytest.approx((HOURS - len(lost)) / HOURS)


@calm
@given(
    loads=st.lists(st.tuples(energies, energies), min_size=14, max_size=14),
    cut=st.integers(1, 13),
)
def test_the_parts_of_a_period_add_up(loads, cut):
    """Half a day's load each."""
    half = 12 * HOUR
    cells = {
        name: [
            Cell(WEEK.start + n * half, WEEK.start + (n + 1) * half, pair[i], half)
            for n, pair in enumerate(loads)
        ]
        for i, name in enumerate(("grid", "pdu"))
    }
    where = site(SITE.meter[0], SITE.meter[2])
    middle = WEEK.start + cut * half
    whole = only(site_kpis(where, cells, WEEK), "PUE")
    halves = [
        only(site_kpis(where, cells, part), "PUE")
        for part in (WEEK._replace(end=middle), WEEK._replace(start=middle))
    ]
    for index in (0, 1):
        parts = sum(each.inputs[index].amount for each in halves)
        assert parts == pytest.approx(whole.inputs[index].amount)
    low, high = sorted(each.value for each in halves)
    assert low * (1 - 1e-9) <= whole.value <= high * (1 + 1e-9)


@st.composite
def rows(draw):
    """Cells of a meter over four days: hours or six hours, holes, half-known and long ones."""
    step = draw(st.sampled_from([1.0, 6.0, 24.0, 36.0, 48.0, 96.0]))
    offset = draw(st.sampled_from([0.0, 0.0, 0.0, 0.5, 5.0]))
    found, at = [], offset
    while at + step <= 96.0:
        known = draw(st.sampled_from([1.0] * 12 + [0.5, 0.0]))
        if known:
            found.append(Cell(at * HOUR, (at + step) * HOUR, step * known, step * known * HOUR))
        at += step
    return found


@calm
@given(meters=st.lists(rows(), min_size=1, max_size=4), chosen=st.sets(st.integers(0, 3)))
def test_putting_whole_days_together_changes_no_sum(meters, chosen):
    cells = dict(enumerate(meters))
    days = by_day(cells, 0.0, 96 * HOUR)
    some = [index for index in cells if index in chosen] or [0]
    plain = common([[Term(cells[index])] for index in some], 0.0, 96 * HOUR)
    short = common([[Term(days[index])] for index in some], 0.0, 96 * HOUR)
    assert short.sums == pytest.approx(plain.sums)
    assert short.seconds == pytest.approx(plain.seconds)


def test_a_known_week_is_seven_cells():
    days = by_day({"a": hours(1.0), "b": hours(2.0, {30})}, WEEK.start, WEEK.end)
    assert len(days["a"]) == 6 + 24
    assert len(days["b"]) == 6 + 23
