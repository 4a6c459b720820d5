"""`wattlas uninstall`."""

from pathlib import Path, PurePosixPath

import click

from agent.cli.common import Failure
from agent.cli.service_options import dry_run_option, prefix_option, root_option
from agent.service import ServiceError
from agent.service.files import drop_in_names
from agent.service.host import Host
from agent.service.taking_away import remove_drop_ins
from agent.service.taking_away import uninstall as take_away


@click.command()
@click.option("--purge", is_flag=True, help="Also remove the ledger, the settings and the account.")
@click.option(
    "--drop-in",
    "drop_ins",
    multiple=True,
    type=click.Choice(drop_in_names()),
    help="Only take away what this drop-in opened. More than one may be given.",
)
@root_option("Of the image of a host that is below DIR.")
@prefix_option("Where the man page and the shells' completions went.")
@dry_run_option
def uninstall(
    purge: bool, drop_ins: tuple[str, ...], root: Path, prefix: PurePosixPath, dry_run: bool
) -> int:
    """Take away the service that `wattlas install` made.

    The ledger (/var/lib/wattlas), the settings and the account stay, unless --purge is given. The
    program itself stays: pipx or uv removes it.

    \b
    Examples:
      sudo wattlas uninstall
      sudo wattlas uninstall --purge
      sudo wattlas uninstall --drop-in ipmi
    """
    if purge and drop_ins:
        raise click.UsageError("--purge is about all of it, --drop-in about a part: give one")
    host = Host(root.resolve(), click.echo, dry=dry_run)
    try:
        host.check("wattlas uninstall")
        if drop_ins:
            remove_drop_ins(host, drop_ins)
        else:
            take_away(host, prefix, purge=purge)
    except ServiceError as error:
        raise Failure(str(error)) from None
    return 0
