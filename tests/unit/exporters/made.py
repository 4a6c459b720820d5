"""A snapshot by hand that has something in every family."""

from typing import Any

from agent.devices import AcceleratorView, PartView
from agent.meter import StreamIdentity, StreamView
from agent.quantities import Component, Quality, Ratio, Seconds
from agent.samples import Accelerator, Figure, Method, Utilization
from agent.snapshot import (
    AgentCost,
    BuildInfo,
    CollectorStatus,
    HostInfo,
    HostPower,
    LedgerView,
    Snapshot,
    WallView,
)
from agent.work import FlopView, Scope, WorkView


def stream(
    source: str, component: str, device: str, quality: str, joules: float, **more: Any
) -> StreamView:
    """Return a stream that counts now, unless `more` says otherwise."""
    usual: dict[str, Any] = {
        "seconds": 100.0,
        "gap_seconds": 0.0,
        "watts": joules / 100,
        "half_width_watts": joules / 2000,
        "counts_now": True,
        "cross_check": False,
        "retired": False,
        "resets": 0,
    }
    identity = StreamIdentity(source, Component(component), device, Quality(quality))
    return StreamView(identity=identity, joules=joules, **(usual | more))


SECOND = {"counts_now": False, "cross_check": True}

STREAMS = [
    stream("rapl", "cpu", "package-0", "measured", 8000.5, resets=1),
    stream("rapl", "cpu", "package-1", "measured", 0.0, watts=None, gap_seconds=12.5),
    stream("rapl", "dram", "dram-0", "measured", 1500.0),
    stream("hwmon", "cpu", "coretemp Package id 0", "integrated", 0.0, watts=79.0, **SECOND),
    # a counter and a sensor of one device by one source: one series where quality is no label
    stream("hwmon", "platform", "board", "measured", 20000.0, gap_seconds=3.0),
    stream("hwmon", "platform", "board", "integrated", 400.0, gap_seconds=7.0, **SECOND),
    stream("rapl", "platform", "psys", "measured", 0.0, watts=210.0, **SECOND),
    stream("estimate", "storage", 'nvme0n1 "fast"\\disk\n', "estimated", 250.0),
]


UUID = "GPU-8f6a2a53-3b1c-4d54-9a0e-0e3f7d1c2b3a"
GPU = Scope(Component.GPU, UUID)
FIGURES = {
    (Figure.MEMORY_USED, ""): 64e9,
    (Figure.MEMORY_TOTAL, ""): 85520809984.0,
    (Figure.TEMPERATURE, "core"): 61.0,
    (Figure.TEMPERATURE, "memory"): 72.0,
    (Figure.CLOCK, "sm"): 1.755e9,
    (Figure.CLOCK, "memory"): 2.619e9,
    (Figure.POWER_LIMIT, ""): 700.0,
    (Figure.THROTTLED, "sw_power_cap"): 12.25,
    (Figure.ECC_ERRORS, "corrected"): 0.0,
    (Figure.PIPE_ACTIVE, "tensor_fp16"): 0.52,
    (Figure.PIPE_ACTIVE, "sm"): 0.97,
    (Figure.LINK_BYTES, "nvlink_sent"): 1e12,
    (Figure.SLICE_POWER, "MIG-7b1c"): 99.5,
}
ACCELERATORS = [
    AcceleratorView(
        Accelerator(
            collector="nvml",
            component=Component.GPU,
            device=UUID,
            at=Seconds(100.0),
            index="0",
            name="NVIDIA H100 80GB HBM3",
            vendor="nvidia",
            driver="580.95.05",
            bus="0000:17:00.0",
        ),
        FIGURES,
    ),
    AcceleratorView(
        Accelerator(
            collector="ascend",
            component=Component.ACCELERATOR,
            device="0000:c1:00.0",
            at=Seconds(100.0),
            index="4",
            name="910B3",
            vendor="huawei",
        ),
        {(Figure.TEMPERATURE, "core"): 45.0},
    ),
]
FLOPS = [
    FlopView(
        component=Component.GPU,
        device=UUID,
        precision="fp16_tensor",
        method=Method.PIPE_ACTIVITY,
        flop=3.5e18,
        flop_per_second=5.1e14,
        flop_per_joule=8.5e11,
        peak_ratio=0.5155,
    ),
    FlopView(
        component=Component.CPU,
        device="all",
        precision="fp64",
        method=Method.COUNTER,
        flop=1.25e12,
        flop_per_second=None,
        flop_per_joule=None,
        peak_ratio=None,
    ),
]


