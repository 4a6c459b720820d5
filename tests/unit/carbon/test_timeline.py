from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.carbon.made import HOUR, T0, hours_of, moment, rule, value, yearly

from agent.carbon.settings import CarbonSettings
from agent.carbon.timeline import Standing, as_known, at, rule_of, timeline, with_last_resort
from agent.carbon.words import Basis, Factor, Origin


def laid(values, hours=4, static=None, **keys):
    return timeline(values, T0, T0 + hours * HOUR, rule(**keys), static)


def test_the_provider_named_first_wins_hour_by_hour():
    values = [
        value(0, 100.0, hours=4),
        value(1, 250.0, provider="electricitymaps"),
    ]
    assert hours_of(laid(values)) == [
        (0, 1, 100.0, "measured"),
        (1, 2, 250.0, "measured"),
        (2, 4, 100.0, "measured"),
    ]


def test_providers_that_are_not_named_do_not_count():
    assert hours_of(laid([value(0, 100.0, hours=4, provider="entsoe")])) == [
        (0, 4, None, "unknown")
    ]


def test_measured_before_estimated_before_forecast_whenever_fetched():
    values = [
        value(0, 1.0, hours=3, origin=Origin.FORECAST, fetched=9),
        value(0, 2.0, hours=2, origin=Origin.ESTIMATED, fetched=5),
        value(0, 3.0, hours=1, origin=Origin.MEASURED, fetched=2),
    ]
    assert hours_of(laid(values, hours=3)) == [
        (0, 1, 3.0, "measured"),
        (1, 2, 2.0, "estimated"),
        (2, 3, 1.0, "forecast"),
    ]


@pytest.mark.parametrize("order", [1, -1])
def test_a_later_answer_replaces_an_earlier_one_in_any_order(order):
    values = [value(0, 100.0, fetched=1), value(0, 120.0, fetched=30)][::order]
    assert hours_of(laid(values, hours=1)) == [(0, 1, 120.0, "measured")]


def test_a_correction_of_part_of_an_hour_replaces_that_part():
    values = [value(0, 100.0, fetched=1), value(0.25, 160.0, hours=0.25, fetched=2)]
    assert hours_of(laid(values, hours=1)) == [
        (0, 0.25, 100.0, "measured"),
        (0.25, 0.5, 160.0, "measured"),
        (0.5, 1, 100.0, "measured"),
    ]


def test_bases_families_and_zones_are_never_mixed():
    values = [
        value(0, 1.0, hours=4, basis=Basis.MARGINAL, provider="electricitymaps"),
        value(0, 2.0, hours=4, factor=Factor.LIFECYCLE),
        value(0, 3.0, hours=4, basis=Basis.MARKET),
        value(0, 4.0, hours=4, zone="FR"),
    ]
    assert hours_of(laid(values, zone="DE")) == [(0, 4, None, "unknown")]
    assert hours_of(laid(values, basis=Basis.MARKET, zone="DE")) == [(0, 4, 3.0, "measured")]
    assert hours_of(laid(values, factor=Factor.LIFECYCLE, zone="DE")) == [(0, 4, 2.0, "measured")]


def test_a_static_factor_of_another_family_does_not_fill():
    line = laid([], static=yearly(factor=Factor.LIFECYCLE))
    assert hours_of(line) == [(0, 4, None, "unknown")]


def test_a_hole_is_held_then_static():
    line = laid([value(-2, 100.0)], hours=10, static=yearly(), hold_seconds=6 * HOUR)
    assert hours_of(line) == [(0, 5, 100.0, "held"), (5, 10, 400.0, "average")]
    assert line.pieces[0].provider == "neso"
    assert line.pieces[1].source == "table 2025"


def test_a_hole_without_a_static_factor_is_unknown_and_not_zero():
    line = laid([value(-2, 100.0)], hours=10, hold_seconds=6 * HOUR)
    assert hours_of(line)[-1] == (5, 10, None, "unknown")


def test_the_best_providers_value_is_held_and_then_the_next_ones():
    values = [value(-5, 300.0, provider="electricitymaps"), value(-2, 100.0)]
    line = laid(values, hours=8, static=yearly(), hold_seconds=6 * HOUR)
    assert hours_of(line) == [
        (0, 2, 300.0, "held"),
        (2, 5, 100.0, "held"),
        (5, 8, 400.0, "average"),
    ]


def test_a_forecast_is_not_held():
    values = [value(-2, 100.0), value(-1, 50.0, origin=Origin.FORECAST)]
    assert hours_of(laid(values, hours=2, hold_seconds=6 * HOUR)) == [(0, 2, 100.0, "held")]


def test_of_values_that_end_together_the_better_is_held():
    values = [
        value(-1, 90.0, origin=Origin.ESTIMATED, fetched=5),
        value(-1, 100.0, origin=Origin.MEASURED, fetched=1),
    ]
    for order in (1, -1):
        assert hours_of(laid(values[::order], hours=1)) == [(0, 1, 100.0, "held")]


