"""Seals the hours that are over, and has their records signed; in the ledger's worker thread."""

import contextlib
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec
import structlog

from agent.ledger.chain import seal_due
from agent.ledger.chain_keys import keep_signatures, name_key, to_be_signed
from agent.ledger.errors import LedgerError
from agent.ledger.links import head
from agent.ledger.signing import Answer, Child
from agent.ledger.store import Ledger

LOOK_SECONDS: Final = 60.0
"""So often it is looked whether an hour is over."""
SIGN_AFTER_SECONDS: Final = 10.0
"""The first process that signs is started so long after the ledger was opened: an agent that
begins has better things to do with the processor."""
AGAIN_SECONDS: Final = 600.0
"""After a failure."""
SIGNED_AT_ONCE: Final = 256
"""Records for one child; its question and its answer must fit into a pipe, 64 KiB (pipe(7))."""

log = structlog.get_logger()


class Sealing(msgspec.Struct, frozen=True):
    """How a ledger is sealed."""

    key_file: Path | None = None
    """The private key, PEM; None: records are not signed."""
    public_file: Path | None = None
    """Where the public key is shown; None: nowhere."""
    may_make: bool = False
    """Whether a key that is not there is made."""
    about: Mapping[str, str] = {}
    """What is said of the host where a chain begins."""


class Sealer:
    """Does what is due at each `step`. Never raises but `LedgerError`, of the disk."""

    def __init__(self, sealing: Sealing) -> None:
        self._sealing = sealing
        self._ledger: Ledger | None = None
        self._look_at = self._sign_at = float("-inf")
        self._head: tuple[int, bytes] | None = None
        self._child: Child | None = None
        self._failed = False
        self._why_unsigned = ""
        self._unsigned = True
        self._waiting = SIGNED_AT_ONCE
        """Records that were sealed since the last child was started; at first as if many."""
        self._more = False
        """Whether the next step seals more."""

    @property
    def records(self) -> int | None:
        """How many records there are; None: not known yet."""
        return self._head[0] if self._head else None

    def begin(self, ledger: Ledger) -> None:
        """Begin with a ledger that was just opened, and learn how many records it has."""
        self.stop()
        self._ledger, self._head = ledger, None
        self._look_at = self._sign_at = float("-inf")
        self._unsigned = True
        self._waiting = SIGNED_AT_ONCE
        with contextlib.suppress(LedgerError):  # what is wrong shows at the next write, too
            self._head = ledger.ask(head)

    def step(self, ledger: Ledger, now: float, wall: float) -> None:
        """Seal what is over and sign what is sealed, where it is time. `now`: monotonic."""
        if ledger is not self._ledger:
            self.begin(ledger)
        try:
            if now >= self._look_at:
                self._seal(ledger, now, wall)
            self._sign(ledger, now, wall)
        except LedgerError:
            raise
        except Exception:  # a bug here must cost no energy
            self._look_at = self._sign_at = now + AGAIN_SECONDS
            if not self._failed:
                log.exception("ledger_not_sealed")
            self._failed = True

    def stop(self) -> None:
        """Let go of what is under way; what is not signed will be next time."""
        child, self._child = self._child, None
        if child is not None:
            child.stop()

    # -- inside -------------------------------------------------------------------------------

    def _seal(self, ledger: Ledger, now: float, wall: float) -> None:
        done = ledger.ask(lambda db: seal_due(db, wall, self._sealing.about, known=self._head))
        self._unsigned |= done.head != self._head
        self._head = done.head
        self._failed = False
        self._waiting += done.written
        self._more = done.more
        if not done.more:
            self._look_at = now + LOOK_SECONDS

    def _sign(self, ledger: Ledger, now: float, wall: float) -> None:
        if self._child is not None:
            answer = self._child.answer()
            if answer is None:
                return
            self._child = None
            self._take(ledger, answer, now, wall)
        # a year that was there before there was a chain takes half an hour to seal, an hour or
        # two at a step: not each step starts a program for them
        enough = not self._more or self._waiting >= SIGNED_AT_ONCE
        if self._sign_at == float("-inf"):
            self._sign_at = now + SIGN_AFTER_SECONDS
        due = self._unsigned and enough and now >= self._sign_at
        if due and self._sealing.key_file is not None:
            self._start(ledger, now)

    def _start(self, ledger: Ledger, now: float) -> None:
        key_file = self._sealing.key_file
        assert key_file is not None
        work = ledger.ask(to_be_signed)
        if work.key is not None and not work.records:
            self._unsigned = False
            return
        self._waiting = 0
        try:
            self._child = Child(
                key_file,
                self._sealing.public_file or key_file.with_suffix(".pub"),
                work.records[:SIGNED_AT_ONCE],
                make=self._sealing.may_make,
                promote=work.key if not work.older else None,
            )
        except (OSError, MemoryError) as error:
            self._refused(f"no process could be started ({error})", now)

    def _take(self, ledger: Ledger, answer: Answer, now: float, wall: float) -> None:
        if answer.error:
            self._refused(answer.error, now)
            return

        def keep(db: sqlite3.Connection) -> tuple[int, bytes] | None:
            keep_signatures(db, answer.signatures)
            name_key(db, wall, answer.public, answer.next)
            return head(db)

        self._head = ledger.ask(keep)
        if self._why_unsigned:
            log.info("ledger_signed_again")
        self._why_unsigned = ""

    def _refused(self, why: str, now: float) -> None:
        self._sign_at = now + AGAIN_SECONDS
        if not self._why_unsigned:
            log.error("ledger_not_signed", why=why)
        self._why_unsigned = why
