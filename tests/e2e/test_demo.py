"""The whole simulated site with a real Prometheus: what it shows is there, and is the truth."""

import contextlib
import os
import re
import shutil
import subprocess
from pathlib import Path

import hardware
import pytest
from hardware.site.history import make_history
from hardware.site.processes import Failed, until
from hardware.site.servers import Prometheus

REPOSITORY = Path(hardware.__file__).parents[2]
REFERENCE = REPOSITORY / "docs" / "reference" / "metrics.md"
pytestmark = [
    pytest.mark.e2e,
    pytest.mark.parallel,
    pytest.mark.timeout(300),
    pytest.mark.skipif(
        shutil.which("prometheus") is None and "CI" not in os.environ,
        reason="prometheus is not installed here; scripts/setup --dev does it",
    ),
]

ABSENT = {
    f"wattlas_remote_write_{name}": "is scraped, sends nothing; test_remote_write.py shows it"
    for name in (
        "up",
        "samples_total",
        "failed_samples_total",
        "retries_total",
        "queue_samples",
        "queue_bytes",
        "queue_oldest_seconds",
    )
}
"""Families that the simulated site does not show on purpose, each with its reason."""
WHOLE_MINUTE = {
    "wattlas_crosscheck_energy_ratio": "is of the last whole minute",
    "wattlas_host_itue_ratio": "is of the last whole minute",
    "wattlas_host_parts_exceed_wall": "is of the last whole minute",
    "wattlas_flops_per_watt": "is of the last minute",
    "wattlas_flops_peak_ratio": "is of the last minute",
    "wattlas_work_energy_joules_per_unit": "is of the last minute",
    "wattlas_emissions_grams_total": "its embodied stages are posted once a minute",
}
"""Families that are there only after a while; `scripts/demo` has them, this test does not wait."""
CLOSE = 0.05
"""A BMC is read every 5 s and shows whole watts, while the load moves."""
HOUR = 3600.0


@pytest.fixture(scope="module")
def site(living_site):
    return living_site


@pytest.fixture(scope="module")
def prometheus(site, tmp_path_factory):
    with Prometheus(
        tmp_path_factory.mktemp("prometheus"), site.targets, scrape_seconds=1.0
    ) as server:
        server.wait_for_targets(len(site.agents))
        yield server


def documented():
    return set(re.findall(r"^\| `(wattlas_\w+)`", REFERENCE.read_text(), re.MULTILINE))


def test_every_agent_is_scraped_and_says_who_it_is(site, prometheus):
    assert len(site.agents) == 7
    assert prometheus.value('count(up{job="wattlas"} == 1)') == 7
    named = {
        (labels["instance"], labels["host"], labels["site"], labels["rack"])
        for labels, _ in prometheus.query("wattlas_host_info")
    }
    assert named == {
        (f"{name}:9760", name, "gz-1", host.plan.rack) for name, host in site.hosts.items()
    }
    assert len({rack for *_, rack in named}) == 2


def test_what_is_reported_is_true(site, prometheus):
    """Power by agents, by the racks' meters, and of each part of the facility."""

    def agrees():
        since = site.clock.now()
        reported = prometheus.value(
            'sum(wattlas_host_power_watts unless on (instance) wattlas_host_info{host=~".*n03"})'
        )
        return since, reported

    def is_true():
        t, watts = agrees()
        hosts = [h for name, h in site.hosts.items() if not name.endswith("n03")]
        truth = sum(host.wall.watts(t) for host in hosts)
        return watts is not None and abs(watts / truth - 1.0) < CLOSE

    until("the servers' power is the truth", is_true)
    for meter, flow in site.meters.flows.items():
        if meter in {"mains-water", "blow-down", "pv"}:
            continue  # water has no power, and by night the sun has none

        def meter_is_true(meter=meter, flow=flow):
            watts = prometheus.value(f'wattlas_site_power_watts{{meter="{meter}"}}')
            truth = flow.watts(site.clock.now())
            return watts is not None and abs(watts / truth - 1.0) < CLOSE

        until(f"{meter} is the truth", meter_is_true)


