"""Disks that are full, read-only, slow or failing: measuring goes on, nothing counts twice."""

import asyncio
import errno
import os
import resource
import shutil
import sqlite3
import threading
from pathlib import Path

import pytest
from structlog.testing import capture_logs
from unit.collectors.trees import Clock, readable_by_all, without_rights
from unit.ledger.rig import LEVELS, STREAMS, Day, begun, disk, lived, posting, sums, writer

from agent.ledger import Hopeless, Ledger
from agent.ledger.batch import Batch
from agent.ledger.writer import RETRY_SECONDS


def events(logs: list[dict[str, object]]) -> list[object]:
    return [line["event"] for line in logs]


async def until_up(day: Day) -> None:
    day.clock.now += RETRY_SECONDS
    await day.tick()
    assert day.writer.status().up, day.writer.status()


def test_a_full_disk(tmp_path):
    with disk(tmp_path / "disk", 400) as _:
        state_dir = tmp_path / "disk/state"
        ballast = tmp_path / "disk/ballast"

        async def life(day: Day) -> None:
            await day.tick(5)
            day.writer.keeper.ledger.make_room()  # else it would, and go on
            with pytest.raises(OSError, match="No space"):
                ballast.write_bytes(bytes(1 << 20))
            await day.tick(60)
            status = day.writer.status()
            assert not status.up
            assert "the disk is full; free some space" in status.why
            assert status.unsaved > 30
            assert status.failures < 30  # tried again every few seconds, not at each tick
            ballast.unlink()
            await until_up(day)
            assert day.writer.status().unsaved == 0

        day = Day(state_dir)
        with capture_logs() as logs:
            lived(day, life)
        assert events(logs) == ["ledger_failing", "ledger_recovered"]
        assert sums(state_dir) == dict.fromkeys(LEVELS, float(day.joules))


def test_a_full_disk_on_which_the_ledger_makes_its_own_room(tmp_path):
    with disk(tmp_path / "disk", 400) as _:

        async def life(day: Day) -> None:
            await day.tick(30)
            with pytest.raises(OSError, match="No space"):
                (tmp_path / "disk/ballast").write_bytes(bytes(1 << 20))
            await day.tick(200)
            assert day.writer.status().up

        day = Day(tmp_path / "disk/state")
        with capture_logs() as logs:
            lived(day, life)
        assert events(logs) == []
        assert sums(tmp_path / "disk/state") == dict.fromkeys(LEVELS, float(day.joules))


def test_a_disk_smaller_than_the_wal_may_get(tmp_path):
    """Else the WAL would fill it, and leave the main file no room to take the WAL in."""
    with disk(tmp_path / "disk", 600) as _:

        async def life(day: Day) -> None:
            for _ in range(400):
                await day.tick()
                assert day.writer.status().up

        day = Day(tmp_path / "disk/state")
        day.tick_seconds = 20.0  # new minutes and hours, so the main file must grow
        with capture_logs() as logs:
            lived(day, life)
        assert events(logs) == []


def test_full_from_the_start(tmp_path):
    with disk(tmp_path / "disk", 64) as _:
        ballast = tmp_path / "disk/ballast"
        with pytest.raises(OSError, match="No space"):
            ballast.write_bytes(bytes(1 << 20))

        async def life(day: Day) -> None:
            await day.tick(3)
            assert "the disk is full" in day.writer.status().why

        day = Day(tmp_path / "disk/state")
        lived(day, life)
        assert day.writer.status().unsaved == 3


def test_a_file_that_may_not_grow(tmp_path):
    """The same without the right to mount: a limit on the size of files."""
    begun(tmp_path)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    async def life(day: Day) -> None:
        await day.tick(5)
        resource.setrlimit(resource.RLIMIT_FSIZE, (4200, hard))  # not two pages
        try:
            await day.tick(30)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert not day.writer.status().up
        await until_up(day)

    day = Day(tmp_path)
    with capture_logs() as logs:
        lived(day, life)
    assert events(logs) == ["ledger_failing", "ledger_recovered"]
    assert sums(tmp_path) == dict.fromkeys(LEVELS, day.joules + 3.0)


@pytest.mark.parametrize("killed", [False, True])
def test_a_read_only_disk_at_the_start(tmp_path, killed):
    with disk(tmp_path / "disk", 4000) as remount:
        state_dir = tmp_path / "disk/state"
        begun(tmp_path / "made")
        ledger = Ledger.open(tmp_path / "made")
        ledger.load()
        ledger.commit([], b"newest", Batch())
        if killed:  # the newest is in the WAL only
            shutil.copytree(tmp_path / "made", state_dir)
        ledger.close()
        if not killed:
            shutil.copytree(tmp_path / "made", state_dir)
        remount("ro")
        found = []

        async def run() -> None:
            found.append(day.writer.open())
            await day.tick(3)
            assert not day.writer.status().up
            remount("rw")
            await until_up(day)
            await day.writer.close()

        day = Day(state_dir)
        with capture_logs() as logs:
            asyncio.run(run())
        assert found == [(STREAMS, b"newest")]
        assert events(logs) == ["ledger_failing", "ledger_recovered"]
        assert sums(state_dir) == dict.fromkeys(LEVELS, 3.0 + day.joules)


