"""A wall clock that is set, forwards and back, by a day and by anything, under a running agent."""

import asyncio
import json
import random
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from e2e.agents import wattlas
from faults.world import COUNTERS, WALL, WITHIN, World, quick
from structlog.testing import capture_logs

from agent.ledger.saved import AgentState

pytestmark = [pytest.mark.e2e, pytest.mark.parallel, pytest.mark.timeout(3000)]

DAY_SECONDS = 86_400.0
LONGEST_SECONDS = 400 * DAY_SECONDS


def steps(dice: random.Random, number: int) -> list[float]:
    """Return by how much the clock is set: a day forwards, a day back, then anything."""
    found = [DAY_SECONDS, -DAY_SECONDS]
    while len(found) < number:
        size = LONGEST_SECONDS ** dice.random()
        # what goes forwards comes back, or the years would add up
        forwards = sum(found) < 0 if abs(sum(found)) > LONGEST_SECONDS else dice.random() < 0.5
        found.append(size if forwards else -size)
    return found


def test_the_clock_is_set(
    tmp_path: Path, count: Callable[[int, int], int], tell: Callable[..., None]
) -> None:
    trials = count(6, 500)
    dice = random.Random(20260708)
    walls: list[float] = []

    async def lives() -> None:
        world.start()
        await world.live(90)
        for number, seconds in enumerate(steps(dice, trials)):
            walls.append(world.clock.wall())
            if number % 4 == 3:  # set while no agent runs
                await world.kill()
            world.machine.step_wall(world.clock.now, seconds)
            if number % 4 == 3:
                world.start()
            walls.append(world.clock.wall())
            await world.live(dice.randrange(2, 200))
        walls.append(world.clock.wall())
        await world.stop()

    with quick():
        world = World(tmp_path / "world")
        with capture_logs() as logs:
            asyncio.run(lives())
    assert not logs
    assert not world.outside.falls, world.outside.falls[:5]
    error = max(world.error(device) for device in (*COUNTERS, WALL))
    assert error < WITHIN
    sensible(world, walls)
    reported(world, min(walls), max(walls))
    tell("clock set while it runs", trials=trials, error=error)
    world.close()


def sensible(world: World, walls: list[float]) -> None:
    """Look at the rows: all the energy, in minutes that the clock has shown, in every table."""
    with closing(sqlite3.connect(world.state_dir / "ledger.db")) as db:
        first, last, least, seconds = db.execute(
            "SELECT min(minute), max(minute), min(joules), min(seconds) FROM minute"
        ).fetchone()
        assert min(walls) // 60 <= first <= last <= max(walls) // 60 + 4
        assert least >= 0
        assert seconds >= 0
        for level in ("minute", "hour", "day"):
            rows = dict(
                db.execute(
                    f"SELECT device, sum(joules) FROM {level}"
                    " JOIN stream ON id = stream GROUP BY device"
                )
            )
            for device in COUNTERS:
                assert rows[device] == pytest.approx(world.true_joules(device), rel=WITHIN)
        (host,) = db.execute(
            "SELECT sum(amount) FROM quarter JOIN series ON id = series"
            " WHERE kind = 'host' AND name = 'energy'"
        ).fetchone()
        (body,) = db.execute("SELECT body FROM state").fetchone()
        state = msgspec.msgpack.decode(body, type=AgentState)
        still_open = state.reports.quarters.open.values()
        host += sum(rows["host\tenergy\tJ"][0] for rows in still_open if "host\tenergy\tJ" in rows)
        assert host == pytest.approx(world.outside.increase["host"], rel=0.01)
        # a minute that the clock showed once has at most its 60 s
        (most,) = db.execute("SELECT max(seconds) FROM minute").fetchone()
        assert most <= 60.0 * (2 + len(walls) // 2)


def reported(world: World, start: float, end: float) -> None:
    """Have a report made of it all, which has the host's energy, of one time or another."""
    done = wattlas(
        *("report", "kpi", "--json", "--state-dir", world.state_dir),
        *("--config", world.config),
        *("--from", iso(start // 900 * 900), "--to", iso((end // 900 + 1) * 900)),
    )
    assert (done.returncode, done.stderr) == (0, ""), done
    assert json.loads(done.stdout)["kpis"]


def iso(wall: float) -> str:
    """Return Unix time as a report takes it."""
    return datetime.fromtimestamp(wall, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
