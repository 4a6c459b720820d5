import math

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.carbon.made import DAY, HOUR, KWH, T0, rule, value, yearly

from agent.carbon import live
from agent.carbon.live import Emissions, EmissionsState, Key, total_of
from agent.carbon.operational import total
from agent.carbon.timeline import Standing, timeline
from agent.carbon.words import Basis, Factor, Origin, Scope, Stage
from agent.site.cells import Cell

BY_LOCATION = Key(Scope.SCOPE_2, Basis.LOCATION, Stage.OPERATION)
BY_MARKET = Key(Scope.SCOPE_2, Basis.MARKET, Stage.OPERATION)
LOSSES = Key(Scope.SCOPE_3, None, Stage.OPERATION)


def test_worked_by_hand():
    """1 kWh at 100 g/kWh, then 2 kWh at 300."""
    emissions = Emissions([rule()])
    emissions.learn([value(0, 100.0), value(1, 300.0)], T0)
    emissions.count(KWH, T0, T0 + 60)
    emissions.count(2 * KWH, T0 + HOUR, T0 + HOUR + 60)
    assert emissions.totals() == {BY_LOCATION: pytest.approx(700.0)}


def test_it_holds_then_falls_to_static_and_shows_it():
    emissions = Emissions([rule(hold_seconds=2 * HOUR)], {Basis.LOCATION: yearly(400.0)})
    emissions.learn([value(-1, 100.0)], T0)
    seen = []
    for hour in range(4):
        emissions.count(KWH, T0 + hour * HOUR, T0 + hour * HOUR + 1)
        (now,) = emissions.now(T0 + hour * HOUR)
        seen.append((now.provider, now.standing, now.grams_per_kwh))
    assert seen == [("neso", Standing.HELD, 100.0)] * 2 + [("static", Standing.AVERAGE, 400.0)] * 2
    assert emissions.totals()[BY_LOCATION] == pytest.approx(1000.0)


def test_unknown_is_kept_apart():
    emissions = Emissions([rule()])
    (booked,) = emissions.count(KWH, T0, T0 + 1)
    assert booked.grams is None
    assert emissions.totals() == {}
    assert emissions.state.unknown_joules == {"location": KWH}
    assert emissions.now(T0) == []


def test_an_interval_of_hours_is_shared_by_time():
    """The agent was off for four hours, counters ran on: 4 kWh, of which three are unknown."""
    emissions = Emissions([rule(hold_seconds=0.0)])
    emissions.learn([value(0, 100.0)], T0)
    (booked,) = emissions.count(4 * KWH, T0, T0 + 4 * HOUR)
    assert booked.grams is None
    assert emissions.totals() == {BY_LOCATION: pytest.approx(100.0)}
    assert emissions.state.unknown_joules["location"] == pytest.approx(3 * KWH)


def test_both_bases_and_the_losses():
    rules = [rule(), rule(basis=Basis.MARKET), rule(basis=Basis.MARGINAL, providers=("watttime",))]
    statics = {Basis.LOCATION: yearly(400.0), Basis.MARKET: yearly(600.0, Basis.MARKET)}
    emissions = Emissions(rules, statics, losses_ratio=0.05)
    emissions.learn([value(0, 900.0, basis=Basis.MARGINAL, provider="watttime")], T0)
    booked = emissions.count(2 * KWH, T0, T0 + 1)
    expected = {BY_LOCATION: 800.0, LOSSES: 40.0, BY_MARKET: 1200.0}
    assert emissions.totals() == pytest.approx(expected)
    assert {each.key: each.grams for each in booked} == pytest.approx(expected)
    assert {each.basis: each.grams_per_kwh for each in emissions.now(T0)} == {
        Basis.LOCATION: 400.0,
        Basis.MARKET: 600.0,
        Basis.MARGINAL: 900.0,
    }


def test_market_falls_to_location_and_says_so():
    emissions = Emissions([rule(), rule(basis=Basis.MARKET)])
    emissions.learn([value(0, 100.0)], T0)
    emissions.count(KWH, T0, T0 + 1)
    assert emissions.totals()[BY_MARKET] == pytest.approx(100.0)
    by_market = next(each for each in emissions.now(T0) if each.basis is Basis.MARKET)
    assert by_market.standing is Standing.LOCATION


def test_an_older_answer_does_not_replace_a_newer_one():
    emissions = Emissions([rule()])
    emissions.learn([value(0, 120.0, fetched=2)], T0)
    emissions.learn([value(0, 100.0, fetched=1)], T0)
    assert emissions.now(T0)[0].grams_per_kwh == 120.0


def test_what_others_work_out_is_added_and_never_taken_off():
    emissions = Emissions([])
    key = Key(Scope.SCOPE_3, None, Stage.MANUFACTURING)
    emissions.add(key, 5.0)
    emissions.add(key, 2.5)
    assert emissions.totals() == {key: 7.5}
    with pytest.raises(ValueError):
        emissions.add(key, -1.0)


