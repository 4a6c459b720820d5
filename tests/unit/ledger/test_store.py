"""One ledger file: what is written is read again, rolled up, pruned, and by one agent at a time."""

import os
import random
import shutil
import sqlite3
import subprocess
import sys
import zlib
from contextlib import closing

import pytest
from sqlite_utils import Database
from unit.collectors.trees import readable_by_all, without_rights
from unit.ledger.rig import LEVELS, STREAMS, begun, posting, rows, sums

from agent.ledger import Corrupt, Hopeless, Ledger, LedgerError
from agent.ledger import opening as how
from agent.ledger.batch import Batch
from agent.ledger.schema import migrations
from agent.ledger.store import CHECKPOINT_PAGES, Gone
from agent.meter import Posting


def reopened(state_dir):
    ledger = Ledger.open(state_dir)
    try:
        return ledger.load()
    finally:
        ledger.close()


def test_a_new_ledger_is_empty(tmp_path):
    assert reopened(tmp_path / "not/there/yet") == ([], None)


def test_what_was_committed_is_there_again(tmp_path):
    ledger = Ledger.open(tmp_path)
    ledger.commit([(0, STREAMS[0])], b"one", Batch([posting(5)]))
    ledger.commit(list(enumerate(STREAMS))[1:], b"\0two\xff", Batch())
    ledger.close()
    assert reopened(tmp_path) == (STREAMS, b"\0two\xff")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["ledger.db", "lock"]


def test_nothing_is_kept_of_a_commit_that_fails(tmp_path):
    begun(tmp_path)
    ledger = Ledger.open(tmp_path)
    ledger.load()
    with pytest.raises(LedgerError) as caught:
        ledger.commit([], b"new", Batch([posting(1), Posting(2, 0, float("nan"), 1.0, 0.0)]))
    assert not isinstance(caught.value, Corrupt)  # the file is well, it was the figure
    ledger.commit([], b"newer", Batch([posting(1)]))
    ledger.close()
    assert reopened(tmp_path)[1] == b"newer"
    assert sums(tmp_path) == dict.fromkeys(LEVELS, 4.0)


