"""Kernels whose floating-point operations are known by construction: PTX for the driver.

No compiler and no package is needed: `cuModuleLoadDataEx` takes the text. Every thread (or warp)
goes through the same loop of fused multiply-adds on registers alone, and each one adds a whole
number to its accumulators, so that the result says exactly how many were done: nothing of it can
have been left out by a compiler.

Numbers by the PTX ISA, `fma` and `mma.sync`: an fma is 2 operations; a warp's m16n8k16 is
2 x 16 x 8 x 16 = 4096, its m8n8k4 2 x 8 x 8 x 4 = 512. On Hopper `mma.sync` does not reach the
speed of `wgmma`, which is of no matter here: the load is to be known, not high.
"""

import struct
from dataclasses import dataclass
from typing import Final

CHAINS: Final = 8
"""Independent accumulators of a thread: hides the latency of the arithmetic."""
REPEATS: Final = 8
"""How often the loop's body goes through them."""
WARP: Final = 32
_PREFIX: Final = {32: "0f", 64: "0d"}
_EXACT: Final = {32: 2.0**24, 64: 2.0**53}
"""Whole numbers below this are exact (IEEE 754-2019, table 3.5)."""


@dataclass(frozen=True)
class Kernel:
    """One kernel; parameters: out (a number per thread), iterations (u32), the bits of 1 (u64)."""

    name: str
    precision: str
    """As in FlopCount."""
    pipe: str
    """GPM's name of the unit that does it."""
    capability: int
    """The least compute capability, 10 x major + minor."""
    flop_per_warp_step: int
    """Of one instruction of one warp."""
    added_per_step: float
    """What one instruction adds to an accumulator."""
    bytes_per_number: int
    exact_below: float
    """Whole numbers up to here are exact in the accumulator."""
    ptx: str

    def flop(self, threads: int, iterations: int) -> float:
        """Return the operations of one launch, exactly."""
        steps = threads // WARP * iterations * CHAINS * REPEATS
        return float(steps * self.flop_per_warp_step)

    def result(self, iterations: int) -> float:
        """Return what every thread must write: its first accumulator, which began at 0."""
        return iterations * REPEATS * self.added_per_step

    @property
    def one(self) -> int:
        """The bits of 1 as the kernel's accumulators write it."""
        return int(_bits(1, 8 * self.bytes_per_number), 16)

    @property
    def most_iterations(self) -> int:
        """How many iterations keep the result exact."""
        return int(self.exact_below / (REPEATS * self.added_per_step)) - CHAINS


def _wrap(
    name: str, target: int, registers: str, start: list[str], body: list[str], store: list[str]
) -> str:
    newline = "\n"
    return f""".version 7.0
.target sm_{target}
.address_size 64
.visible .entry {name}(.param .u64 out, .param .u32 iterations, .param .u64 one)
{{
.reg .pred %more;
.reg .u32 %left, %block, %width, %thread;
.reg .u64 %to, %place;
{registers}
ld.param.u64 %to, [out];
ld.param.u32 %left, [iterations];
cvta.to.global.u64 %to, %to;
mov.u32 %block, %ctaid.x;
mov.u32 %width, %ntid.x;
mov.u32 %thread, %tid.x;
mad.lo.u32 %thread, %block, %width, %thread;
{newline.join(start)}
again:
{newline.join(body)}
sub.u32 %left, %left, 1;
setp.ne.u32 %more, %left, 0;
@%more bra again;
{newline.join(store)}
ret;
}}
"""


