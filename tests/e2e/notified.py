"""Who is told of an alert: a webhook, the sample's routes to it, and rules with short windows."""

import json
import re
import threading
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import resources
from typing import Any, Self

import msgspec

from dashboards.rules import Alert, Group

SHORT = {"[5m]": "[20s]", "[30m:5m]": "[15s:3s]"}
"""Windows over what is measured now. Those over the past, 7 and 28 days, stay."""


class Webhook:
    """Takes Alertmanager's notifications
    (https://prometheus.io/docs/alerting/latest/configuration/#webhook_config).
    """

    def __init__(self) -> None:
        self.told: list[tuple[str, dict[str, Any]]] = []
        """Path and body of each."""
        webhook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                webhook.told.append((self.path, json.loads(body)))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def alerts(self, status: str, name: str) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield path and alert of every notification of an alert that is firing or resolved."""
        for path, body in list(self.told):
            for alert in body["alerts"]:
                if alert["labels"]["alertname"] == name and alert["status"] == status:
                    yield path, alert

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def sample_routes(webhook: Webhook) -> str:
    """Return the sample configuration of Alertmanager with short waits, posting to a webhook."""
    text = (resources.files("dashboards") / "alertmanager.yml").read_text(encoding="utf-8")
    text, posts = re.subn(r"http://127\.0\.0\.1:9099", webhook.url, text)
    text, waits = re.subn(r"(group_(?:wait|interval)): \w+", r"\1: 1s", text)
    assert posts >= 3
    assert waits >= 3
    return text


def in_seconds(groups: Sequence[Group]) -> Iterator[Group]:
    """Yield groups that are evaluated each second and wait seconds, not minutes."""
    for group in groups:
        rules = []
        for rule in group.rules:
            text = rule.expression
            for long, short in SHORT.items():
                text = text.replace(long, short)
            changed = msgspec.structs.replace(rule, expression=text)
            if isinstance(changed, Alert):
                keep = "3s" if changed.keep_firing_for else ""
                changed = msgspec.structs.replace(changed, for_="3s", keep_firing_for=keep)
            rules.append(changed)
        interval = "1s" if group.interval == "1m" else "5s"
        yield Group(group.name, interval, tuple(rules))
