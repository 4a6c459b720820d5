"""All that a carbon report is made of: from the ledger, CSV files, and the machine itself."""

import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Literal, NamedTuple
from zoneinfo import ZoneInfo

import msgspec

from agent.carbon.budget import year_of
from agent.carbon.contracts import Supply
from agent.carbon.intensity import Intensity
from agent.carbon.settings import Activity
from agent.kpi.period import Period, month_of
from agent.ledger.errors import LedgerError
from agent.ledger.reading import LedgerReader
from agent.lifecycle.inventory import Inventory, assemble
from agent.report.carbon_activities import Records, read_activity
from agent.report.carbon_load import cells_of_meter, load_of, with_it
from agent.report.failure import ReportError
from agent.report.files import read_copies, read_files
from agent.settings import Settings
from agent.site.cells import Cell
from agent.site.settings import Meter, is_counted
from agent.site.words import Role

RECENT_SECONDS = 30 * 86400.0
MOMENT = 1e-3
"""A year that ends at midnight is looked at this much before, in s: in that year."""
BOOKED = "2 location operation"

Scope = Literal["host", "site"]


class Energy(NamedTuple):
    """What was used; cells reach from `window.start` to the period's end."""

    bought: Sequence[Cell]
    """J: of a host, its own energy."""
    own: Sequence[Cell] = ()
    """J that the site's own plants made and it used."""
    supplies: Sequence[Supply] = ()
    with_it: Sequence[tuple[Cell, float]] = ()
    """Energy, and what of it the IT took, J."""
    it_is: str = ""
    """What that is, or why it is not known."""
    work: Mapping[str, Sequence[Cell]] = {}
    """By unit; of a host."""
    booked: Sequence[Cell] = ()
    """g of Scope 2 by location, as they were counted then; of a host."""


class CarbonInputs(NamedTuple):
    """All that is known."""

    scope: Scope
    name: str
    period: Period
    window: Period
    """Longer than the period where a budget began before it."""
    now: float
    """Unix time at which budgets are looked at: the period's end, or now."""
    energy: Energy
    direct: Sequence[tuple[Activity, Records]]
    """Scope 1."""
    intensities: Sequence[Intensity]
    inventory: Inventory
    inventory_is: str
    """Where it is from."""
    problems: Sequence[str]


def gather_carbon(
    state_dir: Path, settings: Settings, period: Period, scope: Scope | None
) -> CarbonInputs:
    """Read everything. `scope` None: site where a meter has the role total. Raises `ReportError`.

    Contracts, fuels and budgets are the site's; without meters the host stands for itself.
    """
    site = settings.site
    has_total = any(meter.role is Role.TOTAL for meter in site.meter)
    scope = scope or ("site" if has_total else "host")
    now = min(period.end, time.time())
    window = _window(settings, period, now)
    whole = scope == "site" or not site.meter
    problems: list[str] = []
    with ExitStack() as stack:
        ledger: LedgerReader | None = None
        try:
            ledger = stack.enter_context(closing(LedgerReader.open(state_dir)))
        except LedgerError as error:
            if scope == "host" or any(is_counted(meter) for meter in site.meter):
                raise ReportError(_without_ledger(error, scope, has_total=has_total)) from None
        try:
            if scope == "site":
                energy = _site(ledger, settings, window, problems)
            else:
                assert ledger is not None
                energy = _host(ledger, window, settings if whole else None)
            hold = settings.carbon.hold_hours * 3600.0
            values = ledger.intensities(window.start - hold, window.end) if ledger else []
            inventory, origin = _inventory(ledger, settings, scope)
        except LedgerError as error:
            raise ReportError(str(error)) from None
    zone = site.time_zone
    activities = (*settings.carbon.fuel, *settings.carbon.refrigerant) if whole else ()
    direct = [(each, read_activity(each, zone)) for each in activities]
    problems += [problem for _, records in direct for problem in records.problems]
    return CarbonInputs(
        scope=scope,
        name=(site.name or settings.host.site) if scope == "site" else "",
        period=period,
        window=window,
        now=now,
        energy=energy,
        direct=direct,
        intensities=values,
        inventory=inventory,
        inventory_is=origin,
        problems=problems,
    )


