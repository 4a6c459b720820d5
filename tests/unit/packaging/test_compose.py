"""compose.yaml: every file that it mounts is there, and says the same as the others.

No Docker engine was at hand, so nothing here starts a container.
"""

from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[3]
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text())
SERVICES = COMPOSE["services"]
PROVISIONING = ROOT / "dashboards/provisioning"


def mounts(service):
    return [tuple(v.split(":")[:2]) for v in SERVICES[service].get("volumes", ())]


@pytest.mark.parametrize("service", SERVICES)
def test_what_is_mounted_is_there(service):
    for source, target in mounts(service):
        assert target.startswith("/")
        if source.startswith("."):
            assert (ROOT / source).exists(), source
        elif not source.startswith("/"):
            assert source in COMPOSE["volumes"]


def test_addresses_are_those_of_services():
    source = yaml.safe_load((PROVISIONING / "grafana/datasources/wattlas.yml").read_text())
    prometheus = yaml.safe_load((PROVISIONING / "prometheus.yml").read_text())
    targets = yaml.safe_load((PROVISIONING / "targets.yml").read_text())
    addresses = [
        source["datasources"][0]["url"].removeprefix("http://"),
        prometheus["alerting"]["alertmanagers"][0]["static_configs"][0]["targets"][0],
        targets[0]["targets"][0],
    ]
    for address in addresses:
        name, port = address.split(":")
        assert SERVICES[name]["ports"] == [f"127.0.0.1:{port}:{port}"]


def test_dashboards_are_mounted_where_grafana_looks():
    provider = yaml.safe_load((PROVISIONING / "grafana/dashboards/wattlas.yml").read_text())
    path = provider["providers"][0]["options"]["path"]
    assert ("./dashboards/grafana", path) in mounts("grafana")


def test_rules_are_mounted_where_prometheus_looks():
    prometheus = yaml.safe_load((PROVISIONING / "prometheus.yml").read_text())
    (rules,) = prometheus["rule_files"]
    assert ("./dashboards/wattlas.rules.yml", f"/etc/prometheus/{rules}") in mounts("prometheus")


def test_nothing_is_open_to_the_network():
    for service in SERVICES.values():
        assert all(port.startswith("127.0.0.1:") for port in service["ports"])
