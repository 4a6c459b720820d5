"""`wattlas ledger export`: the sealed ledger as files that can be checked anywhere."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import click

from agent.cli.common import Failure, config_option, json_option, load_settings, print_json
from agent.cli.ledger_common import opened, progress, state_dir_option

if TYPE_CHECKING:
    from agent.audit.record import Record

HOUR: Final = 3600.0


@click.command()
@click.option(
    "--output",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="New directory to write; with --openmetrics a file, default standard output.",
)
@click.option(
    "--from",
    "begin",
    default="",
    metavar="DATE",
    help="First moment: 2026-01-31 or 2026-01-31T13:00, UTC unless it has an offset; default: the"
    " day of the first sealed hour.",
)
@click.option(
    "--to",
    "end",
    default="",
    metavar="DATE",
    help="End, itself not included; default: the end of the newest sealed hour.",
)
@click.option(
    "--format",
    "how",
    type=click.Choice(["csv", "parquet"]),
    default="csv",
    show_default=True,
    help="parquet needs the extra wattlas[parquet].",
)
@click.option("--openmetrics", is_flag=True, help="For promtool tsdb create-blocks-from.")
@click.option(
    "--label",
    "labels",
    multiple=True,
    metavar="NAME=VALUE",
    help="With --openmetrics: a label of every series, e.g. job=wattlas.",
)
@click.option("--title", default="", help="Name of the data asset, for the manifest.")
@click.option("--owner", default="", help="Who is responsible for it, for the manifest.")
@click.option(
    "--classification",
    default="internal",
    show_default=True,
    help="Who may see it, in your own terms, for the manifest.",
)
@click.option(
    "--signing-key",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Private key to sign the manifest with; default: the host's, where it may be read.",
)
@click.option(
    "--even-if-wrong",
    is_flag=True,
    help="Hand over a ledger in which something is wrong; the manifest then says what.",
)
@config_option
@state_dir_option
@json_option
def export(as_json: bool, openmetrics: bool, **options: Any) -> None:
    """Write the sealed hours to a directory that can be checked anywhere.

    Tables of energy by hour and day, quarters of an hour (site meters, work, emissions), invoices
    with their history, intensities of the grid, and the whole chain; a manifest with schema,
    units, provenance, coverage and SHA-256 of each file, signed; SHA256SUMS. The ledger is verified
    first. The same ledger and period give the same bytes.

    \b
    Examples:
      wattlas ledger export --output energy-2026 --from 2026-01-01 --to 2027-01-01
      wattlas ledger export --output q1 --to 2026-04-01 --format parquet --classification public
      cd energy-2026 && sha256sum -c SHA256SUMS
      wattlas ledger export --openmetrics --label job=wattlas --label instance=h1:9760 --output e.om
    """
    begin, end = _moment("--from", options["begin"]), _moment("--to", options["end"])
    if begin is not None and end is not None and end <= begin:
        raise click.UsageError("--to is not after --from; --to is not included")
    state_dir, key_file = _places(options)
    if openmetrics:
        _openmetrics(options, state_dir, begin, end)
        return
    if options["output"] is None:
        raise click.UsageError("name a new directory with --output")
    document = _export(state_dir, key_file, begin, end, options)
    if as_json:
        print_json(document)
    else:
        _print(options["output"], document)


def _places(options: dict[str, Any]) -> tuple[Path, Path]:
    """Return the state directory and the file of the host's key."""
    state_dir: Path | None = options["state_dir"]
    own = ""
    if state_dir is None:
        settings, _ = load_settings(options["config"])
        state_dir, own = Path(settings.agent.state_dir), settings.ledger.signing_key_file
    return state_dir, options["signing_key"] or (Path(own) if own else state_dir / "host.key")


