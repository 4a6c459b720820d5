"""What was shown last, kept in memory beside the ledger: for a restart while the disk fails.

A ledger whose disk is full, read-only or hanging falls behind what the agent shows, and one whose
WAL was damaged goes back. An agent that was then killed and went on from the ledger would show
less than before, which Prometheus takes for a counter that began anew and adds once more as a
whole. So the newest state is also written to a file where programs keep what lives as long as the
boot (`/run`, a memory file system): no flush, no wait, nothing of the disk.

Two places are written in turns, each with a checksum, so that one is whole whenever the agent is
killed. After a reboot the file is gone, and so is the boot whose counters it could go on from.
"""

import contextlib
import os
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec
import structlog

from agent.meter import StreamIdentity

PLACE_BYTES: Final = 16 << 20
"""From one place to the other; the file has holes, so only what is written takes memory."""
_MAGIC: Final = 0x57535031
_HEAD: Final = struct.Struct("<IIQII")
"""Magic, CRC-32 of the rest, number, bytes of whose it is, bytes of the state."""

log = structlog.get_logger()


class _Owner(msgspec.Struct, array_like=True):
    """Whose state it is."""

    ledger: str
    identities: list[StreamIdentity]


class Spare:
    """The file at `path`, of the agent whose ledger is in `state_dir`. Never raises."""

    def __init__(self, path: Path, state_dir: Path) -> None:
        self._path = path
        self._ledger = str(state_dir.absolute())
        self._descriptor: int | None = None
        self._number = 0
        self._owner = b""
        self._streams = -1
        self._failed = False

    def read(self) -> tuple[list[StreamIdentity], bytes] | None:
        """Return the streams by index and the state that were written last. None: there is none."""
        newest: tuple[list[StreamIdentity], bytes] | None = None
        for place in (0, 1):
            found = self._read_place(place)
            if found is None:
                continue
            number, owner, state = found
            if number >= self._number:
                self._number = number
                newest = (owner.identities, state) if owner.ledger == self._ledger else None
        return newest

    def write(self, identities: Sequence[StreamIdentity], state: bytes) -> None:
        """Keep a state that is about to be shown."""
        if len(identities) != self._streams:
            self._owner = msgspec.msgpack.encode(_Owner(self._ledger, list(identities)))
            self._streams = len(identities)
        self._number += 1
        data = _sealed(self._number, self._owner, state)
        if len(data) > PLACE_BYTES:
            return
        try:
            if self._descriptor is None:
                self._descriptor = self._open(os.O_RDWR | os.O_CREAT)
            os.pwrite(self._descriptor, data, (self._number % 2) * PLACE_BYTES)
        except OSError as error:
            if not self._failed:
                self._failed = True
                log.info("no_spare_state", path=str(self._path), why=error.strerror)

    def drop(self) -> None:
        """Forget it: the ledger that it belonged to was taken away on purpose."""
        with contextlib.suppress(OSError):
            self._path.unlink()

    def close(self) -> None:
        """Let go of the file, which stays."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _open(self, flags: int) -> int:
        descriptor = os.open(self._path, flags | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        if os.fstat(descriptor).st_uid != os.geteuid():
            os.close(descriptor)
            raise PermissionError(0, "belongs to another user")
        return descriptor

    def _read_place(self, place: int) -> tuple[int, _Owner, bytes] | None:
        try:
            descriptor = self._open(os.O_RDONLY)
        except OSError:
            return None
        try:
            head = os.pread(descriptor, _HEAD.size, place * PLACE_BYTES)
            magic, _, number, owner_bytes, state_bytes = _HEAD.unpack(head)
            length = _HEAD.size + owner_bytes + state_bytes
            if magic != _MAGIC or length > PLACE_BYTES:
                return None
            data = os.pread(descriptor, length, place * PLACE_BYTES)
            owner, state = data[_HEAD.size :][:owner_bytes], data[_HEAD.size + owner_bytes :]
            if data != _sealed(number, owner, state):
                return None
            return number, msgspec.msgpack.decode(owner, type=_Owner), state
        except (OSError, struct.error, msgspec.MsgspecError):
            return None
        finally:
            os.close(descriptor)


def _sealed(number: int, owner: bytes, state: bytes) -> bytes:
    tail = struct.pack("<QII", number, len(owner), len(state)) + owner + state
    return struct.pack("<II", _MAGIC, zlib.crc32(tail)) + tail
