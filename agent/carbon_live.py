"""What a host emits while the agent runs: its operation, and the rest of its life."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final
from zoneinfo import ZoneInfo

import msgspec
import structlog

from agent.accounts import Accounts
from agent.carbon.activities import LossesOf, loss_ratio
from agent.carbon.budget import Records, Used, used
from agent.carbon.intensity import Intensity
from agent.carbon.live import Emissions, Key
from agent.carbon.settings import Budget
from agent.carbon.static import Refusal, static_intensity, static_market_intensity
from agent.carbon.timeline import Rule, Static, rule_of
from agent.carbon.words import Basis, Scope, Stage
from agent.collector import Paths
from agent.ledger.reading import DAY_QUARTERS, LedgerReader
from agent.ledger.saved import CarbonState
from agent.lifecycle.amortised import between, embodied
from agent.lifecycle.hardware import Detected
from agent.lifecycle.inventory import Inventory, assemble
from agent.quarters import QUARTER_SECONDS, QuarterPosting, Quarters, Series
from agent.settings import Settings
from agent.site.cells import Cell
from agent.snapshot import CarbonView, Embodied

EMBODIED_SECONDS: Final = 60.0
"""So often the other stages are posted."""
DAY: Final = 86400.0
COUNTED: Final = (Basis.LOCATION, Basis.MARKET)
"""What Scope 2 is counted by."""
INVENTORY: Final = "inventory"
"""Name of the document in the ledger."""

log = structlog.get_logger()


def series_of(key: Key) -> Series:
    """Return what the ledger calls the grams of a key, booked as they were counted."""
    return Series("emission", f"{key.scope} {key.basis or '-'} {key.stage}", "g")


def statics(settings: Settings) -> dict[Basis, Static]:
    """Return the yearly factors by basis, as functions of the year."""
    carbon, zone = settings.carbon, settings.host.grid_zone

    def location(year: int) -> Intensity | None:
        found = static_intensity(zone, _middle(year), carbon.factor, carbon.static)
        return None if isinstance(found, Refusal) else found

    def market(year: int) -> Intensity | None:
        found = static_market_intensity(zone, _middle(year), carbon.factor, carbon.static)
        return None if isinstance(found, Refusal) else found

    if "static" not in carbon.providers:
        return {}
    return {Basis.LOCATION: location, Basis.MARKET: market}


def rules(settings: Settings) -> list[Rule]:
    """Return which values may count for each basis."""
    zone = settings.site.time_zone
    return [rule_of(settings.carbon, basis, zone) for basis in Basis]


@dataclass
class _Energy:
    """A host's energy, emissions and work of the last year, by quarter or day, for budgets."""

    joules: list[Cell] = field(default_factory=list)
    grams: dict[Basis, list[Cell]] = field(default_factory=lambda: {b: [] for b in COUNTED})
    work: dict[str, list[Cell]] = field(default_factory=dict)
    """By unit."""


