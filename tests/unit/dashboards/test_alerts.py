"""Every alert says what an operator needs at night, and is tested both ways."""

import re

import msgspec
import pytest
from unit.dashboards.rule_tests import BUDGETS, DASHBOARDS, alerts, outcomes

from agent.alerts import Limits, all_limits
from dashboards.rules import groups, rules_file

RUNBOOKS = DASHBOARDS.parent / "docs/runbooks"
ALERTS = alerts()
SETTINGS = {
    field.name
    for field in msgspec.structs.fields(Limits)
    if field.name not in {"electricity_price_per_kwh", "currency", "idle_load_ratio"}
}
ACTIONS = re.compile(
    r"\b(look|run|see|compare|list|free|check|set|silence|take|find|ask|use|journalctl|systemctl)",
    re.IGNORECASE,
)
each = pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.name)


def runbook(alert):
    return RUNBOOKS / f"{alert.runbook}.md"


@each
def test_it_says_what_and_where_and_what_to_do(alert):
    assert alert.name.startswith("Wattlas")
    assert alert.severity in {"critical", "warning", "info"}
    assert "{{" not in alert.summary
    assert not alert.summary.endswith(".")
    assert "$labels." in alert.description
    assert ACTIONS.search(alert.description), "what is to be done?"
    if alert.name != "WattlasGridIntensityStale":  # it has no figure, but the limit's
        assert "$value" in alert.description


@each
def test_its_runbook_is_there(alert):
    text = runbook(alert).read_text(encoding="utf-8")
    assert text.startswith("# ")
    assert f"\n## {alert.name}\n" in text, "a heading, which is the anchor"
    section = text.split(f"\n## {alert.name}\n", 1)[1].split("\n## ", 1)[0]
    named = set(re.findall(r"`([a-z][a-z0-9_]+)`", section))
    assert named & (SETTINGS | {"for"}), "its threshold's setting, or `for` where it has none"


def test_every_limit_is_explained():
    pages = "\n".join(page.read_text(encoding="utf-8") for page in RUNBOOKS.glob("*.md"))
    assert not {name for name in SETTINGS if f"`{name}`" not in pages}


def test_pages_name_no_alert_that_is_not_there():
    names = {alert.name for alert in ALERTS}
    for page in RUNBOOKS.glob("*.md"):
        found = set(re.findall(r"\bWattlas[A-Z]\w+", page.read_text(encoding="utf-8")))
        assert found <= names, page.name


@each
def test_there_is_a_case_where_it_fires_and_one_where_it_is_silent(alert):
    assert {fires for name, fires in outcomes() if name == alert.name} == {True, False}


def test_a_hosts_alert_tells_where_the_host_is():
    """Alerts join the recorded hosts, so that routes can go by site."""
    for alert in ALERTS:
        if "$labels.host" in alert.description:
            recorded = re.search(r"\binstance\w*:|\bdevice_reason:", alert.expression)
            assert recorded, alert.name


@pytest.mark.parametrize("field", sorted({*SETTINGS, "idle_load_ratio"}))
def test_every_limit_is_in_a_rule(field):
    """Changed, it changes a rule: none is written out."""
    value = msgspec.structs.asdict(all_limits(BUDGETS).common)[field]
    changed = rules_file(groups(all_limits({**BUDGETS, field: 1.25 * value})))
    assert changed != rules_file(groups(all_limits(BUDGETS)))
