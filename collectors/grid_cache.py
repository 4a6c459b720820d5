"""What is kept of a provider between two runs: `<state_dir>/carbon/<provider>.json`.

Its newest values (so that a restart in an outage has the last known one), the moment up to which
all is settled (so that a later run knows the hole), and its answers with their validators (RFC 9110
ETag and Last-Modified), so that an unchanged document is not sent again. No key, password or token
is in it. A file that cannot be read is ignored and told; it is replaced whole or not at all.
"""

import os
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec

from agent.carbon.intensity import Intensity

MOST_ANSWERS: Final = 8
MOST_BODY_BYTES: Final = 128 * 1024
MOST_VALUES: Final = 600
_MOST_FILE_BYTES: Final = 16 * 2**20


class Kept(msgspec.Struct, frozen=True):
    """An answer that may still be the same."""

    etag: str
    modified: str
    body: str


class Memory(msgspec.Struct):
    """What is kept of one provider."""

    asks_for: str
    settled_until: float | None = None
    """Unix time; before it nothing more is expected. None: never asked."""
    values: list[Intensity] = []
    answers: dict[str, Kept] = {}
    """By address, without secrets; oldest use first."""

    def keep(self, address: str, etag: str, modified: str, body: bytes) -> None:
        """Remember an answer that has a validator and is text of bearable length."""
        self.answers.pop(address, None)
        if not (etag or modified) or len(body) > MOST_BODY_BYTES:
            return
        with suppress(UnicodeDecodeError):
            self.answers[address] = Kept(etag, modified, body.decode())
        while len(self.answers) > MOST_ANSWERS:
            del self.answers[next(iter(self.answers))]


def load(path: Path | None, asks_for: str) -> tuple[Memory, str]:
    """Return what was kept and, where the file is damaged, what is wrong with it.

    What was kept for other settings (another zone, factor or address) does not count.
    """
    fresh = Memory(asks_for)
    if path is None:
        return fresh, ""
    try:
        if path.stat().st_size > _MOST_FILE_BYTES:
            return fresh, f"{path} is too large for what it should be and is ignored"
        memory = msgspec.json.decode(path.read_bytes(), type=Memory)
    except FileNotFoundError:
        return fresh, ""
    except OSError as error:
        return fresh, f"{path} cannot be read ({error.strerror}) and is ignored"
    except (msgspec.DecodeError, UnicodeDecodeError):
        return fresh, f"{path} is damaged and is ignored"
    return (memory if memory.asks_for == asks_for else fresh), ""


def encode(memory: Memory) -> bytes:
    """Return what a file of it holds."""
    return msgspec.json.encode(memory)


def save(path: Path, encoded: bytes) -> str:
    """Replace the file whole; return what went wrong, "" if nothing."""
    new = path.with_name(f"{path.name}.new")
    try:
        path.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o640)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(encoded)
            stream.flush()
            os.fsync(stream.fileno())
        new.replace(path)
    except OSError as error:
        with suppress(OSError):
            new.unlink()
        return f"{path} cannot be written ({error.strerror}); a restart will not know these values"
    return ""
