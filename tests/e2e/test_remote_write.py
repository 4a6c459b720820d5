"""Remote write into a real Prometheus and a real VictoriaMetrics, through all that goes wrong.

`WATTLAS_REMOTE_SECONDS=15 pytest tests/e2e/test_remote_write.py` lets the partition's day pass at
the usual interval, and more goes wrong; without it there is a sample a minute.
"""

import asyncio
import os
import shutil

import cramjam
import msgspec
import pytest
from aiohttp import ClientSession
from e2e.accelerator_runs import without_threads
from e2e.remote_killed import ALL, SOME, Misbehaving
from e2e.remote_lives import (
    Engines,
    Life,
    Way,
    is_stale,
    of_prometheus,
    of_victoria,
    receiver,
)
from unit.exporters import remote_rig as small
from unit.ledger.rig import rows

from exporters import remote_sender
from exporters.remote_encoding import Kind, series, write_request

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.parallel,
    pytest.mark.timeout(600),
    pytest.mark.skipif(
        shutil.which("prometheus") is None or shutil.which("victoria-metrics") is None,
        reason="needs Prometheus and VictoriaMetrics; scripts/setup --dev installs them",
    ),
]
SECONDS = float(os.environ.get("WATTLAS_REMOTE_SECONDS", "60"))
LONG = "WATTLAS_REMOTE_SECONDS" in os.environ
HOUR = 3600.0


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(remote_sender, "FIRST_PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(remote_sender, "LONGEST_PAUSE_SECONDS", 0.1)


def test_a_day_without_the_receivers(tmp_path):
    """Half an hour of sending, 24 hours of partition with a restart in them, and recovery."""
    with Engines(tmp_path) as engines, without_threads():
        way = Way(*engines.urls)

        async def run():
            await way.open()
            life = Life(tmp_path, way.url, SECONDS, max_samples_per_second=1e6)
            await life.run(0.5 * HOUR)
            await life.sent()
            await way.cut()
            for hour in range(24):
                await life.run((1.5 + hour) * HOUR)
                life.compare_with_the_ledger()
                if hour == 11:
                    await life.end()
                    life.begin()
            view = life.writer.view()
            assert view.queue_oldest_seconds == pytest.approx(24 * HOUR, abs=2 * SECONDS)
            assert view.up is False
            await way.open()
            await life.run(24.6 * HOUR)
            life.compare_with_the_ledger()
            await life.sent()
            await life.end()
            await way.cut()
            return life, view

        life, partition = asyncio.run(run())
        start, end = life.moments[0] / 1000 - 1, life.moments[-1] / 1000
        in_prometheus = of_prometheus(engines.prometheus, start, end)
        in_victoria = of_victoria(engines.victoria)
    assert len(life.moments) >= 24.6 * HOUR / SECONDS - 1
    assert life.checked > 100
    # once, in order, and equal to the bit
    assert in_prometheus.keys() == life.queued.keys()
    for labels, points in life.queued.items():
        assert in_prometheus[labels] == points, labels
    # VictoriaMetrics keeps values as decimals of 15 digits or so
    assert in_victoria.keys() == life.queued.keys()
    for labels, points in life.queued.items():
        assert [at for at, _ in in_victoria[labels]] == [at for at, _ in points], labels
        assert [v for _, v in in_victoria[labels]] == pytest.approx(
            [v for _, v in points], rel=1e-12
        )
    assert all(status == 204 for status, _ in way.passed)
    assert partition.failed == {}


def test_an_agent_that_is_killed_and_a_receiver_that_misbehaves(tmp_path, machine):
    """Every sample once, and no energy twice, whatever dies in the middle of a request."""
    prometheus = receiver(tmp_path / "prometheus")
    with prometheus:
        way = Way(f"{prometheus.url}/api/v1/write")
        rig = Misbehaving(tmp_path, machine, way, ALL if LONG else SOME)
        asyncio.run(rig.run())
        moments = {at for samples in rig.tried for points in samples.values() for at, _ in points}
        have = of_prometheus(prometheus, min(moments) / 1000 - 1, max(moments) / 1000)
    assert rig.happened == list(ALL if LONG else SOME)
    wanted: dict[tuple[object, int], float] = {}
    for samples in rig.tried:
        for labels, points in samples.items():
            for at, value in points:
                if not is_stale(value):
                    assert wanted.setdefault((labels, at), value) == value
    got = [((labels, at), value) for labels, points in have.items() for at, value in points]
    assert len(got) == len(wanted)
    assert dict(got) == wanted
    # every moment that was ever queued
    database = rig.state / "ledger.db"
    queued = rows(database, "SELECT seq FROM sqlite_sequence WHERE name = 'outbox'")
    assert queued == [(len(moments),)]
    totals = {name for (name,) in rows(database, "SELECT name FROM outbox_total")}
    assert {n for n in totals if n.startswith("failed")} <= {"failed repeated", "failed clock"}
    for labels, points in have.items():
        if dict(labels)["__name__"] == "wattlas_host_energy_joules_total":
            values = [value for _, value in points]
            assert values == sorted(values), labels
    log = (tmp_path / "wattlas.log").read_text()
    assert "Traceback" not in log
    assert "remote_write_bug" not in log


@pytest.mark.parametrize(("window", "hours"), [("", 1), ("4h", 3)])
def test_a_prometheus_that_is_ahead_takes_what_its_window_lets(tmp_path, window, hours):
    """Others have sent meanwhile. What is older than an hour before the newest sample of all then
    needs out_of_order_time_window; what is refused is counted, and costs nothing else."""
    config = f"storage: {{tsdb: {{out_of_order_time_window: {window}}}}}\n" if window else ""
    prometheus = receiver(tmp_path / "prometheus", config or "global: {}\n")

    async def run():
        url = f"{prometheus.url}/api/v1/write"
        async with small.Life(tmp_path / "s", "http://127.0.0.1:9/", interval_seconds=60.0) as life:
            for _ in range(180):
                await life.tick(60.0)
            ahead = write_request(
                [(series(Kind.GAUGE, [(b"__name__", b"other")]), [(life.queued[-1][0], 0)])]
            )
            body = bytes(cramjam.snappy.compress_raw(ahead))
            async with ClientSession() as session, session.post(url, data=body) as answer:
                assert answer.status == 204
            life.writer.use(msgspec.structs.replace(life.settings, url=url))
            await life.sent()
            return life.queued, life.view

    with prometheus:
        queued, view = asyncio.run(run())
        have = of_prometheus(prometheus, queued[0][0] / 1000 - 1, queued[-1][0] / 1000)
    energy = have[small.ENERGY]
    assert energy == queued[-len(energy) :]
    assert hours * 60 - 1 <= len(energy) <= hours * 60 + 1
    assert sum(view.failed.values()) == (180 - len(energy)) * (len(have))
    assert view.samples == len(energy) * len(have)
