"""`kill -9` at random moments of simulated days: nothing is lost, and nothing goes back."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from e2e import truth_lives
from e2e.test_truth import COUNTERS, SENSORS, SETTINGS, Day
from e2e.truth_board import Board
from e2e.truth_lives import Plan
from faults.world import WITHIN
from hardware import VirtualClock
from hardware.faults import Counts, Faults
from hardware.fixtures import fault_library

from agent.ledger import Ledger
from agent.ledger.saved import AgentState

__all__ = ["fault_library"]
pytestmark = [pytest.mark.e2e, pytest.mark.parallel, pytest.mark.timeout(3000)]

DAY_SECONDS = 86_400.0
BOOT_SECONDS = 2.0
"""So much may be unknown at a reboot; it counts in a short run only."""
DRAM_SECONDS = 65_712.999613 / 200.0
"""One turn of its counter at the most that memory is thought to draw (agent/meter/counter.py)."""
KILLS = 30, 1000
"""In every run of the tests, and in the campaign."""
END = 1500.0, 2 * DAY_SECONDS


def run(plan: Plan, library: Path) -> None:
    """Let the plan's time pass, without failing sensors: those have a campaign of their own."""
    directory = Path(plan.directory)
    (directory / "wattlas.toml").write_text(SETTINGS.format(directory=directory))
    faults = Faults(directory / "faults", directory / "machine")
    paths = os.pathsep.join(
        filter(None, [str(Path(truth_lives.__file__).parents[1]), os.environ.get("PYTHONPATH")])
    )
    subprocess.run(
        [sys.executable, truth_lives.__file__, str(plan.save())],
        env=os.environ | faults.environment(library) | {"PYTHONPATH": paths},
        check=True,
        timeout=2900,
    )


def test_killed_at_random_moments(
    tmp_path: Path,
    fault_library: Path,
    count: Callable[[int, int], int],
    tell: Callable[..., None],
) -> None:
    kills = count(*KILLS)
    end = float(count(*map(int, END)))
    plan = Plan(
        directory=str(tmp_path),
        seed=20260707,
        end=end,
        kills=kills,
        reboot=(end * 0.6, end * 0.6 + 120.0),
        suspend=(end * 0.25, end * 0.25 + 60.0),
        wall_steps=((end * 0.35, DAY_SECONDS), (end * 0.8, -DAY_SECONDS)),
    )
    began = time.monotonic()
    run(plan, fault_library)
    took = round(time.monotonic() - began)
    figures = compare(tmp_path, plan)
    tell("kill -9", trials=kills, seconds=took, **figures)


def compare(tmp_path: Path, plan: Plan) -> dict[str, float]:
    """Compare what is left of a plan's time with the truth; return figures."""
    identities, body = Ledger.peek(tmp_path / "state")
    assert body is not None
    state = msgspec.msgpack.decode(body, type=AgentState)
    assert state.host is not None
    falls = tmp_path / "falls"
    clock = VirtualClock(tmp_path / "clock")
    day = Day(
        plan=plan,
        machine=truth_lives.build_machine(plan, clock, "the same again"),
        streams={i.device: s for i, s in zip(identities, state.meter.streams, strict=True)},
        host=state.host,
        exported=Board(tmp_path).values(),
        falls=falls.read_text().splitlines() if falls.exists() else [],
        outages=[],
        faults=Counts(0, 0),
    )
    assert not day.falls, day.falls[:10]
    dark = [silence for device in COUNTERS for silence in silences(day, device)]
    errors = [abs(day.streams[device].joules / true(day, device) - 1.0) for device in COUNTERS]
    sensors = [
        abs(day.streams[device].joules / day.true_joules(device) - 1.0) for device in SENSORS
    ]
    # what was read in the second before the machine went off and not kept, nobody can know
    within = WITHIN + BOOT_SECONDS / plan.end
    assert max(errors) < within, errors
    # a sensor is silent while no agent runs: what it gives of the rest is its own accuracy
    assert max(sensors) < 10 * WITHIN, sensors
    total = sum(day.streams[device].joules for device in COUNTERS)
    assert total == pytest.approx(sum(true(day, device) for device in COUNTERS), rel=within)
    for device in COUNTERS:  # what could not be bridged is said to the second
        gaps = day.gaps(device) + silences(day, device)
        expected = sum(b - a for a, b in gaps)
        assert day.streams[device].gap_seconds == pytest.approx(expected, abs=len(gaps) + 1.0)
    assert not list((tmp_path / "state").glob("*.corrupt*"))
    clock.close()
    return {"error": max(errors), "too_long_to_bridge": len(dark)}


def silences(day: Day, device: str) -> list[tuple[float, float]]:
    """Return the outages in which a counter may have turned more than once: gaps, and told as such.

    They come of a life that is killed before its first reading, several times in a row.
    """
    if not device.startswith("dram"):  # a package takes a quarter of an hour at its power limit
        return []
    reboot = day.gaps(device)
    return [silence for silence in day.silences(device, DRAM_SECONDS) if silence not in reboot]


def true(day: Day, device: str) -> float:
    """Return what a counter's device used while it was not in a gap, J."""
    dark = sum(day.machine.joules(device, a, b) for a, b in silences(day, device))
    return day.true_joules(device) - dark