def _export(
    state_dir: Path,
    key_file: Path,
    begin: float | None,
    end: float | None,
    options: dict[str, Any],
) -> dict[str, Any]:
    from agent.audit.canonical import Unreadable  # noqa: PLC0415 - keeps --help fast
    from agent.audit.export import export as write  # noqa: PLC0415
    from agent.audit.files import NoParquet  # noqa: PLC0415

    output: Path = options["output"]
    if output.exists():
        raise Failure(f"{output}: is there already; name a new directory")
    how: Literal["csv", "parquet"] = options["how"]
    records, findings = _read(state_dir)
    if findings and not options["even_if_wrong"]:
        raise Failure(
            f"{len(findings)} things are wrong with the ledger, first: {findings[0]}; see wattlas"
            " ledger verify, or export it --even-if-wrong: the manifest then says so"
        )
    first, last = _sealed_span(records, state_dir)
    key = _key(key_file, must=options["signing_key"] is not None)
    try:
        with progress("exporting") as advance:
            return write(
                records,
                output,
                begin=first if begin is None else begin,
                end=last if end is None else end,
                how=how,
                data_asset={
                    "title": options["title"] or "Energy and carbon of one host",
                    "owner": options["owner"],
                    "classification": options["classification"],
                    "granularity": "PT15M and PT1H",
                    "updated": "PT1H",
                },
                findings=findings,
                key=key,
                progress=advance,
            )
    except NoParquet as error:
        raise Failure(str(error)) from None
    except Unreadable as error:
        raise Failure(f"a record of the chain cannot be read ({error})") from None
    except OSError as error:
        raise Failure(
            f"{error.filename or output}: cannot be written ({error.strerror}); name another"
            " --output"
        ) from None


def _read(state_dir: Path) -> tuple[list["Record"], list[str]]:
    """Return the chain and what is wrong with the ledger."""
    from agent.audit.keys import valid  # noqa: PLC0415
    from agent.audit.ledger import LedgerCheck  # noqa: PLC0415
    from agent.audit.verdict import sentence  # noqa: PLC0415
    from agent.audit.walk import Walk  # noqa: PLC0415
    from agent.ledger.links import records  # noqa: PLC0415

    with opened(state_dir / "ledger.db") as db:
        with progress("verifying") as advance:
            verdict = LedgerCheck(db, Walk(valid), time.time(), advance).run()
        try:
            return list(records(db)), [sentence(finding) for finding in verdict.findings]
        except Exception as error:  # of a file that is damaged
            raise Failure(f"{state_dir}/ledger.db: the file is damaged: {error}") from error


def _sealed_span(records: list["Record"], state_dir: Path) -> tuple[float, float]:
    from agent.audit.body import DAY_HOURS  # noqa: PLC0415
    from agent.audit.record import HOUR as SPAN  # noqa: PLC0415
    from agent.audit.rows import Bodies  # noqa: PLC0415

    # hour 0 has the factors that came with the program, which nobody fetched
    hours = [hour for hour in Bodies(records).hours(SPAN) if hour != 0]
    if not hours:
        raise Failure(
            f"{state_dir}/ledger.db: no hour is sealed yet; the first is, six minutes after its end"
        )
    return hours[0] // DAY_HOURS * DAY_HOURS * HOUR, (hours[-1] + 1) * HOUR


def _key(path: Path, *, must: bool) -> Any:
    from agent.audit.signer import NoKey, load  # noqa: PLC0415

    try:
        return load(path)
    except NoKey as error:
        if must:
            raise Failure(str(error)) from None
        click.echo(f"wattlas: the manifest is not signed: {error}", err=True)
        return None


def _moment(name: str, text: str) -> float | None:
    from zoneinfo import ZoneInfo  # noqa: PLC0415

    from agent.site.moments import moment_of  # noqa: PLC0415

    if not text:
        return None
    try:
        return float(int(moment_of(text, ZoneInfo("UTC")).at))
    except ValueError as error:
        raise click.UsageError(f"{name}: {error}; write 2026-01-31 or 2026-01-31T13:00") from None


def _openmetrics(
    options: dict[str, Any], state_dir: Path, begin: float | None, end: float | None
) -> None:
    from agent.cli.ledger_openmetrics import STDOUT, export_openmetrics  # noqa: PLC0415

    labels = dict(label.partition("=")[::2] for label in options["labels"])
    if not all(labels.values()):
        raise click.UsageError("--label: write name=value, e.g. job=wattlas")
    asked = options["state_dir"] is None or options["config"] is not None
    settings = load_settings(options["config"])[0] if asked else None
    export_openmetrics(
        state_dir,
        0.0 if begin is None else begin,
        time.time() if end is None else end,
        options["output"] or STDOUT,
        settings=settings,
        labels=labels,
    )


def _print(output: Path, document: dict[str, Any]) -> None:
    period, chain = document["period"], document["chain"]
    click.echo(f"{output}: {period['from']} to {period['to']}")
    for file in document["files"]:
        click.echo(f"  {file['name']:24} {file['rows']:>9,} rows  {file['bytes']:>12,} bytes")
    signed = f"signed by {document['signed_by']}" if document["signed_by"] else "not signed"
    click.echo(f"Newest: record {chain['head']['number']}, {chain['head']['hash']}; {signed}")
