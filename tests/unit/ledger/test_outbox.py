"""The queue of remote write: order, time, staleness markers, bounds, and what damage costs."""

import math
import sqlite3
import struct
from contextlib import closing, suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from unit.ledger.rig import rows

from agent.ledger import Ledger, LedgerError
from agent.ledger.batch import Batch
from agent.ledger.outbox import Outgoing, put
from agent.ledger.outbox_sending import tend
from agent.ledger.outbox_values import NOTHING, STALE, Damaged, pack, unpack, words
from agent.ledger.schema import migrate

HOUR_MS = 3_600_000
START_MS = 1_767_225_600_000


@pytest.fixture
def db():
    with closing(sqlite3.connect(":memory:")) as connection:
        migrate(connection)
        yield connection


def reading(at_ms, **values):
    return Outgoing(at_ms, tuple(name.encode() for name in values), tuple(values.values()))


def waiting(db, **more):
    """Return what waits: of each moment its time and its words by series."""
    window = tend(db, max_samples=1_000_000, **more)
    return [
        (m.at_ms, {window.labels[s].decode(): w for s, w in zip(m.series, m.words, strict=True)})
        for m in window.moments
    ]


def word(value):
    return struct.unpack("<Q", struct.pack("<d", value))[0]


WORDS = st.lists(st.integers(0, 2**64 - 1) | st.sampled_from([STALE, NOTHING]), max_size=50)


@given(st.data(), WORDS)
def test_words_come_back_to_the_bit(data, base):
    size = len(base)
    moment = data.draw(st.lists(st.integers(0, 2**64 - 1), min_size=size, max_size=size))
    assert list(unpack(pack(moment, base), size, base)) == moment
    assert list(unpack(pack(moment), size)) == moment


@given(WORDS.filter(bool), st.data())
def test_a_changed_byte_is_noticed(moment, data):
    body = bytearray(pack(moment))
    # deflate's stream ends with a checksum; the two bytes before it say how it was made
    at = data.draw(st.integers(2, len(body) - 1))
    body[at] ^= 1 << data.draw(st.integers(0, 7))
    with suppress(Damaged):  # else it was a bit that nothing depends on
        assert list(unpack(bytes(body), len(moment))) == moment


def test_no_value_can_be_taken_for_a_marker():
    assert words([math.nan, -math.nan, 1.0]) == [0x7FF8000000000001, 0x7FF8000000000001, word(1.0)]


@settings(max_examples=30)  # each makes a ledger's tables
@given(
    st.lists(
        st.dictionaries(st.sampled_from("abcdefgh"), st.floats(allow_nan=False), min_size=1),
        min_size=1,
        max_size=12,
    ),
    st.integers(1, 2 * HOUR_MS),
)
def test_all_comes_out_as_it_went_in_and_what_vanishes_gets_one_marker(moments, apart):
    with closing(sqlite3.connect(":memory:")) as db:
        migrate(db)
        wanted, before = [], set()
        for number, values in enumerate(moments):
            at_ms = START_MS + number * apart
            put(db, [reading(at_ms, **values)])
            now = {name: word(value) for name, value in values.items()}
            now |= dict.fromkeys(before - set(values), STALE)
            wanted.append((at_ms, now))
            before = set(values)
        assert waiting(db) == wanted
        window = tend(db)
        assert window.samples == sum(len(values) for _, values in wanted)
        assert window.oldest_ms == START_MS


def test_a_series_that_vanished_while_nothing_ran_gets_its_marker(db):
    put(db, [reading(START_MS, a=1.0, b=2.0)])
    sent = tend(db, max_samples=10).moments
    assert tend(db, done=[m.row for m in sent]).samples == 0
    put(db, [reading(START_MS + 5 * HOUR_MS, a=1.0)])
    assert waiting(db) == [(START_MS + 5 * HOUR_MS, {"a": word(1.0), "b": STALE})]


def test_time_goes_forward(db):
    put(db, [reading(START_MS, a=1.0)])
    put(db, [reading(START_MS, a=2.0), reading(START_MS - HOUR_MS, a=3.0)])
    put(db, [reading(START_MS + 1, a=4.0)])
    assert [at for at, _ in waiting(db)] == [START_MS, START_MS + 1]
    assert tend(db).totals == {"failed clock": 2.0}


def test_a_clock_that_was_wrong_by_more_is_not_waited_for(db):
    """It would be a year without a sample after a year too far ahead."""
    year = 365 * 24 * HOUR_MS
    put(db, [reading(START_MS + year, a=1.0), reading(START_MS, a=2.0)])
    put(db, [reading(START_MS + 15_000, a=3.0)])
    assert [at for at, _ in waiting(db)] == [START_MS + year, START_MS, START_MS + 15_000]


def test_the_queue_knows_the_newest_after_all_is_sent(db):
    put(db, [reading(START_MS, a=1.0)])
    tend(db, done=[m.row for m in tend(db, max_samples=1).moments])
    put(db, [reading(START_MS - 1, a=2.0)])
    assert waiting(db) == []


