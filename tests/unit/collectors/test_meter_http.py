"""JSON meters over real HTTP: recorded devices, and each way in which an answer is no reading."""

import asyncio
import json
import ssl
import subprocess
from pathlib import Path

import pytest
from hardware.pages import Pages
from unit.collectors.trees import FIXTURES, Clock, context

from agent.collector import Absent, Context, Transient
from agent.samples import MeterCounter, MeterRate
from agent.site.settings import HttpMeter, SiteSettings
from agent.site.words import Role
from collectors.meter_http import MeterHttp
from collectors.meter_json import NotThere, look_up, moment_of, number_of, tokens_of
from collectors.metering import MeteringSettings

METERS = FIXTURES / "meters"
JSON = "application/json"


@pytest.fixture
def pages():
    with Pages() as server:
        yield server


def make(*meters, clock=None, **site):
    full = context(Path("/nowhere"), clock)
    settings = SiteSettings(meter=meters, **site)
    return MeterHttp(
        MeteringSettings(),
        Context(full.paths, full.clock, full.latest_utilization, site=settings),
    )


def meter(pages, name="m", **more):
    more.setdefault("url", pages.url())
    if "energy" not in more:
        more.setdefault("power", "/power")
    return HttpMeter(name=name, **more)


async def collected(collector):
    try:
        return list(await collector.collect()), list(collector.problems())
    finally:
        collector.close()


def read(*meters, **more):
    return asyncio.run(collected(make(*meters, **more)))


def failure(one, **more):
    async def poll():
        collector = make(one, **more)
        try:
            for part in await collector.poll(one):
                if isinstance(part, Transient):
                    raise part
        finally:
            collector.close()

    with pytest.raises(Transient) as caught:
        asyncio.run(poll())
    return caught.value


# -- JSON Pointer ----------------------------------------------------------------------------------

RFC = json.loads(
    '{"foo": ["bar", "baz"], "": 0, "a/b": 1, "c%d": 2, "e^f": 3, "g|h": 4, "i\\\\j": 5,'
    ' "k\\"l": 6, " ": 7, "m~n": 8}'
)


@pytest.mark.parametrize(
    ("pointer", "value"),
    [
        ("", RFC), ("/foo", ["bar", "baz"]), ("/foo/0", "bar"), ("/", 0), ("/a~1b", 1),
        ("/c%d", 2), ("/e^f", 3), ("/g|h", 4), ("/i\\j", 5), ('/k"l', 6), ("/ ", 7), ("/m~0n", 8),
    ],
)  # fmt: skip
def test_the_table_of_rfc_6901_section_5(pointer, value):
    assert look_up(RFC, pointer) == value


def test_escapes_are_undone_in_the_order_of_the_rfc():
    assert tokens_of("/~01") == ("~1",)
    assert tokens_of("//a/") == ("", "a", "")


@pytest.mark.parametrize("pointer", ["foo", "#/foo", "/m~n", "/~", "/~2"])
def test_texts_that_are_no_pointers(pointer):
    with pytest.raises(ValueError, match="is no JSON Pointer"):
        look_up(RFC, pointer)


@pytest.mark.parametrize(
    ("pointer", "says"),
    [
        ("/nope", "at the top there is no 'nope', but 'foo', '', 'a/b'"),
        ("/foo/2", "below '/foo' is a list of 2, which has no item '2'"),
        ("/foo/-", "no item '-'"), ("/foo/01", "no item '01'"), ("/foo/-1", "no item '-1'"),
        ("/foo/٣", "no item"), ("/foo/9999999999999999999999", "no item"),
        ("/foo/0/x", "below '/foo/0' is the text 'bar', which has no 'x' in it"),
        ("/a~1b/x", "below '/a~1b' is 1, which"),
    ],
)  # fmt: skip
def test_pointers_that_lead_nowhere(pointer, says):
    with pytest.raises(NotThere, match=says.replace("(", r"\(")):
        look_up(RFC, pointer)


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (0, 0.0),
        (-3, -3.0),
        (2.5, 2.5),
        ("231.4", 231.4),
        (" 7 ", 7.0),
        ("1e3", 1000.0),
        (".5", 0.5),
    ],
)
def test_numbers_and_texts_that_are_nothing_but_one(value, number):
    assert number_of(value) == number


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (None, "is null"), (True, "is true"), (False, "is false"), ([1], "is a list"),
        ({"v": 1}, "is an object"), ("231,4", "is the text '231,4'"), ("5 W", "is the text '5 W'"),
        ("", "is the text ''"), ("NaN", "not a number"), ("inf", "not a number"),
        ("0x10", "not a number"), ("1_000", "not a number"), ("٣", "not a number"),
        ("1e999", "beyond all measure"), (10**400, "beyond all measure"),
    ],
)  # fmt: skip
def test_what_is_no_number(value, says):
    with pytest.raises(ValueError, match=says):
        number_of(value)


