"""What is written by hand is read by the protobuf library, and says the same."""

import math
import struct

import cramjam
import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.exporters.remote_messages import Request, WriteRequest, read

from exporters.remote_encoding import (
    Kind,
    labels_of,
    request,
    series,
    varint,
    write_request,
)

NAMES = st.text(min_size=1, max_size=12)
LABELS = st.dictionaries(NAMES, st.text(max_size=200), max_size=6)
WORDS = st.integers(0, 2**64 - 1)
POINTS = st.lists(st.tuples(st.integers(1, 2**62), WORDS), min_size=1, max_size=4)
ROWS = st.lists(st.tuples(st.sampled_from(Kind), NAMES, LABELS, POINTS), max_size=5)


def kept(kind, name, labels):
    pairs = {"__name__": name} | labels
    return series(kind, [(k.encode(), v.encode()) for k, v in pairs.items()])


def wanted(name, labels):
    return sorted((k, v) for k, v in ({"__name__": name} | labels).items() if v)


def word(value):
    return struct.unpack("<Q", struct.pack("<d", value))[0]


@given(ROWS)
def test_the_library_reads_what_1_0_says(rows):
    message = write_request([(kept(kind, n, labels), p) for kind, n, labels, p in rows])
    read_back = WriteRequest.FromString(message)
    assert len(read_back.timeseries) == len(rows)
    for one, (_, name, labels, points) in zip(read_back.timeseries, rows, strict=True):
        pairs = [(label.name, label.value) for label in one.labels]
        assert sorted(pairs) == wanted(name, labels)
        assert [p[0].encode() for p in pairs] == sorted(p[0].encode() for p in pairs)
        assert [s.timestamp for s in one.samples] == [at for at, _ in points]
    # to the bit: the payload of a NaN is what makes a staleness marker
    for (_, _, _, points), raw in zip(rows, _samples(message), strict=True):
        assert raw == [value for _, value in points]


def _samples(message):
    """Return the words of each series' samples, read by the library as eight bytes."""
    found = []
    for one in WriteRequest.FromString(message).timeseries:
        bodies = [s.SerializeToString() for s in one.samples]
        found.append([int.from_bytes(b[1:9], "little") if b[:1] == b"\x09" else 0 for b in bodies])
    return found


@given(ROWS)
def test_the_library_reads_what_2_0_says(rows):
    help_of = {b"a": "the letter a", b"b": ""}
    message = request([(kept(kind, n, labels), p) for kind, n, labels, p in rows], help_of)
    read_back = Request.FromString(message)
    symbols = list(read_back.symbols)
    assert symbols[0] == ""
    assert len(set(symbols)) == len(symbols)
    assert len(read_back.timeseries) == len(rows)
    for one, (kind, name, labels, points) in zip(read_back.timeseries, rows, strict=True):
        words = [symbols[reference] for reference in one.labels_refs]
        pairs = list(zip(words[::2], words[1::2], strict=True))
        assert sorted(pairs) == wanted(name, labels)
        assert one.metadata.type == kind
        said = ({"__name__": name} | labels)["__name__"]
        assert symbols[one.metadata.help_ref] == ("the letter a" if said == "a" else "")
        assert [s.timestamp for s in one.samples] == [at for at, _ in points]
        assert [word(s.value) for s in one.samples] == [
            w if not math.isnan(struct.unpack("<d", struct.pack("<Q", w))[0]) else word(s.value)
            for (_, w), s in zip(points, one.samples, strict=True)
        ]


@given(LABELS, NAMES)
def test_labels_come_back(labels, name):
    assert [(k.decode(), v.decode()) for k, v in labels_of(kept(Kind.GAUGE, name, labels))] == [
        (k, v)
        for k, v in sorted(({"__name__": name} | labels).items(), key=lambda p: p[0].encode())
        if v
    ]


def test_a_message_by_hand():
    """WriteRequest with one series a="b" and the sample 1.0 at 300 ms, worked out on paper."""
    whole = write_request([(series(Kind.COUNTER, [(b"a", b"b")]), [(300, word(1.0))])])
    label = b"\x0a\x01a" + b"\x12\x01b"
    sample = b"\x09" + b"\x00\x00\x00\x00\x00\x00\xf0\x3f" + b"\x10\xac\x02"
    body = b"\x0a\x06" + label + b"\x12\x0c" + sample
    assert whole == b"\x0a" + bytes([len(body)]) + body


def test_a_request_of_1_0_read_as_2_0_is_empty_and_the_other_way():
    """Why 2.0 reserves the fields 1 to 3."""
    rows = [(kept(Kind.GAUGE, "up", {}), [(1, word(1.0))])]
    assert not WriteRequest.FromString(request(rows, {})).timeseries
    assert not Request.FromString(write_request(rows)).timeseries


@pytest.mark.parametrize(
    ("number", "bytes_"),
    [
        (0, b"\x00"),
        (127, b"\x7f"),
        (128, b"\x80\x01"),
        (300, b"\xac\x02"),
        (-1, b"\xff" * 9 + b"\x01"),
    ],
)
def test_varints(number, bytes_):
    assert varint(number) == bytes_


def test_snappy_is_the_block_format():
    """Its preamble is the length as a varint (google/snappy, format_description.txt)."""
    message = write_request([(kept(Kind.GAUGE, "up", {}), [(1, word(1.0))])])
    body = bytes(cramjam.snappy.compress_raw(message))
    assert body.startswith(varint(len(message)))
    assert read(body, "application/x-protobuf") == {(("__name__", "up"),): [(1, 1.0)]}
