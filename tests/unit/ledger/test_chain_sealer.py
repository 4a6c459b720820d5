"""The writer seals while the agent runs, and another process signs; neither holds anything up."""

import asyncio
import os
import sqlite3
import stat
import time
from contextlib import closing

from structlog.testing import capture_logs
from unit.audit.made import checked, said
from unit.ledger.rig import STREAMS, Day, lived, posting, rows, sums

from agent.audit.keys import public_of, read_public
from agent.audit.signer import load, make
from agent.ledger import Ledger, LedgerWriter, sealing, signing
from agent.ledger.batch import Batch
from agent.ledger.sealing import Sealing
from agent.ledger.signing import Child

PATIENCE_SECONDS = 60.0


def day_of(state_dir, *, signed=True) -> Day:
    """An agent whose ticks are a quarter of an hour apart, and which signs."""
    Ledger.open(state_dir).close()
    day = Day(state_dir)
    key_file = state_dir / "host.key" if signed else None
    day.writer = LedgerWriter(
        state_dir,
        day.clock,
        flush_seconds=10.0,
        minute_days=7.0,
        hour_days=400.0,
        sealing=Sealing(key_file, state_dir / "host.pub", True, {"host": "h1"}),
    )
    day.tick_seconds = 900.0
    return day


async def signed(day: Day) -> None:
    """Tick on until every record has a signature; virtual time stands still."""
    day.tick_seconds = 0.0
    end = time.monotonic() + PATIENCE_SECONDS
    while True:
        await day.tick()
        found = rows(day.dir / "ledger.db", "SELECT count(*), count(signature) FROM chain")
        if found[0][0] == found[0][1] > 1:
            return
        assert time.monotonic() < end, found
        await asyncio.sleep(0.02)


def test_a_running_writer_seals_and_another_process_signs(tmp_path):
    day = day_of(tmp_path)

    async def life(day: Day) -> None:
        assert day.writer.status().records is None
        await day.tick(4 * 30)
        await signed(day)
        assert day.writer.status().records == 34  # a beginning, a key, hours and days
        assert said(checked(tmp_path)) == []  # beside the writer

    lived(day, life)
    verdict = checked(tmp_path, trusted=[read_public(tmp_path / "host.pub")])
    assert said(verdict) == []
    assert verdict.facts["signed"] == verdict.facts["records"]
    assert stat.S_IMODE((tmp_path / "host.key").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "host.pub").stat().st_mode) == 0o644
    assert public_of(load(tmp_path / "host.key")) == read_public(tmp_path / "host.pub")
    assert set(sums(tmp_path).values()) == {float(day.joules)}


