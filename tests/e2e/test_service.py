"""What scripts/test-service shows in a real Debian, as far as it can be shown without one.

The store of descriptors is a stand-in at systemd's own interface (e2e/systemd.py); the program, its
sockets, the sensors' files and the scraper are the real ones. docs/design/service-test.md.
"""

import json
import os
import shutil
import signal
import subprocess
import sysconfig
import time
from pathlib import Path

import pytest
from e2e.agents import WATTLAS, settings, until
from e2e.systemd import Systemd
from service.scraper import Scraper, by_device, total
from service.sensors import Sensors, used

pytestmark = [pytest.mark.e2e, pytest.mark.parallel]

ENERGY = "wattlas_component_energy_joules_total"
HERTZ = 20
WAIT_SECONDS = 60.0
"""So long may an answer take on a busy machine."""


@pytest.fixture
def sensors(tmp_path):
    with Sensors(tmp_path / "machine") as sensors:
        yield sensors


@pytest.fixture
def config(tmp_path, sensors):
    return settings(tmp_path / "wattlas.toml", root=sensors.directory, interval_seconds=0.25)


def counted(agent):
    return by_device(agent.get("/metrics")[1].decode(), ENERGY, source="rapl")


def standing(agent, sensors):
    """Return what the agent says and what is true while no counter moves."""
    with sensors.still():
        true = sensors.joules()
        found: list[tuple[float, dict[str, float]]] = []

        def steady():
            now = dict(counted(agent))
            if not found or found[-1][1] != now:
                found.append((time.monotonic(), now))
            return now and time.monotonic() - found[-1][0] > 1.5  # six ticks

        until("the agent has counted it all", steady)
        return found[-1][1], true


def settled(before, after):
    """Check that what was counted in between is what was used."""
    assert before[0].keys() == after[0].keys() == before[1].keys()
    truth = used(before[1], after[1])
    assert truth > 100
    assert sum(after[0].values()) - sum(before[0].values()) == pytest.approx(truth, abs=0.01)


def scraping(agent):
    host, port = agent.url.removeprefix("http://").split(":")
    return Scraper((host, int(port)), HERTZ, timeout=WAIT_SECONDS)


def keeps_up(scraper, after=0.0):
    """Wait until what is asked later than a moment is answered at once: nobody queues."""
    until(
        "it is scraped",
        lambda: (
            (done := scraper.scrapes)
            and done[-1].at > after
            and time.monotonic() - done[-1].at < 0.3
        ),
    )


def is_stopped(pid):
    return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].startswith("T")


def later_version(place: Path) -> str:
    """Put what is installed into a directory once more, as a later version; return that."""
    installed = Path(sysconfig.get_path("purelib"))
    for name in ("agent", "collectors", "exporters", "dashboards"):
        shutil.copytree(installed / name, place / name)
    (information,) = installed.glob("wattlas-*.dist-info")
    old = information.name.removeprefix("wattlas-").removesuffix(".dist-info")
    copy = place / f"wattlas-{old}+later.dist-info"
    shutil.copytree(information, copy)
    text = (copy / "METADATA").read_text()
    (copy / "METADATA").write_text(text.replace(f"\nVersion: {old}\n", f"\nVersion: {old}+later\n"))
    return f"{old}+later"


def test_an_upgrade_under_scrape_costs_no_scrape_and_no_joule(
    tmp_path, config, sensors, monkeypatch
):
    new = later_version(tmp_path / "new")
    with Systemd(tmp_path) as systemd:
        agent = systemd.start(config)
        try:
            until("its socket is stored", lambda: systemd.store)
            before = standing(agent, sensors)
            with scraping(agent) as scraper:
                keeps_up(scraper)
                assert agent.stop() == 0
                monkeypatch.setenv("PYTHONPATH", str(tmp_path / "new"))
                agent = systemd.start(config)
                until("the later version answers", lambda: new in scraper.scrapes[-1].page)
            assert scraper.failed == []
            assert scraper.lower() == []
            settled(before, standing(agent, sensors))
            gaps = "wattlas_energy_gap_seconds_total"
            assert total(agent.get("/metrics")[1].decode(), gaps, source="rapl") == 0
            assert agent.stop() == 0
        finally:
            agent.kill()


def test_killed_and_hung_under_scrape_it_takes_nothing_back(tmp_path, config, sensors):
    with Systemd(tmp_path) as systemd:
        agent = systemd.start(config)
        try:
            until("its socket is stored", lambda: systemd.store)
            before = standing(agent, sensors)
            with scraping(agent) as scraper:
                keeps_up(scraper)
                agent.kill()
                agent = systemd.start(config)
                keeps_up(scraper, after=time.monotonic())
                # What the watchdog does once nothing is heard: SIGABRT, which a stopped process
                # takes when it goes on (systemd sends it SIGCONT as well).
                agent.process.send_signal(signal.SIGSTOP)
                until("it hangs", lambda: is_stopped(agent.process.pid))
                hangs = time.monotonic()
                with pytest.raises(subprocess.TimeoutExpired):
                    agent.process.wait(0.5)
                ends = time.monotonic()
                agent.process.send_signal(signal.SIGABRT)
                agent.process.send_signal(signal.SIGCONT)
                assert agent.process.wait(WAIT_SECONDS) == -signal.SIGABRT
                agent = systemd.start(config)
                keeps_up(scraper, after=time.monotonic())
            waited = [s for s in scraper.scrapes if hangs < s.at < ends]
            assert len(waited) > 3
            assert all(s.at + s.seconds > ends for s in waited)
            # only what a process has in its hands is lost with it, and it answers at once
            assert len(scraper.failed) <= 2, scraper.failed
            assert scraper.lower() == []
            settled(before, standing(agent, sensors))
        finally:
            agent.kill()


@pytest.mark.skipif(os.geteuid() != 0, reason="changes owners")
@pytest.mark.parametrize("member", [True, False])
def test_rapl_is_read_through_the_group_and_nothing_else(tmp_path, config, sensors, member):
    group = 64_123
    sensors.open_to(group)
    for counter in sensors.counters():
        os.chown(counter, 64_124, group)  # root without capabilities is then one of "others"
    drop = ["--bounding-set=-all", "--inh-caps=-all", "--no-new-privs"]
    groups = [f"--groups={group}"] if member else ["--clear-groups"]
    command = ["setpriv", *drop, *groups, WATTLAS, "read", "--config", config, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert ('"rapl"' in json.dumps(json.loads(done.stdout).get("components"))) is member
