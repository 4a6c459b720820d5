"""The truth test: what the agent says of a day is what was true, however often it was killed."""

import errno
import json
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest
from e2e import truth_lives
from e2e.truth_board import Board, Heard
from e2e.truth_lives import Plan
from hardware import Machine, VirtualClock
from hardware.faults import Counts, Faults
from hardware.fixtures import fault_library

from agent.ledger import Ledger
from agent.ledger.saved import AgentState
from agent.meter import StreamState
from agent.quantities import Quality
from agent.wall import HostState

__all__ = ["fault_library"]
pytestmark = [pytest.mark.e2e, pytest.mark.parallel, pytest.mark.timeout(700)]

END = 86_400.0 if os.environ.get("WATTLAS_FAULTS") == "full" else 43_200.0
"""The whole day in the campaign (scripts/faults), half of it with as many kills in every run."""
PLAN = Plan(
    directory="",
    seed=20260101,
    end=END,
    kills=200,
    reboot=(0.6 * END, 0.6 * END + 180.0),
    # Longer than a sensor can be bridged, shorter than DRAM's counter may take to turn (328 s).
    suspend=(0.23 * END, 0.23 * END + 240.0),
    wall_steps=((0.35 * END, 3600.0), (0.8 * END, -3600.0)),
)
EIO_PER_MILLE = 50
SENSOR_HOLD_SECONDS = 3.5
"""A 1 Hz sensor that is silent for longer has a gap; the promise is in agent/meter/stream.py."""
COUNTERS = ("package-0", "package-1", "dram-0", "dram-1")
SENSOR = "nvme0"
WALL = "power_meter"
SENSORS = (SENSOR, WALL)
SCRIPTS = {SENSOR: "drive", WALL: "wall"}
SETTINGS = """\
[agent]
state_dir = "{directory}/state"

[paths]
procfs = "{directory}/machine/proc"
sysfs = "{directory}/machine/sys"

[ledger]
flush_seconds = 60  # kill -9 loses nothing that was written, flushed or not

# what is not compared with the truth here
[collectors.estimate]
enabled = false
[collectors.host]
enabled = false
"""


@dataclass(frozen=True)
class Day:
    """What is left of the day."""

    plan: Plan
    machine: Machine
    streams: dict[str, StreamState]
    """By device, as the ledger has them."""
    host: HostState
    """The host's energy, as the ledger has it."""
    exported: dict[str, float]
    """What the world saw last."""
    falls: list[str]
    outages: list[tuple[float, float, str]]
    faults: Counts

    @property
    def directory(self) -> Path:
        return Path(self.plan.directory)

    def silences(self, device: str, longest: float) -> list[tuple[float, float]]:
        """Return when a device gave no reading for longer than that, from its readings."""
        times = Heard.times(self.directory, device)
        return [(a, b) for a, b in pairwise(times) if b - a > longest]

    def span(self, device: str) -> tuple[float, float]:
        """Return a device's first and last reading."""
        times = Heard.times(self.directory, device)
        return times[0], times[-1]

    def gaps(self, device: str) -> list[tuple[float, float]]:
        """Return the gaps that a device must have had, from its readings alone."""
        if device in SENSORS:
            return self.silences(device, SENSOR_HOLD_SECONDS)
        off, on = self.plan.reboot
        return [(a, b) for a, b in self.silences(device, on - off) if a <= off and on <= b]

    def true_joules(self, device: str) -> float:
        """Return what the device truly used while it was not in a gap."""
        script = SCRIPTS.get(device, device)
        dark = sum(self.machine.joules(script, a, b) for a, b in self.gaps(device))
        return self.machine.joules(script, *self.span(device)) - dark


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory, fault_library: Path) -> Iterator[Day]:
    """Let the day pass; half of it takes a minute on an idle machine with two cores."""
    directory = tmp_path_factory.mktemp("day")
    plan = replace(PLAN, directory=str(directory))
    (directory / "wattlas.toml").write_text(SETTINGS.format(directory=directory))
    faults = Faults(directory / "faults", directory / "machine")
    rules = [
        faults.set(pattern, errno=errno.EIO, per_mille=EIO_PER_MILLE, seed=seed)
        for seed, pattern in enumerate(("*/powercap/*", "*/hwmon/*"))
    ]
    tests = Path(truth_lives.__file__).parents[1]
    paths = os.pathsep.join(filter(None, [str(tests), os.environ.get("PYTHONPATH")]))
    began = time.monotonic()
    subprocess.run(
        [sys.executable, truth_lives.__file__, str(plan.save())],
        env=os.environ | faults.environment(fault_library) | {"PYTHONPATH": paths},
        check=True,
        timeout=650,
    )
    sys.stdout.write(f"a day in {time.monotonic() - began:.0f} s\n")
    counts = [faults.counts(rule) for rule in rules]
    falls = directory / "falls"
    clock = VirtualClock(directory / "clock")
    identities, body = Ledger.peek(directory / "state")
    assert body is not None
    state = msgspec.msgpack.decode(body, type=AgentState)
    assert state.host is not None
    yield Day(
        plan=plan,
        machine=truth_lives.build_machine(plan, clock, "the same again"),
        streams={i.device: s for i, s in zip(identities, state.meter.streams, strict=True)},
        host=state.host,
        exported=Board(directory).values(),
        falls=falls.read_text().splitlines() if falls.exists() else [],
        outages=[tuple(o.values()) for o in json.loads((directory / "outages.json").read_text())],
        faults=Counts(sum(c.trials for c in counts), sum(c.hits for c in counts)),
    )
    clock.close()


