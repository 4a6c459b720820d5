"""What the settings of remote write ask for: who we are, labels, headers, the rate; the disk."""

import asyncio
import base64
import socket
from contextlib import suppress

import pytest
from aiohttp import web
from structlog.testing import capture_logs
from unit.exporters.remote_rig import ENERGY, Life, Receiver, energies, play, three

from exporters import remote_receiver, remote_sender


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Pauses as long as a test can wait."""
    monkeypatch.setattr(remote_sender, "FIRST_PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(remote_sender, "LONGEST_PAUSE_SECONDS", 0.05)


def test_a_password_is_read_anew_and_never_said(tmp_path):
    secret = tmp_path / "password"
    secret.write_text("wrong-secret\n")

    async def asks(asked):
        given = asked.headers.get("Authorization", "")
        if given != "Basic " + base64.b64encode(b"agent:right").decode():
            text = f"who is {given}? wrong-secret"
            return web.Response(status=401, text=text, headers={"WWW-Authenticate": "Basic"})
        return receiver.take(asked)

    receiver = Receiver()
    receiver.script = [asks] * 50

    async def scenario(life):
        await life.tick()
        await life.until("it is refused", lambda: life.view.up is False)
        secret.write_text("right\n")
        await life.sent()

    logs = play(receiver, scenario, tmp_path / "s", user="agent", password_file=str(secret))
    assert "refuses user 'agent' or the password" in logs[0]["why"]
    assert "wrong-secret" not in str(logs)
    assert len(energies(receiver)) == 1


def test_a_token_is_not_said_even_if_the_receiver_says_it(tmp_path):
    token = tmp_path / "token"
    token.write_text("tok-3f9a\n")

    async def tells(asked):
        return web.Response(status=500, text=f"bad header {asked.headers['Authorization']}")

    receiver = Receiver(tells)
    logs = play(receiver, three, tmp_path / "s", token_file=str(token))
    assert "bad header ..." in logs[0]["why"]
    assert "tok-3f9a" not in str(logs)
    assert receiver.taken[0].headers["Authorization"] == "Bearer tok-3f9a"


def test_a_file_that_is_not_there_is_said_and_waited_for(tmp_path):
    token = tmp_path / "token"
    receiver = Receiver()

    async def scenario(life):
        await life.tick()
        await life.until("it fails", lambda: life.view.up is False)
        token.write_text("t")
        await life.sent()

    logs = play(receiver, scenario, tmp_path / "s", token_file=str(token))
    assert f"the token file {token} cannot be read" in logs[0]["why"]
    assert len(receiver.taken) == 1


def test_custom_headers_are_sent_and_labels_are_on_every_series(tmp_path):
    receiver = Receiver()
    play(
        receiver,
        three,
        tmp_path,
        headers={"X-Scope-OrgID": "gz"},
        labels={"cluster": "c1", "instance": "other", "quality": "no", "job": ""},
    )
    assert receiver.taken[0].headers["X-Scope-OrgID"] == "gz"
    for series in receiver.samples():
        labels = dict(series)
        assert labels["cluster"] == "c1"
        assert labels["instance"] == "other"
        assert "job" not in labels
        assert all(labels.values())
    energy = tuple(sorted((dict(ENERGY) | {"cluster": "c1", "instance": "other"}).items()))
    energy = tuple(pair for pair in energy if pair[0] != "job")
    assert energy in receiver.samples()


def test_the_rate_is_kept(tmp_path, monkeypatch):
    """Pauses between requests are the samples over the rate."""
    slept = []
    sleep = asyncio.sleep

    async def slow(seconds, result=None):
        slept.append(seconds)
        await sleep(min(seconds, 0.001))

    monkeypatch.setattr(remote_receiver.asyncio, "sleep", slow)
    receiver = Receiver()
    monkeypatch.setattr(remote_receiver, "MAX_SAMPLES", 20)
    monkeypatch.setattr(remote_sender, "MAX_SAMPLES", 20)
    play(receiver, three, tmp_path, max_samples_per_second=1.0)
    waited = [seconds for seconds in slept if seconds > 1.0]
    assert len(waited) == len(receiver.asked) - 1
    for seconds, asked in zip(waited, receiver.asked, strict=False):
        assert asked.count - 5 < seconds <= asked.count


def test_what_the_disk_cannot_keep_is_not_sent(tmp_path, monkeypatch):
    """Nothing is sent that the ledger has not; it goes on when the disk does."""
    receiver = Receiver()
    monkeypatch.setattr(remote_sender, "LEDGER_PAUSE_SECONDS", 0.01)

    async def scenario(life):
        await life.tick()
        await life.sent()
        ledger = life.ledger.keeper.ledger
        ledger._db.execute("PRAGMA query_only=1")
        await life.tick()
        assert not life.ledger.status().up
        await life.submit(None)
        assert len(receiver.taken) == 1
        with suppress(Exception):
            ledger._db.execute("PRAGMA query_only=0")
        life.clock.now += 10.0  # the ledger tries again after five seconds
        await life.sent()
        assert len(energies(receiver)) == 2

    play(receiver, scenario, tmp_path)


def test_a_name_that_is_not_found_is_said_in_one_sentence(tmp_path):
    async def run():
        async with Life(tmp_path, "http://receiver.invalid:9/push") as life:
            await life.tick()
            await life.until("it fails", lambda: life.view.up is False)

    def nowhere(*_arguments, **_more):
        raise socket.gaierror(-2, "Name or service not known")

    with pytest.MonkeyPatch.context() as patched, capture_logs() as logs:
        patched.setattr(socket, "getaddrinfo", nowhere)
        asyncio.run(run())
    assert "receiver.invalid" in logs[0]["why"]
    assert "remote_write.url" in logs[0]["why"]
