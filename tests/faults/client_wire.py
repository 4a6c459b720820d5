"""Connections as clients have them: raw, many at once, and answers read byte by byte."""

import asyncio
import contextlib
import random
import socket
import struct
import zlib
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

Address = tuple[str, int] | str
"""Host and port, or the path of a Unix socket."""
Attack = Callable[[socket.socket, "Siege"], Awaitable[None]]
REST_SECONDS = 0.2
"""Between two connections of one client: this machine has two cores for both sides."""


@dataclass
class Siege:
    """What goes on, and what came of it so far."""

    address: Address
    dice: random.Random
    over: asyncio.Event = field(default_factory=asyncio.Event)
    rounds: Counter[str] = field(default_factory=Counter)

    async def rest(self, seconds: float) -> bool:
        """Wait; return whether it goes on."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.over.wait(), seconds)
        return not self.over.is_set()


async def connect(address: Address, *, receive_bytes: int = 0) -> socket.socket:
    """Return a connection, or raise OSError. `receive_bytes`: how little it takes in at once."""
    family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
    one = socket.socket(family, socket.SOCK_STREAM)
    try:
        one.setblocking(False)
        if receive_bytes:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        await asyncio.get_running_loop().sock_connect(one, address)
    except BaseException:
        one.close()
        raise
    return one


async def besiege(
    address: Address, attacks: dict[str, Attack], clients: int, seconds: float, seed: int
) -> Counter[str]:
    """Have so many clients of each kind come again and again; return how often each came."""
    siege = Siege(address, random.Random(seed))
    loop = asyncio.get_running_loop()

    async def one(name: str, attack: Attack) -> None:
        while not siege.over.is_set():
            # what the agent does to such a client, hanging up at any moment, is its good right
            with contextlib.suppress(OSError):
                connection = await connect(address, receive_bytes=4096 if "read" in name else 0)
                siege.rounds[name] += 1
                try:
                    await attack(connection, siege)
                finally:
                    connection.close()
            await siege.rest(REST_SECONDS)

    tasks = [
        loop.create_task(one(name, attack))
        for name, attack in attacks.items()
        for _ in range(clients)
    ]
    await asyncio.sleep(seconds)
    siege.over.set()
    _, pending = await asyncio.wait(tasks, timeout=5.0)
    for task in pending:  # who waits for an answer that does not come
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    for task in tasks:
        if not task.cancelled() and task.exception() is not None:
            raise AssertionError("a client is broken") from task.exception()
    return siege.rounds


@dataclass(frozen=True)
class Answer:
    """What a server said."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def plain(self) -> bytes:
        """The body without gzip."""
        if self.headers.get("content-encoding") == "gzip":
            return zlib.decompress(self.body, 31)
        return self.body


async def read_answer(reader: asyncio.StreamReader) -> Answer:
    """Read one answer whose length is told. Raises what asyncio does where it ends early."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head.split("\r\n")
    headers = {
        name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)
    }
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Answer(int(first.split(" ", 2)[1]), headers, body)


async def bye(writer: asyncio.StreamWriter) -> None:
    """Hang up, and wait until that is done."""
    writer.close()
    with contextlib.suppress(OSError, TimeoutError):
        await asyncio.wait_for(writer.wait_closed(), 10.0)


def hang_up_hard(one: socket.socket) -> None:
    """Close with a reset instead of a goodbye."""
    one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    one.close()
