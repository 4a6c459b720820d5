"""What was changed in a ledger's tables is found and named; what the agent did itself is not."""

import sqlite3
import zlib
from contextlib import closing

import pytest
from unit.audit.made import FIRST_HOUR, Life, check, checked, said

from agent.ledger.batch import Batch

HOUR = FIRST_HOUR + 5
"""2026-01-01T01:00Z, sealed by record 9."""
AT = "record 9, hour 2026-01-01T01:00Z: "
DAY = "hour 2026-01-01T00:00Z: day: "


def tampered(state_dir, *statements):
    with closing(sqlite3.connect(state_dir / "ledger.db")) as db, db:
        for statement in statements:
            assert db.execute(statement).rowcount != 0, statement
    return said(checked(state_dir))


def test_an_untouched_ledger_is_clean_and_says_what_it_has(original):
    verdict = checked(original)
    assert said(verdict) == []
    assert verdict.facts["records"] == 33
    assert verdict.facts["hours"] == 28
    assert verdict.facts["signed"] == 33
    assert verdict.facts["newest_hour"] == "2026-01-01T23:00Z"
    assert verdict.remarks == []


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        (
            f"UPDATE hour SET joules = joules + 1e-9 WHERE hour = {HOUR} AND stream = 1",
            AT + 'energy: hwmon platform power1 "wäll" integrated: joules is 101.500000001,'
            " sealed as 101.5",
        ),
        (
            f"DELETE FROM hour WHERE hour = {HOUR} AND stream = 0",
            AT + "energy: rapl cpu package-0 measured is missing",
        ),
        (
            f"INSERT INTO hour VALUES ({HOUR}, 7, 1.0, 1.0, 0.0)",
            AT + "energy: streams 7 was inserted",
        ),
        (
            f"INSERT INTO hour VALUES ({FIRST_HOUR - 9}, 0, 1.0, 1.0, 0.0)",
            "hour 2025-12-31T11:00Z: has rows and no record: they were inserted, or its record",
        ),
        (
            f"UPDATE minute SET gap_seconds = 0.2 WHERE minute = {HOUR * 60} AND stream = 1",
            AT + "minutes: a row was changed (their digest is not the sealed one)",
        ),
        (
            f"DELETE FROM minute WHERE minute = {HOUR * 60} AND stream = 1",
            AT + "minutes: 11 rows, sealed with 12",
        ),
        (
            f"UPDATE quarter SET amount = 0 WHERE quarter = {HOUR * 4 + 1} AND series = 1",
            AT + "quarters: meter feed J of 2026-01-01T01:15:00Z: amount is 0.0, sealed as 250.0",
        ),
        (
            "UPDATE record SET amount = 11.0 WHERE id = 1",
            "record 18, hour 2025-12-31T20:00Z: invoices: row 1: amount is 11.0, sealed as 10.0",
        ),
        (
            f"UPDATE intensity SET grams_per_kwh = 1.0 WHERE fetched_at = {HOUR * 3600 + 1800}",
            AT + "intensities: static CN-GD location direct measured from 2026-01-01T01:00Z:"
            " grams_per_kwh is 1.0, sealed as 443.3",
        ),
        (
            "UPDATE document SET body = '{}'",
            "record 19: the document 'inventory' was changed",
        ),
        (
            "DELETE FROM document",
            "record 19: the document 'inventory' was taken away",
        ),
        (
            "UPDATE day SET seconds = seconds + 1 WHERE stream = 2 AND day = 20454",
            DAY + "energy: rapl platform psys measured: seconds is ",
        ),
        (
            "UPDATE state SET body = x'00'",
            "the agent's state or the names of streams: ledger.db: the saved state does not match",
        ),
        (
            "CREATE TRIGGER later AFTER INSERT ON hour BEGIN SELECT 1; END",
            "has a trigger 'later' that Wattlas did not make",
        ),
        (
            "INSERT INTO hour VALUES ('soon', 0, 1.0, 1.0, 0.0)",
            "hours: a row has the time 'soon', which is none",
        ),
        (
            "INSERT INTO quarter VALUES (99, 5, 1.0, 1.0, 0.0)",
            "quarters: a row of quarter 5 has the series 99, which is none",
        ),
        (
            "DELETE FROM chain WHERE number = 9",
            "record 9: record 9 is missing",
        ),
        (
            "DELETE FROM chain WHERE number > 20",
            "has rows and no record: they were inserted, or its record was taken away",
        ),
    ],
)  # fmt: skip
def test_a_change_is_named(state_dir, statement, expected):
    found = tampered(state_dir, statement)
    assert any(expected in line for line in found), found


