"""Lives of an agent that end by SIGKILL, for test_kill.py: `python lives.py DIR KILLS SEED`.

Imports once and forks each life. After each kill the ledger is read as the killed process left it.
Every joule is a whole number, so sums are exact. Prints the joules that the last life left.
"""

import asyncio
import json
import mmap
import os
import random
import signal
import sqlite3
import struct
import sys
import time
from contextlib import closing
from pathlib import Path

from agent.clock import SystemClock
from agent.ledger import Ledger, LedgerWriter, store
from agent.ledger.batch import Batch
from agent.meter import Posting, StreamIdentity
from agent.quantities import Component, Quality

TICKS_A_MINUTE = 7
NEW_STREAM_EVERY = 50
LEVELS = {"minute": 1, "hour": 60, "day": 1440}


class Agent:
    """Totals and what of them is not yet posted, as the real one keeps them."""

    def __init__(self, body: bytes | None, dice: random.Random) -> None:
        start = {"tick": 0, "joules": [], "open": {}}
        self.state = json.loads(body) if body else start
        self.dice = dice

    def tick(self) -> tuple[list[StreamIdentity], bytes, list[Posting]]:
        state = self.state
        state["tick"] += 1
        joules, opened = state["joules"], state["open"]
        if len(joules) <= state["tick"] // NEW_STREAM_EVERY:
            joules.append(0)
        for stream in range(len(joules)):
            amount = self.dice.randrange(1000)
            joules[stream] += amount
            opened[str(stream)] = opened.get(str(stream), 0) + amount
        postings = []
        if state["tick"] % TICKS_A_MINUTE == 0:
            minute = state["tick"] // TICKS_A_MINUTE
            postings = [Posting(minute, int(s), j, 60.0, 0.0) for s, j in opened.items()]
            opened.clear()
        return streams(len(joules)), json.dumps(state).encode(), postings


def streams(count: int) -> list[StreamIdentity]:
    return [
        StreamIdentity("sim", Component.CPU, f"package-{n}", Quality.MEASURED) for n in range(count)
    ]


def direct(state_dir: Path, dice: random.Random, done: mmap.mmap) -> None:
    """Commit as fast as it goes, with flushes, checkpoints and prunings in between."""
    ledger = Ledger.open(state_dir)
    known, body = ledger.load()
    agent = Agent(body, dice)
    count = len(known)
    while True:
        identities, state, postings = agent.tick()
        ledger.commit(list(enumerate(identities))[count:], state, Batch(postings))
        count = len(identities)
        struct.pack_into("<q", done, 0, agent.state["tick"])  # from here on it may not be lost
        if dice.random() < 0.1:
            ledger.flush()
        if dice.random() < 0.02:
            ledger.prune(0.0, 1e6, 1e6)


async def through_the_writer(state_dir: Path, dice: random.Random) -> None:
    """As the running agent does it, with more ticks than the disk keeps up with."""
    writer = LedgerWriter(
        state_dir, SystemClock(), flush_seconds=0.005, minute_days=1e6, hour_days=1e6
    )
    _, body = writer.open()
    agent = Agent(body, dice)
    while True:
        identities, state, postings = agent.tick()
        writer.submit(identities, state, Batch(postings))
        await asyncio.sleep(0)


def check(state_dir: Path, done: int) -> int:
    """Compare totals and sums as the killed process left them; return the joules."""
    db = sqlite3.connect(f"{(state_dir / 'ledger.db').as_uri()}?mode=ro", uri=True)
    with closing(db):
        if not db.execute("SELECT count(*) FROM sqlite_master WHERE name = 'day'").fetchone()[0]:
            assert not done
            return 0
        found = db.execute("SELECT body FROM state").fetchone()
        state = json.loads(found[0]) if found else {"tick": 0, "joules": [], "open": {}}
        for stream, joules in enumerate(state["joules"]):
            expected = joules - state["open"].get(str(stream), 0)
            for level in LEVELS:
                (total,) = db.execute(
                    f"SELECT total(joules) FROM {level} WHERE stream = ?", (stream,)
                ).fetchone()
                assert total == expected, f"{level} of {stream}: {total} for {expected}"
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert len(db.execute("SELECT * FROM stream").fetchall()) == len(state["joules"])
    assert state["tick"] >= done, "a commit was lost"
    return sum(state["joules"])


def main() -> None:
    state_dir, kills, seed = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    store.CHECKPOINT_PAGES = 8  # type: ignore[misc]
    dice = random.Random(seed)
    done = mmap.mmap(-1, 8)
    joules = 0
    Ledger.open(state_dir).close()
    for number in range(kills):
        life = os.fork()
        if life == 0:
            mine = random.Random(seed * 1000 + number)
            try:
                if number % 2:
                    asyncio.run(through_the_writer(state_dir, mine))
                else:
                    direct(state_dir, mine, done)
            finally:
                os._exit(1)  # only a kill ends it
        time.sleep(dice.uniform(0.0, 0.05))
        os.kill(life, signal.SIGKILL)
        _, status = os.waitpid(life, 0)
        assert os.WIFSIGNALED(status), f"life {number} ended by itself: see above"
        now = check(state_dir, struct.unpack_from("<q", done)[0])
        assert now >= joules, "a total went down"
        joules = now
    identities, _ = Ledger.open(state_dir).load()
    assert identities == streams(len(identities))
    sys.stdout.write(f"{joules}\n")


if __name__ == "__main__":
    main()
