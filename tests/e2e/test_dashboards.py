"""The simulated site in dashboards and alerts.

A real Prometheus has a simulated past of the site, what the rules would have recorded of it, and
scrapes the real agents; it evaluates the real rules. Every query of every panel, variable and
annotation returns data. Another one, with short windows, has a real Alertmanager tell a webhook of
GPUs that are held down.
"""

import os
import re
import shutil
import time
from contextlib import contextmanager

import msgspec
import pytest
from e2e.notified import Webhook, in_seconds, sample_routes
from engines.layers import record_past
from engines.promql import PromQL
from hardware.site.history import make_history
from hardware.site.servers import Alertmanager, Prometheus
from unit.dashboards.promql import boards, panels, variable_query

from agent.alerts import all_limits
from dashboards.rules import Alert, groups, rules_file
from dashboards.rules.record_efficiency import RELATIVE_30M, RELATIVE_SCATTER

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.parallel,
    pytest.mark.timeout(400),
]
DAYS = 2.4
"""Two days for the 28-day median, which asks for one up to a day ago, and what comes before."""
LIMITS = all_limits(
    {
        "energy_budget_kwh_per_month": 5000.0,
        "carbon_budget_kilograms_per_month": 2000.0,
        "electricity_price_per_kwh": 0.12,
        "pue_target_ratio": 1.01,
    }
)
GPU_HOSTS = ("gz1-r01-n01:9760", "gz1-r02-n02:9760")
"""Hosts that boards about one host show: with GPUs and a BMC; one has them in slices."""
WHOLE_MINUTE = (
    "wattlas_crosscheck_energy_ratio",
    "wattlas_host_parts_exceed_wall",
    'increase(wattlas_emissions_grams_total{stage="manufacturing"}[1h]) > 0',
    'increase(wattlas_collector_failures_total{collector="redfish"}[1h]) > 0',
)
"""What agents show once they have been there for a minute or two; a BMC restarts meanwhile."""
VARIABLES = {
    "datasource": "prometheus",
    "job": "wattlas",
    "site": ".*",
    "rack": ".*",
    "host": ".+",
    "device": ".+",
    "__rate_interval": "1m",
    "__interval": "1m",
    "__range_s": "86400",
    "__range": "1d",
}
BOARDS = boards()
EFFICIENCY_GROUPS = {
    "wattlas_hosts",
    "wattlas_efficiency",
    "wattlas_efficiency_baseline",
    "wattlas_alerts_efficiency",
}
EMPTY: dict[tuple[str, str], str] = {}
"""(dashboard, panel) to the reason why this site has nothing to show there."""


def at_once(group):
    """The same rules, soon and without waiting: so that some alerts fire in a test's time."""
    rules = tuple(
        msgspec.structs.replace(rule, for_="0s") if isinstance(rule, Alert) else rule
        for rule in group.rules
    )
    return msgspec.structs.replace(group, rules=rules, interval="5s")


@pytest.fixture(scope="module")
def site(living_site, tmp_path_factory):
    """The site, and a storage with its past."""
    folder = tmp_path_factory.mktemp("past")
    storage = folder / "tsdb"
    make_history(living_site, storage, days=DAYS)
    end = time.time() - 60
    start = end - (DAYS - 0.05) * 86400
    record_past(storage, list(groups(LIMITS)), start, end, 240, folder / "scratch")
    return living_site, storage


@pytest.fixture(scope="module")
def prometheus(site, tmp_path_factory):
    folder = tmp_path_factory.mktemp("prometheus")
    rules = folder / "wattlas.rules.yml"
    rules.write_text(rules_file(map(at_once, groups(LIMITS))))
    with serving(site, folder, rules) as server:
        site[0].restart_bmc()
        server.until("an alert fires", lambda: server.query('ALERTS{alertname=~"Wattlas.+"}'))
        for metric in WHOLE_MINUTE:
            server.until(f"has {metric}", lambda metric=metric: server.query(metric))
        yield PromQL(server.url)


@contextmanager
def serving(site, folder, rules, **more):
    """A Prometheus with the site's past that scrapes it."""
    simulated, storage = site
    own = folder / "tsdb"
    shutil.copytree(storage, own, copy_function=os.link)  # blocks are never written to again
    with Prometheus(
        folder,
        simulated.targets,
        storage=own,
        scrape_seconds=1,
        evaluate_seconds=5,
        rule_files=[rules],
        **more,
    ) as server:
        server.wait_for_targets(len(simulated.targets))
        yield server


def hosts(board):
    """What a board's variable host may be."""
    host = next(v for v in board["templating"]["list"] if v["name"] == "host")
    return [".+"] if host["multi"] else GPU_HOSTS