def test_time_stamps():
    assert moment_of("2026-01-01T00:00:00Z") == moment_of("2026-01-01 00:00:00+00:00")
    assert moment_of(1.5) == moment_of("1.5")
    for none in ("16:26", "yesterday", None, True, {}):
        with pytest.raises(ValueError, match="is "):
            moment_of(none)


# -- recorded devices ------------------------------------------------------------------------------


def test_a_first_generation_shelly(pages):
    pages.set((METERS / "shelly-3em/status.json").read_text(), "/status", content_type=JSON)
    one = meter(
        pages, url=pages.url("/status"), energy="/emeters/1/total", power="/emeters/1/power",
        time="/unixtime",
    )  # fmt: skip
    samples, problems = read(one)
    # 172 216.5 Wh x 3600 J/Wh
    assert samples == [
        MeterCounter("meter_http", "m", 1000.0, 619_979_400.0, None, 1e9),
        MeterRate("meter_http", "m", 1000.0, 1247.18),
    ]
    assert problems == []
    assert "authorization" not in pages.requests("/status")[0]


def test_its_time_of_day_is_no_time_stamp(pages):
    pages.set((METERS / "shelly-3em/status.json").read_text(), content_type=JSON)
    error = failure(meter(pages, power="/emeters/0/power", time="/time"))
    assert "/time: is the text '16:26', not a time with its date" in error.why


def test_a_second_generation_shelly_whose_keys_have_colons(pages):
    pages.set((METERS / "shelly-pro-em50/getstatus.json").read_text(), "/rpc/Shelly.GetStatus")
    samples, _ = read(
        meter(
            pages, url=pages.url("/rpc/Shelly.GetStatus"), energy="/em1data:1/total_act_energy",
            power="/em1:1/act_power", time="/sys/unixtime",
        )
    )  # fmt: skip
    assert [s.total for s in samples[:1]] == [pytest.approx(6644.90 * 3600)]
    assert samples[1].per_second == 5080.3


def test_a_plug_with_tasmota_in_kwh(pages):
    pages.set((METERS / "tasmota-pow/status8.json").read_text(), "/cm", content_type=JSON)
    samples, _ = read(
        meter(
            pages, url=pages.url("/cm?cmnd=Status%208"), energy="/StatusSNS/ENERGY/Total",
            energy_unit="kWh", power="/StatusSNS/ENERGY/Power", time="/StatusSNS/Time",
        )
    )  # fmt: skip
    assert samples[0].total == pytest.approx(3.705 * 3.6e6)
    assert samples[1].per_second == 5.0


def test_water_and_a_register_that_rolls_over(pages):
    pages.set('{"volume": "99998.5", "flow": 1.8}', content_type=JSON)
    samples, _ = read(
        meter(
            pages, role=Role.WATER_IN, energy="/volume", energy_unit="m3",
            energy_wraps_at=100_000.0, power="/flow", power_unit="m3/h",
        )
    )  # fmt: skip
    assert (samples[0].total, samples[0].wraps_at) == (99_998_500.0, 100_000_000.0)
    assert samples[1].per_second == pytest.approx(0.5)  # l/s


# -- answers that are no reading -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ('{"power": null}', "/power: is null, not a number"),
        ('{"power": true}', "/power: is true, not a number"),
        ('{"power": "off"}', "/power: is the text 'off', not a number"),
        ('{"power": {"total": 5}}', "/power: is an object, not a number"),
        ('{"watts": 5}', "/power: at the top there is no 'power', but 'watts'"),
        ("[5]", "/power: at the top is a list of 1, which has no item 'power'"),
        ("5", "/power: at the top is 5, which has no 'power' in it"),
        ('{"power": 5', "sends no whole JSON"),
        ('{"power": NaN}', "sends no whole JSON"),
        ('{"power": 1e999}', "sends no whole JSON"),
        ("[" * 100_000, "sends no whole JSON"),
        (b'{"power": "\xff"}', "sends no whole JSON"),
        ("", "sends nothing"),
        ("<!doctype html><title>Log in</title>", "sends a web page, perhaps its log-in, not JSON"),
    ],
)
def test_bodies_that_are_no_reading(pages, body, says):
    pages.set(body, content_type=JSON)
    error = failure(meter(pages))
    assert says in error.why
    assert error.why.startswith(pages.url())
    assert error.reason == "garbage"
    assert error.remedy


