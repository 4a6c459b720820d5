"""Which of two sources that say the same thing is listened to."""

from collections.abc import Hashable
from typing import Final, Generic, TypeVar

SOURCE_RANK: Final = {"rapl": 0, "nvml": 0, "redfish": 2, "ipmi": 3, "prometheus": 4}
"""A part's own interface before any other (1), in band before the BMC, Redfish before IPMI, and
before what somebody has mapped by hand."""
WALL_RANK: Final = {"prometheus": 0, "redfish": 1, "ipmi": 2, "hwmon": 3}
"""Of the whole server: a PDU's outlet, which an operator has mapped on purpose and which is the
wall, then the BMC (Redfish before IPMI), then ACPI, whose standard does not say where its meter
sits (ACPI 6.5, 10.4); others last."""
SILENT_SECONDS: Final = 60.0
"""A source that has said nothing for so long gives way to the next."""

Key = TypeVar("Key", bound=Hashable)


def source_rank(source: str) -> tuple[int, str]:
    """Return a sort key, best first."""
    return SOURCE_RANK.get(source, 1), source


def wall_rank(source: str) -> tuple[int, str]:
    """Return a sort key for sources of the whole server's power, best first."""
    return WALL_RANK.get(source, len(WALL_RANK)), source


class Preferred(Generic[Key]):
    """For each thing that can be said, who says it now."""

    def __init__(self) -> None:
        self._speakers: dict[Key, tuple[str, float]] = {}

    def listens_to(self, key: Key, source: str, at: float) -> bool:
        """Tell whether to take what this source says of a thing; `at` in s."""
        speaker = self._speakers.get(key)
        if speaker is not None and speaker[0] != source:
            silent = at - speaker[1] > SILENT_SECONDS
            if not silent and source_rank(speaker[0]) < source_rank(source):
                return False
        self._speakers[key] = (source, at)
        return True

    def forget(self, key: Key) -> None:
        """Forget who spoke of a thing that is gone."""
        self._speakers.pop(key, None)
