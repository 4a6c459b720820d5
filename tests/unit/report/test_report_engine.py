"""One PromQL engine over real HTTP, and each way in which that fails."""

import asyncio
import json
import ssl
import subprocess
from collections.abc import Iterator
from itertools import pairwise

import pytest
from hardware.pages import Pages

from agent.kpi.period import Period
from agent.report.answers import Series
from agent.report.engine import MOST_POINTS, Engine, checked, pieces
from agent.report.failure import ReportError
from agent.report.prometheus import _agents_site

PATH = "/api/v1/query_range"
JSON = "application/json"
GOOD = {
    "status": "success",
    "data": {
        "resultType": "matrix",
        "result": [{"metric": {"a": "b"}, "values": [[60, "1.5"], [120, "NaN"], [180, "2"]]}],
    },
}


@pytest.fixture
def pages() -> Iterator[Pages]:
    with Pages() as server:
        yield server


def ask(url: str, **more) -> list[Series]:
    usual = {"timeout_seconds": 20.0, "pause_seconds": 0.0}

    async def run() -> list[Series]:
        async with Engine(url, **(usual | more)) as engine:
            return await engine.range("up", 60, 180, 60)

    return asyncio.run(run())


def answer(pages: Pages, body, path: str = PATH, **more) -> None:
    text = body if isinstance(body, str) else json.dumps(body)
    pages.set(text, path, **({"content_type": JSON} | more))


def failure(url: str, **more) -> str:
    with pytest.raises(ReportError) as caught:
        ask(url, **more)
    said = str(caught.value)
    assert "\n" not in said
    return said


def test_what_is_no_number_is_no_point_and_get_is_used_where_post_is_not_taken(pages):
    answer(pages, GOOD)
    assert ask(pages.url("")) == [Series({"a": "b"}, {60.0: 1.5, 180.0: 2.0})]
    assert len(pages.requests(PATH)) == 1  # the POST before it was refused with 405


def test_an_engine_below_a_path_and_a_pasted_address(pages):
    answer(pages, GOOD, "/prometheus" + PATH)
    assert ask(pages.url("/prometheus"))
    assert ask(pages.url("/prometheus/api/v1/query"))


@pytest.mark.parametrize(
    ("body", "how", "part"),
    [
        ({"status": "error", "errorType": "bad_data", "error": "parse\nerror"}, {"status": 400},
         "says: parse error (bad_data)"),
        ({"status": "error", "errorType": "execution", "error": "too many samples"},
         {"status": 422}, "too many samples (execution); ask for a shorter period"),
        ("<!doctype html><title>Grafana</title>", {"content_type": "text/html"}, "a web page"),
        ("<html>Bad gateway</html>", {"status": 500, "content_type": "text/html"}, "HTTP 500"),
        ("404 page not found\n", {"status": 404, "content_type": "text/plain"},
         "HTTP 404 (404 page not found)"),
        ('{"status":"success","data":{"resultType":"matrix","result":[{"metr', {}, "was cut off"),
        ('{"status":"success"}', {}, "(HTTP 200)"),
        ("[1, 2]", {}, "with no JSON"),
        (GOOD | {"isPartial": True}, {}, "only part of the data"),
        ({"status": "success", "data": {"resultType": "vector", "result": []}}, {}, "vector"),
        ({"status": "success", "data": {"resultType": "matrix",
          "result": [{"metric": {}, "values": [[1, "much"]]}]}}, {}, "no number"),
        (GOOD, {"status": 401}, "asks for a token (HTTP 401)"),
        ("", {"status": 302, "headers": {"Location": "http://me:secret@b/login?x=secret"}},
         "sends on to 'http://b/login'"),
    ],
)  # fmt: skip
def test_answers_that_are_none(pages, body, how, part):
    answer(pages, body, **how)
    said = failure(pages.url(""))
    assert part in said
    assert "secret" not in said
    assert said.startswith(pages.url(""))


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_what_may_pass_is_asked_again_twice(pages, status):
    answer(pages, "busy", status=status, content_type="text/plain")
    assert f"HTTP {status} (busy); try again later" in failure(pages.url(""))
    assert len(pages.requests(PATH)) == 3


