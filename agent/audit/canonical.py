"""Values as bytes, the same on every machine: what is hashed, and how it is kept. Pure.

JSON in ASCII, keys in order, no blanks. A float is the shortest decimal that reads back as the
same IEEE 754 binary64 value (Python's repr; D. M. Gay, "Correctly rounded binary-decimal and
decimal-binary conversions", 1990), and always has a point or an exponent, so it never looks like
an integer: every value that SQLite can hold has one text, and no two have the same.
"""

import json
import zlib
from collections.abc import Mapping
from typing import Any, Final

MAX_BYTES: Final = 256 << 20
"""A body that unpacks to more is no ledger's."""
LEVEL: Final = 6


class Unreadable(Exception):
    """These bytes are no body of a record."""


def encode(value: Any) -> bytes:
    """Return a value's one text. Bytes, which JSON has not, become {"bytes": hexadecimal}."""
    return _ENCODER.encode(value).encode("ascii")


def _special(value: Any) -> Any:
    if isinstance(value, bytes):
        return {"bytes": value.hex()}
    raise TypeError(f"{value!r} cannot stand in a record")


_ENCODER: Final = json.JSONEncoder(
    sort_keys=True, separators=(",", ":"), ensure_ascii=True, default=_special
)


def pack(body: Mapping[str, Any]) -> bytes:
    """Return a body as it is kept and hashed: its text, deflated (RFC 1950)."""
    return zlib.compress(encode(body), LEVEL)


def unpack(packed: object) -> dict[str, Any]:
    """Return the body that `pack` made these bytes of. Raises `Unreadable`."""
    if not isinstance(packed, bytes):
        raise Unreadable("it is no sequence of bytes")
    inflate = zlib.decompressobj()
    try:
        text = inflate.decompress(packed, MAX_BYTES)
        if not inflate.eof or inflate.unused_data:
            raise Unreadable("it does not end where it should")
        body = json.loads(text)
    except (zlib.error, ValueError, RecursionError) as error:
        raise Unreadable(str(error)) from error
    if not isinstance(body, dict):
        raise Unreadable("it is no object")
    return body