def snapshot(**changes: Any) -> Snapshot:
    """Return the snapshot with `changes`."""
    fields: dict[str, Any] = {
        "wall": 1_767_225_600.0,
        "build": BuildInfo(version="1.2.3", revision="0123abc", python="3.11.2"),
        "host": HostInfo(
            host="node-7",
            site="gz-1",
            rack="r12",
            grid_zone="CN-GD",
            cpu_model="Intel(R) Xeon(R) Gold 6226R CPU @ 2.90GHz",
            machine_id="0f1e2d3c4b5a69788796a5b4c3d2e1f0",
        ),
        "streams": STREAMS,
        "host_joules": {
            Quality.MEASURED: 29500.5,
            Quality.INTEGRATED: 400.0,
            Quality.ESTIMATED: 250.0,
        },
        "host_power": HostPower(
            shares={
                (Quality.MEASURED, "rapl"): 95.005,
                (Quality.MEASURED, "hwmon"): 200.0,
                (Quality.ESTIMATED, "estimate"): 2.5,
            },
            uncertainty_ratio=0.0525,
        ),
        "host_gap_seconds": 12.5,
        "utilization": [
            Utilization("host", Component.CPU, "all", Seconds(1.0), Ratio(0.375)),
            Utilization("host", Component.NIC, "eth0", Seconds(1.0), Ratio(0.0)),
        ],
        "resets": {("rapl", "boot"): 2, ("rapl", "reset"): 1},
        "collectors": [
            CollectorStatus("estimate", None, None, {}),
            CollectorStatus("hwmon", False, 2.0, {"timeout": 3, "io": 1}, "no answer"),
            CollectorStatus("rapl", True, 0.00025, {}),
        ],
        "agent": AgentCost(
            cpu_seconds=4.25, resident_bytes=48_000_000, joules=17.5, started=1_700_000_000.0
        ),
        "ledger": LedgerView(up=True, failures=0, size_bytes=123_456, unsaved=2, records=34),
        "late_seconds": 0.001,
        "skipped_ticks": 4,
        "cross_checks": {("nvml", "gpu", UUID): 0.9875},
        "accelerators": ACCELERATORS,
        "peaks": {(GPU, "fp16_tensor"): 989.4e12, (GPU, "fp64"): 33.5e12},
        "flops": FLOPS,
        "parts": [
            PartView(
                Component.CPU,
                "package-0",
                {
                    (Figure.CLOCK, ""): 2.9e9,
                    (Figure.TEMPERATURE, "package"): 71.0,
                    (Figure.THROTTLED, "thermal"): 42.5,
                },
            ),
            PartView(Component.CPU, "package-1", {(Figure.TEMPERATURE, "package"): 52.0}),
        ],
        "work": [
            WorkView("llama-70b", "generated_tokens", 123456.0, 2.75),
            WorkView("train", "steps", 12.0, None),
        ],
    }
    return Snapshot(**(fields | changes))


def bare() -> Snapshot:
    """Return the snapshot of an agent that has read nothing yet and keeps no ledger."""
    return snapshot(
        streams=[],
        host_joules={},
        host_power=HostPower({}, None),
        utilization=[],
        resets={},
        cross_checks={},
        accelerators=[],
        peaks={},
        flops=[],
        parts=[],
        work=[],
        collectors=[CollectorStatus("rapl", None, None, {})],
        agent=AgentCost(cpu_seconds=0.0, resident_bytes=1, joules=None, started=1.0),
        ledger=None,
    )


WALLS = [
    stream("redfish", "host", "System.Embedded.1", "integrated", 40000.0, gap_seconds=5.0),
    stream("hwmon", "host", "power_meter", "integrated", 0.0, watts=380.0, **SECOND),
    stream("estimate", "platform", "all", "estimated", 0.0, watts=120.0, **SECOND),
]


def walled() -> Snapshot:
    """Return the snapshot of a server with a meter of the whole."""
    return snapshot(
        streams=[*STREAMS, *WALLS],
        host_joules={Quality.MEASURED: 500.0, Quality.INTEGRATED: 40000.0},
        host_power=HostPower({(Quality.INTEGRATED, "redfish"): 400.0}, 0.05),
        host_gap_seconds=0.0,
        walled=WallView(
            unattributed_joules=10000.0,
            excess_joules=150.5,
            parts_exceed_wall=False,
            itue=(1.375, Quality.ESTIMATED),
        ),
    )
