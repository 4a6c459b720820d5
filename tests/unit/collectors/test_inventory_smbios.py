"""SMBIOS structures, byte by byte."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.collectors.trees import FIXTURES

from agent.lifecycle.hardware import MemoryModule
from collectors.inventory_smbios import memory_modules, power_supplies, structures

TABLE = bytes.fromhex((FIXTURES / "inventory/rack-2s/dmi.hex").read_text().replace("\n", ""))


def structure(kind: int, length: int, fields: dict[int, int], wide: dict[int, int] | None = None):
    area = bytearray(length)
    area[0], area[1] = kind, length
    for at, value in fields.items():
        area[at : at + 2] = value.to_bytes(2, "little")
    for at, value in (wide or {}).items():
        area[at : at + 4] = value.to_bytes(4, "little")
    return bytes(area) + b"\0\0"


def module(size: int, kind: int = 0x1A, extended: int = 0, length: int = 0x28) -> bytes:
    wide = {0x1C: extended} if length > 0x20 else {}
    return structure(17, length, {0x0C: size, 0x12: kind}, wide)


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (module(16384), MemoryModule(16.0, "DDR4")),
        (module(0x7FFF, 0x22, 64 * 1024), MemoryModule(64.0, "DDR5")),
        (module(8192, 0x18, length=0x1B), MemoryModule(8.0, "DDR3")),  # SMBIOS 2.3
        (module(0x8000 | 0x4000), MemoryModule(16384 / 1024**2, "DDR4")),  # in kilobytes
        (module(4096, 0x02), MemoryModule(4.0, "")),
    ],
)
def test_sizes(raw, expected):
    assert memory_modules(raw) == (expected,)


def test_empty_slots_are_no_modules():
    assert memory_modules(module(0) + module(16384) + module(0)) == (MemoryModule(16.0, "DDR4"),)
    assert memory_modules(module(0)) == ()


def test_an_unknown_size_leaves_all_unknown():
    assert memory_modules(module(16384) + module(0xFFFF)) is None
    assert memory_modules(module(0x7FFF, extended=0)) is None


def test_no_slots_is_unknown():
    assert memory_modules(b"") is None
    assert memory_modules(structure(3, 22, {})) is None


def test_flash_and_persistent_memory_are_no_dram():
    optane = bytearray(module(0x7FFF, 0x1A, 128 * 1024, length=0x54))
    optane[0x28] = 0x07
    assert memory_modules(module(32, 0x09) + bytes(optane)) == ()
    assert memory_modules(TABLE) == (MemoryModule(32.0, "DDR4"),) * 12


def test_power_supplies():
    there, empty = structure(39, 22, {0x0E: 0x0003}), structure(39, 22, {0x0E: 0x0001})
    assert power_supplies(there + empty + there) == 2
    assert power_supplies(empty) is None
    assert power_supplies(module(16384)) is None
    assert power_supplies(TABLE) == 2


def test_what_follows_the_end_is_not_read():
    assert memory_modules(module(16384) + structure(127, 4, {}) + module(16384)) == (
        MemoryModule(16.0, "DDR4"),
    )


@given(st.binary(max_size=400))
def test_any_bytes_end(table):
    assert sum(len(area) for _, area in structures(table)) <= len(table)
    memory_modules(table)
    power_supplies(table)


@given(st.integers(0, len(TABLE)))
def test_a_table_that_is_cut_off(length):
    whole = list(structures(TABLE))
    assert whole[: len(list(structures(TABLE[:length])))] == list(structures(TABLE[:length]))