def test_the_day_was_as_hard_as_it_should_be(day: Day) -> None:
    assert [kind for _, _, kind in day.outages].count("kill") == PLAN.kills
    assert [kind for _, _, kind in day.outages].count("reboot") == 1
    assert day.faults.trials > 5 * 0.85 * PLAN.end
    assert day.faults.hits / day.faults.trials == pytest.approx(EIO_PER_MILLE / 1000, rel=0.05)
    turns = day.machine.joules("package-0", 0.0, PLAN.end) / 262_143.3
    assert turns > 20 * PLAN.end / 86_400.0
    # a wrap fell into the time without an agent, too
    assert any(
        day.machine.joules("package-0", 0.0, a) // 262_143.3
        != day.machine.joules("package-0", 0.0, b) // 262_143.3
        for a, b in day.silences("package-0", 10.0)
    )
    assert day.exported["last tick"] > PLAN.end - 2


@pytest.mark.parametrize("device", COUNTERS)
def test_counters_give_the_true_energy(day: Day, device: str) -> None:
    assert day.streams[device].joules == pytest.approx(day.true_joules(device), rel=1e-3)
    # and hardly less than of all its time: only around the reboot nobody could know
    whole = day.machine.joules(device, 0.0, day.exported["last tick"])
    assert day.streams[device].joules == pytest.approx(whole, rel=2e-3)


def test_the_total_of_the_counters_is_true(day: Day) -> None:
    whole = sum(day.machine.joules(d, 0.0, day.exported["last tick"]) for d in COUNTERS)
    assert sum(day.streams[d].joules for d in COUNTERS) == pytest.approx(whole, rel=1e-3)


@pytest.mark.parametrize("device", SENSORS)
def test_power_sensors_give_the_true_energy_of_the_time_covered(day: Day, device: str) -> None:
    assert day.streams[device].joules == pytest.approx(day.true_joules(device), rel=1e-2)


def test_the_host_is_the_wall_and_its_parts_where_the_wall_was_dark(day: Day) -> None:
    dark = day.gaps(WALL)
    assert len(dark) > 100
    off, on = PLAN.reboot
    parts = sum(
        day.machine.joules(device, a, b)
        for a, b in dark
        for device in COUNTERS
        if not a <= off <= on <= b
    )
    expected = day.true_joules(WALL) + parts
    assert sum(day.host.joules.values()) == pytest.approx(expected, rel=1e-2)
    # a counter bridges what the wall's sensor cannot, so the host has a gap at the reboot only
    assert day.host.gap_seconds < 400 + sum(b - a for a, b in day.gaps(SENSOR))
    assert day.exported["host J integrated"] <= day.host.joules[Quality.INTEGRATED] * (1 + 1e-9)


def test_wall_is_parts_and_what_is_left_over_to_the_joule(day: Day) -> None:
    host = day.host
    waiting = sum(
        joules * (until - max(start, host.done)) / (until - start)
        for _, start, until, joules, _ in host.pieces
    )
    held = sum(sum(row[1:7]) for row in host.cells.values()) + sum(p[3] for p in host.long)
    wall = day.streams[WALL].joules - waiting
    parts = sum(day.streams[d].joules for d in (*COUNTERS, SENSOR)) - held
    outside = sum(host.joules.values()) - wall
    still_open = sum(p.wall - sum(p.parts) for p in host.periods)
    left_over = host.unattributed - host.excess + still_open
    assert wall == pytest.approx(parts - outside + left_over, rel=1e-9)
    assert host.excess < 1e-3 * host.unattributed  # minutes that the wall hardly covered


@pytest.mark.parametrize("device", [*COUNTERS, *SENSORS])
def test_gaps_are_right_within_a_second_each(day: Day, device: str) -> None:
    gaps = day.gaps(device)
    expected = sum(b - a for a, b in gaps)
    assert len(gaps) > (100 if device in SENSORS else 0)
    assert day.streams[device].gap_seconds == pytest.approx(expected, abs=len(gaps))


@pytest.mark.parametrize("device", [*COUNTERS, *SENSORS])
def test_covered_and_gap_add_up_to_the_time(day: Day, device: str) -> None:
    stream = day.streams[device]
    first, last = day.span(device)
    assert stream.seconds + stream.gap_seconds == pytest.approx(last - first, abs=0.01)


def test_no_exported_counter_ever_went_down(day: Day) -> None:
    assert not day.falls, f"{len(day.falls)} falls, the first:\n" + "\n".join(day.falls[:10])


def test_the_ledger_has_no_negative_energy_and_adds_up_to_the_totals(day: Day) -> None:
    identities, body = Ledger.peek(day.directory / "state")
    assert body is not None
    state = msgspec.msgpack.decode(body, type=AgentState)
    ledger = sqlite3.connect(day.directory / "state/ledger.db")
    for level in ("minute", "hour", "day"):
        least = ledger.execute(f"SELECT min(joules), min(seconds), min(gap_seconds) FROM {level}")
        assert all(value >= 0 for value in least.fetchone())
        for index, identity in enumerate(identities):
            sums = ledger.execute(
                f"SELECT sum(joules), sum(seconds), sum(gap_seconds) FROM {level} WHERE stream = ?",
                (index,),
            ).fetchone()
            still_open = [rows.get(index) for rows in state.meter.open_minutes.values()]
            rows = [sums, *(row for row in still_open if row)]
            totals = [sum(column) for column in zip(*rows, strict=True)]
            stream = day.streams[identity.device]
            assert totals == pytest.approx([stream.joules, stream.seconds, stream.gap_seconds])
    ledger.close()


def test_only_the_reboot_was_taken_for_one(day: Day) -> None:
    resets = {k: v for k, v in day.exported.items() if k.startswith("wattlas_counter_resets")}
    assert resets == {"wattlas_counter_resets_total collector=rapl,reason=boot": len(COUNTERS)}
