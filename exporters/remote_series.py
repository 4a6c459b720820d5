"""What remote write sends of a snapshot: the series of /metrics, with labels of their own."""

from collections.abc import Mapping
from typing import Final

from agent.ledger.outbox import Outgoing
from agent.snapshot import Snapshot
from exporters.families import families
from exporters.remote_encoding import METRIC_NAME, Kind, Label, series

MAX_KEPT: Final = 20_000
"""Series whose bytes are kept from one reading to the next; beyond, they are made anew."""
_KINDS: Final = {"counter": Kind.COUNTER, "gauge": Kind.GAUGE}


class Series:
    """Turns snapshots into readings for the queue. Keeps each series' name and labels."""

    def __init__(self, labels: Mapping[str, str], help_of: dict[bytes, str]) -> None:
        """`labels`: those that each series gets; its own of the same name come first.

        `help_of` is filled with the help texts of what was there, by the metric's name.
        """
        self._labels: dict[str, str] = dict(labels)
        self._kept: dict[tuple[str, ...], bytes] = {}
        self._help_of = help_of

    def outgoing(self, snapshot: Snapshot, at_ms: int) -> Outgoing:
        """Return all samples of a snapshot, for a moment in Unix milliseconds."""
        values: dict[bytes, float] = {}
        if len(self._kept) > MAX_KEPT:
            self._kept.clear()
        for family in families(snapshot):
            kind = _KINDS.get(family.type, Kind.UNSPECIFIED)
            for sample in family.samples:
                key = (sample.name, *sample.labels, *sample.labels.values())
                kept = self._kept.get(key)
                if kept is None:
                    self._help_of[sample.name.encode()] = family.documentation
                    kept = self._kept[key] = series(kind, self._all(sample.name, sample.labels))
                # one sample per series and moment; /metrics has no two alike either
                values.setdefault(kept, sample.value)
        return Outgoing(at_ms, tuple(values), tuple(values.values()))

    def _all(self, name: str, own: Mapping[str, str]) -> list[Label]:
        labels = self._labels | {key: value for key, value in own.items() if value}
        # what is no UTF-8, such as a device's name with a stray byte, must not stop the rest
        pairs = [(key.encode(), value.encode(errors="replace")) for key, value in labels.items()]
        return [(METRIC_NAME, name.encode()), *pairs]
