"""The work socket: who may talk to it, what it answers, and that it leaves nothing behind."""

import asyncio
import contextlib
import json
import os
import socket
import stat

import pytest
from unit.collectors.trees import Clock, context, without_rights

from agent.collector import Absent, CollectorSettings, Transient, WorkSettings
from collectors import work_server
from collectors.work import Work

REPORT = {"workload": "w", "unit": "tokens", "amount": 5}


def make(path, clock=None, **settings):
    full = context(path.parent, clock)
    full = type(full)(
        full.paths,
        full.clock,
        full.latest_utilization,
        work=WorkSettings(**settings),
        work_socket=path,
    )
    return Work(CollectorSettings(), full)


@contextlib.asynccontextmanager
async def opened(path, **settings):
    """Give a collector that listens, and assert that it leaves nothing behind."""
    work = make(path, **settings)
    assert await work.collect() == []
    try:
        yield work
    finally:
        work.close()
        assert not path.exists()
        for _ in range(100):
            if len(asyncio.all_tasks()) == 1:
                break
            await asyncio.sleep(0)
        assert len(asyncio.all_tasks()) == 1


async def exchange(path, raw):
    """Send bytes, return all that comes back."""
    reader, writer = await asyncio.open_unix_connection(path)
    writer.write(raw)
    await writer.drain()
    try:
        return await reader.read()
    finally:
        writer.close()


async def request(path, method="POST", target="/v1/work", body=b"", headers=""):
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    head = f"{method} {target} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(raw)}\r\n{headers}\r\n"
    answer = await exchange(path, head.encode() + raw)
    status, _, rest = answer.partition(b"\r\n\r\n")
    return int(status.split()[1]), rest.decode()


def test_reports_are_handed_on_at_the_next_tick(tmp_path):
    path = tmp_path / "work.sock"

    async def scenario():
        async with opened(path) as work:
            assert await request(path, body=REPORT) == (202, '{"accepted": 1}')
            assert await request(path, body=[REPORT, REPORT]) == (202, '{"accepted": 2}')
            assert [sample.amount for sample in await work.collect()] == [5.0] * 3
            assert await work.collect() == []
            assert work.problems() == ()
            await request(path, body=REPORT)
            status, text = await request(path, "GET")
            assert status == 200
            assert json.loads(text)["work"][0] == {
                "workload": "w", "unit": "tokens", "amount": 20, "flop": None, "reports": 4
            }  # fmt: skip
            work.close()
            assert len(work.take()) == 1  # a stop loses nothing that was answered

    asyncio.run(scenario(), debug=True)


def test_what_is_refused(tmp_path):
    path = tmp_path / "work.sock"

    async def scenario():
        async with opened(path, max_workloads=1) as work:
            status, said = await request(path, body=REPORT | {"amount": -1})
            assert status == 400
            assert said.startswith("amount: must be")
            assert said.endswith("\n")
            assert (await request(path, body=b"x" * 65_537))[0] == 413
            assert (await request(path, body=b" " * 65_000 + json.dumps(REPORT).encode()))[0] == 202
            assert (await request(path, body=REPORT | {"unit": "b"}))[0] == 409
            status, said = await request(path, target="/v1/other", body=REPORT)
            assert (status, said) == (
                404,
                "there is only /v1/work here; send reports with POST /v1/work\n",
            )
            status, said = await request(path, "PUT", body=REPORT)
            assert status == 405
            assert said.startswith("/v1/work takes POST")
            assert (await request(path, target="/v1/work?a=b", body=REPORT))[0] == 202
            compressed = "Content-Encoding: gzip\r\n"
            assert (await request(path, body=b"\x1f\x8b garbage", headers=compressed))[0] == 400
            assert len(await work.collect()) == 2

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\r\n\r\n",
        b"\x16\x03\x01\x02\x00garbage",
        b"POST /v1/work HTTP/9.9\r\n\r\n",
        b"POST /v1/work HTTP/1.1\r\nContent-Length: -5\r\n\r\n{}",
        b"POST /v1/work HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 20_000 + b"\r\n\r\n",
        b"POST /v1/work HTTP/1.1\r\nHost: x\r\nContent-Length: 500\r\n\r\n{",
        b"POST /v1/work HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"GET /v1/work HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
    ],
)
def test_no_bytes_on_the_wire_harm_it(tmp_path, raw, caplog):
    path = tmp_path / "work.sock"

    async def scenario():
        async with opened(path) as work:
            reader, writer = await asyncio.open_unix_connection(path)
            with contextlib.suppress(ConnectionError):
                writer.write(raw)
                writer.write_eof()
                await writer.drain()
                await reader.read()
            writer.close()
            assert (await request(path, body=REPORT))[0] == 202
            assert len(await work.collect()) == 1

    asyncio.run(scenario())
    assert not caplog.records


