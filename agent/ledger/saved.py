"""What one tick leaves in the ledger so that a restart loses nothing."""

import msgspec

from agent.carbon.live import EmissionsState
from agent.meter import MeterState
from agent.report_book import ReportState
from agent.wall import HostState
from agent.work import WorkState


class CarbonState(msgspec.Struct, array_like=True):
    """What the counters of emissions must know."""

    emissions: EmissionsState = msgspec.field(default_factory=EmissionsState)
    embodied_wall: float = 0.0
    """Unix time up to which the stages beside operation are posted."""


class AgentState(msgspec.Struct, array_like=True):
    """The body of the ledger's state row."""

    meter: MeterState
    totals: dict[str, float] = {}
    """Counters that go on after a restart: the agent's own cost, collectors' failures."""
    work: WorkState = WorkState()
    """Totals of work, and where programs' counters stood."""
    reports: ReportState = msgspec.field(default_factory=ReportState)
    """Quarters of an hour that are under way, and where the site's meters stood."""
    host: HostState | None = None
    """The host's energy; None: no wall was ever there."""
    carbon: CarbonState = msgspec.field(default_factory=CarbonState)
    """Grams so far."""
