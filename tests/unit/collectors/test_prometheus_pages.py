"""The prometheus collector: pages over real HTTP, with the settings that the docs recommend."""

import asyncio
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import msgspec
import pytest
from hardware.pages import Pages

from agent.collector import Absent, Context, Paths, Transient
from agent.quantities import Component, Seconds
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
from collectors.prometheus import PrometheusPages
from collectors.prometheus_settings import Kind, PrometheusSettings

ROOT = Path(__file__).parents[3]
FIXTURES = ROOT / "tests" / "fixtures" / "prometheus"
POWER = {"metric": "watts", "kind": "power_watts"}


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def boottime(self) -> Seconds:
        return Seconds(self.now)

    monotonic = wall = boottime


class Host:
    def __init__(self, settings: dict) -> None:
        self.clock = Clock()
        context = Context(Paths(), self.clock, lambda _component, _device: None)
        chosen = msgspec.convert({"timeout_seconds": 20.0} | settings, PrometheusSettings)
        self.collector = PrometheusPages(chosen, context)

    def collect(self, later: float = 0.0) -> list:
        self.clock.now += later
        return list(asyncio.run(self.collector.collect()))

    @property
    def problems(self) -> dict[str, str]:
        return {p.what: p.reason for p in self.collector.problems()}

    @property
    def whys(self) -> list[str]:
        return [p.why for p in self.collector.problems()]


@pytest.fixture
def pages() -> Iterator[Pages]:
    with Pages() as server:
        yield server


def one(pages: Pages, *series: dict, **page) -> Host:
    """A host with one page; its devices are told apart by `uuid`."""
    return Host({"page": {"p": {"url": pages.url(), "device": "{uuid}", "series": series} | page}})


def of(kind: type, samples: list) -> dict:
    return {s.device: s for s in samples if isinstance(s, kind)}


def documented(name: str, pages: Pages, path: str = "/metrics") -> dict:
    """The example of the docs, at our server's address."""
    text = (ROOT / "docs" / "other-accelerators.md").read_text()
    for block in re.findall(r"```toml\n(.*?)```", text, re.DOTALL):
        found = tomllib.loads(block)["collectors"]["prometheus"]["page"]
        if name in found:
            return {"page": {name: found[name] | {"url": pages.url(path)}}}
    raise AssertionError(f"{name} is not in the docs")


def show(pages: Pages, file: str) -> None:
    pages.set((FIXTURES / file).read_text())


def test_cambricon_as_documented(pages):
    show(pages, "cambricon-mlu370/page.txt")
    host = Host(documented("cambricon", pages))
    samples = host.collect()
    assert host.problems == {}
    first, second = (f"MLU-20001012-1916-0000-0000-00000000000{n}" for n in (0, 1))
    assert [s for s in samples if isinstance(s, Inventory)] == [
        Inventory("prometheus", Component.ACCELERATOR, (first, second), 1000.0)
    ]
    assert of(Accelerator, samples)[first] == Accelerator(
        "prometheus", Component.ACCELERATOR, first, 1000.0, "0", "MLU370-X8", "Cambricon",
        "v5.10.22",
    )  # fmt: skip
    assert {d: s.watts for d, s in of(PowerReading, samples).items()} == {first: 112, second: 71}
    assert of(Utilization, samples)[first].ratio == pytest.approx(0.87)
    assert {v[:2]: v[2] for v in of(Figures, samples)[first].values} == {
        (Figure.MEMORY_USED, ""): 16 * 2**30,
        (Figure.MEMORY_TOTAL, ""): 24 * 2**30,
        (Figure.TEMPERATURE, "core"): 54.0,
        (Figure.CLOCK, "sm"): 1.3e9,
        (Figure.POWER_LIMIT, ""): 250.0,
    }


