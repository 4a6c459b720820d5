"""`wattlas report`: what is reported of a site or a server, from a ledger, files or PromQL."""

import asyncio
import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

import click
import msgspec

from agent.cli.common import (
    Failure,
    config_option,
    json_option,
    load_settings,
    print_json,
)
from agent.cli.report_carbon import carbon
from agent.cli.report_print import (
    kpi_document,
    print_kpis,
    print_reconciliation,
    reconcile_document,
)
from agent.kpi.compare import it_compared
from agent.kpi.compose import site_kpis
from agent.kpi.period import Period, months
from agent.kpi.reconcile import reconcile as reconcile_site
from agent.report.failure import ReportError
from agent.report.gathered import Gathered
from agent.report.period import period_of
from agent.settings import Settings

F = TypeVar("F", bound=Callable[..., Any])
TOKEN_BYTES: Final = 65_536


@click.group()
def report() -> None:
    """Report a site's or a server's figures over any period.

    \b
    Examples:
      wattlas report kpi --from 2026-01-01 --to 2027-01-01
      wattlas report reconcile --from 2026-01-01 --to 2026-07-01
      wattlas report carbon --html carbon.html
    """


report.add_command(carbon)


class _Source(NamedTuple):
    """What the options say."""

    begin: str
    end: str
    config: Path | None
    state_dir: Path | None
    prometheus: str
    site: str
    token_file: Path | None
    ca_file: str


def _options(function: F) -> F:
    """Add the options that all reports have."""
    options = [
        click.option(
            "--from",
            "begin",
            default="",
            metavar="DATE",
            help="First moment: 2026-01-31 or 2026-01-31T13:00, in site.time_zone unless it has an"
            " offset; default: a year before --to.",
        ),
        click.option(
            "--to",
            "end",
            default="",
            metavar="DATE",
            help="End, itself not included: a year is --from 2026-01-01 --to 2027-01-01; default:"
            " the last midnight.",
        ),
        config_option,
        click.option(
            "--state-dir",
            metavar="DIR",
            type=click.Path(path_type=Path),
            help="Directory of the ledger; default: agent.state_dir of the settings. A running"
            " agent is not disturbed.",
        ),
        click.option(
            "--prometheus",
            default="",
            metavar="URL",
            help="Instead of a ledger: Prometheus, Mimir, Thanos or VictoriaMetrics, up to but"
            " without /api/v1. Adds up the agents of the site, too.",
        ),
        click.option(
            "--site",
            default="",
            metavar="NAME",
            help="With --prometheus: which site; default: site.name or host.site of the settings.",
        ),
        click.option(
            "--token-file",
            metavar="FILE",
            type=click.Path(path_type=Path),
            help="With --prometheus: file with a bearer token.",
        ),
        click.option(
            "--ca-file",
            default="",
            metavar="FILE",
            help="With --prometheus: PEM certificates that may have signed the server's.",
        ),
        json_option,
    ]
    for option in reversed(options):
        function = option(function)
    return function


@report.command()
@_options
def kpi(as_json: bool, **options: Any) -> None:
    """Print PUE and its family over a period, with category and coverage.

    From the ledger of the agent that reads the site's meters, from CSV files alone where the site
    has no other meters, or with --prometheus from any PromQL engine. Without [site], the ledger's
    own host: ITUE, utilization and work per kWh.

    A figure that stands for less than 95 % of the period says so; nothing is scaled up. Where a
    figure cannot be worked out it has no value, and what is missing is named.

    \b
    Examples:
      wattlas report kpi
      wattlas report kpi --from 2026-01-01 --to 2027-01-01 --json | jq '.kpis[] | {name, value}'
      wattlas report kpi --prometheus http://prometheus:9090 --site gz-1
    """
    with _plainly():
        source = _Source(**options)
        settings, period = _prepare(source)
        found = _gather(source, settings, period)
        _something(found, period)
        kpis = site_kpis(found.site, found.cells, period, found.fleet)
        both = None
        if found.fleet is not None:
            with contextlib.suppress(ValueError):  # the KPI that needs the sum says why
                both = it_compared(found.site, found.cells, period, found.fleet)
    if as_json:
        print_json(kpi_document(found, period, kpis, both))
    else:
        print_kpis(found, period, kpis, both)


