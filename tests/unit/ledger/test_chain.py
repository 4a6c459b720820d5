"""Hours are sealed once, restated when they change, and never lost or sealed twice."""

import sqlite3
from contextlib import closing

import pytest
from unit.audit.made import ABOUT, FEED, FIRST_HOUR, Life, checked, lived, said
from unit.ledger.chains import HOUR, kinds, newest, resumed
from unit.ledger.rig import STREAMS, rows

from agent.audit.canonical import unpack
from agent.ledger import Ledger, LedgerError, chain
from agent.ledger.batch import Batch
from agent.ledger.links import records
from agent.meter import Posting
from agent.quarters import QuarterPosting


def test_an_hour_is_sealed_once_when_it_is_over_and_settled(tmp_path):
    life = Life(tmp_path, signed=False)
    life.post(FIRST_HOUR, 59)
    end = (FIRST_HOUR + 1) * 3600.0
    for wall, expected in ((end + 1, 0), (end + 299, 0), (end + 301, 1), (end + 4000, 0)):
        assert life.seal(wall).written == expected
    life.close()
    assert kinds(tmp_path) == ["begin", "hour"]
    body = newest(tmp_path, FIRST_HOUR)[2]
    assert body["energy"] == [[0, 1.0 / 3, 59.9, 0.0], [1, 0.25, 59.9, 0.1], [2, 0.2, 59.9, 0.2]]
    assert body["minutes"]["rows"] == 3
    assert body["previous"] is None


def test_a_record_says_which_hour_was_sealed_before(tmp_path):
    life = Life(tmp_path, signed=False)
    life.live(2)
    life.hour += 40  # it did not run
    life.live(1)
    life.close()
    assert newest(tmp_path, FIRST_HOUR + 1)[2]["previous"] == FIRST_HOUR
    assert newest(tmp_path, FIRST_HOUR + 42)[2]["previous"] == FIRST_HOUR + 1
    assert said(checked(tmp_path)) == []


