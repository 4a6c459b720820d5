"""One record of the chain: what it binds, and how. Pure.

    hash = SHA-256( "wattlas ledger record 1\n" | hash of the record before, 32 bytes
                    | number, 8 bytes | length of kind, 2 bytes | kind
                    | hour, 8 bytes | sealed_at, IEEE 754 binary64
                    | length of body, 8 bytes | body )

Numbers are big-endian, two's complement; before record 1 stand 32 zero bytes. The lengths keep two
different records from being the same bytes; the first line keeps a hash or signature made for
another purpose from passing for one of these. SHA-256: FIPS 180-4. Ed25519: RFC 8032.
"""

import hashlib
import struct
from typing import Any, Final, NamedTuple

DOMAIN: Final = b"wattlas ledger record 1\n"
SIGNED: Final = b"wattlas ledger signature 1\n"
FIRST: Final = bytes(32)
"""Stands for the hash of the record before the first."""

BEGIN: Final = "begin"
KEY: Final = "key"
PRUNE: Final = "prune"
MISMATCH: Final = "mismatch"
HOUR: Final = "hour"
DAY: Final = "day"
ADOPTED: Final = "adopted"
RESTATED: Final = "restatement"


class Record(NamedTuple):
    """A row of the table `chain`, as it is read: somebody may have put anything into it."""

    number: Any
    """From 1, without a hole."""
    kind: Any
    """begin, key, prune, mismatch; for an hour or a day see `kind_of`."""
    hour: Any
    """Hours since 1970 UTC: the one that is sealed, a day's first, or when it was written."""
    sealed_at: Any
    """Unix time."""
    body: Any
    """As `canonical.pack` makes it."""
    hash: Any
    signature: Any
    """Ed25519 over `to_sign`; None: not signed yet."""


def kind_of(span: str, why: str = "") -> str:
    """Return the kind of a record of an hour or a day.

    No `why`: sealed when it was over. adopted: it was there before the chain began. restatement:
    it takes the place of what was said of it.
    """
    return why if span == HOUR and why else f"{span} {why}".strip()


SPANS: Final = {
    kind_of(span, why): (span, why) for span in (HOUR, DAY) for why in ("", ADOPTED, RESTATED)
}
"""The span and the reason of each kind of record that states figures."""


def digest(previous: bytes, record: Record) -> bytes:
    """Return the hash that a record must have after `previous`.

    Raises ValueError where a field is of no type that a record has.
    """
    try:
        if not isinstance(record.sealed_at, float):
            raise TypeError("its time is not a real number")
        kind = record.kind.encode()
        head = struct.pack(">qH", record.number, len(kind)) + kind
        head += struct.pack(">qdQ", record.hour, record.sealed_at, len(record.body))
        return hashlib.sha256(DOMAIN + previous + head + record.body).digest()
    except (struct.error, TypeError, AttributeError, UnicodeError) as error:
        raise ValueError(str(error)) from error


def to_sign(digest: bytes) -> bytes:
    """Return what the signature of a record is over."""
    return SIGNED + digest
