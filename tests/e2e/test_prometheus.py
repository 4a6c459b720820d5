"""A real Prometheus scrapes real agents, one on the simulated server, one on this machine."""

import errno
import json
import os
import shutil
import socket
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from e2e.agents import Agent, settings, until
from hardware.faults import Faults

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.parallel,
    pytest.mark.skipif(
        shutil.which("prometheus") is None and "CI" not in os.environ,
        reason="prometheus is not installed here; scripts/setup --dev does it",
    ),
]

EVERYWHERE = {
    "wattlas_build_info": {"version", "revision", "python"},
    "wattlas_host_info": {"host", "site", "rack", "grid_zone", "cpu_model", "machine_id"},
    "wattlas_component_energy_joules_total": {"component", "device", "source", "quality"},
    "wattlas_component_power_watts": {"component", "device", "source", "quality"},
    "wattlas_component_utilization_ratio": {"component", "device"},
    "wattlas_host_energy_joules_total": {"quality"},
    "wattlas_host_power_watts": {"quality", "source"},
    "wattlas_host_power_uncertainty_ratio": set(),
    "wattlas_energy_gap_seconds_total": {"component", "device", "source"},
    "wattlas_collector_up": {"collector"},
    "wattlas_collector_duration_seconds": {"collector"},
    "wattlas_agent_cpu_seconds_total": set(),
    "wattlas_agent_resident_bytes": set(),
    "wattlas_agent_energy_joules_total": set(),
}
WHERE_SENSORS_ARE = {
    "wattlas_crosscheck_power_watts": {"component", "device", "source"},
    "wattlas_collector_failures_total": {"collector", "reason"},
}
COMPONENTS = {"cpu", "dram", "gpu", "accelerator", "storage", "nic", "fan", "psu", "platform"}
PROMETHEUS_OWN = {"__name__", "instance", "job"}


class Prometheus:
    """Its HTTP API."""

    def __init__(self, url: str) -> None:
        self.url = url

    def ask(self, path: str, **parameters: str):
        query = urllib.parse.urlencode(parameters)
        with urllib.request.urlopen(f"{self.url}/api/v1/{path}?{query}", timeout=10) as answer:
            return json.load(answer)["data"]

    def is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/-/ready", timeout=5) as answer:
                return answer.status == 200
        except OSError:
            return False

    def query(self, promql: str) -> list[tuple[dict[str, str], float]]:
        """Return labels and values of an instant query."""
        rows = self.ask("query", query=promql)["result"]
        return [(row["metric"], float(row["value"][1])) for row in rows]

    def value(self, promql: str) -> float | None:
        rows = self.query(promql)
        return rows[0][1] if rows else None


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


@contextmanager
def prometheus(directory: Path, targets: dict[str, str]) -> Iterator[Prometheus]:
    """Run a Prometheus that scrapes these agents, by job, once a second."""
    jobs = [
        {"job_name": job, "static_configs": [{"targets": [url.removeprefix("http://")]}]}
        for job, url in targets.items()
    ]
    config = directory / "prometheus.yml"
    intervals = {"scrape_interval": "1s", "scrape_timeout": "1s"}
    config.write_text(json.dumps({"global": intervals, "scrape_configs": jobs}))
    address = f"127.0.0.1:{free_port()}"
    with (directory / "prometheus.log").open("wb") as log:
        process = subprocess.Popen(
            [
                "prometheus",
                f"--config.file={config}",
                f"--storage.tsdb.path={directory}/data",
                f"--web.listen-address={address}",
            ],
            stdout=log,
            stderr=log,
        )
    server = Prometheus(f"http://{address}")
    try:
        until("Prometheus answers", lambda: process.poll() is not None or server.is_ready())
        assert process.poll() is None, (directory / "prometheus.log").read_text()
        yield server
    finally:
        process.terminate()
        process.wait(30)


@pytest.fixture(scope="module")
def agents(tmp_path_factory, machine, fault_library) -> Iterator[dict[str, Agent]]:
    root = tmp_path_factory.mktemp("agents")
    for name in ("here", "simulated"):
        (root / name).mkdir()
    faults = Faults(root / "faults", root=machine)
    environ = faults.environment(fault_library)
    simulated = settings(root / "simulated/wattlas.toml", root=machine)
    with Agent(settings(root / "here/wattlas.toml")) as here, Agent(simulated, **environ) as agent:
        agent.counts()
        faults.set("intel-rapl:1/energy_uj", errno=errno.EIO)
        agent.says("source_failing collector=rapl")
        faults.clear()
        agent.says("source_recovered collector=rapl")
        yield {"here": here, "simulated": agent}
    faults.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory, agents) -> Iterator[Prometheus]:
    targets = {job: agent.url for job, agent in agents.items()}
    with prometheus(tmp_path_factory.mktemp("prometheus"), targets) as server:
        enough = "min(count_over_time(wattlas_build_info[1m])) >= 4"
        until("four scrapes of each", lambda: server.query(enough))
        # what the agent itself costs is added up every few seconds
        until("its own cost", lambda: server.value("count(wattlas_agent_energy_joules_total)") == 2)
        yield server


