"""Real processes that print recorded tables; figures are worked out by hand from those tables."""

import asyncio
import os
import time
from pathlib import Path

import pytest
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
from agent.quantities import Component, Quality
from agent.samples import PowerReading
from collectors.ascend_smi import parse_info, parse_power
from collectors.ascend_tool import Tool

MIB = 1024 * 1024
MEMORY_USED = ("memory_used_bytes", "")
MEMORY_TOTAL = ("memory_total_bytes", "")
CORE = ("temperature_celsius", "core")


@pytest.fixture
def smi(tmp_path, monkeypatch):
    tool = Smi(tmp_path)
    monkeypatch.setenv("PATH", f"{tool.folder}:{os.environ['PATH']}")
    return tool


@pytest.fixture
def ascend(smi, tmp_path):
    return make(tmp_path, source="npu-smi")


def test_four_of_a_910b(smi, ascend):
    smi.replays("910b2c-23.0.3")
    samples = collect(ascend)
    assert watts(samples) == {
        "0000:d9:00.0": 91.3,
        "0000:98:00.0": 100.7,
        "0000:b9:00.0": 92.8,
        "0000:c9:00.0": 92.9,
    }
    assert set(busy(samples).values()) == {0.0}
    assert names(samples)["0000:98:00.0"] == ("13", "910B2C", "23.0.3")
    assert figures(samples, "0000:d9:00.0") == {
        MEMORY_USED: 52675 * MIB,
        MEMORY_TOTAL: 65536 * MIB,
        CORE: 53.0,
    }
    assert listed(samples) == [("0000:98:00.0", "0000:b9:00.0", "0000:c9:00.0", "0000:d9:00.0")]
    power = next(sample for sample in samples if isinstance(sample, PowerReading))
    assert power.quality is Quality.INTEGRATED
    assert power.component is Component.ACCELERATOR
    assert complaints(ascend) == []
    assert smi.calls() == ["info LC_ALL=C LANG=C"], "one process a reading, in plain English"


def test_what_does_not_change_is_said_once(smi, ascend):
    smi.replays("910b2c-23.0.3")
    collect(ascend)
    again = collect(ascend)
    assert names(again) == {}
    assert listed(again) == []
    assert len(watts(again)) == 4


def test_both_dies_of_a_910c_are_one_card(smi, ascend):
    """The tool hides the second die's power, which is in the first one's."""
    smi.replays("910c-25.2.1")
    samples = collect(ascend)
    power = watts(samples)
    assert len(power) == 8
    assert power["0000:9d:00.0"] == 165.3
    assert round(sum(power.values()), 1) == 1309.3
    assert "0000:9f:00.0" not in power
    assert names(samples)["0000:81:00.0"] == ("7", "Ascend910", "25.2.1")
    assert figures(samples, "0000:89:00.0") == {
        MEMORY_USED: (3140 + 2881) * MIB,
        MEMORY_TOTAL: 2 * 65536 * MIB,
        CORE: 37.0,
    }
    assert complaints(ascend) == []


def test_busy_is_the_mean_of_the_dies(smi, ascend):
    text = record("910c-26.0.rc2/info.txt")
    text = text.replace("9D:00.0  | 0 ", "9D:00.0  | 17").replace("9F:00.0  | 0 ", "9F:00.0  | 20")
    smi.prints(text)
    assert busy(collect(ascend)) == {"0000:9d:00.0": 0.185}


def test_only_the_second_die_is_seen(smi, ascend):
    """A container that was given one die: its power is not known, the rest is."""
    rows = record("910c-26.0.rc2/info.txt").splitlines(keepends=True)
    smi.prints("".join(rows[:6] + rows[9:]))
    samples = collect(ascend)
    assert watts(samples) == {}
    assert busy(samples) == {"0000:9f:00.0": 0.0}
    assert complaints(ascend) == [("0000:9f:00.0", "no_power")]


@pytest.mark.parametrize(
    ("folder", "power", "used", "total"),
    [
        ("910b4-25.5.2", {"0000:41:00.0": 89.9}, 2922, 32768),
        ("910a-21.0.2", {"0000:3b:00.0": 64.3, "0000:86:00.0": 65.6}, 0, 32768),
        ("310p3-22.0.0", {"0000:86:00.0": 16.2}, 994, 21534),
    ],
)
def test_tables_of_other_versions(smi, ascend, folder, power, used, total):
    """HBM or DDR, two or three columns, with and without a device number."""
    smi.replays(folder)
    samples = collect(ascend)
    assert watts(samples) == power
    values = figures(samples, next(iter(power)))
    assert (values[MEMORY_USED], values[MEMORY_TOTAL]) == (used * MIB, total * MIB)
    assert complaints(ascend) == []


