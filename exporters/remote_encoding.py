"""Protocol buffers of remote write 1.0 and 2.0, by hand: two messages do not need the library.

Messages: `prometheus.WriteRequest` (prometheus.io/docs/specs/prw/remote_write_spec, "Protocol"),
`io.prometheus.write.v2.Request` (remote_write_spec_2_0, "Protobuf Message"). The wire format is
protobuf.dev/programming-guides/encoding. A test lets the protobuf library read what is written.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import IntEnum
from typing import Final

Label = tuple[bytes, bytes]
"""Name and value, UTF-8."""
Points = Sequence[tuple[int, int]]
"""Of one series: Unix time in ms, and the IEEE 754 binary64 as an integer."""
METRIC_NAME: Final = b"__name__"


class Kind(IntEnum):
    """Metadata.MetricType of 2.0."""

    UNSPECIFIED = 0
    COUNTER = 1
    GAUGE = 2


# Keys of fields: number times 8 plus the wire type (0 varint, 1 eight bytes, 2 with a length).
_TIMESERIES: Final = b"\x0a"  # WriteRequest.timeseries = 1
_LABELS: Final = b"\x0a"  # TimeSeries.labels = 1
_SAMPLES: Final = b"\x12"  # TimeSeries.samples = 2, in both versions
_NAME, _VALUE = b"\x0a", b"\x12"  # Label.name = 1, Label.value = 2
_SAMPLE_VALUE, _SAMPLE_TIME = b"\x09", b"\x10"  # Sample.value = 1, Sample.timestamp = 2
_V2_SYMBOLS, _V2_TIMESERIES = b"\x22", b"\x2a"  # Request.symbols = 4, Request.timeseries = 5
_V2_REFS, _V2_METADATA = b"\x0a", b"\x2a"  # TimeSeries.labels_refs = 1, TimeSeries.metadata = 5
_V2_TYPE, _V2_HELP = b"\x08", b"\x18"  # Metadata.type = 1, Metadata.help_ref = 3


def varint(number: int) -> bytes:
    """Return a base-128 varint; a negative number as its 64-bit two's complement."""
    number &= 0xFFFF_FFFF_FFFF_FFFF
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def series(kind: Kind, labels: Iterable[Label]) -> bytes:
    """Return what is kept of a series: its type, and its labels as a TimeSeries of 1.0 has them.

    Labels are sorted by name, those with an empty value are left out, as both versions demand.
    """
    parts = [bytes([kind])]
    for name, value in sorted(labels):
        if value:
            label = _NAME + varint(len(name)) + name + _VALUE + varint(len(value)) + value
            parts += (_LABELS, varint(len(label)), label)
    return b"".join(parts)


def labels_of(kept: bytes) -> Iterator[Label]:
    """Yield the labels of what `series` has returned."""
    at = 1
    while at < len(kept):
        _, at = _length(kept, at + 1)
        size, at = _length(kept, at + 1)
        name, at = kept[at : at + size], at + size
        size, at = _length(kept, at + 1)
        yield name, kept[at : at + size]
        at += size


def write_request(rows: Iterable[tuple[bytes, Points]]) -> bytes:
    """Return a WriteRequest of 1.0: of each series what `series` returned, and its points."""
    parts: list[bytes] = []
    times: dict[int, bytes] = {}
    for kept, points in rows:
        body = kept[1:] + _samples(points, times)
        parts += (_TIMESERIES, varint(len(body)), body)
    return b"".join(parts)


def request(rows: Iterable[tuple[bytes, Points]], help_of: Mapping[bytes, str]) -> bytes:
    """Return a Request of 2.0. `help_of`: help texts by metric name; some may be missing."""
    symbols: dict[bytes, int] = {b"": 0}
    parts: list[bytes] = []
    times: dict[int, bytes] = {}
    for kept, points in rows:
        refs, metric = bytearray(), b""
        for name, value in labels_of(kept):
            refs += varint(symbols.setdefault(name, len(symbols)))
            refs += varint(symbols.setdefault(value, len(symbols)))
            if name == METRIC_NAME:
                metric = value
        text = help_of.get(metric, "").encode()
        metadata = _V2_TYPE + varint(kept[0])
        if text:
            metadata += _V2_HELP + varint(symbols.setdefault(text, len(symbols)))
        body = b"".join(
            (
                _V2_REFS,
                varint(len(refs)),
                refs,
                _samples(points, times),
                _V2_METADATA,
                varint(len(metadata)),
                metadata,
            )
        )
        parts += (_V2_TIMESERIES, varint(len(body)), body)
    table = [part for text in symbols for part in (_V2_SYMBOLS, varint(len(text)), text)]
    return b"".join(table + parts)


def _samples(points: Points, times: dict[int, bytes]) -> bytes:
    parts: list[bytes] = []
    for at_ms, word in points:
        # the same few times in every series
        time = times.get(at_ms) or times.setdefault(at_ms, _SAMPLE_TIME + varint(at_ms))
        parts += (
            _SAMPLES,
            varint(9 + len(time)),
            _SAMPLE_VALUE,
            word.to_bytes(8, "little"),
            time,
        )
    return b"".join(parts)


def _length(data: bytes, at: int) -> tuple[int, int]:
    """Read a varint; return it and where it ends."""
    number = shift = 0
    while True:
        byte = data[at]
        at += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, at
        shift += 7
