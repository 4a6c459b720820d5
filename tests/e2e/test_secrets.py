"""No secret in the log, the metrics, the process list, the ledger, or a command's output.

Everything that is asked answers with all that it was sent, refuses it, and fails in other ways.
"""

import base64
import contextlib
import signal
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Self
from urllib.parse import quote

import bcrypt
import pytest
from e2e.agents import Agent, settings, until, wattlas
from unit.exporters.certificates import Authority

from agent.settings_error import SettingsError
from exporters.web_access import read

pytestmark = [pytest.mark.e2e, pytest.mark.parallel]

NAMES = ("scrape", "page", "dcgm", "redfish", "meter", "site-page", "grid", "remote", "ipmi",
         "community", "auth", "privacy")  # fmt: skip
SECRETS = {name: f"s3cret-{name}" for name in NAMES}
ASKED = ("scrape", "page", "dcgm", "redfish", "meter", "site-page", "grid", "remote")
"""Those that the parrot must hear, else this test would prove nothing."""
PASSWORD, GUESS = "s3cret-alice", "s3cret-guess"
HASH = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()


class Parrot:
    """A server that says all that it hears, and with which status is its owner's whim."""

    def __init__(self) -> None:
        self.status = 401
        self.heard = ""
        parrot = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                heard = f"{self.requestline}\n{self.headers}{self.rfile.read(length)!r}"
                for word in heard.split():  # what is in base64 is said in clear besides
                    with contextlib.suppress(ValueError):
                        heard += f"\n{base64.b64decode(word, validate=True)!r}"
                parrot.heard += heard
                body = heard.encode()
                self.send_response(parrot.status, " ".join(heard.split())[:2000])
                self.send_header("Content-Length", str(len(body)))
                elsewhere = quote("".join(heard.split())[:2000], safe=":")
                self.send_header("Location", f"http://a:{elsewhere}@127.0.0.1:1/?{elsewhere}")
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_POST = do_DELETE = answer  # noqa: N815 - the library's names

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def parrot() -> Iterator[Parrot]:
    with Parrot() as parrot:
        yield parrot


def everything(files: Path, url: str) -> str:
    """Return settings with a secret in each place that takes one."""
    for name, secret in SECRETS.items():
        (files / name).write_text(f"{secret}\n")
        (files / name).chmod(0o600)
    udp = "127.0.0.1:1"
    return f"""
[work.scrape.server]
url = "{url}/scrape"
counters = {{x = "things"}}
token_file = "{files}/scrape"
[collectors.work_scrape]
interval_seconds = 1.0
[collectors.prometheus]
interval_seconds = 1.0
[collectors.prometheus.page.npu]
url = "{url}/page"
token_file = "{files}/page"
series = [{{metric = "x", kind = "power_watts", device = "a"}}]
[collectors.dcgm]
interval_seconds = 1.0
url = "{url}/dcgm"
token_file = "{files}/dcgm"
[collectors.redfish]
interval_seconds = 1.0
url = "{url}"
user = "reader"
password_file = "{files}/redfish"
[collectors.ipmi]
interval_seconds = 1.0
tool = "ipmitool"
host = "127.0.0.1"
user = "reader"
password_file = "{files}/ipmi"
[collectors.grid]
interval_seconds = 1.0
[carbon]
providers = ["electricitymaps", "static"]
[carbon.electricitymaps]
url = "{url}"
zone = "DE"
token_file = "{files}/grid"
[remote_write]
url = "{url}/push"
interval_seconds = 1.0
user = "writer"
password_file = "{files}/remote"
[site]
name = "gz-1"
[[site.meter]]
name = "a"
role = "total"
source = "http"
url = "{url}/meter"
power = "/x"
interval_seconds = 1.0
user = "reader"
password_file = "{files}/meter"
[[site.meter]]
name = "b"
role = "it"
source = "prometheus"
url = "{url}/page"
metric = "x"
unit = "W"
interval_seconds = 1.0
token_file = "{files}/site-page"
[[site.meter]]
name = "c"
role = "cooling"
source = "snmp"
host = "{udp}"
community_file = "{files}/community"
power_oid = "1.3.6.1.2.1.1.3.0"
[[site.meter]]
name = "d"
role = "ups"
source = "snmp"
version = "3"
user = "reader"
host = "{udp}"
auth_file = "{files}/auth"
privacy_file = "{files}/privacy"
power_oid = "1.3.6.1.2.1.1.3.0"
"""


def bad_files(tls: str) -> list[str]:
    """Return files that have a secret at or near the fault."""
    return [
        f"{tls}basic_auth_users:\n  alice: {PASSWORD}\n",
        f"{tls}basic_auth_users: {HASH}\n",
        f"{tls}basic_auth_users:\n alice: {HASH}\n  bob: {HASH}\n",
        f'{tls}basic_auth_users:\n  alice: "{HASH}\n',
        f"{tls}min_version: {PASSWORD}\n",
        f"{tls}  min_version: '{HASH}'\n",
        f"{tls}  key: |\n    {PASSWORD}\n",
        f"{tls}basic_auth_users:\n  {HASH}\n",
        f"{tls}basic_auth_users:\n  ? {HASH}\n",
        f"tls_server_config:\n  cert_file: server.crt\n  key: {PASSWORD}\n",
    ]


