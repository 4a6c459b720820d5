"""The ledger: energy per minute, hour and day in SQLite, and what a restart must know."""

from agent.ledger.errors import Corrupt, Hopeless, LedgerError
from agent.ledger.store import Ledger
from agent.ledger.writer import LedgerWriter

__all__ = ["Corrupt", "Hopeless", "Ledger", "LedgerError", "LedgerWriter"]
