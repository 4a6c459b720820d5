"""The agent's totals against the ledger's days."""

import sqlite3

import msgspec


def unexplained(db: sqlite3.Connection) -> dict[int, tuple[float, float]]:
    """Return by how many J each stream's total is more than its days and what is not posted yet.

    With each, how far rounding may take it from 0. More than that is there only where the ledger
    began with totals of another one. Empty where the state is not an agent's.
    """
    from agent.ledger.saved import AgentState  # noqa: PLC0415 - it is loaded in an agent

    row = db.execute("SELECT body FROM state WHERE id = 0").fetchone()
    try:
        state = msgspec.msgpack.decode(row[0] if row else b"", type=AgentState)
    except (msgspec.MsgspecError, TypeError):
        return {}
    posted = dict(db.execute("SELECT stream, total(joules) FROM day GROUP BY stream"))
    for rows in state.meter.open_minutes.values():
        for stream, amounts in rows.items():
            posted[stream] = posted.get(stream, 0.0) + amounts[0]
    return {
        stream: (one.joules - posted.get(stream, 0.0), rounding(one.joules))
        for stream, one in enumerate(state.meter.streams)
    }


def rounding(joules: float) -> float:
    """Return how far two sums of the same energy may be apart, in J.

    Each of n additions rounds by at most 2^-53 of the sum: 1e-7 covers 9e8 of them, a second each
    for 28 years.
    """
    return 1e-7 * abs(joules) + 1e-6
