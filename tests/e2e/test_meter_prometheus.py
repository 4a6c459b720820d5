"""A real Prometheus scrapes an exporter's page and is asked for a meter's value."""

import asyncio
import json
import os
import shutil
import socket
import subprocess
from pathlib import Path

import pytest
from e2e.agents import until
from hardware.pages import Pages
from unit.collectors.trees import context

from agent.collector import Context, Transient
from agent.samples import MeterCounter, MeterRate
from agent.site.settings import PrometheusMeter, SiteSettings
from collectors.meter_prometheus import MeterPrometheus
from collectors.metering import MeteringSettings

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.parallel,
    pytest.mark.skipif(
        shutil.which("prometheus") is None and "CI" not in os.environ,
        reason="prometheus is not installed here; scripts/setup --dev does it",
    ),
]

PAGE = """\
# TYPE pdu_energy_joules_total counter
pdu_energy_joules_total{pdu="a"} 5.4e9
pdu_energy_joules_total{pdu="b"} 1.8e9
# TYPE pdu_power_watts gauge
pdu_power_watts{pdu="a"} 4100.5
pdu_power_watts{pdu="b"} 3900.25
"""
PASSWORD = "prüfung"
HASH = "$2b$04$abcdefghijklmnopqrstuue0dzMcXCwVbNXCzqMvyShRRQSZh9nl2"
"""bcrypt of that password."""


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


@pytest.fixture(scope="module")
def exporter():
    with Pages() as pages:
        pages.set(PAGE)
        yield pages


@pytest.fixture(scope="module")
def password_file(tmp_path_factory):
    file = tmp_path_factory.mktemp("secret") / "password"
    file.write_text(f"{PASSWORD}\n")
    return str(file)


@pytest.fixture(scope="module")
def server(tmp_path_factory, exporter, password_file):
    """The address of a Prometheus with basic authentication that has scraped the page."""
    folder: Path = tmp_path_factory.mktemp("prometheus")
    target = exporter.url("").removeprefix("http://")
    (folder / "prometheus.yml").write_text(
        json.dumps(
            {
                "global": {"scrape_interval": "1s", "scrape_timeout": "1s"},
                "scrape_configs": [{"job_name": "pdu", "static_configs": [{"targets": [target]}]}],
            }
        )
    )
    (folder / "web.yml").write_text(json.dumps({"basic_auth_users": {"reader": HASH}}))
    address = f"127.0.0.1:{free_port()}"
    url = f"http://{address}"
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [
                "prometheus",
                f"--config.file={folder}/prometheus.yml",
                f"--web.config.file={folder}/web.yml",
                f"--storage.tsdb.path={folder}/data",
                f"--web.listen-address={address}",
            ],
            stdout=log,
            stderr=log,
        )

    def is_there():
        assert process.poll() is None, (folder / "log").read_text()
        return not isinstance(ask(url, password_file, "sum(pdu_power_watts)"), Transient)

    try:
        until("Prometheus has scraped the page", is_there)
        yield url
    finally:
        process.terminate()
        process.wait(30)


def ask(url, password_file, query, **more):
    """Return the one sample that a query gives, or the failure."""
    more = {"unit": "W", "user": "reader", "password_file": password_file} | more
    meter = PrometheusMeter(name="m", url=url, query=query, **more)
    full = context(Path("/nowhere"))
    site = SiteSettings(meter=(meter,))
    collector = MeterPrometheus(
        MeteringSettings(), Context(full.paths, full.clock, full.latest_utilization, site=site)
    )

    async def collected():
        try:
            (sample,) = await collector.collect()
        except Transient as failure:
            return failure
        finally:
            collector.close()
        return sample

    return asyncio.run(collected())


def test_a_rate_a_total_and_a_scalar(server, password_file):
    rate = ask(server, password_file, "sum(pdu_power_watts)")
    assert isinstance(rate, MeterRate)
    assert rate.per_second == 8000.75
    total = ask(server, password_file, 'pdu_energy_joules_total{pdu="a"} / 3.6e6', unit="kWh")
    assert isinstance(total, MeterCounter)
    assert total.total == pytest.approx(5.4e9)
    assert ask(server, password_file, "scalar(sum(pdu_power_watts))", scale=2.0) == MeterRate(
        "meter_prometheus", "m", rate.at, 16001.5
    )


def test_a_query_that_is_too_long_for_an_address(server, password_file):
    query = "sum(pdu_power_watts)" + " + 0" * 2000
    assert ask(server, password_file, query).per_second == 8000.75


@pytest.mark.parametrize(
    ("query", "reason", "says"),
    [
        ("pdu_power_watts", "many", "gives 2 series, e.g. pdu_power_watts{instance="),
        ("pdu_power_watt", "nothing", "the query gives nothing now"),
        ("sum(", "settings", "1:5: parse error"),
        ("pdu_power_watts[5m]", "settings", "gives a range, not one number"),
        ('"text"', "settings", "gives a text, not one number"),
        ("pdu_power_watts / ignoring(pdu) pdu_power_watts", "garbage", "cannot work out the query"),
        ("vector(0) / 0", "nothing", "gives NaN, no number"),
    ],
)
def test_what_prometheus_says_of_bad_queries(server, password_file, query, reason, says):
    error = ask(server, password_file, query)
    assert isinstance(error, Transient)
    assert (error.reason, says in error.why, bool(error.remedy)) == (reason, True, True), error.why


def test_without_the_password_and_with_a_wrong_one(server, password_file, tmp_path):
    error = ask(server, "", "sum(pdu_power_watts)", user="")
    assert "asks for a user and a password (HTTP 401)" in error.why
    wrong = tmp_path / "wrong"
    wrong.write_text("wrong\n")
    error = ask(server, str(wrong), "sum(pdu_power_watts)")
    assert "refuses user 'reader' or the password (HTTP 401)" in error.why
    page = PrometheusMeter(
        name="own", url=f"{server}/metrics", metric='prometheus_build_info{version!=""}', unit="W",
        user="reader", password_file=password_file,
    )  # fmt: skip
    full = context(Path("/nowhere"))
    collector = MeterPrometheus(
        MeteringSettings(),
        Context(full.paths, full.clock, full.latest_utilization, site=SiteSettings(meter=(page,))),
    )
    assert asyncio.run(collector.poll(page))[0].number == 1.0


def test_an_exporter_that_goes_is_a_gap_and_not_its_last_value(server, exporter, password_file):
    """Prometheus marks its series stale at the next scrape."""

    def asked():
        return ask(server, password_file, "sum(pdu_power_watts)")

    exporter.stop()
    try:
        until("the series is stale", lambda: getattr(asked(), "reason", "") == "nothing")
    finally:
        exporter.start()
    until("it is back", lambda: isinstance(asked(), MeterRate))