def test_gaudi_as_documented_through_a_reset(pages):
    show(pages, "intel-gaudi2/page.txt")
    host = Host(documented("gaudi", pages))
    samples = host.collect()
    assert host.problems == {}
    first, second = (f"01P0-HL2080A0-15-TNPS34-20-0{n}-00" for n in (0, 1))
    energy = of(EnergyCounter, samples)
    assert energy[first].joules == pytest.approx(8123456.789)
    assert of(PowerReading, samples)[second].watts == 98.5
    assert of(Accelerator, samples)[second].index == "1"
    show(pages, "intel-gaudi2/page-2.txt")
    later = of(EnergyCounter, host.collect(15.0))
    assert later[first].joules - energy[first].joules == pytest.approx(412.6666667 * 15)
    show(pages, "intel-gaudi2/page-3.txt")
    after = host.collect(15.0)
    assert of(EnergyCounter, after)[first].joules == 1500.0
    assert of(EnergyCounter, host.collect(15.0)) == {}, "an old page is no new reading"
    assert of(Accelerator, after) == {}


def test_amd_as_documented_with_a_partitioned_board(pages):
    show(pages, "amd-mi300x/page.txt")
    host = Host(documented("amd", pages))
    samples = host.collect()
    whole, split = "692000000001", "692000000002"
    assert {d: s.watts for d, s in of(PowerReading, samples).items()} == {whole: 748, split: 412}
    energy = of(EnergyCounter, samples)
    assert energy[whole].joules == pytest.approx(1.4e8)
    assert energy[split].joules == pytest.approx(98000012.0)
    assert energy[split].component == Component.GPU
    figures = {v[:2]: v[2] for v in of(Figures, samples)[whole].values}
    assert figures == {
        (Figure.MEMORY_USED, ""): 183265 * 2**20,
        (Figure.MEMORY_TOTAL, ""): 196592 * 2**20,
        (Figure.TEMPERATURE, "hotspot"): 76.0,
        (Figure.CLOCK, "sm"): 1.537e9,
    }
    assert set(host.problems) == {
        f"{split} {kind}"
        for kind in ("utilization_ratio", "memory_used_bytes", "memory_total_bytes")
    }


def test_the_outlets_of_a_pdu_are_the_whole_servers_meter(pages):
    pages.set(
        'pdu_watts{outlet="7"} 210.5\npdu_watts{outlet="8"} 189.5\npdu_watts{outlet="9"} 55\n'
    )
    series = [
        {"metric": "pdu_watts", "kind": "power_watts", "match": {"outlet": outlet}}
        for outlet in ("7", "8")
    ]
    page = {"url": pages.url(), "device": "outlet-{outlet}", "component": "host"}
    host = Host({"page": {"pdu": page | {"series": series}}})
    found = host.collect()
    powers = {s.device: s.watts for s in found if isinstance(s, PowerReading)}
    assert powers == {"outlet-7": 210.5, "outlet-8": 189.5}
    assert {s.component for s in found} == {Component.HOST}
    (listed,) = [s.devices for s in found if isinstance(s, Inventory)]
    assert set(listed) == {"outlet-7", "outlet-8"}


def test_no_page_is_absent():
    with pytest.raises(Absent) as caught:
        Host({}).collect()
    assert caught.value.why == "no page is set in [collectors.prometheus]"
    assert "docs/other-accelerators.md" in caught.value.remedy


def test_one_page_that_fails_harms_no_other(pages):
    pages.set('watts{uuid="a"} 5\n')
    good = {"url": pages.url(), "device": "{uuid}", "series": [POWER]}
    bad = good | {"url": pages.url("/absent")}
    host = Host({"page": {"bad": bad, "good": good}})
    assert of(PowerReading, host.collect())["a"].watts == 5.0
    assert host.problems == {"bad": "http"}
    pages.stop()
    with pytest.raises(Transient) as caught:
        host.collect(15.0)
    assert caught.value.reason == "refused"
    assert caught.value.why.startswith("bad: ")


def test_a_label_that_is_not_there_is_named(pages):
    pages.set('watts{id="0",model="X"} 5\nwatts{uuid="a",id="1"} 6\nwatts{uuid="",id="2"} 7\n')
    host = one(pages, POWER, name="{model}")
    assert {d: s.watts for d, s in of(PowerReading, host.collect()).items()} == {"a": 6.0}
    assert host.problems == {"p series 1 (watts)": "label", "p name of a": "label"}
    assert 'names the label "uuid", which is not there or empty; there are id, uuid' in host.whys[0]
    assert "no row of a has the label that name = '{model}' names" in host.whys