@report.command()
@_options
def reconcile(as_json: bool, **options: Any) -> None:
    """Set invoices against meters, and meters against agents, month by month.

    An invoice is a CSV meter with `invoices`; it belongs to the month in which its middle lies and
    is compared over its own time. Meters are compared with the agents where both are there
    (--prometheus). Differences beyond site.tolerance_percent are named; the exit status is 0 also
    then, for the report was made.

    \b
    Examples:
      wattlas report reconcile --from 2026-01-01 --to 2026-07-01
      wattlas report reconcile --prometheus http://prometheus:9090 --json
    """
    with _plainly():
        source = _Source(**options)
        settings, period = _prepare(source)
        wide = _widened(settings, period)
        found = _gather(source, settings, wide)
        _something(found, wide)
        rows = reconcile_site(found.site, found.cells, months(period), found.fleet)
        if not rows:
            raise ReportError(
                "there is nothing to compare: name the meters that an invoice is the bill of in"
                " its `invoices`, or read meters and agents with --prometheus"
            )
    if as_json:
        print_json(reconcile_document(found, period, rows))
    else:
        print_reconciliation(found, period, rows)


def _prepare(source: _Source) -> tuple[Settings, Period]:
    """Return the settings and the period. Raises `ReportError`, `click.UsageError`."""
    if source.prometheus and source.state_dir:
        raise click.UsageError("--prometheus and --state-dir are two sources; give one")
    if not source.prometheus:
        for option in ("site", "token_file", "ca_file"):
            if getattr(source, option):
                raise click.UsageError(f"--{option.replace('_', '-')} goes with --prometheus")
    settings, _ = load_settings(source.config)
    return settings, period_of(source.begin, source.end, settings.site.time_zone, time.time())


def _gather(source: _Source, settings: Settings, period: Period) -> Gathered:
    """Read what the source has. Raises `ReportError`."""
    if not source.prometheus:
        from agent.report.polled import gather_ledger  # noqa: PLC0415 - one of the two is needed

        where = source.state_dir or Path(settings.agent.state_dir)
        return gather_ledger(where, settings.site, period)
    from agent.report.engine import Engine  # noqa: PLC0415
    from agent.report.prometheus import gather_prometheus  # noqa: PLC0415

    site, name, said = settings.site, source.site, []
    own = site.name or settings.host.site
    if name and own and name != own and site.meter:
        said = [f"[site] of the settings is of {own}: the engine's own labels say the roles"]
        site = msgspec.structs.replace(site, meter=(), partial=(), servers=())

    async def ask() -> Gathered:
        engine = Engine(source.prometheus, token=_token(source.token_file), ca_file=source.ca_file)
        with _progress(engine.where) as answered:
            return await gather_prometheus(engine, site, name or own, period, answered)

    found = asyncio.run(ask())
    return found._replace(problems=[*said, *found.problems])


def _widened(settings: Settings, period: Period) -> Period:
    """Return the period with the time of invoices that reach beyond it."""
    from agent.report.files import read_files  # noqa: PLC0415
    from agent.report.widen import widened  # noqa: PLC0415

    return widened(period, settings.site, read_files(settings.site, period).cells)


def _something(found: Gathered, period: Period) -> None:
    """Raise `ReportError` where nothing at all is known of the period."""
    fleet = found.fleet
    everything = [*found.cells.values(), *((fleet.it, fleet.busy) if fleet else ())]
    if any(
        cell.start < period.end and cell.end > period.start
        for cells in everything
        for cell in cells
    ):
        return
    why = f": {found.problems[0]}" if found.problems else ""
    raise ReportError(
        f"nothing is known of {period.label}{why}; set another --from and --to, or let the agent"
        " run first"
        if not why
        else f"nothing is known of {period.label}{why}"
    )


def _token(path: Path | None) -> str:
    """Return what a file of one token holds. Raises `ReportError`; the message has no token."""
    if path is None:
        return ""
    try:
        with path.open("rb") as file:
            token = file.read(TOKEN_BYTES).decode("ascii").strip()
    except OSError as error:
        raise ReportError(
            f"the token file {path} cannot be read ({error.strerror}); make it readable for this"
            " user"
        ) from None
    except UnicodeDecodeError:
        token = ""
    if not token or not token.isprintable() or " " in token:
        raise ReportError(f"the token file {path} does not hold one token; put one into it")
    return token


@contextlib.contextmanager
def _plainly() -> Iterator[None]:
    """Turn what cannot be reported into one line."""
    try:
        yield
    except ReportError as error:
        raise Failure(str(error), error.status) from None


@contextlib.contextmanager
def _progress(where: str) -> Iterator[Callable[[], None]]:
    """Show how many answers came, where somebody looks."""
    if not sys.stderr.isatty():
        yield lambda: None
        return
    from rich.console import Console  # noqa: PLC0415 - only for people

    count = 0
    with Console(stderr=True).status(f"asking {where}") as status:

        def answered() -> None:
            nonlocal count
            count += 1
            status.update(f"asking {where}: {count} answers")

        yield answered
