"""Reading a metrics page over real HTTP, and each way in which that fails."""

import asyncio
import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hardware.pages import OPENMETRICS, Pages
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from agent.collector import Transient
from collectors.scraping import MOST_BYTES, Scraper, what_is_wrong_with

PAGE = """\
# HELP DCGM_FI_DEV_POWER_USAGE Power draw (in W).
# TYPE DCGM_FI_DEV_POWER_USAGE gauge
DCGM_FI_DEV_POWER_USAGE{gpu="0",UUID="GPU-1",modelName="A \\"b\\" {c}"} 71.25
DCGM_FI_DEV_POWER_USAGE{gpu="1",UUID="GPU-2"} NaN
# TYPE DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION counter
DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION{gpu="0"} 123456789012
# TYPE other counter
DCGM_FI_DEV_POWER_USAGE_OTHER{gpu="0"} 1
broken line that is not asked for{{{
plain_total 5 1700000000000
"""
OPENMETRICS_PAGE = """\
# TYPE tokens counter
# HELP tokens Tokens.
tokens_total{model="m"} 12 # {trace="x"} 1.0 1700000000.5
tokens_created{model="m"} 1.0
# TYPE seconds histogram
seconds_bucket{le="1.0"} 1
seconds_bucket{le="+Inf"} 2
seconds_count 2
seconds_sum 3.5
# TYPE other gauge
other 1
# EOF
"""
WANTED = ("DCGM_FI_DEV_POWER_USAGE", "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION", "plain_total")


@pytest.fixture
def pages() -> Iterator[Pages]:
    with Pages() as server:
        yield server


def scrape(url: str, wanted=WANTED, *, timeout_seconds: float = 20.0, **more) -> list[Sample]:
    async def once() -> list[Sample]:
        try:
            return await Scraper(url, wanted, timeout_seconds=timeout_seconds, **more).scrape()
        finally:
            await all_closed()

    return asyncio.run(once())


async def all_closed() -> None:
    """Wait for connections that are being closed: with TLS the other side has a word in it."""
    open_ones = asyncio.get_running_loop()._transports  # kept weakly, until each is closed
    for _ in range(60_000):  # a minute; asyncio has no event for it
        if all(one._sock is None for one in list(open_ones.values())):
            return
        await asyncio.sleep(0.001)


def failure(url: str, **more) -> Transient:
    with pytest.raises(Transient) as caught:
        scrape(url, **more)
    return caught.value


def test_wanted_samples_come_as_they_stand_on_the_page(pages):
    pages.set(PAGE)
    power, blank, energy, plain = scrape(pages.url())
    assert power.name == "DCGM_FI_DEV_POWER_USAGE"
    assert power.labels == {"gpu": "0", "UUID": "GPU-1", "modelName": 'A "b" {c}'}
    assert power.value == 71.25
    assert blank.value != blank.value
    assert energy == Sample("DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION", {"gpu": "0"}, 123456789012.0)
    assert isinstance(energy.value, float)
    assert (plain.name, plain.value) == ("plain_total", 5.0)


@pytest.mark.parametrize(
    "line",
    [
        "m 1", "m{} 2.5", 'm{a="b"} 3e-5', 'm{a="b"}4', 'm{a="}",b="\\"{\\n\\\\"} 5', "  m  6  ",
        "m\t7",
        'm{a="b",} 8', 'm{a="é # x"} 9', 'm{ a = "b" } 10', "m 11 1700000000000", "m +Inf",
        "m -Inf",
        "m NaN", "m 0x10", "m 1_000", "m .5", "m 1.5E+3", 'm{a="b" 12', "m{a=b} 13", "m{a} 14",
        'm{a="b",a="c"} 15', "m 1.2.3", "m +", "m infinity", "m{", 'm{a="b"}', "m 1\r",
    ],
)  # fmt: skip
def test_each_line_reads_as_prometheus_client_reads_it(pages, line):
    """The quick way through usual lines must not differ from the library's."""
    pages.set(f"# TYPE other gauge\n{line}\n".encode())
    try:
        expected = [
            (s.name, s.labels, float(s.value))
            for family in text_string_to_metric_families(line)
            for s in family.samples
        ]
    except Exception:  # noqa: BLE001 - that parser raises whatever comes of bad text
        assert failure(pages.url(), wanted=["m"]).reason == "garbage"
        return
    for _ in range(2):
        found = [(s.name, s.labels, s.value) for s in scrape(pages.url(), ["m"])]
        assert repr(found) == repr(expected)


