"""When each client will scrape next, learnt from when it did: a Prometheus is a regular guest."""

from typing import Final

MAX_CLIENTS: Final = 16
"""Clients remembered; of more, the one that has been away the longest is forgotten."""
SAME_SECONDS: Final = 0.1
"""Requests closer than this are one scrape: twice by hand, or many scrapers behind one address."""
SLACK_SECONDS: Final = 0.05
"""How far from its time a scrape may come and still be expected."""

Client = tuple[str, str, bool]
"""Its address, its Accept header, and whether it takes gzip."""


class Habits:
    """The last scrape of each client and the time since the one before."""

    def __init__(self) -> None:
        self._last: dict[Client, tuple[float, float]] = {}

    def saw(self, client: Client, now: float) -> None:
        """Note a scrape; `now` is monotonic seconds."""
        last, _ = self._last.get(client, (float("-inf"), 0.0))
        if now - last < SAME_SECONDS:
            return
        self._last.pop(client, None)  # the order is that of the last scrapes
        self._last[client] = (now, now - last)
        if len(self._last) > MAX_CLIENTS:
            del self._last[next(iter(self._last))]

    def expected(self, now: float, until: float) -> list[Client]:
        """Return the clients whose next scrape is due between `now` and `until`."""
        return [
            client
            for client, (last, apart) in self._last.items()
            if now - SLACK_SECONDS <= last + apart < until + SLACK_SECONDS
        ]
