"""The simulated site's truth, by figures worked out by hand."""

import json
import random

import pytest
from hardware.grid.api import Asked
from hardware.power import Constant, Linear
from hardware.site.bmc import make_bmc
from hardware.site.clock import SiteClock
from hardware.site.facility import Weather, flows, weather
from hardware.site.grid import KEY, ZONE, CarbonProvider, intensity
from hardware.site.history import _blocks
from hardware.site.plans import plans
from hardware.site.rhythm import Changing, Integrated, Rhythm, busy_week, quarter_means, week
from hardware.site.tracks import Tracks

MONDAY = 1_767_571_200.0
"""2026-01-05 00:00 UTC, 8:00 in Guangzhou."""
HOUR, DAY = 3600.0, 86400.0


def test_what_was_before_a_change_stays_true():
    power = Changing(Constant(10.0))
    power.change(5.0, Constant(4.0))
    assert (power.watts(4.9), power.watts(5.0)) == (10.0, 4.0)
    assert power.joules(10.0) == 5 * 10.0 + 5 * 4.0
    assert power.joules(-2.0) == -20.0
    power.change(8.0, Linear(0.0, 1.0))
    assert power.joules(10.0) == 5 * 10.0 + 3 * 4.0 + (10.0**2 - 8.0**2) / 2


def test_a_register_is_the_same_however_often_it_is_read():
    often, once = (Integrated(lambda t: 2.0 * t) for _ in range(2))
    readings = [often.joules(t / 10) for t in range(124)]
    assert readings == sorted(readings)
    assert often.joules(12.3) == once.joules(12.3) == pytest.approx(12.3**2)


def test_a_week_repeats_and_reaches_into_the_past():
    steps = week(MONDAY, lambda wall: (wall - MONDAY) / 60)
    assert (steps.watts(0.0), steps.watts(119.0), steps.watts(7 * DAY)) == (0.0, 1.0, 0.0)
    assert steps.watts(-1.0) == 10_079.0
    assert steps.joules(180.0) == 60 * (0 + 1 + 2)
    means = quarter_means([steps, Constant(5.0)], 0.0)
    assert len(means) == 672
    assert means[0] == pytest.approx(7.0 + 5.0)  # minutes 0 to 14


def test_a_load_has_days_and_weekends_and_is_the_same_for_one_seed():
    rhythm = Rhythm(0.5, 0.2, 0.1, wave=0.0, noise=0.0, seed=3)
    load = busy_week(MONDAY, rhythm)
    assert load == busy_week(MONDAY, rhythm)
    assert load.watts(7 * HOUR) == pytest.approx(0.7)  # 15:00 in Guangzhou
    assert load.watts(19 * HOUR) == pytest.approx(0.3)  # 3:00
    assert load.watts(5 * DAY + 7 * HOUR) == pytest.approx(0.6)  # Saturday
    noisy = busy_week(MONDAY, Rhythm(0.95, noise=0.5))
    assert 0.01 <= min(noisy.levels_watts) < max(noisy.levels_watts) <= 0.97


def test_the_facilitys_flows_add_up():
    found = flows({"r01": 591.0, "r02": 394.0}, Weather(celsius=20.0, sun=0.0, wind=0.5))
    heat = 1000.0 / 0.95 + 40.0  # 985 W of servers are 1,000 W at the UPS
    cooling = heat * (0.14 + 0.08) + 60.0
    need = heat + cooling + 90.0
    assert (found["ups-1"], found["ups-2"]) == pytest.approx((600.0, 400.0))
    assert found["chiller-1"] + found["crah"] == pytest.approx(cooling)
    assert found["utility-a"] + found["utility-b"] == pytest.approx(need)
    assert found["wind-ppa"] == pytest.approx(need / 2)
    by_day = flows({"r01": 591.0, "r02": 394.0}, Weather(celsius=20.0, sun=0.2, wind=0.5))
    assert by_day["pv"] == pytest.approx(300.0)
    feeds = by_day["utility-a"] + by_day["utility-b"]
    assert feeds == pytest.approx(need + 60.0 - 300.0)  # it is light inside, too


def test_the_weather_has_seasons_and_nights():
    noon, night = (weather(MONDAY + h * HOUR) for h in (4.5, 16.0))
    july = weather(MONDAY + 195 * DAY)
    assert noon.sun > 0.2
    assert night.sun == 0.0
    assert july.celsius > noon.celsius + 5.0
    assert weather(MONDAY) == weather(MONDAY)


def test_the_provider_answers_as_its_api_does():
    now = MONDAY + 12.5 * HOUR
    provider = CarbonProvider(lambda: now)
    path = "/v3/carbon-intensity/history"
    asked = Asked(path, {"zone": ZONE}, {"auth-token": KEY})
    hours = json.loads(provider.handler(asked).body)["history"]
    assert len(hours) == 24
    assert hours[-1]["datetime"] == "2026-01-05T12:00:00.000Z"
    assert hours[-1]["carbonIntensity"] == round(intensity(now))
    assert [row["isEstimated"] for row in hours[-3:]] == [False, True, True]
    assert provider.handler(asked._replace(headers={})).status == 401
    assert provider.handler(asked._replace(query={"zone": "XX"})).status == 404
    provider._holder.close()
    provider._loop.close()


def test_a_bmc_shows_the_servers_power_in_all_its_figures():
    bmc = make_bmc("lenovo-sr670v2-xcc", Constant(1400.0), lambda: 0.0)  # recorded at 700 W
    for path, script in bmc._scripts.items():
        script(bmc.tree[path])
    chassis = "/redfish/v1/Chassis/1"
    assert bmc.tree[f"{chassis}/EnvironmentMetrics"]["PowerWatts"]["Reading"] == 1400
    supplies = f"{chassis}/PowerSubsystem/PowerSupplies"
    assert bmc.tree[f"{supplies}/PSU1/Metrics"]["InputPowerWatts"]["Reading"] == 400
    assert bmc.tree[f"{supplies}/PSU1"]["PowerCapacityWatts"] == 2400, "a rating does not move"
    bmc._loop.close()


def test_more_hosts_have_names_and_racks_of_their_own():
    with pytest.raises(ValueError, match="at least 6"):
        plans(5)
    several = plans(15)
    assert len({plan.name for plan in several}) == 16
    assert {plan.rack for plan in several} == {"r01", "r02", "r03", "r04", "r05"}
    assert [plan.site_meters for plan in several] == [False] * 15 + [True]
    assert len({plan.rhythm.seed for plan in several}) == 16


def test_a_track_is_a_value_and_its_integral():
    clock = SiteClock(epoch=MONDAY, boottime=0.0)
    tracks = Tracks([], clock, [MONDAY + n * 120.0 for n in range(-2, 1)])
    power = tracks.of(Linear(10.0, 0.01))
    assert power.values == pytest.approx([7.6, 8.8, 10.0])
    assert power.sums == pytest.approx([0.0, 984.0, 2112.0])
    twice = tracks.made(lambda watts: 2 * watts, power)
    assert twice.sums == pytest.approx([0.0, 1968.0, 4224.0])
    same = Constant(1.0)
    assert tracks.of(same) is tracks.of(same)


def test_blocks_end_at_multiples_of_their_length():
    dice = random.Random(1)
    walls = [MONDAY + dice.uniform(0, 100) + n * 600.0 for n in range(400)]
    found = list(_blocks(walls))
    assert [first for first, _ in found[1:]] == [last for _, last in found[:-1]]
    assert (found[0][0], found[-1][1]) == (0, 400)
    for first, last in found:
        assert walls[first] // (18 * HOUR) == walls[last - 1] // (18 * HOUR)
