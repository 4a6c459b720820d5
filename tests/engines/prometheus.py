"""Debian's Prometheus on a directory of blocks that a test has made."""

import subprocess
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Self

from hardware.site.processes import Process, fetch, free_port

from engines.promql import PromQL

CONFIG = "global: {evaluation_interval: 1m}\n"
BLOCK_SECONDS = 64800.0
"""Length of Prometheus' third level of blocks: 2 h times 3 times 3."""


class Prometheus(PromQL):
    """A Prometheus that scrapes nothing by itself. Use as `with Prometheus(dir) as prometheus:`."""

    def __init__(
        self, directory: Path, config: str = CONFIG, *more: str, storage: Path | None = None
    ) -> None:
        """`config` is the text of prometheus.yml; `more` are options of its command line."""
        super().__init__("")
        self.directory = directory
        self.storage = storage or directory / "data"
        self._options = more
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "prometheus.yml").write_text(config)
        self.storage.mkdir(parents=True, exist_ok=True)
        self._process: Process | None = None

    def fill(self, pages: Iterable[Path]) -> None:
        """Make blocks of OpenMetrics files with timestamps; while it is not running.

        promtool reads a file once for every block that it makes, so a long past is cheaper in
        several files of BLOCK_SECONDS each.
        """
        for page in pages:
            hours = f"--max-block-duration={BLOCK_SECONDS / 3600:.0f}h"
            command = ["promtool", "tsdb", "create-blocks-from", "-q", hours, "openmetrics"]
            done = subprocess.run(
                [*command, page, self.storage],
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode:
                raise RuntimeError(f"promtool: {done.stdout}{done.stderr}")

    def start(self) -> None:
        """Start it and wait until it answers."""
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self._process = Process(
            "Prometheus",
            [
                "prometheus",
                f"--config.file={self.directory}/prometheus.yml",
                f"--storage.tsdb.path={self.storage}",
                "--storage.tsdb.retention.time=10y",
                f"--web.listen-address=127.0.0.1:{port}",
                "--web.enable-lifecycle",
                *self._options,
            ],
            self.directory / "prometheus.log",
        )
        self._process.until("answers", lambda: fetch(f"{self.url}/-/ready"))

    def stop(self) -> None:
        """End it."""
        if self._process is not None:
            self._process.stop()
            self._process = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