def test_a_late_posting_is_a_restatement(tmp_path):
    life = resumed(lived(tmp_path))
    life.post(HOUR, 59, 7.0)
    assert life.seal().written == 2  # its hour and its day
    assert life.seal().written == 0
    life.close()
    number, kind, body = newest(tmp_path, HOUR)
    assert kind == "restatement"
    assert body["changed"] == ["energy", "minutes"]
    assert body["restates"] < number
    assert body["energy"][0][1] == pytest.approx((4 * 101 + 2) / 3 + 7 / 3)
    assert newest(tmp_path, HOUR // 24 * 24, "day%")[1] == "day restatement"
    assert said(checked(tmp_path)) == []


def test_a_replaced_invoice_restates_the_hour_that_saw_it(tmp_path):
    life = resumed(lived(tmp_path))
    life.bill(10.0, 21.0, 31.0)
    life.hour += 1
    life.seal()
    life.close()
    _, kind, body = newest(tmp_path, FIRST_HOUR + 14)
    assert kind == "restatement"
    assert body["changed"] == ["invoices"]
    assert [(row[4], row[7] is None) for row in body["invoices"]] == [(21.0, True), (30.0, False)]
    assert said(checked(tmp_path)) == []


def test_a_posting_for_an_hour_without_rows_is_sealed_late(tmp_path):
    life = Life(tmp_path)
    life.live(1)
    life.hour += 3
    life.live(1)
    life.post(FIRST_HOUR + 2, 5, wall=life.hour * 3600.0)  # a disk that failed is back
    life.seal()
    life.close()
    number, kind, body = newest(tmp_path, FIRST_HOUR + 2)
    assert (kind, body["previous"]) == ("hour", FIRST_HOUR)
    assert number > newest(tmp_path, FIRST_HOUR + 4)[0]
    assert said(checked(tmp_path)) == []


@pytest.mark.parametrize("step", [-24, 24])
def test_a_clock_that_steps_a_day_and_comes_back_stays_verifiable(tmp_path, step):
    life = Life(tmp_path)
    life.live(30)
    true = life.hour
    life.hour += step
    life.live(2)
    life.hour = true + 2
    life.live(30)
    life.close()
    verdict = checked(tmp_path)
    assert said(verdict) == []
    assert any("clock was set back" in remark for remark in verdict.remarks)
    stepped = newest(tmp_path, true + step)
    assert stepped[1] == "restatement"
    assert stepped[2]["energy"][0][2] == pytest.approx(2 * 4 * 59.9)  # lived twice


def test_a_change_from_outside_is_not_sealed_anew(tmp_path):
    life = resumed(lived(tmp_path))
    with closing(sqlite3.connect(tmp_path / "ledger.db")) as other, other:
        other.execute(f"UPDATE hour SET joules = 5.0 WHERE hour = {HOUR} AND stream = 0")
    life.seal()
    life.hour += 3
    life.live(1)
    life.close()
    assert len([k for k in kinds(tmp_path) if k.endswith("restatement")]) == 1  # the invoice's
    (found,) = said(checked(tmp_path))
    assert "joules is 5.0, sealed as" in found


def test_a_change_from_outside_cannot_hide_behind_a_late_posting(tmp_path):
    life = resumed(lived(tmp_path))
    with closing(sqlite3.connect(tmp_path / "ledger.db")) as other, other:
        other.execute(f"UPDATE hour SET joules = 5.0 WHERE hour = {HOUR} AND stream = 0")
    life.post(HOUR, 59, 7.0)
    life.seal()
    life.close()
    found = said(checked(tmp_path))
    assert len(found) == 1
    assert "the agent itself found something changed: energy: rapl cpu package-0" in found[0]
    assert "hour 2026-01-01T01:00Z" in found[0]


def test_a_chain_that_is_cut_while_the_agent_runs_says_so_for_ever(tmp_path):
    life = resumed(lived(tmp_path))
    done = life.seal()
    with closing(sqlite3.connect(tmp_path / "ledger.db")) as other, other:
        other.execute("DELETE FROM chain WHERE number > 30")
        other.execute("DELETE FROM hour WHERE hour > 490916")
    life.live(1)
    life.seal(known=done.head)
    life.close()
    assert any("the chain was cut or changed" in line for line in said(checked(tmp_path)))


def test_seal_and_posting_stand_or_fall_together(tmp_path):
    life = Life(tmp_path, signed=False)
    life.live(1)
    bad = [QuarterPosting(HOUR * 4, FEED, float("nan"), 1.0, 0.0)]
    with pytest.raises(LedgerError):
        life.commit(0.0, Batch([Posting(HOUR * 60, 0, 1.0, 60.0, 0.0)], quarters=bad))
    assert rows(tmp_path / "ledger.db", "SELECT * FROM unsealed WHERE span = 'hour'") == []

    def fails(db):
        chain.seal_due(db, HOUR * 3600.0, ABOUT)
        raise sqlite3.OperationalError("disk I/O error")

    life.meter.streams[0].joules -= 1.0
    life.post(FIRST_HOUR + 1, 0)
    for _ in range(3):
        with pytest.raises(LedgerError):
            life.ledger.ask(fails)
    assert kinds(tmp_path) == ["begin", "hour"]
    life.seal(HOUR * 3600.0)
    life.close()
    assert kinds(tmp_path) == ["begin", "hour", "hour", "day"]
    assert said(checked(tmp_path)) == []


def test_many_hours_are_sealed_some_at_a_time(tmp_path):
    life = Life(tmp_path, signed=False)
    for n in range(8):
        life.post(FIRST_HOUR + n, 0)
    life.hour += 8
    turns = [life.seal() for _ in range(4)]
    assert [turn.more for turn in turns] == [True, True, False, False]
    assert sum(turn.written for turn in turns) == 9  # hours, and the day that is over
    life.close()
    assert said(checked(tmp_path)) == []


def test_a_ledger_of_before_is_adopted_and_says_so(tmp_path):
    lived(tmp_path, signed=False)
    with closing(sqlite3.connect(tmp_path / "ledger.db")) as db, db:
        db.execute("DROP TABLE chain")
        db.execute("DROP TABLE unsealed")
        db.execute("DROP INDEX idx_intensity_fetched_at")
        db.execute("DELETE FROM _sqlite_migrations WHERE name = 'm005_chain'")
        db.execute("PRAGMA user_version = 4")
    Ledger.open(tmp_path).close()
    assert rows(tmp_path / "ledger.db", "SELECT count(*) FROM unsealed") == [(30,)]
    life = resumed(tmp_path)
    life.seal()
    verdict = checked(tmp_path)
    assert said(verdict) == []
    assert any("still wait to be sealed" in remark for remark in verdict.remarks)
    while life.seal().more:
        pass
    life.live(1)
    life.close()
    verdict = checked(tmp_path)
    assert said(verdict) == []
    assert verdict.facts["adopted"] == 28
    assert any("28 hours were there before the chain" in remark for remark in verdict.remarks)
    assert kinds(tmp_path).count("day adopted") == 2


def test_totals_that_came_from_another_ledger_are_no_fault(tmp_path):
    """A new ledger after a corrupt one begins with totals that its days do not have."""
    life = Life(tmp_path)
    life.meter.streams[1].joules = 5e6
    life.live(3)
    life.close()
    assert newest(tmp_path, FIRST_HOUR + 1, "begin")[2]["unexplained"] == {"1": 5e6}
    assert said(checked(tmp_path)) == []


def test_records_are_bound_in_order(tmp_path):
    lived(tmp_path)
    with closing(sqlite3.connect(tmp_path / "ledger.db")) as db:
        found = list(records(db))
    assert [record.number for record in found] == list(range(1, len(found) + 1))
    assert found[0].kind == "begin"
    begin = unpack(found[0].body)
    assert (begin["host"], begin["format"]) == ("h1", 1)


def test_two_chains_of_the_same_life_are_two(tmp_path):
    first = checked(lived(tmp_path / "1", 2)).facts["head"]["hash"]
    assert first != checked(lived(tmp_path / "2", 2)).facts["head"]["hash"]


def test_a_new_ledger_has_the_streams_of_the_rig(tmp_path):
    life = Life(tmp_path)
    life.live(1)
    life.close()
    ledger = Ledger.open(tmp_path)
    assert ledger.load()[0] == STREAMS
    ledger.close()
