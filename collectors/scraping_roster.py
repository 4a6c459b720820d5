"""Which devices a page has, over time: what is missing, and what was taken away."""

from collections.abc import Iterable

STALE_SECONDS = 90.0
"""A page that says the same for so long is not alive: three times the slowest refresh seen."""


class Roster:
    """The devices of one page.

    A program such as dcgm-exporter lists devices when it starts, and leaves out those that fail
    later. So a device that is missing from a page that went on answering does not answer; one
    that is missing after the program was away was taken away.
    """

    def __init__(self) -> None:
        self.devices: tuple[str, ...] = ()
        self.missing: tuple[str, ...] = ()
        self._anew = True

    def was_away(self) -> None:
        """Say that the program did not answer: it may list other devices from now on."""
        self._anew = True

    def update(self, seen: Iterable[str]) -> bool:
        """Take the devices of a page; return whether the list has changed."""
        now = sorted(set(seen))
        before = self.devices
        if self._anew:
            self.devices = tuple(now)
            self._anew = False
        else:
            self.devices = tuple(sorted({*before, *now}))
        self.missing = tuple(device for device in self.devices if device not in now)
        return self.devices != before
