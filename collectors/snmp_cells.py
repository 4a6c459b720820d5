"""What a device answers: values with their SNMP types."""

from collections.abc import Mapping
from typing import Final, Literal, NamedTuple

Kind = Literal["integer", "gauge32", "counter32", "counter64", "text", "missing", "other"]

RANGES: Final[Mapping[str, int]] = {"counter32": 2**32, "counter64": 2**64}
"""Where counters begin again at 0 (RFC 2578 sections 7.1.6 and 7.1.10)."""
GARBAGE_SHOWN: Final = 40
"""Characters of a device's text that a message shows."""


class Cell(NamedTuple):
    """The value of one OID."""

    kind: Kind
    number: int | None = None
    text: str = ""
    """What a string says, what is missing, or the name of another type."""


class Reply(NamedTuple):
    """What an agent answered."""

    error_status: int
    """RFC 3416 section 3; 0: none."""
    error_index: int
    """Which of the OIDs it is about, from 1; 0: none of them."""
    cells: Mapping[str, Cell]
    """By OID."""
