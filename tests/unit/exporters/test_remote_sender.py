"""Sending against a real HTTP server on loopback that misbehaves by script."""

import asyncio

import pytest
from aiohttp import web
from structlog.testing import capture_logs
from unit.exporters.remote_rig import (
    Life,
    Receiver,
    energies,
    play,
    three,
    together,
    written,
)

from exporters import remote_receiver, remote_sender, remote_write


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Pauses as long as a test can wait."""
    monkeypatch.setattr(remote_sender, "FIRST_PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(remote_sender, "LONGEST_PAUSE_SECONDS", 0.05)


@pytest.mark.parametrize("version", ["1.0", "2.0"])
def test_every_sample_comes_once_and_in_order(tmp_path, version):
    receiver = Receiver(version=version)
    queued = []

    async def scenario(life):
        await three(life)
        queued.extend(life.queued)
        assert life.view.up is True
        assert life.view.retries == 0
        assert life.view.samples == sum(asked.count for asked in receiver.taken)

    assert play(receiver, scenario, tmp_path) == []
    assert energies(receiver) == queued
    last = receiver.taken[-1].headers
    assert last["Content-Encoding"] == "snappy"
    assert last["User-Agent"].startswith("wattlas/")
    assert last["X-Prometheus-Remote-Write-Version"] == ("2.0.0" if version == "2.0" else "0.1.0")


def test_it_falls_back_once_and_loses_nothing(tmp_path):
    """A receiver of 1.0: it may say 415, be content with what it cannot read, or say 400."""
    for number, answer in enumerate((web.Response(status=415), web.Response(status=204), 400)):
        receiver = Receiver(answer, version="1.0")
        play(receiver, three, tmp_path / str(number))
        assert [asked.is_v2 for asked in receiver.asked] == [True, False, False, False]
        assert len(energies(receiver)) == 3


def test_a_version_that_is_named_is_kept_to(tmp_path):
    async def waits(life):
        await life.tick()
        await life.until("it fails", lambda: life.view.up is False)

    receiver = Receiver(version="1.0")
    logs = play(receiver, waits, tmp_path / "2", version="2.0")
    assert "does not speak remote write 2.0" in logs[0]["why"]
    assert receiver.taken == []
    receiver = Receiver()
    play(receiver, three, tmp_path / "1", version="1.0")
    assert not any(asked.is_v2 for asked in receiver.asked)


@pytest.mark.parametrize("status", [500, 503, 429, 401, 403, 404, 302])
def test_what_passes_is_waited_for(tmp_path, status):
    receiver = Receiver(status, status, status)

    async def scenario(life):
        await three(life)
        assert life.view.retries == 3

    logs = play(receiver, scenario, tmp_path)
    assert [line["event"] for line in logs] == ["remote_write_failing", "remote_write_recovered"]
    assert str(status) in logs[0]["why"]
    assert len(energies(receiver)) == 3


def test_retry_after_is_waited_for(tmp_path, monkeypatch):
    pauses = []
    wait = remote_sender.Sender._fail

    async def fail(self, pause):
        pauses.append(pause.seconds)
        await wait(self, remote_receiver.Pause(str(pause), unsure=pause.unsure))

    monkeypatch.setattr(remote_sender.Sender, "_fail", fail)
    later = "Tue, 14 Nov 2023 22:32:15 GMT"  # 1,700,001,135 s: two minutes after the clock's now
    answers = [
        web.Response(status=429, headers={"Retry-After": text})
        for text in ("7", later, "-3", "soon", "99999999999999", "Thu, 01 Jan 1970 00:00:00 GMT")
    ]
    play(Receiver(*answers), three, tmp_path)
    assert pauses == [7.0, 120.0, 0.0, 0.0, 3600.0, 0.0]


def test_what_is_refused_for_good_is_dropped_counted_and_said_once(tmp_path):
    says = "out of order\n\x1b[31msample" + "!" * 500
    refusals = [web.Response(status=400, text=says) for _ in range(4)]
    receiver = Receiver(204, *refusals, version="1.0")
    queued = []

    async def scenario(life):
        for _ in range(6):
            await life.tick()
            await life.sent()
        queued.extend(life.queued)
        assert life.view.up is True
        assert life.view.failed == {"refused": 4 * receiver.taken[0].count}

    logs = play(receiver, scenario, tmp_path, version="1.0")
    assert [line["event"] for line in logs] == [
        "remote_write_refused",
        "remote_write_accepted_again",
    ]
    assert logs[0]["says"].startswith("out of order [31msample!!!")
    assert len(logs[0]["says"]) == 200
    assert energies(receiver) == [queued[0], queued[5]]


def test_one_bad_sample_does_not_cost_the_others(tmp_path):
    """Prometheus 2.42 refuses a whole request because of one sample; after a partition that is
    a request with many moments."""
    receiver = Receiver(version="1.0")
    queued = []

    async def picky(asked):
        if 1_700_001_030_000 in asked.times:
            return web.Response(status=400, text="too old")
        return receiver.take(asked)

    async def scenario(life):
        await life.tick()
        await life.sent()
        receiver.script = [together(5, picky), *[picky] * 20]
        for _ in range(5):
            await life.tick()
        await life.sent()
        queued.extend(life.queued)
        assert life.view.failed == {"refused": receiver.asked[0].count}

    play(receiver, scenario, tmp_path, version="1.0")
    assert energies(receiver) == [queued[0], *queued[2:]]


def test_a_receiver_of_2_0_says_how_much_it_took(tmp_path):
    """Then nothing is sent a second time: it has taken what it could."""

    async def partly(asked):
        return written(asked, asked.count - 4, 400, "4 samples are out of order")

    receiver = Receiver(204, together(3, partly))

    async def scenario(life):
        await life.tick()
        await life.sent()
        for _ in range(3):
            await life.tick()
        await life.sent()
        assert life.view.failed == {"refused": 4}
        assert receiver.asked[-1].count - 4 + receiver.asked[0].count == life.view.samples

    play(receiver, scenario, tmp_path)
    assert len(receiver.asked[-1].times) == 3


def test_an_answer_that_is_lost(tmp_path):
    """The receiver took it; what it then refuses as it has it already is no loss."""
    receiver = Receiver(version="1.0")
    newest = 0

    async def takes(asked):
        nonlocal newest
        if min(asked.times) < newest:
            return web.Response(status=400, text="out of order sample")
        if max(asked.times) > newest:
            receiver.take(asked)
        newest = max(asked.times)
        return web.Response(status=204)

    async def takes_and_hangs_up(asked):
        await takes(asked)
        assert asked.request.transport is not None
        asked.request.transport.close()
        return web.Response(status=204)

    receiver.script = [takes, together(3, takes_and_hangs_up)] + [takes] * 20
    queued = []

    async def scenario(life):
        await life.tick()
        await life.sent()
        for _ in range(3):
            await life.tick()
        await life.sent()
        await life.tick()
        await life.sent()
        queued.extend(life.queued)
        # of the three the newest is taken again, as an equal sample may be
        assert life.view.failed == {"repeated": 2 * receiver.asked[0].count}

    logs = play(receiver, scenario, tmp_path, version="1.0")
    assert energies(receiver) == queued
    assert [line["event"] for line in logs] == ["remote_write_failing", "remote_write_recovered"]


async def hang(asked):
    await asyncio.sleep(3600)
    raise AssertionError


async def half(asked):
    response = web.StreamResponse(headers={"Content-Length": "100"})
    await response.prepare(asked.request)
    await response.write(b"half")
    asked.request.transport.close()
    return response


@pytest.mark.parametrize(
    ("how", "says"), [(hang, "did not answer within 0.3 s"), (half, "broke off")]
)
def test_a_receiver_that_hangs_or_breaks_off(tmp_path, how, says):
    receiver = Receiver(how)
    logs = play(receiver, three, tmp_path, timeout_seconds=0.3)
    assert says in logs[0]["why"]
    assert len(energies(receiver)) == 3


def test_nobody_listens_and_then_somebody_does(tmp_path):
    receiver = Receiver()
    queued = []

    async def run():
        async with receiver:
            url = receiver.url
        async with Life(tmp_path, url) as life:
            for _ in range(200):
                await life.tick()
            await life.until("it fails", lambda: life.view.up is False)
            async with receiver:
                life.writer.use(life.settings.__class__(url=receiver.url, interval_seconds=15.0))
                await life.sent()
                await life.tick()
                await life.sent()
                queued.extend(life.queued)

    with capture_logs() as logs:
        asyncio.run(run())
    assert "nothing listens there" in logs[0]["why"]
    assert len(queued) == 201
    assert energies(receiver) == queued
    assert all(asked.count <= 5000 for asked in receiver.asked)
    assert len(receiver.asked) < 20


def test_a_moment_that_is_too_large_for_one_request_is_sent_in_several(tmp_path, monkeypatch):
    monkeypatch.setattr(remote_receiver, "MAX_SAMPLES", 4)
    monkeypatch.setattr(remote_sender, "MAX_SAMPLES", 4)
    receiver = Receiver(204, 503)
    play(receiver, three, tmp_path)
    assert all(asked.count <= 4 for asked in receiver.asked)
    assert len(set(energies(receiver))) == 3


def test_a_life_that_ends_and_the_next_one(tmp_path):
    """A clean stop: what was taken is not sent again, what waits is sent by the next life."""
    receiver = Receiver()
    queued = []

    async def run():
        clock = None
        async with receiver:
            for _ in range(3):
                async with Life(tmp_path, receiver.url, clock) as life:
                    await life.tick()
                    await life.until("one is taken", lambda: len(receiver.taken) > len(queued))
                    clock = life.clock
                    queued.extend(life.queued)
            async with Life(tmp_path, receiver.url, clock) as life:
                await life.sent()
                assert life.view.samples == sum(asked.count for asked in receiver.taken)

    asyncio.run(run())
    assert energies(receiver) == queued


def test_a_stop_while_the_receiver_hangs_does_not_wait_for_it(tmp_path, monkeypatch):
    monkeypatch.setattr(remote_write, "STOP_SECONDS", 0.05)
    receiver = Receiver(hang)

    async def run():
        async with receiver:
            async with Life(tmp_path, receiver.url, timeout_seconds=600.0) as life:
                await life.tick()
                await life.until("it asks", lambda: receiver.asked)
            async with Life(tmp_path, receiver.url, life.clock) as again:
                await again.sent()
                return life.queued

    queued = asyncio.run(run())
    assert energies(receiver) == queued
