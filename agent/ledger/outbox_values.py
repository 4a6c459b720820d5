"""How the values of one moment are kept: 64-bit words against those of a moment before, deflated.

A word is the IEEE 754 binary64 of a sample, as an integer: a staleness marker is a NaN with a
payload, which a float could lose on its way (a signalling NaN may be made quiet).
"""

import struct
import zlib
from collections.abc import Sequence
from typing import Final

STALE: Final = 0x7FF0000000000002
"""The series has ended (Prometheus remote write 1.0, "Stale Markers")."""
NOTHING: Final = 0x7FF0000000000003
"""Of our own, never sent: this moment has no sample of the series."""
NOT_A_NUMBER: Final = 0x7FF8000000000001
"""Every other NaN, as Prometheus writes it (model/value: NormalNaN)."""
LEVEL: Final = 6
_WORD: Final = 8


class Damaged(ValueError):
    """It is not what was written."""


def words(values: Sequence[float]) -> list[int]:
    """Return the values as words; whatever is not a number as Prometheus' own NaN."""
    count = len(values)
    found = struct.unpack(f"<{count}Q", struct.pack(f"<{count}d", *values))
    return [
        word if value == value else NOT_A_NUMBER  # noqa: PLR0124 - that is how a NaN is known
        for word, value in zip(found, values, strict=True)
    ]


def pack(moment: Sequence[int], base: Sequence[int] | None = None) -> bytes:
    """Return words as bytes, small where they are like those of `base`.

    XOR leaves zeros where sign, exponent and leading digits agree; bytes of the same rank stand
    together, so deflate (RFC 1951) finds the zeros.
    """
    count = len(moment)
    plain = struct.pack(f"<{count}Q", *moment)
    if base is not None:
        plain = _xor(plain, struct.pack(f"<{count}Q", *base))
    return zlib.compress(b"".join(plain[rank::_WORD] for rank in range(_WORD)), LEVEL)


def unpack(body: bytes, count: int, base: Sequence[int] | None = None) -> tuple[int, ...]:
    """Return the words that `pack` got. Raises `Damaged`."""
    size = count * _WORD
    try:
        inflate = zlib.decompressobj()
        by_rank = inflate.decompress(body, size + 1)
    except zlib.error as error:
        raise Damaged(str(error)) from error
    # to its end, where zlib has compared the checksum (RFC 1950)
    if len(by_rank) != size or not inflate.eof or (base is not None and len(base) != count):
        raise Damaged(f"{len(by_rank)} bytes, not {size}")
    plain = bytearray(size)
    for rank in range(_WORD):
        plain[rank::_WORD] = by_rank[rank * count : (rank + 1) * count]
    whole = bytes(plain)
    if base is not None:
        whole = _xor(whole, struct.pack(f"<{count}Q", *base))
    return struct.unpack(f"<{count}Q", whole)


def pack_ids(ids: Sequence[int]) -> bytes:
    """Return the ids of series as bytes."""
    return zlib.compress(struct.pack(f"<{len(ids)}I", *ids), LEVEL)


def unpack_ids(body: bytes) -> tuple[int, ...]:
    """Return the ids that `pack_ids` got. Raises `Damaged`."""
    try:
        plain = zlib.decompress(body)
        return struct.unpack(f"<{len(plain) // 4}I", plain)
    except (zlib.error, struct.error) as error:
        raise Damaged(str(error)) from error


def _xor(one: bytes, other: bytes) -> bytes:
    whole = int.from_bytes(one, "little") ^ int.from_bytes(other, "little")
    return whole.to_bytes(len(one), "little")
