"""Pages of npu-exporter from a real server, and the choice between it and npu-smi."""

import asyncio

import msgspec
import pytest
from hardware.pages import Pages
from unit.collectors.ascend_stand_in import (
    Smi,
    busy,
    collect,
    complaints,
    figures,
    listed,
    make,
    names,
    record,
    watts,
)
from unit.collectors.trees import Clock, put

from agent.collector import Absent, Transient
from collectors import ascend as module
from collectors.ascend import Ascend

MIB = 1024 * 1024


@pytest.fixture
def pages():
    with Pages() as server:
        yield server


@pytest.fixture
def smi(tmp_path, monkeypatch):
    tool = Smi(tmp_path)
    monkeypatch.setenv("PATH", f"{tool.folder}:/usr/bin:/bin")
    return tool


def reads(tmp_path, pages, text, clock=None):
    pages.set(text)
    return make(tmp_path, clock, source="exporter", url=pages.url())


def test_910a(tmp_path, pages):
    ascend = reads(tmp_path, pages, record("exporter/910a-v6.0.0.prom"))
    samples = collect(ascend)
    assert watts(samples) == {"0000:61:00.0": 66.3, "0000:db:00.0": 254.8}
    assert busy(samples) == {"0000:61:00.0": 0.0, "0000:db:00.0": 0.87}
    assert names(samples)["0000:db:00.0"] == ("1", "910A", "")
    assert figures(samples, "0000:db:00.0") == {
        ("memory_used_bytes", ""): 30211 * MIB,
        ("memory_total_bytes", ""): 32768 * MIB,
        ("temperature_celsius", "core"): 61.0,
        ("temperature_celsius", "memory"): 65.0,
        ("clock_hertz", "sm"): 1e9,
        ("ecc_errors_total", "corrected"): 3.0,
        ("ecc_errors_total", "uncorrected"): 0.0,
    }
    assert complaints(ascend) == []


def test_a_module_of_two_dies_is_counted_once(tmp_path, pages):
    """Both dies show a power, the first one's is the module's: 232.5 W, not 465 W."""
    samples = collect(reads(tmp_path, pages, record("exporter/910c-v7.prom")))
    assert watts(samples) == {"0000:9d:00.0": 232.5, "0000:99:00.0": 226.9}
    assert busy(samples) == {"0000:9d:00.0": 0.18, "0000:99:00.0": 0.19}
    assert names(samples)["0000:99:00.0"] == ("1", "Ascend910", "25.2.3")
    assert figures(samples, "0000:9d:00.0")["memory_total_bytes", ""] == 2 * 65536 * MIB


def test_a_module_whose_first_die_is_missing(tmp_path, pages):
    lines = record("exporter/910c-v7.prom").splitlines(keepends=True)
    ascend = reads(tmp_path, pages, "".join(line for line in lines if 'id="0"' not in line))
    assert watts(collect(ascend)) == {"0000:99:00.0": 226.9}
    assert complaints(ascend) == [("0000:9f:00.0", "no_power")]


def test_a_card_of_two_310p_is_counted_once(tmp_path, pages):
    samples = collect(reads(tmp_path, pages, record("exporter/310p3-duo-v26.1.0.prom")))
    assert watts(samples) == {"0000:0b:00.0": 44.7}
    assert busy(samples) == {"0000:0b:00.0": 0.2}
    assert figures(samples, "0000:0b:00.0")["memory_used_bytes", ""] == (1529 + 1412) * MIB


def test_chips_of_one_310_card_have_its_serial_number(tmp_path, pages):
    text = record("exporter/310p3-duo-v26.1.0.prom")
    text = text.replace(
        'id="1",model_name="310P3-Ascend-V1",namespace="",pcie_bus_info="0000:0B',
        'id="1",model_name="310P3-Ascend-V1",namespace="",pcie_bus_info="0000:0C',
    )
    assert len(watts(collect(reads(tmp_path, pages, text)))) == 2
    serial = "".join(
        f'npu_chip_info_serial_number{{id="{chip}",serial_number="SN1"}} 1\n' for chip in "01"
    )
    assert watts(collect(reads(tmp_path, pages, text + serial))) == {"0000:0b:00.0": 44.7}


