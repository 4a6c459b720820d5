"""What clients cannot do: take all places, hold on for ever, or make others wait."""

import asyncio
import contextlib
import os
import resource
import socket

import pytest
from unit.exporters.made import snapshot

from exporters import web_door
from exporters.http import HttpServer
from exporters.prometheus import Page, PrometheusPages
from exporters.web_complaints import AGAIN_SECONDS, MAX_KINDS, Complaints
from exporters.web_connection import (
    ANSWER_SECONDS,
    IDLE_SECONDS,
    MAX_REQUEST_BYTES,
    READ_SECONDS,
    Phase,
)
from exporters.web_door import FIRST_BYTE_SECONDS
from exporters.web_room import room_for_clients
from exporters.web_turns import COST_PER_TURN, Turns

SNAPSHOT = snapshot()
GET = b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"
PAGE = b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n"


@contextlib.asynccontextmanager
async def serving(most=None):
    server = HttpServer(PrometheusPages(lambda: SNAPSHOT), healthy=str, ready=str, version="")
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listening:
        listening.setblocking(False)
        server.start([listening])
        if most is not None:
            server._door._most = most
        try:
            yield server, listening.getsockname()
        finally:
            await server.stop()
    assert not server._server.here


@contextlib.asynccontextmanager
async def client(address, source="127.0.0.1"):
    reader, writer = await asyncio.open_connection(*address, local_addr=(source, 0))
    try:
        yield reader, writer
    finally:
        writer.close()


async def answered(one, request=GET):
    """Send a request and return the status, 0 where there is no answer."""
    reader, writer = one
    writer.write(request)
    with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].split()[0])
        await reader.readexactly(length)
        return int(head.split()[1])
    return 0


async def when(condition):
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 - it watches what has no event
            await asyncio.sleep(0.005)


def later(server, seconds):
    """Let time pass for the limits alone."""
    now = asyncio.get_running_loop().time() + seconds
    for connection in list(server._server.here):
        connection.judge(now)


async def ended(one):
    with contextlib.suppress(ConnectionError):
        return (await one[0].read()).rpartition(b"\r\n\r\n")[2]
    return b""


def test_a_request_that_drips_is_cut_off():
    async def scenario():
        async with serving() as (server, address), client(address) as one:
            one[1].write(GET[:10])
            await when(lambda: server._server.here)
            later(server, READ_SECONDS - 1)
            one[1].write(GET[10:20])
            (connection,) = server._server.here
            await when(lambda: connection.size == 20)
            assert connection.phase is Phase.READING
            later(server, READ_SECONDS + 1)  # from the first byte on, however many follow
            assert await ended(one) == b""

    asyncio.run(scenario())


def test_who_says_nothing_is_dismissed(monkeypatch):
    async def scenario():
        async with serving() as (server, address), client(address) as one:
            door = server._door
            await when(lambda: door._lobby)
            assert not server._server.here  # it has not cost more than a descriptor
            time = door._loop.time
            monkeypatch.setattr(door._loop, "time", lambda: time() + FIRST_BYTE_SECONDS + 1)
            door._sweep()
            assert await ended(one) == b""
            assert not door._lobby

    asyncio.run(scenario())


def test_an_idle_connection_is_kept_over_a_scrape_interval_and_closed_then():
    async def scenario():
        async with serving() as (server, address), client(address) as one:
            assert await answered(one) == 200
            (connection,) = server._server.here
            assert connection.phase is Phase.IDLE
            later(server, 61)
            assert await answered(one) == 200
            later(server, IDLE_SECONDS + 1)
            assert await ended(one) == b""

    asyncio.run(scenario())


def test_who_does_not_read_holds_little_and_is_cut_off(monkeypatch):
    big = Page(b"x" * 50_000_000, "text/plain", gzipped=False)

    async def scenario():
        async with serving() as (server, address):
            monkeypatch.setattr(server._pages, "scraped", lambda *_, **__: big)
            async with client(address) as one:
                one[0]._transport.pause_reading()
                one[1].write(PAGE)
                await when(lambda: server._server.here)
                (connection,) = server._server.here
                await when(lambda: connection.writing_paused)
                assert connection.wire.get_write_buffer_size() < 300_000
                later(server, ANSWER_SECONDS - 1)
                assert connection.wire is not None
                later(server, ANSWER_SECONDS + 1)
                await when(lambda: connection.wire is None)
            async with client(address) as other:
                assert await answered(other, PAGE) == 200  # the whole page, to who reads

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET /metrics HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc", 413),
        (b"POST /metrics HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc", 405),
        (
            b"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n",
            413,
        ),
        (b"GET /metrics HTTP/1.1\r\n" + b"X: " + b"y" * MAX_REQUEST_BYTES + b"\r\n", 400),
        (b"A" * 5, 0),
    ],
)
def test_a_body_and_a_request_without_end_are_refused(request_, status):
    async def scenario():
        async with serving() as (_, address):
            async with client(address) as one:
                if not status:
                    one[1].write(request_)
                    one[1].write_eof()
                    assert await ended(one) == b""
                else:
                    assert await answered(one, request_) in {status, 413}
                    assert await ended(one) is not None
            async with client(address) as one:
                assert await answered(one) == 200

    asyncio.run(scenario())