def test_an_answer_that_breaks_off_is_asked_for_again(pages):
    answer(pages, GOOD, manner="half")
    assert "broke off" in failure(pages.url(""))
    assert len(pages.requests(PATH)) == 3


def test_nobody_there_and_no_end(pages):
    answer(pages, GOOD, manner="hang")
    assert "did not answer within 0.2 s" in failure(pages.url(""), timeout_seconds=0.2)
    pages.stop()
    assert "nothing listens there" in failure(pages.url(""))


def test_the_token_goes_along_and_is_never_shown(pages):
    answer(pages, GOOD)
    ask(pages.url(""), token="hush")
    assert pages.requests(PATH)[-1]["authorization"] == "Bearer hush"
    answer(pages, "no", status=403)
    said = failure(pages.url(""), token="hush")
    assert "refuses the token" in said
    assert "hush" not in said


@pytest.mark.parametrize(
    ("sites", "label", "part"),
    [
        ([{"site": "gz-1"}, {"site": "b"}], "gz-1", ""),
        ([{"site": "b"}, {}], None, "only of b"),
        ([{}], "", "so all are taken as those of gz-1"),
        ([], "gz-1", ""),
    ],
)
def test_which_agents_are_of_the_site(pages, sites, label, part):
    rows = [{"metric": labels, "values": [[60, "1"]]} for labels in sites]
    answer(pages, GOOD | {"data": {"resultType": "matrix", "result": rows}})

    async def run():
        async with Engine(pages.url("")) as engine:
            return await _agents_site(engine, "gz-1", Period(0, 3600), lambda: None)

    found, said = asyncio.run(run())
    assert found == label
    assert bool(said) is bool(part)
    assert part in "".join(said)


def test_warnings_are_kept(pages):
    answer(pages, GOOD | {"warnings": ["one store is away"]})

    async def run() -> set[str]:
        async with Engine(pages.url("")) as engine:
            await engine.range("up", 0, 60, 60)
            return engine.warnings

    assert asyncio.run(run()) == {"one store is away"}


def test_tls_only_with_a_certificate_that_is_trusted(tmp_path):
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
         "-nodes", "-days", "2", "-subj", "/CN=test", "-addext", "subjectAltName=IP:127.0.0.1",
         "-keyout", tmp_path / "key.pem", "-out", tmp_path / "cert.pem"],
        check=True, capture_output=True,
    )  # fmt: skip
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    with Pages(tls) as pages:
        answer(pages, GOOD)
        assert "--ca-file" in failure(pages.url(""))
        assert ask(pages.url(""), ca_file=str(tmp_path / "cert.pem"))
        assert "absent.pem" in failure(pages.url(""), ca_file=str(tmp_path / "absent.pem"))


@pytest.mark.parametrize(
    ("url", "part"),
    [
        ("prometheus:9090", "is no address"),
        ("ftp://a", "is no address"),
        ("http://a:99999", "is no address"),
        ("http://a/?orgId=1", "is no address"),
        ("http://me:secret@a", "no password belongs"),
    ],
)
def test_addresses_that_are_wrong(url, part):
    with pytest.raises(ReportError, match=part) as caught:
        checked(url)
    assert caught.value.status == 2
    assert "secret" not in str(caught.value)


def test_pieces_stay_below_the_engines_limit_and_meet():
    found = list(pieces(0, 35040 * 900, 900))  # a year of quarters of an hour
    assert found[0][0] == 900
    assert found[-1][1] == 35040 * 900
    assert all((last - first) / 900 + 1 <= MOST_POINTS for first, last in found)
    assert all(b[0] == a[1] + 900 for a, b in pairwise(found))
