"""A Grafana with the product's dashboards, where one is installed: provisioned by files of its own.

No Grafana is on the machines that test this: that it starts was tried by nobody. What it is given
is what its documentation names ("Provision Grafana", "Configure Grafana").
"""

import json
import shutil
from pathlib import Path

from hardware.site.processes import Process, fetch, free_port

HOMES = (Path("/usr/share/grafana"), Path("/usr/local/share/grafana"))


def grafana_command() -> list[str]:
    """Return how Grafana's server is started; [] if it is not installed."""
    if found := shutil.which("grafana"):
        return [found, "server"]
    if found := shutil.which("grafana-server"):
        return [found]
    return []


class Grafana(Process):
    """A Grafana that anybody on this machine may look at. Use as `with Grafana(…) as grafana:`."""

    def __init__(
        self, directory: Path, prometheus: str, dashboards: Path, *, port: int = 0
    ) -> None:
        """Start it and wait until it serves. `prometheus`: its address; `dashboards`: the JSON."""
        self.url = f"http://127.0.0.1:{port or free_port()}"
        provisioning = directory / "provisioning"
        _put(
            provisioning / "datasources" / "wattlas.yml",
            {
                "apiVersion": 1,
                "datasources": [
                    {
                        "name": "Prometheus",
                        "uid": "prometheus",
                        "type": "prometheus",
                        "access": "proxy",
                        "url": prometheus,
                        "isDefault": True,
                    }
                ],
            },
        )
        _put(
            provisioning / "dashboards" / "wattlas.yml",
            {
                "apiVersion": 1,
                "providers": [
                    {"name": "wattlas", "type": "file", "options": {"path": str(dashboards)}}
                ],
            },
        )
        home = next((each for each in HOMES if each.is_dir()), None)
        command = grafana_command() + ([f"--homepath={home}"] if home else [])
        super().__init__(
            "grafana",
            command,
            directory / "grafana.log",
            GF_PATHS_PROVISIONING=str(provisioning),
            GF_PATHS_DATA=str(directory / "data"),
            GF_PATHS_LOGS=str(directory / "logs"),
            GF_SERVER_HTTP_ADDR="127.0.0.1",
            GF_SERVER_HTTP_PORT=self.url.rpartition(":")[2],
            GF_AUTH_ANONYMOUS_ENABLED="true",
            GF_ANALYTICS_REPORTING_ENABLED="false",
            GF_ANALYTICS_CHECK_FOR_UPDATES="false",
        )
        try:
            self.until("serves", lambda: fetch(f"{self.url}/api/health"))
        except BaseException:
            self.stop()
            raise


def _put(path: Path, document: dict[str, object]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=1))  # JSON is YAML
