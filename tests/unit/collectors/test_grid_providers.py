"""What each provider's real answers become, over real HTTP on loopback."""

import json
from pathlib import Path

import pytest
from hardware.grid.api import Asked, GridApi, Reply
from unit.collectors.grid_rig import Host, fixture, grams, moment

from agent.carbon.words import Basis, Factor, Origin
from agent.collector import Transient
from collectors.grid_provider import utc

HISTORY = "/v3/carbon-intensity/history"
LATEST = "/v3/carbon-intensity/latest"


@pytest.fixture
def api():
    with GridApi() as api:
        yield api


@pytest.fixture
def key(tmp_path: Path) -> str:
    path = tmp_path / "key"
    path.write_text("s3cret-key\n")
    return str(path)


def maps(api: GridApi, key: str, now: str = "2024-03-06T19:10", zone: str = "DE", **more) -> Host:
    own = {"token_file": key, "url": api.base}
    carbon = {"providers": ["electricitymaps"], "factor": "lifecycle", "electricitymaps": own}
    return Host(carbon | more, now, zone=zone)


def watttime(api: GridApi, key: str, now: str = "2022-07-15T00:16") -> Host:
    own = {"user": "me", "password_file": key, "region": "CAISO_NORTH", "url": api.base}
    return Host({"providers": ["watttime"], "watttime": own}, now, zone="US-CAL-CISO")


def neso(api: GridApi, zone: str = "GB", **more) -> Host:
    return Host(
        {"providers": ["neso"], "neso": {"url": api.base}} | more, "2024-01-15T01:10", zone=zone
    )


def entsoe(api: GridApi, key: str, zone: str = "HU", factors: dict | None = None, **more) -> Host:
    own = {"token_file": key, "url": api.url("/api"), "factors": factors or {}}
    return Host({"providers": ["entsoe"], "entsoe": own} | more, "2026-08-08T12:10", zone=zone)


def test_electricity_maps_history_with_its_estimated_hours(api: GridApi, key: str):
    api.set(fixture("electricitymaps/history.json"), HISTORY)
    values = maps(api, key).collect()
    assert len(values) == 24
    first, last = values[0], values[-1]
    assert (first.start, first.end) == (moment("2024-03-05T20:00"), moment("2024-03-05T21:00"))
    assert (first.grams_per_kwh, first.origin) == (599, Origin.MEASURED)
    assert (last.grams_per_kwh, last.origin) == (689, Origin.ESTIMATED)
    assert "TIME_SLICER_AVERAGE" in last.source
    assert {v.factor for v in values} == {Factor.LIFECYCLE}
    assert {v.basis for v in values} == {Basis.LOCATION}
    asked = api.asked[0]
    assert (asked.headers["auth-token"], asked.query) == ("s3cret-key", {"zone": "DE"})


def test_electricity_maps_direct_factors_are_asked_for_and_checked(api: GridApi, key: str):
    api.set("{}", HISTORY, status=403)
    api.set(fixture("electricitymaps/latest-direct.json"), LATEST)
    host = maps(api, key, "2024-09-27T00:50", "US-MIDW-MISO", factor="direct")
    (value,) = host.collect()
    assert (value.grams_per_kwh, value.factor) == (506, Factor.DIRECT)
    assert {a.query["emissionFactorType"] for a in api.asked} == {"direct"}
    assert not any("forecast" in path for path in api.paths()), "there are life-cycle ones alone"
    api.set(fixture("electricitymaps/latest.json"), LATEST)
    with pytest.raises(Transient, match="gives lifecycle factors, not direct"):
        host.collect(later=300)


def test_electricity_maps_forecast_is_marked(api: GridApi, key: str):
    api.set(fixture("electricitymaps/history.json"), HISTORY)
    hours = [{"datetime": "2024-03-06T20:00:00.000Z", "carbonIntensity": 640}]
    api.set(json.dumps({"zone": "DE", "forecast": hours}), "/v3/carbon-intensity/forecast")
    values = maps(api, key).collect()
    assert [(v.grams_per_kwh, v.origin) for v in values][-1] == (640, Origin.FORECAST)


def test_electricity_maps_without_data_or_key(api: GridApi, key: str):
    api.set(fixture("electricitymaps/no-data.json"), HISTORY, status=404)
    assert maps(api, key).collect() == []
    with pytest.raises(Transient, match="key is not set") as caught:
        maps(api, "").collect()
    assert caught.value.reason == "settings"