def forms(secret: str) -> list[str]:
    """Return a secret as it could be written: plainly, and in base64 at any offset."""
    found = [secret]
    for before in ("", ":", "::"):
        text = base64.b64encode(f"{before}{secret}".encode()).decode()
        found.append(text[4:-4])
    return found


def leaks(text: str) -> list[str]:
    secrets = [*SECRETS.values(), PASSWORD, GUESS, HASH, HASH[-20:]]
    return [form for secret in secrets for form in forms(secret) if form in text]


class Rig:
    """An agent with a secret in each place, and what was seen of it."""

    def __init__(self, root: Path, machine: Path, parrot: Parrot) -> None:
        self.root, self.machine, self.parrot = root, machine, parrot
        self.files = root / "files"
        self.files.mkdir()
        Authority(self.files).make("server")
        self.tls = "tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n"
        self.good = f"{self.tls}basic_auth_users:\n  alice: {HASH}\n"
        self.web = self.files / "web.yml"
        self.web.write_text(self.good)
        self.tools = root / "tools"
        self.tools.mkdir()
        tool = self.tools / "ipmitool"
        tool.write_text(f'#!/bin/sh\necho "$0 $@" | tee -a {tool}.said >&2\nenv >&2\nexit 1\n')
        tool.chmod(0o755)
        more = everything(self.files, parrot.url)
        web = str(self.web)
        self.config = settings(root / "wattlas.toml", root=machine, web_config=web, more=more)
        self.found: dict[str, str] = {}

    def page(self, agent: Agent, *arguments: str) -> str:
        """Return the status of a scrape, and keep all of the answer."""
        command = ["curl", "-sS", "-i", "--cacert", "ca.pem", *arguments, f"{agent.url}/metrics"]
        done = subprocess.run(
            command, cwd=self.files, capture_output=True, text=True, timeout=60, check=True
        )
        self.found[f"answer to {arguments}"] = done.stdout
        return done.stdout.split()[1]

    def others_refuse_us(self, agent: Agent) -> None:
        for status in (401, 500, 200, 302):
            self.parrot.status, self.parrot.heard = status, ""
            for name in ASKED if status == 401 else ("scrape", "remote"):
                until(f"{name} is asked", lambda n=name: SECRETS[n] in self.parrot.heard)
            assert self.page(agent, "--user", f"alice:{PASSWORD}") == "200"
        said = self.tools / "ipmitool.said"
        until("IPMI is asked", said.exists)
        self.found["ipmitool"] = said.read_text()

    def we_refuse_others(self, agent: Agent) -> None:
        for user in ((), ("--user", f"alice:{GUESS}"), ("--user", f"{GUESS}:{PASSWORD}")):
            assert self.page(agent, *user) == "401"
        junk = f"Authorization: Basic {base64.b64encode(GUESS.encode()).decode()}x"
        self.page(agent, "-H", junk, "-H", f"X{GUESS}\x01: y")

    def web_config_is_bad(self, agent: Agent) -> None:
        for number, bad in enumerate(bad_files(self.tls)):
            self.web.write_text(bad)
            with pytest.raises(SettingsError) as caught:
                read(self.web)
            self.found[f"sentence {number}"] = str(caught.value)
        agent.process.send_signal(signal.SIGHUP)
        agent.says("settings_kept")
        agent.says("web_config_kept")
        web = str(self.web)
        alone = settings(self.root / "alone.toml", root=self.machine, web_config=web)
        self.found["run"] = wattlas("run", "--config", alone).stderr
        assert "web.yml: tls_server_config:" in self.found["run"]
        self.web.write_text(self.good)

    def files_are_bad(self, agent: Agent) -> None:
        told = agent.log.count("files/scrape")
        for name in NAMES:
            (self.files / name).write_text(f"{SECRETS[name]}\x07\nsecond line\n")
        text = self.config.read_text()
        self.config.write_text(text.replace("interval_seconds = 1.0", "interval_seconds = 1.5"))
        agent.process.send_signal(signal.SIGHUP)
        agent.says("settings_reloaded")
        until("it is said of the new ones", lambda: agent.log.count("files/scrape") > told)


def test_nothing_leaks(tmp_path, machine, parrot):
    rig = Rig(tmp_path, machine, parrot)
    path = {"PATH": f"{rig.tools}:/usr/bin:/bin"}
    with Agent(rig.config, "--log-level", "debug", **path) as agent:
        rig.others_refuse_us(agent)
        rig.we_refuse_others(agent)
        rig.web_config_is_bad(agent)
        rig.files_are_bad(agent)
        assert rig.page(agent, "--user", f"alice:{PASSWORD}") == "200"
        for what in ("cmdline", "environ"):
            process = Path(f"/proc/{agent.process.pid}") / what
            rig.found[what] = process.read_bytes().decode(errors="replace")
        assert agent.stop() == 0
        rig.found["log"] = agent.log
    for file in (tmp_path / "state").rglob("*"):
        if file.is_file():
            rig.found[file.name] = file.read_bytes().decode("latin-1")
    assert len(rig.found["log"]) > 1000
    assert {what: leaked for what, text in rig.found.items() if (leaked := leaks(text))} == {}
    assert "Traceback" not in rig.found["log"]
