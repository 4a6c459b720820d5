"""The ledger's tables, as versioned migrations through sqlite-utils.

Needed only when a ledger is older than this program; a new one begins with newest.sql, which
scripts/reference makes from these. sqlite-utils would stay in the agent's memory for ever (3 MB),
so a short child process runs this file; see `opening`.
"""

import contextlib
import sqlite3
import sys
from typing import Any

from sqlite_utils import Database, Migrations

migrations = Migrations("wattlas")


@migrations()
def m001_first(db: Any) -> None:
    """Streams, the state a restart needs, and three levels of detail."""
    db["stream"].create(
        {"id": int, "source": str, "component": str, "device": str, "quality": str, "counted": int},
        pk="id",
    )
    db["stream"].create_index(["source", "component", "device", "quality"], unique=True)
    db["state"].create({"id": int, "crc32": int, "body": bytes}, pk="id")
    for level in ("minute", "hour", "day"):
        db.execute(
            # WITHOUT ROWID keeps one copy of the key: 30 bytes a row
            f"CREATE TABLE {level} ("
            f" {level} INTEGER NOT NULL,"  # since 1970-01-01 UTC
            " stream INTEGER NOT NULL REFERENCES stream(id),"
            " joules REAL NOT NULL,"
            " seconds REAL NOT NULL,"  # time for which energy was counted
            " gap_seconds REAL NOT NULL,"  # time for which the source gave none
            f" PRIMARY KEY ({level}, stream)) WITHOUT ROWID"
        )


@migrations()
def m002_quarters(db: Any) -> None:
    """Amounts by quarter of an hour, kept for ever, and the rows of invoices with their history."""
    db["series"].create({"id": int, "kind": str, "name": str, "unit": str}, pk="id")
    db["series"].create_index(["kind", "name", "unit"], unique=True)
    db.execute(
        "CREATE TABLE quarter ("
        " series INTEGER NOT NULL REFERENCES series(id),"
        " quarter INTEGER NOT NULL,"  # of an hour, since 1970-01-01 UTC
        " amount REAL NOT NULL,"
        " seconds REAL NOT NULL,"  # time for which the amount stands
        " gap_seconds REAL NOT NULL,"
        " PRIMARY KEY (series, quarter)) WITHOUT ROWID"
    )
    db.execute(
        "CREATE TABLE record ("
        " id INTEGER PRIMARY KEY,"
        " meter TEXT NOT NULL,"
        " start REAL NOT NULL,"  # Unix time
        ' "end" REAL NOT NULL,'
        " amount REAL NOT NULL,"  # J or l
        " row INTEGER NOT NULL,"  # line of the file
        " seen_at REAL NOT NULL,"
        " replaced_at REAL)"  # NULL: it counts
    )
    db["record"].create_index(["meter", "start"])


@migrations()
def m003_carbon(db: Any) -> None:
    """What providers said of the grid, in every version; and documents, such as the inventory."""
    db.execute(
        "CREATE TABLE intensity ("
        " provider TEXT NOT NULL, zone TEXT NOT NULL, basis TEXT NOT NULL, factor TEXT NOT NULL,"
        " origin TEXT NOT NULL, start REAL NOT NULL,"
        ' "end" REAL NOT NULL,'  # Unix time
        " fetched_at REAL NOT NULL,"
        " grams_per_kwh REAL NOT NULL,"
        " source TEXT NOT NULL,"
        ' PRIMARY KEY (start, "end", provider, zone, basis, factor, origin, fetched_at))'
        " WITHOUT ROWID"
    )
    db["document"].create({"name": str, "written_at": float, "body": bytes}, pk="name")


@migrations()
def m004_outbox(db: Any) -> None:
    """What remote write has still to send; `agent.ledger.outbox` says what stands in the bodies."""
    db.execute(
        "CREATE TABLE outbox_series ("
        " id INTEGER PRIMARY KEY AUTOINCREMENT,"
        " labels BLOB NOT NULL UNIQUE)"  # type, name and labels
    )
    db.execute(
        "CREATE TABLE outbox_base ("
        " id INTEGER PRIMARY KEY AUTOINCREMENT,"
        " at_ms INTEGER NOT NULL,"  # Unix time
        " series BLOB NOT NULL,"  # their ids
        " body BLOB NOT NULL)"
    )
    db.execute(
        "CREATE TABLE outbox ("
        " id INTEGER PRIMARY KEY AUTOINCREMENT,"  # the order of sending; never used again
        " at_ms INTEGER NOT NULL,"  # Unix time
        " base INTEGER NOT NULL REFERENCES outbox_base(id),"
        " samples INTEGER NOT NULL,"
        " sent INTEGER NOT NULL,"  # 1: it is kept only because it is the newest
        " body BLOB NOT NULL)"
    )
    db.execute(
        "CREATE TABLE outbox_total (name TEXT PRIMARY KEY, amount REAL NOT NULL) WITHOUT ROWID"
    )


@migrations()
def m005_chain(db: Any) -> None:
    """Sealed hours, each bound to the one before by its hash."""
    db.execute(
        "CREATE TABLE chain ("
        " number INTEGER PRIMARY KEY,"  # from 1, without a hole
        " kind TEXT NOT NULL,"
        " hour INTEGER NOT NULL,"  # since 1970-01-01 UTC
        " sealed_at REAL NOT NULL,"  # Unix time
        " body BLOB NOT NULL,"  # `agent.audit.canonical.pack`
        " hash BLOB NOT NULL,"  # `agent.audit.record.digest`
        " signature BLOB)"  # NULL: not signed yet
    )
    db["chain"].create_index(["hour"])
    db["chain"].create_index(["kind"])
    db.execute("CREATE INDEX chain_unsigned ON chain(number) WHERE signature IS NULL")
    db.execute(
        # what was written since it was sealed, or never was
        "CREATE TABLE unsealed ("
        " span TEXT NOT NULL,"  # hour or day
        " number INTEGER NOT NULL,"  # since 1970-01-01 UTC
        " how TEXT NOT NULL,"  # adopted: it was there before there was a chain
        " note TEXT NOT NULL,"  # JSON: what was known of it before it changed
        " PRIMARY KEY (span, number)) WITHOUT ROWID"
    )
    db["intensity"].create_index(["fetched_at"])
    for span, number, table in (
        ("hour", "hour", "hour"),
        ("hour", "quarter / 4", "quarter"),
        ("hour", "CAST(seen_at / 3600 AS INTEGER)", "record"),
        ("hour", "CAST(fetched_at / 3600 AS INTEGER)", "intensity"),
        ("hour", "CAST(written_at / 3600 AS INTEGER)", "document"),
        ("day", "day", "day"),
    ):
        db.execute(
            "INSERT OR IGNORE INTO unsealed"  # noqa: S608 - our own names
            f" SELECT DISTINCT '{span}', {number}, 'adopted', '' FROM {table}"
        )


def migrate(connection: sqlite3.Connection) -> None:
    """Bring a ledger to the newest version; each step is one transaction."""
    migrations.apply(Database(connection, execute_plugins=False))
    version = len(list(migrations.applied(Database(connection, execute_plugins=False))))
    connection.execute(f"PRAGMA user_version={version}")


def main(path: str) -> None:
    """Bring the ledger at `path` to the newest version."""
    with contextlib.closing(sqlite3.connect(path, timeout=5.0)) as connection:
        connection.execute("PRAGMA synchronous=NORMAL")
        migrate(connection)


if __name__ == "__main__":
    main(sys.argv[1])
