"""What the promtool tests are of: which alerts they name, and which rules they need."""

import functools
import importlib
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from agent.alerts import all_limits
from dashboards.rules import Alert, Group, groups

DASHBOARDS = Path(__file__).parents[3] / "dashboards"
FILES = sorted((DASHBOARDS / "tests").glob("*.test.yml"))
EVERY = list(groups(all_limits({})))
BUDGETS = {"energy_budget_kwh_per_month": 1e5, "carbon_budget_kilograms_per_month": 1e4}
"""What there is no alert of where it is not set."""
_NAME = re.compile(r'ALERTS\{[^}]*alertname="(\w+)"')
_WORD = re.compile(r"[\w:]+")


def alerts() -> list[Alert]:
    """Return all alerts, those of budgets too, each name once."""
    every = groups(all_limits(BUDGETS))
    found = (rule for group in every for rule in group.rules if isinstance(rule, Alert))
    return list({alert.name: alert for alert in found}.values())


def promtool(*arguments: str | Path) -> str:
    """Return what promtool says; fails the test where it is not content."""
    tool = shutil.which("promtool")
    assert tool, "promtool is not installed; scripts/setup --dev does it"
    done = subprocess.run([tool, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "SUCCESS" in done.stdout
    return done.stdout


@functools.cache
def outcomes() -> frozenset[tuple[str, bool]]:
    """Return each alert that a test names with whether it is to fire there."""
    return frozenset(_cases())


def _cases() -> Iterator[tuple[str, bool]]:
    """Yield each alert that a test names, and whether it is to fire there.

    Modules beside this one that make their tests themselves say it with the sets FIRES and SILENT.
    """
    for path in FILES:
        for test in yaml.safe_load(path.read_text(encoding="utf-8"))["tests"]:
            for case in test.get("promql_expr_test", ()):
                for name in _NAME.findall(case["expr"]):
                    yield name, bool(case.get("exp_samples"))
            for case in test.get("alert_rule_test", ()):
                yield case["alertname"], bool(case.get("exp_alerts"))
    for path in sorted(Path(__file__).parent.glob("test_*.py")):
        if "\nFIRES" in path.read_text(encoding="utf-8"):
            module = importlib.import_module(f"unit.dashboards.{path.stem}")
            yield from ((name, True) for name in module.FIRES)
            yield from ((name, False) for name in module.SILENT)


def needed(test_file: dict[str, Any], every: list[Group] = EVERY) -> list[Group]:
    """Return the rules that a test file asks for, and what those build on.

    Promtool takes a tenth of a millisecond for each rule and step. A test of what no alert may do
    (`alertname!~`) has all of them.
    """
    asked = " ".join(
        case.get("expr", case.get("alertname", ""))
        for test in test_file["tests"]
        for case in (*test.get("promql_expr_test", ()), *test.get("alert_rule_test", ()))
    )
    if "alertname!~" in asked:
        return every
    rules = [rule for group in every for rule in group.rules]
    words, before = set(_WORD.findall(asked)), 0
    while len(words) > before:
        before = len(words)
        for rule in rules:
            if rule.name in words:
                words |= set(_WORD.findall(rule.expression))
    kept = (
        Group(group.name, group.interval, tuple(r for r in group.rules if r.name in words))
        for group in every
    )
    return [group for group in kept if group.rules]
