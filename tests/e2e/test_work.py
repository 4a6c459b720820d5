"""Useful work end to end: reported by scripts, read from a server's page, kept over kills."""

import contextlib
import json
import random
import re
import signal
import socket
import stat
import subprocess
import sys

import pytest
from e2e.agents import TESTS, Agent, settings, until, wattlas
from hardware.pages import Pages

from agent.settings import parse

pytestmark = [pytest.mark.e2e, pytest.mark.parallel]

WORK = "wattlas_work"
FLOPS = "wattlas_flops"
ADD = ["work", "add", "--workload", "llama-70b", "--unit", "tokens"]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "work.sock"


@pytest.fixture
def config(tmp_path, machine, path):
    return settings(tmp_path / "wattlas.toml", root=machine, work_socket=str(path))


@contextlib.contextmanager
def listening(config, path):
    with Agent(config) as agent:
        until("the socket is there", lambda: path.exists() or agent.process.poll() is not None)
        yield agent


def add(config, *arguments):
    done = wattlas(*ADD, "--config", config, *arguments)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def tokens(metrics):
    return metrics.total(WORK, workload="llama-70b", unit="tokens")


def test_reported_work_is_counted_and_outlives_kills(config, path):
    with listening(config, path) as agent:
        assert stat.S_IMODE(path.stat().st_mode) == 0o660
        add(config, "--amount", 1000, "--flop", 2e12, "--precision", "fp16_tensor")
        add(config, "--amount", 234, "--seconds", 2, "--flop", 1e12, "--precision", "fp16_tensor")
        found = agent.when("both are counted", lambda m: tokens(m) == 1234)
        labels = {"component": "platform", "device": "all", "precision": "fp16_tensor"}
        assert found.total(FLOPS, method="application", **labels) == 3e12
        shown = wattlas("work", "show", "--config", config, "--json")
        assert json.loads(shown.stdout)["work"][0]["amount"] == 1234
        agent.kill()
    assert path.is_socket()  # left behind by the kill
    said = wattlas(*ADD, "--amount", 1, "--config", config)
    assert said.returncode == 1
    assert said.stderr.startswith(
        f"wattlas: {path}: the agent that made this socket does not run; start one"
    )
    with Agent(config) as agent:
        assert tokens(agent.metrics()) == 1234
        until("it listens again", lambda: wattlas("work", "show", "--config", config).stdout)
        add(config, "--amount", 6)
        agent.when("the sum goes on", lambda m: tokens(m) == 1240)
        assert agent.stop() == 0
        assert "Traceback" not in agent.log
    assert not path.exists()


def test_what_was_answered_before_a_stop_is_kept(config, path):
    with listening(config, path) as agent:
        add(config, "--amount", 17)
        assert agent.stop() == 0
    with Agent(config) as agent:
        assert tokens(agent.metrics()) == 17
        agent.stop()


def test_energy_per_unit_is_that_of_the_host_meanwhile(config, path):
    name = "wattlas_work_energy_joules_per_unit"

    def is_right(metrics):
        """Compare with the power now, which moves: joules of one second are watts."""
        watts = metrics.total("wattlas_host_power_watts")
        (joules,) = (value for _, value in metrics.series(name, unit="tokens"))
        return watts / 2 < joules * 100 < watts * 2

    with listening(config, path) as agent:
        before = agent.when("2 s", lambda m: m.total("wattlas_host_energy_joules") > 500)
        add(config, "--amount", 100, "--seconds", 1)
        start = before.total("wattlas_host_energy_joules")
        found = agent.when("4 s", lambda m: m.total("wattlas_host_energy_joules") > start + 1000)
        # the energy of the first report's time may not be known, but is never a part of it
        assert not found.series(name) or is_right(found)
        add(config, "--amount", 100, "--seconds", 1)
        assert is_right(agent.when("energy per unit", lambda m: m.series(name, unit="tokens")))


def test_two_agents_on_one_socket(config, path, tmp_path, machine):
    (tmp_path / "b").mkdir()
    other = settings(tmp_path / "b" / "wattlas.toml", root=machine, work_socket=str(path))
    with listening(config, path) as first, Agent(other) as second:
        found = second.when(
            "it fails", lambda m: m.series("wattlas_collector_up", collector="work")
        )
        assert found.total("wattlas_collector_up", collector="work") == 0
        assert "another program, likely another agent, takes reports there" in second.log
        add(config, "--amount", 5)
        first.when("the first has it", lambda m: tokens(m) == 5)
        assert first.stop() == 0
        second.says("collector_recovered collector=work")
        add(config, "--amount", 7)
        found = second.when("the second has it", lambda m: tokens(m) == 7)
        assert found.total("wattlas_collector_up", collector="work") == 1
        assert second.stop() == 0
    assert not path.exists()


def test_a_short_run_leaves_the_agents_socket_alone(config, path):
    with listening(config, path) as agent:
        before = path.stat().st_ino
        assert wattlas("read", "--config", config, "--json").returncode == 0
        assert path.stat().st_ino == before
        add(config, "--amount", 3)
        agent.when("it is counted", lambda m: tokens(m) == 3)


