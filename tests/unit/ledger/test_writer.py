"""The writer: totals go on, memory is bounded, the disk is flushed rarely, old detail goes."""

import asyncio
import itertools
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs
from unit.ledger.rig import LEVELS, STREAMS, Day, begun, lived, posting, rows, sums

from agent.ledger import Ledger, LedgerError, writer
from agent.ledger import batch as waiting
from agent.ledger.batch import Batch
from agent.ledger.folding import fold
from agent.meter import Posting

TESTS = Path(__file__).parents[2]


def test_the_next_agent_goes_on_where_the_last_one_ended(tmp_path):
    for _ in range(3):
        day = Day(tmp_path)
        lived(day, lambda d: d.tick(5))
    again = Day(tmp_path)
    assert again.writer.open() == (STREAMS, b"5")
    asyncio.run(again.writer.close())
    assert sums(tmp_path) == dict.fromkeys(LEVELS, 15.0)


def test_a_clean_end_leaves_one_file(tmp_path):
    day = Day(tmp_path)
    lived(day, lambda d: d.tick(5))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["ledger.db", "lock"]
    status = day.writer.status()
    assert (status.up, status.failures, status.unsaved, status.why) == (True, 0, 0, "")
    assert status.size_bytes > 4096


def test_a_close_without_a_tick_writes_nothing(tmp_path):
    begun(tmp_path)
    lived(Day(tmp_path), lambda d: d.tick(0))
    ledger = Ledger.open(tmp_path)
    assert ledger.load() == (STREAMS, b"state")
    ledger.close()


def test_figures_are_shown_once_they_are_kept(tmp_path):
    """`kept` comes after the commit; at once while the disk fails; never for what is overtaken."""
    shown: list[tuple[str, bytes | None]] = []

    def keep(day: Day, name: str) -> None:
        def kept() -> None:
            shown.append((name, Ledger.peek(tmp_path)[1]))

        day.writer.submit(list(STREAMS), name.encode(), Batch(), kept)

    async def life(day: Day) -> None:
        keep(day, "overtaken")
        keep(day, "first")
        assert shown == []
        await day.writer._task
        keep(day, "next")
        await day.writer._task
        assert shown == [("first", b"first"), ("next", b"next")]
        day.writer._fail(LedgerError("the disk fails"))
        keep(day, "not kept")
        assert shown[2:] == [("not kept", b"next")]

    with capture_logs():
        lived(Day(tmp_path), life)


@given(
    st.lists(
        st.builds(
            Posting,
            st.integers(0, 60 * 24 * 400),
            st.integers(0, 3),
            st.integers(0, 1000).map(float),
            st.integers(0, 60).map(float),
            st.integers(0, 60).map(float),
        ),
        max_size=200,
    ),
    st.integers(4, 100),
)
def test_folding_keeps_energy_and_is_bounded(postings, at_most):
    folded = fold(postings, at_most)
    assert len(folded) <= max(at_most, 4)
    for stream in range(4):
        for amount in ("joules", "seconds", "gap_seconds"):
            before = sum(getattr(p, amount) for p in postings if p.stream == stream)
            assert sum(getattr(p, amount) for p in folded if p.stream == stream) == before
    if len(postings) <= at_most:
        assert folded == postings


def test_folding_gives_up_as_little_detail_as_it_can():
    postings = [posting(minute) for minute in range(1440 * 2)]
    by_hour = fold(postings, 48)
    assert [p.minute for p in by_hour] == list(range(0, 1440 * 2, 60))
    assert {p.joules for p in by_hour} == {60.0}
    assert [p.minute for p in fold(postings, 47)] == [0, 1440]


def test_what_waits_for_the_disk_is_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr(waiting, "MAX_UNSAVED", 100)
    day = Day(tmp_path)

    async def life(day: Day) -> None:
        (tmp_path / "ledger.db").rename(tmp_path / "away")
        os.mkfifo(tmp_path / "ledger.db")  # what SQLite cannot open
        day.writer.keeper.let_go()
        day.tick_seconds = 60.0
        for _ in range(2000):
            await day.tick()
            assert day.writer.status().unsaved <= 100
        (tmp_path / "ledger.db").unlink()
        (tmp_path / "away").rename(tmp_path / "ledger.db")
        day.clock.now += 3600.0
        await day.tick()
        assert day.writer.status().unsaved == 0

    monkeypatch.setattr(writer, "RETRY_SECONDS", 3600.0)
    with capture_logs() as logs:
        lived(day, life)
    assert [line["event"] for line in logs] == ["ledger_failing", "ledger_recovered"]
    assert sums(tmp_path) == dict.fromkeys(LEVELS, 2001.0)
    assert len(rows(tmp_path / "ledger.db", "SELECT * FROM hour")) > 10  # not all in one heap


