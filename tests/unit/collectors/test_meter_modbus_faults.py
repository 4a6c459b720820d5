"""Modbus meters that do not answer as they should, each named with the reason and the remedy."""

import asyncio
import logging
import sys

import pytest
from hardware.modbus.raw import Raw
from hardware.modbus.server import Gateway
from hardware.modbus.unit import Unit
from msgspec.structs import replace
from unit.collectors.modbus_rig import (
    GOOD,
    PM,
    SHORT,
    TOTAL,
    answered,
    first,
    look,
    made,
    meter,
    only,
    pm5000,
    run,
    until,
)

from agent.collector import Transient
from agent.site.settings import Register

# -- exceptions -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "why", "reason", "remedy"),
    [
        (1, "unit 1 does not know function 3 (holding registers)", "refused", 'table = "input"'),
        (2, "unit 1 has no holding registers 3203 to 3206", "refused", "one less"),
        (3, "unit 1 has no holding registers 3203 to 3206", "refused", "one less"),
        (4, "unit 1 reports a failure of its own", "refused", "display"),
        (6, "unit 1 is busy", "busy", "interval_seconds"),
        (10, "has no path to unit 1", "refused", "routing"),
        (11, "unit 1 does not answer behind this gateway", "timeout", "RS-485 line"),
    ],
)
def test_an_exception_is_said_in_plain_words(code, why, reason, remedy):
    with Gateway(pm5000(exception=code)) as gateway:
        values, problems = look(meter(host=gateway.host))
    problem = only(problems)
    assert values == {}
    assert why in problem.why
    assert problem.reason == reason
    assert remedy in problem.remedy


def test_one_register_that_is_refused_costs_the_other_nothing():
    with Gateway(pm5000(exceptions={3203: 2})) as gateway:
        values, problems = look(meter(host=gateway.host))
    assert values == {"m": (None, 12_500.0)}
    assert only(problems).why == "unit 1 has no holding registers 3203 to 3206"


def test_a_register_that_is_not_there_is_refused_by_a_real_server():
    with Gateway(pm5000()) as gateway:
        energy = Register(address=3204, type="int64", unit="Wh")  # one too many
        _, problems = look(meter(host=gateway.host, energy=energy))
    assert only(problems).why == "unit 1 has no holding registers 3204 to 3207"


def test_a_value_that_is_not_available_costs_the_other_nothing():
    unit = pm5000()
    unit.put(3059, "FFC0 0000")
    with Gateway(unit) as gateway:
        values, problems = look(meter(host=gateway.host))
    assert values == {"m": (GOOD[0], None)}
    assert only(problems).why == 'its power register 3059 says "not available"'


def test_words_that_are_swapped_are_recognised():
    unit = Unit(1)
    unit.put(3203, "04D2 0000 0000 0000")
    unit.put(3059, "0000 4148")
    with Gateway(unit) as gateway:
        values, problems = look(meter(host=gateway.host))
    assert values == {}
    why = only(problems).why
    assert 'with words = "little" it would be 1234 Wh' in why
    assert 'with words = "little" it would be 12.5 kW' in why


# -- silence --------------------------------------------------------------------------------


def test_a_unit_that_is_silent():
    with Gateway(pm5000(7, fault="silent")) as gateway:
        values, problems = look(meter(host=gateway.host, unit_id=7, timeout_seconds=SHORT))
        problem = only(problems)
        assert values == {}
        assert problem.why == f"unit 7 at {gateway.host} does not answer within {SHORT:g} s"
    assert (problem.reason, "unit_id" in problem.remedy) == ("timeout", True)


def test_a_host_that_accepts_and_says_nothing():
    with Raw(lambda _request, _number: []) as raw:
        _, problems = look(meter(host=raw.host, timeout_seconds=SHORT))
        assert only(problems).why == f"unit 1 at {raw.host} does not answer within {SHORT:g} s"


def test_a_register_that_hangs_costs_the_other_nothing():
    def answer(request, number):
        return [answered(request, "0000 0000 0000 04D2")] if number == 0 else []

    with Raw(answer) as raw:
        values, problems = look(meter(host=raw.host, timeout_seconds=SHORT))
    assert values == {"m": (GOOD[0], None)}
    assert only(problems).reason == "timeout"


def test_after_a_silence_a_late_answer_has_nowhere_to_come_to():
    def answer(request, number):
        return [] if number == 0 else [answered(request, "0000 0000 0000 04D2")]

    async def work(collector):
        return [await first(collector) for _ in range(2)]

    energy = Register(address=3203, type="int64", unit="Wh")
    with Raw(answer) as raw:
        seen = run(made(meter(host=raw.host, energy=energy, timeout_seconds=SHORT)), work)
        assert raw.connections == 2  # the connection that was silent is given up
    assert seen == [{}, {"m": (GOOD[0], None)}]


