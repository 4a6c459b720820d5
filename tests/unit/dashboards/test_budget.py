"""Alerts on budgets: by how fast they are used, and by what the agents expect."""

import numpy as np
import pytest
from unit.dashboards.efficiency_cases import case, check, needs_promtool, rules, values

from agent.alerts import Limits, all_limits
from dashboards.rules import groups
from dashboards.rules.alerts_budget import budget_alerts

pytestmark = needs_promtool
BURN, RUN_OUT = "WattlasBudgetBurn", "WattlasBudgetWillRunOut"
FIRES = SILENT = {BURN, RUN_OUT}
LIMITS = all_limits(
    {
        # an even pace of 1000 W and of 1 g/s, in a month of 730.5 hours
        "energy_budget_kwh_per_month": 730.5,
        "carbon_budget_kilograms_per_month": 730.5 * 3.6,
        "site": {"large": {"energy_budget_kwh_per_month": 7305.0}},
    }
)
HOUR = 60
HOURS = 76


def site(name, watts, grams=None, *, absent=None, reset=None, first=None):
    """Yield a site of one host, by the minute: what it draws and emits, and when it is silent.

    `first`: the minute at which it is back, with what its ledger had before.
    """
    minutes = np.arange(HOURS * HOUR)
    who = f'job="w",instance="{name}:9760"'
    missing = np.zeros(len(minutes), bool) if absent is None else absent(minutes)
    amounts = {
        'wattlas_host_energy_joules_total{%s,quality="measured"}': watts(minutes),
        'wattlas_emissions_grams_total{%s,scope="2",basis="location",stage="operation"}': (
            (grams or (lambda m: 0.5 + 0 * m))(minutes)
        ),
    }
    yield {
        "series": f'wattlas_host_info{{{who},host="{name}",site="{name}",rack="r"}}',
        "values": values(np.where(missing, np.nan, 1)),
    }
    for series, per_second in amounts.items():
        total = np.cumsum(per_second * 60.0)
        if reset is not None:
            total = np.where(minutes >= reset, total - total[reset], total)
        if first is not None:
            total[first] = total[first - 1 - np.argmin(missing[first - 1 :: -1])]
        yield {
            "series": series % who,
            "values": values(np.where(missing, np.nan, total)),
        }


def pace(usual, other=None, start=0, hours=0.0):
    """1000 W or 1 g/s times `usual`, and times `other` for some hours."""
    end = start + hours * HOUR

    def per_second(m, scale=1000.0):
        return scale * np.where((m >= start) & (m < end), other or usual, usual)

    return per_second


def grams(usual, other, start, hours):
    return lambda m: pace(usual, other, start, hours)(m, 1.0)


DAY = 24 * HOUR
SITES = [
    site("even", pace(0.9)),
    site("spike", pace(0.9, 20, DAY, 2)),
    site("busy", pace(0.9, 4, DAY, 24)),
    site("above", pace(1.2)),
    site("dirty", pace(0.9), grams(0.5, 20, DAY, 1.5)),
    site("large", pace(8)),
    # an agent that is away for 7 hours and counts them when it asks the meter again
    site(
        "away",
        pace(0.9),
        absent=lambda m: (m >= 2 * DAY) & (m < 2 * DAY + 7 * HOUR),
        first=2 * DAY + 7 * HOUR,
    ),
    site("new", pace(0.9, 20, 2 * DAY, 0.75), absent=lambda m: m < 2 * DAY),
    site("restarted", pace(0.9), absent=lambda m: m % HOUR == 30, reset=DAY + 7),
]


def firing(time, *expected):
    """Return what fires then: site, what of, and the window."""
    return case(
        f'count by (site, of, window, severity) (ALERTS{{alertname="{BURN}",alertstate="firing",'
        'site!="above"})',
        time,
        [
            (f'{{site="{name}",of="{of}",window="{window}",severity="{severity}"}}', 1)
            for name, of, window, severity in expected
        ],
    )