def test_unreadable_at_the_start_and_back_later_keeps_both(tmp_path, monkeypatch):
    begun(tmp_path, minutes=9)
    day = Day(tmp_path)
    other = STREAMS[::-1]

    async def run() -> None:
        with monkeypatch.context() as patch:
            patch.setattr(sqlite3, "connect", failing(sqlite3.OperationalError("disk I/O error")))
            assert day.writer.open() == ([], None)
        day.clock.now += RETRY_SECONDS
        day.writer.submit(other, b"anew", Batch([posting(1)]))
        assert day.writer._task is not None
        await day.writer._task
        await day.writer.close()

    with capture_logs() as logs:
        asyncio.run(run())
    assert events(logs) == ["ledger_failing", "ledger_set_aside", "ledger_recovered"]
    ledger = Ledger.open(tmp_path)
    assert ledger.load() == (other, b"anew")
    ledger.close()
    (kept,) = (p for p in tmp_path.glob("*.corrupt-*") if not p.name.endswith(("-wal", "-shm")))
    kept.rename(tmp_path / "ledger.db")
    assert sums(tmp_path) == dict.fromkeys(LEVELS, 9.0)


def failing(error: Exception):
    def fail(*_args, **_named):
        raise error

    return fail


@pytest.mark.parametrize("call", ["fdatasync", "checkpoint"])
def test_a_flush_that_fails_brings_nothing_back(tmp_path, monkeypatch, call):
    """What it should have flushed is committed: writing it again would count it twice."""

    async def life(day: Day) -> None:
        await day.tick(11)
        with monkeypatch.context() as patch:
            if call == "fdatasync":
                patch.setattr(os, "fdatasync", failing(OSError(errno.EIO, "Input/output error")))
            else:
                patch.setattr("agent.ledger.store.CHECKPOINT_PAGES", 0)
                error = sqlite3.OperationalError("disk I/O error")
                patch.setattr(Ledger, "_checkpoint", failing(error))
            await day.tick(25)
            assert not day.writer.status().up
        await until_up(day)

    day = Day(tmp_path)
    with capture_logs() as logs:
        lived(day, life)
    assert events(logs) == ["ledger_failing", "ledger_recovered"]
    assert sums(tmp_path) == dict.fromkeys(LEVELS, float(day.joules))


def test_a_bug_costs_no_posting(tmp_path, monkeypatch):
    async def life(day: Day) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(Ledger, "commit", failing(RuntimeError("a bug")))
            await day.tick(3)
        await until_up(day)

    day = Day(tmp_path)
    with capture_logs() as logs:
        lived(day, life)
    assert events(logs) == ["ledger_bug", "ledger_failing", "ledger_recovered"]
    assert sums(tmp_path) == dict.fromkeys(LEVELS, float(day.joules))


def test_a_disk_that_hangs_holds_up_nobody(tmp_path, monkeypatch):
    hangs, come_back = threading.Event(), threading.Event()
    commit = Ledger.commit

    def slow(*arguments):
        hangs.set()
        come_back.wait(30)
        return commit(*arguments)

    async def run() -> None:
        day.writer.open()
        monkeypatch.setattr(Ledger, "commit", slow)
        day.writer.submit(list(STREAMS), b"1", Batch([posting(1)]))
        await asyncio.to_thread(hangs.wait, 10)
        for minute in range(2, 50):
            day.writer.submit(list(STREAMS), b"%d" % minute, Batch([posting(minute)]))
        assert day.writer.status().unsaved == 48
        monkeypatch.setattr("agent.ledger.writer.CLOSE_SECONDS", 0.05)
        with capture_logs() as logs:
            await day.writer.close()
        assert events(logs) == ["ledger_close_timed_out"]
        come_back.set()

    day = Day(tmp_path)
    asyncio.run(run())
    day.writer._worker._thread.join(10)
    assert sums(tmp_path) == dict.fromkeys(LEVELS, 1.0)  # one commit, whole


def test_deleted_while_the_agent_runs(tmp_path):
    async def life(day: Day) -> None:
        await day.tick(5)
        (tmp_path / "ledger.db").unlink()
        await day.tick(15)
        assert day.writer.status().up

    day = Day(tmp_path)
    with capture_logs() as logs:
        lived(day, life)
    assert events(logs) == ["ledger_gone"]
    ledger = Ledger.open(tmp_path)
    assert ledger.load() == (STREAMS, b"20")
    ledger.close()


@pytest.mark.parametrize("mode", [0o555, 0o000])
def test_a_directory_that_is_not_ours(mode):
    def attempt(root: Path) -> str:
        try:
            writer(root / "state", Clock()).open()
        except Hopeless as error:
            return str(error)
        return ""

    with readable_by_all() as root:
        (root / "state").mkdir(mode=mode)
        said = without_rights(lambda: attempt(root))
    assert said.endswith(
        "state: cannot be written (Permission denied); make it writable for this user"
        " or set agent.state_dir to a directory that is"
    )


def test_something_else_is_in_the_way(tmp_path):
    (tmp_path / "file").write_text("mine")
    for state_dir in (tmp_path / "file", tmp_path / "file/state"):
        with pytest.raises(Hopeless, match=r"set agent\.state_dir"):
            writer(state_dir, Clock()).open()
    (tmp_path / "state/ledger.db").mkdir(parents=True)
    day = Day(tmp_path / "state")
    lived(day, lambda d: d.tick())
    assert not day.writer.status().up
