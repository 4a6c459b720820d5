"""The energy counter in amdgpu's binary `gpu_metrics` table.

Layouts: drivers/gpu/drm/amd/include/kgd_pp_interface.h, natural alignment, native byte order. Each
table starts with its size (u16), format (u8) and content revision (u8). Only tables whose size is
that of the structure we compiled are read; any other has no energy here.

| revision | bytes | energy at | on | unit of the counter |
|---|---|---|---|---|
| 1.3 | 120 | 24 | MI200 (aldebaran_ppt.c) | 15.259 uJ (smu13_driver_if_aldebaran.h) |
| 1.4 | 288 | 24 | MI300 | "15.259uJ (2^-16) units", says the header, here and below |
| 1.5 | 360 | 88 | MI300, Linux 6.12 | |
| 1.6 | 384 | 88 | MI300, as it was first published | |
| 1.6 | 1664 | 16 | MI300 | |
| 1.7 | 2208 | 24 | MI300 | |
| 1.8 | 3872 | 24 | MI300, MI350 | |
| 1.9 | any | by attribute | MI300, MI350 | as 1.8: firmware's SocketEnergyAcc |

Revision 1.3 is also that of the consumer cards (Navi) and of MI100, whose firmware headers give
the counter 32 bits and no unit, and which stands still on some MI100 (ROCm/amdsmi #38): their
energy comes from power. Revisions 2.x and 3.x are those of APUs and have no counter. (amd-smi and
rocm-smi multiply by 15.3 uJ: they show 0.27 % more.)
"""

import struct
from typing import Final, NamedTuple

JOULES_PER_COUNT: Final = 2.0**-16
UNKNOWN: Final = 2**64 - 1
"""The driver fills a table with 0xFF before it writes (smu_cmn_init_soft_gpu_metrics)."""
APU_FORMATS: Final = (2, 3)
"""Format revisions of APUs: "gfx temperature on APUs" and so on, in the header."""
MI200_IDS: Final = frozenset({"7408", "740c", "740f", "7410"})
"""CHIP_ALDEBARAN in drivers/gpu/drm/amd/amdgpu/amdgpu_drv.c."""
MI300_FIRMWARE: Final = frozenset({(13, 0, 6), (13, 0, 12), (13, 0, 14)})
"""MP1 versions that smu_v13_0_6_ppt.c and smu_v13_0_12_ppt.c serve: MI300, MI325, MI350."""
_HEADER: Final = struct.Struct("=HBB")
_U64: Final = struct.Struct("=Q")
_OFFSETS: Final = {
    (1, 3, 120): 24,
    (1, 4, 288): 24,
    (1, 5, 360): 88,
    (1, 6, 384): 88,
    (1, 6, 1664): 16,
    (1, 7, 2208): 24,
    (1, 8, 3872): 24,
}
_ATTRIBUTES_AT: Final = 8
_ENERGY_ATTRIBUTE: Final = 7
"""AMDGPU_METRICS_ATTR_ID_ENERGY_ACCUMULATOR."""
_U64_TYPE: Final = 6
"""AMDGPU_METRICS_TYPE_U64."""
_SIZES: Final = (1, 1, 2, 2, 4, 4, 8, 8)
"""Bytes of U8, S8, U16 … S64."""


class NotUnderstood(Exception):
    """This is no gpu_metrics table."""


class Metrics(NamedTuple):
    """What is of use here."""

    format: int
    content: int
    counts: int | None
    """The energy accumulator; None: this table has none that is understood."""

    @property
    def is_newer(self) -> bool:
        """Whether this is a revision that was not there when this was written, or has no unit."""
        return self.format > max(APU_FORMATS) or (self.format == 1 and self.content >= 9)


def parse(table: bytes) -> Metrics:
    """Return what a table says. Raises `NotUnderstood` if it is none, or cut short."""
    if len(table) < _HEADER.size:
        raise NotUnderstood(f"has {len(table)} bytes, no header")
    size, form, content = _HEADER.unpack_from(table)
    if size != len(table):
        raise NotUnderstood(f"says it has {size} bytes and has {len(table)}")
    if (form, content) == (1, 9):
        counts = _attribute(table)
    else:
        offset = _OFFSETS.get((form, content, size))
        counts = None if offset is None else _U64.unpack_from(table, offset)[0]
    return Metrics(form, content, None if counts == UNKNOWN else counts)


def _attribute(table: bytes) -> int | None:
    """Return the energy of a table of attributes: each an encoding (u64), then its values.

    Bits 0-9 of the encoding: how many values; 10-19: which attribute; 20-23: their type; packed
    (DECLARE_SMU_METRICS_CLASS in smu_cmn.h, AMDGPU_METRICS_ENC_ATTR in kgd_pp_interface.h).
    """
    if len(table) < _ATTRIBUTES_AT:
        raise NotUnderstood("has no count of attributes")
    (left,) = struct.unpack_from("=i", table, _HEADER.size)
    at = _ATTRIBUTES_AT
    while left > 0:
        if at + _U64.size > len(table):
            raise NotUnderstood("ends in the middle of its attributes")
        (encoding,) = _U64.unpack_from(table, at)
        at += _U64.size
        values, attribute, kind = encoding & 0x3FF, encoding >> 10 & 0x3FF, encoding >> 20 & 0xF
        if kind >= len(_SIZES) or at + values * _SIZES[kind] > len(table):
            raise NotUnderstood("has an attribute of no known type or length")
        if (attribute, kind, values) == (_ENERGY_ATTRIBUTE, _U64_TYPE, 1):
            counts: int = _U64.unpack_from(table, at)[0]
            return counts
        at += values * _SIZES[kind]
        left -= 1
    return None