def test_four_windows_find_four_paces(tmp_path):
    spike, dirty = ("spike", "energy"), ("dirty", "carbon")
    above = f'ALERTS{{alertname="{BURN}",alertstate="firing",site="above"}}'
    check(
        tmp_path,
        rules(BURN, every=list(groups(LIMITS))),
        "1m",
        "5m",
        [series for each in SITES for series in each],
        [
            firing("24h30m"),  # 20 times the pace for half an hour: 10 over the hour
            firing("25h", (*spike, "1h", "critical"), (*dirty, "1h", "critical")),
            firing(
                "25h55m",
                (*spike, "1h", "critical"),
                (*spike, "6h", "critical"),
            ),
            firing("26h45m"),
            firing("40h"),
            # 3 times the pace over a day, 16 hours after it rose to 4
            firing("42h", ("busy", "energy", "1d", "warning")),
            firing("50h30m"),
            # one day at 4 and the rest of three at 0.9 are still 1.9, but it is over
            firing("60h"),
            firing("76h"),
            case(f'count_over_time({above[:-1]},window!="3d"}}[76h:5m])', "76h", []),
            case(above, "64h", []),
            case(
                above,
                "72h",
                [
                    (
                        f'{above[:-1]},severity="warning",of="energy",window="3d"}}',
                        1,
                    )
                ],
            ),
        ],
    )


def test_an_agents_own_budget_will_run_out(tmp_path):
    who = 'job="w",instance="{0}:9760"'
    info = "wattlas_host_info{{" + who + ',host="{0}",site="gz-1",rack="r"}}'
    budget = "wattlas_budget_expected_ratio{{" + who + ',budget="2026",of="carbon"}}'
    of = {"over": "1.1x119 0.95x120", "under": "0.99x240", "scraped": "1.1x90 _ 1.1x148"}
    labels = (
        '{{alertname="WattlasBudgetWillRunOut",alertstate="firing",severity="warning",job="w",'
        'instance="{0}:9760",host="{0}",site="gz-1",rack="r",budget="2026",of="carbon"}}'
    )
    expression = f'ALERTS{{alertname="{RUN_OUT}",alertstate="firing"}}'
    check(
        tmp_path,
        rules(RUN_OUT),
        "1m",
        "1m",
        [
            {"series": name.format(host), "values": text}
            for host, numbers in of.items()
            for name, text in ((info, "1x240"), (budget, numbers))
        ],
        [
            case(expression, "59m", []),
            case(
                expression, "91m", [(f"ALERTS{labels.format(h)}", 1) for h in ("over", "scraped")]
            ),
            case(expression, "3h", [(f"ALERTS{labels.format('scraped')}", 1)]),
        ],
    )


def test_factors_are_the_sites():
    group = budget_alerts(Limits(energy_budget_kwh_per_month=1.0, burn_1h_ratio=10.0), 'site="x"')
    paces = [alert for alert in group.rules if alert.name == BURN]
    assert [alert.labels["window"] for alert in paces] == ["1h", "6h", "1d", "3d"]
    assert [alert.severity for alert in paces] == ["critical", "critical", "warning", "warning"]
    assert [alert.for_ for alert in paces] == ["2m", "15m", "1h", "3h"]
    for alert, short, factor in zip(paces, ("5m", "30m", "2h", "6h"), (10, 6, 3, 1), strict=True):
        burn = 'site:wattlas_budget_burn:ratio_rate5m{site="x"}'
        for window in (alert.labels["window"], short):
            assert f"avg_over_time({burn}[{window}]) > {factor}\n" in alert.expression


@pytest.mark.parametrize(
    ("limits", "paces"),
    [
        (Limits(), 0),
        (Limits(energy_budget_kwh_per_month=1.0), 4),
        (Limits(carbon_budget_kilograms_per_month=1.0), 4),
    ],
)
def test_no_pace_without_a_budget(limits, paces):
    assert len(budget_alerts(limits, "").rules) == paces + 1
