"""One ledger file: opened, checked, written, flushed, pruned. Blocking; one thread at a time.

Durability. Each tick is one transaction in WAL mode at synchronous=NORMAL, which reaches the page
cache and so survives `kill -9`, but is not flushed. `flush` flushes the WAL by fdatasync and is
called at most every `flush_seconds`; when the WAL has grown it checkpoints instead. A power cut
costs the time since the last flush: SQLite drops a torn tail of the WAL by its checksums.
(https://sqlite.org/wal.html, "Performance Considerations"; https://sqlite.org/pragma.html#pragma_synchronous)
"""

import contextlib
import fcntl
import os
import sqlite3
import time
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from agent.meter import Posting, StreamIdentity
from agent.quantities import Component, Quality

VERSION: Final = 1
"""PRAGMA user_version of a ledger with every migration of this program."""
CHECKPOINT_PAGES: Final = 1000
PAGE_AND_FRAME: Final = 4096 + 24
FILE_NAME: Final = "ledger.db"
HOUR_MINUTES: Final = 60
DAY_MINUTES: Final = 1440


class LedgerError(Exception):
    """The ledger cannot be used now: one sentence with the path and the remedy."""


class Corrupt(LedgerError):
    """The file is not what was written."""


class Ledger:
    """An open ledger."""

    def __init__(self, path: Path, connection: sqlite3.Connection, lock: int) -> None:
        self.path = path
        self._db = connection
        self._lock = lock
        self._wal: int | None = None
        self._dirty = False

    @classmethod
    def open(cls, state_dir: Path) -> "Ledger":
        """Open or create `state_dir`/ledger.db. Raises `LedgerError`, `Corrupt` among them."""
        lock = _lock(state_dir)
        path = state_dir / FILE_NAME
        try:
            connection = _connect(path)
        except sqlite3.Error as error:
            os.close(lock)
            raise _explain(path, error) from error
        return cls(path, connection, lock)

    @classmethod
    def peek(cls, state_dir: Path) -> tuple[list[StreamIdentity], bytes | None]:
        """Read a ledger that cannot be written now. Raises `LedgerError`.

        Tries it with its WAL first; on a read-only disk without one only the main file is left.
        """
        path = state_dir / FILE_NAME
        failure: sqlite3.Error | None = None
        for mode in ("mode=ro", "immutable=1"):
            try:
                connection = sqlite3.connect(f"{path.as_uri()}?{mode}", uri=True)
                with contextlib.closing(connection):
                    return _load(path, connection)
            except sqlite3.Error as error:
                failure = error
        raise _explain(path, failure or sqlite3.OperationalError("unreadable"))

    @staticmethod
    def set_aside(state_dir: Path, *, now: float | None = None) -> Path:
        """Rename a corrupt ledger and its companions, so that nothing in it is lost.

        Returns the new name of the ledger itself.
        """
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now))
        aside = state_dir / f"{FILE_NAME}.corrupt-{stamp}"
        number = 1
        while aside.exists():
            aside = state_dir / f"{FILE_NAME}.corrupt-{stamp}.{number}"
            number += 1
        for suffix in ("-wal", "-shm"):
            with contextlib.suppress(FileNotFoundError):
                (state_dir / f"{FILE_NAME}{suffix}").rename(f"{aside}{suffix}")
        (state_dir / FILE_NAME).rename(aside)
        return aside

    def load(self) -> tuple[list[StreamIdentity], bytes | None]:
        """Return the streams by index and the last state; None if there is none yet."""
        try:
            return _load(self.path, self._db)
        except sqlite3.Error as error:
            raise _explain(self.path, error) from error

    def commit(
        self,
        identities: Sequence[tuple[int, StreamIdentity]],
        state: bytes,
        postings: Sequence[Posting],
    ) -> None:
        """Write new streams, the state and postings in one transaction. Raises `LedgerError`."""
        try:
            with self._db:
                self._db.execute("BEGIN IMMEDIATE")
                if identities:
                    self._db.executemany(
                        "INSERT OR IGNORE INTO stream VALUES (?, ?, ?, ?, ?, ?)",
                        [
                            (i, s.source, s.component, s.device, s.quality, int(s.counted))
                            for i, s in identities
                        ],
                    )
                self._db.execute(
                    "INSERT INTO state (id, crc32, body) VALUES (0, ?1, ?2)"
                    " ON CONFLICT (id) DO UPDATE SET crc32 = ?1, body = ?2",
                    (zlib.crc32(state), state),
                )
                for level, minutes in (("minute", 1), ("hour", HOUR_MINUTES), ("day", DAY_MINUTES)):
                    if postings:
                        self._db.executemany(
                            _ADD.format(level=level),
                            [
                                (p.minute // minutes, p.stream, p.joules, p.seconds, p.gap_seconds)
                                for p in postings
                            ],
                        )
        except sqlite3.Error as error:
            raise _explain(self.path, error) from error
        self._dirty = True

    def flush(self) -> None:
        """Bring what was committed to the disk; when the WAL is long, into the main file too."""
        if not self._dirty:
            return
        wal = Path(f"{self.path}-wal")
        try:
            if self._wal is None:
                self._wal = os.open(wal, os.O_RDONLY | os.O_CLOEXEC)
            if os.fstat(self._wal).st_size > CHECKPOINT_PAGES * PAGE_AND_FRAME:
                self._checkpoint("TRUNCATE")
            else:
                os.fdatasync(self._wal)
        except (OSError, sqlite3.Error) as error:
            raise _explain(self.path, error) from error
        self._dirty = False

    def prune(self, wall: float, minute_days: float, hour_days: float) -> int:
        """Delete minutes and hours older than their retention; return how many rows went."""
        minute = int(wall // 60)
        try:
            with self._db:
                gone = self._db.execute(
                    "DELETE FROM minute WHERE minute < ?",
                    (minute - int(minute_days * DAY_MINUTES),),
                ).rowcount
                gone += self._db.execute(
                    "DELETE FROM hour WHERE hour < ?",
                    ((minute - int(hour_days * DAY_MINUTES)) // HOUR_MINUTES,),
                ).rowcount
        except sqlite3.Error as error:
            raise _explain(self.path, error) from error
        return gone

    def check(self) -> None:
        """Read every page. Raises `Corrupt`."""
        try:
            (verdict,) = self._db.execute("PRAGMA quick_check(1)").fetchone()
        except sqlite3.Error as error:
            raise _explain(self.path, error) from error
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
        """Flush, checkpoint and close. `clean` False: only let go, for a corrupt file."""
        if clean:
            with contextlib.suppress(sqlite3.Error):
                self._checkpoint("TRUNCATE")
        self._db.close()
        if self._wal is not None:
            os.close(self._wal)
        os.close(self._lock)

    def _checkpoint(self, mode: str) -> None:
        self._db.execute(f"PRAGMA wal_checkpoint({mode})").fetchone()


def _load(path: Path, connection: sqlite3.Connection) -> tuple[list[StreamIdentity], bytes | None]:
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
    except (ValueError, TypeError) as error:
        raise Corrupt(f"{path}: {error}") from error
    if state is None:
        return identities, None
    crc32, body = state
    if not isinstance(body, bytes) or zlib.crc32(body) != crc32:
        raise Corrupt(f"{path}: the saved state does not match its checksum")
    return identities, body


_ADD: Final = (
    "INSERT INTO {level} VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO UPDATE SET"
    " joules = joules + ?3, seconds = seconds + ?4, gap_seconds = gap_seconds + ?5"
)


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=5.0, check_same_thread=False)
    try:
        (mode,) = connection.execute("PRAGMA journal_mode=WAL").fetchone()
        if mode != "wal":
            raise sqlite3.OperationalError(f"journal mode is {mode}, not wal")
        connection.execute("PRAGMA synchronous=NORMAL")
        connection.execute("PRAGMA wal_autocheckpoint=0")  # `flush` does it
        connection.execute("PRAGMA cache_size=-512")  # KiB; the working set is a few pages
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version > VERSION:
            raise sqlite3.OperationalError(
                f"it was written by a newer Wattlas (version {version} of the schema, this one"
                f" knows {VERSION}); install that one again"
            )
        if version < VERSION:
            from agent.ledger.schema import migrate  # noqa: PLC0415 - see there

            migrate(connection)
            connection.execute(f"PRAGMA user_version={VERSION}")
    except BaseException:
        connection.close()
        raise
    return connection


def _lock(state_dir: Path) -> int:
    """Make sure that one agent at a time writes here."""
    try:
        state_dir.mkdir(parents=True, exist_ok=True)
        lock = os.open(state_dir / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
    except OSError as error:
        raise LedgerError(
            f"{state_dir}: cannot be written ({error.strerror}); make it writable for this user"
            " or set agent.state_dir to a directory that is"
        ) from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(lock)
        raise LedgerError(
            f"{state_dir}: another agent is running on this directory; stop it,"
            " or set agent.state_dir to another one"
        ) from error
    return lock


def _explain(path: Path, error: Exception) -> LedgerError:
    text = str(error)
    if isinstance(error, sqlite3.OperationalError | OSError):
        if "full" in text or getattr(error, "errno", None) == 28:
            return LedgerError(f"{path}: the disk is full; free some space, nothing is lost yet")
        if "readonly" in text or "read-only" in text or "unable to open" in text:
            return LedgerError(f"{path}: cannot be written ({text}); make it writable")
        return LedgerError(f"{path}: {text}")
    if isinstance(error, sqlite3.DatabaseError):
        return Corrupt(f"{path}: {text}")
    return LedgerError(f"{path}: {text}")
