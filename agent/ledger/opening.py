"""How a ledger is opened: one agent at a time, checked, brought up to date, or set aside."""

import contextlib
import fcntl
import os
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

from agent.ledger.errors import MAY_PASS, Corrupt, Hopeless, LedgerError

VERSION: Final = 5
"""PRAGMA user_version of a ledger with every migration of this program: their number."""
BUSY_SECONDS: Final = 5.0
"""How long to wait for somebody else's lock on the file, such as a backup's."""
MAX_ASIDE: Final = 20
"""Corrupt ledgers kept; so many show a disk or memory that fails again and again."""
MIGRATION_SECONDS: Final = 30.0
_NEWEST: Final = Path(__file__).with_name("newest.sql")
"""What the migrations make of an empty file: without a process, which takes a third of a second."""
_CHILD: Final = (
    "import runpy, sys; sys.path[:] = sys.argv[3:];runpy.run_path(sys.argv[1])['main'](sys.argv[2])"
)


def lock(state_dir: Path) -> int:
    """Make sure that one agent at a time writes here; return the lock's descriptor."""
    try:
        state_dir.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(state_dir / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
    except OSError as error:
        kind = LedgerError if error.errno in MAY_PASS else Hopeless
        raise kind(
            f"{state_dir}: cannot be written ({error.strerror}); make it writable for this user"
            " or set agent.state_dir to a directory that is"
        ) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        raise Hopeless(
            f"{state_dir}: another agent is running on this directory; stop it,"
            " or set agent.state_dir to another one"
        ) from error
    except OSError as error:
        os.close(descriptor)
        raise Hopeless(
            f"{state_dir}: cannot be locked ({error.strerror}); set agent.state_dir to a"
            " directory on a local disk"
        ) from error
    return descriptor


def connect(path: Path) -> sqlite3.Connection:
    """Open or create the file at the newest version. Raises sqlite3.Error or `LedgerError`."""
    connection = sqlite3.connect(path, timeout=BUSY_SECONDS, check_same_thread=False)
    try:
        (mode,) = connection.execute("PRAGMA journal_mode=WAL").fetchone()
        if mode != "wal":
            raise LedgerError(
                f"{path}: this disk cannot hold it (journal mode {mode}); set agent.state_dir to"
                " a directory on a local disk"
            )
        connection.execute("PRAGMA synchronous=NORMAL")
        connection.execute("PRAGMA wal_autocheckpoint=0")  # `Ledger.flush` does it
        connection.execute("PRAGMA cache_size=-512")  # KiB; the working set is a few pages
        _bring_up_to_date(path, connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _bring_up_to_date(path: Path, connection: sqlite3.Connection) -> None:
    version = _version(connection)
    if version > VERSION:
        (applied,) = connection.execute("SELECT count(*) FROM _sqlite_migrations").fetchone()
        if applied <= VERSION:
            raise Corrupt(f"{path}: says version {version} and has {applied} migrations")
        raise Hopeless(
            f"{path}: was written by a newer Wattlas (version {version} of the schema, this one"
            f" knows {VERSION}); install that one again"
        )
    if version < VERSION:
        if _is_empty(connection):
            connection.executescript(_NEWEST.read_text(encoding="utf-8"))
        else:
            _migrate_in_a_child(path)
        if _version(connection) < VERSION:
            _migrate_here(path, connection)
        # what is not in the main file is lost with the WAL
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()


def _is_empty(connection: sqlite3.Connection) -> bool:
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    return not tables


def _version(connection: sqlite3.Connection) -> int:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    return int(version)


def _migrate_in_a_child(path: Path) -> None:
    """Run the migrations where sqlite-utils does not stay in our memory; may fail quietly."""
    schema = str(Path(__file__).with_name("schema.py"))
    where = [entry for entry in sys.path if entry]
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        subprocess.run(  # noqa: S603 - ourselves
            [sys.executable, "-I", "-c", _CHILD, schema, str(path), *where],
            timeout=MIGRATION_SECONDS,
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )


def _migrate_here(path: Path, connection: sqlite3.Connection) -> None:
    from agent.ledger.schema import migrate  # noqa: PLC0415 - see there

    try:
        migrate(connection)
    except (sqlite3.Error, LedgerError):
        raise
    except Exception as error:  # sqlite-utils met tables that it did not expect
        raise Corrupt(f"{path}: cannot be brought up to date ({error})") from error


def set_aside(path: Path, now: float) -> Path:
    """Rename a corrupt ledger and its companions, so that nothing in it is lost.

    Returns the new name of the ledger itself. Raises `LedgerError`.
    """
    pattern = f"{path.name}.corrupt-*"
    try:
        kept = [p for p in path.parent.glob(pattern) if not p.name.endswith(("-wal", "-shm"))]
        if len(kept) >= MAX_ASIDE:
            raise LedgerError(
                f"{path}: is corrupt again, and {len(kept)} such ledgers are kept already; check"
                " the disk and the memory, then move them away"
            )
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now))
        aside = path.with_name(f"{path.name}.corrupt-{stamp}")
        number = 1
        while aside.exists():
            aside = path.with_name(f"{path.name}.corrupt-{stamp}.{number}")
            number += 1
        # the main file last: without it SQLite would drop the WAL that belongs to it
        for suffix in ("-wal", "-shm", ""):
            with contextlib.suppress(FileNotFoundError):
                path.with_name(path.name + suffix).rename(f"{aside}{suffix}")
    except OSError as error:
        raise LedgerError(
            f"{path}: is corrupt and cannot be set aside ({error.strerror}); make the directory"
            " writable"
        ) from error
    return aside
