"""What a report may say; everything else is refused with the key and what would be right."""

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.collectors.trees import Clock

from agent.samples import WorkDone
from collectors import work_reports
from collectors.work_reports import Refused, Reports, decode

GOOD = {"workload": "llama-70b", "unit": "tokens", "amount": 1234}


def body(**more):
    return json.dumps(GOOD | more).encode()


def refused(raw, reports=None):
    taker = reports or Reports(Clock(), 100)
    with pytest.raises(Refused) as caught:
        taker.add(raw)
    said = caught.value.sentence
    assert "\n" not in said
    assert "`" not in said
    return caught.value.status, said


def test_a_report_becomes_a_sample():
    clock = Clock()
    reports = Reports(clock, 100)
    said = {"flop": 1.6e15, "precision": "fp16_tensor", "device": "GPU-1", "seconds": 12.5}
    assert reports.add(body(**said)) == 1
    clock.now = 1001.0
    assert reports.add(body(amount=0, flop=None, device=None)) == 1
    first, second = reports.take()
    assert first == WorkDone(
        collector="work",
        workload="llama-70b",
        unit="tokens",
        at=1000.0,
        amount=1234.0,
        device="GPU-1",
        flop=1.6e15,
        precision="fp16_tensor",
        since=987.5,
    )
    assert (second.at, second.amount, second.flop, second.since) == (1001.0, 0.0, None, None)
    assert reports.take() == []


def test_a_list_is_taken_whole_or_not_at_all():
    reports = Reports(Clock(), 100)
    assert reports.add(json.dumps([GOOD, GOOD | {"amount": 6}]).encode()) == 2
    assert reports.add(b"[]") == 0
    status, said = refused(json.dumps([GOOD, GOOD | {"amount": -1}]).encode(), reports)
    assert (status, said[:17]) == (400, "report 2: amount:")
    assert [sample.amount for sample in reports.take()] == [1234.0, 6.0]


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"amount": -1}, "amount: must be a number from 0 to 1e+18"),
        ({"amount": "5"}, "amount: must be a number"),
        ({"amount": True}, "amount: must be a number"),
        ({"amount": None}, "amount: must be a number"),
        ({"amount": 2e18}, "amount: must be a number"),
        ({"amount": 10**400}, "amount: must be a number"),
        ({"flop": -1}, "flop: must be a number from 0 to 1e+30"),
        ({"flop": 1e31}, "flop: must be a number"),
        ({"seconds": 0}, "seconds: must be a number above 0, up to 2.6784e+06: over how long"),
        ({"seconds": 1e9}, "seconds: must be a number above 0"),
        ({"workload": ""}, "workload: must be a printable name of 1 to 100 characters"),
        ({"workload": "x" * 101}, "workload: must be a printable name"),
        ({"workload": 7}, "workload: must be a printable name"),
        ({"workload": "a\nb"}, "workload: must be a printable name"),
        ({"workload": " a"}, "workload: must be a printable name"),
        ({"unit": "\x00"}, 'unit: must be a printable name of 1 to 100 characters, e.g. "tokens"'),
        ({"unit": None}, "unit: must be a printable name"),
        ({"device": "x" * 101}, 'device: must be an accelerator\'s label, "gpu"'),
        ({"device": "a\u2028b"}, "device: must be an accelerator's label"),
        ({"precision": "FP16"}, "precision: must be up to 40 of a-z, 0-9 and _"),
        ({"precision": ["fp16"]}, "precision: must be up to 40"),
        ({"amout": 5}, "'amout': there is no such key; known are workload, unit, amount, flop, "),
    ],
)
def test_a_fault_is_named_with_its_remedy(more, says):
    status, said = refused(body(**more))
    assert status == 400
    assert said.startswith(says)


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        (b"", "the body is not JSON (Input data was truncated); send an object with workload"),
        (b"{", "the body is not JSON"),
        (b'{"amount": NaN}', "the body is not JSON"),
        (b'{"workload":"a","unit":"b","amount":1e999}', "amount: must be a number"),
        (b"\xff\xfe", "the body is not JSON"),
        (b"[" * 60_000, "report 1: send an object with workload"),
        (b"5", "send an object with workload, unit and amount, or a list of such objects"),
        (b"[5]", "report 1: send an object with workload"),
        (b"{}", 'workload: is missing; it is a printable name of 1 to 100 characters, e.g. "llama'),
        (b'{"workload":"a","unit":"b"}', "amount: is missing; it is a number from 0 to 1e+18"),
        (b'[{"workload":"a"}]', "report 1: unit: is missing"),
        (b'{"workload":"\\ud800","unit":"b","amount":1}', ""),
    ],
)
def test_what_is_no_report_is_said(raw, says):
    status, said = refused(raw)
    assert status == 400
    assert said.startswith(says)


