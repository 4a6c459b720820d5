"""Work done: floating-point operations, tokens, requests, and what energy they took. Pure."""

from agent.work.energy import Scope
from agent.work.state import FlopView, WorkState, WorkView
from agent.work.tally import Tally

__all__ = ["FlopView", "Scope", "Tally", "WorkState", "WorkView"]
