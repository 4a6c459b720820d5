"""A host whose grid collector asks APIs on loopback, on a clock that the test sets."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from agent.carbon.intensity import Intensity
from agent.carbon.settings import CarbonSettings
from agent.collector import Context, Paths
from agent.quantities import Seconds
from collectors.grid import Grid, GridSettings

FIXTURES = Path(__file__).parents[2] / "fixtures" / "grid"


def fixture(name: str) -> bytes:
    return (FIXTURES / name).read_bytes()


def moment(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


class Clock:
    def __init__(self, wall: float) -> None:
        self.at = wall
        self.up = 1000.0

    def wall(self) -> Seconds:
        return Seconds(self.at)

    def boottime(self) -> Seconds:
        return Seconds(self.up)

    monotonic = boottime


class Host:
    """The collector as the agent drives it."""

    def __init__(
        self, carbon: dict, now: str, *, zone: str = "", state_dir: Path | None = None, **grid
    ) -> None:
        self.clock = Clock(moment(now))
        self.carbon = msgspec.convert(carbon, CarbonSettings)
        self.settings = msgspec.convert({"request_seconds": 20.0} | grid, GridSettings)
        self.zone, self.state_dir = zone, state_dir
        self.restart()

    def restart(self) -> None:
        context = Context(
            Paths(),
            self.clock,
            lambda _component, _device: None,
            carbon=self.carbon,
            grid_zone=self.zone,
            state_dir=self.state_dir,
        )
        self.collector = Grid(self.settings, context)

    def collect(self, later: float = 0.0) -> list[Intensity]:
        self.clock.at += later
        self.clock.up += later
        samples = asyncio.run(self.collector.collect())
        return [value for sample in samples for value in sample.values]

    @property
    def problems(self) -> dict[str, str]:
        return {p.what: p.reason for p in self.collector.problems()}

    @property
    def whys(self) -> str:
        return "\n".join(f"{p.why} {p.remedy}" for p in self.collector.problems())


def grams(values: list[Intensity]) -> list[float]:
    return [value.grams_per_kwh for value in values]
