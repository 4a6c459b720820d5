"""Sensors that fail at random: EIO, ENOENT, cut short, garbage, hanging for a minute, all mixed."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from faults import sensor_runs
from faults.sensor_scenarios import KINDS, scenario
from hardware.faults import Faults
from hardware.fixtures import fault_library

__all__ = ["fault_library"]
pytestmark = [pytest.mark.e2e, pytest.mark.parallel, pytest.mark.timeout(3000)]

WITHIN = 1e-3
"""The promise: energy within 0.1 % of the truth of the time covered."""
SEED = int(os.environ.get("WATTLAS_FAULTS_SEED", "6"))
"""The first scenario's; the others follow."""
SPAN_SECONDS = 0.05
DEVICES = {who for who in sensor_runs.EVERY_SECOND if not who.startswith("host")}


@pytest.fixture(scope="module")
def lives(
    tmp_path_factory: pytest.TempPathFactory, fault_library: Path, count: Callable[[int, int], int]
) -> list[dict[str, Any]]:
    """Return what came of each scenario."""
    base = tmp_path_factory.mktemp("sensors")
    (base / "machines").mkdir()
    faults = Faults(base / "faults", base / "machines")
    tests = Path(sensor_runs.__file__).parents[1]
    paths = os.pathsep.join(filter(None, [str(tests), os.environ.get("PYTHONPATH")]))
    scenarios = count(2, 200)
    sys.stdout.write(f"scenarios from WATTLAS_FAULTS_SEED={SEED} on, {scenarios} of them\n")
    done = subprocess.run(
        [sys.executable, sensor_runs.__file__, str(base), str(SEED), str(scenarios)],
        env=os.environ | faults.environment(fault_library) | {"PYTHONPATH": paths},
        stdout=subprocess.PIPE,
        check=True,
        timeout=2900,
    )
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(found) == scenarios
    return found


@pytest.fixture(scope="module")
def survived(lives: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the scenarios that did not end in a crash."""
    return [life for life in lives if "crash" not in life]


def told(life: dict[str, Any]) -> str:
    """Return what is needed to see a failure again."""
    return f"WATTLAS_FAULTS_SEED={life['seed']}: {'; '.join(life.get('episodes', []))}"


def error_of(stream: dict[str, float]) -> float:
    """Return by which share of the truth a stream is off, of the time that it covers."""
    return abs(stream["joules"] - stream["truth"]) / stream["truth"]


def test_the_scenarios_are_as_hard_as_they_should_be(survived: list[dict[str, Any]]) -> None:
    kinds = {episode.kind for life in survived for episode in scenario(life["seed"]).episodes}
    assert kinds == set(KINDS)
    assert sum(life["hits"] for life in survived) > 20 * len(survived)


def test_nothing_crashes_and_no_fault_is_taken_for_a_bug(lives: list[dict[str, Any]]) -> None:
    for life in lives:
        assert "crash" not in life, f"{told(life)}\n{life['crash']}"
        assert life["bugs"] == {}, told(life)


def test_energy_is_the_truth_of_the_time_covered(
    survived: list[dict[str, Any]], tell: Callable[..., None]
) -> None:
    worst = 0.0
    for life in survived:
        assert set(life["streams"]) == DEVICES, told(life)  # no sensor taken for another
        for who, stream in life["streams"].items():
            assert error_of(stream) < WITHIN, f"{who}: {stream}; {told(life)}"
            assert stream["joules"] == pytest.approx(stream["posted"], rel=1e-9), told(life)
            worst = max(worst, error_of(stream))
    hits = sum(life["hits"] for life in survived)
    tell("sensors failing at random", trials=len(survived), faults=hits, error=worst)


def test_what_is_not_covered_is_told_as_a_gap(survived: list[dict[str, Any]]) -> None:
    for life in survived:
        for who, stream in life["streams"].items():
            there = stream["seconds"] + stream["gap_seconds"]
            about = f"{who}: {stream}; {told(life)}"
            assert there == pytest.approx(stream["span"], abs=SPAN_SECONDS), about
            assert stream["resets"] == 0, about  # nothing was reset, so nothing is called so


def test_counters_lose_nothing_at_all(
    survived: list[dict[str, Any]], tell: Callable[..., None]
) -> None:
    """A counter goes on counting while it cannot be read; its gap is what no reading can bridge."""
    worst = 0.0
    for life in survived:
        counters = [s for who, s in life["streams"].items() if who.startswith("rapl")]
        joules = sum(stream["joules"] for stream in counters)
        whole = sum(stream["whole"] for stream in counters)
        assert joules == pytest.approx(whole, rel=WITHIN), told(life)
        worst = max(worst, abs(joules - whole) / whole)
    tell("sensors failing at random: all counters", trials=len(survived), error=worst)


def test_the_servers_total_is_true_while_its_meter_has_no_gap(
    survived: list[dict[str, Any]],
) -> None:
    for life in survived:
        host = life["host"]
        assert host["gap_seconds"] < sensor_runs.LAST
        if life["streams"]["hwmon power_meter"]["gap_seconds"] == 0 and host["first"] == 1.0:
            assert host["joules"] == pytest.approx(host["truth"], rel=WITHIN), told(life)


def test_who_has_no_fault_is_on_time(survived: list[dict[str, Any]]) -> None:
    for life in survived:
        assert life["late"] == [], told(life)


def test_everything_is_back_afterwards(survived: list[dict[str, Any]]) -> None:
    for life in survived:
        assert life["down"] == [], told(life)
        assert all(s["last"] == sensor_runs.LAST for s in life["streams"].values()), told(life)