def test_the_version_is_the_drivers(smi, ascend):
    smi.replays("310p3-22.0.0")
    assert names(collect(ascend)) == {"0000:86:00.0": ("0", "310P3", "22.0.2")}


def test_a_card_of_two_310p_is_counted_once(smi, ascend):
    """Both chips have one PCI address; their card's controller tells the power."""
    smi.replays("310p3-duo-25.3.rc1")
    samples = collect(ascend)
    assert watts(samples) == {
        "0000:01:00.0": 42.9,
        "0000:02:00.0": 44.7,
        "0000:81:00.0": 41.6,
        "0000:82:00.0": 43.2,
    }
    assert figures(samples, "0000:01:00.0")[MEMORY_TOTAL] == (44278 + 43693) * MIB
    assert [call.split(" LC")[0] for call in smi.calls()] == [
        "info",
        *[f"info -t power -i {number}" for number in (0, 32, 32768, 32800)],
    ]


def test_one_card_of_four_has_a_dumb_controller(smi, ascend):
    smi.replays("310p3-duo-25.3.rc1")
    (smi.folder / "power-32.txt").write_text("\tNPU ID : 32\n\tChip Count : 2\n")
    samples = collect(ascend)
    assert sorted(watts(samples)) == ["0000:01:00.0", "0000:81:00.0", "0000:82:00.0"]
    assert busy(samples)["0000:02:00.0"] == 0.0
    assert complaints(ascend) == [("0000:02:00.0", "no_power")]


def test_a_controller_that_hangs_starves_no_other(smi, tmp_path):
    """Who was asked longest ago is asked first."""
    smi.replays("310p3-duo-25.3.rc1")
    script = (smi.folder / "npu-smi").read_text()
    smi.does(script.replace('case "$*" in', 'case "$*" in\n  *"-i 0") exec sleep 1000 ;;'))
    clock = Clock()
    clock.monotonic = time.monotonic
    ascend = make(tmp_path, clock, source="npu-smi", timeout_seconds=1.0)
    assert watts(collect(ascend)) == {}, "all of the time went to the first card"
    assert len(complaints(ascend)) == 4
    assert sorted(watts(collect(ascend))) == ["0000:02:00.0", "0000:81:00.0", "0000:82:00.0"]
    assert complaints(ascend) == [("0000:01:00.0", "no_power")]


def test_rated_power_is_no_measurement(smi, ascend):
    """A 310 shows 12.8 W at any load."""
    smi.replays("310-21.0.3.1")
    (smi.folder / "power-0.txt").write_text("\tRated Power Dissipation(W)     : 12.8\n")
    samples = collect(ascend)
    assert watts(samples) == {}
    assert names(samples) == {"npu-0": ("0", "310", "21.0.3.1")}
    assert figures(samples, "npu-0")[MEMORY_USED] == 5324 * MIB
    assert complaints(ascend) == [("npu-0", "no_power")]
    assert "rated" in ascend.problems()[0].why


def test_one_of_eight_is_ill(smi, ascend):
    """0 W of a chip with an alarm is no power; its neighbours go on."""
    smi.replays("910b3-eight-24.1.rc2")
    samples = collect(ascend)
    power = watts(samples)
    assert len(power) == 7
    assert "0000:82:00.0" not in power
    assert round(sum(power.values()), 1) == 2132.6
    assert "0000:82:00.0" not in busy(samples)
    assert figures(samples, "0000:82:00.0") == {}
    assert len(listed(samples)[0]) == 8
    assert complaints(ascend) == [("0000:82:00.0", "no_power")]
    assert "0 W" in ascend.problems()[0].why


def test_a_chip_of_unknown_health_is_not_believed(smi, ascend):
    smi.prints(record("910b4-25.5.2/info.txt").replace("| OK     ", "| UNKNOWN"))
    samples = collect(ascend)
    assert (watts(samples), busy(samples)) == ({}, {})
    assert complaints(ascend) == [("0000:41:00.0", "no_power")]


def test_an_alarm_alone_hides_nothing(smi, ascend):
    smi.prints(record("910b4-25.5.2/info.txt").replace("| OK   ", "| Alarm"))
    assert watts(collect(ascend)) == {"0000:41:00.0": 89.9}


