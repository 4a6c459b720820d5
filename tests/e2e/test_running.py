"""The running agent: signals, recordings, kills, faults, and what systemd is told."""

import json
import os
import shutil
import signal
import socket

import pytest
from e2e.agents import Agent, settings, until, wattlas
from unit.ledger.rig import rows, sums

from agent.ledger import Ledger
from agent.meter import StreamIdentity

pytestmark = [pytest.mark.e2e, pytest.mark.parallel]

ENERGY = "wattlas_component_energy_joules"
HOST = "wattlas_host_energy_joules"


def lower(before, after):
    """Return the counters that went down, or away."""
    now = after.counters()
    return {key: (old, now.get(key)) for key, old in before.counters().items()
            if key not in now or now[key] < old}  # fmt: skip


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_it_stops_cleanly(config, tmp_path, how):
    with Agent(config) as agent:
        before = agent.counts()
        assert agent.stop(how) == 0
        assert "stopped" in agent.log
        assert "Traceback" not in agent.log
    files = {p.name for p in (tmp_path / "state").iterdir()}
    assert files - {"host.key", "host.pub"} == {"ledger.db", "lock"}
    found = sums(tmp_path / "state")
    assert min(found.values()) >= before.total(HOST) - 1e-6  # but for rounding at the minutes
    assert max(found.values()) - min(found.values()) < 1e-6  # all of it, in every table


def test_it_starts_in_time_and_is_ready_after_its_first_reading(here):
    with Agent(here) as agent:
        until("ready", lambda: agent.get("/readyz") == (200, b"ok\n"))
        assert agent.get("/healthz") == (200, b"ok\n")
        agent.counts()


def test_a_restart_goes_on_from_the_totals(config):
    with Agent(config) as agent:
        first = agent.counts()
        agent.stop()
    with Agent(config) as agent:
        assert lower(first, agent.metrics()) == {}
        more = agent.when("more is counted", lambda m: m.total(HOST) > first.total(HOST))
        assert lower(first, more) == {}
        assert more.total("wattlas_energy_gap_seconds", source="rapl") < 0.5  # bridged


def test_kill_9_again_and_again_takes_nothing_back(config, tmp_path):
    with Agent(config) as agent:
        before = agent.counts()
        agent.kill()
    for _ in range(3):
        with Agent(config) as agent:
            assert lower(before, agent.metrics()) == {}
            before = agent.when("more", lambda m, b=before: m.total(HOST) > b.total(HOST))
            agent.kill()
    with Agent(config) as agent:
        assert lower(before, agent.metrics()) == {}
        agent.stop()
    assert not list((tmp_path / "state").glob("*.corrupt*"))


def test_settings_are_read_again_on_sighup(config):
    good = config.read_text()
    with Agent(config) as agent:
        before = agent.counts()
        config.write_text(good + "[host]\nsite = 'gz-1'\n[collectors.hwmon]\nenabled = false\n")
        agent.process.send_signal(signal.SIGHUP)
        agent.says("settings_reloaded")
        after = agent.when("the new site", lambda m: m.series("wattlas_host_info", site="gz-1"))
        assert lower(before, after) == {}
        assert not after.series("wattlas_crosscheck_power_watts", source="hwmon")

        config.write_text(good + "[host]\nsight = 'x'\n")
        agent.process.send_signal(signal.SIGHUP)
        agent.says("settings_kept")
        assert "host.sight: there is no such key; known here are site, rack" in agent.log
        config.unlink()
        agent.process.send_signal(signal.SIGHUP)
        agent.says("there is no such settings file")
        kept = agent.when("it goes on", lambda m: m.total(HOST) > after.total(HOST))
        assert kept.series("wattlas_host_info", site="gz-1")

        config.write_text(good + "[ledger]\nminute_days = 3\n")
        agent.process.send_signal(signal.SIGHUP)
        agent.says("restart_needed")
        assert agent.stop() == 0
        assert "Traceback" not in agent.log


def test_a_recording_replays_to_the_same_joules(config, tmp_path):
    trace = tmp_path / "trace.jsonl"
    with Agent(config, "--record", trace) as agent:
        agent.counts()
        agent.when(
            "3 s", lambda m: m.total("wattlas_component_energy_joules", device="dram-0") > 40
        )
        agent.stop()
    shutil.rmtree(tmp_path / "replayed", ignore_errors=True)
    done = wattlas("replay", trace, "--json", "--state-dir", tmp_path / "replayed")
    assert (done.returncode, done.stderr) == (0, "")
    found = json.loads(done.stdout)

    live, again = (Ledger.peek(tmp_path / name)[0] for name in ("state", "replayed"))
    key = {"key": lambda s: (s.source, s.component, s.device)}
    assert sorted(live, **key) == sorted(again, **key)
    assert energies(tmp_path / "replayed", again) == pytest.approx(
        energies(tmp_path / "state", live), rel=1e-6
    )
    total = sum(found["host"]["energy_joules"].values())
    assert total > 100
    # the host is its wall, but for the last second, of which the wall has not all to say
    wall = energies(tmp_path / "state", live)["hwmon host power_meter"]
    assert total == pytest.approx(wall, abs=1.5 * MAX_WATTS)


MAX_WATTS = 600.0
"""What the simulated server can draw."""


def energies(state_dir, identities: list[StreamIdentity]) -> dict[str, float]:
    day = dict(rows(state_dir / "ledger.db", "SELECT stream, total(joules) FROM day GROUP BY 1"))
    return {
        f"{s.source} {s.component} {s.device}": day.get(index, 0.0)
        for index, s in enumerate(identities)
    }


