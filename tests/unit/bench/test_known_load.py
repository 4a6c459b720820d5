"""The known load of benchmarks/real_gpu.py: its arithmetic, and its kernels as text."""

import importlib
import re
import sys
from pathlib import Path

import pytest

BENCHMARKS = str(Path(__file__).parents[3] / "benchmarks")


@pytest.fixture
def kernels(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    yield importlib.import_module("gpu.kernels").KERNELS
    forget()


@pytest.fixture
def poll(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    yield importlib.import_module("gpu.poll")
    forget()


def forget():
    for name in [name for name in sys.modules if name.split(".")[0] == "gpu"]:
        del sys.modules[name]


INSTRUCTION = {
    "fp32": ("fma.rn.f32", 64),  # 32 lanes x 2
    "fp64": ("fma.rn.f64", 64),
    "fp16_tensor": ("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32", 4096),  # 2 x 16 x 8 x 16
    "fp64_tensor": ("mma.sync.aligned.m8n8k4.row.col.f64.f64.f64.f64", 512),  # 2 x 8 x 8 x 4
}


@pytest.mark.parametrize("precision", INSTRUCTION)
def test_operations_are_those_of_the_loop(precision, kernels):
    kernel = kernels[precision]
    instruction, flop = INSTRUCTION[precision]
    loop = re.search(r"again:\n(.*)@%more bra again", kernel.ptx, re.DOTALL)
    assert loop is not None
    assert loop[1].count(instruction) == 64
    outside = kernel.ptx.replace(loop[1], "")
    assert instruction not in outside
    # 2 warps, 10 iterations of 64 instructions
    assert kernel.flop(64, 10) == 2 * 10 * 64 * flop


def test_the_result_counts_every_operation_exactly(kernels):
    # 8 instructions of a chain per iteration; a product of ones adds k
    assert kernels["fp32"].result(1000) == 8000
    assert kernels["fp16_tensor"].result(1000) == 8 * 16 * 1000
    assert kernels["fp64_tensor"].result(1000) == 8 * 4 * 1000
    for kernel in kernels.values():
        assert kernel.result(kernel.most_iterations) < kernel.exact_below
    assert kernels["fp32"].one == 0x3F800000
    assert kernels["fp64"].one == 0x3FF0000000000000


def test_a_counter_is_taken_where_it_has_just_changed(poll):
    # 30 J every 0.1 s, read every 0.04 s: at any moment up to 0.1 s old
    points = [(n * 0.04, int(n * 0.04 / 0.1 + 1e-9) * 30.0) for n in range(100)]
    assert poll.counter_watts(points, 0.5, 3.5) == pytest.approx(300.0, rel=0.02)
    assert poll.counter_watts(points[:3], 0.0, 1.0) is None


def test_power_is_integrated_by_trapezoids(poll):
    assert poll.mean_watts([(0.0, 100.0), (1.0, 300.0), (3.0, 300.0)], 0.0, 3.0) == pytest.approx(
        800 / 3
    )
    assert poll.mean_watts([(0.0, 100.0)], 0.0, 3.0) is None