def _window(settings: Settings, period: Period, now: float) -> Period:
    starts = [period.start]
    for budget in settings.carbon.budget:
        of = month_of if budget.period == "month" else year_of
        starts += [of(now - MOMENT, period.zone).start, now - RECENT_SECONDS]
    return period._replace(start=min(starts) // 900 * 900.0)


def _host(ledger: LedgerReader, window: Period, settings: Settings | None) -> Energy:
    """Return this host's energy and work; contracts only where there is no site (`settings`)."""

    def cells(kind: str, name: str) -> list[Cell]:
        return ledger.cells(kind, name, window.start, window.end)

    work: dict[str, list[Cell]] = {}
    for row in ledger.series():
        if row.kind == "work":
            work.setdefault(row.unit, []).extend(cells("work", row.name))
    energy = cells("host", "energy")
    contracts = settings.carbon.contract if settings else ()
    supplies = [Supply(contract) for contract in contracts if not contract.meter]
    return Energy(
        bought=energy,
        supplies=supplies,
        with_it=[(cell, cell.amount) for cell in energy],
        it_is="this host's energy",
        work={unit: sorted(several) for unit, several in work.items()},
        booked=cells("emission", BOOKED),
    )


def _site(
    ledger: LedgerReader | None, settings: Settings, window: Period, problems: list[str]
) -> Energy:
    site = settings.site
    files = read_files(site, window)
    cells = dict(files.cells)
    copies: dict[str, list[Cell]] = {}
    if ledger is not None:
        for meter in site.meter:
            if is_counted(meter):
                cells[meter.name] = ledger.cells("meter", meter.name, window.start, window.end)
        copies, _ = read_copies(ledger, files.unread, window)
    cells |= copies
    problems += files.problems
    problems += [
        f"{why} (the ledger's copy is used)" if name in copies else why
        for name, why in files.unread.items()
    ]
    contracts = settings.carbon.contract
    try:
        load = load_of(site, cells, contracts)
        meters = {meter.name: meter for meter in site.meter}
        supplies = [
            Supply(each, _of_meter(each.meter, meters, cells) if each.meter else ())
            for each in contracts
        ]
    except ValueError as error:
        raise ReportError(str(error)) from None
    problems += load.problems
    pairs, it_is = with_it(site, cells)
    return Energy(load.bought, load.own, supplies, pairs, it_is)


def _of_meter(
    name: str, meters: Mapping[str, Meter], cells: Mapping[str, Sequence[Cell]]
) -> list[Cell]:
    return sorted(cell for each in cells_of_meter(name, meters, cells) for cell in each)


def _inventory(
    ledger: LedgerReader | None, settings: Settings, scope: Scope
) -> tuple[Inventory, str]:
    """Return the inventory as the agent last had it, else as it is found now.

    A site's is what the settings say alone: what its servers are made of, their own agents know.
    """
    zone = ZoneInfo(settings.site.time_zone)
    lifecycle = settings.lifecycle
    if scope == "site":
        lifecycle = msgspec.structs.replace(lifecycle, detect=False)
        inventory = assemble(lifecycle, None, (), zone)
        missing = "the site's servers: their embodied emissions are in their own agents' reports"
        return msgspec.structs.replace(inventory, missing=(missing,)), "settings"
    document = ledger.document("inventory") if ledger else None
    if document is not None:
        try:
            return msgspec.json.decode(document, type=Inventory), "ledger"
        except msgspec.MsgspecError:
            pass  # of another version of the program: it is found anew
    from collectors.inventory import detect  # noqa: PLC0415 - only where nobody looked before

    detected = detect(settings.paths) if lifecycle.detect else None
    inventory = assemble(lifecycle, detected, (), zone)
    if lifecycle.detect and not (detected and detected.virtual):
        said = "GPUs: only the agent knows them, and it has left no inventory in the ledger yet"
        inventory = msgspec.structs.replace(inventory, missing=(*inventory.missing, said))
    return inventory, "this machine, looked at by the report"


def _without_ledger(error: LedgerError, scope: Scope, *, has_total: bool) -> str:
    if scope == "host" and not has_total:
        return f"{error}; a site's meters would be in [[site.meter]] of the settings"
    return str(error)
