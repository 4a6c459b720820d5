"""Who counts at this moment, and who should have a figure and has none."""

from collections.abc import Sequence

from agent.meter import teams
from agent.meter.arbitration import Arrangement
from agent.meter.state import StreamIdentity
from agent.meter.stream import Stream
from agent.meter.view import StreamView
from agent.quantities import Component


def counts_now(index: int, streams: Sequence[Stream], arrangement: Arrangement) -> bool:
    """Tell whether a stream's power is part of the host's at this moment.

    Of the whole server's meters: whether it is one of the team whose power the host's is.
    """
    stream = streams[index]
    if stream.watts is None or stream.state.retired or index in arrangement.left_out:
        return False
    for better in arrangement.blockers[index]:
        if streams[better].watts is not None:
            return False
    for team in arrangement.gives_way[index]:
        if teams.has_figure(team, streams):
            return False
    if stream.identity.component is not Component.HOST:
        return True
    return any(
        index in team.indices and teams.has_figure(team, streams) for team in arrangement.teams
    )


def missing(streams: Sequence[Stream], arrangement: Arrangement) -> list[StreamIdentity]:
    """Return the parts that should have a figure now, have none, and nothing fills in."""
    return [
        stream.identity
        for index, stream in enumerate(streams)
        if stream.watts is None
        and stream.identity.component != Component.HOST
        and _leads(index, streams, arrangement)
        and not any(teams.has_figure(team, streams) for team in arrangement.gives_way[index])
        and not any(counts_now(f, streams, arrangement) for f in arrangement.fallbacks[index])
    ]


def views(streams: Sequence[Stream], arrangement: Arrangement) -> list[StreamView]:
    """Return every stream with its totals and its power now."""
    return [
        StreamView(
            identity=stream.identity,
            joules=stream.state.joules,
            seconds=stream.state.seconds,
            gap_seconds=stream.state.gap_seconds,
            watts=stream.watts,
            half_width_watts=stream.half_width,
            counts_now=counts_now(index, streams, arrangement),
            cross_check=_is_second(index, streams, arrangement),
            retired=stream.state.retired,
            resets=stream.state.resets,
        )
        for index, stream in enumerate(streams)
    ]


def _is_second(index: int, streams: Sequence[Stream], arrangement: Arrangement) -> bool:
    """Tell whether it is only a second opinion while the better sources are there."""
    if index in arrangement.left_out:
        return True
    for better in arrangement.blockers[index]:
        if not streams[better].state.retired:
            return True
    way = arrangement.gives_way[index]
    return bool(way) and any(teams.is_there(team, streams) for team in way)


def _leads(index: int, streams: Sequence[Stream], arrangement: Arrangement) -> bool:
    """Tell whether no better source of the same part is there."""
    return (
        index not in arrangement.left_out
        and not streams[index].state.retired
        and all(streams[b].state.retired for b in arrangement.blockers[index])
    )