def test_names_are_bounded():
    reports = Reports(Clock(), 2)
    reports.add(body(unit="a"))
    reports.add(body(unit="b"))
    status, said = refused(json.dumps([GOOD | {"unit": "a"}, GOOD | {"unit": "c"}]), reports)
    assert status == 409
    assert said.startswith("workload: 'llama-70b' in 'c' would be one more than the 2 pairs")
    assert "raise work.max_workloads" in said
    assert reports.add(body(unit="b")) == 1
    assert [sample.unit for sample in reports.take()] == ["a", "b", "b"]


def test_devices_and_precisions_are_bounded():
    reports = Reports(Clock(), 2)
    reports.add(body(device="GPU-1"))
    reports.add(body(device="GPU-2"))
    status, said = refused(body(device="GPU-3"), reports)
    assert (status, said[:20]) == (409, "device: more than 2 ")
    assert reports.add(body(device="GPU-2")) == 1


def test_what_waits_is_bounded(monkeypatch):
    monkeypatch.setattr(work_reports, "MAX_WAITING", 3)
    reports = Reports(Clock(), 100)
    reports.add(json.dumps([GOOD] * 2).encode())
    assert refused(json.dumps([GOOD] * 2), reports)[0] == 503
    assert reports.add(body()) == 1
    assert len(reports.take()) == 3
    assert reports.add(json.dumps([GOOD] * 3)) == 3


def test_the_sums_are_told():
    clock = Clock()
    reports = Reports(clock, 100)
    reports.add(body(flop=2e12))
    reports.add(body(amount=6))
    reports.take()
    reports.add(body(unit="requests", amount=2))
    clock.now += 4.5
    assert json.loads(reports.summary()) == {
        "seconds": 4.5,
        "waiting": 1,
        "work": [
            {"workload": "llama-70b", "unit": "requests", "amount": 2, "flop": None, "reports": 1},
            {"workload": "llama-70b", "unit": "tokens", "amount": 1240, "flop": 2e12, "reports": 2},
        ],
    }


def test_work_cannot_have_begun_before_the_host():
    reports = Reports(Clock(), 100)
    reports.add(body(seconds=1000.5))
    assert reports.take()[0].since == 0.0


values = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False),
    st.text(max_size=120),
    st.lists(st.integers(), max_size=2),
)
keys = st.sampled_from([*msgspec.json.encode(GOOD).decode().split('"')[1::4], "flop", "device", ""])
objects = st.dictionaries(keys, values, max_size=5).map(lambda some: GOOD | some)


@given(
    st.one_of(
        st.binary(max_size=200),
        objects.map(lambda o: json.dumps(o).encode()),
        st.lists(objects, max_size=3).map(lambda o: json.dumps(o).encode()),
    )
)
def test_any_body_is_taken_or_refused_with_one_sentence(raw):
    reports, refusal = [], None
    try:
        reports = decode(raw)
    except Refused as error:
        refusal = error
    if refusal is not None:
        assert refusal.status == 400
        assert refusal.sentence
        assert "\n" not in refusal.sentence
    for report in reports:
        assert 0 <= report.amount <= 1e18
        assert report.workload.isprintable()
        assert 1 <= len(report.unit) <= 100
        assert report.flop is None or 0 <= report.flop <= 1e30
