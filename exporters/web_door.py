"""The door of the HTTP side: it accepts connections and hands each to what talks HTTP.

It is ours and not asyncio's server's, because
- the listening sockets outlive it: it stops accepting without closing them, so that connections go
  on queueing in the kernel over a restart;
- who has only connected, and says nothing, costs a descriptor and no more;
- it deals out the loop's time, and has room for somebody new when one client takes all places.
"""

import asyncio
import contextlib
import errno
import socket
import ssl
from collections import deque
from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

from exporters import web_hello
from exporters.web_complaints import Complaints
from exporters.web_connection import MAX_REQUEST_BYTES, ConnectionServer, Phase
from exporters.web_hello import Hello
from exporters.web_room import room_for_clients, who_goes
from exporters.web_turns import HANDSHAKE_COST, Turns

ACCEPTS_AT_ONCE: Final = 32
MAX_HANDSHAKES: Final = 128
"""TLS handshakes under way at once; who has held a place for `HANDSHAKE_HELD_SECONDS` loses it
when others wait."""
HANDSHAKE_HELD_SECONDS: Final = 5.0
HANDSHAKE_SECONDS: Final = 10.0
FIRST_BYTE_SECONDS: Final = 10.0
"""Within this a new client must have begun to speak."""
PAUSE_SECONDS: Final = 0.5
"""Without a free descriptor, accept is tried again after so long."""
_NO_MEMORY: Final = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}
_FULL: Final = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain; charset=utf-8\r\n"
    b"Retry-After: 5\r\nConnection: close\r\nContent-Length: 40\r\n\r\n"
    b"too many clients at once; try again soon"
)
_PLAIN_TO_TLS: Final = (
    b"HTTP/1.0 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"
    b"this port speaks HTTPS: begin the address with https://\n"
)


class Visitor(NamedTuple):
    """Who has connected and not spoken yet."""

    socket: socket.socket
    client: str
    came_at: float


