"""What the migrations make of an empty file, as SQL: a new ledger begins with it."""

import contextlib
import sqlite3

from reference_settings import MADE

from agent.ledger.schema import migrate

_NOW = "strftime('%Y-%m-%d %H:%M:%f000+00:00', 'now')"


def newest() -> str:
    """Return agent/ledger/newest.sql: one transaction."""
    with contextlib.closing(sqlite3.connect(":memory:")) as db:
        migrate(db)
        statements = [
            sql
            for name, sql in db.execute("SELECT name, sql FROM sqlite_master ORDER BY rowid")
            if sql is not None and not name.startswith("sqlite_")
        ]
        for migrations, name in db.execute(
            "SELECT migration_set, name FROM _sqlite_migrations ORDER BY id"
        ):
            statements.append(
                "INSERT INTO _sqlite_migrations (migration_set, name, applied_at)"
                f" VALUES ('{migrations}', '{name}', {_NOW})"
            )
        (version,) = db.execute("PRAGMA user_version").fetchone()
    lines = ["BEGIN IMMEDIATE", *statements, f"PRAGMA user_version = {version}", "COMMIT"]
    return (
        f"-- {MADE}\n-- What the migrations of agent/ledger/schema.py make of an empty file.\n"
        + ("".join(f"{line};\n" for line in lines))
    )
