"""Users and passwords (HTTP Basic, RFC 7617) against bcrypt hashes, without slowing anything.

One look at a password takes 60 ms and more of a processor; so it is done in a thread of its own,
one at a time, what was right is remembered, and who is often wrong is asked to wait.
"""

import asyncio
import base64
import binascii
import contextlib
import hmac
import ipaddress
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Mapping
from enum import Enum
from typing import Final

from agent.worker import Worker

MAX_WAITING: Final = 32
"""Passwords that wait to be looked at; more are asked to come again."""
FREE_FAILURES: Final = 10
"""Wrong passwords of one address before it has to wait; one more is free each second."""
MAX_ADDRESSES: Final = 1024
BCRYPT_BYTES: Final = 72
"""More of a password bcrypt does not look at."""
NICE: Final = 10
"""Of the thread that computes: measuring goes first."""
_REST_OF_A_HASH: Final = "QOauhQNbBCuQDKes6eFzPeMqBSjb7Mr5DUmpZ/VcEd00UAV/LDeSi"


class Verdict(Enum):
    """What came of a look."""

    RIGHT = "right"
    WRONG = "wrong"
    TOO_OFTEN = "too often"
    """Of this address: nothing was looked at."""
    BUSY = "busy"
    """Too many wait."""


class Users:
    """Who may come in."""

    def __init__(self) -> None:
        self._hashes: dict[str, str] = {}
        self._secret = os.urandom(32)
        self._right: dict[str, bytes] = {}
        """By name, a keyed hash of the bcrypt hash and the password that fits it."""
        self._costs: list[str] = []
        self._worker = Worker("passwords")
        self._queue = asyncio.Lock()
        self._waiting: dict[bytes, asyncio.Task[bool]] = {}
        self._failures = Failures()

    def use(self, hashes: Mapping[str, str]) -> None:
        """Let these in, with bcrypt hashes by name; what was learnt of one that changed is void."""
        self._hashes = dict(hashes)
        self._costs = sorted({value.split("$")[2] for value in hashes.values()})
        self._right = {name: digest for name, digest in self._right.items() if name in hashes}

    async def look(self, authorization: str, client: str) -> Verdict:
        """Judge the Authorization header of a client's request."""
        found = _credentials(authorization)
        if found is None:
            return Verdict.WRONG
        name, password = found
        known = self._hashes.get(name)
        hashed = known if known is not None else self._decoy(name)
        digest = hmac.digest(self._secret, hashed.encode() + b"\0" + password, "sha256")
        if known is not None and hmac.compare_digest(self._right.get(name, b""), digest):
            return Verdict.RIGHT
        if self._failures.too_many(client):
            return Verdict.TOO_OFTEN
        look = self._waiting.get(digest)
        if look is None:
            if len(self._waiting) >= MAX_WAITING:
                return Verdict.BUSY
            look = asyncio.ensure_future(self._compare(password, hashed))
            self._waiting[digest] = look
            look.add_done_callback(lambda _: self._waiting.pop(digest, None))
        fits = await asyncio.shield(look)
        if fits and known is not None:
            self._right[name] = digest
            return Verdict.RIGHT
        self._failures.add(client)
        return Verdict.WRONG

    def close(self) -> None:
        """End the thread once it is idle."""
        self._worker.stop()

    def _decoy(self, name: str) -> str:
        """Return a hash that fits nothing, as costly as a user's: nobody learns who there is."""
        which = hmac.digest(self._secret, name.encode("utf-8", "surrogatepass"), "sha256")
        cost = self._costs[int.from_bytes(which[:4], "big") % len(self._costs)]
        return f"$2b${cost}${_REST_OF_A_HASH}"

    async def _compare(self, password: bytes, hashed: str) -> bool:
        async with self._queue:
            return await self._worker.run(lambda: _fits(password, hashed))


class Failures:
    """How often each address was wrong lately: a bucket that one failure a second leaks from."""

    def __init__(self) -> None:
        self._levels: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def too_many(self, client: str) -> bool:
        """Tell whether an address has to wait."""
        return self._level(_network(client)) >= FREE_FAILURES

    def add(self, client: str) -> None:
        """Count one."""
        network = _network(client)
        self._levels[network] = (self._level(network) + 1, time.monotonic())
        self._levels.move_to_end(network)
        if len(self._levels) > MAX_ADDRESSES:
            self._levels.popitem(last=False)

    def _level(self, network: str) -> float:
        level, at = self._levels.get(network, (0.0, 0.0))
        return max(0.0, level - (time.monotonic() - at))


def _network(client: str) -> str:
    """Return what one owner has: an IPv4 address, or 64 bits of an IPv6 one."""
    try:
        address = ipaddress.ip_address(client.partition("%")[0])
    except ValueError:
        return client
    if address.version == 6 and address.ipv4_mapped is None:
        return str(ipaddress.ip_network((address, 64), strict=False))
    return client


def _credentials(authorization: str) -> tuple[str, bytes] | None:
    scheme, _, value = authorization.partition(" ")
    if scheme.lower() != "basic" or len(value) > 4096:
        return None
    try:
        name, colon, password = base64.b64decode(value.strip(), validate=True).partition(b":")
        return (name.decode(), password) if colon else None
    except (binascii.Error, UnicodeDecodeError):
        return None


def _fits(password: bytes, hashed: str) -> bool:
    """Compare, in the worker's thread, and let everybody else go first."""
    import bcrypt  # noqa: PLC0415 - only where there are users

    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)
    # a zero byte would end it in C's bcrypt; none of ours has one
    whole = password.replace(b"\0", b"\xff")[:BCRYPT_BYTES]
    return bcrypt.checkpw(whole, hashed.encode()) and b"\0" not in password