def test_postings_add_up_by_minute_hour_and_day(tmp_path):
    dice = random.Random(1)
    postings = [
        Posting(dice.randrange(3 * 1440), dice.randrange(3), dice.randrange(100), 1.0, 0.5)
        for _ in range(500)
    ]
    ledger = Ledger.open(tmp_path)
    for start in range(0, 500, 50):
        ledger.commit(list(enumerate(STREAMS))[start:], b"", Batch(postings[start : start + 50]))
    ledger.close()
    for level, minutes in LEVELS.items():
        expected: dict[tuple[int, int], list[float]] = {}
        for p in postings:
            row = expected.setdefault((p.minute // minutes, p.stream), [0.0, 0.0, 0.0])
            for place, value in enumerate((p.joules, p.seconds, p.gap_seconds)):
                row[place] += value
        found = rows(tmp_path / "ledger.db", f"SELECT * FROM {level}")
        assert {row[:2]: list(row[2:]) for row in found} == expected


def test_minutes_and_hours_go_days_stay(tmp_path):
    now = 1000 * 1440  # minutes; the end of a day
    ledger = Ledger.open(tmp_path)
    ages_days = [0.5, 6.9, 7.1, 399, 402, 900]
    ledger.commit([(0, STREAMS[0])], b"", Batch([posting(int(now - d * 1440)) for d in ages_days]))
    gone = ledger.prune(now * 60.0, minute_days=7, hour_days=400)
    ledger.close()
    kept = {
        level: rows(tmp_path / "ledger.db", f"SELECT count(*) FROM {level}") for level in LEVELS
    }
    assert (gone, kept) == (6, {"minute": [(2,)], "hour": [(4,)], "day": [(6,)]})


def test_one_agent_at_a_time(tmp_path):
    first = Ledger.open(tmp_path)
    with pytest.raises(Hopeless, match="another agent is running on this directory; stop it"):
        Ledger.open(tmp_path)
    first.close()
    Ledger.open(tmp_path).close()


def test_a_lock_dies_with_its_holder(tmp_path):
    code = "import sys, time; from agent.ledger.opening import lock; from pathlib import Path;"
    code += "lock(Path(sys.argv[1])); print('held', flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", code, tmp_path], stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(Hopeless):
            Ledger.open(tmp_path)
        other.kill()
        other.wait()
        Ledger.open(tmp_path).close()


def test_a_newer_version_is_left_alone(tmp_path):
    begun(tmp_path)
    with sqlite3.connect(tmp_path / "ledger.db") as db:
        db.execute("INSERT INTO _sqlite_migrations VALUES (99, 'wattlas', 'm099_more', 'now')")
        db.execute(f"PRAGMA user_version={how.VERSION + 1}")
    db.close()
    before = (tmp_path / "ledger.db").read_bytes()
    with pytest.raises(Hopeless, match=r"newer Wattlas .* install that one again"):
        Ledger.open(tmp_path)
    assert (tmp_path / "ledger.db").read_bytes() == before


def test_a_version_out_of_the_blue_is_corrupt(tmp_path):
    begun(tmp_path)
    with sqlite3.connect(tmp_path / "ledger.db") as db:
        db.execute("PRAGMA user_version=77")
    db.close()
    with pytest.raises(Corrupt):
        Ledger.open(tmp_path)


def test_the_version_is_the_number_of_migrations():
    assert len(migrations._migrations) == how.VERSION


def older(state_dir, last):
    """Make an empty ledger of an older version, which ends with a migration."""
    state_dir.mkdir(exist_ok=True)
    with closing(sqlite3.connect(state_dir / "ledger.db")) as db:
        names = [step.name for step in migrations._migrations]
        following = names[names.index(last) + 1]
        migrations.apply(Database(db), stop_before=following)
        db.execute(f"PRAGMA user_version={names.index(following)}")


def tables(state_dir):
    """Return all tables and indexes, and which migrations they are said to be made by."""
    made = "SELECT name, sql FROM sqlite_master ORDER BY name"
    by = "SELECT migration_set, name, length(applied_at) FROM _sqlite_migrations ORDER BY id"
    path = state_dir / "ledger.db"
    return rows(path, made), rows(path, by), rows(path, "PRAGMA user_version")


def test_a_new_ledger_is_what_the_migrations_make_of_an_old_one(tmp_path, monkeypatch):
    older(tmp_path / "old", "m001_first")
    Ledger.open(tmp_path / "old").close()
    monkeypatch.setattr(how, "_migrate_in_a_child", pytest.fail)
    monkeypatch.setattr(how, "_migrate_here", pytest.fail)
    Ledger.open(tmp_path / "new").close()
    assert tables(tmp_path / "new") == tables(tmp_path / "old")


def test_sqlite_utils_stays_out_of_the_process(tmp_path):
    older(tmp_path, "m004_outbox")
    code = "import sys; from pathlib import Path; from agent.ledger import Ledger;"
    code += "Ledger.open(Path(sys.argv[1])).close(); print('sqlite_utils' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path], capture_output=True, text=True, check=True
    )
    assert done.stdout == "False\n"


@pytest.mark.parametrize("python", ["/not/there", "/bin/false"])
def test_it_migrates_itself_where_no_child_can(tmp_path, monkeypatch, python):
    monkeypatch.setattr(how.sys, "executable", python)
    older(tmp_path, "m004_outbox")
    begun(tmp_path)
    assert reopened(tmp_path) == (STREAMS, b"state")


