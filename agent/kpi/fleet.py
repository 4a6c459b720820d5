"""What the agents on the servers say, added up over all of them."""

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from agent.site.cells import Cell

AGENTS = "agents"
"""Name of the agents beside those of meters, in inputs and notes."""

PARTS: Final = ("it", "wall", "compute", "busy", "present")
"""The parts of a `Fleet` that are one row of cells each."""


class Fleet(msgspec.Struct, frozen=True):
    """Sums over all servers; a part that nobody knows is empty.

    A cell's seconds are the time for which all servers that belong to it are known.
    """

    it: Sequence[Cell] = ()
    """J of all servers."""
    wall: Sequence[Cell] = ()
    """J at the wall of the servers of which `compute` is known, too."""
    compute: Sequence[Cell] = ()
    """J of the parts that compute, store and communicate (CPU, memory, GPU and other accelerators,
    drives, network cards) of the same."""
    busy: Sequence[Cell] = ()
    """Server-seconds of full CPU utilisation: sum of utilisation ratio x time."""
    present: Sequence[Cell] = ()
    """Server-seconds for which that utilisation was observed."""
    work: Mapping[str, Sequence[Cell]] = {}
    """Useful work by its unit (tokens, requests …), in that unit."""