def test_a_renamed_stream_is_named_though_its_checksum_is_mended(state_dir):
    seal = 0
    for line in ("rapl\ncpu\npackage-1\nmeasured\n1\n",
                 'hwmon\nplatform\npower1 "wäll"\nintegrated\n1\n',
                 "rapl\nplatform\npsys\nmeasured\n0\n"):  # fmt: skip
        seal = zlib.crc32(line.encode(), seal)
    with closing(sqlite3.connect(state_dir / "ledger.db")) as db:
        (body,) = db.execute("SELECT body FROM state").fetchone()
    found = tampered(
        state_dir,
        "UPDATE stream SET device = 'package-1' WHERE id = 0",
        f"UPDATE state SET crc32 = {zlib.crc32(body, seal)}",
    )
    assert len(found) == 30  # each hour and day that has it
    assert AT + "stream 0: device is 'package-1', sealed as 'package-0'" in found


def test_a_change_before_the_seal_is_found_by_the_totals(state_dir):
    """The agent's totals are kept apart, with a checksum of their own."""
    life = Life(state_dir)
    life.hour = FIRST_HOUR + 28
    life.post(life.hour, 0, 100.0)
    life.ledger.ask(lambda db: db.execute("UPDATE hour SET joules = 1 WHERE stream = 0"
                                          f" AND hour = {life.hour}"))  # fmt: skip
    life.ledger.ask(lambda db: db.execute("UPDATE day SET joules = 1 WHERE stream = 0"
                                          f" AND day = {life.hour // 24}"))  # fmt: skip
    life.hour += 1
    life.seal()
    life.close()
    (found,) = said(checked(state_dir))
    assert found.startswith("the days of stream 0 add up to +32.3333 J less than the agent's total")


def test_an_open_day_is_compared_with_its_hours(state_dir):
    life = Life(state_dir)
    life.hour = FIRST_HOUR + 28
    life.live(2)
    life.close()
    assert said(checked(state_dir)) == []
    day = life.hour // 24
    found = tampered(state_dir, f"UPDATE day SET seconds = 7 WHERE day = {day} AND stream = 1")
    assert found == ["hour 2026-01-02T00:00Z: day: stream 1 has 7.0 s, its hours 479.2 s"]


def test_an_hour_that_was_never_sealed_is_overdue(state_dir):
    life = Life(state_dir)
    life.hour = FIRST_HOUR + 28
    life.post(life.hour, 0)
    life.commit((life.hour + 4) * 3600.0, Batch())
    life.close()
    (found,) = said(checked(state_dir))
    assert found == "hour 2026-01-02T00:00Z: should have been sealed by 2026-01-02T03:00Z"


def test_it_reads_beside_the_agent_and_changes_nothing(state_dir):
    life = Life(state_dir)
    life.hour = FIRST_HOUR + 28
    life.live(1)  # in the WAL
    files = {path.name for path in state_dir.iterdir()}
    assert said(checked(state_dir)) == []
    assert {path.name for path in state_dir.iterdir()} == files
    life.live(1)
    life.close()


def test_it_is_fast_enough_to_be_used(state_dir):
    """A year's ledger takes some seconds; here only that work grows with the hours, not squared."""
    life = Life(state_dir)
    life.hour = FIRST_HOUR + 28
    life.live(60, minutes=1)
    life.close()
    steps = []
    with closing(sqlite3.connect(state_dir / "ledger.db", isolation_level=None)) as db:
        db.set_progress_handler(lambda: steps.append(1), 1000)
        assert said(check(db)) == []
    assert len(steps) < 1000