def test_every_target_is_up_and_says_nothing_strange(server):
    targets = server.ask("targets")["activeTargets"]
    assert [(t["health"], t["lastError"]) for t in targets] == [("up", "")] * 2
    assert server.query("scrape_samples_scraped > 500") == []


@pytest.mark.parametrize("job", ["here", "simulated"])
@pytest.mark.parametrize("name", EVERYWHERE)
def test_every_metric_of_the_contract_is_there(server, job, name):
    rows = server.query(f'{name}{{job="{job}"}}')
    assert rows, f"{name} is not there"
    for labels, _ in rows:
        # a label without a value is one that Prometheus does not have
        assert set(labels) - PROMETHEUS_OWN <= EVERYWHERE[name]
        assert labels.get("component", "cpu") in COMPONENTS
        assert labels.get("quality", "measured") in {"measured", "integrated", "estimated"}


@pytest.mark.parametrize("name", WHERE_SENSORS_ARE)
def test_so_are_those_of_a_server_with_sensors(server, name):
    rows = server.query(f'{name}{{job="simulated"}}')
    assert rows
    for labels, _ in rows:
        assert set(labels) - PROMETHEUS_OWN == WHERE_SENSORS_ARE[name]


@pytest.mark.parametrize("job", ["here", "simulated"])
@pytest.mark.parametrize(
    "promql",
    [
        "sum(wattlas_host_power_watts{%s})",
        "sum(rate(wattlas_host_energy_joules_total{%s}[1m]))",
        "sum(rate(wattlas_component_energy_joules_total{%s}[1m])) by (component)",
        "wattlas_host_power_uncertainty_ratio{%s}",
        'wattlas_component_utilization_ratio{component="dram", %s}',
        "wattlas_agent_cpu_seconds_total{%s}",
        "wattlas_agent_resident_bytes{%s}",
        "sum(increase(wattlas_host_energy_joules_total{%s}[1m])) / 3.6e6",
    ],
)
def test_figures_are_above_zero(server, job, promql):
    rows = server.query(promql % f'job="{job}"')
    assert rows
    assert all(value > 0 for _, value in rows)


@pytest.mark.parametrize(
    ("job", "whole", "what"),
    [
        ("here", "component", "energy_joules_total"),
        ("here", "component", "power_watts"),
        ("simulated", "wall", "power_watts"),
    ],
)
def test_the_parts_sum_to_the_host_and_where_there_is_a_wall_it_is_the_host(
    server, job, whole, what
):
    """In every single scrape, to the last digits of a float."""
    parts = f'sum(wattlas_{whole}_{what}{{job="{job}"}})'
    host = f'sum(wattlas_host_{what}{{job="{job}"}})'
    apart = f"abs({parts} / {host} - 1)"
    now = str(time.time())
    rows = server.ask("query_range", query=apart, start=str(time.time() - 4), end=now, step="0.5")
    found = [float(value) for row in rows["result"] for _, value in row["values"]]
    assert found
    assert max(found) < 1e-9


def test_counters_beat_models_and_say_so(server):
    rows = server.query('sum(wattlas_host_power_watts{job="simulated"}) by (quality, source)')
    found = {(labels["quality"], labels["source"]): value for labels, value in rows}
    assert found.keys() == {("integrated", "hwmon")}  # the ACPI meter, which has it all
    parts = server.query('sum(wattlas_component_power_watts{job="simulated", source="rapl"})')
    assert 100 < parts[0][1] < 400
    assert parts[0][1] < found["integrated", "hwmon"]
    cpu = server.query('wattlas_component_power_watts{job="simulated", component="cpu"}')
    assert {labels["source"] for labels, _ in cpu} == {"rapl"}
    second = server.query('wattlas_crosscheck_power_watts{job="simulated"}')
    assert {labels["source"] for labels, _ in second} >= {"estimate"}
    energy = [
        server.query(f'sum(wattlas_{what}_energy_joules_total{{job="simulated"}})')[0][1]
        for what in ("host", "wall")
    ]
    assert energy[0] == pytest.approx(energy[1], abs=2 * 600.0)  # its last second waits


def test_no_counter_went_down(server):
    names = server.ask("label/__name__/values")
    counters = [name for name in names if name.startswith("wattlas_") and name.endswith("_total")]
    assert len(counters) > 5
    for name in counters:
        assert server.query(f"resets({name}[5m]) > 0") == []


@pytest.mark.parametrize("job", ["here", "simulated"])
def test_promtool_has_nothing_to_say(agents, job):
    text = agents[job].metrics().text
    done = subprocess.run(
        ["promtool", "check", "metrics"], input=text, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_scrape_is_cheap(agents):
    body = agents["simulated"].get("/metrics", **{"Accept-Encoding": "gzip"})[1]
    assert body[:2] == b"\x1f\x8b"
    assert len(body) < 10_000
