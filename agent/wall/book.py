"""The whole host's energy, for work that names no device, once a wall is there."""

from collections.abc import Iterable
from typing import Final

from agent.quantities import Component
from agent.work.energy import HOST, EnergyBook, NotKnown, Scope

SERVER: Final = Scope(Component.HOST, "server")


class WalledBook(EnergyBook):
    """Asks another book about parts; of the host it knows what was decided to be its energy."""

    def __init__(self, parts: EnergyBook) -> None:
        super().__init__()
        self._parts = parts

    def post(self, component: Component, device: str, start: float, until: float, j: float) -> None:
        """Add an interval of `j` joules of a part."""
        self._parts.post(component, device, start, until, j)

    def post_host(self, start: float, until: float, joules: float) -> None:
        """Add an interval of the host's energy."""
        super().post(*SERVER, start, until, joules)

    def tell(self, now: float, dark: Iterable[Component]) -> None:
        """Say which components have a device without any figure; of no matter to the host."""
        self._parts.tell(now, dark)
        super().tell(now, ())

    def between(self, scope: Scope, start: float, until: float, now: float) -> float | NotKnown:
        """Return the joules that a scope took, as `EnergyBook` does."""
        if scope == HOST:
            return super().between(SERVER, start, until, now)
        return self._parts.between(scope, start, until, now)
