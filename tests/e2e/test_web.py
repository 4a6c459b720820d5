"""TLS, client certificates and users of web.yml, seen by curl and by a real Prometheus."""

import datetime as dt
import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import bcrypt
import pytest
from e2e.agents import Agent, settings, until, wattlas
from e2e.test_prometheus import Prometheus, free_port
from unit.exporters.certificates import CLIENT, Authority

pytestmark = [pytest.mark.e2e, pytest.mark.parallel]

PASSWORD = "open sesame"
HANGS_UP = {-35, -52, -56}
"""What curl says of a refused handshake: CURLE_SSL_CONNECT_ERROR, _GOT_NOTHING, _RECV_ERROR."""
TLS = """
tls_server_config:
  cert_file: server.crt
  key_file: server.key
  client_auth_type: RequireAndVerifyClientCert
  client_ca_file: ca.pem
  client_allowed_sans: [prometheus.test]
"""
USERS = f"""
http_server_config:
  headers:
    X-Content-Type-Options: nosniff
basic_auth_users:
  alice: {bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(5)).decode()}
"""


@pytest.fixture(scope="module")
def authority(tmp_path_factory) -> Authority:
    """Everything that is signed, right and wrong."""
    made = Authority(tmp_path_factory.mktemp("ca"))
    made.make("server")
    made.make("prometheus", CLIENT)
    made.make("somebody", CLIENT)
    made.make("late", CLIENT, lasts=-dt.timedelta(days=1))
    other = tmp_path_factory.mktemp("other")
    Authority(other, "other").make("prometheus", CLIENT)
    shutil.copy(other / "prometheus.crt", made.directory / "stranger.crt")
    shutil.copy(other / "prometheus.key", made.directory / "stranger.key")
    (made.directory / "web.yml").write_text(TLS + USERS)
    (made.directory / "web.yml").chmod(0o600)
    return made


@pytest.fixture(scope="module")
def agent(tmp_path_factory, machine, authority) -> Iterator[Agent]:
    config = tmp_path_factory.mktemp("agent") / "wattlas.toml"
    settings(config, root=machine, web_config=str(authority.directory / "web.yml"))
    with Agent(config) as agent:
        yield agent
        assert agent.stop() == 0
        assert "Traceback" not in agent.log


def curl(url, *arguments, cwd, client: str | None = "prometheus", user: str | None = "alice"):
    """Return status and headers, or curl's exit status below zero and what it says."""
    command = ["curl", "-sS", "-o", "/dev/null", "-D", "-", "--cacert", "ca.pem", *arguments]
    if client:
        command += ["--cert", f"{client}.crt", "--key", f"{client}.key"]
    if user:
        command += ["--user", f"{user}:{PASSWORD}"]
    done = subprocess.run(
        [*command, url], cwd=cwd, capture_output=True, text=True, timeout=60, check=False
    )
    if done.returncode:
        return -done.returncode, done.stderr
    return int(done.stdout.split()[1]), done.stdout


def test_with_curl(agent, authority):
    def ask(*arguments, **more):
        return curl(f"{agent.url}/metrics", *arguments, cwd=authority.directory, **more)

    status, headers = ask()
    assert status == 200
    assert "X-Content-Type-Options: nosniff" in headers
    assert ask("--tlsv1.3")[0] == 200
    for none, why in ((None, "no certificate"), ("late", "expired"), ("stranger", "another CA")):
        refused, said = ask(client=none)
        assert refused in HANGS_UP, (why, said)
    assert ask(client="somebody")[0] in HANGS_UP  # not one of client_allowed_sans
    for wrong in ("bob", "alice:x", None):
        status, headers = ask(user=wrong)
        assert status == 401
        assert "WWW-Authenticate: Basic" in headers
        assert "X-Content-Type-Options: nosniff" in headers
    for least, most in (("--tlsv1.2", "1.2"), ("--tlsv1.0", "1.1"), ("--tlsv1.0", "1.0")):
        refused, said = ask(least, "--tls-max", most, "--ciphers", "DEFAULT@SECLEVEL=0")
        assert refused in HANGS_UP, said
    assert ask(*["--http1.1"])[0] == 200
    plain = curl(agent.url.replace("https", "http"), cwd=authority.directory)
    assert plain[0] == 400
    for why in ("certificate required|peer did not return", "certificate has expired",
                "client_allowed_sans", "unsupported protocol", "plain HTTP"):  # fmt: skip
        until(why, lambda why=why: any(part in agent.log for part in why.split("|")))