def test_virtual_npus_repeat_their_chip(tmp_path, pages):
    """The exporter shows the chip's series once for each virtual one."""
    page = "".join(
        f'npu_chip_info_power{{container_name="{user}",id="0",model_name="310P3-Ascend-V1",'
        f'pcie_bus_info="0000:0B:00.0"}} 44.7\n'
        for user in ("", "a", "b")
    )
    assert watts(collect(reads(tmp_path, pages, page))) == {"0000:0b:00.0": 44.7}


def test_a_card_of_unknown_make_with_two_chips_has_no_power(tmp_path, pages):
    text = record("exporter/910c-v7.prom").replace("Ascend910-", "950X-")
    ascend = reads(tmp_path, pages, text)
    assert watts(collect(ascend)) == {}
    assert [reason for _, reason in complaints(ascend)] == ["no_power", "no_power"]


def test_rated_power_is_no_measurement(tmp_path, pages):
    text = record("exporter/310p3-duo-v26.1.0.prom").replace("310P3-", "310-")
    assert watts(collect(reads(tmp_path, pages, text))) == {}


def test_the_oldest_page_has_no_address(tmp_path, pages):
    samples = collect(reads(tmp_path, pages, record("exporter/v3.prom")))
    assert watts(samples) == {"npu-0": 69.5}
    assert names(samples) == {"npu-0": ("0", "910Awn", "")}
    assert figures(samples, "npu-0")["memory_total_bytes", ""] == 32255 * MIB


@pytest.mark.parametrize("value", ["-1", "4294967295", "NaN", "+Inf", "0"])
def test_what_is_no_power(tmp_path, pages, value):
    ascend = reads(tmp_path, pages, record("exporter/v3.prom").replace("69.5", value))
    assert watts(collect(ascend)) == {}
    assert complaints(ascend) == [("npu-0", "no_power")]


def test_the_exporter_starts_anew(tmp_path, pages):
    ascend = reads(tmp_path, pages, record("exporter/910a-v6.0.0.prom"))
    collect(ascend)
    pages.stop()
    with pytest.raises(Transient) as outcome:
        collect(ascend)
    assert outcome.value.reason == "refused"
    pages.set("# it has no chip yet\nmachine_npu_nums 0\n")
    pages.start()
    with pytest.raises(Transient, match="no chip"):
        collect(ascend)
    pages.set(record("exporter/910a-v6.0.0.prom"))
    samples = collect(ascend)
    assert len(watts(samples)) == 2
    assert listed(samples) == [], "the same cards as before"


def test_values_that_are_not_renewed_are_no_readings(tmp_path, pages):
    clock = Clock()
    text = record("exporter/910a-v6.0.0.prom")
    ascend = reads(tmp_path, pages, text, clock)
    for _ in range(7):
        assert len(watts(collect(ascend))) == 2
        clock.now += 15.0
    with pytest.raises(Transient) as outcome:
        collect(ascend)
    assert outcome.value.reason == "stale"
    clock.now += 15.0
    pages.set(text.replace("1723621883587", "1723621989000"))
    samples = collect(ascend)
    assert watts(samples) == {"0000:61:00.0": 66.3}
    assert complaints(ascend) == [("0000:db:00.0", "stale")]
    assert listed(samples) == [], "the other one is still there"


def test_another_programs_page(tmp_path, pages):
    ascend = reads(tmp_path, pages, "process_cpu_seconds_total 5\n")
    with pytest.raises(Transient) as outcome:
        collect(ascend)
    assert outcome.value.reason == "garbage"


def test_both_ways_call_a_card_the_same(tmp_path, pages, smi):
    smi.replays("910c-25.2.1")
    by_tool = watts(collect(make(tmp_path, source="npu-smi")))
    by_page = watts(collect(reads(tmp_path, pages, record("exporter/910c-v7.prom"))))
    assert set(by_page) < set(by_tool)