def test_nothing_wanted_and_an_empty_page_give_no_samples(pages):
    pages.set(PAGE)
    assert scrape(pages.url(), ["absent"]) == []
    assert scrape(pages.url(), []) == []
    pages.set("")
    assert scrape(pages.url()) == []


def test_openmetrics_with_families_and_exemplars(pages):
    pages.set(OPENMETRICS_PAGE, content_type=OPENMETRICS)
    found = scrape(pages.url(), ["tokens_total", "seconds_sum"])
    assert [(s.name, s.value) for s in found] == [("tokens_total", 12.0), ("seconds_sum", 3.5)]


def test_openmetrics_without_its_end_was_cut_off(pages):
    pages.set("# TYPE tokens counter\ntokens_total 12\n", content_type=OPENMETRICS)
    error = failure(pages.url(), wanted=["tokens_total"])
    assert error.reason == "garbage"
    assert "EOF" in error.why


def test_no_connection_is_kept_and_nothing_compressed_asked_for(pages):
    pages.set(PAGE)
    scrape(pages.url())
    scrape(pages.url())
    first, second = pages.requests()
    assert first == second
    assert first["accept-encoding"] == "identity"
    assert "authorization" not in first


def test_refused_and_back_again(pages):
    pages.set(PAGE)
    pages.stop()
    error = failure(pages.url())
    assert error.reason == "refused"
    assert error.why == f"{pages.url()}: connection refused, nothing listens there"
    assert error.remedy
    pages.start()
    assert len(scrape(pages.url())) == 4


@pytest.mark.parametrize("manner", ["hang", "slow"])
def test_no_end_in_time(pages, manner):
    pages.set(PAGE, manner=manner)
    error = failure(pages.url(), timeout_seconds=0.2)
    assert error.reason == "timeout"
    assert error.why == f"{pages.url()} did not answer within 0.18 s"


def test_a_slow_body_comes_whole(pages):
    pages.set(PAGE, manner="slow")
    threading.Thread(target=lambda: (pages.wait_for(1), pages.release())).start()
    assert len(scrape(pages.url())) == 4


@pytest.mark.parametrize(
    ("answer", "reason", "part"),
    [
        ({"status": 500}, "http", "answers HTTP 500"),
        ({"status": 404}, "http", "answers HTTP 404"),
        ({"status": 401}, "permission", "asks for a token (HTTP 401)"),
        (
            {"status": 302, "headers": {"Location": "http://elsewhere.example/m?key=secret"}},
            "http",
            "sends on to 'http://elsewhere.example/m' (HTTP 302)",
        ),
        ({"content_type": "text/html"}, "garbage", "sends text/html"),
        ({"content_type": "application/json"}, "garbage", "sends application/json"),
        ({"headers": {"Content-Encoding": "gzip"}}, "garbage", "compressed with gzip"),
        ({"manner": "half"}, "io", "broke off"),
    ],
)
def test_answers_that_are_no_page(pages, answer, reason, part):
    pages.set(PAGE, **answer)
    error = failure(pages.url())
    assert error.reason == reason
    assert part in error.why
    assert error.why.startswith(pages.url())
    assert "secret" not in error.why + error.remedy


@pytest.mark.parametrize(
    ("body", "part"),
    [
        (b"<html>welcome</html>", "is no page of metrics; it begins '<html>welcome</html>'"),
        (b'{"error": 1}', "is no page of metrics"),
        (b"\xff\xfe", "sends no UTF-8 text (byte 0)"),
        (b"plain_total twelve\n", "is not in the format"),
        (b'plain_total{a="b} 1\n', "is not in the format"),
        (b"plain_total \n", "is no page of metrics"),
    ],
)
def test_bodies_that_are_not_the_format(pages, body, part):
    pages.set(body)
    error = failure(pages.url())
    assert error.reason == "garbage"
    assert part in error.why


def test_a_body_without_length_that_ends_in_a_line_was_cut_off(pages):
    pages.set("plain_total 12\nplain_total 123", manner="unsaid")
    error = failure(pages.url())
    assert (error.reason, "cut off" in error.why) == ("io", True)
    pages.set("plain_total 123456\n", manner="unsaid")
    assert [s.value for s in scrape(pages.url())] == [123456.0]
    pages.set("plain_total 123456")
    assert [s.value for s in scrape(pages.url())] == [123456.0]


