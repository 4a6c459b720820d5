"""The dcgm collector against pages of dcgm-exporter, over real HTTP."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from hardware.pages import Pages

from agent.collector import Absent, Context, Paths, Transient
from agent.meter.meter import Meter
from agent.quantities import Seconds
from agent.samples import (
    Accelerator,
    EnergyCounter,
    Figure,
    Figures,
    FlopCount,
    Inventory,
    Method,
    PowerReading,
    Utilization,
)
from collectors.dcgm import DEFAULT_URL, Dcgm, DcgmSettings

FIXTURES = Path(__file__).parents[2] / "fixtures" / "dcgm"
A100 = tuple(f"GPU-5d11648b-0000-4000-8000-00000000000{n}" for n in (0, 1))
H100, H200, UNKNOWN = (f"GPU-c4529c8d-0000-4000-8000-00000000000{n}" for n in (0, 1, 2))
A30 = ("GPU-265c9814-6156-355b-e589-ff2064894f16", "GPU-2d20791a-b4a6-ba59-97f1-e95b99fe5b49")


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def boottime(self) -> Seconds:
        return Seconds(self.now)

    monotonic = wall = boottime


class Host:
    """A collector, its clock and the server it reads."""

    def __init__(self, pages: Pages, **settings) -> None:
        self.pages = pages
        self.clock = Clock()
        context = Context(Paths(), self.clock, lambda _component, _device: None)
        chosen = {"url": pages.url(), "timeout_seconds": 20.0} | settings
        self.collector = Dcgm(DcgmSettings(**chosen), context)

    def show(self, path: str) -> None:
        self.pages.set((FIXTURES / path).read_text())

    def collect(self, later: float = 0.0) -> list:
        self.clock.now += later
        return list(asyncio.run(self.collector.collect()))

    def failure(self, later: float = 15.0) -> Exception:
        with pytest.raises((Absent, Transient)) as caught:
            self.collect(later)
        return caught.value

    @property
    def reasons(self) -> list[tuple[str, str]]:
        return [(p.what, p.reason) for p in self.collector.problems()]


@pytest.fixture
def host() -> Iterator[Host]:
    with Pages() as pages:
        yield Host(pages)


def of(kind: type, samples: list, device: str = "") -> list:
    found = [s for s in samples if isinstance(s, kind)]
    return [s for s in found if s.device == device] if device else found


def figures(samples: list, device: str) -> dict:
    (found,) = of(Figures, samples, device)
    assert len(found.values) == len({v[:2] for v in found.values}), "a figure came twice"
    return {(figure, which): value for figure, which, value in found.values}


def flop(samples: list, device: str) -> dict[str, float]:
    return {s.precision: s.flop for s in of(FlopCount, samples, device)}


def test_everything_of_an_a100_in_base_units(host):
    host.show("a100-3x/page.txt")
    samples = host.collect()
    assert of(Inventory, samples) == [Inventory("dcgm", "gpu", A100, 1000.0)]
    assert of(Accelerator, samples, A100[0]) == [
        Accelerator(
            "dcgm", "gpu", A100[0], 1000.0, "0", "NVIDIA A100-SXM4-80GB", "nvidia", "550.90.07",
            "0000:07:00.0",
        )
    ]  # fmt: skip
    (energy,) = of(EnergyCounter, samples, A100[0])
    assert energy.joules == pytest.approx(123456789.012, abs=1e-6)
    assert (energy.counted, energy.wraps_at) == (True, None)
    assert of(PowerReading, samples, A100[0])[0].watts == 351.25
    assert of(Utilization, samples, A100[0])[0].ratio == pytest.approx(0.98)
    mib = 1024 * 1024
    assert figures(samples, A100[0]) == pytest.approx({
        (Figure.CLOCK, "sm"): 1.41e9,
        (Figure.CLOCK, "memory"): 1.593e9,
        (Figure.TEMPERATURE, "core"): 61.0,
        (Figure.TEMPERATURE, "memory"): 58.0,
        (Figure.POWER_LIMIT, ""): 400.0,
        (Figure.THROTTLED, "sw_power_cap"): 12.0,
        (Figure.THROTTLED, "thermal"): 0.0,
        (Figure.MEMORY_USED, ""): 40598 * mib,
        (Figure.MEMORY_TOTAL, ""): (40598 + 40321 + 701) * mib,
        (Figure.ECC_ERRORS, "corrected"): 3.0,
        (Figure.ECC_ERRORS, "uncorrected"): 0.0,
        (Figure.PIPE_ACTIVE, "sm"): 0.85,
        (Figure.PIPE_ACTIVE, "occupancy"): 0.31,
        (Figure.PIPE_ACTIVE, "tensor"): 0.5,
        (Figure.PIPE_ACTIVE, "dram"): 0.42,
        (Figure.PIPE_ACTIVE, "fp64"): 0.1,
        (Figure.PIPE_ACTIVE, "fp32"): 0.2,
        (Figure.PIPE_ACTIVE, "fp16"): 0.05,
    })  # fmt: skip
    assert of(FlopCount, samples) == [], "the first look has no time to count over"
    assert host.reasons == []


def test_flop_of_an_a100_equal_the_hand_worked_figures(host):
    host.show("a100-3x/page.txt")
    host.collect()
    host.show("a100-3x/page-2.txt")
    samples = host.collect(30.0)
    # 108 SMs x 1410 MHz x 30 s = 4.5684e12 SM clocks; x FLOP per clock and SM x share
    assert flop(samples, A100[0]) == pytest.approx(
        {
            "fp16_tensor": 4.5684e12 * 2048 * 0.5,  # 156 TFLOP/s of 312
            "fp64": 4.5684e12 * 64 * 0.1,
            "fp32": 4.5684e12 * 128 * 0.2,
            "fp16": 4.5684e12 * 512 * 0.05,
        },
        rel=1e-3,
    )
    one = of(FlopCount, samples, A100[0])[0]
    assert (one.since, one.at, one.method) == (1000.0, 1030.0, Method.PIPE_ACTIVITY)
    assert set(flop(samples, A100[1]).values()) == {0.0}, "idle is known: it did nothing"
    assert of(Inventory, samples) == of(Accelerator, samples) == []


def test_new_names_shared_gpus_and_unknown_boards(host):
    host.show("h100-4x/page.txt")
    first = host.collect()
    assert len(of(EnergyCounter, first)) == len(of(PowerReading, first)) == 3
    assert of(PowerReading, first, H100)[0].watts == 613.611
    assert of(Utilization, first, H100)[0].ratio == 1.0, "percent, whatever the name says"
    assert of(Accelerator, first, H200)[0].bus == "0008:06:00.0"
    assert figures(first, H100)[Figure.THROTTLED, "sw_power_cap"] == pytest.approx(7.25)
    assert figures(first, H100)[Figure.PIPE_ACTIVE, "tensor_fp64"] == 0.04
    samples = host.collect(15.0)
    # H100 SXM: 132 SMs x 1755 MHz x 15 s = 3.4749e12; H200: 132 x 1980 MHz x 15 s = 3.9204e12
    assert flop(samples, H100) == pytest.approx(
        {
            "fp16_tensor": 3.4749e12 * 4096 * 0.6,
            "fp64_tensor": 3.4749e12 * 256 * 0.04,
            "fp64": 0.0,
            "fp32": 3.4749e12 * 256 * 0.08,
            "fp16": 3.4749e12 * 512 * 0.01,
        },
        rel=1e-3,
    )
    assert flop(samples, H200)["fp16_tensor"] == pytest.approx(3.9204e12 * 4096 * 0.5, rel=1e-3)
    assert flop(samples, UNKNOWN) == {}, "an unknown board has no FLOPS"
    assert figures(samples, UNKNOWN)[Figure.PIPE_ACTIVE, "tensor"] == 0.5


def test_a_mig_board_counts_once_and_its_slices_ratios_are_not_the_boards(host):
    host.show("a30-mig-3x/page.txt")
    samples = host.collect()
    assert [(s.device, s.joules) for s in of(EnergyCounter, samples)] == [
        (A30[0], pytest.approx(81201.027)),  # the newest of four looks at one counter
        (A30[1], pytest.approx(90400.2)),
    ]
    assert [s.watts for s in of(PowerReading, samples)] == [52.636, 56.121]
    assert of(Utilization, samples) == []
    assert set(figures(samples, A30[0])) == {
        (Figure.CLOCK, "sm"),
        (Figure.CLOCK, "memory"),
        (Figure.TEMPERATURE, "core"),
        (Figure.TEMPERATURE, "memory"),
    }
    assert of(FlopCount, host.collect(15.0)) == []


def test_the_boards_own_row_wins_over_its_slices(host):
    row = 'DCGM_FI_DEV_{}{{gpu="0",UUID="GPU-1"{},modelName="NVIDIA A30"}} {}\n'
    mig = ',GPU_I_PROFILE="1g.6gb",GPU_I_ID="3"'
    host.pages.set(
        row.format("POWER_USAGE", mig, 50)
        + row.format("POWER_USAGE", "", 51)
        + row.format("TOTAL_ENERGY_CONSUMPTION", "", 1000)
        + row.format("TOTAL_ENERGY_CONSUMPTION", mig, 1003)
        + row.format("FB_USED", mig, 7)
    )
    samples = host.collect()
    assert of(PowerReading, samples)[0].watts == 51.0
    assert of(EnergyCounter, samples)[0].joules == 1.0
    assert of(Figures, samples) == []


def test_blanks_are_left_out(host):
    host.show("t4-blank-2x/page.txt")
    samples = host.collect()
    known, blank = (
        "GPU-604c7a18-0000-4000-8000-000000000000",
        "GPU-604c7a18-0000-4000-8000-000000000001",
    )
    assert of(EnergyCounter, samples) == []
    assert [s.device for s in of(PowerReading, samples)] == [known]
    assert figures(samples, known) == {
        (Figure.CLOCK, "sm"): 585e6,
        (Figure.CLOCK, "memory"): 5e9,
        (Figure.TEMPERATURE, "core"): 44.0,
        (Figure.MEMORY_USED, ""): 203 * 1024 * 1024,
        (Figure.PIPE_ACTIVE, "dram"): 0.000104,
    }
    assert [type(s) for s in samples if getattr(s, "device", "") == blank] == [Accelerator]


def test_an_old_page_is_no_new_reading_of_energy(host):
    host.show("a100-3x/page.txt")
    assert len(of(EnergyCounter, host.collect())) == 2
    again = host.collect(15.0)
    assert of(EnergyCounter, again) == []
    assert len(of(PowerReading, again)) == 2
    assert flop(again, A100[0])["fp32"] == pytest.approx(108 * 1.41e9 * 128 * 0.2 * 15)
    host.show("a100-3x/page-2.txt")
    assert len(of(EnergyCounter, host.collect(15.0))) == 2


def test_a_page_that_never_changes_is_dead(host):
    host.show("a100-3x/page.txt")
    host.collect()
    for _ in range(6):
        assert host.collect(15.0)
    dead = host.failure()
    assert isinstance(dead, Transient)
    assert dead.reason == "stale"
    assert "stood still for 105 s" in dead.why
    host.show("a100-3x/page-2.txt")
    samples = host.collect(15.0)
    assert len(of(EnergyCounter, samples)) == 2
    assert of(FlopCount, samples) == [], "what was done in between is not known"
    assert host.reasons == []


def test_no_flop_over_a_long_silence(host):
    host.show("a100-3x/page.txt")
    host.collect()
    host.show("a100-3x/page-2.txt")
    assert of(FlopCount, host.collect(52.6)) == []
    assert of(FlopCount, host.collect(52.4)) != []


def test_a_restart_of_the_exporter_and_a_reload_of_the_driver(host):
    """No joule is lost by the one, and the other is a reset, not energy."""
    meter = Meter(intervals={"dcgm": 15.0})
    meter.begin("boot", Seconds(1000.0), Seconds(1.7e9))

    def feed(samples: list) -> None:
        now, wall = Seconds(host.clock.now), Seconds(1.7e9 + host.clock.now)
        meter.take(of(EnergyCounter, samples) + of(PowerReading, samples), now, wall)
        meter.settle(now, wall)

    def measured():
        (view,) = [
            v
            for v in meter.views()
            if (v.identity.device, v.identity.quality) == (A100[0], "measured")
        ]
        return view

    host.show("a100-3x/page.txt")
    feed(host.collect())
    host.pages.stop()
    refused = host.failure()
    assert isinstance(refused, Transient)
    assert refused.reason == "refused"
    host.pages.start()
    host.show("a100-3x/page-2.txt")
    after = host.collect(15.0)
    assert of(Inventory, after) == [], "the same boards as before"
    feed(after)
    assert measured().joules == pytest.approx(351.5 * 30)
    assert (measured().gap_seconds, measured().resets) == (0.0, 0)
    host.show("a100-3x/page-3.txt")
    feed(host.collect(15.0))
    assert measured().resets == 1
    assert measured().joules == pytest.approx(351.5 * 30)


def test_a_gpu_that_is_lost_is_missed_until_the_exporter_is_started_anew(host):
    page = (FIXTURES / "a100-3x/page-2.txt").read_text()
    without = "".join(
        line for line in page.splitlines(keepends=True) if f'UUID="{A100[1]}"' not in line
    )
    host.show("a100-3x/page.txt")
    host.collect()
    host.pages.set(without)
    samples = host.collect(15.0)
    assert of(Inventory, samples) == []
    assert host.reasons == [(A100[1], "gone")]
    host.pages.stop()
    host.failure()
    host.pages.start()
    samples = host.collect(15.0)
    assert of(Inventory, samples)[0].devices == (A100[0],)
    assert host.reasons == []
    host.show("a100-3x/page-3.txt")
    back = host.collect(15.0)
    assert of(Inventory, back)[0].devices == A100
    assert len(of(Accelerator, back)) == 1


def test_a_page_without_a_gpu(host):
    host.pages.set("# HELP nothing\n")
    failure = host.failure()
    assert isinstance(failure, Transient)
    assert failure.reason == "empty"
    assert failure.why == f"{host.pages.url()} names no GPU"


def test_a_host_without_the_exporter_is_left_alone(monkeypatch):
    with Pages() as pages:
        monkeypatch.setattr("collectors.dcgm.DEFAULT_URL", pages.url())
        host = Host(pages)
        pages.stop()
        absent = host.failure()
        assert isinstance(absent, Absent)
        assert absent.again_seconds == 60.0
        assert "connection refused" in absent.why
        assert "[collectors.dcgm]" in absent.remedy
        pages.start()
        pages.set("<html>", content_type="text/html")
        assert isinstance(host.failure(), Absent), "something else listens there"
        host.show("a100-3x/page.txt")
        host.collect()
        pages.stop()
        assert isinstance(host.failure(), Transient), "it was there before"


def test_settings():
    settings = DcgmSettings()
    assert (settings.url, settings.interval_seconds) == (DEFAULT_URL, 15.0)
    with pytest.raises(msgspec.ValidationError, match=r"url: .* is no address"):
        msgspec.convert({"url": "node:9400"}, DcgmSettings)
