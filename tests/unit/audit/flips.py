"""Single bits flipped in a ledger, through SQL and in files, and what the check says of it."""

import random
import sqlite3
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from unit.audit.made import check

from agent.audit.verdict import Verdict, sentence

TABLES = {
    "stream": ("id", "source", "component", "device", "quality", "counted"),
    "minute": ("minute", "stream", "joules", "seconds", "gap_seconds"),
    "hour": ("hour", "stream", "joules", "seconds", "gap_seconds"),
    "day": ("day", "stream", "joules", "seconds", "gap_seconds"),
    "series": ("id", "kind", "name", "unit"),
    "quarter": ("series", "quarter", "amount", "seconds", "gap_seconds"),
    "record": ("id", "meter", "start", "end", "amount", "row", "seen_at", "replaced_at"),
    "intensity": (
        "provider", "zone", "basis", "factor", "origin", "start", "end", "fetched_at",
        "grams_per_kwh", "source",
    ),
    "chain": ("number", "kind", "hour", "sealed_at", "body", "hash", "signature"),
    "document": ("name", "written_at", "body"),
    "state": ("crc32", "body"),
}  # fmt: skip
"""Every table that an auditor counts, and its columns."""
WITHOUT_ROWID = {
    "minute": ("minute", "stream"),
    "hour": ("hour", "stream"),
    "day": ("day", "stream"),
    "quarter": ("series", "quarter"),
    "intensity": TABLES["intensity"][:8],
}


class Flip(NamedTuple):
    """One bit of one value."""

    table: str
    column: str
    key: tuple[Any, ...]
    before: Any
    after: Any


def flipped(value: Any, dice: random.Random) -> Any:
    """Return a value with one bit of its content flipped; its type stays."""
    match value:
        case int():
            bit = dice.randrange(64)
            (changed,) = struct.unpack(">q", _flip(struct.pack(">q", value), bit))
            return changed
        case float():
            (changed,) = struct.unpack(">d", _flip(struct.pack(">d", value), dice.randrange(64)))
            return changed
        case str() if value:
            data = value.encode()
            return _flip(data, dice.randrange(8 * len(data))).decode("utf-8", "surrogateescape")
        case bytes() if value:
            return _flip(value, dice.randrange(8 * len(value)))
        case _:
            return value


