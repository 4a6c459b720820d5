"""`wattlas run` with one more collector, which gives as many series as are wanted.

python benchmarks/cost/many.py wattlas.toml 5000
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from agent import logs
from agent.cli.common import load_settings
from agent.collector import CollectorSettings, Context, Found, Problem, find_collectors
from agent.daemon import run_blocking
from agent.quantities import Component, Ratio
from agent.samples import Sample, Utilization
from agent.settings import load

OTHERS = 70
"""Series, about, that the agent has without this collector."""


class Many:
    """Utilisation of ports that do not exist; every value is new at each tick."""

    Settings: ClassVar[type[CollectorSettings]] = CollectorSettings
    series = 0

    def __init__(self, settings: CollectorSettings, context: Context) -> None:
        del settings
        self._clock = context.clock
        self._turn = 0

    async def collect(self) -> Sequence[Sample]:
        """Return one sample per series."""
        at = self._clock.boottime()
        self._turn += 1
        return [
            Utilization(
                "many", Component.NIC, f"port-{n:05d}", at, Ratio((n * 7 + self._turn) % 997 / 997)
            )
            for n in range(self.series)
        ]

    def problems(self) -> Sequence[Problem]:
        """Nothing can go wrong."""
        return ()

    def close(self) -> None:
        """Nothing to close."""


def main() -> None:
    """Run the agent."""
    file, Many.series = Path(sys.argv[1]), max(0, int(sys.argv[2]) - OTHERS)
    installed = find_collectors()
    found = Found({**installed.classes, "many": Many}, installed.broken)
    logs.configure("warning")
    settings = load(file, {name: cls.Settings for name, cls in found.classes.items()})
    run_blocking(settings, found, lambda: load_settings(file)[0], None)


if __name__ == "__main__":
    main()
