"""The host's energy while a command ran, where there is a meter of the whole server.

Such meters are read every few seconds, so what a short command did falls between two readings:
its energy is that of the parts, with the modelled rest of the server, as on a host without one.
From `ENOUGH_READINGS` on it is the wall's mean power over its readings times the command's time.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from types import MappingProxyType
from typing import Final, NamedTuple

from agent.meter import StreamView
from agent.quantities import Component, Quality
from agent.snapshot import HostPower, Snapshot

ENOUGH_READINGS: Final = 10


class HostBetween(NamedTuple):
    """What the host used between two pictures."""

    joules: dict[str, float]
    """By quality."""
    powers: Sequence[HostPower]
    """At each moment that was seen."""
    by_wall: bool = False
    rest: Mapping[tuple[str, str, str, str], float] = MappingProxyType({})
    """J of the modelled rest by component, device, source and quality, where it was kept from
    counting and is in `joules` all the same."""


def host_between(
    before: Snapshot, after: Snapshot, duration: float, seen: Sequence[Snapshot]
) -> HostBetween:
    """Return the host's energy between two pictures, of a command that took `duration` s."""
    if not any(_is_wall(stream) for stream in after.streams):
        joules = {
            quality.value: total - before.host_joules.get(quality, 0.0)
            for quality, total in after.host_joules.items()
        }
        return HostBetween(joules, [snapshot.host_power for snapshot in seen[1:]])
    readings = len({_wall_seconds(snapshot) for snapshot in seen}) - 1
    if readings >= ENOUGH_READINGS:
        powers = [s.host_power for s in seen[1:]]
        return HostBetween(_by_wall(before, after, duration), powers, by_wall=True)
    joules, rest = _by_parts(before, after), _rest_between(seen)
    for (*_, quality), more in rest.items():
        joules[quality] = joules.get(quality, 0.0) + more
    return HostBetween(joules, [_parts_power(s) for s in seen[1:]], rest=rest)


def _by_wall(before: Snapshot, after: Snapshot, duration: float) -> dict[str, float]:
    earlier = {s.identity: (s.joules, s.seconds) for s in before.streams}
    found: dict[str, float] = {}
    for stream in after.streams:
        joules, seconds = earlier.get(stream.identity, (0.0, 0.0))
        if _is_wall(stream) and stream.counts_now and stream.seconds > seconds:
            watts = (stream.joules - joules) / (stream.seconds - seconds)
            quality = stream.identity.quality.value
            found[quality] = found.get(quality, 0.0) + watts * duration
    return found


def _by_parts(before: Snapshot, after: Snapshot) -> dict[str, float]:
    earlier = {s.identity: s.joules for s in before.streams}
    found: dict[str, float] = {}
    for stream in after.streams:
        if not _is_wall(stream) and (stream.joules or not stream.cross_check):
            rise = stream.joules - earlier.get(stream.identity, 0.0)
            quality = stream.identity.quality.value
            found[quality] = found.get(quality, 0.0) + rise
    return found


def _rest_between(seen: Sequence[Snapshot]) -> dict[tuple[str, str, str, str], float]:
    """Integrate the modelled rest's power over the moments that were seen."""
    found: dict[tuple[str, str, str, str], float] = {}
    for one, other in pairwise(seen):
        for stream in (_modelled_rest(one), _modelled_rest(other)):
            if stream is not None and stream.watts is not None:
                who = stream.identity
                key = (who.component.value, who.device, who.source, who.quality.value)
                joules = stream.watts / 2 * (other.wall - one.wall)
                found[key] = found.get(key, 0.0) + joules
    return found


def _parts_power(snapshot: Snapshot) -> HostPower:
    """Return the sum of the parts' power with the modelled rest, as without a wall."""
    shares: dict[tuple[Quality, str], float] = {}
    half_width = 0.0
    rest = _modelled_rest(snapshot)
    for stream in snapshot.streams:
        who = stream.identity
        if _is_wall(stream) or stream.retired:
            continue
        if stream.watts is None:
            if not stream.cross_check:
                return HostPower({}, None)
        elif stream.counts_now or stream is rest:
            key = (who.quality, who.source)
            shares[key] = shares.get(key, 0.0) + stream.watts
            half_width += stream.half_width_watts
    total = sum(shares.values())
    return HostPower(shares, half_width / total if total > 0 else None)


def _modelled_rest(snapshot: Snapshot) -> StreamView | None:
    """Return the model of the rest of the server where the wall keeps it from counting."""
    for stream in snapshot.streams:
        who = stream.identity
        if (who.component, who.quality) == (Component.PLATFORM, Quality.ESTIMATED) and (
            stream.watts is not None and stream.cross_check and not stream.counts_now
        ):
            return stream
    return None


def _is_wall(stream: StreamView) -> bool:
    return stream.identity.component == Component.HOST


def _wall_seconds(snapshot: Snapshot) -> float:
    return max((s.seconds for s in snapshot.streams if _is_wall(s)), default=0.0)
