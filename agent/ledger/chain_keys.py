"""Keys and signatures in the chain."""

import sqlite3
from collections.abc import Iterable
from typing import NamedTuple

from agent.audit.record import KEY
from agent.ledger.links import append, hour_now, newest, readable


class Unsigned(NamedTuple):
    """What the signer shall do."""

    key: str | None
    """The public key that the chain names now, in hexadecimal."""
    records: list[tuple[int, str, str | None]]
    """Number, hash and the public key wanted, the oldest first."""
    older: bool
    """Whether any of them is of an earlier key's time."""


def to_be_signed(db: sqlite3.Connection, at_most: int = 1024) -> Unsigned:
    """Return the records that have no signature yet; none before the chain names a key."""
    keys = [
        (number, str(readable(body).get("public_key")))
        for number, body in db.execute(
            "SELECT number, body FROM chain WHERE kind = ? ORDER BY number", (KEY,)
        )
    ]
    if not keys:
        return Unsigned(None, [], older=False)
    rows = db.execute(
        "SELECT number, hash FROM chain WHERE signature IS NULL ORDER BY number LIMIT ?",
        (at_most,),
    )
    records: list[tuple[int, str, str | None]] = []
    for number, hashed in rows:
        # a record that names a key is signed with the one before
        before = [key for named, key in keys if named < number]
        records.append((number, hashed.hex(), before[-1] if before else keys[0][1]))
    newest = keys[-1][1]
    return Unsigned(newest, records, older=any(wanted != newest for _, _, wanted in records))


def keep_signatures(db: sqlite3.Connection, signatures: Iterable[tuple[int, str]]) -> None:
    """Write signatures beside their records. Within the caller's transaction."""
    db.executemany(
        "UPDATE chain SET signature = ? WHERE number = ? AND signature IS NULL",
        [(bytes.fromhex(signature), number) for number, signature in signatures],
    )


def name_key(db: sqlite3.Connection, wall: float, public: str, following: str | None) -> None:
    """Write a record of the key, if the chain does not name it yet. Within a transaction.

    `public`: of the key there is. `following`: of the one that shall take over, which the former
    signs; None: there is none.
    """
    body = newest(db, KEY)
    named = str(body["public_key"]) if body else None
    if named == public and following is not None:
        new = following
    elif named is None or named not in {public, following}:
        new = public
    else:
        return
    said = {"algorithm": "Ed25519", "public_key": new, "replaces": named}
    append(db, KEY, hour_now(wall), wall, said)