def _flip(data: bytes, bit: int) -> bytes:
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def rows_of(db: sqlite3.Connection) -> list[tuple[str, tuple[Any, ...]]]:
    """Return the table and the key of every row that can be flipped: all that are sealed."""
    (over,) = db.execute("SELECT max(hour) FROM chain WHERE kind = 'hour'").fetchone()
    sealed_days = {h // 24 for (h,) in db.execute("SELECT hour FROM chain WHERE kind = 'day'")}
    found = []
    for table in TABLES:
        key = WITHOUT_ROWID.get(table, ("rowid",))
        names = ", ".join(f'"{name}"' for name in key)
        for row in db.execute(f"SELECT {names} FROM {table}"):
            if table == "day" and row[0] not in sealed_days:
                continue
            assert table not in {"hour", "minute"} or row[0] <= over * 60 + 59
            found.append((table, row))
    return found


def flip(db: sqlite3.Connection, table: str, key: tuple[Any, ...], dice: random.Random) -> Flip:
    """Flip one bit of a value of this row, whichever. Raises sqlite3.Error where none can be."""
    column = dice.choice(TABLES[table])
    names = WITHOUT_ROWID.get(table, ("rowid",))
    where = " AND ".join(f'"{name}" IS ?' for name in names)
    (before,) = db.execute(f'SELECT "{column}" FROM {table} WHERE {where}', key).fetchone()
    after = flipped(before, dice)
    if isinstance(after, str) and not _is_utf8(after):
        # SQLite stores any bytes as text; the cast keeps the type
        after_sql, bound = "CAST(? AS TEXT)", after.encode("utf-8", "surrogateescape")
    else:
        after_sql, bound = "?", after
    db.execute(f'UPDATE {table} SET "{column}" = {after_sql} WHERE {where}', (bound, *key))
    return Flip(table, column, key, before, _read_back(db, table, column, key, before, after))


def _read_back(
    db: sqlite3.Connection, table: str, column: str, key: tuple[Any, ...], before: Any, after: Any
) -> Any:
    """Return what SQLite made of it: it stores -0.0 as 0.0, and so no other value than before."""
    names = list(WITHOUT_ROWID.get(table, ("rowid",)))
    if column in names:
        return before if after == before else after
    where = " AND ".join(f'"{name}" IS ?' for name in names)
    found = db.execute(f'SELECT "{column}" FROM {table} WHERE {where}', key).fetchone()
    return found[0] if found else after  # the row has another rowid by now


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def same_value(one: Any, other: Any) -> bool:
    return type(one) is type(other) and repr(one) == repr(other)


def is_named(one: Flip, verdict: Verdict) -> bool:
    """Tell whether a verdict names where the bit was flipped: the record, the hour, the name."""
    numbers = {finding.number for finding in verdict.findings}
    hours = {finding.hour for finding in verdict.findings}
    said = "\n".join(map(sentence, verdict.findings))
    match one.table:
        case "chain":
            return one.key[0] in numbers
        case "hour":
            return one.key[0] in hours
        case "minute":
            return one.key[0] // 60 in hours
        case "quarter":
            return one.key[1] // 4 in hours
        case "day":
            return one.key[0] * 24 in hours and "day: " in said
        case "record":
            return "invoices: " in said
        case "intensity":
            return "intensities: " in said and int(one.key[7] // 3600) in hours
        case "document":
            return "the document " in said
        case "state":
            return "the agent's state" in said
        case "stream":
            return "stream" in said and bool(numbers - {None} or "the names of streams" in said)
        case _:
            return "series" in said


def trials(db: sqlite3.Connection, count: int, seed: int) -> Iterator[tuple[Flip, Verdict]]:
    """Flip one bit through SQL, check, and undo it, `count` times; yields what the check said.

    The tables take turns, so that small ones are tried as often as long ones.
    """
    dice = random.Random(seed)
    db.text_factory = lambda text: text.decode("utf-8", "surrogateescape")
    by_table: dict[str, list[tuple[Any, ...]]] = {}
    for table, key in rows_of(db):
        by_table.setdefault(table, []).append(key)
    tables = list(TABLES)
    done = 0
    while done < count:
        table = tables[done % len(tables)]
        db.execute("SAVEPOINT trial")
        try:
            one = flip(db, table, dice.choice(by_table[table]), dice)
            # NaN, which SQLite has not, becomes NULL, and the columns are NOT NULL
            if not same_value(one.before, one.after):
                yield one, check(db, whole_file=False)
                done += 1
        except sqlite3.IntegrityError:
            pass  # no such row may be: its key is another's, or it would be NULL
        finally:
            db.execute("ROLLBACK TO trial")
            db.execute("RELEASE trial")


def flip_in_file(path: Path, dice: random.Random) -> int:
    """Flip one bit of a file; return which."""
    size = path.stat().st_size
    bit = dice.randrange(8 * size)
    with path.open("r+b") as file:
        file.seek(bit // 8)
        (byte,) = file.read(1)
        file.seek(bit // 8)
        file.write(bytes([byte ^ 1 << bit % 8]))
    return bit


def unflip(path: Path, bit: int) -> None:
    with path.open("r+b") as file:
        file.seek(bit // 8)
        (byte,) = file.read(1)
        file.seek(bit // 8)
        file.write(bytes([byte ^ 1 << bit % 8]))


def contents(path: Path) -> Any:
    """Return all that an auditor counts in a ledger's file; an exception if SQLite gives none."""
    db = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)
    db.text_factory = bytes
    try:
        return [
            (table, db.execute(f"SELECT {', '.join(_quoted(columns))} FROM {table}").fetchall())
            for table, columns in TABLES.items()
        ]
    except (sqlite3.Error, OverflowError, UnicodeDecodeError) as error:
        return error
    finally:
        db.close()


def _quoted(columns: tuple[str, ...]) -> list[str]:
    return [f'"{column}"' for column in columns]
