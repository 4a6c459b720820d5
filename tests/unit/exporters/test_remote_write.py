"""What is queued and when, what the settings may say, and what is shown of remote write itself."""

import asyncio
import subprocess
import sys

import msgspec
import pytest
from prometheus_client.parser import text_string_to_metric_families
from unit.collectors.trees import Clock
from unit.exporters.made import snapshot
from unit.exporters.made_carbon import emitting
from unit.exporters.remote_rig import Life, joules
from unit.ledger.rig import writer as ledger_of

from agent.remote_settings import RemoteWriteSettings, check_remote_write
from agent.snapshot import RemoteView
from exporters.prometheus import PrometheusPages
from exporters.remote_encoding import Kind, labels_of
from exporters.remote_write import RemoteWriter

URL = "http://127.0.0.1:9/api/v1/push"
LAZY = """
import sys
from agent import daemon
from agent.clock import SystemClock
from agent.remote_settings import RemoteWriteSettings
from exporters.remote_write import RemoteWriter

writer = RemoteWriter(RemoteWriteSettings(), None, SystemClock(), "node-7")
writer.start()
assert writer.take(None) == [] and writer.view() is None
print(*sorted(n for n in sys.modules if n.startswith(("cramjam", "exporters.remote_"))))
"""


def taker(tmp_path, clock, **settings):
    own = RemoteWriteSettings(url=URL, **settings)
    return RemoteWriter(own, ledger_of(tmp_path, clock), clock, "node-7")


def labelled(moment):
    return {
        tuple((k.decode(), v.decode()) for k, v in labels_of(kept)): value
        for kept, value in zip(moment.series, moment.values, strict=True)
    }