class CarbonLive:
    """Feed it energy and intensities; it keeps the counters, the inventory and the budgets."""

    def __init__(
        self,
        settings: Settings,
        detect: Callable[[Paths], Detected] | None,
        state: CarbonState | None = None,
    ) -> None:
        """`detect` looks at the hardware, blocking; None: what it is made of is not known."""
        self._detect = detect
        self.state = state or CarbonState()
        self._settings = settings
        self._emissions = self._made()
        self._inventory: Inventory | None = None
        self._embodied: Sequence[Embodied] = ()
        self._accelerators: tuple[str, ...] | None = None
        self._energy = _Energy()
        self._learnt: list[Intensity] = []
        self._documents: dict[str, bytes] = {}
        self._budgets: Sequence[Used] = ()

    def use(self, settings: Settings) -> None:
        """Take new settings; the counters go on."""
        self._settings = settings
        self._emissions = self._made()
        self._accelerators = None

    def load(self, reader: LedgerReader, wall: float) -> None:
        """Read what is known of the grid, and of the year so far. Blocking."""
        self._emissions.learn(reader.intensities(wall - DAY, wall + DAY), wall)
        since = (wall - 367 * DAY) // DAY * DAY
        joules = reader.cells("host", "energy", since, wall + DAY, DAY_QUARTERS)
        self._energy = _Energy(joules)
        for row in reader.series():
            if row.kind == "work":
                cells = reader.cells("work", row.name, since, wall + DAY, DAY_QUARTERS)
                self._energy.work.setdefault(row.unit, []).extend(cells)
        for basis in COUNTED:
            name = series_of(Key(Scope.SCOPE_2, basis, Stage.OPERATION)).name
            self._energy.grams[basis] = reader.cells(
                "emission", name, since, wall + DAY, DAY_QUARTERS
            )

    def tick(
        self,
        accounts: Accounts,
        posted: Sequence[tuple[str, float, float, float]],
        quarters: Quarters,
        now: float,
        wall: float,
    ) -> None:
        """Take what came since the last tick; `posted` as in `Accounts.host_posted`."""
        if accounts.intensities:
            self._learnt += accounts.intensities
            self._emissions.learn(accounts.intensities, wall)
            accounts.intensities.clear()
        pieces = [piece for piece in posted if piece[0] == "energy" and piece[3]]
        if pieces:
            begin = min(piece[1] for piece in pieces) + wall - now
            end = max(piece[2] for piece in pieces) + wall - now
            joules = sum(piece[3] for piece in pieces)
            for booked in self._emissions.count(joules, begin, end):
                quarters.add(series_of(booked.key), begin, end, booked.grams)
        if wall - self.state.embodied_wall >= EMBODIED_SECONDS:
            self._post_embodied(accounts, now, wall, quarters)

    def add(self, postings: Sequence[QuarterPosting], wall: float, zone: str) -> None:
        """Take quarters that are over, and look at the budgets."""
        budgets = self._settings.carbon.budget
        if not postings or not budgets:
            return
        for p in postings:
            start = p.quarter * QUARTER_SECONDS
            cell = Cell(start, start + QUARTER_SECONDS, p.amount, p.seconds)
            if p.series.kind == "host" and p.series.name == "energy":
                self._energy.joules.append(cell)
            elif p.series.kind == "work":
                self._energy.work.setdefault(p.series.unit, []).append(cell)
            elif p.series.kind == "emission":
                for basis, cells in self._energy.grams.items():
                    if p.series.name.split()[1] == basis:
                        cells.append(cell)
        self._budgets = [
            one for budget in budgets for one in used(budget, self._records(budget), wall, zone)
        ]

    def take(self) -> tuple[list[Intensity], dict[str, bytes]]:
        """Take out what the ledger does not have yet: intensities, and documents."""
        learnt, self._learnt = self._learnt, []
        documents, self._documents = self._documents, {}
        return learnt, documents

    def view(self, wall: float) -> CarbonView:
        """Return what exporters show."""
        return CarbonView(
            zone=self._settings.host.grid_zone,
            now=self._emissions.now(wall),
            totals=self._emissions.totals(),
            embodied=self._embodied,
            budgets=self._budgets,
        )

    # -- inside -------------------------------------------------------------------------------

    def _made(self) -> Emissions:
        carbon = self._settings.carbon
        percent, of = carbon.losses_percent, LossesOf(carbon.losses_of)
        return Emissions(
            rules(self._settings),
            statics(self._settings),
            self.state.emissions,
            losses_ratio=None if percent is None else loss_ratio(percent, of),
        )

    def _post_embodied(
        self, accounts: Accounts, now: float, wall: float, quarters: Quarters
    ) -> None:
        """Post what of the other stages falls into the time since the last look."""
        names = tuple(sorted(view.about.name for view in accounts.accelerators(now)))
        if names != self._accelerators:
            self._assemble(names)
        since, self.state.embodied_wall = self.state.embodied_wall, wall
        if self._inventory is None or not 0 < since < wall:
            return
        for stage, span in between(self._inventory, since, wall).grams.items():
            key = Key(Scope.SCOPE_3, None, stage)
            self._emissions.add(key, span.best)
            quarters.add(series_of(key), since, wall, span.best)

    def _assemble(self, accelerators: tuple[str, ...]) -> None:
        self._accelerators = accelerators
        settings = self._settings
        try:
            found = None
            if self._detect is not None and settings.lifecycle.detect:
                found = self._detect(settings.paths)
        except OSError as error:
            log.warning("hardware_unknown", why=str(error))
            found = None
        zone = ZoneInfo(settings.site.time_zone)
        self._inventory = assemble(settings.lifecycle, found, accelerators, zone)
        self._documents[INVENTORY] = msgspec.json.encode(self._inventory)
        self._embodied = [
            Embodied(part.asset, stage.value, bound.value, grams)
            for part in self._inventory.parts
            for stage, span in embodied(part).items()
            for bound, grams in span.by_bound()
        ]

    def _records(self, budget: Budget) -> Records:
        return Records(
            joules=self._energy.joules,
            grams=self._energy.grams.get(Basis(budget.basis), []),
            work=self._energy.work.get(budget.unit, []),
        )


def _middle(year: int) -> float:
    return datetime(year, 7, 1, tzinfo=UTC).timestamp()
