"""One ledger file: read, written, flushed, pruned. Blocking; one thread at a time.

Durability. Each tick is one transaction in WAL mode at synchronous=NORMAL, which reaches the page
cache and so survives `kill -9`, but is not flushed. `flush` flushes the WAL by fdatasync and is
called at most every `flush_seconds`; when the WAL has grown it checkpoints instead. A power cut
costs the time since the last flush: SQLite drops a torn tail of the WAL by its checksums.
(https://sqlite.org/wal.html, "Performance Considerations"; https://sqlite.org/pragma.html#pragma_synchronous)
"""

import contextlib
import os
import sqlite3
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, TypeVar

from agent.ledger.batch import Batch, write_carbon, write_quarters, write_records
from agent.ledger.chain import mark, note_pruning
from agent.ledger.errors import BROKEN, Corrupt, LedgerError, explain
from agent.ledger.opening import VERSION, connect, lock, set_aside
from agent.ledger.outbox import put
from agent.meter import StreamIdentity
from agent.quantities import Component, Quality

CHECKPOINT_PAGES: Final = 1000
PAGE_AND_FRAME: Final = 4096 + 24
FILE_NAME: Final = "ledger.db"
HOUR_MINUTES: Final = 60
DAY_MINUTES: Final = 1440
LEVELS: Final = (("minute", 1), ("hour", HOUR_MINUTES), ("day", DAY_MINUTES))
"""The tables of energy, and how many minutes each row of one is."""
Loaded = tuple[list[StreamIdentity], bytes | None]
"""The streams by index and the last state; None if there is none yet."""


T = TypeVar("T")


class Gone(LedgerError):
    """Somebody deleted or replaced the file while it was open."""