def queue(db, count, apart=15_000):
    put(db, [reading(START_MS + n * apart, a=float(n), b=n / 7) for n in range(count)])


def test_the_oldest_are_dropped_beyond_the_bound(db):
    queue(db, 1000)
    size = tend(db).size_bytes
    window = tend(db, max_bytes=size / 2, max_samples=1)
    assert window.size_bytes <= size / 2
    assert 400 * 2 < window.totals["failed queue_full"] < 600 * 2
    assert window.samples == 2000 - window.totals["failed queue_full"]
    kept = waiting(db)
    assert kept[-1][0] == START_MS + 999 * 15_000
    assert len(kept) == window.samples / 2
    assert window.oldest_ms == kept[0][0]


def test_what_is_counted_is_what_is_there(db):
    queue(db, 1000)
    for _ in range(3):
        (rows_,) = db.execute(
            "SELECT total(length(body) + 40) FROM outbox WHERE sent = 0"
        ).fetchone()
        (bases,) = db.execute(
            "SELECT total(length(series) + length(body) + 40) FROM outbox_base"
        ).fetchone()
        window = tend(db, max_samples=700)
        assert window.size_bytes == rows_ + bases
        tend(db, done=[m.row for m in window.moments])


def test_a_bound_below_one_base_keeps_nothing_and_goes_on(db):
    queue(db, 10)
    assert tend(db, max_bytes=0).samples == 0
    put(db, [reading(START_MS + HOUR_MS, a=1.0)])
    assert len(waiting(db)) == 1


def test_what_is_too_old_is_dropped(db):
    queue(db, 10)
    window = tend(db, not_before_ms=START_MS + 3 * 15_000, max_samples=2)
    assert window.moments[0].at_ms == START_MS + 45_000
    assert window.totals == {"failed too_old": 6.0}


def test_a_window_is_whole_moments_and_at_least_one(db):
    queue(db, 10)
    assert [len(tend(db, max_samples=n).moments) for n in (0, 1, 2, 3, 4, 99)] == [
        0,
        1,
        1,
        1,
        2,
        10,
    ]


def test_what_is_done_with_is_known_by_its_time_too(db):
    """A new ledger begins with the same ids; an answer of before must not take its rows."""
    queue(db, 3)
    tend(db, done=[(1, START_MS - 1), (2, START_MS)])
    assert len(waiting(db)) == 3


def test_nothing_that_is_unused_stays(db):
    """A day of workloads that come and go; then all is sent."""
    for number in range(24 * 4):
        at_ms = START_MS + number * HOUR_MS // 4
        put(db, [reading(at_ms, a=1.0, **{f"w{number // 8}": float(number)})])
        if number % 4 == 3:
            tend(db, done=[m.row for m in tend(db, max_samples=1000).moments])
    assert rows_of(db, "outbox") == 1
    assert rows_of(db, "outbox_base") == 1
    assert rows_of(db, "outbox_series") <= 3


def rows_of(db, table):
    return db.execute(f"SELECT count(*) FROM {table}").fetchone()[0]


@pytest.mark.parametrize("statement", ["UPDATE outbox SET body = x'00' WHERE id = 2",
                                       "UPDATE outbox_base SET body = x'1234'",
                                       "UPDATE outbox_base SET series = x''",
                                       "DELETE FROM outbox_base"])  # fmt: skip
def test_damage_costs_what_it_hit_and_nothing_else(db, statement):
    queue(db, 3)
    db.execute(statement)
    hit = 1 if "id = 2" in statement else 3
    assert len(waiting(db)) == 3 - hit
    put(db, [reading(START_MS + HOUR_MS, a=1.0)])
    assert waiting(db)[-1] == (
        START_MS + HOUR_MS,
        {"a": word(1.0)} | ({"b": STALE} if hit == 1 else {}),
    )
    window = tend(db)
    assert window.totals == {"failed damaged": 2.0 * hit}
    assert window.samples == 2 * (3 - hit) + (2 if hit == 1 else 1)


def test_a_reading_is_kept_with_its_state_or_not_at_all(tmp_path):
    ledger = Ledger.open(tmp_path)
    ledger.commit([], b"one", Batch(outgoing=[reading(START_MS, a=1.0)]))
    ledger._db.execute(
        "CREATE TRIGGER full BEFORE INSERT ON outbox WHEN new.at_ms = 1767225615000"
        " BEGIN SELECT RAISE(ABORT, 'no'); END"
    )
    with pytest.raises(LedgerError):
        ledger.commit([], b"two", Batch(outgoing=[reading(START_MS + 15_000, a=2.0)]))
    ledger.close()
    assert rows(tmp_path / "ledger.db", "SELECT at_ms FROM outbox") == [(START_MS,)]
    assert Ledger.peek(tmp_path)[1] == b"one"