def test_every_quality_occurs(prometheus):
    found = {labels["quality"] for labels, _ in prometheus.query("wattlas_component_power_watts")}
    assert found == {"measured", "integrated", "estimated"}


def test_every_documented_family_is_there(prometheus):
    """Those that come with the first whole minute may be there already, or not yet."""
    wanted = documented() - ABSENT.keys() - WHOLE_MINUTE.keys()

    def missing():
        found = set(prometheus.ask("label/__name__/values"))
        return wanted - found

    with contextlib.suppress(Failed):  # the set says which
        until("all families are there", lambda: not missing())
    assert missing() == set()
    assert ABSENT.keys() <= documented()
    assert WHOLE_MINUTE.keys() <= documented()


def test_a_gpu_is_held_down_and_recovers(site, prometheus):
    """Half of the work for more than half of the power; as busy as before."""
    host = site.host("gz1-r02-n01")
    t = site.clock.now()
    work, watts, busy = host.work.watts(t), host.wall.watts(t), host.load.watts(t)
    name = 'instance="gz1-r02-n01:9760"'
    host.throttle(work=0.5, power=0.8)
    t = site.clock.now()
    assert host.work.watts(t) / work == pytest.approx(0.5, rel=0.15)
    assert 0.75 < host.wall.watts(t) / watts < 0.95
    until(
        "the agent sees the power fall",
        lambda: (
            prometheus.value(f'avg(wattlas_component_power_watts{{{name},component="gpu"}})')
            < 0.9 * host.gpu_power[0].first.watts(site.clock.now())
        ),
    )
    assert prometheus.value(
        f'avg(wattlas_component_utilization_ratio{{{name},component="gpu"}})'
    ) == pytest.approx(busy, abs=0.15)
    until(
        "the time held down counts",
        lambda: (
            prometheus.value(
                f'min(wattlas_gpu_throttled_seconds_total{{{name},reason="sw_thermal_slowdown"}})'
            )
            > 1.0
        ),
    )
    host.recover()
    t = site.clock.now()
    assert host.work.watts(t) == pytest.approx(host.gpu_done[0].first.watts(t) * 0.5, rel=1e-9)
    until(
        "the agent sees the power rise",
        lambda: (
            prometheus.value(f'avg(wattlas_component_power_watts{{{name},component="gpu"}})')
            > 0.93 * host.gpu_power[0].first.watts(site.clock.now())
        ),
    )


def test_the_simulated_past_is_the_truths(site, prometheus, tmp_path):
    end = site.clock.epoch
    made = make_history(site, prometheus.storage, days=0.25, until=end)
    assert made.series > 500
    with Prometheus(
        tmp_path / "later", {}, storage=_copy(prometheus.storage, tmp_path / "copy")
    ) as later:
        at = end - 3 * HOUR
        truth = site.wall_watts(-3 * HOUR)
        told = later.value('sum(wattlas_host_power_watts{instance!~".*r02-n03.*"})', at)
        assert told == pytest.approx(truth, rel=0.05)
        host = site.host("gz1-r01-n01")
        rate = 'rate(wattlas_work_total{instance="gz1-r01-n01:9760"}[1h])'
        done = host.work.joules(-3 * HOUR) - host.work.joules(-4 * HOUR)
        assert later.value(rate, at) == pytest.approx(done / HOUR, rel=0.01)


def _copy(storage, to):
    """Return a directory with the blocks of a storage that a Prometheus has open."""
    to.mkdir()
    for block in storage.iterdir():
        if (block / "meta.json").is_file():
            shutil.copytree(block, to / block.name)
    return to


def test_scripts_demo_tells_what_it_can_do():
    script = REPOSITORY / "scripts" / "demo"
    said = subprocess.run([script, "--help"], capture_output=True, text=True, check=True).stdout
    for option in ("--hosts", "--history", "--check", "--preset", "--gpus", "--port", "--once"):
        assert option in said
    wrong = subprocess.run(
        [script, "--check", "--once"], capture_output=True, text=True, check=False
    )
    assert (wrong.returncode, "does not go with" in wrong.stderr) == (2, True)