def test_old_detail_goes_while_the_agent_runs(tmp_path):
    day = Day(tmp_path, minute_days=1.0, hour_days=3.0)
    day.tick_seconds = 1800.0
    lived(day, lambda d: d.tick(48 * 10))
    kept = {level: rows(tmp_path / "ledger.db", f"SELECT * FROM {level}") for level in LEVELS}
    assert 45 <= len(kept["minute"]) <= 52
    assert 70 <= len(kept["hour"]) <= 75
    assert 10 <= len(kept["day"]) <= 11
    assert sum(row[2] for row in kept["day"]) == day.joules


@pytest.mark.parametrize("step_days", [-1000, 1000])
def test_a_clock_that_was_set_wrong_deletes_nothing_true(tmp_path, step_days):
    day = Day(tmp_path, minute_days=7.0, hour_days=7.0)
    day.tick_seconds = 600.0
    wall = day.clock.wall

    began = int(wall() // 60)

    async def life(day: Day) -> None:
        await day.tick(12)
        day.clock.wall = lambda: wall() + step_days * 86400  # for two hours, until NTP mends it
        await day.tick(9)
        day.clock.wall = wall
        await day.tick(9)

    lived(day, life)
    true = f"SELECT * FROM minute WHERE minute BETWEEN {began} AND {began + 400}"
    assert len(rows(tmp_path / "ledger.db", true)) == 21
    assert sums(tmp_path)["day"] == 30


def count_syncs(tmp_path: Path, code: str, *arguments: object) -> list[float]:
    """Run Python code and return when it, or SQLite inside it, called fsync or fdatasync."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("no C compiler; scripts/test installs gcc")
    library, out = tmp_path / "syncs.so", tmp_path / "syncs"
    source = Path(__file__).with_name("syncs.c")
    subprocess.run([compiler, "-shared", "-fPIC", "-Wall", "-o", library, source], check=True)
    subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        env=os.environ | {"LD_PRELOAD": str(library), "SYNCS": str(out), "PYTHONPATH": str(TESTS)},
        check=True,
        timeout=60,
    )
    return [float(line) for line in out.read_text().split()]


RUN = """
import asyncio, sys, time
from pathlib import Path
from agent.clock import SystemClock
from unit.ledger.rig import STREAMS, posting
from agent.ledger import LedgerWriter, store
from agent.ledger.batch import Batch
store.CHECKPOINT_PAGES = int(sys.argv[2])

async def run():
    writer = LedgerWriter(
        Path(sys.argv[1]), SystemClock(), flush_seconds=0.5, minute_days=7, hour_days=400
    )
    writer.open()
    open(sys.argv[3], "a").write("0\\n")
    for n in range(250):
        writer.submit(list(STREAMS), bytes(2000), Batch([posting(n)]))
        await asyncio.sleep(0.01)
    open(sys.argv[3], "a").write("0\\n")
    await writer.close()

asyncio.run(run())
"""


@pytest.mark.parametrize("checkpoint_pages", [100_000, 50])
def test_the_disk_is_flushed_at_most_once_per_interval(tmp_path, checkpoint_pages):
    """Counted where they happen: in the C library, SQLite's own calls among them."""
    state_dir = tmp_path / "state"
    begun(state_dir)
    times = count_syncs(tmp_path, RUN, state_dir, checkpoint_pages, tmp_path / "syncs")
    first, last = (n for n, t in enumerate(times) if t == 0)
    while_running = times[first + 1 : last]
    flushes = [t for n, t in enumerate(while_running) if n == 0 or t - while_running[n - 1] > 0.25]
    assert 3 <= len(flushes) <= 6
    assert all(b - a > 0.45 for a, b in itertools.pairwise(flushes))
    # A checkpoint flushes the WAL, the file, and the next WAL's header; the first WAL has one too.
    most = 1 if checkpoint_pages == 100_000 else 4
    assert len(while_running) <= most * len(flushes) + 2
    assert len(times) - last - 1 >= 1  # at the end everything is on the disk


def test_every_tick_survives_a_copy_at_any_time(tmp_path):
    """A backup of the directory taken while the agent runs is a ledger."""
    dice = random.Random(3)

    async def life(day: Day) -> None:
        for number in range(30):
            await day.tick(dice.randrange(1, 4))
            copy = shutil.copytree(tmp_path / "state", tmp_path / f"copy-{number}")
            assert sums(copy) == dict.fromkeys(LEVELS, float(day.joules))

    lived(Day(tmp_path / "state"), life)