def test_a_card_that_fell_off_stays_listed_while_the_kernel_has_it(smi, tmp_path):
    ascend = make(tmp_path, source="npu-smi")
    smi.replays("910b2c-23.0.3")
    collect(ascend)
    gone = tmp_path / "sys/bus/pci/devices/0000:98:00.0"
    put(gone / "vendor", "0x19e5")
    rows = record("910b2c-23.0.3/info.txt").splitlines(keepends=True)
    smi.prints("".join(rows[:9] + rows[12:]))
    samples = collect(ascend)
    assert len(watts(samples)) == 3
    assert listed(samples) == []
    assert complaints(ascend) == [("0000:98:00.0", "gone")]
    (gone / "vendor").unlink()
    gone.rmdir()
    assert listed(collect(ascend)) == [("0000:b9:00.0", "0000:c9:00.0", "0000:d9:00.0")]
    assert complaints(ascend) == []
    smi.replays("910b2c-23.0.3")
    back = collect(ascend)
    assert len(listed(back)[0]) == 4
    assert list(names(back)) == ["0000:98:00.0"]


@pytest.mark.parametrize(
    ("file", "reason", "words"),
    [
        ("8005", "driver", "ret is -8005"),
        ("8020", "used", "because the device is used"),
        ("9005", "driver", "npu get board type failed"),
    ],
)
@pytest.mark.parametrize("status", [0, 1, 255])
def test_the_tools_own_words(smi, ascend, file, reason, words, status):
    smi.prints(record(f"failed/{file}.txt"), status)
    with pytest.raises(Transient, match=words) as outcome:
        collect(ascend)
    assert outcome.value.reason == reason
    assert outcome.value.remedy


def test_messages_around_a_table_do_no_harm(smi, ascend):
    table = record("910b4-25.5.2/info.txt")
    warning = "[WARNING]The driver package may not be completely installed.\n"
    smi.prints(f"DrvMngGetConsoleLogLevel failed. (ret=4)\n{table}{warning}", status=3)
    assert watts(collect(ascend)) == {"0000:41:00.0": 89.9}


def test_a_table_that_breaks_off(smi, ascend):
    """Whatever was whole counts; half a row does not."""
    text = record("910b2c-23.0.3/info.txt")
    whole = text.index("| 14")
    smi.prints(text[: whole + 40])
    samples = collect(ascend)
    assert watts(samples) == {"0000:d9:00.0": 91.3, "0000:98:00.0": 100.7}
    assert complaints(ascend) == [("npu-smi", "garbage")]
    smi.prints(text[: text.index("| 0    ", whole)])
    assert len(watts(collect(ascend))) == 2
    assert complaints(ascend)[0] == ("npu-smi", "garbage")


@pytest.mark.parametrize("text", ["", "There is no NPU card on this server.\n", "\x00\xff|||\n"])
def test_no_table(smi, ascend, text):
    smi.prints(text)
    with pytest.raises(Transient):
        collect(ascend)


def test_every_prefix_of_a_table_gives_what_is_there():
    """No cut makes a figure that the whole table does not have."""
    text = record("910c-25.2.1/info.txt")
    whole = {card.device: card.watts for card in parse_info(text).cards}
    for end in range(0, len(text), 7):
        for card in parse_info(text[:end]).cards:
            assert card.watts in {whole.get(card.device), None}


@pytest.mark.parametrize(
    ("change", "with_"),
    [("Power(W) ", "Power(mW)"), ("Power(W)", "Voltage(V)"), ("Power(W)    Temp(C)", "Power(W) ")],
)
def test_columns_go_by_name_and_unit(change, with_):
    """A unit that is not the known one, or a row of another shape, is unknown."""
    table = parse_info(record("910b4-25.5.2/info.txt").replace(change, with_))
    assert [card.watts for card in table.cards if card.watts is not None] == []


@pytest.mark.parametrize("value", ["NA  ", "-   ", "-1.0", "nan ", "inf ", "1e99", "0.0 "])
def test_what_is_no_power(value):
    (card,) = parse_info(record("910b4-25.5.2/info.txt").replace("89.9", value)).cards
    assert card.watts is None


