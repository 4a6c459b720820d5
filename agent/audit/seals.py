"""Whose signatures the records of a chain have. Pure: somebody else judges each signature."""

from collections.abc import Callable, Collection, Mapping
from typing import Any, Final

from agent.audit.record import KEY, Record, to_sign
from agent.audit.verdict import Finding, iso

Valid = Callable[[bytes, bytes, bytes], bool]
"""Tells whether, by this public key, this message has this signature."""
UNSIGNED_SECONDS: Final = 7200.0
"""A record's signature may come so much later; it is made by another process."""


class Signatures:
    """Feed it every record in order, then `finish`.

    A record is signed with the host's key of its time, or with a later one where signing failed
    then. A new key is named by a record that the key before it signed.
    """

    def __init__(self, valid: Valid, trusted: Collection[bytes]) -> None:
        self._valid = valid
        self._anchored = bool(trusted)
        self._trusted = set(trusted)
        self.keys: list[tuple[int, bytes]] = []
        """Number of the record that names it, and the raw public key."""
        self._open: list[tuple[int, bytes, bytes]] = []
        self._unsigned: list[tuple[int, float]] = []
        self._last_signed = self._last_trusted = 0
        self.signed = 0

    @property
    def unsigned(self) -> int:
        """How many records have no signature yet."""
        return len(self._unsigned)

    def take(self, record: Record, body: Mapping[str, Any]) -> list[Finding]:
        """Take the next record, whose hash is right."""
        found: list[Finding] = []
        if record.kind == KEY:
            found = self._take_key(record, body)
        if record.signature is None:
            self._unsigned.append((record.number, record.sealed_at))
        elif not isinstance(record.signature, bytes):
            found.append(Finding("its signature was changed", record.number))
        elif not self._prove(record.number, record.hash, record.signature):
            self._open.append((record.number, record.hash, record.signature))
        return found

    def finish(self, head: Record | None, as_of: float) -> list[Finding]:
        """Return what only the end shows."""
        found = [
            Finding("its signature is not of the host's key: it was changed, or made anew", n)
            for n, _, _ in self._open
        ]
        removed = [n for n, _ in self._unsigned if n < self._last_signed]
        found += [
            Finding("has no signature, though a later record has one: it was removed", n)
            for n in removed
        ]
        late = [
            (n, at)
            for n, at in self._unsigned
            if n > self._last_signed and as_of - at > UNSIGNED_SECONDS
        ]
        if late and self.keys:
            (first, at), (last, _) = late[0], late[-1]
            found.append(
                Finding(
                    f"records {first} to {last} are not signed, the oldest of {iso(at)}: signing"
                    " fails (the agent's log says why), was switched off, or the signatures were"
                    " removed",
                    first,
                )
            )
        if self._anchored and head is not None:
            doubtful = head.number - self._last_trusted - self._tail(head.number)
            if doubtful > 0:
                since = self._last_trusted + 1
                found.append(
                    Finding(
                        f"from record {since} on nothing is signed with a key that you trust", since
                    )
                )
        return found

    # -- inside -------------------------------------------------------------------------------

    def _tail(self, head: int) -> int:
        """Return how many of the newest records are only not signed yet."""
        if not self._last_trusted or self._last_trusted < self._last_signed:
            return 0
        return head - self._last_signed

    def _take_key(self, record: Record, body: Mapping[str, Any]) -> list[Finding]:
        try:
            public = bytes.fromhex(body["public_key"])
            before = body["replaces"]
        except (KeyError, TypeError, ValueError):
            return [Finding("names no public key", record.number)]
        if self.keys and before != self.keys[-1][1].hex():
            return [Finding("replaces another key than the one before it", record.number)]
        found = []
        if before is not None:
            old = bytes.fromhex(before)
            is_signed = isinstance(record.signature, bytes) and self._valid(
                old, to_sign(record.hash), record.signature
            )
            if is_signed and old in self._trusted:
                self._trusted.add(public)
            if not is_signed and record.signature is not None and public not in self._trusted:
                found.append(
                    Finding(
                        "a new key that the one before it did not sign: the old one was lost, or"
                        " somebody else signs; if it is right, name its file with --public-key",
                        record.number,
                    )
                )
        self.keys.append((record.number, public))
        still, self._open = self._open, []
        for number, digest, signature in still:
            if not self._prove(number, digest, signature):
                self._open.append((number, digest, signature))
        return found

    def _prove(self, number: int, digest: bytes, signature: bytes) -> bool:
        """Return whether the key of the record's time, or a later one, made the signature.

        A record that names a key belongs to the time of the key before it.
        """
        since = max((n for n, (named, _) in enumerate(self.keys) if named < number), default=0)
        for _, public in reversed(self.keys[since:]):
            if self._valid(public, to_sign(digest), signature):
                self.signed += 1
                self._last_signed = max(self._last_signed, number)
                if public in self._trusted:
                    self._last_trusted = max(self._last_trusted, number)
                return True
        return False
