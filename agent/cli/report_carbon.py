"""`wattlas report carbon`: emissions over the whole life cycle, by scope, basis and stage."""

import time
from pathlib import Path
from typing import Any, Literal

import click

from agent.cli.common import Failure, config_option, json_option, load_settings, print_json


@click.command()
@click.option(
    "--from",
    "begin",
    default="",
    metavar="DATE",
    help="First moment: 2026-01-31 or 2026-01-31T13:00, in site.time_zone unless it has an offset;"
    " default: a year before --to.",
)
@click.option(
    "--to",
    "end",
    default="",
    metavar="DATE",
    help="End, itself not included: a year is --from 2026-01-01 --to 2027-01-01; default: the last"
    " midnight.",
)
@config_option
@click.option(
    "--state-dir",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Directory of the ledger; default: agent.state_dir of the settings. A running agent is"
    " not disturbed.",
)
@click.option(
    "--scope",
    type=click.Choice(["host", "site"]),
    default=None,
    help="This host's own energy, or what the site's meters of role total measured; default: site"
    " where there are such meters.",
)
@json_option
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV: one row for each emission line.")
@click.option(
    "--html",
    "page",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Write one HTML page with plots and all sources; needs nothing else to be read.",
)
def carbon(
    begin: str,
    end: str,
    config: Path | None,
    state_dir: Path | None,
    scope: Literal["host", "site"] | None,
    as_json: bool,
    as_csv: bool,
    page: Path | None,
) -> None:
    """Print emissions by scope and stage, location- and market-based side by side.

    From the ledger: energy by the quarter of an hour times the intensity of its time as it is known
    now, with the difference to what was booked live; contracts, fuel and refrigerants from the
    settings; the machine's other stages as they fall into the period. Without a provider, a key or
    a zone there is a yearly average, and the report says which.

    \b
    Examples:
      wattlas report carbon
      wattlas report carbon --from 2026-01-01 --to 2027-01-01 --html carbon-2026.html
      wattlas report carbon --json | jq '.emissions[] | {scope, basis, stage, grams}'
    """
    if as_json + as_csv + (page is not None) > 1:
        raise click.UsageError("--json, --csv and --html are three forms of it; give one")
    document = _document(begin, end, config, state_dir, scope)
    if as_json:
        print_json(document)
    elif as_csv:
        from agent.report.carbon_document import carbon_csv  # noqa: PLC0415 - one is needed

        click.echo(carbon_csv(document), nl=False)
    elif page is not None:
        _write(page, document)
    else:
        from agent.cli.report_carbon_print import print_carbon  # noqa: PLC0415

        print_carbon(document)


def _document(
    begin: str,
    end: str,
    config: Path | None,
    state_dir: Path | None,
    scope: Literal["host", "site"] | None,
) -> dict[str, Any]:
    """Make the report. Raises `Failure`."""
    from agent.report.carbon_document import carbon_document  # noqa: PLC0415 - lean start
    from agent.report.carbon_inputs import gather_carbon  # noqa: PLC0415
    from agent.report.failure import ReportError  # noqa: PLC0415
    from agent.report.period import period_of  # noqa: PLC0415

    settings, _ = load_settings(config)
    try:
        period = period_of(begin, end, settings.site.time_zone, time.time())
        where = state_dir or Path(settings.agent.state_dir)
        inputs = gather_carbon(where, settings, period, scope)
        document = carbon_document(inputs, settings.carbon, settings.host.grid_zone)
        if all(line["grams"] is None for line in document["emissions"]):
            why = next(iter(inputs.problems), "set another --from and --to, or let the agent run")
            raise ReportError(f"nothing is known of {period.label}: {why}")
    except ReportError as error:
        raise Failure(str(error), error.status) from None
    except ValueError as error:
        raise Failure(str(error)) from None
    return document


def _write(page: Path, document: dict[str, Any]) -> None:
    """Write the page. Raises `Failure`."""
    from agent.report.carbon_html import carbon_html  # noqa: PLC0415 - plots are heavy

    text = carbon_html(document)
    try:
        page.write_text(text, encoding="utf-8")
    except OSError as error:
        raise Failure(
            f"{page} cannot be written ({error.strerror}); name a file in a directory that is"
            " there and that this user may write to"
        ) from None
    click.echo(f"{page} is written")