def test_two_rows_for_one_device_are_refused_unless_the_settings_say_how(pages):
    pages.set('watts{uuid="a",rail="1"} 5\nwatts{uuid="a",rail="2"} 7\nwatts{uuid="b"} 1\n')
    host = one(pages, POWER)
    assert set(of(PowerReading, host.collect())) == {"b"}
    assert host.problems == {"a power_watts": "ambiguous"}
    assert host.whys == ["power_watts of a is said by 2 rows of watts: neither is used"]
    for several, watts in (("sum", 12.0), ("mean", 6.0), ("max", 7.0)):
        host = one(pages, POWER | {"several": several})
        assert of(PowerReading, host.collect())["a"].watts == watts
        assert host.problems == {}
    host = one(pages, POWER | {"match": {"rail": "2"}})
    assert {d: s.watts for d, s in of(PowerReading, host.collect()).items()} == {"a": 7.0}


def test_two_series_or_pages_for_one_device_are_refused(pages):
    pages.set('watts{uuid="a"} 5\nmore{uuid="a"} 5\nwatts{uuid="b"} 3\n')
    host = one(pages, POWER, POWER | {"metric": "more"})
    assert set(of(PowerReading, host.collect())) == {"b"}
    assert host.problems == {"a power_watts": "ambiguous"}
    page = {"url": pages.url(), "device": "{uuid}", "series": [POWER]}
    host = Host({"page": {"x": page, "y": page}})
    with pytest.raises(Transient) as caught:
        host.collect()
    assert caught.value.reason == "ambiguous"
    assert "pages x and y" in caught.value.why


def test_values_that_are_none_are_left_out(pages):
    pages.set(
        'watts{uuid="a"} NaN\nwatts{uuid="b"} +Inf\nwatts{uuid="c"} -1\nwatts{uuid="d"} 0\n'
        'watts{uuid="e"} 9\njoules{uuid="e"} 0\n'
    )
    host = one(pages, POWER, {"metric": "joules", "kind": "energy_joules_total"})
    samples = host.collect()
    assert set(of(PowerReading, samples)) == {"e"}
    assert of(EnergyCounter, samples) == {}
    assert host.problems == {}
    pages.set('watts{uuid="a"} NaN\njoules{uuid="a"} 0\n')
    host = one(pages, POWER)
    with pytest.raises(Transient, match="no page has a value"):
        host.collect()


@pytest.mark.parametrize(
    ("series", "value", "part"),
    [
        (POWER, "412250000", "4.1225e+08 as power_watts of a"),
        ({"metric": "watts", "kind": "utilization_ratio"}, "57", "57 as utilization_ratio of a"),
        ({"metric": "watts", "kind": "clock_hertz", "which": "sm"}, "1410", "1410 as clock_hertz"),
    ],
)
def test_a_scale_that_was_forgotten(pages, series, value, part):
    pages.set(f'watts{{uuid="a"}} {value}\n')
    host = one(pages, series)
    with pytest.raises(Transient) as caught:
        host.collect()
    assert caught.value.reason == "scale"
    assert part in caught.value.why
    assert "mend scale" in caught.value.remedy


def test_a_ratio_a_rounding_above_one_is_one(pages):
    pages.set('watts{uuid="a"} 100.2\n')
    host = one(pages, {"metric": "watts", "kind": "utilization_ratio", "scale": 0.01})
    assert of(Utilization, host.collect())["a"].ratio == 1.0


def test_a_series_that_is_not_there(pages):
    pages.set('watts{uuid="a",vf="1"} 5\n')
    host = one(pages, POWER, POWER | {"metric": "gone"}, POWER | {"match": {"vf": ""}})
    host.collect()
    assert host.whys == ["gone is not on the page", "watts has no row that matches"]


