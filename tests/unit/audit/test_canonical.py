"""One text for each value, and none for two; a record's hash worked by hand."""

import hashlib
import math
import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.audit.canonical import Unreadable, encode, pack, unpack
from agent.audit.record import FIRST, Record, digest

cells = st.none() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | st.text()


@given(st.lists(cells))
def test_a_body_is_read_back_to_the_last_bit(values):
    found = unpack(pack({"values": values}))["values"]
    assert list(map(type, found)) == list(map(type, values))
    for one, other in zip(values, found, strict=True):
        if isinstance(one, float):
            assert struct.pack(">d", one) == struct.pack(">d", other)
        else:
            assert one == other


@given(cells, cells)
def test_two_values_never_have_one_text(one, other):
    alike = type(one) is type(other) and (
        one == other and math.copysign(1, one) == math.copysign(1, other)
        if isinstance(one, float)
        else one == other
    )
    assert (encode(one) == encode(other)) == alike


def test_bytes_and_broken_text_have_texts_of_their_own():
    values = [b"ab", "ab", {"bytes": "6162x"}, "a\udcff", "a\\udcff", 1, 1.0, -0.0, 0.0, math.inf]
    assert len({encode(value) for value in values}) == len(values)


def test_keys_stand_in_order():
    assert encode({"b": 1, "a": [0.1, None]}) == b'{"a":[0.1,null],"b":1}'


@pytest.mark.parametrize(
    "packed",
    [
        None,
        "text",
        b"",
        b"no deflate",
        pack({"a": 1})[:-1],
        pack({"a": 1}) + b"x",
        zlib.compress(b"[1]"),
        zlib.compress(b'{"a":'),
    ],
)
def test_what_is_no_body_says_so(packed):
    with pytest.raises(Unreadable):
        unpack(packed)


def test_a_hash_worked_by_hand():
    """As docs/audit.md says it, from the fields of one record."""
    record = Record(2, "hour", 490_892, 1_767_215_600.5, b"body", b"", None)
    by_hand = hashlib.sha256(
        b"wattlas ledger record 1\n"
        + bytes.fromhex("00" * 32)
        + bytes.fromhex("0000000000000002")
        + bytes.fromhex("0004") + b"hour"
        + bytes.fromhex("0000000000077d8c")
        + struct.pack(">d", 1_767_215_600.5)
        + bytes.fromhex("0000000000000004") + b"body"
    ).digest()  # fmt: skip
    assert digest(FIRST, record) == by_hand


@pytest.mark.parametrize(
    "wrong",
    [{"number": "2"}, {"kind": None}, {"hour": 1.5}, {"sealed_at": 5}, {"body": "text"}],
)
def test_a_field_of_another_type_has_no_hash(wrong):
    record = Record(2, "hour", 5, 6.0, b"body", b"", None)._replace(**wrong)
    with pytest.raises(ValueError):
        digest(FIRST, record)
