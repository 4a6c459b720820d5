"""Checks a ledger.db against its own chain, also beside the agent that writes it."""

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec

from agent.audit.body import DAY_HOURS, HOUR_SECONDS, Names, Rows, hour_of, same
from agent.audit.canonical import Unreadable, unpack
from agent.audit.compare import differences
from agent.audit.record import ADOPTED, DAY, HOUR
from agent.audit.telling import OVERDUE_SECONDS, facts, remarks
from agent.audit.times import days_of, hours_of, is_time, odd
from agent.audit.verdict import Finding, Verdict, iso
from agent.audit.walk import Walk
from agent.ledger.errors import LedgerError
from agent.ledger.hours import document_digest, read_days, read_hours, read_names
from agent.ledger.links import records
from agent.ledger.saved import AgentState
from agent.ledger.store import FILE_NAME, load_from
from agent.ledger.totals import rounding, unexplained

AT_ONCE: Final = 48
"""Hours whose rows are in memory together."""


def open_for_checking(path: Path) -> sqlite3.Connection:
    """Open a ledger to read, one moment of it, whatever is in it. Raises sqlite3.Error."""
    failure: sqlite3.Error | None = None
    for mode in ("mode=ro", "immutable=1"):  # the second for a read-only disk without a WAL
        try:
            db = sqlite3.connect(
                f"{path.absolute().as_uri()}?{mode}", uri=True, isolation_level=None
            )
            # what is no text any more shall be found, not fail
            db.text_factory = lambda text: text.decode("utf-8", "surrogateescape")
            db.execute("BEGIN")
            db.execute("SELECT count(*) FROM sqlite_master").fetchone()
        except (sqlite3.Error, UnicodeDecodeError) as error:  # its own messages may be garbage
            failure = sqlite3.DatabaseError(str(error))
        else:
            return db
    assert failure is not None
    raise failure