def test_a_long_past_is_sealed_without_a_program_for_every_step(tmp_path, monkeypatch):
    """A year that was there before there was a chain is some thousand steps."""
    hours, at_once = 72, 32
    monkeypatch.setattr(sealing, "SIGNED_AT_ONCE", at_once)
    started = []

    class Counted(Child):
        def __init__(self, key_file, public_file, records, **more):
            started.append(len(records))
            super().__init__(key_file, public_file, records, **more)

    monkeypatch.setattr(sealing, "Child", Counted)
    day = day_of(tmp_path)
    now = int(day.clock.wall() // 60)
    past = [posting(now - 60 * n) for n in range(2, 2 + hours)]
    ledger = Ledger.open(tmp_path)
    ledger.commit(list(enumerate(STREAMS)), b"0", Batch(past))
    ledger.close()

    async def life(day: Day) -> None:
        day.tick_seconds = 1.0
        steps = 0
        while day.writer.keeper.sealer._more or day.writer.status().records in {None, 0, 1}:
            await day.tick()
            if (child := day.writer.keeper.sealer._child) is not None:
                child._process.wait(PATIENCE_SECONDS)
            steps += 1
        assert steps >= hours / 4
        assert len(started) <= 2 + hours / at_once
        await signed(day)

    lived(day, life)
    assert sum(started) >= hours
    assert said(checked(tmp_path)) == []


def test_signatures_are_made_up_for_when_signing_works_again(tmp_path, monkeypatch):
    (tmp_path / "host.key").write_text("no key")
    monkeypatch.setattr(sealing, "AGAIN_SECONDS", 0.0)
    day = day_of(tmp_path)

    async def life(day: Day) -> None:
        end = time.monotonic() + PATIENCE_SECONDS
        while not any(line["event"] == "ledger_not_signed" for line in logs):
            await day.tick()
            assert time.monotonic() < end
        assert day.writer.status().up
        assert day.writer.status().records >= 1
        (tmp_path / "host.key").unlink()
        await signed(day)

    with capture_logs() as logs:
        lived(day, life)
    told = [line for line in logs if line["event"].startswith("ledger")]
    assert [line["event"] for line in told] == ["ledger_not_signed", "ledger_signed_again"]
    assert "is no Ed25519 private key" in told[0]["why"]
    assert said(checked(tmp_path)) == []


def test_a_new_key_takes_over_from_the_old_one_which_signs_for_it(tmp_path):
    day = day_of(tmp_path)

    async def life(day: Day) -> None:
        await day.tick(9)
        await signed(day)
        make(tmp_path / "host.key.next")
        for _ in range(2):
            day.tick_seconds = 900.0
            await day.tick(9)
            await signed(day)

    lived(day, life)
    old = checked(tmp_path).facts["keys"][0]
    verdict = checked(tmp_path, trusted=[bytes.fromhex(old)])
    assert said(verdict) == []
    assert len(verdict.facts["keys"]) == 2
    assert not (tmp_path / "host.key.next").exists()
    assert public_of(load(tmp_path / "host.key")).hex() == verdict.facts["keys"][1]


def test_a_lost_key_is_replaced_and_the_chain_says_so(tmp_path):
    for _ in range(2):
        day = day_of(tmp_path)

        async def life(day: Day) -> None:
            await day.tick(9)
            await signed(day)

        lived(day, life)
        (tmp_path / "host.key").unlink()
    (found,) = said(checked(tmp_path))
    assert "a new key that the one before it did not sign" in found


def test_without_a_key_hours_are_sealed_and_not_signed(tmp_path):
    lived(day_of(tmp_path, signed=False), lambda d: d.tick(20))
    verdict = checked(tmp_path)
    assert said(verdict) == []
    assert verdict.facts["hours"] >= 3
    assert any("not signed" in remark for remark in verdict.remarks)
    assert not (tmp_path / "host.key").exists()


def test_the_end_does_not_wait_for_a_signer_and_leaves_none_behind(tmp_path):
    day = day_of(tmp_path)
    processes = []

    async def life(day: Day) -> None:
        await day.tick(2)  # at the second it is late enough for a signer
        processes.append(day.writer.keeper.sealer._child._process)

    lived(day, life)
    assert processes[0].returncode is not None


def test_a_signer_that_hangs_is_ended(tmp_path, monkeypatch):
    os.mkfifo(tmp_path / "host.key")
    child = Child(tmp_path / "host.key", tmp_path / "host.pub", [], make=False, promote=None)
    assert child.answer() is None
    monkeypatch.setattr(signing, "CHILD_SECONDS", 0.0)
    answer = child.answer()
    assert answer is not None
    assert "took longer" in answer.error


def test_a_chain_is_sealed_on_by_the_next_agent(tmp_path):
    for _ in range(3):
        lived(day_of(tmp_path, signed=False), lambda d: d.tick(20))
    verdict = checked(tmp_path)
    assert said(verdict) == []
    assert verdict.facts["hours"] >= 3
    assert verdict.facts["head"]["number"] == verdict.facts["records"]


def test_a_bug_in_sealing_costs_no_energy(tmp_path, monkeypatch):
    def fails(*_: object, **__: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(sealing, "seal_due", fails)
    day = day_of(tmp_path, signed=False)
    with capture_logs() as logs:
        lived(day, lambda d: d.tick(10))
    assert [line["event"] for line in logs].count("ledger_not_sealed") == 1
    assert set(sums(tmp_path).values()) == {float(day.joules)}
    assert day.writer.status().up


def test_pruning_goes_with_the_chain(tmp_path):
    day = day_of(tmp_path, signed=False)
    day.writer.keeper._retention = (0.25, 0.5)
    lived(day, lambda d: d.tick(4 * 40))
    with closing(sqlite3.connect(tmp_path / "ledger.db")) as db:
        assert db.execute("SELECT count(*) FROM chain WHERE kind = 'prune'").fetchone()[0] > 10
    assert said(checked(tmp_path)) == []
