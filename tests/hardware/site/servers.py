"""A real Prometheus that scrapes the simulated site, and a real Alertmanager beside it.

Flags and settings are those that Prometheus 2.42 (Debian 12) and 3.x both know; both listen on the
loopback only and end with their `with`.
"""

import json
import shutil
import urllib.parse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hardware.site.processes import Process, fetch, free_port
from hardware.site.site import JOB

RETENTION = "60d"
ALERTMANAGERS = ("prometheus-alertmanager", "alertmanager")
"""What Debian calls it, and what the project does."""


def alertmanager_program() -> str:
    """Return where Alertmanager is; "" if it is not installed."""
    return next((found for name in ALERTMANAGERS if (found := shutil.which(name))), "")


class Prometheus(Process):
    """A Prometheus with its own storage. Use as `with Prometheus(…) as prometheus:`."""

    def __init__(
        self,
        directory: Path,
        targets: Mapping[str, str],
        *,
        port: int = 0,
        storage: Path | None = None,
        scrape_seconds: float = 5.0,
        evaluate_seconds: float | None = None,
        rule_files: Sequence[Path] = (),
        external_labels: Mapping[str, str] | None = None,
        alertmanagers: Sequence[str] = (),
    ) -> None:
        """Start it and wait until it is ready.

        `targets`: label `instance` to host and port. `storage`: where its blocks are, a history
        perhaps. `evaluate_seconds` unset: rules are evaluated as often as agents are scraped.
        `alertmanagers`: host and port of each.
        """
        program = shutil.which("prometheus")
        if program is None:
            raise FileNotFoundError("prometheus is not installed")
        directory.mkdir(parents=True, exist_ok=True)
        self.storage = storage or directory / "data"
        self.address = f"127.0.0.1:{port or free_port()}"
        self.url = f"http://{self.address}"
        scrape = f"{scrape_seconds * 1000:.0f}ms"
        settings: dict[str, Any] = {
            "global": {
                "scrape_interval": scrape,
                "scrape_timeout": scrape,
                "evaluation_interval": f"{(evaluate_seconds or scrape_seconds) * 1000:.0f}ms",
                "external_labels": dict(external_labels or {"prometheus": "simulated"}),
            },
            "rule_files": [str(path.resolve()) for path in rule_files],
            "scrape_configs": [
                {
                    "job_name": JOB,
                    "static_configs": [
                        {"targets": [address], "labels": {"instance": instance}}
                        for instance, address in targets.items()
                    ],
                }
            ],
        }
        if alertmanagers:
            targets_of = [{"targets": list(alertmanagers)}]
            settings["alerting"] = {"alertmanagers": [{"static_configs": targets_of}]}
        config = directory / "prometheus.yml"
        config.write_text(json.dumps(settings, indent=1))  # JSON is YAML
        command = [
            program,
            f"--config.file={config}",
            f"--storage.tsdb.path={self.storage}",
            f"--storage.tsdb.retention.time={RETENTION}",
            f"--web.listen-address={self.address}",
        ]
        super().__init__("prometheus", command, directory / "prometheus.log")
        try:
            self.until("is ready", lambda: fetch(f"{self.url}/-/ready"))
        except BaseException:
            self.stop()
            raise

    def ask(self, path: str, **parameters: str) -> Any:
        """Return `data` of an answer of its HTTP API; None where it has none."""
        query = urllib.parse.urlencode(parameters)
        answer = fetch(f"{self.url}/api/v1/{path}?{query}", 30.0)
        return json.loads(answer)["data"] if answer else None

    def query(self, promql: str, at: float | None = None) -> list[tuple[dict[str, str], float]]:
        """Return labels and values of an instant query, now or at a Unix time."""
        more = {} if at is None else {"time": f"{at:.3f}"}
        found = self.ask("query", query=promql, **more)
        rows = found["result"] if found else []
        return [(row["metric"], float(row["value"][1])) for row in rows]

    def value(self, promql: str, at: float | None = None) -> float | None:
        """Return the value of a query that gives one, None if it gives none."""
        rows = self.query(promql, at)
        return rows[0][1] if rows else None

    def wait_for_targets(self, count: int) -> None:
        """Wait until so many agents are up."""
        self.until(
            f"has scraped {count} agents",
            lambda: self.value(f'sum(up{{job="{JOB}"}})') == float(count),
        )


class Alertmanager(Process):
    """A real Alertmanager, alone."""

    def __init__(self, directory: Path, config: Path, *, port: int = 0) -> None:
        """Start it and wait until it is ready; `config` is its alertmanager.yml."""
        program = alertmanager_program()
        if not program:
            raise FileNotFoundError("Alertmanager is not installed")
        directory.mkdir(parents=True, exist_ok=True)
        self.address = f"127.0.0.1:{port or free_port()}"
        self.url = f"http://{self.address}"
        command = [
            program,
            f"--config.file={config}",
            f"--storage.path={directory / 'data'}",
            f"--web.listen-address={self.address}",
            "--cluster.listen-address=",  # it is alone: no gossip, no port for it
        ]
        super().__init__("alertmanager", command, directory / "alertmanager.log")
        try:
            self.until("is ready", lambda: fetch(f"{self.url}/-/ready"))
        except BaseException:
            self.stop()
            raise
