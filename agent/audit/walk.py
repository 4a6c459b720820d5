"""The chain from its first record to its last: is it whole, and what does it say? Pure."""

from collections.abc import Collection, Mapping
from typing import Any, Final

from agent.audit.canonical import Unreadable, unpack
from agent.audit.record import (
    BEGIN,
    FIRST,
    KEY,
    MISMATCH,
    PRUNE,
    SPANS,
    Record,
    digest,
)
from agent.audit.seals import Signatures, Valid
from agent.audit.verdict import Finding

FORMAT: Final = 1
"""Of the chain, as its first record says."""


class Walk:
    """Feed it every record in order, then `finish`."""

    def __init__(
        self, valid: Valid, trusted: Collection[bytes] = (), expected: bytes | None = None
    ) -> None:
        """`valid` judges a signature; `trusted`: public keys that somebody vouches for.

        `expected`: the hash of a record that must be there.
        """
        self.findings: list[Finding] = []
        self.signatures = Signatures(valid, trusted)
        self.count = 0
        self.head: Record | None = None
        self.begin: Mapping[str, Any] = {}
        self.newest: dict[tuple[str, int], int] = {}
        """Span and hour to the number of the record that counts."""
        self.first: dict[tuple[str, int], int] = {}
        self.kinds: dict[str, int] = {}
        self.documents: dict[str, tuple[Any, int]] = {}
        """Name to what the newest record that names it says, and its number."""
        self.pruned_minutes = self.pruned_hours = 0
        """Rows before these were deleted on purpose: minutes and hours since 1970 UTC."""
        self.clock_went_back: list[int] = []
        self._expected = expected
        self._met = expected is None
        self._previous = FIRST
        self._otherwise: bytes | None = None
        """What the hash of the record before should have been; None: what it is."""
        self._unlinked = False

    def take(self, record: Record) -> None:
        """Take the next record."""
        number = record.number
        if not isinstance(number, int):
            self._wrong(record, f"its number is {number!r}")
            return
        due = (self.head.number if self.head else 0) + 1
        self._unlinked = number != due
        if number > due:
            gone = f"record {due} is" if number == due + 1 else f"records {due} to {number - 1} are"
            self.findings.append(Finding(f"{gone} missing", number=due))
        elif number < due:
            again = self.head is not None and record.hash == self.head.hash
            how = "is there twice" if again else f"stands where record {due} should"
            self._wrong(record, how)
            return
        whole = self._check_hash(record)
        if self.head is not None and _before(record.sealed_at, self.head.sealed_at):
            self.clock_went_back.append(number)
        self.count += 1
        self.head = record
        self._met |= record.hash == self._expected
        self.kinds[record.kind] = self.kinds.get(record.kind, 0) + 1
        try:
            body = unpack(record.body)
        except Unreadable as error:
            if whole:
                self._wrong(record, f"its body cannot be read ({error})")
            body = {}
        self._learn(record, body)
        if whole:
            self.findings += self.signatures.take(record, body)

    def finish(self, as_of: float) -> None:
        """Say what only the end shows. `as_of`: when the ledger was last written, Unix time."""
        self.findings += self.signatures.finish(self.head, as_of)
        if not self._met:
            assert self._expected is not None
            self.findings.append(
                Finding(
                    f"no record has the hash {self._expected.hex()} that you expect: the chain was"
                    " cut off before it, or written anew, or is another ledger's"
                )
            )

    # -- inside -------------------------------------------------------------------------------

    def _check_hash(self, record: Record) -> bool:
        """Return whether a record is as it was written, and go on from it."""
        try:
            computed = digest(self._previous, record)
            otherwise = None if self._otherwise is None else digest(self._otherwise, record)
        except ValueError as error:
            self._wrong(record, f"was changed: {error}")
            computed, otherwise = b"", None
        fits = bool(computed) and record.hash in {computed, otherwise}
        whole = fits or (bool(computed) and self._unlinked)
        if computed and not whole:
            self._wrong(record, "was changed: its hash is not that of its content")
        self._otherwise = computed if computed and record.hash != computed else None
        self._previous = record.hash if isinstance(record.hash, bytes) else computed
        return whole

    def _learn(self, record: Record, body: Mapping[str, Any]) -> None:
        match record.kind:
            case kind if kind in SPANS:
                self._learn_figures(record, body)
            case str(kind) if kind == PRUNE:
                self.pruned_minutes = max(self.pruned_minutes, _whole(body, "minutes_before"))
                self.pruned_hours = max(self.pruned_hours, _whole(body, "hours_before"))
            case str(kind) if kind == MISMATCH:
                what = "; ".join(map(str, body.get("found", [])))
                about = None if body.get("span") == "chain" else record.hour
                text = f"when this was written, the agent itself found something changed: {what}"
                self.findings.append(Finding(text, record.number, about))
            case str(kind) if kind == BEGIN:
                if record.number != 1:
                    self._wrong(record, "a chain begins here a second time")
                self.begin = self.begin or body
                if body and body.get("format") != FORMAT:
                    self._wrong(record, "has a format that this version does not know")
            case str(kind) if kind == KEY:
                pass
            case kind:
                self._wrong(record, f"its kind {kind!r} is unknown")
        if record.number == 1 and record.kind != BEGIN:
            self._wrong(record, "is the first and does not say where the chain begins")

    def _learn_figures(self, record: Record, body: Mapping[str, Any]) -> None:
        span, _ = SPANS[record.kind]
        key = (span, record.hour)
        self.newest[key] = record.number
        self.first.setdefault(key, record.number)
        documents = body.get("documents")
        for name, said in (documents if isinstance(documents, dict) else {}).items():
            self.documents[name] = (said, record.number)

    def _wrong(self, record: Record, what: str) -> None:
        number = record.number if isinstance(record.number, int) else None
        hour = record.hour if isinstance(record.hour, int) and record.kind in SPANS else None
        self.findings.append(Finding(what, number, hour))


def _whole(body: Mapping[str, Any], name: str) -> int:
    value = body.get(name, 0)
    return value if isinstance(value, int) else 0


def _before(one: object, other: object) -> bool:
    return isinstance(one, float) and isinstance(other, float) and one < other
