"""What tests of the chain share."""

from unit.audit.made import FIRST_HOUR, HOURS, Life
from unit.ledger.rig import rows

from agent.audit.canonical import unpack

HOUR = FIRST_HOUR + 5


def kinds(state_dir):
    return [
        row[0] for row in rows(state_dir / "ledger.db", "SELECT kind FROM chain ORDER BY number")
    ]


def newest(state_dir, hour, kind="%"):
    """Return number, kind and body of the newest record of an hour."""
    found = rows(
        state_dir / "ledger.db",
        "SELECT number, kind, body FROM chain"
        f" WHERE hour = {hour} AND kind LIKE '{kind}' ORDER BY number",
    )
    number, what, body = found[-1]
    return number, what, unpack(body)


def resumed(state_dir, hour=FIRST_HOUR + HOURS):
    life = Life(state_dir)
    life.hour = hour
    return life