def test_a_long_body_waits_for_leave_and_gets_it(tmp_path):
    path = tmp_path / "work.sock"
    raw = json.dumps(REPORT).encode()

    async def scenario():
        async with opened(path):
            reader, writer = await asyncio.open_unix_connection(path)
            head = f"POST /v1/work HTTP/1.1\r\nHost: x\r\nContent-Length: {len(raw)}\r\n"
            writer.write(f"{head}Expect: 100-continue\r\n\r\n".encode())
            assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
            writer.write(raw)
            assert b" 202 Accepted" in await reader.read()
            writer.close()

    asyncio.run(scenario())


def test_clients_that_hang_are_hung_up_on(tmp_path, monkeypatch):
    path = tmp_path / "work.sock"
    beginnings = [
        b"",
        b"POST /v1/work HTTP/1.1\r\nHo",
        b"POST /v1/work HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{",
    ]

    async def scenario():
        async with opened(path) as work:
            hanging = [await asyncio.open_unix_connection(path) for _ in beginnings]
            for (_, writer), beginning in zip(hanging, beginnings, strict=True):
                writer.write(beginning)
            assert (await request(path, body=REPORT))[0] == 202  # they are in nobody's way
            work._server._sweep()
            assert len(work._server._handlers.connections) >= len(beginnings)
            monkeypatch.setattr(work_server, "CONNECTION_SECONDS", -1.0)
            work._server._sweep()
            for reader, writer in hanging:
                await reader.read()  # ends
                writer.close()

    asyncio.run(scenario())


def test_too_many_at_once_are_sent_away(tmp_path):
    path = tmp_path / "work.sock"

    async def scenario():
        async with opened(path) as work:
            here = [
                await asyncio.open_unix_connection(path) for _ in range(work_server.MAX_CONNECTIONS)
            ]
            while len(work._server._handlers.connections) < len(here):  # noqa: ASYNC110
                await asyncio.sleep(0)
            reader, writer = await asyncio.open_unix_connection(path)
            answer = await reader.read()
            assert answer.startswith(b"HTTP/1.1 503 ")
            head, _, text = answer.partition(b"\r\n\r\n")
            assert f"Content-Length: {len(text)}".encode() in head
            writer.close()
            for _, writer in here:
                writer.close()
            while work._server._handlers.connections:  # noqa: ASYNC110
                await asyncio.sleep(0)
            assert (await request(path, body=REPORT))[0] == 202
            work._server._sweep()
            assert len(work._server._opened) <= 1

    asyncio.run(scenario())


def test_without_a_socket_it_is_absent(tmp_path):
    work = Work(CollectorSettings(), context(tmp_path))
    with pytest.raises(Absent, match="only `wattlas run` takes reports of work"):
        asyncio.run(work.collect())
    work.close()


@pytest.mark.parametrize("mode", ["0660", "0666", "600"])
def test_permissions_are_those_of_the_settings(tmp_path, mode):
    path = tmp_path / "run" / "wattlas" / "work.sock"  # the folders are made

    async def scenario():
        async with opened(path, socket_mode=mode):
            assert stat.S_IMODE(path.stat().st_mode) == int(mode, 8)

    before = os.umask(0o077)
    try:
        asyncio.run(scenario())
    finally:
        os.umask(before)