def _scalar(bits: int) -> Kernel:
    """Return a loop of `fma.rn`: x = x * 1 + 1."""
    kind, prefix = f"f{bits}", _PREFIX[bits]
    # 1 comes from outside: of a constant one a compiler could make a mere addition
    start = [f"ld.param.{kind} %one, [one];"]
    # each chain begins elsewhere, or they would be the same number and be done once
    start += [f"mov.{kind} %x{n}, {prefix}{_bits(n, bits)};" for n in range(CHAINS)]
    one_round = [f"fma.rn.{kind} %x{n}, %x{n}, %one, %one;" for n in range(CHAINS)]
    return Kernel(
        name=f"fma{bits}",
        precision=f"fp{bits}",
        pipe=f"fp{bits}",
        capability=70,
        flop_per_warp_step=2 * WARP,
        added_per_step=1.0,
        bytes_per_number=bits // 8,
        exact_below=_EXACT[bits],
        ptx=_wrap(
            f"fma{bits}",
            70,
            f".reg .{kind} %x<{CHAINS}>, %one, %t;",
            start,
            one_round * REPEATS,
            _store(bits, 1),
        ),
    )


def _tensor_half() -> Kernel:
    """Return a loop of m16n8k16 of ones in FP16, summed in FP32: each adds 16."""
    start = ["mov.b32 %a, 0x3C003C00;"]  # two FP16 ones
    start += [f"mov.f32 %x{n}, 0f{_bits(n // 4, 32)};" for n in range(4 * CHAINS)]
    one_round = []
    for n in range(0, 4 * CHAINS, 4):
        d = f"{{%x{n}, %x{n + 1}, %x{n + 2}, %x{n + 3}}}"
        what = "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32"
        one_round.append(f"{what} {d}, {{%a, %a, %a, %a}}, {{%a, %a}}, {d};")
    return Kernel(
        name="mma16",
        precision="fp16_tensor",
        pipe="tensor_fp16",
        capability=80,
        flop_per_warp_step=2 * 16 * 8 * 16,
        added_per_step=16.0,
        bytes_per_number=4,
        exact_below=_EXACT[32],
        ptx=_wrap(
            "mma16",
            80,
            f".reg .b32 %a;\n.reg .f32 %x<{4 * CHAINS}>, %t;",
            start,
            one_round * REPEATS,
            _store(32, 4),
        ),
    )


def _tensor_double() -> Kernel:
    """Return a loop of m8n8k4 of ones in FP64: each adds 4."""
    start = [f"mov.f64 %one, 0d{_bits(1, 64)};"]
    start += [f"mov.f64 %x{n}, 0d{_bits(n // 2, 64)};" for n in range(2 * CHAINS)]
    one_round = []
    for n in range(0, 2 * CHAINS, 2):
        d = f"{{%x{n}, %x{n + 1}}}"
        what = "mma.sync.aligned.m8n8k4.row.col.f64.f64.f64.f64"
        one_round.append(f"{what} {d}, {{%one}}, {{%one}}, {d};")
    return Kernel(
        name="mma64",
        precision="fp64_tensor",
        pipe="tensor_fp64",
        capability=80,
        flop_per_warp_step=2 * 8 * 8 * 4,
        added_per_step=4.0,
        bytes_per_number=8,
        exact_below=_EXACT[64],
        ptx=_wrap(
            "mma64",
            80,
            f".reg .f64 %one, %x<{2 * CHAINS}>, %t;",
            start,
            one_round * REPEATS,
            _store(64, 2),
        ),
    )


def _store(bits: int, step: int) -> list[str]:
    """Write the first chain; every other differs from it by its number, so adding that changes
    nothing, and none can be left out."""
    kind = f"f{bits}"
    lines = []
    for n in range(1, CHAINS):
        lines += [
            f"sub.rn.{kind} %t, %x{n * step}, %x0;",
            f"sub.rn.{kind} %t, %t, {_PREFIX[bits]}{_bits(n, bits)};",
            f"add.rn.{kind} %x0, %x0, %t;",
        ]
    return [
        *lines,
        f"mad.wide.u32 %place, %thread, {bits // 8}, %to;",
        f"st.global.{kind} [%place], %x0;",
    ]


def _bits(number: int, width: int) -> str:
    """Return a whole number as PTX writes the bits of a float."""
    return struct.pack(">f" if width == 32 else ">d", float(number)).hex().upper()


KERNELS: Final = {
    kernel.precision: kernel
    for kernel in (_scalar(32), _scalar(64), _tensor_half(), _tensor_double())
}