def test_a_byte_order_mark_and_any_content_type_pass(pages):
    pages.set(b'\xef\xbb\xbf{"power": 5}', content_type="text/html")
    samples, _ = read(meter(pages))
    assert [s.per_second for s in samples] == [5.0]


@pytest.mark.parametrize(
    ("answer", "reason", "says"),
    [
        ({"status": 404}, "http", "answers HTTP 404"),
        ({"status": 503}, "http", "answers HTTP 503"),
        ({"status": 302, "headers": {"Location": "/login"}}, "http", "sends on to '"),
        ({"manner": "half"}, "io", "the answer broke off"),
        ({"manner": "hang"}, "timeout", "did not answer within 0.18 s"),
        ({"manner": "slow"}, "timeout", "did not answer within 0.18 s"),
        ({"headers": {"Content-Encoding": "gzip"}}, "garbage", "compressed with gzip"),
        ({"status": 401}, "permission", "asks for a token (HTTP 401)"),
        (
            {"status": 401, "headers": {"WWW-Authenticate": 'Basic realm="x"'}},
            "permission",
            "asks for a user and a password (HTTP 401)",
        ),
        (
            {"status": 401, "headers": {"WWW-Authenticate": 'Digest realm="x", qop="auth"'}},
            "permission",
            "asks for digest authentication, which Wattlas does not speak (HTTP 401)",
        ),
    ],
)
def test_answers_that_are_no_document(pages, answer, reason, says):
    pages.set('{"power": 5}', content_type=JSON, **answer)
    quick = {"timeout_seconds": 0.2} if reason == "timeout" else {}
    error = failure(meter(pages, **quick))
    assert (error.reason, says in error.why) == (reason, True), error.why
    pages.release()


def test_a_document_without_length_that_was_cut_off(pages):
    pages.set('{"power": 12', manner="unsaid")
    assert "no whole JSON" in failure(meter(pages)).why


def test_one_that_is_too_large(pages):
    pages.set(json.dumps({"power": 5, "log": "x" * 2**20}), content_type=JSON)
    assert "sends more than 1 MiB" in failure(meter(pages)).why


def test_nobody_there(pages):
    pages.stop()
    error = failure(meter(pages))
    assert (error.reason, "nothing listens there" in error.why) == ("refused", True)


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        ({"power": ""}, "neither energy nor power"),
        ({"power": "power"}, "'power' is no JSON Pointer"),
        ({"url": "10.0.0.5/status"}, "is no address"),
        ({"user": "me"}, "token_file, or by user together with password_file"),
        ({"user": "me", "password_file": "/p", "token_file": "/t"}, "token_file, or by user"),
    ],
)
def test_settings_that_make_no_sense(pages, keys, says):
    pages.set('{"power": 5}')
    assert says in failure(meter(pages, **keys)).why


def test_a_password_and_a_token_come_from_files_and_are_never_shown(pages, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("pass wörd:1\n")
    pages.set('{"power": 5}')
    read(meter(pages, user="reader", password_file=str(secret)))
    # base64 of the UTF-8 text reader:pass wörd:1 (RFC 7617, section 2.1)
    assert pages.requests()[-1]["authorization"] == "Basic cmVhZGVyOnBhc3Mgd8O2cmQ6MQ=="
    pages.set("no", status=401)
    error = failure(meter(pages, user="reader", password_file=str(secret)))
    assert "refuses user 'reader' or the password" in error.why
    assert "wörd" not in error.why + error.remedy
    secret.write_text("abc.def\n")
    error = failure(meter(pages, token_file=str(secret)))
    assert pages.requests()[-1]["authorization"] == "Bearer abc.def"
    assert "refuses the token" in error.why
    assert "abc" not in error.why + error.remedy


@pytest.mark.parametrize("content", [None, b"", b"\n", b"\xff\n"])
def test_password_files_that_hold_none(pages, tmp_path, content):
    file = tmp_path / "password"
    if content is not None:
        file.write_bytes(content)
    error = failure(meter(pages, user="reader", password_file=str(file)))
    assert (error.reason, str(file) in error.why) == ("permission", True)
    assert pages.requests() == []


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
         "-nodes", "-days", "2", "-subj", "/CN=meter", "-addext", "subjectAltName=IP:127.0.0.1",
         "-keyout", folder / "key.pem", "-out", folder / "cert.pem"],
        check=True, capture_output=True,
    )  # fmt: skip
    return folder


