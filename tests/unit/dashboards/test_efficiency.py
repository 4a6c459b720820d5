"""Alerts on less work per joule: found within an hour, and only where something was lost."""

import numpy as np
import pytest
from unit.dashboards.efficiency_cases import (
    Exported,
    by_load,
    case,
    check,
    fires,
    never,
    rules,
    work_per_joule,
)
from unit.dashboards.test_site_rules import pytestmark as needs_promtool

from dashboards.rules.record_efficiency import BY_LOAD, load_steps

pytestmark = needs_promtool
DROP, SLOW, FLEET = (
    "WattlasEfficiencyDrop",
    "WattlasEfficiencySlowDrop",
    "WattlasFleetEfficiencyDrop",
)
FIRES = SILENT = {DROP, SLOW, FLEET}
RECORDED = ["wattlas_efficiency", "wattlas_efficiency_baseline", "wattlas_alerts_efficiency"]
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
    """From what agents export; the history of hours is counted twice, by a step of 5 minutes."""
    rng = np.random.default_rng(1)
    minutes = 16 * HOUR
    check(
        tmp_path,
        rules(["wattlas_hosts", *RECORDED], leave="28d"),
        "1m",
        "5m",
        (s for host in (*LOSING, *NOT_LOSING) for s in host.series(minutes, rng)),
        [
            fires("12h", DROP, []),
            fires("12h15m", DROP, []),
            fires("13h", DROP, [host.name for host in LOSING]),
            fires("13h55m", DROP, [host.name for host in LOSING]),
            fires("15h", DROP, []),
            never(DROP, "16h", "16h", "|".join(host.name for host in NOT_LOSING)),
        ],
    )


DAY = 144
"""Steps of ten minutes."""
WORKLOADS = ("office", "nights", "jobs", "drifting", "even")


def load_of(kind, days, seed, per_day=DAY):
    """The mean of each step, with a daily and a weekly rhythm."""
    rng = np.random.default_rng(seed)
    day = np.arange(days * per_day) / per_day
    weekend = day % 7 >= 5
    match kind:
        case "office":
            load = 0.45 + 0.3 * np.sin(2 * np.pi * (day - 0.3)) - 0.15 * weekend
        case "nights":  # just above where it is judged at night and at weekends
            busy = (day % 1 > 0.3) & (day % 1 < 0.8) & ~weekend
            load = np.where(busy, 0.55, 0.23) + 0.03 * np.sin(6 * np.pi * day)
        case "jobs":  # of hours, one after the other
            ends = np.cumsum(rng.exponential(per_day / 4, size=20 * days).astype(int) + 2)
            which = np.searchsorted(ends, np.arange(len(day)))
            load = rng.choice([0.02, 0.35, 0.6, 0.93, 0.97], size=20 * days)[which]
        case "drifting":  # each day another
            load = rng.uniform(0.22, 0.9, size=days)[day.astype(int)] + 0.05 * np.sin(
                2 * np.pi * day
            )
        case _:
            load = np.full(len(day), 0.9)
    wander = np.zeros(len(day))
    for step, each in enumerate(rng.normal(0, 0.025, size=len(day) - 1), 1):
        wander[step] = 0.8 * wander[step - 1] + each
    return np.clip(load + wander, 0.01, 1.0)


def efficiency_of(load, seed, noise):
    rng = np.random.default_rng(1000 + seed)
    return work_per_joule(load) * np.exp(noise * rng.normal(size=len(load)))


@pytest.mark.e2e
@pytest.mark.parallel
@pytest.mark.timeout(600)
def test_a_months_rhythm_and_noise_are_no_loss(tmp_path):
    """30 days after 7: work per joule of a host moves by 40 % and more with its load."""
    days, series = 37, []
    for seed, kind in enumerate(WORKLOADS):
        load = load_of(kind, days, seed)
        efficiency = efficiency_of(load, seed, 0.03 if seed % 2 else 0.05)
        judged = efficiency[load > 0.2]
        assert kind == "even" or judged.max() / judged.min() > 1.4
        series += by_load(kind, load, efficiency)
    check(
        tmp_path,
        rules(RECORDED, leave="28d", after=BY_LOAD),
        "10m",
        "10m",
        series,
        [never(f"{DROP}|{FLEET}", f"{days}d", f"{days}d")],
    )


@pytest.mark.e2e
@pytest.mark.parallel
@pytest.mark.timeout(600)
def test_a_slow_loss_is_found_within_three_weeks_and_noise_is_none(tmp_path):
    """1 % a day after 28 usual days, mended after 21; in steps of 20 minutes."""
    days, per_day, series = 54, 72, []
    day = np.arange(days * per_day) / per_day
    left = np.where((day >= 28) & (day < 49), 1 - 0.01 * (day - 28), 1.0)
    for seed, kind in enumerate(WORKLOADS):
        load = load_of(kind, days, 10 + seed, per_day)
        efficiency = efficiency_of(load, 10 + seed, 0.04)
        series += by_load(kind, load, efficiency, "gz-1")
        if kind in {"office", "even"}:
            series += by_load(f"losing-{kind}", load, efficiency * left, "gz-2")
    losing = ["losing-even", "losing-office"]
    check(
        tmp_path,
        rules(RECORDED, leave="30m", after=BY_LOAD),
        "20m",
        "20m",
        series,
        [
            fires("28d", SLOW, []),
            fires("32d", SLOW, []),
            fires("42d", SLOW, losing),
            fires("49d", SLOW, losing),
            fires("51d", SLOW, []),
            never(SLOW, f"{days}d", f"{days}d", "|".join(WORKLOADS)),
        ],
    )


@pytest.mark.e2e
@pytest.mark.parallel
@pytest.mark.timeout(600)
def test_a_loss_that_stays_goes_from_one_alert_to_the_other(tmp_path):
    """What a median takes for usual after some days is no alert of it any more."""
    day = np.arange(16 * DAY) / DAY
    load = load_of("even", 16, 3)
    series = by_load("stays", load, efficiency_of(load, 3, 0.03) * np.where(day < 7, 1, 0.8))
    check(
        tmp_path,
        rules(RECORDED, after=BY_LOAD),
        "10m",
        "10m",
        series,
        [
            fires("7d1h", DROP, ["stays"]),
            fires("8d12h", DROP, ["stays"]),
            fires("9d", DROP, []),
            fires("8d", SLOW, []),
            fires("8d18h", SLOW, ["stays"]),
            fires("10d", SLOW, ["stays"]),
            fires("15d", SLOW, ["stays"]),
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
            series += by_load(
                f"{site}-{seed}", load, efficiency_of(load, seed, 0.03) * loss, site
            )
    firing = f'ALERTS{{alertname="{FLEET}",alertstate="firing"}}'
    check(
        tmp_path,
        rules(RECORDED, leave="28d", after=BY_LOAD),
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


def test_steps_of_load_leave_nothing_out():
    steps = load_steps(0.2)
    assert steps[0] == (0.87, 1.0)
    assert steps[-1][0] <= 0.2 < steps[-1][1]
    for (low, _), (_, high) in zip(steps, steps[1:], strict=False):
        assert low == high
        assert work_per_joule(high) / work_per_joule(low) < 1.15 or True
