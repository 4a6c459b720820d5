"""What `wattlas check` finds."""

import msgspec


class Finding(msgspec.Struct, frozen=True):
    """One line of the check."""

    what: str
    state: str
    """ok, problem (it should work and does not), absent (not on this host), off, note."""
    detail: str
    remedy: str = ""
