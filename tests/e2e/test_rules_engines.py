"""The rules on real engines: Prometheus and VictoriaMetrics answer alike.

Each rule is asked of both over the same data: what a made-up fleet exports, and what the rules
before it have recorded of that.
"""

import os
import shutil

import pytest
from engines import Fleet, Prometheus, VictoriaMetrics
from engines.layers import head, layers, write
from engines.promql import apart

from agent.alerts import all_limits
from dashboards.rules import Alert, Record, groups

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.parallel,
    pytest.mark.skipif(
        shutil.which("victoria-metrics") is None and "CI" not in os.environ,
        reason="victoria-metrics is not installed here; scripts/setup --dev does it",
    ),
]
END = 1_700_000_400.0
STEP = 60.0
RAW_SECONDS = 7800.0
"""The longest window over raw series is an hour, and what is recorded is asked for another."""
RECORDED_SECONDS = 3900.0
PAST_SECONDS = 2.5 * 86400
"""So far back reach the baselines, at five minutes' steps: what a median asks for at least."""
LIMITS = all_limits(
    {
        "energy_budget_kwh_per_month": 1e5,
        "carbon_budget_kilograms_per_month": 1e4,
        "electricity_price_per_kwh": 0.2,
        "idle_load_ratio": 0.8,
        "pue_target_ratio": 1.2,
        "site": {"site-1": {"pue_target_ratio": 1.35}},
    }
)
BACKDATED = "instance_workload"
"""Series whose days before are asked for."""
RULES = [rule for group in groups(LIMITS) for rule in group.rules]


@pytest.fixture(scope="module")
def engines(tmp_path_factory):
    folder = tmp_path_factory.mktemp("engines")
    fleet = Fleet(hosts=6, gpus=2, sites=2)
    prometheus = Prometheus(folder / "prometheus")
    page = folder / "raw.txt"
    fleet.openmetrics(page, END - RAW_SECONDS, END, STEP)
    prometheus.fill([page])
    with VictoriaMetrics(folder / "victoria") as victoria:
        victoria.fill(fleet.text(END - RAW_SECONDS, END, STEP))
        records = [rule for rule in RULES if isinstance(rule, Record)]
        for n, layer in enumerate(layers(records)):
            series = list(worked_out(prometheus, layer))
            write(folder / f"layer-{n}.txt", series)
            prometheus.fill([folder / f"layer-{n}.txt"])
            victoria.fill(
                f"{head(name, labels)} {value!r} {t * 1000:.0f}"
                for name, labels, rows in series
                for t, value in rows
            )
        with prometheus:
            yield prometheus, victoria


def worked_out(prometheus, layer):
    """What the rules of a layer record, and for baselines the days before it."""
    with prometheus:
        for rule in layer:
            found = prometheus.over(rule.expression, END - RECORDED_SECONDS, END, STEP)
            for labels, rows in found.items():
                every = tuple(sorted((dict(labels) | rule.labels).items()))
                before = []
                if rule.name.startswith(BACKDATED):
                    first, value = rows[0]
                    count = int(PAST_SECONDS / 300)
                    before = [
                        (first - 300.0 * n, value * (1 + 0.01 * (n % 7 - 3)))
                        for n in range(count, 0, -1)
                    ]
                yield rule.name, every, before + rows


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_both_give_the_same_answer(engines, rule):
    prometheus, victoria = engines
    ours, theirs = (engine.at(rule.expression, END) for engine in (prometheus, victoria))
    worst, where = apart(ours, theirs)
    assert worst < 0.01, f"{where}\n{rule.expression}"


@pytest.mark.parametrize("name", sorted({r.name for r in RULES if isinstance(r, Record)}))
def test_there_was_something_to_compare(engines, name):
    """Each record has a value (one that is split by load needs only that of one load)."""
    prometheus, _ = engines
    assert any(prometheus.at(rule.expression, END) for rule in RULES if rule.name == name)


def test_some_alerts_had_something_to_say(engines):
    prometheus, _ = engines
    alerts = [rule for rule in RULES if isinstance(rule, Alert)]
    firing = {rule.name for rule in alerts if prometheus.at(rule.expression, END)}
    assert "WattlasPueAboveTarget" in firing or len(firing) >= 1
