"""What a person wants to know of a chain as a whole. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from agent.audit.record import ADOPTED, DAY, HOUR, RESTATED, kind_of
from agent.audit.verdict import iso, iso_hour
from agent.audit.walk import Walk

OVERDUE_SECONDS: Final = 7200.0
"""An hour is sealed some minutes after its end; so much later something is wrong."""


def facts(walk: Walk, adopting: int, as_of: float) -> dict[str, Any]:
    """Return counts and the newest record, for programs too.

    `adopting`: hours and days of before the chain that are not sealed yet. `as_of`: Unix time of
    the last write; 0: not known.
    """
    # hour 0 has the factors that came with the program, which nobody fetched
    hours = [hour for span, hour in walk.newest if span == HOUR and hour != 0]
    head, kinds = walk.head, walk.kinds
    newest = None
    if head is not None:
        hashed = head.hash.hex() if isinstance(head.hash, bytes) else None
        newest = {"number": head.number, "hash": hashed, "sealed_at": iso(head.sealed_at)}
    return {
        "records": walk.count,
        "head": newest,
        "hours": len(hours),
        "first_hour": iso_hour(min(hours)) if hours else None,
        "newest_hour": iso_hour(max(hours)) if hours else None,
        "adopted": kinds.get(kind_of(HOUR, ADOPTED), 0),
        "restatements": sum(kinds.get(kind_of(span, RESTATED), 0) for span in (HOUR, DAY)),
        "keys": [public.hex() for _, public in walk.signatures.keys],
        "signed": walk.signatures.signed,
        "unsigned": walk.signatures.unsigned,
        "waiting_to_be_adopted": adopting,
        "written_at": iso(as_of) if as_of else None,
    }


def remarks(walk: Walk, facts: Mapping[str, Any], idle_seconds: float) -> Iterator[str]:
    """Yield what is no fault and should be known. `idle_seconds`: since the last write."""
    if walk.head is None:
        yield "There is no chain yet: the agent begins one within a minute of its start."
        return
    if facts["adopted"]:
        yield (
            f"{facts['adopted']} hours were there before the chain: they are sealed as they were"
            " found, nobody witnessed them when they were measured."
        )
    if facts["waiting_to_be_adopted"]:
        yield (
            f"{facts['waiting_to_be_adopted']} hours and days of before the chain still wait to be"
            " sealed."
        )
    if walk.clock_went_back:
        some = ", ".join(map(str, walk.clock_went_back[:5]))
        yield f"The clock was set back before record {some}; the order of records is by number."
    if walk.pruned_hours:
        yield (
            f"Hours before {iso_hour(walk.pruned_hours)} were deleted after their retention; their"
            " figures stand in the chain."
        )
    if not walk.signatures.keys:
        yield "The records are not signed ([ledger] sign, or no key yet)."
    elif facts["unsigned"]:
        yield f"{facts['unsigned']} of the newest records wait for their signature."
    if idle_seconds > OVERDUE_SECONDS:
        yield (
            f"Nothing was written for {idle_seconds / 3600:.0f} h, since {facts['written_at']}: the"
            " agent is not running, or the newest part was cut off."
        )
