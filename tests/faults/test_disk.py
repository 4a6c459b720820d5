"""Disks that fill up, turn read-only, fail or hang, and come back, under an agent that goes on.

Here on virtual time; `test_disk_process.py` does it to a whole agent in real time.
"""

import asyncio
import contextlib
import random
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from faults.world import COUNTERS, WALL, WITHIN, World, quick
from structlog.testing import capture_logs
from unit.ledger.rig import disk

pytestmark = [pytest.mark.e2e, pytest.mark.parallel, pytest.mark.timeout(3000)]

KILOBYTES = 2000
"""The disk's size: less than the WAL may grow to before it is emptied for its length."""


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A server whose agent has a small disk of its own."""
    with disk(tmp_path / "disk", KILOBYTES), quick():
        made = World(tmp_path / "world", state_dir=tmp_path / "disk/state")
        yield made
        made.close()


def fill(world: World, *, all_of_it: bool) -> None:
    """Take what is left of the disk; `all_of_it`: also what the ledger could free by itself."""
    ballast = world.state_dir.parent / "ballast"
    if all_of_it:
        assert world.ledger is not None
        assert world.ledger.keeper.ledger is not None
        world.ledger.keeper.ledger.make_room()
    with ballast.open("ab", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(bytes(4096)):
            pass


def posted(world: World) -> dict[str, float]:
    """Return what the ledger has of each device in its rows, J."""
    with closing(sqlite3.connect(world.state_dir / "ledger.db")) as db:
        return dict(
            db.execute(
                "SELECT device, sum(joules) FROM day JOIN stream ON id = stream GROUP BY device"
            )
        )


def check(world: World) -> float:
    """Compare all that there is with the truth; return the largest relative error."""
    assert not world.outside.falls, world.outside.falls[:5]
    errors = [world.error(device) for device in (*COUNTERS, WALL)]
    assert max(errors) < WITHIN, errors
    rows = posted(world)
    for device in (*COUNTERS, WALL):
        assert rows[device] == pytest.approx(world.outside.increase[device], rel=WITHIN)
    return max(errors)


def test_a_disk_that_is_full_now_and_then(
    world: World, count: Callable[[int, int], int], tell: Callable[..., None]
) -> None:
    trials = count(3, 60)
    dice = random.Random(20260701)
    ballast = world.state_dir.parent / "ballast"

    async def life() -> None:
        world.start()
        await world.live(60)
        for number in range(trials):
            fill(world, all_of_it=number % 2 == 0)
            await world.live(dice.randrange(5, 200))
            assert world.ledger is not None
            ballast.unlink()
            await world.live(dice.randrange(6, 60))
            assert world.ledger.status().up, world.ledger.status()
            assert world.ledger.status().unsaved == 0
        await world.stop()

    with capture_logs() as logs:
        asyncio.run(life())
    assert {line["event"] for line in logs} == {"ledger_failing", "ledger_recovered"}
    tell("disk full, and free again", trials=trials, error=check(world))


def test_killed_while_the_disk_is_full(
    world: World, count: Callable[[int, int], int], tell: Callable[..., None]
) -> None:
    """What was shown and could not be written is not taken back by the next life."""
    trials = count(2, 40)
    dice = random.Random(20260702)
    ballast = world.state_dir.parent / "ballast"

    async def lives() -> None:
        world.start()
        await world.live(30)
        for _ in range(trials):
            fill(world, all_of_it=True)
            await world.live(dice.randrange(20, 200))
            await world.kill()
            world.start()
            await world.live(dice.randrange(2, 30))
            ballast.unlink()
            await world.live(dice.randrange(10, 60))
            assert world.ledger is not None
            assert world.ledger.status().up, world.ledger.status()
        await world.stop()

    with capture_logs() as logs:
        asyncio.run(lives())
    assert sum(line["event"] == "ledger_is_behind" for line in logs) == trials
    tell("disk full, and the agent killed meanwhile", trials=trials, error=check(world))


def test_restarted_on_a_read_only_disk(
    tmp_path: Path, count: Callable[[int, int], int], tell: Callable[..., None]
) -> None:
    """Killed, and started again and again while nothing can be written."""
    trials = count(2, 40)
    dice = random.Random(20260703)

    async def lives() -> None:
        world.start()
        await world.live(dice.randrange(20, 100))
        for _ in range(trials):
            await world.kill()
            remount("ro")
            for _ in range(2):
                world.start()
                await world.live(dice.randrange(5, 60))
                assert world.ledger is not None
                assert not world.ledger.status().up
                await world.abandon()
            remount("rw")
            world.start()
            await world.live(dice.randrange(5, 60))
            assert world.ledger.status().up, world.ledger.status()
        await world.stop()

    with disk(tmp_path / "disk", KILOBYTES) as remount, quick():
        world = World(tmp_path / "world", state_dir=tmp_path / "disk/state")
        with capture_logs() as logs:
            asyncio.run(lives())
        # the first life on the read-only disk has all from the ledger, the other two have not
        assert sum(line["event"] == "ledger_is_behind" for line in logs) == 2 * trials
        tell("disk read-only, and the agent killed meanwhile", trials=trials, error=check(world))
        world.close()
