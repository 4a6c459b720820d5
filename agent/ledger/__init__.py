"""The ledger: energy per minute, hour and day in SQLite, and what a restart must know."""

from agent.ledger.store import Corrupt, Ledger, LedgerError
from agent.ledger.writer import LedgerWriter

__all__ = ["Corrupt", "Ledger", "LedgerError", "LedgerWriter"]