@contextmanager
def scraping(directory: Path, config: object) -> Iterator[Prometheus]:
    (directory / "prometheus.yml").write_text(json.dumps(config))
    address = f"127.0.0.1:{free_port()}"
    command = [
        "prometheus",
        f"--config.file={directory}/prometheus.yml",
        f"--storage.tsdb.path={directory}/data",
        f"--web.listen-address={address}",
    ]
    with (directory / "prometheus.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    server = Prometheus(f"http://{address}")
    try:
        until("Prometheus answers", lambda: process.poll() is not None or server.is_ready())
        assert process.poll() is None, (directory / "prometheus.log").read_text()
        yield server
    finally:
        process.terminate()
        process.wait(30)


@pytest.mark.skipif(
    shutil.which("prometheus") is None and "CI" not in os.environ,
    reason="prometheus is not installed here; scripts/setup --dev does it",
)
def test_with_a_prometheus(agent, authority, tmp_path):
    here = authority.directory

    def job(name, *, client="prometheus", password=PASSWORD, **tls):
        files = {"cert_file": f"{here}/{client}.crt", "key_file": f"{here}/{client}.key"}
        return {
            "job_name": name,
            "scheme": "https",
            "tls_config": {"ca_file": f"{here}/ca.pem"} | (files if client else {}) | tls,
            "basic_auth": {"username": "alice", "password": password},
            "static_configs": [{"targets": [agent.url.removeprefix("https://")]}],
        }

    jobs = [
        job("good"),
        job("no certificate", client=None),
        job("expired", client="late"),
        job("another CA", client="stranger"),
        job("wrong user", password="x"),
        job("downgrade", max_version="TLS12"),
    ]
    every = {"scrape_interval": "1s", "scrape_timeout": "1s"}
    with scraping(tmp_path, {"global": every, "scrape_configs": jobs}) as server:

        def errors():
            targets = server.ask("targets", state="active")["activeTargets"]
            found = {t["labels"]["job"]: (t["health"], t["lastError"]) for t in targets}
            return found if all(health != "unknown" for health, _ in found.values()) else None

        until("the good one is up", lambda: (errors() or {}).get("good") == ("up", ""))
        found = until("all were tried", errors)
        assert {job: health for job, (health, _) in found.items() if job != "good"} == {
            job: "down" for job in found if job != "good"
        }
        assert "401" in found["wrong user"][1]
        metric = 'count({job="good", __name__=~"wattlas_.*"})'
        until("its series are there", lambda: (server.value(metric) or 0) > 50)
        assert server.value('count({job!="good", __name__=~"wattlas_.*"})') is None


def test_what_is_rotated_is_picked_up_and_what_is_bad_is_not(tmp_path, machine):
    Authority(tmp_path).make("server")
    web = tmp_path / "web.yml"
    good = "tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n"
    web.write_text(good)
    config = settings(tmp_path / "wattlas.toml", root=machine, web_config=str(web))
    with Agent(config) as agent:

        def status(*arguments):
            more = {"client": None, "user": None, "cwd": tmp_path}
            return curl(f"{agent.url}/metrics", *arguments, **more)[0]

        assert status() == 200
        Authority(tmp_path).make("server")  # another CA and another key under the same names
        agent.says("web_config_read_again")
        assert status() == 200

        web.write_text(good.replace("server.key", "no.key"))
        agent.says("web_config_kept")
        assert "no.key: there is no such file; check the path" in agent.log
        assert status() == 200
        agent.process.send_signal(signal.SIGHUP)
        agent.says("settings_kept")
        assert status() == 200

        web.write_text(good + "  min_version: TLS12\n" + USERS)
        until("the users count", lambda: status() == 401)
        assert status("--tls-max", "1.2", "--user", f"alice:{PASSWORD}") == 200
        assert (
            status("--tlsv1.0", "--tls-max", "1.1", "--ciphers", "DEFAULT@SECLEVEL=0") in HANGS_UP
        )

        settings(config, root=machine)  # without web_config: plain HTTP
        agent.process.send_signal(signal.SIGHUP)
        agent.says("settings_reloaded")
        assert agent.log.count("web_config_kept") == 1
        agent.url = agent.url.replace("https", "http")
        assert agent.get("/healthz") == (200, b"ok\n")
        assert agent.stop() == 0
        assert "Traceback" not in agent.log


def test_a_fault_in_it_ends_the_start_with_status_2_and_check_says_it(tmp_path, machine):
    web = tmp_path / "web.yml"
    web.write_text("tls_server_config:\n  cert_file: server.crt\n  min_version: TLS10\n")
    config = settings(tmp_path / "wattlas.toml", root=machine, web_config=str(web))
    done = wattlas("run", "--config", config)
    assert done.returncode == 2
    assert "server.crt: there is no such file; check the path" in done.stderr
    assert "Traceback" not in done.stderr
    done = wattlas("check", "--config", config, "--json")
    findings = {f["what"]: f for f in json.loads(done.stdout)["findings"]}
    assert findings["web_config"]["state"] == "problem"
    assert "server.crt: there is no such file" in findings["web_config"]["detail"]