def test_a_killed_agent_leaves_whole_lines(config, tmp_path):
    trace = tmp_path / "trace.jsonl"
    with Agent(config, "--record", trace) as agent:
        agent.counts()
        agent.kill()
    done = wattlas("replay", trace)
    assert (done.returncode, done.stderr) == (0, "")


def test_two_agents_on_one_directory(config, tmp_path):
    with Agent(config) as agent:
        agent.counts()
        second = wattlas("run", "--config", config)
        assert second.returncode == 1
        assert second.stderr == (
            f"wattlas: {tmp_path}/state: another agent is running on this directory; stop it,"
            " or set agent.state_dir to another one\n"
        )
        assert agent.stop() == 0


def test_a_corrupt_ledger_is_set_aside_and_measuring_goes_on(config, tmp_path):
    with Agent(config) as agent:
        agent.counts()
        agent.stop()
    ledger = tmp_path / "state/ledger.db"
    ledger.write_bytes(os.urandom(50_000))
    spoilt = ledger.read_bytes()
    with Agent(config) as agent:
        metrics = agent.counts()
        assert metrics.total("wattlas_ledger_up") == 1
        assert metrics.total("wattlas_ledger_failures") == 1
        assert agent.log.count("ledger_corrupt") == 1
        agent.stop()
    (kept,) = (tmp_path / "state").glob("ledger.db.corrupt-*")
    assert kept.read_bytes() == spoilt


GARBAGE = [b"", b"\0" * 100, b"garbage\n", b"-1\n", b"9" * 60 + b"\n", b"1e9\n", b"\xff\xfe\n"]


def test_garbage_in_sysfs_costs_only_the_sensor_it_is_in(tmp_path, machine):
    root = tmp_path / "machine"
    shutil.copytree(machine, root, symlinks=True)
    config = settings(tmp_path / "wattlas.toml", root=root)
    counter = root / "sys/class/powercap/intel-rapl:1/energy_uj"
    power = next((root / "sys/class/hwmon").glob("*/power1_average"))
    good = {path: path.read_bytes() for path in (counter, power)}
    for path in good:
        path.chmod(0o644)
    with Agent(config) as agent:
        agent.when("all are read", lambda m: m.series("wattlas_collector_up", collector="hwmon"))
        for junk in GARBAGE:
            counter.write_bytes(junk)
            power.write_bytes(junk)
            seen = agent.metrics().total("wattlas_collector_failures", collector="rapl")
            if junk != b"-1\n":  # a negative number may be taken for no reading at all
                agent.when(
                    f"{junk[:8]!r} is counted",
                    lambda m, s=seen: m.total("wattlas_collector_failures", collector="rapl") > s,
                )
            assert agent.metrics().total("wattlas_collector_up", collector="host") == 1
        for path, data in good.items():
            path.write_bytes(data)
        agent.says("source_recovered collector=rapl")
        final = agent.metrics()
        # the counters stand still in this copy, so not one joule may have come of it
        assert final.total(ENERGY, source="rapl") == 0
        assert final.total("wattlas_collector_up", collector="rapl") == 1
        assert agent.log.count("source_failing collector=rapl") == 1
        assert "Traceback" not in agent.log
        assert agent.stop() == 0


def test_a_counter_that_starts_anew_is_counted(tmp_path, machine):
    root = tmp_path / "machine"
    shutil.copytree(machine, root, symlinks=True)
    counter = root / "sys/class/powercap/intel-rapl:1/energy_uj"
    counter.chmod(0o644)
    counter.write_bytes(b"5000000000\n")
    with Agent(settings(tmp_path / "wattlas.toml", root=root)) as agent:
        agent.when("it is read", lambda m: m.series(ENERGY, device="package-1", source="rapl"))
        counter.write_bytes(b"5050000000\n")
        agent.when("50 J", lambda m: m.total(ENERGY, device="package-1", source="rapl") == 50)
        counter.write_bytes(b"7000000\n")
        found = agent.when("a reset", lambda m: m.series("wattlas_counter_resets"))
        assert found.series("wattlas_counter_resets") == [
            ({"collector": "rapl", "reason": "reset"}, 1.0)
        ]
        counter.write_bytes(b"17000000\n")
        agent.when("10 J more", lambda m: m.total(ENERGY, device="package-1", source="rapl") == 60)


def test_what_systemd_is_told(config, tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(20)
        environ = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "2000000"}
        with Agent(config, **environ) as agent:
            assert systemd.recv(999) == b"FDSTORE=1\nFDNAME=wattlas-http"
            assert systemd.recv(999) == b"READY=1\nSTATUS=measuring"
            assert agent.get("/readyz")[0] == 200
            assert [systemd.recv(999) for _ in range(2)] == [b"WATCHDOG=1"] * 2
            agent.process.send_signal(signal.SIGHUP)
            told = b""
            while b"RELOADING=1\nMONOTONIC_USEC=" not in told:
                told = systemd.recv(999)
            assert systemd.recv(999) == b"READY=1"
            assert agent.stop() == 0
            while told != b"STOPPING=1":
                told = systemd.recv(999)


def test_the_journal_gets_levels(config):
    with Agent(config, JOURNAL_STREAM="1:2") as agent:
        agent.stop()
        assert all(line.startswith("<6>") for line in agent.log.splitlines()), agent.log
