"""The real collector and a simulated BMC, over real HTTP."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hardware.redfish import Bmc
from unit.collectors.trees import Clock, context, put

from agent.collector import Absent, Transient
from agent.samples import PowerReading
from collectors.redfish import Redfish
from collectors.redfish_settings import RedfishSettings


class Rig:
    """One collector in an event loop of its own."""

    def __init__(self, root: Path, url: str, **settings: Any) -> None:
        self.root = root
        self.clock = Clock()
        self.secret = put(root / "secret", "right horse")
        login = {"user": "monitor", "password_file": str(self.secret)}
        everything = {"url": url, "timeout_seconds": 20.0, **login, **settings}
        self.collector = Redfish(RedfishSettings(**everything), context(root, self.clock))
        self._runner = asyncio.Runner()

    def read(self) -> PowerReading:
        """Return the one sample."""
        [sample] = self._runner.run(self.collector.collect())
        assert isinstance(sample, PowerReading)
        return sample

    def watts(self) -> float:
        """Return the power, W."""
        return self.read().watts

    def fails(self) -> Transient:
        """Return how reading fails."""
        with pytest.raises(Transient) as caught:
            self.read()
        assert "right horse" not in caught.value.why + caught.value.remedy
        return caught.value

    def absent(self) -> Absent:
        """Return why there is nothing to read."""
        with pytest.raises(Absent) as caught:
            self.read()
        return caught.value

    def problems(self) -> list[tuple[str, str]]:
        """Return what is told though there is a figure."""
        return [(problem.what, problem.reason) for problem in self.collector.problems()]

    def close(self) -> None:
        """Close the collector as the agent does: in its loop, which ends soon after."""

        async def end() -> None:
            self.collector.close()
            client = self.collector._client
            if client is not None and client._closing is not None:
                await client._closing

        self._runner.run(end())
        self._runner.close()
        login = self.collector._login
        if login is not None and login.leaving is not None:
            login.leaving.join()


@contextmanager
def rig(bmc: Bmc, root: Path, **settings: Any) -> Iterator[Rig]:
    """Give a collector that asks this BMC."""
    made = Rig(root, settings.pop("url", bmc.url), **settings)
    try:
        yield made
    finally:
        bmc.release()
        made.close()
