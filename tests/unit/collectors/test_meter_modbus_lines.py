"""Connections that cannot be made, are lost, come back, or are shared with a unit that is dead."""

import asyncio

import pytest
from hardware.modbus.raw import Raw
from hardware.modbus.server import Gateway, bound
from unit.collectors.modbus_rig import (
    GOOD,
    SHORT,
    answered,
    first,
    look,
    made,
    meter,
    only,
    pm5000,
    run,
)

from agent.site.settings import Register
from collectors.meter_modbus import REST

# -- no connection --------------------------------------------------------------------------


def test_nobody_listens():
    with bound(0) as holder:
        host = f"127.0.0.1:{holder.getsockname()[1]}"
        _, problems = look(meter(host=host))
    problem = only(problems)
    assert (problem.why, problem.reason) == (f"nobody listens at {host}", "refused")


def test_a_name_that_is_not_known():
    _, problems = look(meter(host="no-such-host.invalid"))
    assert only(problems).why == "the name 'no-such-host.invalid' is not known"


def test_an_address_that_is_none():
    _, problems = look(meter(host="10.0.0.5:x"))
    assert only(problems).why == "'10.0.0.5:x' is no address"


def test_a_serial_line_that_is_not_there(tmp_path):
    path = str(tmp_path / "ttyUSB9")
    _, problems = look(meter(serial=path))
    assert only(problems).why == f"there is no {path}"


def test_a_file_that_is_no_serial_line(tmp_path):
    (tmp_path / "file").touch()
    _, problems = look(meter(serial=str(tmp_path / "file")))
    assert "cannot be opened as a serial line" in only(problems).why


def test_a_serial_line_that_another_program_holds():
    with Gateway(pm5000(), framing="serial") as gateway:
        keys = {"serial": gateway.serial, "parity": "none"}

        async def work(holder):
            await first(holder)

            async def other(collector):
                await first(collector)
                return collector.problems()

            collector = made(meter(**keys))
            try:
                return await other(collector)
            finally:
                collector.close()

        (problem,) = run(made(meter(**keys)), work)
    assert "another program holds it" in problem.why


def test_meters_that_disagree_on_their_common_line():
    with Gateway(pm5000(), framing="serial") as gateway:
        values, problems = look(
            meter("a", serial=gateway.serial, parity="none", baud=9600),
            meter("b", serial=gateway.serial, parity="none", baud=19200),
        )
    assert values == {"a": GOOD}
    assert only(problems).why == f"baud is not what another meter on {gateway.serial} has"


def test_noise_and_a_cut_serial_line():
    with Gateway(pm5000(), framing="serial") as gateway:
        assert gateway.wires is not None
        gateway.wires.noise = b"\x00\xff"

        async def work(collector):
            seen = [await first(collector)]
            gateway.wires.cut = True
            seen.append(await first(collector))
            cut = collector.problems()
            gateway.wires.cut = False
            seen.append(await first(collector))
            return seen, cut, collector.problems()

        keys = {"serial": gateway.serial, "parity": "none", "timeout_seconds": 2.0}
        seen, cut, after = run(made(meter(**keys)), work)
    assert seen == [{"m": GOOD}, {}, {"m": GOOD}]
    assert [p.reason for p in cut] == ["timeout"]
    assert after == []


def test_garbage_on_a_serial_line_points_at_baud_and_parity():
    with Gateway(pm5000(fault="garbage"), framing="serial") as gateway:
        _, problems = look(meter(serial=gateway.serial, parity="none", timeout_seconds=SHORT))
    problem = only(problems)
    assert "gave no whole answer" in problem.why
    assert "parity" in problem.remedy


# -- coming back ----------------------------------------------------------------------------


def test_after_a_restart_of_the_gateway_it_is_connected_again():
    with Gateway(pm5000()) as gateway:

        async def work(collector):
            seen = [await first(collector)]
            await asyncio.to_thread(gateway.stop)
            seen.append(await first(collector))
            reasons = [p.reason for p in collector.problems()]
            await asyncio.to_thread(gateway.start)
            seen.append(await first(collector))
            return seen, reasons, collector.problems()

        seen, reasons, after = run(made(meter(host=gateway.host)), work)
    assert seen == [{"m": GOOD}, {}, {"m": GOOD}]
    assert reasons == ["refused"]
    assert after == []


def test_a_connection_that_was_closed_while_idle_costs_no_reading():
    def answer(request, number):
        words = "0000 0000 0000 04D2"
        return [None] if number == 1 else [answered(request, words)]

    energy = Register(address=3203, type="int64", unit="Wh")

    async def work(collector):
        return [await first(collector) for _ in range(3)], collector.problems()

    with Raw(answer) as raw:
        seen, problems = run(made(meter(host=raw.host, energy=energy)), work)
        assert raw.connections == 2
    assert seen == [{"m": (GOOD[0], None)}] * 3
    assert problems == []


# -- several behind one gateway -------------------------------------------------------------


@pytest.mark.parametrize("framing", ["tcp", "rtu", "serial"])
def test_one_dead_unit_of_three_costs_the_others_no_reading(framing):
    units = [pm5000(1), pm5000(2, fault="silent"), pm5000(3)]
    with Gateway(*units, framing=framing) as gateway:
        where = (
            {"serial": gateway.serial, "parity": "none"}
            if framing == "serial"
            else {"host": gateway.host, "framing": framing}
        )
        timeouts = {1: 20.0, 2: SHORT, 3: 20.0}
        meters = [
            meter(f"m{n}", unit_id=n, timeout_seconds=timeouts[n], **where) for n in (1, 2, 3)
        ]

        async def work(collector):
            seen = [await first(collector) for _ in range(4)]
            return seen, [p.what for p in collector.problems()]

        seen, problems = run(made(*meters), work)
    assert seen == [{"m1": GOOD, "m3": GOOD}] * 4
    assert problems == ["m2"]
    # it is left alone for REST times as long as it kept the line waiting: asked once, not 4 times
    assert len(units[1].asked) == 1
    assert REST >= 1


def test_a_dead_unit_is_asked_again_after_its_rest_and_comes_back():
    units = [pm5000(1), pm5000(2, fault="silent")]
    with Gateway(*units) as gateway:
        meters = [
            meter("m1", unit_id=1, host=gateway.host),
            meter("m2", unit_id=2, host=gateway.host, timeout_seconds=SHORT),
        ]

        async def work(collector):
            await first(collector)
            units[1].fault = ""
            seen = {}
            async with asyncio.timeout(30.0):
                while "m2" not in seen:
                    seen = await first(collector)
            return seen, collector.problems()

        seen, problems = run(made(*meters), work)
    assert seen == {"m1": GOOD, "m2": GOOD}
    assert problems == []


def test_a_meter_alone_on_its_line_is_asked_at_every_round():
    unit = pm5000(fault="silent")
    with Gateway(unit) as gateway:

        async def work(collector):
            for _ in range(3):
                await first(collector)

        run(made(meter(host=gateway.host, timeout_seconds=SHORT)), work)
    assert len(unit.asked) == 3
