"""`wattlas work` against a real endpoint: what it sends, and how it fails."""

import asyncio
import contextlib
import json
import os
import socket
import threading
from pathlib import Path

import pytest
from click.testing import CliRunner
from unit.collectors.test_work import make
from unit.collectors.trees import readable_by_all, without_rights

from agent.cli.common import Failure
from agent.cli.work import ask, find_socket, work
from agent.settings_error import SettingsError

ADD = ["add", "--workload", "llama", "--unit", "tokens", "--amount", "1234"]


@contextlib.contextmanager
def endpoint(path):
    """Run a work collector in a thread; yields it and what it has taken once it is over."""
    collector = make(path)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    asyncio.run_coroutine_threadsafe(collector.collect(), loop).result(20)
    try:
        yield collector

        async def close():
            collector.close()
            while len(asyncio.all_tasks()) > 1:  # noqa: ASYNC110 - nothing tells when
                await asyncio.sleep(0)

        asyncio.run_coroutine_threadsafe(close(), loop).result(20)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(20)
        loop.close()


def run(*arguments):
    return CliRunner().invoke(work, [str(argument) for argument in arguments])


def failure(*arguments):
    result = run(*arguments)
    assert isinstance(result.exception, Failure), result.output
    said = str(result.exception)
    assert "\n" not in said
    assert result.exception.status == 1
    return said


def complaint(path):
    try:
        ask(path, "GET")
    except Failure as error:
        return str(error)
    return ""


def test_a_report_arrives(tmp_path):
    path = tmp_path / "work.sock"
    with endpoint(path) as collector:
        result = run(*ADD, "--socket", path)
        assert (result.exit_code, result.output) == (0, "")
        more = ["--flop", "2.1e15", "--precision", "fp64", "--device", "gpu", "--seconds", "3.5"]
        result = run(*ADD, *more, "--socket", path, "--json")
        assert json.loads(result.output) == {"accepted": 1}
        shown = run("show", "--socket", path)
        assert shown.output.splitlines()[1].split() == ["llama", "tokens", "2,468", "2.1e+15", "2"]
        shown = run("show", "--socket", path, "--json")
        assert json.loads(shown.output)["work"][0]["amount"] == 2468
        assert failure(*ADD[:-1], "-1", "--socket", path).startswith(
            "not taken: amount: must be a number from 0"
        )
    first, second = collector.take()
    assert (first.workload, first.unit, first.amount) == ("llama", "tokens", 1234.0)
    assert (first.flop, first.since) == (None, None)
    assert (second.flop, second.precision, second.device) == (2.1e15, "fp64", "gpu")
    assert second.at - second.since == pytest.approx(3.5)


def test_nothing_reported_yet(tmp_path):
    with endpoint(tmp_path / "work.sock"):
        said = run("show", "--socket", tmp_path / "work.sock").output
    assert said == "nothing was reported in the last 0 s\n"


def test_no_agent(tmp_path):
    path = tmp_path / "work.sock"
    assert failure(*ADD, "--socket", path) == (
        f"{path}: there is no agent's socket; start one (systemctl start wattlas, or wattlas run),"
        " or name its socket with --socket"
    )
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    said = failure(*ADD, "--socket", path)
    assert said.startswith(f"{path}: the agent that made this socket does not run; start one")
    path.unlink()
    path.write_text("")
    assert failure(*ADD, "--socket", path).startswith(f"{path}: the agent that made this socket")
    assert "path too long" in failure(*ADD, "--socket", tmp_path / ("x" * 120))


def test_no_right_to_report():
    with readable_by_all() as root:
        path = root / "work.sock"
        with socket.socket(socket.AF_UNIX) as there:
            there.bind(str(path))
            there.listen()
            path.chmod(0o600)
            os.chown(path, os.getuid(), os.getgid())
            said = without_rights(lambda: complaint(path))
    assert said.startswith(f"{path}: only members of the group ")
    assert "usermod -aG" in said


def test_what_answers_is_no_agent(tmp_path):
    path = tmp_path / "work.sock"

    def answer(raw):
        with socket.socket(socket.AF_UNIX) as other:
            other.bind(str(path))
            other.listen()
            other.settimeout(20)
            thread = threading.Thread(target=serve, args=(other, raw))
            thread.start()
            said = failure(*ADD, "--socket", path)
            thread.join(20)
        path.unlink()
        return said.removeprefix(f"{path}: ")

    def serve(other, raw):
        client, _ = other.accept()
        with client:
            said = b""
            while not said.endswith(b"}"):
                said += client.recv(10_000)
            client.sendall(raw)

    nobody = "what listens there is no agent; name its socket"
    assert answer(b"220 mail ready\r\n") == nobody
    assert answer(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello") == nobody
    assert answer(b"HTTP/1.1 500 no\r\nContent-Length: 0\r\n\r\n") == "not taken: HTTP status 500"
    assert answer(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]") == "not taken: []"
    assert answer(b"") == "the agent hung up, it may be busy or stopping; try again"


@pytest.mark.parametrize("value", ["nan", "inf", "-inf"])
def test_what_is_no_number_is_wrong_usage(value):
    result = run(*ADD[:-1], value)
    assert result.exit_code == 2
    assert "is no number that can be added up" in result.output


def test_the_socket_is_that_of_the_settings(tmp_path):
    config = tmp_path / "wattlas.toml"
    config.write_text("[agent]\nwork_socket = '/run/other.sock'\n[collectors.nosuch]\n")
    assert find_socket(config) == Path("/run/other.sock")
    config.write_text("[host]\nsite = 'x'\n")
    assert find_socket(config) == Path("/run/wattlas/work.sock")
    config.write_text("[agent]\nwork_socket = ''\n")
    with pytest.raises(
        Failure, match=r"agent\.work_socket is empty, so the agent takes no reports"
    ):
        find_socket(config)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[agent]\nwork_socket = 5\n", "2: agent.work_socket: expected str"),
        ("agent = 5\n", "1: agent: expected table"),
        ("[agent", "not TOML"),
        ("\xff", "not UTF-8"),
    ],
)
def test_settings_that_are_none_are_said(tmp_path, text, why):
    config = tmp_path / "wattlas.toml"
    config.write_bytes(text.encode("latin-1"))
    with pytest.raises(SettingsError, match=why):
        find_socket(config)
    with pytest.raises(SettingsError, match="there is no such settings file"):
        find_socket(tmp_path / "none.toml")


def test_help_shows_examples():
    assert "wattlas work add --workload" in run("--help").output
    assert "--flop 2.1e15 --precision fp64" in run("add", "--help").output
    assert "wattlas work show" in run("show", "--help").output
