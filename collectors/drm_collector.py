"""A collector of graphics cards: finds them, reads each, and tells when one came or went."""

from collections.abc import Sequence
from typing import ClassVar

import msgspec

from agent.collector import (
    Absent,
    BlockingCollector,
    CollectorSettings,
    Context,
    Problem,
    Transient,
)
from agent.quantities import Component, Seconds
from agent.samples import Accelerator, Inventory, Sample
from collectors.drm import Card, scan_cards
from collectors.drm_boards import Board, explained
from collectors.sysfs import Rescan, Unreadable


class DrmSettings(CollectorSettings, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What `[collectors.amdgpu]` and `[collectors.intel_gpu]` have in common."""

    rescan_seconds: float = 60.0
    """Seconds between looks for cards that came or went, or were bound to another driver."""


class DrmCollector(BlockingCollector):
    """The boards of some drivers. A subclass says which, and makes a board of a card."""

    Settings: ClassVar[type[CollectorSettings]] = DrmSettings
    settings: DrmSettings
    source: ClassVar[str]
    """The collector's name in samples."""
    drivers: ClassVar[tuple[str, ...]]
    nothing: ClassVar[str]
    """Why there may be nothing to read, for a user."""

    def __init__(self, settings: DrmSettings, context: Context) -> None:
        super().__init__(settings, context)
        self._root = context.paths.sysfs
        self._boards: list[Board] = []
        self._described: dict[str, Accelerator] = {}
        self._listed: tuple[str, ...] | None = None
        self._scan_problems: tuple[Problem, ...] = ()
        self._problems: tuple[Problem, ...] = ()
        self._rescan = Rescan(settings.rescan_seconds)

    def board(self, card: Card) -> Board | None:
        """Return the board of a card, None for one not to be read. Raises `Unreadable`."""
        raise NotImplementedError

    def read(self) -> Sequence[Sample]:
        """Return one reading of every board. Raises as `Collector.collect` does."""
        boottime = self.context.clock.boottime
        samples: list[Sample] = []
        if self._rescan.is_due(now := boottime()):
            self._look()
            samples += self._news(now)
            self._rescan.looked(boottime(), complete=not self._scan_problems)
        has_answer = bool(samples)
        problems = list(self._scan_problems)
        for board in self._boards:
            samples += board.read(boottime)
            if board.problem is not None:
                problems.append(board.problem)
                has_answer = has_answer or board.problem.reason == "asleep"
            if board.is_gone:
                self._rescan.soon()
        if not self._boards:
            self._rescan.soon()
        self._problems = tuple(problems)
        if samples or has_answer:
            return samples
        if problems:
            first = problems[0]
            raise Transient(f"no card can be read: {first.why}", first.reason, first.remedy)
        if not self._boards:
            again = max(1.0, self.settings.rescan_seconds)
            raise Absent(f"{self.nothing} below {self._root}/class/drm", again_seconds=again)
        return samples

    def problems(self) -> Sequence[Problem]:
        """Return the cards that are there but gave no full answer at the last `collect`."""
        return self._problems

    def close(self) -> None:
        """End the thread and close the files."""
        super().close()
        for board in self._boards:
            board.close()

    def _look(self) -> None:
        """Look for cards; one that is as it was keeps its board and its open files.

        One that cannot be looked at this time keeps its board too: it was not taken away.
        """
        found = scan_cards(self._root, self.drivers)
        problems = list(found.problems)
        old = {board.card.address: board for board in self._boards}
        boards: list[Board] = []
        for card in found.cards:
            known = old.pop(card.address, None)
            board: Board | None = known
            if known is None or known.is_gone or known.card != card:
                try:
                    board = self.board(card)
                except Unreadable as error:
                    problems.append(explained(card.address, error))
                if known is not None and board is not known:
                    known.close()
                    if board is not None and board.device == card.address:
                        board.device = known.device  # its UUID goes first when it is unbound
            if board is not None:
                board.look_again()
                boards.append(board)
        for board in old.values():
            if found.unclear is None or board.card.number in found.unclear:
                boards.append(board)
            else:
                board.close()
        _tell_apart(boards)
        self._boards = boards
        self._scan_problems = tuple(problems)

    def _news(self, now: Seconds) -> list[Sample]:
        """Return what boards are, if that changed, and which there are, if that did."""
        described = {board.device: board.about(i) for i, board in enumerate(self._boards)}
        samples: list[Sample] = [
            msgspec.structs.replace(about, at=now)
            for device, about in described.items()
            if self._described.get(device) != about
        ]
        self._described = described
        listed = tuple(described)
        if listed != (self._listed or ()):
            # A collector that has found nothing yet is absent; it does not list nothing.
            samples.append(Inventory(self.source, Component.GPU, listed, now))
        self._listed = listed
        return samples


def _tell_apart(boards: Sequence[Board]) -> None:
    """Give boards of one UUID, which firmware can get wrong, their PCI addresses as labels."""
    seen: dict[str, Board] = {}
    for board in boards:
        twin = seen.setdefault(board.device, board)
        if twin is not board:
            board.device, twin.device = board.card.address, twin.card.address