class Door:
    """Accepts on listening sockets while it is open."""

    def __init__(
        self,
        server: ConnectionServer,
        turns: Turns,
        complaints: Complaints,
        tls: Callable[[], ssl.SSLContext | None],
    ) -> None:
        """`tls` returns what a new connection is to be encrypted with, None for plain HTTP."""
        self._server = server
        self._turns = turns
        self._complaints = complaints
        self._tls = tls
        self._loop = asyncio.get_running_loop()
        self._most = room_for_clients()
        self._listening: list[socket.socket] = []
        self._lobby: dict[Visitor, None] = {}
        self._ready: deque[tuple[Visitor, ssl.SSLContext]] = deque()
        """Those who wait for a handshake."""
        self._entering: dict[asyncio.Task[None], Visitor] = {}
        self._sweeping: asyncio.TimerHandle | None = None
        self._resuming: asyncio.TimerHandle | None = None

    def open(self, listening: Iterable[socket.socket]) -> bool:
        """Accept on these sockets, and no more on those of before; False: they are the same."""
        wanted = list(listening)
        if wanted == self._listening:
            return False
        self.close()
        self._listening = wanted
        for one in self._listening:
            # inherited by what is accepted: a request is small, and so is what one client can hold
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, MAX_REQUEST_BYTES)
        self._watch()
        return True

    def close(self, *, last: bool = False) -> None:
        """Accept no more. The sockets stay open, and the kernel goes on queueing.

        `last`: nobody will accept after us, so those who wait come in.
        """
        if self._resuming is not None:
            self._resuming.cancel()
            self._resuming = None
        for one in self._listening:
            self._loop.remove_reader(one)
            while last and self._accept(one):
                pass
        self._listening = []

    def crowded(self) -> bool:
        """Tell whether somebody has come and is not in yet."""
        return bool(self._lobby or self._ready or self._entering)

    def end(self) -> None:
        """Turn away who is still at the door."""
        self.close()
        if self._sweeping is not None:
            self._sweeping.cancel()
        for visitor in list(self._lobby):
            self._dismiss(visitor)
        for visitor, _ in self._ready:
            visitor.socket.close()
        self._ready.clear()
        for task in self._entering:
            task.cancel()

    # -- coming -------------------------------------------------------------------------------

    def _watch(self) -> None:
        self._resuming = None
        for one in self._listening:
            self._loop.add_reader(one, self._accept, one)

    def _accept(self, listening: socket.socket) -> bool:
        """Accept some; tell whether there may be more."""
        for _ in range(ACCEPTS_AT_ONCE):
            try:
                connection, address = listening.accept()
            except OSError as error:
                if error.errno in _NO_MEMORY:
                    self._pause()
                return False  # nobody waits, or one has gone again (accept(2), "Error handling")
            connection.setblocking(False)
            self._receive(Visitor(connection, address[0], self._loop.time()))
        return True

    def _pause(self) -> None:
        """Without descriptors the sockets would be ready for ever: look away for a while."""
        self._complaints.add("no file descriptor is free for another client")
        for one in self._listening:
            self._loop.remove_reader(one)
        if self._resuming is None:
            self._resuming = self._loop.call_later(PAUSE_SECONDS, self._watch)

    def _receive(self, visitor: Visitor) -> None:
        if not self._room_for(visitor.client):
            self._complaints.add(f"more than {self._most} clients at once", visitor.client)
            if self._tls() is None:
                _say(visitor.socket, _FULL)
            visitor.socket.close()
            return
        if self._tls() is not None:
            web_hello.expect(visitor.socket)
        self._lobby[visitor] = None
        self._loop.add_reader(visitor.socket, self._spoke, visitor)
        self._look_after()

    def _spoke(self, visitor: Visitor) -> None:
        """Let a client in that has begun to speak, when it is its turn."""
        context = self._tls()
        if context is None:
            self._leave_lobby(visitor)
            self._turns.take(lambda: self._admit(visitor, None))
            return
        match web_hello.look(visitor.socket):
            case Hello.WHOLE:
                self._leave_lobby(visitor)
                self._ready.append((visitor, context))
                self._next_handshakes()
            case Hello.NOT_TLS:
                self._complaints.add("plain HTTP, or what is not TLS", visitor.client)
                _say(visitor.socket, _PLAIN_TO_TLS)
                self._dismiss(visitor)
            case Hello.GONE:
                self._dismiss(visitor)
            case Hello.PART:
                pass

    def _next_handshakes(self) -> None:
        now = self._loop.time()
        while self._ready:
            if len(self._entering) >= MAX_HANDSHAKES:
                oldest = next(iter(self._entering))
                if now - self._entering[oldest].came_at < HANDSHAKE_HELD_SECONDS:
                    self._look_after()
                    return
                self._entering.pop(oldest)
                oldest.cancel()
            visitor, context = self._ready.popleft()
            self._admit(visitor._replace(came_at=now), context)

    def _admit(self, visitor: Visitor, context: ssl.SSLContext | None) -> None:
        task = self._loop.create_task(self._enter(visitor, context))
        self._entering[task] = visitor
        task.add_done_callback(self._entered)

    async def _enter(self, visitor: Visitor, context: ssl.SSLContext | None) -> None:
        try:
            if context is None:
                await self._loop.connect_accepted_socket(self._server, visitor.socket)
                return
            await self._turns.wait(HANDSHAKE_COST)
            await self._loop.connect_accepted_socket(
                self._server,
                visitor.socket,
                ssl=context,
                ssl_handshake_timeout=HANDSHAKE_SECONDS,
                ssl_shutdown_timeout=1.0,
            )
        except ssl.SSLError as error:
            self._complaints.add(f"TLS: {_reason(error)}", visitor.client)
        except TimeoutError:
            self._complaints.add("TLS: no handshake in time", visitor.client)
        except OSError:
            pass  # it has gone again
        except BaseException:
            visitor.socket.close()
            raise
        else:
            return
        visitor.socket.close()

    def _entered(self, task: asyncio.Task[None]) -> None:
        self._entering.pop(task, None)
        if not task.cancelled():
            task.result()
        self._next_handshakes()

    # -- going --------------------------------------------------------------------------------

    def _leave_lobby(self, visitor: Visitor) -> None:
        self._loop.remove_reader(visitor.socket)
        del self._lobby[visitor]

    def _dismiss(self, visitor: Visitor) -> None:
        self._leave_lobby(visitor)
        visitor.socket.close()

    def _look_after(self) -> None:
        if self._sweeping is None:
            self._sweeping = self._loop.call_later(1.0, self._sweep)

    def _sweep(self) -> None:
        """Dismiss those who have said nothing in time."""
        self._sweeping = None
        now = self._loop.time()
        for visitor in list(self._lobby):
            if now - visitor.came_at <= FIRST_BYTE_SECONDS:
                break  # they stand in the order in which they came
            self._dismiss(visitor)
        self._next_handshakes()
        if self._lobby or self._ready:
            self._look_after()

    def _room_for(self, client: str) -> bool:
        """Tell whether there is room for somebody new, after making it where that is fair."""
        server = self._server
        if (
            len(self._lobby) + len(self._ready) + len(self._entering) + len(server.here)
            < self._most
        ):
            return True
        choice = who_goes(client, server.here, (v.client for v in self._lobby))
        if choice is None:
            return False
        if choice.connection is not None:
            busy = choice.connection.phase is not Phase.IDLE
            choice.connection.hang_up("too many connections of one client" if busy else "")
        else:
            self._dismiss(next(v for v in self._lobby if v.client == choice.silent))
        return True


def _say(connection: socket.socket, answer: bytes) -> None:
    with contextlib.suppress(OSError):
        connection.send(answer)
        connection.shutdown(socket.SHUT_WR)
        connection.recv(4096)  # what is not read makes the kernel send a reset, before the answer


def _reason(error: ssl.SSLError) -> str:
    """Return OpenSSL's reason in words, with nothing of the client's in it."""
    reason = (error.reason or type(error).__name__).lower().replace("_", " ")
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the client's certificate is refused ({error.verify_message})"
    return reason
