"""The host's energy: what the wall says where it says something, else the sum of the parts."""

from agent.wall.desk import HostDesk
from agent.wall.host import HostEnergy
from agent.wall.periods import LastMinute
from agent.wall.state import HostState

__all__ = ["HostDesk", "HostEnergy", "HostState", "LastMinute"]