def test_nothing_is_loaded_while_nothing_is_sent():
    done = subprocess.run([sys.executable, "-c", LAZY], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["exporters.remote_families", "exporters.remote_write"]


def test_what_is_sent_is_what_metrics_shows(tmp_path):
    shown = snapshot(carbon=emitting().carbon)
    [moment] = taker(tmp_path, Clock()).take(shown)
    page = PrometheusPages(lambda: shown).page("text/plain", gzipped=False).body.decode()
    wanted = {
        tuple(
            sorted(
                {"__name__": s.name, "job": "wattlas", "instance": "node-7"}.items()
                | {(k, v) for k, v in s.labels.items() if v}
            )
        ): s.value
        for family in text_string_to_metric_families(page)
        for s in family.samples
    }
    assert labelled(moment) == wanted
    assert moment.at_ms == 1_767_225_600_000
    kinds = {
        dict(labels_of(kept))[b"__name__"].endswith(b"_total"): kept[0] for kept in moment.series
    }
    assert kinds == {True: Kind.COUNTER, False: Kind.GAUGE}


def test_it_is_taken_once_an_interval_though_ticks_come_early_and_late(tmp_path):
    clock = Clock()
    writer = taker(tmp_path, clock, interval_seconds=15.0)
    taken = []
    for second in range(61):
        clock.now = 1000.0 + second + (0.03 if second % 2 else -0.04)
        if writer.take(joules(1.0, wall=clock.wall())):
            taken.append(second)
    assert taken == [0, 15, 30, 45, 60]


def test_a_long_sleep_makes_no_burst(tmp_path):
    clock = Clock()
    writer = taker(tmp_path, clock, interval_seconds=15.0)
    taken = []
    for second in (0, 1000, 1001, 1002, 1003, 1008, 1016, 1023):
        clock.now = 1000.0 + second
        if writer.take(joules(1.0, wall=clock.wall())):
            taken.append(second)
    assert taken == [0, 1000, 1008, 1023]


def test_a_snapshot_is_queued_once(tmp_path):
    """At a stop the last one is submitted again."""
    clock = Clock()
    writer = taker(tmp_path, clock)
    shown = joules(1.0, wall=clock.wall())
    assert len(writer.take(shown)) == 1
    clock.now += 60.0
    assert writer.take(shown) == []


def test_a_label_with_a_stray_byte_stops_nothing(tmp_path):
    clock = Clock()
    collectors = [snapshot().collectors[1]]
    odd = msgspec.structs.replace(collectors[0], name="a\udcffb")
    [moment] = taker(tmp_path, clock).take(joules(1.0, wall=clock.wall(), collectors=[odd]))
    assert ("collector", "a?b") in {pair for labels in labelled(moment) for pair in labels}


def test_it_is_turned_on_and_off_while_it_runs(tmp_path):
    async def run():
        async with Life(tmp_path, "") as life:
            await life.tick()
            assert life.queued == []
            assert life.writer.view() is None
            on = msgspec.structs.replace(life.settings, url=URL)
            life.writer.use(on)
            await life.tick()
            await life.until("it looks", lambda: life.view.queue_samples > 0)
            life.writer.use(msgspec.structs.replace(on, url=""))
            await life.tick()
            assert len(life.queued) == 1
            assert life.writer.view() is None
            life.writer.use(on)
            await life.until("the queue is still there", lambda: life.view.queue_samples > 0)

    asyncio.run(run())


@pytest.mark.parametrize(
    ("changes", "key", "says"),
    [
        ({"url": "mimir:9009"}, ("url",), "begins with http"),
        ({"url": "http://a b/"}, ("url",), "a space"),
        ({"url": "http://[::1/"}, ("url",), "is no address"),
        ({"url": "https://u:p@mimir/"}, ("url",), "no password belongs in an address"),
        ({"version": "3.0"}, ("version",), '"auto"'),
        ({"interval_seconds": 0.1}, ("interval_seconds",), "from 1 to 300"),
        ({"interval_seconds": float("nan")}, ("interval_seconds",), "from 1 to 300"),
        ({"user": "a"}, ("user",), "password_file"),
        ({"user": "a", "password_file": "/p", "token_file": "/t"}, ("user",), "token_file"),
        ({"cert_file": "/c"}, ("cert_file",), "go together"),
        ({"labels": {"data-centre": "x"}}, ("labels", "data-centre"), "is no label"),
        ({"labels": {"__name__": "x"}}, ("labels", "__name__"), "is no label"),
        ({"headers": {"Content-Type": "x"}}, ("headers", "Content-Type"), "belongs to the proto"),
        ({"headers": {"authorization": "Bearer x"}}, ("headers", "authorization"), "token_file"),
        ({"headers": {"X-A": "a\r\nX-B: b"}}, ("headers", "X-A"), "one line"),
    ],
)
def test_settings_that_are_refused(changes, key, says):
    settings = RemoteWriteSettings(**({"url": URL} | changes))
    [(where, why)] = check_remote_write(settings)
    assert where == key
    assert says in why
    assert "Bearer x" not in why


def test_settings_that_are_taken():
    assert list(check_remote_write(RemoteWriteSettings())) == []
    more = {"labels": {"job": "", "dc": "gz"}, "headers": {"X-Scope-OrgID": "gz"}, "version": "1.0"}
    assert list(check_remote_write(RemoteWriteSettings(url=URL, **more))) == []


def test_it_says_how_it_does():
    view = RemoteView(
        up=False,
        samples=12,
        failed={"refused": 3},
        retries=4,
        queue_samples=5,
        queue_bytes=678,
        queue_oldest_seconds=9.5,
    )

    def lines(remote):
        page = PrometheusPages(lambda: snapshot(remote=remote)).page("text/plain", gzipped=False)
        lines = page.body.decode().splitlines()
        return [line for line in lines if line.startswith("wattlas_remote_write")]

    assert lines(view) == [
        "wattlas_remote_write_up 0.0",
        "wattlas_remote_write_samples_total 12.0",
        'wattlas_remote_write_failed_samples_total{reason="refused"} 3.0',
        "wattlas_remote_write_retries_total 4.0",
        "wattlas_remote_write_queue_samples 5.0",
        "wattlas_remote_write_queue_bytes 678.0",
        "wattlas_remote_write_queue_oldest_seconds 9.5",
    ]
    assert lines(None) == []