def hours_back(api: GridApi, host: Host, *, may_ask_back: bool) -> None:
    """Answer as Electricity Maps does: 24 hours, and any ten days to those who may."""

    def answer(asked: Asked) -> Reply | None:
        now = host.clock.at // 3600 * 3600
        start, end, name = now - 23 * 3600, now + 1, "history"
        if asked.path.endswith("/past-range"):
            if not may_ask_back:
                return Reply('{"error":"Not Authorized"}', 401)
            start, end = (moment(asked.query[k][:-1]) for k in ("start", "end"))
            assert end - start <= 10 * 86400
            name = "data"
        elif not asked.path.endswith("/history"):
            return None
        hours = [
            {"carbonIntensity": (at // 3600) % 500, "datetime": utc(at)}
            for at in range(int(start), int(end), 3600)
        ]
        return Reply(json.dumps({"zone": "DE", name: hours}))

    api.handler = answer


def test_electricity_maps_is_asked_for_the_hole_after_three_days(
    api: GridApi, key: str, tmp_path: Path
):
    host = maps(api, key)
    host.state_dir = tmp_path
    host.restart()
    hours_back(api, host, may_ask_back=True)
    book = {v.start: v.grams_per_kwh for v in host.collect()}
    assert len(book) == 24
    host.clock.at += 3 * 86400
    host.restart()
    book |= {v.start: v.grams_per_kwh for v in host.collect()}
    assert len(book) == 4 * 24
    assert all(value == (at // 3600) % 500 for at, value in book.items())
    assert api.paths().count("/v3/carbon-intensity/past-range") == 1


def test_electricity_maps_is_not_asked_back_while_all_goes_well(api: GridApi, key: str):
    host = maps(api, key)
    hours_back(api, host, may_ask_back=True)
    starts = [v.start for _ in range(60) for v in host.collect(later=3600)]
    assert len(starts) == len(set(starts)) == 24 + 59
    assert api.paths().count("/v3/carbon-intensity/past-range") == 0


def test_electricity_maps_without_the_right_to_ask_back_still_has_24_hours(
    api: GridApi, key: str, tmp_path: Path
):
    host = maps(api, key)
    host.state_dir = tmp_path
    host.restart()
    hours_back(api, host, may_ask_back=False)
    host.collect()
    host.clock.at += 3 * 86400
    host.restart()
    new = [v for v in host.collect() if v.fetched_at == host.clock.at]
    assert len(new) == 24
    assert host.problems["electricitymaps past-range"] == "permission"
    host.collect(later=300)
    assert api.paths().count("/v3/carbon-intensity/past-range") == 1


@pytest.mark.parametrize(
    ("body", "what"),
    [
        (b"<html>", "as documented"),
        (b'{"history": [{"carbonIntensity": "many", "datetime": "x"}]}', "as documented"),
        (b'{"history": [{"carbonIntensity": 5, "datetime": "yesterday"}]}', "names a time"),
        (
            b'{"history": [{"carbonIntensity": -4, "datetime": "2024-03-06T20:00:00Z"}]}',
            "no intensity of a grid",
        ),
    ],
)
def test_garbage_is_no_intensity(api: GridApi, key: str, body: bytes, what: str):
    api.set(body, HISTORY)
    with pytest.raises(Transient, match=what) as caught:
        maps(api, key).collect()
    assert caught.value.reason == "garbage"


def test_watttime_is_marginal_and_in_grams(api: GridApi, key: str):
    def answer(asked: Asked) -> Reply | None:
        if asked.path == "/login":
            assert asked.headers["authorization"] == "Basic bWU6czNjcmV0LWtleQ=="
            return Reply('{"token": "bearer-1"}')
        assert asked.headers["authorization"] == "Bearer bearer-1"
        if asked.path == "/v3/historical":
            return Reply(fixture("watttime/historical.json"))
        return Reply(fixture("watttime/no-right.json"), 403)

    api.handler = answer
    host = watttime(api, key)
    values = host.collect()
    assert grams(values) == pytest.approx([394.6253619, 394.6253619, 475.5522245], abs=1e-6)
    assert {v.basis for v in values} == {Basis.MARGINAL}
    assert values[-1].end == moment("2022-07-15T00:15")
    assert "model of 2023-03-01" in values[0].source
    assert host.problems == {"watttime forecast": "permission"}
    host.collect(later=300)
    assert api.paths().count("/login") == 1, "the token is good for half an hour"
    host.collect(later=1800)
    assert api.paths().count("/login") == 2


def test_watttime_token_that_was_withdrawn_is_asked_for_anew(api: GridApi, key: str):
    tokens = iter(["old", "new", "third"])
    api.handler = lambda asked: (
        Reply(json.dumps({"token": next(tokens)}))
        if asked.path == "/login"
        else Reply(fixture("watttime/historical.json"))
    )
    host = watttime(api, key)
    host.collect()

    def answer(asked: Asked) -> Reply:
        if asked.path == "/login":
            return Reply(json.dumps({"token": next(tokens)}))
        good = asked.headers["authorization"] == "Bearer new"
        return Reply(fixture("watttime/historical.json"), 200 if good else 401)

    api.handler = answer
    host.collect(later=300)
    assert host.problems == {}


def test_watttime_percentile_is_no_intensity(api: GridApi, key: str):
    api.handler = lambda asked: (
        Reply('{"token": "t"}')
        if asked.path == "/login"
        else Reply(fixture("watttime/signal-index.json"))
    )
    with pytest.raises(Transient, match="percentile, which is no intensity"):
        watttime(api, key).collect()


def test_neso_half_hours_actual_before_forecast(api: GridApi):
    api.handler = lambda _asked: Reply(fixture("neso/intensity.json"))
    values = neso(api).collect()
    assert grams(values) == [239, 248, 251]
    assert [v.origin for v in values] == [Origin.MEASURED, Origin.MEASURED, Origin.FORECAST]
    assert values[0].end - values[0].start == 1800
    assert (values[0].factor, values[0].provider) == (Factor.DIRECT, "neso")
    assert api.paths() == ["/intensity/2024-01-14T01:00Z/2024-01-16T01:30Z"]


@pytest.mark.parametrize("zone", ["DE", "GB-NIR", ""])
def test_neso_knows_great_britain_alone(api: GridApi, zone: str):
    with pytest.raises(Transient, match="Great Britain alone"):
        neso(api, zone).collect()
    assert api.asked == []


def test_neso_gives_no_life_cycle_figure(api: GridApi):
    with pytest.raises(Transient, match="direct intensities alone"):
        neso(api, factor="lifecycle").collect()


def test_entsoe_mix_times_factors(api: GridApi, key: str):
    api.set(fixture("entsoe/a75.xml"), "/api", content_type="application/xml")
    values = entsoe(api, key).collect()
    # 10:45 has no gas yet: a mix without it would look clean. What storage gives back and
    # what plants and pumps take is not in the mix.
    assert grams(values) == pytest.approx(
        [1200 * 370 / 3500, 1200 * 370 / 3550, 1310 * 370 / 3712], rel=1e-12
    )
    assert (values[0].start, values[0].end) == (
        moment("2026-08-08T10:00"),
        moment("2026-08-08T10:15"),
    )
    query = api.asked[0].query
    assert (query["in_Domain"], query["documentType"]) == ("10YHU-MAVIR----U", "A75")
    assert (query["periodStart"], query["periodEnd"]) == ("202608071200", "202608081300")
    assert query["securityToken"] == "s3cret-key"


def test_entsoe_life_cycle_and_own_factors(api: GridApi, key: str):
    api.set(fixture("entsoe/a75.xml"), "/api")
    values = entsoe(api, key, factor="lifecycle").collect()
    assert values[0].grams_per_kwh == pytest.approx(180.6)
    own = entsoe(api, key, factors={"B04": 400.0}).collect()
    assert own[0].grams_per_kwh == pytest.approx(1200 * 400 / 3500)
    assert "own factors for B04" in own[0].source


def test_entsoe_no_data_is_nothing_and_a_refusal_is_told(api: GridApi, key: str):
    api.set(fixture("entsoe/no-data.xml"), "/api", status=400)
    assert entsoe(api, key).collect() == []
    api.set(fixture("entsoe/refused.xml"), "/api")
    with pytest.raises(Transient, match="invalid security token"):
        entsoe(api, key).collect()


@pytest.mark.parametrize(
    "body",
    [
        b'<!DOCTYPE a [<!ENTITY b "c">]><GL_MarketDocument>&b;</GL_MarketDocument>',
        '<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>'.encode("utf-16"),
        b"<GL_MarketDocument>",
        b"<Publication_MarketDocument/>",
    ],
)
def test_entsoe_reads_no_document_type_and_no_other_document(api: GridApi, key: str, body: bytes):
    api.set(body, "/api")
    with pytest.raises(Transient) as caught:
        entsoe(api, key).collect()
    assert caught.value.reason == "garbage"


def test_no_message_and_no_file_has_a_secret(api: GridApi, key: str, tmp_path: Path):
    api.handler = lambda _asked: Reply("no", 403)
    own = {"token_file": key, "url": api.url("/api")}
    host = Host(
        {
            "providers": ["electricitymaps", "entsoe", "watttime", "static"],
            "entsoe": own,
            "electricitymaps": {"token_file": key, "url": api.base},
            "watttime": {"user": "me", "password_file": key, "region": "R", "url": api.base},
        },
        "2026-08-08T12:10",
        zone="HU",
        state_dir=tmp_path,
    )
    host.collect()
    assert set(host.problems) >= {"electricitymaps", "entsoe", "watttime"}
    api.handler = lambda asked: Reply(
        '{"token": "s3cret-token"}' if asked.path == "/login" else fixture("entsoe/a75.xml"),
        headers={"ETag": '"1"'},
    )
    host.collect(later=1000)
    kept = "".join(p.read_text() for p in (tmp_path / "carbon").iterdir())
    assert "GL_MarketDocument" in kept
    assert "s3cret" not in kept + host.whys
