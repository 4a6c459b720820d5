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
TICK_SECONDS = 1.0
KILLS = 30, 1000
"""In every run of the tests, and in the campaign."""
END = 2700.0, 2 * DAY_SECONDS
"""Long enough that no row of outages outlasts a turn of memory's counter (328 s and more)."""


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
    errors = [
        abs(day.streams[device].joules / day.true_joules(device) - 1.0) for device in COUNTERS
    ]
    sensors = [
        abs(day.streams[device].joules / day.true_joules(device) - 1.0) for device in SENSORS
    ]
    # what was read in the second before the machine went off and not kept, nobody can know
    within = WITHIN + BOOT_SECONDS / plan.end
    assert max(errors) < within, errors
    # a sensor does not tell later what it drew in the second that a kill interrupts, as a counter
    # does; what it gives of the rest is its own accuracy
    assert max(sensors) < 5 * WITHIN + plan.kills * TICK_SECONDS / plan.end, sensors
    assert not list((tmp_path / "state").glob("*.corrupt*"))
    clock.close()
    return {"error": max(errors)}