def asked(**more):
    """A function that fills in a board's variables."""
    values = VARIABLES | more

    def fill(expression):
        for name in sorted(values, key=len, reverse=True):
            expression = re.sub(
                rf"\$\{{{name}(:\w+)?\}}|\${name}\b", lambda _, n=name: values[n], expression
            )
        assert "$" not in re.sub(r'"[^"]*"', "", expression), expression
        return expression

    return fill


def is_empty(prometheus, expression, instant):
    now = time.time()
    if instant:
        return not prometheus.at(expression, now)
    return not prometheus.over(expression, now - 86400, now, 600) and not prometheus.over(
        expression, now - 600, now, 5
    )


TRAINING = "gz1-r02-n01"
"""The host whose load stays within one step (0.87 to 1) day and night: its past is always known."""


DROP_RATIO = 0.6
"""A window of 20 s holds three or four of the 5 s for which a BMC's power counts, so that work per
joule over seconds scatters by a quarter where over minutes it does by 2 %. Held down it is 0.35.
"""


def test_gpus_held_down_are_notified_and_resolved(site, tmp_path):
    """Throttled: Prometheus sees the drop, Alertmanager posts it; recovered: it posts that."""
    simulated, _ = site
    limits = all_limits({"efficiency_drop_ratio": DROP_RATIO})
    mine = [g for g in groups(limits) if g.name in EFFICIENCY_GROUPS]
    assert len(mine) == len(EFFICIENCY_GROUPS)
    rules = tmp_path / "rules.yml"
    rules.write_text(rules_file(in_seconds(mine)))
    drop = ("WattlasEfficiencyDrop",)
    with Webhook() as webhook:
        config = tmp_path / "alertmanager.yml"
        config.write_text(sample_routes(webhook))
        with (
            Alertmanager(tmp_path / "alertmanager", config) as alertmanager,
            serving(site, tmp_path, rules, alertmanagers=[alertmanager.address]) as server,
        ):
            relative = f'{RELATIVE_30M}{{host="{TRAINING}"}}'
            server.until("knows what is usual", lambda: server.query(relative))
            server.until(
                "has seen the usual scatter",
                lambda: server.query(
                    f'last_over_time({RELATIVE_SCATTER}{{host="{TRAINING}"}}[1h])'
                ),
            )
            assert not list(webhook.alerts("firing", *drop))
            simulated.host(TRAINING).throttle(work=0.3, power=0.9)
            server.until("has Alertmanager post it", lambda: list(webhook.alerts("firing", *drop)))
            path, alert = next(webhook.alerts("firing", *drop))
            assert path == "/wattlas/gz-1/warning"
            assert alert["labels"]["host"] == TRAINING
            assert alert["labels"]["site"] == "gz-1"
            assert alert["annotations"]["runbook_url"].endswith("/efficiency-drop.md")
            assert TRAINING in alert["annotations"]["description"]
            simulated.host(TRAINING).recover()
            server.until(
                "has Alertmanager resolve it",
                lambda: any(
                    a["labels"]["host"] == TRAINING for _, a in webhook.alerts("resolved", *drop)
                ),
            )


@pytest.mark.parametrize("name", sorted(BOARDS))
def test_every_panel_has_data(prometheus, name):
    board, empty = BOARDS[name], []
    for panel in panels(board):
        for target in panel["targets"]:
            instant = target.get("instant", False)
            expressions = [asked(host=host)(target["expr"]) for host in hosts(board)]
            if all(is_empty(prometheus, expression, instant) for expression in expressions):
                empty.append((panel["title"], expressions[0]))
    unexpected = [e for e in empty if (name, e[0]) not in EMPTY]
    assert not unexpected, "\n\n".join(f"{title}:\n{expr}" for title, expr in unexpected)


@pytest.mark.parametrize("name", sorted(BOARDS))
def test_every_variable_and_annotation_has_data(prometheus, name):
    board = BOARDS[name]
    fill = asked()
    for variable in board["templating"]["list"]:
        if variable["type"] != "query":
            continue
        expression, label = variable_query(variable)
        rows = prometheus.at(fill(expression), time.time())
        assert rows, variable["name"]
        if label:
            assert any(dict(labels).get(label) for labels in rows), variable["name"]
        else:  # a result's text, out of which a regular expression takes text and value
            assert variable["regex"].startswith("/"), variable["name"]
            wanted = re.findall(r"(\w+)=", variable["regex"])
            assert wanted
            assert all(dict(labels).get(w) for labels in rows for w in wanted)
    for note in board["annotations"]["list"]:
        assert not is_empty(prometheus, fill(note["expr"]), instant=False), note["name"]


def test_reasons_for_emptiness_are_still_true(prometheus):
    for name, title in EMPTY:
        fill = asked(host=hosts(BOARDS[name])[0])
        found = [p for p in panels(BOARDS[name]) if p["title"] == title]
        assert found, f"there is no panel {title}"
        assert any(
            is_empty(prometheus, fill(t["expr"]), t.get("instant", False))
            for p in found
            for t in p["targets"]
        ), f"{title} has data now"
