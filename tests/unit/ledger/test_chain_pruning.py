"""What is pruned was announced, and what was not announced is missed."""

import sqlite3
from contextlib import closing

import pytest
from unit.audit.made import FIRST_HOUR, checked, lived, said
from unit.ledger.chains import HOUR, kinds, newest, resumed
from unit.ledger.rig import rows

NOW = (FIRST_HOUR + 29) * 3600.0


def pruned(state_dir, minute_days=0.25, hour_days=0.5):
    life = resumed(lived(state_dir))
    life.ledger.prune(NOW, minute_days, hour_days)
    return life


def test_what_is_deleted_is_announced_and_not_missed(tmp_path):
    pruned(tmp_path).close()
    verdict = checked(tmp_path)
    assert said(verdict) == []
    assert any("were deleted after their retention" in remark for remark in verdict.remarks)
    assert kinds(tmp_path)[-1] == "prune"
    assert rows(tmp_path / "ledger.db", "SELECT min(hour) FROM hour") == [(FIRST_HOUR + 17,)]


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        (f"DELETE FROM hour WHERE hour = {FIRST_HOUR + 17}", "is missing"),
        (f"DELETE FROM minute WHERE minute / 60 = {FIRST_HOUR + 23}", "all rows are missing"),
        (f"INSERT INTO hour VALUES ({HOUR}, 0, 1.0, 1.0, 0.0)", "joules is 1.0, sealed as"),
    ],
)
def test_what_was_not_announced_is_missed(tmp_path, statement, expected):
    pruned(tmp_path).close()
    with closing(sqlite3.connect(tmp_path / "ledger.db")) as db, db:
        db.execute(statement)
    found = said(checked(tmp_path))
    assert found
    assert all(expected in line for line in found if "energy" in line or "minutes" in line)


def test_what_comes_late_for_a_pruned_hour_is_added_to_it(tmp_path):
    life = pruned(tmp_path)
    before = newest(tmp_path, HOUR)[2]
    for n in range(2):
        life.post(HOUR, 30 + n, 3.0)
        life.seal()
    assert said(checked(tmp_path)) == []
    life.ledger.prune(NOW + 3600, 0.25, 0.5)
    life.post(HOUR, 40, 3.0)
    life.seal()
    life.close()
    assert said(checked(tmp_path)) == []
    _, kind, body = newest(tmp_path, HOUR)
    assert kind == "restatement"
    assert body["energy"][0][1] == pytest.approx(before["energy"][0][1] + 3.0)
    assert body["minutes"] is None


def test_hours_that_are_not_sealed_are_not_pruned(tmp_path):
    life = resumed(lived(tmp_path))
    life.post(FIRST_HOUR + 28, 0)
    life.ledger.prune(NOW + 90 * 86400, 1.0, 1.0)
    life.close()
    assert rows(tmp_path / "ledger.db", "SELECT DISTINCT hour FROM hour") == [(FIRST_HOUR + 28,)]