def test_flops_are_counted_between_readings(pages):
    series = {"metric": "ops", "kind": "flops_total", "scale": 1e9, "precision": "fp16_tensor"}
    host = one(pages, series, POWER)
    pages.set('ops{uuid="a"} 1000\nwatts{uuid="a"} 1\n')
    assert of(FlopCount, host.collect()) == {}
    pages.set('ops{uuid="a"} 1600\nwatts{uuid="a"} 1\n')
    assert of(FlopCount, host.collect(15.0))["a"] == FlopCount(
        "prometheus", Component.ACCELERATOR, "a", 1000.0, 1015.0, 6e11, "fp16_tensor",
        Method.COUNTER,
    )  # fmt: skip
    pages.set('ops{uuid="a"} 10\nwatts{uuid="a"} 1\n')
    assert of(FlopCount, host.collect(15.0)) == {}, "the program was started anew"


def test_what_settings_say_of_energy_and_power_is_kept(pages):
    pages.set('watts{uuid="a"} 5\njoules{uuid="a"} 77\n')
    host = one(
        pages,
        POWER | {"counted": False, "accuracy": 0.02},
        {"metric": "joules", "kind": "energy_joules_total", "wraps_at": 1e6, "max_watts": 300.0,
         "component": "nic", "device": "card-{uuid}"},
    )  # fmt: skip
    samples = host.collect()
    power = of(PowerReading, samples)["a"]
    assert (power.counted, power.accuracy) == (False, 0.02)
    energy = of(EnergyCounter, samples)["card-a"]
    assert (energy.wraps_at, energy.max_watts, energy.accuracy) == (1e6, 300.0, 0.05)
    assert energy.component == Component.NIC
    assert set(of(Accelerator, samples)) == {"a"}


def test_a_device_that_falls_silent_is_missed_until_the_exporter_is_started_anew(pages):
    pages.set('watts{uuid="a"} 5\nwatts{uuid="b"} 6\n')
    host = one(pages, POWER)
    host.collect()
    pages.set('watts{uuid="a"} 5\n')
    samples = host.collect(15.0)
    assert [s for s in samples if isinstance(s, Inventory)] == []
    assert host.problems == {"p accelerator b": "gone"}
    pages.stop()
    with pytest.raises(Transient):
        host.collect(15.0)
    pages.start()
    (inventory,) = [s for s in host.collect(15.0) if isinstance(s, Inventory)]
    assert inventory.devices == ("a",)
    assert host.problems == {}


def test_every_figure_can_be_set():
    assert set(Figure) < set(get_args(Kind))


SERIES = {"metric": "m", "kind": "power_watts", "device": "{uuid}"}


@pytest.mark.parametrize(
    ("page", "message"),
    [
        ({"url": "node:1"}, "page.p: url: 'node:1' is no address; write it as http"),
        ({"series": []}, "page.p: it names no series"),
        ({"name": "{a"}, "page.p: name: '{a' has a brace without its partner"),
        ({"name": "{a-b}"}, "page.p: name: '{a-b}': \"a-b\" is no name of a label"),
        ({"series": [SERIES | {"device": ""}]}, "page.p: series 1 (m): device: say what tells"),
        ({"series": [SERIES, SERIES | {"scale": 0}]}, "page.p: series 2 (m): scale: must be more"),
        ({"series": [SERIES | {"kind": "clock_hertz"}]}, "which: clock_hertz needs it: sm or"),
        ({"series": [SERIES | {"which": "x"}]}, "which: power_watts has none"),
        ({"series": [SERIES | {"kind": "flops_total"}]}, "precision: flops_total needs it"),
        ({"series": [SERIES | {"precision": "fp64"}]}, "precision: power_watts has none"),
        ({"series": [SERIES | {"wraps_at": 1.0}]}, "wraps_at is for energy_joules_total"),
        ({"series": [SERIES | {"accuracy": 5}]}, "accuracy: must be more than 0 and at most 1"),
        (
            {"series": [SERIES | {"kind": "memory_used_bytes", "component": "nic"}]},
            "component: memory_used_bytes is only known of a gpu",
        ),
        ({"series": [SERIES | {"kind": "watts"}]}, "Invalid enum value 'watts'"),
        ({"series": [SERIES | {"unit": "W"}]}, "unknown field `unit`"),
    ],
)
def test_settings_that_are_wrong(page, message):
    page = {"url": "http://127.0.0.1:1/metrics", "series": [SERIES]} | page
    with pytest.raises(msgspec.ValidationError) as caught:
        msgspec.convert({"page": {"p": page}}, PrometheusSettings)
    assert message in str(caught.value)