def failing(work):
    with pytest.raises(Transient) as caught:
        asyncio.run(work.collect())
    work.close()
    return caught.value


def test_what_a_killed_agent_left_is_replaced(tmp_path):
    path = tmp_path / "work.sock"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))

    async def scenario():
        async with opened(path):
            assert (await request(path, body=REPORT))[0] == 202

    asyncio.run(scenario())


def test_a_living_agents_socket_is_left_alone(tmp_path):
    path = tmp_path / "work.sock"

    async def scenario():
        async with opened(path) as work:
            second = make(path)
            with pytest.raises(Transient, match="another program, likely another agent") as caught:
                await second.collect()
            assert caught.value.reason == "busy"
            assert "agent.work_socket" in caught.value.remedy
            second.close()
            assert (await request(path, body=REPORT))[0] == 202
            assert len(await work.collect()) == 1
        assert await second.collect() == []  # its turn, once the first is gone
        second.close()
        assert not path.exists()

    asyncio.run(scenario())


def test_one_that_listens_and_never_answers_is_alive_too(tmp_path):
    path = tmp_path / "work.sock"
    with socket.socket(socket.AF_UNIX) as full:
        full.bind(str(path))
        full.listen(0)
        waiting = []
        with contextlib.suppress(BlockingIOError):
            while True:
                client = socket.socket(socket.AF_UNIX)
                client.setblocking(False)
                waiting.append(client)
                client.connect(str(path))
        assert failing(make(path)).reason == "busy"
        for client in waiting:
            client.close()
    assert path.exists()


def test_another_file_is_left_alone(tmp_path):
    path = tmp_path / "work.sock"
    path.write_text("precious")
    error = failing(make(path))
    assert "no socket, so it is left alone" in error.why
    assert path.read_text() == "precious"


def test_a_path_that_is_too_long_is_said(tmp_path):
    error = failing(make(tmp_path / ("x" * 120)))
    assert "longer than the 107 bytes" in error.why
    assert error.remedy == "set agent.work_socket to a shorter path"
    longest = tmp_path / ("x" * (106 - len(os.fsencode(tmp_path))))

    async def scenario():
        async with opened(longest):
            assert (await request(longest, body=REPORT))[0] == 202

    asyncio.run(scenario())


def test_a_folder_that_may_not_be_written_is_said(tmp_path):
    tmp_path.chmod(0o555)

    def attempt():
        try:
            asyncio.run(make(tmp_path / "run" / "work.sock").collect())
        except Transient as error:
            return error.reason, error.why, error.remedy
        return None

    reason, why, remedy = without_rights(attempt)
    assert reason == "permission"
    assert why.endswith("cannot make a socket there (Permission denied)")
    assert remedy == "set agent.work_socket to a path that the agent may write to"


def test_a_file_that_was_deleted_comes_back(tmp_path):
    path = tmp_path / "work.sock"

    async def scenario():
        async with opened(path) as work:
            await request(path, body=REPORT)
            path.unlink()
            assert len(await work.collect()) == 1
            assert (await request(path, body=REPORT))[0] == 202
            assert len(await work.collect()) == 1

    asyncio.run(scenario())


def test_a_file_of_somebody_else_is_not_taken_away(tmp_path):
    path = tmp_path / "work.sock"

    async def scenario():
        work = make(path)
        await work.collect()
        path.unlink()
        path.write_text("another's")
        work.close()
        assert path.read_text() == "another's"

    asyncio.run(scenario())


def test_at_is_when_it_was_received(tmp_path):
    path, clock = tmp_path / "work.sock", Clock()

    async def scenario():
        work = make(path, clock)
        await work.collect()
        await request(path, body=REPORT | {"seconds": 10})
        clock.now += 5
        (sample,) = await work.collect()
        assert (sample.since, sample.at) == (990.0, 1000.0)
        work.close()

    asyncio.run(scenario())
