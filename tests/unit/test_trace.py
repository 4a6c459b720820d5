"""Traces: every sample comes back as it was; a line that is none says why and nothing else."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from agent.carbon.intensity import Intensity
from agent.carbon.words import Basis, Factor, Origin
from agent.quantities import Component, Joules, Quality, Ratio, Seconds, Watts
from agent.samples import (
    Accelerator,
    EnergyCounter,
    Figure,
    Figures,
    FlopCount,
    GridValues,
    Inventory,
    MeterCounter,
    MeterRate,
    MeterRecord,
    MeterRecords,
    MeterTemperature,
    Method,
    PowerReading,
    Utilization,
    WorkCounter,
    WorkDone,
)
from agent.trace import BrokenLine, Event, Recorder, format_sample, lines, parse

COUNTER = {"collector": "rapl", "component": "cpu", "device": "package-0", "kind": "energy"}
POWER = {"collector": "nvml", "component": "gpu", "device": "GPU-1", "kind": "power"}
LOAD = {"collector": "host", "component": "cpu", "device": "all", "kind": "utilization"}
CONTRACT = [
    json.dumps({"t": 0.0} | COUNTER | {"value": 262100.0, "wraps_at": 262143.32885}),
    json.dumps({"t": 0.0} | POWER | {"value": 312.5}),
    json.dumps({"t": 1.0} | LOAD | {"value": 0.42}),
    '{"t": 5.0, "kind": "restart"}',
    '{"t": 9.0, "kind": "boot"}',
]

names = st.text(st.characters(codec="utf-8"), min_size=1, max_size=8)
amounts = st.floats(0, 1e17)
devices = (names, st.sampled_from(Component), names, st.just(0.0))
samples = st.one_of(
    st.builds(
        EnergyCounter,
        *devices,
        amounts,
        st.none() | st.just(1e17),
        st.none() | amounts,
        st.booleans(),
        st.floats(0, 1),
        st.floats(0.5, 2),
    ),
    st.builds(
        PowerReading,
        *devices,
        amounts,
        st.sampled_from([Quality.INTEGRATED, Quality.ESTIMATED]),
        st.none() | amounts,
        st.none() | amounts,
        st.booleans(),
        st.floats(0, 1),
    ),
    st.builds(Utilization, *devices, st.floats(0, 1)),
    st.builds(Accelerator, *devices, names, names, names, names, names),
    st.builds(Inventory, names, st.sampled_from(Component), st.tuples(names, names), st.just(0.0)),
    st.builds(
        Figures,
        *devices,
        st.lists(st.tuples(st.sampled_from(Figure), names, amounts), max_size=3).map(tuple),
    ),
    st.builds(
        FlopCount,
        *devices[:3],
        st.integers(-100, -1).map(float),
        st.just(0.0),
        amounts,
        names,
        st.sampled_from(Method),
    ),
    st.builds(
        WorkDone,
        names,
        names,
        names,
        st.just(0.0),
        amounts,
        names,
        st.none() | amounts,
        names,
        st.none() | st.integers(-100, -1).map(float),
    ),
    st.builds(
        WorkCounter,
        names,
        names,
        names,
        names,
        st.just(0.0),
        amounts,
        names,
        st.none() | amounts,
        names,
    ),
    st.builds(
        MeterCounter, names, names, st.just(0.0), amounts, st.none() | amounts, st.none() | amounts
    ),
    st.builds(MeterRate, names, names, st.just(0.0), amounts),
    st.builds(MeterTemperature, names, names, st.just(0.0), st.floats(-95, 95)),
    st.builds(
        MeterRecords,
        names,
        names,
        st.just(0.0),
        st.tuples(st.builds(MeterRecord, amounts, amounts, amounts, st.integers(1, 99))),
    ),
    st.builds(
        GridValues,
        names,
        st.just(0.0),
        st.tuples(
            st.builds(
                Intensity,
                names,
                names,
                amounts,
                amounts,
                amounts,
                st.sampled_from(Basis),
                st.sampled_from(Factor),
                st.sampled_from(Origin),
                names,
                amounts,
            )
        ),
    ),
)


def test_the_contracts_own_lines():
    counter, power, utilization, restart, boot = (parse(line.encode()) for line in CONTRACT)
    assert counter == (
        0.0,
        EnergyCounter(
            "rapl",
            Component.CPU,
            "package-0",
            Seconds(0.0),
            Joules(262100.0),
            Joules(262143.32885),
        ),
    )
    assert power[1] == PowerReading(
        "nvml", Component.GPU, "GPU-1", Seconds(0.0), Watts(312.5), Quality.INTEGRATED
    )
    assert utilization == (
        1.0,
        Utilization("host", Component.CPU, "all", Seconds(1.0), Ratio(0.42)),
    )
    assert (restart, boot) == ((5.0, Event.RESTART), (9.0, Event.BOOT))


def test_a_models_power_is_estimated_without_saying_so():
    line = b'{"t":0,"kind":"power","collector":"estimate","component":"cpu","device":"a","value":1}'
    _, sample = parse(line)
    assert isinstance(sample, PowerReading)
    assert sample.quality == Quality.ESTIMATED


@given(samples)
def test_a_sample_comes_back_as_it_was(sample):
    line = format_sample(sample, 0.0)
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert parse(line) == (0.0, sample)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"value": None}, "a sample needs value"),
        ({"device": "", "collector": ""}, "a sample needs collector, device"),
        ({"component": "toaster"}, "Invalid enum value 'toaster'"),
        ({"kind": "heat"}, "Invalid enum value 'heat'"),
        ({"value": -1}, "out of range"),
        ({"value": 1e18}, "out of range"),
        ({"value": 11.0, "wraps_at": 10.0}, "above wraps_at"),
        ({"kind": "utilization", "value": 1.5}, "above 1"),
        ({"kind": "power", "quality": "measured"}, "only an energy counter is measured"),
        ({"t": "now"}, "Expected `float`, got `str`"),
        ({"t": 1.76e12}, "the time 1760000000000.0 is out of range"),
        ({"t": 1e300}, "out of range"),
    ],
)
def test_a_broken_line_says_why(change, why):
    good = {"t": 0, "kind": "energy", "collector": "c", "component": "cpu", "device": "d"}
    with pytest.raises(BrokenLine) as caught:
        parse(json.dumps(good | {"value": 1.0} | change).encode())
    assert why in str(caught.value)


def outcome(line):
    """Return the sample or why there is none."""
    try:
        time, sample = parse(line)
    except BrokenLine as error:
        return str(error)
    assert abs(time) < 1e11
    return sample


json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
keys = st.sampled_from(
    ["t", "kind", "collector", "component", "device", "value", "wraps_at", "quality", "low", "x"]
)


@given(
    st.binary(max_size=80)
    | st.dictionaries(keys, json_values | st.sampled_from(["energy", "power", "cpu"])).map(
        lambda value: json.dumps(value).encode()
    )
    | st.just(b"[" * 100_000)
)
def test_any_line_is_a_sample_or_broken(line):
    assert isinstance(outcome(line), EnergyCounter | PowerReading | Utilization | Event | str)


@given(st.sampled_from(CONTRACT), st.integers(0, 200), st.binary(max_size=4), st.booleans())
def test_a_spoilt_line_is_a_sample_or_broken(line, place, junk, cut):
    data = line.encode()
    rest = b"" if cut else data[place + len(junk) :]
    assert outcome(data[:place] + junk + rest)


def test_blank_lines_are_passed_over_and_numbers_are_the_files(tmp_path):
    path = tmp_path / "trace.jsonl"
    path.write_bytes(b"\n a\r\n\n\t\nb")
    assert list(lines(path)) == [(2, b" a\r\n"), (5, b"b")]


def utilization(at, collector="host"):
    return Utilization(collector, Component.CPU, "all", Seconds(at), Ratio(0.5))


def test_a_recording_starts_at_0_and_is_in_order(tmp_path):
    path = tmp_path / "trace.jsonl"
    recorder = Recorder(path.open("xb"))
    for at in (1000.25, 1000.0):  # two collectors' samples of one tick, the later one first
        recorder.record(utilization(at))
    assert path.read_bytes() == b""
    recorder.flush()
    assert [parse(line)[0] for _, line in lines(path)] == [0.0, 0.25]
    recorder.record(utilization(1001.0))
    recorder.close()
    assert [parse(line)[0] for _, line in lines(path)] == [0.0, 0.25, 1.0]
    recorder.record(utilization(1002.0))  # closed: nothing happens
    recorder.close()
    assert len(path.read_bytes().splitlines()) == 3


def test_a_full_disk_ends_the_recording_and_nothing_else():
    with open("/dev/full", "wb") as full, capture_logs() as logs:  # noqa: PTH123
        recorder = Recorder(full)
        for at in range(3):
            recorder.record(utilization(float(at)))
            recorder.flush()
        recorder.close()
    assert [line["event"] for line in logs] == ["recording_ended"]
    assert logs[0]["why"] == "No space left on device"


def test_a_recording_that_is_not_wanted_is_gone(tmp_path):
    path = tmp_path / "trace.jsonl"
    recorder = Recorder(path.open("xb"))
    recorder.discard()
    recorder.discard()
    assert not path.exists()
