"""Clients that a server should never have to meet. Each takes a connection and does its worst."""

import asyncio
import contextlib
import json
import socket

from faults.client_wire import Attack, Siege, hang_up_hard

GET = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"
WORK = json.dumps({"workload": "w", "unit": "u", "amount": 1}).encode()
TLS_HELLO = bytes.fromhex(
    "16030100c5010000c10303"  # handshake, client hello of TLS 1.2: RFC 5246, 7.4.1.2
    + "00" * 32
    + "20"
    + "11" * 32
    + "0002130100ff"
)
JUNK = (
    TLS_HELLO,
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0",  # RFC 9113, 3.4
    b"\0" * 2000,
    b"GET\r\n\r\n",
    b"GET /metrics\r\n\r\n",
    b"GET /metrics HTTP/9.9\r\nHost: x\r\n\r\n",
    b"GET  /metrics  HTTP/1.1\r\nHost: x\r\n\r\n",
    b"\r\n" * 500 + GET,
    b"GET /metrics HTTP/1.1\r\n: x\r\n\r\n",
    b"GET /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
    b"GET /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
    b"POST /metrics HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff0\r\n",
    b"POST /metrics HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n\r\n",
    b"POST /v1/work HTTP/1.1\r\nHost: x\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}",
    b"GET /%00%ff/../../etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET http://[::1 HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET http://x:99999/metrics HTTP/1.1\r\nHost: x\r\n\r\n",
    b"CONNECT x:443 HTTP/1.1\r\nHost: x\r\n\r\n",
    b"CONNECT  \r\n\r\n",
    b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /metrics HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n",
    b"GET /metrics HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n\r\n",
    b"GET /metrics HTTP/1.1\r\nHost: x\r\nAccept: \xff\xfe\r\nAccept-Encoding: gzip;q=nan\r\n\r\n",
    b"GET /metrics HTTP/1.1\r\nHost: x\r\nRange: bytes=0-1,1-2\r\n\r\n",
    b"\x80\x81\x82" * 300 + b"\r\n\r\n",
)
"""Texts that are no request, or only nearly one."""


async def _send(one: socket.socket, data: bytes) -> None:
    await asyncio.get_running_loop().sock_sendall(one, data)


async def _drain(one: socket.socket, siege: Siege, seconds: float = 10.0) -> bytes:
    """Read until the server hangs up, the siege is over or so many seconds have passed."""
    loop = asyncio.get_running_loop()
    found = b""
    end = loop.time() + seconds
    while not siege.over.is_set() and loop.time() < end:
        with contextlib.suppress(TimeoutError):
            data = await asyncio.wait_for(loop.sock_recv(one, 65536), 0.5)
            if not data:
                break
            found = (found + data)[-1_000_000:]
    return found


async def silent(one: socket.socket, siege: Siege) -> None:
    """Connect and say nothing, for as long as one is let."""
    await _drain(one, siege, 3600.0)


async def slow_writer(one: socket.socket, siege: Siege) -> None:
    """A byte a second, for ever ("slowloris")."""
    await _send(one, b"GET /metrics HTTP/1.1\r\nHost: x\r\nX-A: ")
    while await siege.rest(1.0):
        await _send(one, b"b")


async def slow_body(one: socket.socket, siege: Siege) -> None:
    """A header that promises much, and a byte a second of it."""
    await _send(one, b"POST /v1/work HTTP/1.1\r\nHost: x\r\nContent-Length: 60000\r\n\r\n")
    while await siege.rest(1.0):
        await _send(one, b" ")


async def reads_nothing(one: socket.socket, siege: Siege) -> None:
    """Ask for many pages and take not one byte of them."""
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(_send(one, GET * 500), 5.0)
    await siege.rest(3600.0)


async def reads_slowly(one: socket.socket, siege: Siege) -> None:
    """Ask for many pages and take a hundred bytes a second."""
    loop = asyncio.get_running_loop()
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(_send(one, GET * 100), 5.0)
    while await siege.rest(1.0):
        if not await asyncio.wait_for(loop.sock_recv(one, 100), 60.0):
            return


async def half_closed(one: socket.socket, siege: Siege) -> None:
    """Ask, say that nothing more comes, and read the answer."""
    await _send(one, GET)
    one.shutdown(socket.SHUT_WR)
    await _drain(one, siege)


async def half_a_request(one: socket.socket, siege: Siege) -> None:
    """Say that nothing more comes in the middle of a request."""
    await _send(one, GET[: siege.dice.randrange(len(GET))])
    one.shutdown(socket.SHUT_WR)
    await _drain(one, siege)


async def reset(one: socket.socket, siege: Siege) -> None:
    """Hang up with a reset, anywhere in a request or its answer."""
    await _send(one, (GET * 20)[: siege.dice.randrange(1, len(GET) * 20)])
    if siege.dice.random() < 0.5:
        await siege.rest(siege.dice.random() * 0.05)
    hang_up_hard(one)


async def huge_line(one: socket.socket, siege: Siege) -> None:
    """A request line of megabytes."""
    await _send(one, b"GET /" + b"a" * (4 << 20))
    await _drain(one, siege)


async def huge_headers(one: socket.socket, siege: Siege) -> None:
    """Headers of megabytes, each of a modest size."""
    await _send(one, b"GET /metrics HTTP/1.1\r\nHost: x\r\n")
    for number in range(2000):
        await _send(one, b"X-%d: %s\r\n" % (number, b"y" * 2000))
    await _send(one, b"\r\n")
    await _drain(one, siege)


async def huge_body(one: socket.socket, siege: Siege) -> None:
    """A body of gigabytes, sent as fast as it goes."""
    path = siege.dice.choice((b"/metrics", b"/v1/work", b"/"))
    method = siege.dice.choice((b"GET", b"POST"))
    if siege.dice.random() < 0.5:
        await _send(
            one, b"%s %s HTTP/1.1\r\nHost: x\r\nContent-Length: 9999999999\r\n\r\n" % (method, path)
        )
        for _ in range(500):
            await _send(one, b"z" * 65536)
    else:
        await _send(
            one, b"%s %s HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" % (method, path)
        )
        for _ in range(500):
            await _send(one, b"10000\r\n" + b"z" * 65536 + b"\r\n")


async def pipelining(one: socket.socket, siege: Siege) -> None:
    """Hundreds of requests in one go; reads all the answers."""
    sending = asyncio.ensure_future(_send(one, GET * 200))
    try:
        await _drain(one, siege, 5.0)
    finally:
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)


async def junk(one: socket.socket, siege: Siege) -> None:
    """What is no request at all: TLS, HTTP/2, binary, nonsense."""
    data = bytearray(siege.dice.choice(JUNK))
    if siege.dice.random() < 0.5:
        for _ in range(siege.dice.randrange(1, 6)):
            data[siege.dice.randrange(len(data))] = siege.dice.randrange(256)
    await _send(one, bytes(data))
    await _drain(one, siege, 2.0)


ATTACKS: dict[str, Attack] = {
    "connects and says nothing": silent,
    "writes a byte a second": slow_writer,
    "a body, a byte a second": slow_body,
    "reads nothing": reads_nothing,
    "reads slowly": reads_slowly,
    "half-closes": half_closed,
    "half a request": half_a_request,
    "resets": reset,
    "huge request line": huge_line,
    "huge headers": huge_headers,
    "huge bodies": huge_body,
    "pipelining": pipelining,
    "no HTTP at all": junk,
}
