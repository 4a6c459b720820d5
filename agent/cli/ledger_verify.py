"""`wattlas ledger verify`: finds what was changed, taken away or inserted, and names it."""

import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from agent.cli.common import Failure, config_option, json_option, print_json
from agent.cli.ledger_common import opened, progress, state_dir_of, state_dir_option

if TYPE_CHECKING:
    from agent.audit.verdict import Verdict

NOT_FOUND: Final = (
    "Without an anchor from elsewhere nobody can find the newest records cut off together with"
    " their rows, nor a chain written anew with a stolen key: keep a manifest or a hash of another"
    " day for --expect, host.pub for --public-key, and compare wattlas_ledger_records_total in"
    " Prometheus."
)


@click.command()
@click.argument("target", required=False, metavar="[FILE|DIR]", type=click.Path(path_type=Path))
@config_option
@state_dir_option
@click.option(
    "--public-key",
    "public_keys",
    multiple=True,
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="The host's public key, PEM (host.pub), kept elsewhere; more than one after a change.",
)
@click.option(
    "--expect",
    metavar="HASH|MANIFEST",
    help="A record's hash, or the manifest.json of an earlier export: it must be in the chain.",
)
@json_option
def verify(
    target: Path | None,
    config: Path | None,
    state_dir: Path | None,
    public_keys: tuple[Path, ...],
    expect: str | None,
    as_json: bool,
) -> int:
    """Find any record that was changed, taken away or inserted, and name it.

    FILE|DIR: a ledger.db, its directory, or a directory made by `wattlas ledger export`. Default:
    the ledger of the settings. A running agent is not disturbed; nothing is written.

    Exit status: 0 all is as it was sealed, 1 something is wrong, 2 wrong usage.

    \b
    Examples:
      wattlas ledger verify
      wattlas ledger verify --public-key h1.pub --expect march/manifest.json
      wattlas ledger verify energy-2026 --json | jq '.findings[] | {record, hour, what}'
    """
    from agent.audit.keys import BadKey, read_public, valid  # noqa: PLC0415 - keeps --help fast
    from agent.audit.walk import Walk  # noqa: PLC0415

    if target is not None and state_dir is not None:
        raise click.UsageError("name FILE|DIR or --state-dir, not both")
    try:
        trusted = [read_public(path) for path in public_keys]
    except (BadKey, OSError) as error:
        raise Failure(f"--public-key: {error}", status=2) from None
    walk = Walk(valid, trusted, _expected(expect))
    place = target or state_dir_of(state_dir, config)
    if (place / "manifest.json").is_file() or (place / "SHA256SUMS").is_file():
        verdict = _handed(place, walk, trusted)
    else:
        verdict = _ledger(place / "ledger.db" if place.is_dir() else place, walk)
    if as_json:
        print_json(_document(place, verdict))
    else:
        _print(place, verdict, anchored=bool(trusted and expect))
    return 0 if verdict.clean else 1


def _ledger(path: Path, walk: Any) -> "Verdict":
    from agent.audit.ledger import LedgerCheck  # noqa: PLC0415

    with opened(path) as db, progress("verifying") as advance:
        return LedgerCheck(db, walk, time.time(), advance).run()


def _handed(directory: Path, walk: Any, trusted: list[bytes]) -> "Verdict":
    from agent.audit.handed import HandedCheck  # noqa: PLC0415

    try:
        with progress("verifying") as advance:
            return HandedCheck(directory, walk, trusted, advance).run()
    except OSError as error:
        raise Failure(
            f"{error.filename or directory}: cannot be read ({error.strerror}); an export has a"
            " manifest.json and the files that it names"
        ) from None


def _expected(expect: str | None) -> bytes | None:
    """Return the hash that must be in the chain."""
    from agent.audit.manifest import head_of  # noqa: PLC0415

    if expect is None:
        return None
    if re.fullmatch(r"[0-9a-fA-F]{64}", expect):
        return bytes.fromhex(expect)
    path = Path(expect)
    try:
        return head_of((path / "manifest.json" if path.is_dir() else path).read_bytes())
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "it names no newest record"
        raise Failure(
            f"--expect: {expect} is no hash of 64 hexadecimal digits and no manifest.json ({why})",
            status=2,
        ) from None


def _document(place: Path, verdict: "Verdict") -> dict[str, Any]:
    from agent.audit.verdict import iso_hour  # noqa: PLC0415

    return {
        "target": str(place),
        "clean": verdict.clean,
        "findings": [
            {
                "record": f.number,
                "hour": None if f.hour is None else iso_hour(f.hour),
                "file": f.file or None,
                "what": f.what,
            }
            for f in verdict.findings
        ],
        "remarks": verdict.remarks,
        **verdict.facts,
    }


def _print(place: Path, verdict: "Verdict", *, anchored: bool) -> None:
    from agent.audit.verdict import grouped, sentence  # noqa: PLC0415

    facts = verdict.facts
    for finding, count in grouped(verdict.findings):
        more = f" (and {count - 1} more hours or records)" if count > 1 else ""
        click.echo(f"WRONG  {sentence(finding)}{more}")
    head = facts.get("head")
    if head:
        click.echo(
            f"{place}: {facts['records']} records, {facts['hours']} hours"
            f" from {facts['first_hour']} to {facts['newest_hour']},"
            f" {facts['restatements']} restatements, {facts['signed']} signed"
        )
        click.echo(f"Newest: record {head['number']}, sealed {head['sealed_at']}, {head['hash']}")
        for key in facts["keys"][-1:]:
            click.echo(f"Key: {key}")
    for remark in verdict.remarks:
        click.echo(f"Note: {remark}")
    if not anchored:
        click.echo(f"Note: {NOT_FOUND}")
    click.echo(
        "All is as it was sealed."
        if verdict.clean
        else f"{len(verdict.findings)} things are wrong."
    )