def test_a_power_cut_costs_only_the_newest(tmp_path):
    """Whatever of the WAL's tail is torn off, streams, state and sums are those of one commit."""
    live = tmp_path / "live"
    ledger = Ledger.open(live)
    for n in range(40):
        ledger.commit(list(enumerate(STREAMS)) if n == 0 else [], b"%d" % n, Batch([posting(n)]))
    dice = random.Random(2)
    lengths = {(live / "ledger.db-wal").stat().st_size}
    lengths |= {dice.randrange(max(lengths)) for _ in range(20)}
    seen = set()
    for length in lengths:
        cut = tmp_path / f"cut-{length}"
        shutil.copytree(live, cut)  # as a killed agent leaves it
        os.truncate(cut / "ledger.db-wal", length)
        identities, state = reopened(cut)
        count = 0 if state is None else int(state) + 1
        assert identities == (STREAMS if count else [])
        assert sums(cut) == dict.fromkeys(LEVELS, float(count))
        seen.add(count)
    ledger.close()
    assert max(seen) == 40
    assert len(seen) > 10


def test_the_wal_is_emptied_when_it_is_long(tmp_path):
    ledger = Ledger.open(tmp_path)
    wal = tmp_path / "ledger.db-wal"
    ledger.commit(list(enumerate(STREAMS)), b"", Batch())
    ledger.flush()
    assert wal.stat().st_size > 0
    body = os.urandom(4096 * (CHECKPOINT_PAGES + 10))
    ledger.commit([], body, Batch())
    with sqlite3.connect(tmp_path / "ledger.db") as reader:
        reader.execute("BEGIN").execute("SELECT * FROM stream").fetchone()
        ledger._db.execute("PRAGMA busy_timeout=10")
        ledger.flush()  # a reader is in the way: flushed, not emptied, no error
        assert wal.stat().st_size > len(body)
    reader.close()
    ledger.commit([], body, Batch())
    ledger.flush()
    assert wal.stat().st_size == 0
    ledger.close()
    assert reopened(tmp_path) == (STREAMS, body)


def test_figures_never_land_on_another_name(tmp_path):
    begun(tmp_path)
    with sqlite3.connect(tmp_path / "ledger.db") as db:
        db.execute("DELETE FROM stream WHERE id = 1")  # the state's figures go by place
    db.close()
    ledger = Ledger.open(tmp_path)
    with pytest.raises(Corrupt):
        ledger.load()
    ledger.close()


def test_a_ledger_that_was_deleted_is_noticed(tmp_path):
    begun(tmp_path)
    ledger = Ledger.open(tmp_path)
    ledger.load()
    ledger.commit([], b"x", Batch())
    (tmp_path / "ledger.db").unlink()
    with pytest.raises(Gone):
        ledger.flush()
    ledger.close()


def test_peek_reads_what_a_killed_agent_left_without_writing(tmp_path, monkeypatch):
    live, left = tmp_path / "live", tmp_path / "left"
    ledger = Ledger.open(live)
    ledger.commit(list(enumerate(STREAMS)), b"in the WAL only", Batch())
    shutil.copytree(live, left)
    ledger.close()
    monkeypatch.chdir(left)
    before = {p.name: zlib.crc32(p.read_bytes()) for p in left.iterdir() if p.suffix != ".db-shm"}
    assert Ledger.peek(left.relative_to(left)) == (STREAMS, b"in the WAL only")
    after = {p.name: zlib.crc32(p.read_bytes()) for p in left.iterdir()}
    assert all(after[name] == value for name, value in before.items() if "shm" not in name)


@pytest.mark.parametrize("what", ["directory", 0o600, 0o644])
def test_no_permission_is_said_and_left_to_a_person(what):
    def attempt(state_dir):
        try:
            Ledger.open(state_dir).load()
        except LedgerError as error:
            return type(error).__name__, str(error)
        return "", ""

    with readable_by_all() as root:
        begun(root)
        if what != "directory":
            (root / "ledger.db").chmod(what)
            (root / "lock").chmod(0o666)
            root.chmod(0o777)
        kind, said = without_rights(lambda: attempt(root))
    assert kind == "Hopeless"
    assert "make it writable for this user" in said
    assert str(root) in said
