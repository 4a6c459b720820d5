"""Debian's VictoriaMetrics (1.79), filled through its import API."""

import urllib.request
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Self

from hardware.site.processes import Process, fetch, free_port

from engines.promql import PromQL

WAIT_SECONDS = 120.0


class VictoriaMetrics(PromQL):
    """A single node. Use as `with VictoriaMetrics(dir) as victoria:`."""

    def __init__(self, directory: Path) -> None:
        super().__init__("")
        directory.mkdir(parents=True, exist_ok=True)
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self._process = Process(
            "VictoriaMetrics",
            [
                "victoria-metrics",
                f"-storageDataPath={directory}/data",
                f"-httpListenAddr=127.0.0.1:{port}",
                "-retentionPeriod=10y",
                "-search.latencyOffset=0s",
                "-search.disableCache",
                "-loggerLevel=ERROR",
            ],
            directory / "victoria.log",
        )

    def __enter__(self) -> Self:
        self._process.until("answers", lambda: fetch(f"{self.url}/health"))
        return self

    def fill(self, lines: Iterable[str]) -> None:
        """Import lines of the text format with timestamps in milliseconds."""
        body = "\n".join(lines).encode()
        request = urllib.request.Request(f"{self.url}/api/v1/import/prometheus", body)
        with urllib.request.urlopen(request, timeout=WAIT_SECONDS):
            pass
        with urllib.request.urlopen(f"{self.url}/internal/force_flush", timeout=WAIT_SECONDS):
            pass  # what was taken in can be asked for now

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.stop()
