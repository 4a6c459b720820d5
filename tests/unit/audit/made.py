"""A small ledger that lived some hours through the real `Ledger`, sealed and signed, for tests."""

import functools
import sqlite3
from contextlib import closing
from pathlib import Path

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from unit.ledger.rig import STREAMS

from agent.audit import keys
from agent.audit.ledger import LedgerCheck, open_for_checking
from agent.audit.record import to_sign
from agent.audit.signer import raw
from agent.audit.verdict import Verdict, sentence
from agent.audit.walk import Walk
from agent.carbon.intensity import Intensity
from agent.carbon.words import Basis, Factor, Origin
from agent.ledger import Ledger
from agent.ledger.batch import Batch
from agent.ledger.chain import Sealed, seal_due
from agent.ledger.chain_keys import keep_signatures, name_key, to_be_signed
from agent.ledger.saved import AgentState
from agent.meter import MeterState, Posting
from agent.meter.state import StreamState
from agent.quarters import QuarterPosting, Series
from agent.samples import MeterRecord, MeterRecords

FIRST_HOUR = 490_892
"""2025-12-31T20:00Z."""
HOURS = 28
"""To the end of the next day, so that both days are sealed."""
BILLED = FIRST_HOUR * 3600.0
"""Begin of the first period of an invoice."""
NOW = (FIRST_HOUR + HOURS) * 3600.0 + 460.0
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
FEED, WATER = Series("meter", "feed", "J"), Series("meter", "wäter", "l")
ABOUT = {"host": "h1", "agent": "0.1.0 test"}


valid = functools.cache(keys.valid)
"""A pure function, asked the same thousands of times by trials."""


class Life:
    """An agent's life without the agent: hours of postings, as the real one hands them over."""

    def __init__(self, state_dir: Path, *, signed: bool = True) -> None:
        self.dir = state_dir
        self.ledger: Ledger = Ledger.open(state_dir)
        known, body = self.ledger.load()
        self.known = len(known)
        meter = MeterState(
            "boot", 0.0, 0.0, [StreamState(away=[(float("-inf"), 0.0)]) for _ in STREAMS]
        )
        self.meter = msgspec.msgpack.decode(body, type=AgentState).meter if body else meter
        self.signed = signed
        self.records: list[MeterRecord] = []
        self.hour = FIRST_HOUR

    def commit(self, wall: float, batch: Batch) -> None:
        for p in batch.postings:
            self.meter.streams[p.stream].joules += p.joules
        self.meter.wall = wall
        batch.wall = wall
        identities = list(enumerate(STREAMS))[self.known :]
        self.known = len(STREAMS)
        self.ledger.commit(identities, msgspec.msgpack.encode(AgentState(self.meter)), batch)

    def post(
        self, hour: int, minute: int, joules: float = 1.0, *, wall: float | None = None
    ) -> None:
        at = hour * 60 + minute
        postings = [Posting(at, s, joules / (s + 3), 59.9, 0.1 * s) for s in range(len(STREAMS))]
        self.commit(at * 60.0 + 61 if wall is None else wall, Batch(postings))

    def live(self, hours: int, *, minutes: int = 4) -> None:
        """Live on for some hours, each sealed when it is over."""
        for _ in range(hours):
            hour = self.hour
            for n in range(minutes):
                self.post(hour, n * 60 // minutes, 100.0 + hour % 7 + n / 3)
            end = (hour + 1) * 3600.0
            quarters = [
                QuarterPosting(hour * 4 + q, series, 1000.0 / (q + 3), 899.5, 0.5)
                for q in range(4)
                for series in (FEED, WATER)
            ]
            fetched = [
                Intensity("CN-GD", "static", end - 3600, end, 441.3 + hour % 5, Basis.LOCATION,
                          Factor.DIRECT, Origin.MEASURED, "table", end - 1800.0)
            ]  # fmt: skip
            self.commit(end + 1, Batch(quarters=quarters, intensities=fetched))
            self.hour += 1
            self.seal()

    def bill(self, *amounts: float, wall: float | None = None) -> None:
        """Hand over an invoice file with these months."""
        self.records = [
            MeterRecord(BILLED + n * 900.0, BILLED + (n + 1) * 900.0, amount, n + 2)
            for n, amount in enumerate(amounts)
        ]
        file = {"bill": MeterRecords("meter_csv", "bill", 0.0, tuple(self.records))}
        at = self.hour * 3600.0 + 10 if wall is None else wall
        self.commit(at, Batch(records=file, documents={"inventory": b"{%d}" % len(amounts)}))

    def seal(self, wall: float | None = None, **more: object) -> Sealed:
        at = self.hour * 3600.0 + 400.0 if wall is None else wall
        done = self.ledger.ask(lambda db: seal_due(db, at, ABOUT, **more))  # type: ignore[arg-type]
        if self.signed:
            self.ledger.ask(lambda db: sign(db, at))
        return done

    def close(self) -> None:
        self.ledger.close()


def sign(db: sqlite3.Connection, wall: float, key: Ed25519PrivateKey = KEY) -> None:
    """Sign what is not signed, in this process, as the child does."""
    name_key(db, wall, raw(key.public_key()).hex(), None)
    signatures = [
        (number, key.sign(to_sign(bytes.fromhex(digest))).hex())
        for number, digest, _ in to_be_signed(db).records
    ]
    keep_signatures(db, signatures)


def lived(state_dir: Path, hours: int = HOURS, **more: bool) -> Path:
    """Make a ledger of some hours; return its directory."""
    life = Life(state_dir, **more)
    life.bill(10.0, 20.0)
    life.live(hours // 2)
    life.bill(10.0, 21.0, 30.0)
    life.live(hours - hours // 2)
    life.close()
    return state_dir


def check(db: sqlite3.Connection, *, whole_file: bool = True, **more: object) -> Verdict:
    return LedgerCheck(db, Walk(valid, **more), NOW).run(whole_file=whole_file)  # type: ignore[arg-type]


def checked(state_dir: Path, **more: object) -> Verdict:
    with closing(open_for_checking(state_dir / "ledger.db")) as db:
        return check(db, **more)


def said(verdict: Verdict) -> list[str]:
    return [sentence(finding) for finding in verdict.findings]
