"""What one tick leaves in the ledger so that a restart loses nothing."""

import msgspec

from agent.meter import MeterState
from agent.work import WorkState


class AgentState(msgspec.Struct, array_like=True):
    """The body of the ledger's state row."""

    meter: MeterState
    totals: dict[str, float] = {}
    """Counters that go on after a restart: the agent's own cost, collectors' failures."""
    work: WorkState = WorkState()
    """Totals of work, and where programs' counters stood."""