def test_beyond_the_most_the_greedy_one_makes_room():
    async def scenario():
        async with serving(most=5) as (server, address), contextlib.AsyncExitStack() as stack:
            greedy = [await stack.enter_async_context(client(address)) for _ in range(5)]
            for one in greedy:
                assert await answered(one) == 200
            other = await stack.enter_async_context(client(address, "127.0.0.2"))
            assert await answered(other) == 200
            assert await ended(greedy[0]) == b""  # it had waited longest
            await when(lambda: len(server._server.here) == 5)
            assert await answered(greedy[1]) == 200
            # and one who holds all places himself, busy, gets no more
            for connection in server._server.here:
                connection.turn_to(Phase.READING)
            more = await stack.enter_async_context(client(address))
            assert await answered(more) == 503
            assert await answered(other) == 200

    asyncio.run(scenario())


def test_silent_ones_do_not_keep_others_out():
    async def scenario():
        async with serving(most=5) as (server, address), contextlib.AsyncExitStack() as stack:
            for _ in range(5):
                await stack.enter_async_context(client(address))
            await when(lambda: len(server._door._lobby) == 5)
            other = await stack.enter_async_context(client(address, "127.0.0.2"))
            assert await answered(other) == 200

    asyncio.run(scenario())


def test_without_a_descriptor_it_waits_and_goes_on(monkeypatch):
    """The sockets stay ready, so accepting must pause: else the loop would do nothing else."""

    async def scenario():
        async with serving() as (server, address):
            soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
            new = socket.socket()
            new.setblocking(False)
            taken = [os.dup(0)]
            try:
                resource.setrlimit(resource.RLIMIT_NOFILE, (taken[0] + 5, hard))
                with contextlib.suppress(OSError):
                    while True:
                        taken.append(os.dup(0))
                with contextlib.suppress(BlockingIOError):
                    new.connect(address)
                await when(lambda: server._door._resuming is not None)
                assert not server._door._lobby
            finally:
                for fd in taken:
                    os.close(fd)
                resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            await when(lambda: server._door._lobby)
            new.close()

    monkeypatch.setattr(web_door, "PAUSE_SECONDS", 0.01)
    asyncio.run(scenario())


def test_a_thousand_at_once_are_all_answered_in_small_turns():
    count = 1000 if room_for_clients() >= 1000 else 200

    async def scenario():
        async with serving() as (server, address), contextlib.AsyncExitStack() as stack:
            ones = [await stack.enter_async_context(client(address)) for _ in range(count)]
            spent = []
            turn = Turns._turn

            def counted(turns):
                turn(turns)
                spent.append(turns._spent)

            Turns._turn = counted
            try:
                found = await asyncio.gather(*(answered(one, PAGE) for one in ones))
                again = await asyncio.gather(*(answered(one, PAGE) for one in ones))
            finally:
                Turns._turn = turn
            assert set(found) == set(again) == {200}
            assert max(spent) <= COST_PER_TURN
            assert len(server._server.here) == count

    asyncio.run(scenario())


def test_requests_in_a_row_wait_their_turn_each():
    async def scenario():
        async with serving() as (_, address), client(address) as one:
            reader, writer = one
            writer.write(GET * 20)
            for _ in range(20):
                head = await reader.readuntil(b"\r\n\r\n")
                assert head.startswith(b"HTTP/1.1 200")
                assert await reader.readexactly(3) == b"ok\n"

    asyncio.run(scenario())


def test_a_stop_answers_who_has_asked_and_says_goodbye():
    async def scenario():
        async with serving() as (server, address), client(address) as one, client(address) as two:
            assert await answered(one) == 200
            server.drain(last=True)
            one[1].write(GET)
            head = await one[0].readuntil(b"\r\n\r\n")
            assert b"Connection: close" in head
            assert await ended(one) == b"ok\n"
            two[1].write(GET)  # it had connected and not asked
            await server.stop()
            assert (await ended(two)) == b"ok\n"

    asyncio.run(scenario())


def test_complaints_are_told_once_and_then_now_and_then(capsys):
    now = [0.0]
    complaints = Complaints(lambda: now[0])
    for _ in range(1000):
        complaints.add("a", "192.0.2.1")
    now[0] = AGAIN_SECONDS
    complaints.add("a", "192.0.2.2")
    for n in range(2 * MAX_KINDS):
        complaints.add(f"kind {n}")
    lines = capsys.readouterr().out.splitlines()
    assert "times" not in lines[0]
    assert "times=1000" in lines[1]
    assert len(lines) == 2 + MAX_KINDS
    assert "why=other" in lines[-1]
