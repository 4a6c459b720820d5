"""Going on from where the last run of the agent was stopped, or killed."""

from collections.abc import Callable, Mapping
from typing import Final

import msgspec
import structlog

from agent import host as this_host
from agent.accounts import Accounts
from agent.collector import Paths
from agent.ledger import LedgerWriter
from agent.ledger.saved import AgentState
from agent.meter import MeterState, Posting, StreamIdentity
from agent.meter.minutes import OpenMinutes, close, spread

UNKNOWN_BOOT: Final = "unknown-"

log = structlog.get_logger()


def resume(
    ledger: LedgerWriter,
    intervals: Mapping[str, float],
    peaks_of: Callable[[str], Mapping[str, float]],
    totals: dict[str, float],
    now_boot: str = "",
) -> tuple[Accounts, AgentState] | None:
    """Open the ledger; return what it has and fill `totals`. None: nothing that is understood.

    Where the last agent of this boot (`now_boot`, the kernel's id of it) showed more than the
    ledger has, go on from what it showed.

    Raises `LedgerError` where only a person can help.
    """
    identities, state = _decoded(ledger, *ledger.open())
    shown, newest = _decoded(ledger, *ledger.open_spare(), spare=True)
    if newest is not None and _is_newer(newest, state, now_boot):
        log.warning(
            "ledger_is_behind",
            seconds=_seconds_behind(newest, state),
            why="the last agent could not write what it showed last, or the ledger has lost it;"
            " totals go on from a copy, of that time the ledger has the energy and no detail",
        )
        if shown[: len(identities)] != identities:
            ledger.disown("it has other streams than what was shown last")
            state = None
        ledger.owe(shown, _owed(newest.meter, state.meter if state else None))
        identities, state = shown, newest
    if state is None:
        return None
    try:
        accounts = Accounts(
            intervals, identities, state.meter, state.work, state.host, peaks_of=peaks_of
        )
    except ValueError as error:
        ledger.disown(f"the saved state is not understood ({error})")
        return None
    totals.update(state.totals)
    return accounts, state


def _decoded(
    ledger: LedgerWriter,
    identities: list[StreamIdentity],
    body: bytes | None,
    *,
    spare: bool = False,
) -> tuple[list[StreamIdentity], AgentState | None]:
    """Return a state that fits its streams; the ledger is disowned if its own does not."""
    if body is None:
        return [], None
    try:
        state = msgspec.msgpack.decode(body, type=AgentState)
        if len(state.meter.streams) != len(identities):
            raise ValueError(f"{len(identities)} streams and {len(state.meter.streams)} states")
    except (msgspec.MsgspecError, ValueError) as error:
        if not spare:
            ledger.disown(f"the saved state is not understood ({error})")
        return [], None
    return identities, state


def _is_newer(spare: AgentState, state: AgentState | None, boot: str) -> bool:
    """Tell whether a spare state of this boot is later than the ledger's."""
    if not boot or spare.meter.boot_id != boot:
        return False
    if state is None or state.meter.boot_id != boot:
        return True
    return spare.meter.boottime > state.meter.boottime


def _seconds_behind(spare: AgentState, state: AgentState | None) -> float | None:
    if state is None or state.meter.boot_id != spare.meter.boot_id:
        return None
    return round(spare.meter.boottime - state.meter.boottime, 1)


def _owed(spare: MeterState, ledger: MeterState | None) -> list[Posting]:
    """Return what the newer state's totals hold and the ledger's tables do not, evenly spread.

    Nothing where the ledger is a new one: what it was before is set aside and stays there.
    """
    if ledger is None:
        return []
    before, after = _posted(ledger), _posted(spare)
    until = spare.wall
    begin = until - 1.0
    if ledger.boot_id == spare.boot_id:
        begin = until - (spare.boottime - ledger.boottime)
    owed: OpenMinutes = {}
    for stream, row in enumerate(after):
        old = before[stream] if stream < len(before) else (0.0, 0.0, 0.0)
        joules, seconds, gap_seconds = (max(0.0, b - a) for a, b in zip(old, row, strict=True))
        if joules or seconds:
            spread(owed, stream, begin, until, seconds, joules)
        if gap_seconds:
            spread(owed, stream, begin, until, gap_seconds, None)
    return close(owed, -1)


def _posted(state: MeterState) -> list[tuple[float, float, float]]:
    """Return joules, seconds and gap seconds of each stream that are in the ledger's tables."""
    rows = [[s.joules, s.seconds, s.gap_seconds] for s in state.streams]
    for minute in state.open_minutes.values():
        for stream, amounts in minute.items():
            for column, amount in enumerate(amounts):
                rows[stream][column] -= amount
    return [(joules, seconds, gap) for joules, seconds, gap in rows]


def boot_id(paths: Paths, state: MeterState, now: float) -> str:
    """Return the id of this boot; where the kernel gives none, tell by the clock (boottime)."""
    found = this_host.boot_id(paths)
    went_on = bool(state.boot_id) and now >= state.boottime
    if found and went_on and state.boot_id.startswith(UNKNOWN_BOOT):
        state.boot_id = found  # it could not be read before: no second reboot
    # without an id, a clock that went back says that the host booted
    return found or (state.boot_id if went_on else f"{UNKNOWN_BOOT}{now}")