def test_what_is_no_utilisation_temperature_or_memory():
    text = record("910b4-25.5.2/info.txt")
    text = (
        text.replace("00.0  | 0 ", "00.0  | NA").replace("39   ", "NA   ").replace("2922", "NA  ")
    )
    (card,) = parse_info(text).cards
    (chip,) = card.chips
    assert (chip.ratio, chip.core_celsius, chip.memory_used_bytes) == (None, None, None)
    assert chip.memory_total_bytes == 32768 * MIB
    text = text.replace("00.0  | NA ", "00.0  | 255")
    assert parse_info(text).cards[0].chips[0].ratio is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (record("200i-a2/power-0.txt"), 16.9),
        (record("910b-power/power-0.txt"), 103.5),
        (record("310p3-duo-25.3.rc1/power-32.txt"), 44.7),
        ("NPU ID : 2944\nChip Count : 2\nPower Dissipation(W) : 42.9", 42.9),
        ("NPU Real-time Power(W) : 60.0\nChip ID : 0\n\nNPU Real-time Power(W) : 61.0\n", None),
        ("Rated Power Dissipation(W) : 12.8\n", None),
        ("Power Dissipation(W) : 10.0\n\nPower Dissipation(W) : 20.0\n", None),
        ("Chip Name : mcu\nNPU Real-time Power(W) : 45.2\n", 45.2),
        ("NPU Real-time Power(W) : NA\n", None),
        ("This device does not support querying power.\n", None),
        ("", None),
    ],
)
def test_power_of_one_card(text, expected):
    assert parse_power(text) == expected


def is_alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def is_running(pid):
    """Tell a running process from one that ended and waits for init to notice."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(") ")[2][0] != "Z"


def test_a_hanging_tool_is_ended_with_its_children(smi, tmp_path):
    smi.does(
        f"#!/bin/sh\nsleep 1000 &\necho $! $$ > {tmp_path}/new && mv {tmp_path}/new {tmp_path}/pids"
        "\necho '| npu-smi 23.0.3'\nwait\n"
    )
    ascend = make(tmp_path, source="npu-smi", timeout_seconds=2.0)
    with pytest.raises(Transient, match=r"no end within 1\.8") as outcome:
        collect(ascend)
    assert outcome.value.reason == "timeout"
    child, tool = map(int, (tmp_path / "pids").read_text().split())
    assert not is_alive(tool), "ended and reaped"
    assert not is_running(child)
    smi.replays("910b4-25.5.2")
    assert watts(collect(ascend)) == {"0000:41:00.0": 89.9}


def test_a_cancelled_reading_leaves_no_process(smi, tmp_path):
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    smi.does(f"#!/bin/sh\necho $$ > {fifo}\nexec sleep 1000\n")
    ascend = make(tmp_path, source="npu-smi")

    async def main():
        task = asyncio.create_task(ascend.collect())
        pid = int(await asyncio.to_thread(fifo.read_text))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return pid

    assert not is_alive(asyncio.run(main()))


def test_no_second_tool_beside_one_that_cannot_be_ended(smi):
    """One stuck in the driver outlives SIGKILL; here a wait that does not end stands for it."""
    smi.prints("text\n")

    async def main():
        tool = Tool()
        stuck = asyncio.Event()

        async def ends():
            await stuck.wait()
            return 0

        tool._runner._ending = asyncio.create_task(ends())
        with pytest.raises(Transient, match="cannot be ended") as outcome:
            await tool.run("info", seconds=20)
        assert outcome.value.reason == "timeout"
        stuck.set()
        await tool._runner._ending
        return await tool.run("info", seconds=20)

    assert asyncio.run(main()) == "text\n"
    assert len(smi.calls()) == 1


def test_a_tool_that_prints_without_end(smi, ascend):
    smi.does("#!/bin/sh\nyes '| 0 910B3'\n")
    with pytest.raises(Transient, match="more than 1024 KiB") as outcome:
        collect(ascend)
    assert outcome.value.reason == "garbage"


def test_a_tool_that_cannot_be_run(smi, ascend):
    smi.does("no script\n")
    (smi.folder / "npu-smi").write_bytes(b"\x7fELF rubbish")
    with pytest.raises(Transient, match="cannot be started"):
        collect(ascend)


def test_no_tool_is_absence(smi, tmp_path):
    with pytest.raises(Absent) as outcome:
        collect(make(tmp_path, source="npu-smi"))
    assert outcome.value.again_seconds is None


def test_a_tool_that_goes_away_is_no_absence(smi, ascend):
    smi.replays("910b4-25.5.2")
    collect(ascend)
    smi.remove()
    with pytest.raises(Transient) as outcome:
        collect(ascend)
    assert outcome.value.reason == "gone"


def test_the_time_is_the_middle_of_the_reading(smi, tmp_path):
    clock = Clock()
    ascend = make(tmp_path, clock, source="npu-smi")
    smi.replays("910b4-25.5.2")
    samples = collect(ascend)
    assert {sample.at for sample in samples} == {1000.0}
