"""`wattlas ledger`: proves that the ledger is as it was written, and hands it over."""

import click

from agent.cli.ledger_export import export
from agent.cli.ledger_key import rotate_key
from agent.cli.ledger_verify import verify


@click.group()
def ledger() -> None:
    """Prove that the ledger is as it was written; hand it over.

    \b
    Examples:
      wattlas ledger verify
      wattlas ledger export --output energy-2026 --from 2026-01-01 --to 2027-01-01
      wattlas ledger verify energy-2026 --public-key host.pub
    """


ledger.add_command(verify)
ledger.add_command(export)
ledger.add_command(rotate_key)
