"""Alerts on less work per joule: found within an hour, and only where something was lost."""

from itertools import pairwise

import numpy as np
import pytest
from unit.dashboards.efficiency_cases import (
    DAY,
    WORKLOADS,
    Exported,
    by_load,
    case,
    check,
    efficiency_of,
    fires,
    load_of,
    needs_promtool,
    never,
    rules,
)

from agent.alerts import all_limits
from dashboards.rules import groups
from dashboards.rules.record_efficiency import (
    BY_LOAD,
    MEDIAN_7D,
    baseline_group,
    efficiency_group,
    load_steps,
)

pytestmark = needs_promtool
DROP, SLOW, FLEET = (
    "WattlasEfficiencyDrop",
    "WattlasEfficiencySlowDrop",
    "WattlasFleetEfficiencyDrop",
)
FIRES = SILENT = {DROP, SLOW, FLEET}
HOUR = 60


def steady(load):
    return lambda m: np.full(len(m), load)


def lost(share, start=12 * HOUR, end=14 * HOUR):
    """Less work between two minutes."""
    return lambda m: np.where((m >= start) & (m < end), 1 - share, 1.0)


def tokens(share):
    return {("llm", "tokens"): share}


def usual(m):
    return np.ones(len(m))


FULL = steady(0.95)
LOSING = [
    Exported("full", FULL, tokens(lost(0.2))),
    # one report every 4 minutes: one or two within 5
    Exported("bursts", FULL, tokens(lost(0.2)), report_minutes=4),
    Exported("borders", lambda m: np.where(m // 3 % 2, 0.90, 0.84), tokens(lost(0.2))),
    Exported("units", FULL, {("llm", unit): lost(0.2) for unit in ("prompt", "generated")}),
    Exported("unscraped", FULL, tokens(lost(0.2)), absent=lambda m: m % 60 == 30),
    Exported("restarted", FULL, tokens(lost(0.2)), reset=13 * HOUR + 10),
]
"""Three minutes of each six in either of two steps of load; an agent that is restarted while the
loss lasts."""
NOT_LOSING = [
    Exported("usual", FULL, tokens(usual)),
    Exported("low", steady(0.1), tokens(lost(0.6))),
    Exported("new", FULL, tokens(lost(0.3)), absent=lambda m: m < 9 * HOUR),
    Exported(
        "maintained",
        FULL,
        tokens(usual),
        absent=lambda m: (m >= 11 * HOUR) & (m < 13 * HOUR),
        reset=13 * HOUR,
    ),
    Exported(
        "without-work",
        lambda m: np.where((m >= 11 * HOUR) & (m < 13 * HOUR), 0.0, 0.95),
        tokens(lambda m: np.where((m >= 11 * HOUR) & (m < 13 * HOUR), 0.0, 1.0)),
    ),
    Exported("scraped", FULL, tokens(usual), absent=lambda m: m % 60 == 30),
    Exported("counted-anew", FULL, tokens(usual), reset=12 * HOUR + 10),
    Exported("in-bursts", FULL, tokens(usual), report_minutes=7),
    # a second workload takes half of the host for two hours
    Exported(
        "shared",
        FULL,
        {
            ("llm", "tokens"): lost(0.5),
            ("batch", "samples"): lambda m: 1 - lost(0.5)(m),
        },
    ),
    # twice the prompt for each token generated
    Exported(
        "mixture",
        FULL,
        {("llm", "prompt"): lambda m: 2 - lost(0.4)(m), ("llm", "generated"): lost(0.4)},
    ),
]


def test_a_loss_is_found_within_an_hour_and_its_end_too(tmp_path):
    """From what agents export. In steps of 5 minutes 24 "hours" of history are 4."""
    every = list(groups(all_limits({"efficiency_history_hours": 24})))
    rng = np.random.default_rng(1)
    minutes = 16 * HOUR
    check(
        tmp_path,
        rules(DROP, every=every),
        "1m",
        "5m",
        (s for host in (*LOSING, *NOT_LOSING) for s in host.series(minutes, rng)),
        [
            fires("12h", DROP, []),
            fires("12h15m", DROP, []),
            fires("12h45m", DROP, [host.name for host in LOSING]),
            fires("13h", DROP, [host.name for host in LOSING]),
            fires("13h55m", DROP, [host.name for host in LOSING]),
            fires("15h", DROP, []),
            never(DROP, "16h", "16h", "|".join(host.name for host in NOT_LOSING)),
        ],
    )


@pytest.mark.e2e
@pytest.mark.parallel
@pytest.mark.timeout(600)
def test_a_months_rhythm_and_noise_are_no_loss(tmp_path, monkeypatch):
    """30 days from the first: work per joule of a host moves by 40 % and more with its load."""
    monkeypatch.setenv("GOGC", "400")
    days, series = 30, []
    for seed, kind in enumerate(WORKLOADS):
        load = load_of(kind, days, seed)
        efficiency = efficiency_of(load, seed, 0.03 if seed % 2 else 0.05)
        judged = efficiency[load > 0.2]
        assert kind == "even" or judged.max() / judged.min() > 1.4
        series += by_load(kind, load, efficiency)
    check(
        tmp_path,
        rules(DROP, FLEET, given=BY_LOAD),
        "10m",
        "10m",
        series,
        [never(f"{DROP}|{FLEET}", f"{days}d", f"{days}d")],
    )


@pytest.mark.e2e
@pytest.mark.parallel
@pytest.mark.timeout(600)
def test_a_slow_loss_is_found_within_three_weeks_and_noise_is_none(tmp_path):
    """1 % a day after 28 usual days, mended after 21; in steps of an hour."""
    days, per_day, series = 53, 24, []
    day = np.arange(days * per_day) / per_day
    left = np.where((day >= 28) & (day < 49), 1 - 0.01 * (day - 28), 1.0)
    for seed, (kind, share) in enumerate([("nights", left), ("even", left), ("drifting", 1.0)]):
        load = load_of(kind, days, 10 + seed, per_day)
        series += by_load(kind, load, efficiency_of(load, 10 + seed, 0.05) * share)
    check(
        tmp_path,
        rules(SLOW, given=BY_LOAD),
        "1h",
        "1h",
        series,
        [
            fires("28d", SLOW, []),
            fires("32d", SLOW, []),
            fires("39d", SLOW, ["even", "nights"]),
            fires("49d", SLOW, ["even", "nights"]),
            fires("50d", SLOW, []),
            never(SLOW, f"{days}d", f"{days}d", "drifting"),
        ],
    )


@pytest.mark.e2e
@pytest.mark.parallel
@pytest.mark.timeout(600)
def test_a_loss_that_stays_goes_from_one_alert_to_the_other(tmp_path):
    """What a median takes for usual after some days is no alert of it any more."""
    days = 10
    day = np.arange(days * DAY) / DAY
    load = load_of("even", days, 3)
    series = by_load("stays", load, efficiency_of(load, 3, 0.03) * np.where(day < 7, 1, 0.8))
    check(
        tmp_path,
        rules(DROP, SLOW, given=BY_LOAD),
        "10m",
        "10m",
        series,
        [
            fires("7d1h", DROP, ["stays"]),
            fires("8d12h", DROP, ["stays"]),
            fires("9d18h", DROP, []),
            fires("8d", SLOW, []),
            fires("8d18h", SLOW, ["stays"]),
            fires("10d", SLOW, ["stays"]),
        ],
    )


def test_a_site_loses_what_is_too_little_for_each_host(tmp_path):
    """10 % of six hosts is a fleet's loss, of four it is nobody's; nor is a single host's 30 %."""
    day = np.arange(3 * DAY) / DAY
    bad = (day >= 2) & (day < 2.25)
    series = []
    for site, hosts in (("six", 6), ("four", 4), ("one-of-six", 6)):
        for seed in range(hosts):
            load = load_of("even", 3, seed)
            loss = np.where(bad, 0.9, 1.0) if site != "one-of-six" else 1 - 0.3 * bad * (seed == 0)
            series += by_load(f"{site}-{seed}", load, efficiency_of(load, seed, 0.03) * loss, site)
    firing = f'ALERTS{{alertname="{FLEET}",alertstate="firing"}}'
    check(
        tmp_path,
        rules(DROP, FLEET, given=BY_LOAD),
        "10m",
        "10m",
        series,
        [
            case(firing, "2d", []),
            case(
                firing,
                "2d1h20m",
                [(f'{firing[:-1]},severity="warning",site="six"}}'.replace("{", "{", 1), 1.0)],
            ),
            case(firing, "2d8h", []),
            fires("2d1h20m", DROP, ["one-of-six-0"]),
        ],
    )


@pytest.mark.parametrize("least", [0.01, 0.1, 0.2, 0.25, 0.5, 0.95])
def test_steps_of_load_leave_nothing_out(least):
    steps = load_steps(least)
    assert steps[0] == (0.87, 1.0)
    assert steps[-1][0] <= least < steps[-1][1]
    for (low, _), (_, high) in pairwise(steps):
        assert low == high
    for low, high in steps:
        assert low < 0.05 or high / low < 1.17


def test_within_a_step_a_host_differs_by_less_than_an_alert():
    """Half of its full power when idle is much; a tenth of load would be 38 %."""
    for low, high in load_steps(0.2):
        one, other = (load / (0.5 + 0.5 * load) for load in (low, high))
        assert other / one < 1 / 0.87


def test_a_sites_own_load_and_history_hold_for_it_alone():
    every = all_limits(
        {"site": {"a": {"efficiency_load_ratio": 0.5, "efficiency_history_hours": 3.0}}}
    )
    of_load = [r.expression for r in efficiency_group(every).rules if r.name == BY_LOAD]
    load = "instance:wattlas_load:avg5m"
    assert of_load[0].endswith(f"and on (job, instance) ({load} >= 0.87)")
    half = f'{load}{{site!~"a"}} >= 0.497 < 0.572 or {load}{{site="a"}} >= 0.5 < 0.572'
    assert of_load[4].endswith(f"({half})")
    assert of_load[5].endswith(f'({load}{{site!~"a"}} >= 0.432 < 0.497)')
    (median,) = (r.expression for r in baseline_group(every).rules if r.name == MEDIAN_7D)
    kept = "instance_workload_load:wattlas_work_per_joule:median30m"
    assert f'count_over_time({kept}{{site!~"a"}}[7d] offset 1h) >= 12 or' in median
    assert f'count_over_time({kept}{{site="a"}}[7d] offset 1h) >= 6)' in median