class LedgerCheck:
    """One check of one ledger."""

    def __init__(
        self,
        db: sqlite3.Connection,
        walk: Walk,
        now: float,
        progress: Callable[[float], None] | None = None,
    ) -> None:
        """`walk` has taken nothing yet. `now`: Unix time. `progress` takes shares from 0 to 1."""
        self._db = db
        self._walk = walk
        self._now = now
        self._progress = progress or _nobody
        self.verdict = Verdict()

    def run(self, *, whole_file: bool = True) -> Verdict:
        """Check everything. `whole_file`: also that SQLite's own structures are sound."""
        verdict = self.verdict
        try:
            if whole_file:
                self._check_file()
            state = self._check_state()
            as_of = state.meter.wall if state is not None else 0.0
            for record in records(self._db):
                self._walk.take(record)
            self._progress(0.3)
            head = self._walk.head
            if head is not None and isinstance(head.sealed_at, float):
                as_of = max(as_of, head.sealed_at)
            self._walk.finish(as_of)
            verdict.findings += self._walk.findings
            self._check_tables(as_of)
            if state is not None:
                self._check_totals()
            (adopting,) = self._db.execute(
                "SELECT count(*) FROM unsealed WHERE how = ?", (ADOPTED,)
            ).fetchone()
            verdict.facts = facts(self._walk, adopting, as_of)
            verdict.remarks += remarks(self._walk, verdict.facts, self._now - as_of)
        except (
            sqlite3.Error,
            LedgerError,
            ArithmeticError,
            LookupError,
            TypeError,
            ValueError,
        ) as error:
            # a damaged file may hold anything; what cannot be understood is never clean
            verdict.findings.append(
                Finding(f"the file is damaged: {error}; what could be checked before is above")
            )
        self._progress(1.0)
        return verdict

    # -- inside -------------------------------------------------------------------------------

    def _check_file(self) -> None:
        for (said,) in self._db.execute("PRAGMA integrity_check(20)"):
            if said != "ok":
                self._wrong(f"the file is damaged: {said}")
        rows = self._db.execute(
            "SELECT type, name FROM sqlite_master WHERE type IN ('trigger', 'view')"
        )
        for kind, name in rows:
            self._wrong(f"has a {kind} {name!r} that Wattlas did not make: it may change what is")

    def _check_state(self) -> AgentState | None:
        """Return the agent's state if it is as it was written."""
        try:
            _, body, _ = load_from(Path(FILE_NAME), self._db)
        except LedgerError as error:
            self._wrong(f"the agent's state or the names of streams: {error}")
            return None
        try:
            return None if body is None else msgspec.msgpack.decode(body, type=AgentState)
        except msgspec.MsgspecError:
            self.verdict.remarks.append(
                "The totals of the agent are not understood; they were not compared."
            )
            return None

    def _check_tables(self, as_of: float) -> None:
        db, walk = self._db, self._walk
        waiting = {(span, n): how for span, n, how, _ in db.execute("SELECT * FROM unsealed")}
        for what in odd(db):
            self._wrong(what)
        names = read_names(db)
        hours = hours_of(db)
        sealed = {hour for span, hour in walk.newest if span == HOUR and is_time(hour)}
        self._compare(HOUR, sorted(hours | sealed), read_hours, names, waiting, as_of)
        days = days_of(db)
        sealed = {h // DAY_HOURS for span, h in walk.newest if span == DAY and is_time(h)}
        self._compare(DAY, sorted(days | sealed), read_days, names, waiting, as_of)
        self._check_documents(waiting)
        self._check_sums(waiting)

    def _compare(
        self,
        span: str,
        numbers: Sequence[int],
        read: Callable[[sqlite3.Connection, int, int], Mapping[int, Rows]],
        names: Names,
        waiting: Mapping[tuple[str, int], str],
        as_of: float,
    ) -> None:
        for done in range(0, len(numbers), AT_ONCE):
            some = numbers[done : done + AT_ONCE]
            rows = read(self._db, some[0], some[-1])
            for number in some:
                found = rows.get(number) or Rows()
                self._compare_one(span, number, found, names, waiting, as_of)
            if span == HOUR:
                self._progress(0.3 + 0.6 * done / len(numbers))

    def _compare_one(
        self,
        span: str,
        number: int,
        rows: Rows,
        names: Names,
        waiting: Mapping[tuple[str, int], str],
        as_of: float,
    ) -> None:
        hours = DAY_HOURS if span == DAY else 1
        hour = number * hours
        record = self._walk.newest.get((span, hour))
        waits = waiting.get((span, number))
        end = (number + 1) * hours * HOUR_SECONDS
        title = "day: " if span == DAY else ""
        if record is None:
            if not rows.counted:
                return
            overdue = as_of - end > OVERDUE_SECONDS and waits != ADOPTED
            if waits is None:
                self._wrong(
                    f"{title}has rows and no record: they were inserted, or its record"
                    " was taken away",
                    hour=hour,
                )
            elif overdue:
                self._wrong(
                    f"{title}should have been sealed by {iso(end + OVERDUE_SECONDS)}", hour=hour
                )
            return
        if waits is not None:
            return  # the agent says that it changed it, and will restate it
        row = self._db.execute("SELECT body FROM chain WHERE number = ?", (record,)).fetchone()
        if row is None:
            self._wrong("cannot be found again: the file is damaged", record, hour)
            return
        try:
            said = differences(
                span,
                number,
                unpack(row[0]),
                rows,
                names,
                pruned_minutes=self._walk.pruned_minutes,
                pruned_hours=self._walk.pruned_hours,
            )
        except (Unreadable, TypeError, ValueError, AttributeError):
            said = []  # the walk has said so
        self.verdict.findings += [Finding(f"{title}{one}", record, hour) for one in said]

    def _check_documents(self, waiting: Mapping[tuple[str, int], str]) -> None:
        there = {}
        for name, written_at, body in self._db.execute("SELECT * FROM document"):
            there[name] = [written_at, document_digest(body)]
        for name in sorted(there.keys() | self._walk.documents.keys(), key=str):
            said, number = self._walk.documents.get(name, (None, None))
            found = there.get(name)
            if same(found, said) or (found and (HOUR, hour_of(found[0])) in waiting):
                continue
            what = "was changed" if found and said else "was taken away" if said else "was inserted"
            self._wrong(f"the document {name!r} {what}", number=number)

    def _check_sums(self, waiting: Mapping[tuple[str, int], str]) -> None:
        """Compare a day that is not sealed yet with its hours; they add up but for rounding."""
        for span, day in waiting:
            if span != DAY or not is_time(day) or day * DAY_HOURS < self._walk.pruned_hours:
                continue
            first = day * DAY_HOURS
            rows = self._db.execute(
                "SELECT stream, sum(joules), sum(j), sum(seconds), sum(s) FROM ("
                " SELECT stream, joules, 0.0 AS j, seconds, 0.0 AS s FROM day WHERE day = ?1"
                " UNION ALL SELECT stream, 0.0, joules, 0.0, seconds FROM hour"
                " WHERE hour BETWEEN ?2 AND ?2 + 23) GROUP BY stream",
                (day, first),
            )
            for stream, *sums in rows:
                for what, whole, parts in (("J", *sums[:2]), ("s", *sums[2:])):
                    if not abs(whole - parts) <= rounding(whole):
                        self._wrong(
                            f"day: stream {stream} has {whole!r} {what},"
                            f" its hours {parts!r} {what}",
                            hour=first,
                        )

    def _check_totals(self) -> None:
        """Compare the agent's totals, which have a checksum of their own, with the days."""
        known = self._walk.begin.get("unexplained")
        if not isinstance(known, dict):
            return
        for stream, (joules, wide) in unexplained(self._db).items():
            if not abs(joules - known.get(str(stream), 0.0)) <= 2 * wide:
                self._wrong(
                    f"the days of stream {stream} add up to {joules:+.6g} J less than the agent's"
                    " total: rows were changed, maybe before they were sealed"
                )

    def _wrong(self, what: str, number: int | None = None, hour: int | None = None) -> None:
        self.verdict.findings.append(Finding(what, number, hour))


def _nobody(_: float) -> None:
    """Nobody watches."""