def test_a_restart_goes_on_with_counters_and_the_last_known_value():
    first = Emissions([rule(hold_seconds=6 * HOUR)])
    first.learn([value(-1, 90.0, origin=Origin.ESTIMATED), value(0, 100.0), value(5, 5.0)], T0)
    first.count(KWH, T0, T0 + 1)
    saved = msgspec.msgpack.encode(first.state)
    second = Emissions(
        [rule(hold_seconds=6 * HOUR)], None, msgspec.msgpack.decode(saved, type=EmissionsState)
    )
    second.count(KWH, T0 + 3 * HOUR, T0 + 3 * HOUR + 1)
    assert second.totals()[BY_LOCATION] == pytest.approx(200.0)
    assert second.now(T0 + 3 * HOUR)[0].standing is Standing.HELD


def test_a_restart_keeps_what_can_be_held_and_not_the_forecast_after_it():
    first = Emissions([rule(hold_seconds=6 * HOUR)])
    first.learn([value(0, 100.0), value(1, 50.0, origin=Origin.FORECAST)], T0 + 1.5 * HOUR)
    second = Emissions([rule(hold_seconds=6 * HOUR)], state=first.state)
    (now,) = second.now(T0 + 3 * HOUR)
    assert (now.grams_per_kwh, now.standing) == (100.0, Standing.HELD)


def test_the_state_stays_small():
    emissions = Emissions([rule()])
    for day in range(100):
        at = T0 + day * DAY
        emissions.learn([value(day * 24 + hour, 100.0) for hour in range(-24, 72)], at)
    assert len(msgspec.msgpack.encode(emissions.state)) < 400
    assert len(emissions._values) <= live.KEPT
    assert len(emissions._values) < 150


def test_a_clock_that_is_set_back_counts_all_the_same():
    emissions = Emissions([rule()], {Basis.LOCATION: yearly(400.0)})
    emissions.count(KWH, T0 + 5 * HOUR, T0 + 5 * HOUR + 1)
    emissions.count(KWH, T0, T0 + 1)
    assert emissions.totals()[BY_LOCATION] == pytest.approx(800.0)


def test_values_of_another_family_are_neither_counted_nor_kept():
    emissions = Emissions([rule()])
    emissions.learn([value(0, 100.0, factor=Factor.LIFECYCLE)], T0)
    emissions.count(KWH, T0, T0 + 1)
    assert emissions.totals() == {}
    assert emissions.state.last == {}


def test_a_tick_lays_out_no_timeline(monkeypatch):
    laid = []
    monkeypatch.setattr(live, "timeline", lambda *a: laid.append(a) or timeline(*a))
    emissions = Emissions([rule()], {Basis.LOCATION: yearly()})
    for second in range(3000):
        emissions.count(300.0, T0 + second, T0 + second + 1)
    assert len(laid) == 1


@given(
    st.lists(st.floats(0.0, 1e6), min_size=1, max_size=40),
    st.lists(st.floats(0.0, 1000.0), min_size=3, max_size=3),
    st.integers(1, 5000),
)
def test_any_intervals_give_what_the_report_gives(joules, factors, step):
    """Counters only rise, and with nothing to restate they are the report's figure."""
    values = [value(hour, factor) for hour, factor in enumerate(factors)]
    emissions = Emissions([rule(hold_seconds=HOUR)], {Basis.LOCATION: yearly()})
    emissions.learn(values, T0)
    cells, before = [], 0.0
    for index, each in enumerate(joules):
        begin = T0 + index * step
        emissions.count(each, begin, begin + step)
        cells.append(Cell(begin, begin + step, each, step))
        now = emissions.totals()[BY_LOCATION]
        assert now >= before
        before = now
    line = timeline(values, T0, T0 + len(joules) * step, rule(hold_seconds=HOUR), yearly())
    assert before == pytest.approx(total(cells, line).grams, rel=1e-9, abs=1e-9)


@given(
    st.dictionaries(st.tuples(st.sampled_from(Scope), st.sampled_from(Stage)), st.floats(0, 1e9))
)
def test_stages_and_scopes_add_up_to_the_total_with_scope_2_once(amounts):
    emissions = Emissions([])
    for (scope, stage), grams in amounts.items():
        bases = [None] if scope is not Scope.SCOPE_2 else [Basis.LOCATION, Basis.MARKET]
        for basis in bases:
            emissions.add(Key(scope, basis, stage), grams / 2)
            emissions.add(Key(scope, basis, stage), grams / 2)
    totals = emissions.totals()
    by_stage = [
        math.fsum(g for k, g in totals.items() if k.stage is stage and k.basis is not Basis.MARKET)
        for stage in Stage
    ]
    assert math.fsum(by_stage) == pytest.approx(total_of(totals, Basis.LOCATION))
    assert total_of(totals, Basis.LOCATION) == pytest.approx(math.fsum(amounts.values()))
    assert total_of(totals, Basis.MARKET) == pytest.approx(math.fsum(amounts.values()))
