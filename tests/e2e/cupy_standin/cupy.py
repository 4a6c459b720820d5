"""As much of CuPy's interface as the bench uses, over numpy: two "GPUs" without a GPU.

The boards are those of the stand-in for libnvidia-ml; BENCH_BUSES has their PCI addresses.
"""

import os
from types import SimpleNamespace

import numpy as np
from numpy import empty, float16, float32, float64, matmul

__version__ = "0-stand-in"
__all__ = ["cuda", "empty", "float16", "float32", "float64", "matmul", "random"]

BUSES = os.environ["BENCH_BUSES"].split(",")


class Device:
    cublas_handle = 0

    def __init__(self, index):
        self.pci_bus_id = BUSES[index]

    def use(self):
        pass


class Event:
    def __init__(self, *, block, disable_timing):
        assert block

    def record(self):
        pass

    def synchronize(self):
        pass


DICE = np.random.default_rng(1)
random = SimpleNamespace(
    seed=lambda _: None,
    standard_normal=lambda size, dtype=np.float64: DICE.standard_normal(size, dtype=dtype),
)
cuda = SimpleNamespace(
    Device=Device,
    Event=Event,
    cublas=SimpleNamespace(getVersion=lambda _: 130000),
    runtime=SimpleNamespace(
        getDeviceCount=lambda: len(BUSES),
        getDeviceProperties=lambda _: {"name": b"NVIDIA stand-in"},
        memGetInfo=lambda: (1 << 28, 1 << 28),
        is_hip=False,
    ),
)


def get_default_memory_pool():
    return SimpleNamespace(free_all_blocks=lambda: None)