def test_a_page_over_the_limit_is_refused_and_one_below_is_parsed_off_the_loop(pages):
    line = "x" * 99 + "\n"
    pages.set(line * (MOST_BYTES // 100 + 1))
    error = failure(pages.url())
    assert error.reason == "garbage"
    assert "more than 16 MiB" in error.why
    pages.set("plain_total 3\n" + "filler 1\n" * 100_000)
    assert [s.value for s in scrape(pages.url())] == [3.0]


def test_a_number_too_large_for_a_float_is_infinite(pages):
    pages.set("plain_total 1" + "0" * 400 + "\n")
    assert [s.value for s in scrape(pages.url())] == [float("inf")]


def test_the_token_is_read_anew_and_never_shown(pages, tmp_path):
    file = tmp_path / "token"
    file.write_text("first\n")
    pages.set(PAGE)
    scraper = Scraper(pages.url(), WANTED, timeout_seconds=20.0, token_file=str(file))
    asyncio.run(scraper.scrape())
    file.write_text("second\n")
    pages.set("no", status=403)
    with pytest.raises(Transient) as caught:
        asyncio.run(scraper.scrape())
    assert [r["authorization"] for r in pages.requests()] == ["Bearer first", "Bearer second"]
    assert caught.value.reason == "permission"
    assert "refuses the token" in caught.value.why
    assert "second" not in caught.value.why + caught.value.remedy
    assert str(file) in caught.value.remedy


@pytest.mark.parametrize("content", [b"", b"two words", b"a\r\nb: c", b"\xff"])
def test_token_files_that_hold_no_token(pages, tmp_path, content):
    file = tmp_path / "token"
    file.write_bytes(content)
    error = failure(pages.url(), token_file=str(file))
    assert error.reason == "permission"
    assert str(file) in error.why
    assert pages.requests() == []
    file.unlink()
    assert "No such file" in failure(pages.url(), token_file=str(file)).why


def test_the_environment_has_no_say(pages, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    pages.set(PAGE)
    assert len(scrape(pages.url())) == 4


@pytest.mark.parametrize(
    ("url", "part"),
    [
        ("localhost:9400/metrics", "is no address"),
        ("ftp://a/b", "is no address"),
        ("http:///metrics", "is no address"),
        ("http://host:99999/", "is no address"),
        ("http://[::1/", "is no address"),
        ("http://a b/", "has a space"),
        ("http://me:secret@host/metrics", "no password belongs"),
    ],
)
def test_addresses_that_are_wrong(url, part):
    wrong = what_is_wrong_with(url)
    assert part in wrong
    assert "secret" not in wrong
    assert failure(url).why == wrong
    assert what_is_wrong_with("https://[::1]:9400/metrics?a=b") == ""


@pytest.fixture(scope="module")
def certificate(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("tls")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
         "-nodes", "-days", "2", "-subj", "/CN=test", "-addext", "subjectAltName=IP:127.0.0.1",
         "-keyout", folder / "key.pem", "-out", folder / "cert.pem"],
        check=True, capture_output=True,
    )  # fmt: skip
    return folder


def test_tls_only_with_a_certificate_that_is_trusted(certificate):
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate / "cert.pem", certificate / "key.pem")
    with Pages(tls) as pages:
        pages.set(PAGE)
        assert len(scrape(pages.url(), ca_file=str(certificate / "cert.pem"))) == 4
        error = failure(pages.url())
        assert error.reason == "tls"
        assert "ca_file" in error.remedy
        missing = failure(pages.url(), ca_file=str(certificate / "absent.pem"))
        assert (missing.reason, "absent.pem" in missing.why) == ("tls", True)
        plain = failure(pages.url().replace("https", "http"))
        assert plain.reason in {"io", "http"}


def test_a_line_that_never_ends_is_soon_done_with(pages):
    """No pattern tries again and again from the middle of a broken line."""
    pages.set('m{a="' + "x" * 50_000 + "\n" + "m{" + "b," * 50_000 + "\n")
    assert failure(pages.url(), wanted=["m"]).reason == "garbage"
