"""`wattlas ledger rotate-key`: a new key takes over from the old one, which says so."""

import os
from pathlib import Path

import click

from agent.cli.common import Failure, config_option, load_settings
from agent.cli.ledger_common import state_dir_option


@click.command("rotate-key")
@config_option
@state_dir_option
def rotate_key(config: Path | None, state_dir: Path | None) -> None:
    """Make a new key for the ledger's signatures.

    It is written beside the old one as host.key.next. The running agent names it in a record that
    the old key signs, then puts it in the old one's place, which is gone for good: within two
    hours. Keep the new host.pub for those who check.

    \b
    Example:
      sudo -u wattlas wattlas ledger rotate-key
    """
    from agent.audit.signer import NEXT, NoKey, load, make  # noqa: PLC0415 - keeps --help fast

    if state_dir is None:
        settings, _ = load_settings(config)
        state_dir = Path(settings.agent.state_dir)
        own = settings.ledger.signing_key_file
        key_file = Path(own) if own else state_dir / "host.key"
    else:
        key_file = state_dir / "host.key"
    upcoming = key_file.with_name(key_file.name + NEXT)
    if upcoming.exists():
        raise Failure(f"{upcoming}: is there already; the agent takes it over within two hours")
    try:
        load(key_file)
        owner = key_file.stat()
        make(upcoming)
        if os.geteuid() == 0:
            os.chown(upcoming, owner.st_uid, owner.st_gid)
    except NoKey as error:
        raise Failure(str(error)) from None
    click.echo(f"{upcoming}: the agent takes it over within two hours")
