"""A whole agent in real time, with its threads, its sockets and its clock: one fault, or many."""

import os
import random
import statistics
from collections.abc import Callable
from pathlib import Path

import pytest
from faults.process_rig import Rig, hold, rig
from faults.scenarios import CGROUP, SCENARIOS
from faults.world import FULL
from hardware.fixtures import fault_library

__all__ = ["fault_library"]
pytestmark = [pytest.mark.e2e, pytest.mark.parallel, pytest.mark.timeout(900)]

LATE_SECONDS = 0.5
"""The median tick is no later than this: it waits for no disk."""
REDUCED = ("disk slow (2 s at fsync)", "clock set by a day and by anything", "disk read-only")
"""What is tried in every run of the tests, in one life after another."""


def check(made: Rig) -> dict[str, float]:
    """Compare with the truth; return the figures."""
    late = statistics.median(made.watch.late)
    error = made.end()
    assert late < LATE_SECONDS, made.watch.late
    assert not list(made.state_dir.glob("*.corrupt*"))
    return {
        "error": error,
        "median_late_seconds": round(late, 4),
        "lives": made.lives,
        "ended_by_itself": made.deaths,
    }


@pytest.mark.skipif(FULL, reason="each fault has its own test in the campaign")
def test_some_faults(tmp_path: Path, fault_library: Path) -> None:
    dice = random.Random(20260709)
    with rig(tmp_path, fault_library) as made:
        made.begin()
        for name in REDUCED:
            SCENARIOS[name](made, dice, 1.0)
        check(made)
        assert "Traceback" not in made.logs


@pytest.mark.skipif(not FULL, reason="only in the campaign (scripts/faults)")
@pytest.mark.parametrize("name", SCENARIOS)
def test_a_fault(tmp_path: Path, fault_library: Path, tell: Callable[..., None], name: str) -> None:
    if "cgroup" in name and not os.access(CGROUP, os.W_OK):
        pytest.skip("control groups of memory cannot be made here")
    dice = random.Random(name)
    trials = 3
    with rig(tmp_path, fault_library) as made:
        made.begin()
        for _ in range(trials):
            SCENARIOS[name](made, dice, 6.0)
            hold(1.0)
        figures = check(made)
        if "address" not in name:  # MemoryError may come anywhere, and be told
            assert "Traceback" not in made.logs, made.logs
        tell(f"process: {name}", trials=trials, **figures)
