"""Straight-line over a life: nothing lost, nothing twice."""

from datetime import UTC, date, datetime
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.carbon.words import Stage
from agent.lifecycle.amortised import (
    between,
    embodied,
    longer,
    posted,
    share_posted,
    sum_of,
    totals,
)
from agent.lifecycle.inventory import YEAR_SECONDS, Inventory, Part, assemble
from agent.lifecycle.settings import Asset, LifecycleSettings
from agent.lifecycle.span import Span

MADE, MOVED = Stage.MANUFACTURING, Stage.PACKAGING_TRANSPORT
START = datetime(2025, 3, 1, tzinfo=UTC).timestamp()
YEAR = YEAR_SECONDS
DAY = 86400.0


def part(name="server", start=START, years=4.0, ended=None, credit=0.0, **kilograms) -> Part:
    figures = kilograms or {"manufacturing": 1000.0}
    return Part(
        asset=name,
        component="server",
        model="",
        count=1,
        kilograms={Stage(k): Span(v * 0.7, v, v * 1.3) for k, v in figures.items()},
        source="",
        in_service=start,
        lifetime_seconds=years * YEAR,
        ended=ended,
        credit_kilograms=credit,
    )


def inventory(*parts: Part) -> Inventory:
    return Inventory(parts=parts)


def grams(found) -> float:
    return sum_of(found.grams).best


def test_the_example_of_sci():
    """ISO/IEC 21031 (SCI), M: 1,000 kg over four years, one hour: 28.54 g."""
    one = inventory(part())
    assert round(grams(between(one, START, START + 3600)), 2) == 28.54
    assert round(sum_of(totals(one, START).per_hour).best, 2) == 28.54


def test_nothing_before_and_nothing_after():
    one = inventory(part())
    assert grams(between(one, START - YEAR, START)) == 0
    assert grams(between(one, START + 4 * YEAR, START + 9 * YEAR)) == 0
    assert grams(between(one, 0, START + 9 * YEAR)) == 1_000_000
    assert sum_of(totals(one, START + 4 * YEAR).per_hour).best == 0
    assert sum_of(totals(one, START - 1).per_hour).best == 0


def test_bounds_and_stages():
    one = inventory(part(manufacturing=1000.0, packaging_transport=40.0))
    half = posted(one, START + 2 * YEAR).grams
    assert half[MADE] == Span(350_000, 500_000, 650_000)
    assert half[MOVED].best == pytest.approx(20_000)
    assert Stage.DESIGN not in half


def test_taken_out_early_is_written_off_then():
    out = START + YEAR
    one = inventory(part(ended=out))
    assert grams(between(one, START, out - 1)) == pytest.approx(250_000, rel=1e-6)
    assert grams(between(one, out - 1, out)) == pytest.approx(750_000, rel=1e-6)
    assert grams(between(one, out, out + YEAR)) == 0
    assert grams(posted(one, out)) == 1_000_000
    assert sum_of(totals(one, out).per_hour).best == 0


def test_taken_out_after_its_planned_end_adds_nothing():
    one = inventory(part(ended=START + 6 * YEAR))
    assert grams(posted(one, START + 4 * YEAR)) == 1_000_000
    assert grams(between(one, START + 4 * YEAR, START + 7 * YEAR)) == 0


def test_a_replaced_part_has_its_own_life():
    change = START + YEAR
    both = inventory(part("old", ended=change), part("new", start=change, years=2.0))
    assert grams(posted(both, change)) == 1_000_000
    assert grams(posted(both, change + YEAR)) == pytest.approx(1_500_000)
    assert grams(posted(both, change + 2 * YEAR)) == 2_000_000


def test_without_a_first_day_time_is_unknown():
    known, undated = part("a"), part("b", start=None)
    found = between(inventory(known, undated), START, START + 3600)
    assert found.undated == ("b",)
    assert grams(found) == pytest.approx(28.54, abs=0.01)
    whole = totals(inventory(undated), START)
    assert whole.to_date == {}
    assert whole.per_hour == {}
    assert sum_of(whole.life).best == 1_000_000
    assert share_posted(undated, START) is None


