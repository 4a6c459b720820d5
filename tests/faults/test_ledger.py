"""Ledgers spoilt at random places, while the agent runs and while it is stopped."""

import asyncio
import os
import random
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from faults.world import COUNTERS, WALL, WITHIN, World, asides, quick, spoil
from structlog.testing import capture_logs

from agent.ledger import Ledger, LedgerError
from agent.ledger.keeper import CHECK_AFTER_SECONDS

pytestmark = [pytest.mark.e2e, pytest.mark.parallel, pytest.mark.timeout(3000)]

MOST_BYTES = 64 * 1024
SAID = {"ledger_corrupt", "ledger_is_behind", "history_unknown"}
"""What the log may say: that it was set aside, lost its end, or does not show its past."""


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A server and its agent."""
    with quick():
        made = World(tmp_path / "world")
        yield made
        made.close()


def damage(path: Path, dice: random.Random, *, cut: bool) -> None:
    """Overwrite some of a file, anywhere; or cut it there."""
    size = path.stat().st_size
    if size == 0:
        return
    offset = dice.randrange(size)
    if cut:
        os.truncate(path, offset)
        return
    length = min(int(MOST_BYTES ** dice.random()), size - offset)
    data = dice.choice((dice.randbytes(length), bytes(length), b"\xff" * length))
    spoil(path, offset, data)


def tidy(state_dir: Path) -> int:
    """Move away what was set aside, as a person would; return how many ledgers that were."""
    kept = asides(state_dir)
    for path in state_dir.glob("ledger.db.corrupt-*"):
        path.unlink()
    return len(kept)


def test_spoilt_while_it_runs(
    world: World, count: Callable[[int, int], int], tell: Callable[..., None]
) -> None:
    trials = count(9, 600)
    dice = random.Random(20260704)
    set_aside = 0

    async def life() -> None:
        nonlocal set_aside
        world.start()
        await world.live(60)
        for number in range(trials):
            name = dice.choice(("ledger.db", "ledger.db", "ledger.db-wal"))
            damage(world.state_dir / name, dice, cut=dice.random() < 0.2)
            await world.live(dice.randrange(1, 60))
            match number % 6:
                case 3:
                    await world.stop()
                    world.start()
                case 5:
                    await world.kill()
                    world.start()
            await world.live(10)
            assert world.ledger is not None
            assert world.ledger.status().up, world.ledger.status()
            assert world.ledger.status().unsaved == 0
            set_aside += tidy(world.state_dir)
        await world.live(CHECK_AFTER_SECONDS + 5)  # the whole file is looked at
        await world.stop()
        set_aside += tidy(world.state_dir)

    with capture_logs() as logs:
        asyncio.run(life())
    said = Counter(str(line["event"]) for line in logs)
    # more is said where it shows only as a life ends by what is called a kill here
    assert said["ledger_corrupt"] >= set_aside > 0
    assert not world.outside.falls, world.outside.falls[:5]
    error = max(world.error(device) for device in (*COUNTERS, WALL))
    assert error < WITHIN
    ledger = Ledger.open(world.state_dir)
    ledger.load()
    ledger.check()
    ledger.close()
    tell("ledger spoilt while it runs", trials=trials, error=error, set_aside=set_aside)


@pytest.mark.parametrize("how", ["killed", "stopped"])
def test_spoilt_while_no_agent_runs(
    world: World, count: Callable[[int, int], int], tell: Callable[..., None], how: str
) -> None:
    """In the same boot totals go on from what was shown; the ledger is set aside, or mended."""
    trials = count(6, 500)
    dice = random.Random(20260705)
    found: Counter[str] = Counter()

    async def lives() -> None:
        world.start()
        await world.live(90)
        for _ in range(trials):
            await (world.kill() if how == "killed" else world.stop())
            files = sorted(p for p in world.state_dir.iterdir() if p.name != "lock")
            path = dice.choice(files)
            damage(path, dice, cut=dice.random() < 0.4)
            world.start()
            await world.live(dice.randrange(2, 90))
            assert world.ledger is not None
            assert world.ledger.status().up, world.ledger.status()
            kept = tidy(world.state_dir)
            found["set aside" if kept else "gone on"] += 1
        await world.live(CHECK_AFTER_SECONDS + 5)
        await world.stop()
        tidy(world.state_dir)

    with capture_logs() as logs:
        asyncio.run(lives())
    assert {line["event"] for line in logs} <= SAID
    assert not world.outside.falls, world.outside.falls[:5]
    error = max(world.error(device) for device in (*COUNTERS, WALL))
    assert error < WITHIN
    tell(f"ledger spoilt, agent {how}", trials=trials, error=error, set_aside=found["set aside"])


def test_spoilt_and_nothing_else_left(
    world: World, count: Callable[[int, int], int], tell: Callable[..., None]
) -> None:
    """After a reboot there is no copy of what was shown: totals begin anew, at 0 and not between.

    A counter that goes back to 0 is counted right from outside; one that goes back a little is
    counted twice.
    """
    trials = count(4, 300)
    dice = random.Random(20260706)
    set_aside = 0

    async def lives() -> None:
        nonlocal set_aside
        world.start()
        await world.live(60)
        for _ in range(trials):
            await world.stop()
            (world.root / "work.state").unlink()
            spoilt = damaged_until_it_shows(world.state_dir, dice)
            before = {d: world.outside.increase[d] for d in COUNTERS}
            world.start()
            since = world.clock.now
            await world.live(dice.randrange(20, 120))
            (kept,) = asides(world.state_dir)
            assert kept.read_bytes() == spoilt
            set_aside += tidy(world.state_dir)
            for device in COUNTERS:  # all since the first reading of this life, and no more
                rise = world.outside.increase[device] - before[device]
                assert rise == pytest.approx(world.true_joules(device, since), rel=WITHIN)
        await world.stop()

    with capture_logs() as logs:
        asyncio.run(lives())
    assert "ledger_corrupt" in {line["event"] for line in logs} <= SAID
    tell("ledger spoilt, and no copy", trials=trials, set_aside=set_aside)


def damaged_until_it_shows(state_dir: Path, dice: random.Random) -> bytes:
    """Damage a closed ledger where opening it shows; return what it is then."""
    path, good = state_dir / "ledger.db", state_dir / "good"
    shutil.copy(path, good)
    while True:
        damage(path, dice, cut=dice.random() < 0.3)
        spoilt = path.read_bytes()
        if spoilt:
            probe = state_dir / "probe"
            probe.mkdir()
            (probe / "ledger.db").write_bytes(spoilt)
            try:
                Ledger.open_loaded(probe)[0].close()
            except LedgerError:
                good.unlink()
                return spoilt
            finally:
                shutil.rmtree(probe)
        shutil.copy(good, path)