def test_the_static_factor_changes_with_the_year_of_the_sites_calendar():
    start, end = moment("2025-12-31T12:00"), moment("2026-01-01T12:00")
    line = timeline([], start, end, rule(time_zone="Asia/Shanghai"), yearly())
    assert [piece.source for piece in line.pieces] == ["table 2025", "table 2026"]
    assert line.pieces[0].end == moment("2025-12-31T16:00")


def test_static_named_first_is_what_counts():
    line = laid([value(0, 100.0, hours=4)], static=yearly(), providers=("static", "neso"))
    assert hours_of(line) == [(0, 4, 400.0, "average")]


@pytest.mark.parametrize("grams", [float("nan"), float("inf"), -1.0])
def test_what_is_no_intensity_does_not_count(grams):
    values = [value(0, grams, fetched=2), value(0, 100.0, fetched=1)]
    assert hours_of(laid(values, hours=1)) == [(0, 1, 100.0, "measured")]


def test_what_was_known_then():
    values = [value(0, 100.0, fetched=1), value(0, 120.0, fetched=30)]
    assert [each.grams_per_kwh for each in as_known(values, T0 + 2 * HOUR)] == [100.0]


def test_the_piece_of_a_moment():
    line = laid([value(0, 100.0)], hours=1)
    assert at(line, T0).grams_per_kwh == 100.0
    assert at(line, T0 + HOUR) is None


def test_the_rule_of_the_settings():
    settings = CarbonSettings(providers=("neso", "static"), hold_hours=2.0)
    made = rule_of(settings, Basis.LOCATION, "Asia/Kolkata")
    assert made.providers == ("neso", "static")
    assert made.hold_seconds == 7200.0
    assert (made.factor, made.time_zone) == (Factor.DIRECT, "Asia/Kolkata")


def test_location_is_the_markets_last_resort():
    location = laid([value(0, 100.0, hours=3)], hold_seconds=0.0)
    market = laid([value(0, 20.0, basis=Basis.MARKET)], basis=Basis.MARKET, hold_seconds=0.0)
    assert hours_of(with_last_resort(market, location)) == [
        (0, 1, 20.0, "measured"),
        (1, 3, 100.0, "location"),
        (3, 4, None, "unknown"),
    ]
    with pytest.raises(ValueError, match="never mixed"):
        with_last_resort(market, laid([], factor=Factor.LIFECYCLE))
    with pytest.raises(ValueError, match="market-based"):
        with_last_resort(location, market)


@dataclass
class Naive:
    """The rule of the docstring, written down once more without cleverness, at one moment."""

    values: list
    hold: float

    def at(self, moment):
        order = {"electricitymaps": 0, "neso": 1}
        origins = list(Origin)
        here = [each for each in self.values if each.start <= moment < each.end]
        if here:
            best = min(
                here,
                key=lambda each: (
                    order[each.provider],
                    origins.index(each.origin),
                    -each.fetched_at,
                ),
            )
            return best.grams_per_kwh, best.origin.value
        for provider in order:
            past = [
                each
                for each in self.values
                if each.provider == provider
                and each.end <= moment
                and each.origin in {Origin.MEASURED, Origin.ESTIMATED}
            ]
            if past:
                end = max(each.end for each in past)
                best = min(
                    (each for each in past if each.end == end),
                    key=lambda each: (origins.index(each.origin), -each.fetched_at),
                )
                if moment < end + self.hold:
                    return best.grams_per_kwh, "held"
        return 400.0, "average"


@given(
    st.lists(
        st.tuples(
            st.integers(-12, 40),
            st.integers(1, 8),
            st.sampled_from(["electricitymaps", "neso"]),
            st.sampled_from([Origin.MEASURED, Origin.ESTIMATED, Origin.FORECAST]),
        ),
        max_size=25,
    ),
    st.integers(0, 12),
)
def test_any_values_are_laid_out_by_the_rule_without_a_hole(rows, hold):
    values = [
        value(
            start / 4,
            float(index),
            hours=length / 4,
            provider=provider,
            origin=origin,
            fetched=index,
        )
        for index, (start, length, provider, origin) in enumerate(rows)
    ]
    line = laid(values, hours=10, static=yearly(), hold_seconds=hold * 900.0)
    assert line.pieces[0].start == T0
    assert line.pieces[-1].end == T0 + 10 * HOUR
    assert all(a.end == b.start for a, b in zip(line.pieces, line.pieces[1:], strict=False))
    naive = Naive(values, hold * 900.0)
    for quarter in range(40):
        moment_ = T0 + quarter * 900.0
        piece = at(line, moment_)
        assert (piece.grams_per_kwh, piece.standing.value) == naive.at(moment_)


def test_standings_take_in_all_origins():
    assert {each.value for each in Origin} < {each.value for each in Standing}
