"""Going on from where the last run of the agent was stopped, or killed."""

from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from agent import host as this_host
from agent.accounts import Accounts
from agent.collector import Paths
from agent.ledger import LedgerWriter
from agent.ledger.saved import AgentState
from agent.meter import MeterState

UNKNOWN_BOOT: Final = "unknown-"


def resume(
    ledger: LedgerWriter,
    intervals: Mapping[str, float],
    peaks_of: Callable[[str], Mapping[str, float]],
    totals: dict[str, float],
) -> tuple[Accounts, AgentState] | None:
    """Open the ledger; return what it has and fill `totals`. None: nothing that is understood.

    Raises `LedgerError` where only a person can help.
    """
    identities, body = ledger.open()
    if body is None:
        return None
    try:
        state = msgspec.msgpack.decode(body, type=AgentState)
        accounts = Accounts(
            intervals, identities, state.meter, state.work, state.host, peaks_of=peaks_of
        )
    except (msgspec.MsgspecError, ValueError) as error:
        ledger.disown(f"the saved state is not understood ({error})")
        return None
    totals.update(state.totals)
    return accounts, state


def boot_id(paths: Paths, state: MeterState, now: float) -> str:
    """Return the id of this boot; where the kernel gives none, tell by the clock (boottime)."""
    found = this_host.boot_id(paths)
    went_on = bool(state.boot_id) and now >= state.boottime
    if found and went_on and state.boot_id.startswith(UNKNOWN_BOOT):
        state.boot_id = found  # it could not be read before: no second reboot
    # without an id, a clock that went back says that the host booted
    return found or (state.boot_id if went_on else f"{UNKNOWN_BOOT}{now}")