class Ledger:
    """An open ledger."""

    def __init__(self, path: Path, connection: sqlite3.Connection, lock: int) -> None:
        self.path = path
        self._db = connection
        self._lock = lock
        self._file = _identity(path)
        self._wal: int | None = None
        self._seal = 0
        self._dirty = False

    @classmethod
    def open(cls, state_dir: Path) -> "Ledger":
        """Open or create `state_dir`/ledger.db. Raises `LedgerError`, `Corrupt` among them."""
        descriptor = lock(state_dir)
        path = state_dir / FILE_NAME
        try:
            return cls(path, connect(path), descriptor)
        except (LedgerError, OSError, *BROKEN) as error:
            os.close(descriptor)
            raise explain(path, error) from error

    @classmethod
    def open_loaded(cls, state_dir: Path) -> tuple["Ledger", list[StreamIdentity], bytes | None]:
        """Open and load. Raises `LedgerError`, and then holds nothing."""
        ledger = cls.open(state_dir)
        try:
            return ledger, *ledger.load()
        except LedgerError:
            ledger.close(clean=False)
            raise

    @classmethod
    def peek(cls, state_dir: Path) -> Loaded:
        """Read a ledger that cannot be written now. Raises `LedgerError`.

        Tries it with its WAL first; on a read-only disk without one only the main file is left.
        """
        path = state_dir.absolute() / FILE_NAME
        failure: Exception | None = None
        for mode in ("mode=ro", "immutable=1"):
            try:
                connection = sqlite3.connect(f"{path.as_uri()}?{mode}", uri=True)
                with contextlib.closing(connection):
                    identities, state, _ = load_from(path, connection)
                    return identities, state
            except BROKEN as error:
                failure = error
        raise explain(path, failure or OSError())

    def load(self) -> Loaded:
        """Return the streams by index and the last state; None if there is none yet."""
        try:
            identities, state, self._seal = load_from(self.path, self._db)
            # SQLite opens what it may only read and says so at the first write: let it be now
            self._db.execute(f"PRAGMA user_version={VERSION}")
        except BROKEN as error:
            raise explain(self.path, error) from error
        return identities, state

    def commit(
        self,
        identities: Sequence[tuple[int, StreamIdentity]],
        state: bytes,
        batch: Batch,
    ) -> None:
        """Write new streams, the state and a batch in one transaction. Raises `LedgerError`."""
        seal = _sealed([identity for _, identity in identities], self._seal)
        try:
            if self._db.in_transaction:  # a rollback failed with the disk
                self._db.rollback()
            with self._db:
                self._db.execute("BEGIN IMMEDIATE")
                mark(self._db, batch)
                if identities:
                    self._db.executemany(
                        "INSERT INTO stream VALUES (?, ?, ?, ?, ?, ?)",
                        [
                            (i, s.source, s.component, s.device, s.quality, int(s.counted))
                            for i, s in identities
                        ],
                    )
                self._db.execute(
                    "INSERT INTO state (id, crc32, body) VALUES (0, ?1, ?2)"
                    " ON CONFLICT (id) DO UPDATE SET crc32 = ?1, body = ?2",
                    (zlib.crc32(state, seal), state),
                )
                for level, minutes in LEVELS if batch.postings else ():
                    self._db.executemany(
                        _ADD.format(level=level),
                        [
                            (p.minute // minutes, p.stream, p.joules, p.seconds, p.gap_seconds)
                            for p in batch.postings
                        ],
                    )
                if batch.quarters:
                    write_quarters(self._db, batch.quarters)
                if batch.intensities or batch.documents:
                    write_carbon(self._db, batch.intensities, batch.documents, batch.wall)
                for file in batch.records.values():
                    write_records(self._db, file, batch.wall)
                if batch.outgoing:
                    put(self._db, batch.outgoing)
        except BROKEN as error:
            raise explain(self.path, error) from error
        self._seal = seal
        self._dirty = True

    def ask(self, question: Callable[[sqlite3.Connection], T]) -> T:
        """Return what `question` returns, in a transaction of its own. Raises `LedgerError`."""
        try:
            with self._db:
                self._db.execute("BEGIN IMMEDIATE")
                answer = question(self._db)
        except BROKEN as error:
            raise explain(self.path, error) from error
        self._dirty = True
        return answer

    def flush(self) -> None:
        """Bring what was committed to the disk; when the WAL is long, into the main file too."""
        if not self._dirty:
            return
        wal = Path(f"{self.path}-wal")
        try:
            if _identity(self.path) != self._file:
                raise Gone(f"{self.path}: was deleted or replaced while the agent ran")
            if self._wal is None:
                self._wal = os.open(wal, os.O_RDONLY | os.O_CLOEXEC)
            size, left = os.fstat(self._wal).st_size, os.fstatvfs(self._wal)
            # a WAL that fills the disk could not be brought into a main file that must grow for it
            most = min(CHECKPOINT_PAGES * PAGE_AND_FRAME, left.f_bavail * left.f_frsize)
            if size <= most or not self._checkpoint():
                os.fdatasync(self._wal)
        except (OSError, *BROKEN) as error:
            raise explain(self.path, error) from error
        self._dirty = False

    def make_room(self) -> None:
        """Try to empty the WAL into the main file: on a full disk, that is space of our own."""
        with contextlib.suppress(*BROKEN):
            self._checkpoint()

    def prune(self, wall: float, minute_days: float, hour_days: float) -> int:
        """Delete minutes and hours older than their retention; return how many rows went.

        Whole hours, and none that is not sealed yet; the chain says so.
        """
        minute = int(wall // 60)
        before_minute = (minute - int(minute_days * DAY_MINUTES)) // HOUR_MINUTES * HOUR_MINUTES
        before_hour = (minute - int(hour_days * DAY_MINUTES)) // HOUR_MINUTES
        kept = "(SELECT number FROM unsealed WHERE span = 'hour' AND EXISTS (SELECT 1 FROM chain))"
        try:
            with self._db:
                gone = self._db.execute(
                    f"DELETE FROM minute WHERE minute < ? AND minute / 60 NOT IN {kept}",  # noqa: S608
                    (before_minute,),
                ).rowcount
                gone += self._db.execute(
                    f"DELETE FROM hour WHERE hour < ? AND hour NOT IN {kept}",  # noqa: S608
                    (before_hour,),
                ).rowcount
                if gone:
                    note_pruning(self._db, wall, before_minute, before_hour, gone)
        except BROKEN as error:
            raise explain(self.path, error) from error
        return gone

    def check(self) -> None:
        """Read every page. Raises `Corrupt`."""
        try:
            (verdict,) = self._db.execute("PRAGMA quick_check(1)").fetchone()
        except BROKEN as error:
            raise explain(self.path, error) from error
        if verdict != "ok":
            raise Corrupt(f"{self.path}: {verdict}")

    def size_bytes(self) -> int:
        """Return the size of the file and its WAL."""
        size = 0
        for name in (self.path, Path(f"{self.path}-wal")):
            with contextlib.suppress(OSError):
                size += name.stat().st_size
        return size

    def close(self, *, clean: bool = True) -> None:
        """Flush, checkpoint and close. `clean` False: only let go."""
        if clean:
            with contextlib.suppress(*BROKEN):
                self._checkpoint()
        with contextlib.suppress(*BROKEN):
            self._db.close()
        if self._wal is not None:
            os.close(self._wal)
        os.close(self._lock)

    def set_aside(self, now: float) -> Path:
        """Rename a corrupt ledger and let go of it, which is done even if `LedgerError` comes.

        In this order: SQLite leaves a WAL alone when its file has moved.
        """
        try:
            return set_aside(self.path, now)
        finally:
            self.close(clean=False)

    def _checkpoint(self) -> bool:
        """Bring the whole WAL into the main file and empty it; False if a reader is in the way."""
        (busy, _, _) = self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        return not busy


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino


def _sealed(identities: Sequence[StreamIdentity], seal: int = 0) -> int:
    """Return a checksum of the streams in their order: figures must not land on another's name."""
    for s in identities:
        line = f"{s.source}\n{s.component}\n{s.device}\n{s.quality}\n{s.counted:d}\n"
        seal = zlib.crc32(line.encode(), seal)
    return seal


def load_from(
    path: Path, connection: sqlite3.Connection
) -> tuple[list[StreamIdentity], bytes | None, int]:
    """Return the streams, the state and their checksum's seed. Raises `Corrupt`, sqlite3.Error."""
    rows = connection.execute(
        "SELECT source, component, device, quality, counted FROM stream ORDER BY id"
    ).fetchall()
    state = connection.execute("SELECT crc32, body FROM state WHERE id = 0").fetchone()
    try:
        identities = [
            StreamIdentity(
                source, Component(component), device, Quality(quality), counted=bool(counted)
            )
            for source, component, device, quality, counted in rows
        ]
        seal = _sealed(identities)
    except (ValueError, TypeError) as error:
        raise Corrupt(f"{path}: {error}") from error
    if state is None and not identities:
        return [], None, seal
    crc32, body = state or (None, b"")
    if not isinstance(body, bytes) or zlib.crc32(body, seal) != crc32:
        raise Corrupt(f"{path}: the saved state does not match its checksum")
    return identities, body, seal


_ADD: Final = (
    "INSERT INTO {level} VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO UPDATE SET"
    " joules = joules + ?3, seconds = seconds + ?4, gap_seconds = gap_seconds + ?5"
)