def test_an_answer_to_another_question_is_passed_by():
    def answer(request, _number):
        right = answered(request, "0000 0000 0000 04D2")
        return [b"\x7f\x7f" + answered(request, "0000 0000 0000 FFFF")[2:], right]

    energy = Register(address=3203, type="int64", unit="Wh")
    with Raw(answer) as raw:
        values, problems = look(meter(host=raw.host, energy=energy))
    assert (values, problems) == ({"m": (GOOD[0], None)}, {})


# -- half, garbage --------------------------------------------------------------------------


def test_half_an_answer_and_then_the_end():
    with Raw(lambda request, _number: [answered(request, "0000 0000 0000 04D2")[:11], None]) as raw:
        _, problems = look(meter(host=raw.host))
        problem = only(problems)
        assert problem.why == f"{raw.host} hung up in the middle of its answer"
        assert problem.reason == "io"
        assert raw.connections == 1


def test_hanging_up_at_once():
    with Raw(lambda _request, _number: [None]) as raw:
        _, problems = look(meter(host=raw.host))
        assert only(problems).why == f"{raw.host} hung up"


def test_half_an_answer_and_then_nothing():
    with Gateway(pm5000(fault="half")) as gateway:
        _, problems = look(meter(host=gateway.host, timeout_seconds=SHORT))
        problem = only(problems)
    assert "gave no whole answer" in problem.why
    assert problem.reason == "garbage"


def test_an_answer_in_pieces_is_whole():
    def answer(request, _number):
        words = "0000 0000 0000 04D2" if request[10:12] == b"\0\4" else "4148 0000"
        whole = answered(request, words)
        return [whole[:3], whole[3:8], whole[8:]]

    with Raw(answer) as raw:
        assert look(meter(host=raw.host)) == ({"m": GOOD}, {})


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (lambda _: b"HTTP/1.1 400 Bad Request\r\n\r\n", "does not speak Modbus TCP"),
        (lambda r: answered(r, "04D2"), "answers with 2 bytes where 4 registers were asked"),
        (
            lambda r: r[:4] + bytes.fromhex("0003 01 84 02"),
            "answers function 132 where function 3 was asked",
        ),
    ],
)
def test_garbage(answer, why):
    with Raw(lambda request, _number: [answer(request)]) as raw:
        _, problems = look(meter(host=raw.host))
    problem = only(problems)
    assert why in problem.why
    assert problem.reason == "garbage"


# -- the library ----------------------------------------------------------------------------


def test_without_pymodbus_the_remedy_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "pymodbus", None)
    monkeypatch.setitem(sys.modules, "pymodbus.client", None)

    async def work(collector):
        with pytest.raises(Transient) as failure:
            await collector.collect()
        return failure.value

    failure = run(made(meter(host="127.0.0.1")), work)
    assert "pymodbus, which reads Modbus meters, is not installed" in failure.why
    assert failure.remedy == "pip install 'wattlas[site]'"


def test_an_unknown_map_names_those_that_are_known():
    _, problems = look(meter(host="127.0.0.1", map="schneider"))
    problem = only(problems)
    assert problem.why == "map 'schneider' is not known"
    assert PM in problem.remedy


def test_no_register_at_all():
    one = meter(host="127.0.0.1", energy=TOTAL)
    _, problems = look(replace(one, energy=None))
    assert only(problems).why == "no register is named"


def test_pymodbus_does_not_write_into_the_log(caplog, capfd):
    caplog.set_level(logging.DEBUG)
    units = [pm5000(1, fault="silent"), pm5000(2, fault="garbage"), pm5000(3, exception=4)]
    with Gateway(*units) as gateway:
        meters = [
            meter(f"m{n}", unit_id=n, host=gateway.host, timeout_seconds=SHORT) for n in (1, 2, 3)
        ]
        _, problems = look(*meters)
    assert len(problems) == 3
    assert [record for record in caplog.records if record.name != "asyncio"] == []
    assert [r for r in caplog.records if r.levelno > logging.DEBUG] == []
    assert capfd.readouterr().err == ""


def test_closing_in_the_middle_of_a_question_hangs_up():
    with Gateway(pm5000(fault="silent")) as gateway:

        async def work(collector):
            looking = asyncio.ensure_future(collector.collect())
            await until(lambda: bool(gateway.units[0].asked))
            collector.close()
            await until(lambda: gateway.open == 0)
            looking.cancel()

        run(made(meter(host=gateway.host)), work)