def test_auto_prefers_the_exporter_and_falls_back(tmp_path, pages, smi):
    clock = Clock()
    smi.replays("910c-25.2.1")
    pages.set(record("exporter/910c-v7.prom"))
    ascend = make(tmp_path, clock, url=pages.url())
    assert watts(collect(ascend))["0000:9d:00.0"] == 232.5
    pages.stop()
    clock.now += 15.0
    assert watts(collect(ascend))["0000:9d:00.0"] == 165.3
    assert complaints(ascend) == [("npu-exporter", "refused")]
    pages.start()
    clock.now += 15.0
    assert watts(collect(ascend))["0000:9d:00.0"] == 165.3, "not asked again at once"
    clock.now += 50.0
    assert watts(collect(ascend))["0000:9d:00.0"] == 232.5
    assert len(smi.calls()) == 2
    assert complaints(ascend) == []


def test_auto_does_not_wait_long_for_an_exporter_that_hangs(tmp_path, pages, smi):
    smi.replays("910b4-25.5.2")
    pages.set("", manner="hang")
    ascend = make(tmp_path, url=pages.url(), timeout_seconds=3.0)
    assert watts(collect(ascend)) == {"0000:41:00.0": 89.9}


@pytest.fixture
def port_of_nobody(pages, monkeypatch):
    """The default address, where nobody listens: a test must not meet this machine's own 8082."""
    pages.stop()
    monkeypatch.setattr(module, "DEFAULT_URL", pages.url())
    return pages


def test_a_host_without_npus_is_left_alone(tmp_path, smi, port_of_nobody):
    """Neither a connection nor a process: one look for the tool and at the PCI devices."""
    port_of_nobody.start()
    put(tmp_path / "sys/bus/pci/devices/0000:17:00.0/vendor", "0x10de")
    with pytest.raises(Absent) as outcome:
        collect(make(tmp_path))
    assert outcome.value.again_seconds is None
    assert port_of_nobody.requests() == []


def npu_on_pci(root):
    put(root / "sys/bus/pci/devices/0000:c1:00.0/vendor", "0x19e5")
    put(root / "sys/bus/pci/devices/0000:c1:00.0/class", "0x120000")
    put(root / "sys/bus/pci/devices/0000:03:00.0/vendor", "0x19e5")
    put(root / "sys/bus/pci/devices/0000:03:00.0/class", "0x020000")


def test_an_npu_without_driver_is_looked_for_again(tmp_path, smi, port_of_nobody):
    npu_on_pci(tmp_path)
    with pytest.raises(Absent, match=r"0000:c1:00\.0") as outcome:
        collect(make(tmp_path))
    assert outcome.value.again_seconds == 60.0
    assert outcome.value.remedy


def test_an_exporter_at_its_default_address_is_found(tmp_path, smi, port_of_nobody):
    npu_on_pci(tmp_path)
    port_of_nobody.set(record("exporter/910a-v6.0.0.prom"))
    port_of_nobody.start()
    ascend = make(tmp_path)
    assert len(watts(collect(ascend))) == 2
    port_of_nobody.stop()
    with pytest.raises(Transient) as outcome:
        collect(ascend)
    assert outcome.value.reason == "refused"


def test_an_address_that_was_set_must_answer(tmp_path, smi, port_of_nobody):
    with pytest.raises(Transient) as outcome:
        collect(make(tmp_path, url=port_of_nobody.url()))
    assert outcome.value.reason == "refused"


def test_settings():
    settings = msgspec.convert({"source": "exporter"}, Ascend.Settings)
    assert (settings.interval_seconds, settings.timeout_seconds) == (15.0, 12.0)
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"source": "dcmi"}, Ascend.Settings)


def test_it_reads_within_the_agents_loop(tmp_path, pages, smi):
    """Two collectors at once: neither waits for the other's process."""
    smi.replays("910b4-25.5.2")

    async def main():
        collectors = [make(tmp_path, source="npu-smi") for _ in range(2)]
        return await asyncio.gather(*(collector.collect() for collector in collectors))

    assert [watts(samples) for samples in asyncio.run(main())] == [{"0000:41:00.0": 89.9}] * 2
    assert len(smi.calls()) == 2