def test_settings_are_read_again_and_the_sums_stay(config, path):
    good = config.read_text()
    with listening(config, path) as agent:
        add(config, "--amount", 3)
        agent.when("it is counted", lambda m: tokens(m) == 3)
        config.write_text(good + "[work]\nsocket_mode = '0600'\n")
        agent.process.send_signal(signal.SIGHUP)
        agent.says("settings_reloaded")
        until(
            "the new permissions",
            lambda: path.exists() and stat.S_IMODE(path.stat().st_mode) == 0o600,
        )
        add(config, "--amount", 4)
        agent.when("both", lambda m: tokens(m) == 7)
        assert agent.stop() == 0
        assert "Traceback" not in agent.log


def test_what_the_page_for_users_shows_works(config, path):
    text = (TESTS.parent / "docs/work.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    (toml,) = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
    scrape = parse(toml, None, {}).work.scrape
    assert (scrape["llama-70b"].preset, scrape["painter"].counters) == (
        "vllm",
        {"myserver_images_total": "images"},
    )
    (body,) = re.findall(r"-d '(.*?)'", text)
    with listening(config, path) as agent:
        code = code.replace("/run/wattlas/work.sock", str(path))
        subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
        agent.when("Python's report", lambda m: tokens(m) == 1234)
        head = f"POST /v1/work HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
        post(path, (head + body).encode())
        agent.when("curl's", lambda m: tokens(m) == 2468)


def post(path, raw):
    with socket.socket(socket.AF_UNIX) as client, contextlib.suppress(ConnectionError):
        client.settimeout(20)
        client.connect(str(path))
        client.sendall(raw)
        client.shutdown(socket.SHUT_WR)
        while client.recv(65536):
            pass


def test_no_body_harms_it(config, path):
    dice = random.Random(3)
    good = json.dumps({"workload": "w", "unit": "u", "amount": 1})
    with listening(config, path) as agent:
        for _ in range(300):
            body = bytearray(good.encode())
            for _ in range(dice.randrange(1, 6)):
                place = dice.randrange(len(body))
                if dice.random() < 0.5:
                    body[place] = dice.randrange(256)
                else:
                    del body[place:]
                    body += dice.randbytes(dice.randrange(1, 30))
            head = f"POST /v1/work HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
            wire = bytearray(head.encode() + body)
            if dice.random() < 0.3:
                wire[dice.randrange(len(head))] = dice.randrange(256)
            post(path, bytes(wire))
        add(config, "--amount", 3)
        found = agent.when("it goes on", lambda m: tokens(m) == 3)
        assert found.total("wattlas_collector_failures", collector="work") == 0
        assert len(found.series(WORK)) <= 100
        assert agent.stop() == 0
        assert "Traceback" not in agent.log
        assert len(agent.log.splitlines()) < 20


def page(prompt, generated):
    labels = 'engine="0",model_name="m"'
    return (
        "# TYPE vllm:prompt_tokens_total counter\n"
        f"vllm:prompt_tokens_total{{{labels}}} {prompt}\n"
        "# TYPE vllm:generation_tokens_total counter\n"
        f"vllm:generation_tokens_total{{{labels}}} {generated}\n"
    )


def test_a_servers_own_counters_are_read_and_its_restarts_take_nothing(tmp_path, machine):
    with Pages() as pages:
        config = settings(
            tmp_path / "wattlas.toml",
            root=machine,
            work_socket="",
            more=(
                "[collectors.work_scrape]\ninterval_seconds = 0.5\n"
                f"[work.scrape.llama]\nurl = '{pages.url()}'\npreset = 'vllm'\n"
                "flop_per_token = 2e9\nprecision = 'fp16_tensor'\n"
            ),
        )

        def generated(metrics):
            return metrics.total(WORK, workload="llama", unit="generated_tokens")

        def both(metrics):
            return metrics.total(WORK, workload="llama")

        pages.set(page(1e6, 5e5))
        with Agent(config) as agent:
            found = agent.when("it is read", lambda m: m.series(WORK, unit="generated_tokens"))
            assert both(found) == 0  # what was done before is not ours
            assert not found.series("wattlas_collector_up", collector="work")
            pages.set(page(1e6 + 100, 5e5 + 30))
            agent.when("the difference", lambda m: both(m) == 130)
            pages.set(page(7, 3))  # the server began anew
            found = agent.when("all of the new one", lambda m: both(m) == 140)
            assert generated(found) == 33
            assert found.total(FLOPS, method="application") == 140 * 2e9
            agent.kill()
        pages.set(page(17, 5))  # meanwhile it worked on
        with Agent(config) as agent:
            found = agent.when("what was done meanwhile", lambda m: both(m) == 152)
            pages.stop()
            agent.says("collector_failing collector=work_scrape")
            pages.start()
            pages.set(page(17, 6))
            agent.says("collector_recovered collector=work_scrape")
            agent.when("it goes on", lambda m: both(m) == 153)
            assert agent.stop() == 0
            assert "Traceback" not in agent.log
