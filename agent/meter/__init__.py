"""The meter: counter readings and power samples become energy, exactly once, with quality."""

from agent.meter.meter import Meter
from agent.meter.minutes import Posting
from agent.meter.state import MeterState, StreamIdentity, StreamState
from agent.meter.view import StreamView
from agent.meter.walls import COMPUTE, Posted, Walls

__all__ = [
    "COMPUTE",
    "Meter",
    "MeterState",
    "Posted",
    "Posting",
    "StreamIdentity",
    "StreamState",
    "StreamView",
    "Walls",
]
