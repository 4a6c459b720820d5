"""Turns of the event loop: so much is done for clients in one, the rest waits for the next.

A thousand clients at the same moment would else be one turn of a second, and the tick, which is a
client of the same loop, would be as late.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

COST_PER_TURN: Final = 16
"""Requests begun in one turn; each takes about 0.5 ms."""
HANDSHAKE_COST: Final = 4
"""What a TLS handshake counts: a signature by an RSA key of 2,048 bits takes 1 to 2 ms."""
FLOOD_TURNS: Final = 128
"""So many full turns on end, some 2,000 requests, are a flood: then half of the time is ours."""
LONGEST_PAUSE_SECONDS: Final = 0.05


class Turns:
    """Does what clients want in the order in which they came, some of it in each turn."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[tuple[Callable[[], None], int]] = deque()
        self._spent = 0
        self._next: asyncio.Handle | None = None
        self._full_turns = 0
        self._began = 0.0

    def take(self, function: Callable[[], None], cost: int = 1) -> None:
        """Call a function in this turn if there is room, else in one of the next."""
        if self._next is None:
            self._began = self._loop.time()
            self._next = self._loop.call_soon(self._turn)
        if self._waiting or self._spent >= COST_PER_TURN:
            self._waiting.append((function, cost))
        else:
            self._spent += cost
            function()

    async def wait(self, cost: int = 1) -> None:
        """Wait for a turn."""
        future: asyncio.Future[None] = self._loop.create_future()

        def now() -> None:
            if not future.done():
                future.set_result(None)

        self.take(now, cost)
        await future

    def close(self) -> None:
        """Forget who waits."""
        if self._next is not None:
            self._next.cancel()
            self._next = None
        self._waiting.clear()

    def _turn(self) -> None:
        now = self._loop.time()
        self._spent = 0
        self._next = None
        if not self._waiting:
            self._full_turns = 0
            return
        self._full_turns += 1
        pause = 0.0
        if self._full_turns > FLOOD_TURNS:
            pause = min(now - self._began, LONGEST_PAUSE_SECONDS)
        self._began = now + pause
        self._next = self._loop.call_later(pause, self._turn) if pause else self._soon()
        while self._waiting and self._spent < COST_PER_TURN:
            function, cost = self._waiting.popleft()
            self._spent += cost
            function()

    def _soon(self) -> asyncio.Handle:
        return self._loop.call_soon(self._turn)
