"""Tables made by the same C structures that the kernel has, and by hand."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.collectors.drm_trees import card, table
from unit.collectors.trees import context

from agent.samples import EnergyCounter, PowerReading
from collectors.amdgpu import Amdgpu
from collectors.amdgpu_metrics import JOULES_PER_COUNT, Metrics, NotUnderstood, parse

LAYOUTS = [
    # format, content, sizeof, offsetof(energy_accumulator), as gcc lays the structures out
    (1, 3, 120, 24),
    (1, 4, 288, 24),
    (1, 5, 360, 88),
    (1, 6, 384, 88),
    (1, 6, 1664, 16),
    (1, 7, 2208, 24),
    (1, 8, 3872, 24),
]


def attributes(*entries, count=None):
    """Return a gpu_metrics_v1_9 of (unit, type, attribute, values) with U64 values."""
    body = b""
    for unit, kind, attribute, values in entries:
        code = "BbHhIiQq"[kind]
        body += struct.pack("=Q", unit << 24 | kind << 20 | attribute << 10 | len(values))
        body += struct.pack(f"={len(values)}{code}", *values)
    number = len(entries) if count is None else count
    return struct.pack("=HBBi", 8 + len(body), 1, 9, number) + body


V1_9 = attributes((2, 2, 0, [41]), (1, 2, 33, [900] * 8), (0, 6, 7, [65536 * 3]), (4, 6, 8, [5]))


@pytest.mark.parametrize(("form", "content", "size", "offset"), LAYOUTS)
def test_each_revision_has_its_energy_where_the_header_puts_it(form, content, size, offset):
    assert parse(table(form, content, size, offset, 65536 * 5)) == (form, content, 65536 * 5)


def test_the_unit_is_two_to_the_minus_sixteen():
    """The header: 15.259 uJ (2^-16)."""
    assert pytest.approx(15.259e-6, rel=1e-4) == JOULES_PER_COUNT


@pytest.mark.parametrize(
    "data",
    [
        table(1, 5, 328, 56, 7),
        table(1, 8, 3360, 24, 7),
        table(1, 2, 104, 24, 7),
        table(2, 1, 120, 24, 7),
        table(3, 0, 256, 24, 7),
        table(1, 99, 120, 24, 7),
    ],
)
def test_another_size_or_revision_has_no_energy(data):
    assert parse(data).counts is None


def test_a_field_the_driver_did_not_fill_is_unknown():
    assert parse(table(1, 5, 360, 88, 2**64 - 1)) == Metrics(1, 5, None)


def test_attributes():
    assert parse(V1_9) == Metrics(1, 9, 65536 * 3)
    assert parse(attributes((2, 2, 0, [41]))) == Metrics(1, 9, None)
    # energy as anything but one u64 is not what we know
    assert parse(attributes((0, 4, 7, [5]))) == Metrics(1, 9, None)
    assert parse(attributes((0, 6, 7, [5, 6]))) == Metrics(1, 9, None)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x78\x00\x01",
        table(1, 3, 120, 24, 1)[:-1],
        table(1, 3, 120, 24, 1) + b"\xff",
        struct.pack("=HBB", 4, 1, 9),
        attributes((2, 2, 0, [41]), count=2),
        attributes((2, 2, 0, [41]), count=2**31 - 1),
        struct.pack("=HBBiQ", 16, 1, 9, 1, 9 << 20 | 1),
    ],
)
def test_what_is_no_table(data):
    with pytest.raises(NotUnderstood):
        parse(data)


@given(st.binary(max_size=400))
def test_any_bytes_are_a_table_or_none(data):
    try:
        metrics = parse(data)
    except NotUnderstood:
        return
    assert metrics.counts is None or 0 <= metrics.counts < 2**64


@given(st.binary(max_size=200), st.integers(-(2**31), 2**31 - 1))
def test_any_attributes_are_a_table_or_none(body, count):
    try:
        parse(struct.pack("=HBBi", 8 + len(body), 1, 9, count) + body)
    except NotUnderstood:
        return


@pytest.mark.parametrize(
    ("firmware", "counter"), [((13, 0, 6), True), ((13, 0, 12), True), ((15, 0, 8), False)]
)
def test_attributes_have_a_known_unit_only_on_known_firmware(tmp_path, firmware, counter):
    """MI450's table has the same attribute; in which unit, no header says."""
    version = dict(zip(("major", "minor", "revision"), firmware, strict=True))
    card(
        tmp_path,
        0,
        "0000:05:00.0",
        "amdgpu",
        device="0x74a1",
        gpu_metrics=V1_9,
        hwmon__power1_input=131_000_000,
        **{f"ip_discovery/die/0/MP1/0/{part}": number for part, number in version.items()},
    )
    samples = Amdgpu(Amdgpu.Settings(), context(tmp_path)).read()
    joules = [s.joules for s in samples if isinstance(s, EnergyCounter)]
    watts = [s.watts for s in samples if isinstance(s, PowerReading)]
    assert (joules, watts) == (([3.0], []) if counter else ([], [131.0]))
