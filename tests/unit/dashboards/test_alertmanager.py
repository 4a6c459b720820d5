"""The sample configuration, as amtool and a real Alertmanager understand it."""

import json
import os
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request

import pytest
from unit.dashboards.rule_tests import DASHBOARDS, alerts

FILE = DASHBOARDS / "alertmanager.yml"
SERVER = "prometheus-alertmanager" if shutil.which("prometheus-alertmanager") else "alertmanager"
pytestmark = pytest.mark.skipif(
    shutil.which("amtool") is None and "CI" not in os.environ,
    reason="amtool is not installed here; scripts/setup --dev does it",
)


def amtool(*arguments):
    tool = shutil.which("amtool")
    assert tool, "amtool is not installed; scripts/setup --dev does it"
    return subprocess.run([tool, *arguments], capture_output=True, text=True, check=False)


def test_amtool_is_content():
    done = amtool("check-config", str(FILE))
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("labels", "receiver"),
    [
        ({"severity": "critical", "site": "b"}, "example-on-call"),
        ({"severity": "critical", "site": "gz-1"}, "example-on-call-gz-1"),
        ({"severity": "warning", "site": "b"}, "example-operators"),
        ({"severity": "warning", "site": "gz-1"}, "example-operators-gz-1"),
        ({"severity": "info", "site": "gz-1"}, "example-records"),
        ({"severity": "warning"}, "example-operators"),
    ],
)
def test_routes(labels, receiver):
    words = [f"{name}={value}" for name, value in labels.items()]
    done = amtool("config", "routes", "test", f"--config.file={FILE}", *words)
    assert (done.returncode, done.stdout.strip()) == (0, receiver), done.stderr


def test_it_names_only_alerts_that_there_are():
    """Each rule of inhibition matches an alert on both sides."""
    import re  # noqa: PLC0415

    import yaml  # noqa: PLC0415

    names = [alert.name for alert in alerts()]
    for rule in yaml.safe_load(FILE.read_text(encoding="utf-8"))["inhibit_rules"]:
        for side in ("source_matchers", "target_matchers"):
            for matcher in rule[side]:
                found = re.fullmatch(r'alertname(=~|=)"(.+)"', matcher)
                for part in found[2].split("|") if found else ():
                    assert any(re.fullmatch(part, name) for name in names), part


HOST = {"job": "w", "instance": "a:9760", "host": "a", "site": "gz-1", "rack": "r1"}
OTHER = {**HOST, "instance": "b:9760", "host": "b"}
FAR = {**HOST, "instance": "c:9760", "host": "c", "site": "gz-2"}
PLACE = {"site": "gz-1"}
TOLD = [
    ({"alertname": "WattlasAgentDown", "severity": "warning", **HOST}, True),
    ({"alertname": "WattlasCollectorDown", "severity": "warning", "collector": "x", **HOST}, False),
    ({"alertname": "WattlasPueHigh", "severity": "warning", "category": "PUE2", **PLACE}, True),
    ({"alertname": "WattlasPueRising", "severity": "info", "category": "PUE2", **PLACE}, False),
    ({"alertname": "WattlasHostPowerMissing", "severity": "warning", **OTHER}, True),
    ({"alertname": "WattlasHostPowerGaps", "severity": "warning", **OTHER}, False),
    ({"alertname": "WattlasCollectorDown", "severity": "warning", "collector": "x", **OTHER}, True),
    (
        {"alertname": "WattlasCollectorFailing", "severity": "warning", "collector": "x", **OTHER},
        False,
    ),
    (
        {"alertname": "WattlasCollectorFailing", "severity": "warning", "collector": "y", **OTHER},
        True,
    ),
    ({"alertname": "WattlasFleetEfficiencyDrop", "severity": "critical", **PLACE}, True),
    ({"alertname": "WattlasEfficiencyDrop", "severity": "warning", **OTHER}, False),
    ({"alertname": "WattlasEfficiencyDrop", "severity": "warning", **FAR}, True),
    (
        {
            "alertname": "WattlasBudgetBurn",
            "severity": "critical",
            "of": "energy",
            "window": "1h",
            **PLACE,
        },
        True,
    ),
    (
        {
            "alertname": "WattlasBudgetBurn",
            "severity": "warning",
            "of": "energy",
            "window": "1d",
            **PLACE,
        },
        False,
    ),
    (
        {
            "alertname": "WattlasBudgetBurn",
            "severity": "warning",
            "of": "carbon",
            "window": "1d",
            **PLACE,
        },
        True,
    ),
    ({"alertname": "WattlasSiteAgentsDown", "severity": "critical", "site": "gz-3"}, True),
    (
        {
            "alertname": "WattlasAgentDown",
            "severity": "warning",
            **HOST,
            "site": "gz-3",
            "instance": "d",
        },
        False,
    ),
]
"""Alerts that fire at the same time, and whether somebody is told of each."""


@pytest.fixture
def alertmanager(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen(
        [
            shutil.which(SERVER) or SERVER,
            f"--config.file={FILE}",
            f"--storage.path={tmp_path}",
            f"--web.listen-address=127.0.0.1:{port}",
            "--cluster.listen-address=",
        ],
        stderr=subprocess.DEVNULL,
    )
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(20)


def ask(url, body=None):
    request = urllib.request.Request(
        url,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=20) as answer:
        return answer.read()


def until(look, why=lambda: ""):
    """Return once `look` gives something; `why` says what is missing in the end."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        try:
            if look():
                return
        except urllib.error.URLError:
            pass
        time.sleep(0.1)
    pytest.fail(f"Alertmanager does not get there within a minute: {why()}")


@pytest.mark.skipif(shutil.which(SERVER) is None and "CI" not in os.environ, reason="none here")
def test_who_is_held_back(alertmanager):
    """Alertmanager learns of alerts one after the other: what holds back may come last."""
    until(lambda: ask(f"{alertmanager}/-/ready"))
    ask(f"{alertmanager}/api/v2/alerts", [{"labels": labels} for labels, _ in TOLD])
    wanted = {
        frozenset(labels.items()): "active" if told else "suppressed" for labels, told in TOLD
    }

    def states():
        found = json.loads(ask(f"{alertmanager}/api/v2/alerts"))
        return {frozenset(a["labels"].items()): a["status"]["state"] for a in found}

    until(lambda: states() == wanted, lambda: different(states(), wanted))


def different(found, wanted):
    """Say which alerts are not as they should be."""
    return [(dict(key), found.get(key)) for key in wanted if found.get(key) != wanted[key]]