def test_credits_are_apart():
    without, with_credit = (
        totals(inventory(part()), START),
        totals(inventory(part(credit=50.0)), START),
    )
    assert with_credit.credit == 50_000
    assert with_credit.life == without.life
    assert with_credit.per_hour == without.per_hour


def test_keeping_it_longer():
    one = inventory(part(), part("young", start=START + 3 * YEAR))
    before = longer(one, START + YEAR)
    assert (before.replacement, before.per_year) == (1000, 250)
    assert (before.to_date, before.beyond) == (0, ())
    after = longer(one, START + 6 * YEAR)
    assert after.to_date == pytest.approx(500)  # two years of 250 kg
    assert after.beyond == ("server",)
    assert after.per_year == 500
    assert longer(inventory(part(ended=START + YEAR)), START + 6 * YEAR) is None
    assert longer(inventory(part(start=None)), START) is None


def test_a_leap_day_and_a_change_of_clocks_change_nothing():
    """2028-02-29 is a day as any other, and so is the one of 23 hours."""
    settings = LifecycleSettings(
        in_service=date(2027, 1, 1),
        lifetime_years=5,
        detect=False,
        asset=(Asset(name="s", kilograms={"manufacturing": 1825.0}),),
    )
    one = assemble(settings, None, (), UTC)
    leap = datetime(2028, 2, 29, tzinfo=UTC).timestamp()
    assert grams(between(one, leap, leap + DAY)) == pytest.approx(1000)
    spring = datetime(2028, 3, 26, tzinfo=UTC).timestamp()
    assert grams(between(one, spring, spring + DAY)) == pytest.approx(1000)


def test_the_gauge_is_the_whole():
    assert embodied(part())[MADE] == Span(700_000, 1_000_000, 1_300_000)


lives = st.builds(
    part,
    name=st.uuids().map(str),
    start=st.floats(0, 2e9),
    years=st.floats(0.1, 20),
    ended=st.none(),
    manufacturing=st.floats(0, 1e5),
    recycling=st.floats(0, 1e3),
)


@st.composite
def parts(draw):
    one = draw(lives)
    if draw(st.booleans()):
        after = draw(st.floats(0, 30)) * YEAR
        return part(
            one.asset,
            start=one.in_service,
            years=one.lifetime_seconds / YEAR,
            ended=one.in_service + after,
            **{stage.value: span.best for stage, span in one.kilograms.items()},
        )
    return one


@given(st.lists(parts(), min_size=1, max_size=6), st.lists(st.floats(-1e9, 5e9), max_size=30))
def test_a_life_is_posted_exactly_once(some, cuts):
    """However time is cut, periods add up to each part's whole, stage by stage, bound by bound."""
    one = inventory(*some)
    moments = sorted([-2e9, *cuts, 6e9])
    by_stage: dict[Stage, list[Span]] = {}
    for since, until in pairwise(moments):
        found = between(one, since, until)
        assert found.undated == ()
        for stage, span in found.grams.items():
            assert span.low >= -1e-9
            by_stage.setdefault(stage, []).append(span)
    for stage, whole in totals(one, 6e9).life.items():
        assert sum(s.best for s in by_stage[stage]) == pytest.approx(whole.best, rel=1e-9, abs=1e-9)
        assert sum(s.high for s in by_stage[stage]) == pytest.approx(whole.high, rel=1e-9, abs=1e-9)


@given(st.lists(parts(), min_size=1, max_size=6), st.floats(-1e9, 5e9))
def test_to_date_never_exceeds_the_life(some, moment):
    one = totals(inventory(*some), moment)
    for stage, span in one.to_date.items():
        assert span.best <= one.life[stage].best * (1 + 1e-12)
    assert sum_of(one.life).best == pytest.approx(
        sum(p.whole.best for p in some) * 1000, rel=1e-9, abs=1e-9
    )