def test_tls_only_with_a_certificate_that_is_trusted(certificate):
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate / "cert.pem", certificate / "key.pem")
    with Pages(tls) as pages:
        pages.set('{"power": 5}', content_type=JSON)
        samples, _ = read(meter(pages, ca_file=str(certificate / "cert.pem")))
        assert [s.per_second for s in samples] == [5.0]
        error = failure(meter(pages))
        assert (error.reason, "ca_file" in error.remedy) == ("tls", True)
        missing = failure(meter(pages, ca_file=str(certificate / "absent.pem")))
        assert (missing.reason, "absent.pem" in missing.why) == ("tls", True)


# -- a source that hangs, and several meters -------------------------------------------------------


def test_a_time_that_stands_still_is_a_source_that_hangs(pages):
    clock = Clock()
    one = meter(pages, time="/t", interval_seconds=10.0)

    async def polls():
        collector = make(one, clock=clock)
        found = []
        for after, body in [
            (0, '{"power": 5, "t": "2026-01-01T00:00:00Z"}'),
            (30, '{"power": 5, "t": "2026-01-01T00:00:00Z"}'),  # 3 intervals: still taken
            (1, '{"power": 5, "t": "2026-01-01T00:00:00Z"}'),  # more than 3: no reading
            (10, '{"power": 5, "t": "2026-01-01T01:00:00+01:00"}'),  # the same moment
            (10, '{"power": 6, "t": "2026-01-01T00:00:51Z"}'),  # alive again
            (10, '{"power": 7, "t": 1767225671}'),
        ]:
            clock.now += after
            pages.set(body, content_type=JSON)
            try:
                found.append((await collector.poll(one))[0].number)
            except Transient as error:
                found.append(f"{error.reason}: {error.why.partition(' ')[2]}")
        collector.close()
        return found

    still = "stale: its time has stood still at 2026-01-01T00:00:00+00:00 for"
    assert asyncio.run(polls()) == [5.0, 5.0, f"{still} 31 s", f"{still} 41 s", 6.0, 7.0]


def test_one_that_fails_harms_no_other_and_is_named(pages):
    pages.set('{"power": 5, "off": null}', content_type=JSON)
    samples, problems = read(meter(pages, "a"), meter(pages, "b", power="/off"))
    assert [(s.meter, s.per_second) for s in samples] == [("a", 5.0)]
    assert [(p.what, p.reason) for p in problems] == [("b", "garbage")]


def test_a_total_that_is_null_does_not_take_the_rate_with_it(pages):
    pages.set('{"power": 5, "total": null}', content_type=JSON)
    samples, problems = read(meter(pages, energy="/total", power="/power"))
    assert [type(s) for s in samples] == [MeterRate]
    assert [(p.what, "/total: is null" in p.why) for p in problems] == [("m", True)]


def test_meters_of_one_document_cost_one_request(pages):
    pages.set(json.dumps({"outlets": [{"w": float(i)} for i in range(48)]}), content_type=JSON)
    meters = [meter(pages, f"o{i}", power=f"/outlets/{i}/w") for i in range(48)]
    samples, problems = read(*meters)
    assert [s.per_second for s in samples] == [float(i) for i in range(48)]
    assert problems == []
    assert len(pages.requests()) == 1


def test_one_who_stops_waiting_stops_nobody_else(pages):
    """Two meters of one document, of which one is given up before it comes."""
    pages.set('{"power": 5}', content_type=JSON, manner="hang")
    first, second = meter(pages, "a"), meter(pages, "b")

    async def polls():
        collector = make(first, second)
        given_up = asyncio.create_task(collector.poll(first))
        waiting = asyncio.create_task(collector.poll(second))
        await asyncio.to_thread(pages.wait_for, 1)
        given_up.cancel()
        await asyncio.to_thread(pages.release)
        values = await waiting
        collector.close()
        return values[0].number, given_up.cancelled()

    assert asyncio.run(polls()) == (5.0, True)
    assert len(pages.requests()) == 1


def test_all_failing_is_transient_and_no_meter_is_absent(pages):
    pages.set("{}", content_type=JSON)
    with pytest.raises(Transient, match=r"^a: .*no 'power'.* \(and 1 more\)$"):
        read(meter(pages, "a"), meter(pages, "b"))
    with pytest.raises(Absent, match='source = "http"'):
        read()
