"""The chain: who wins, back-off, rate limits, the cache on disk, and holes that are filled."""

import asyncio
import json
import re
from datetime import UTC, datetime
from email.utils import format_datetime
from itertools import pairwise
from pathlib import Path

import pytest
from hardware.grid.api import Asked, GridApi, Reply
from unit.collectors.grid_rig import Host, fixture, grams, moment

from agent.carbon.words import Factor, Origin
from agent.collector import Absent, Transient
from collectors.grid import Grid

NOW = "2024-01-15T01:10"
DAY = 86400.0


@pytest.fixture
def api():
    with GridApi() as api:
        yield api


class Britain:
    """NESO's API with a true intensity for every half hour; actual values come after 30 minutes."""

    def __init__(self, api: GridApi) -> None:
        self.down = False
        self.host: Host | None = None
        api.handler = self.answer

    @staticmethod
    def true(start: float) -> float:
        return 100.0 + (start / 1800) % 48

    def answer(self, asked: Asked) -> Reply:
        if self.down:
            return Reply("gone", 503)
        start, end = (moment(t[:-1]) for t in re.findall(r"\d{4}-[^/]*Z", asked.path))
        assert end - start <= 14 * DAY
        slots = []
        while start < end:
            known = start + 3600 <= self.host.clock.at
            value = self.true(start)
            intensity = {"forecast": value + 7, "actual": value if known else None}
            slots.append({"from": text(start), "to": text(start + 1800), "intensity": intensity})
            start += 1800
        return Reply(json.dumps({"data": slots}))


def text(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%MZ")


def neso(api: GridApi, *more: str, now: str = NOW, state_dir: Path | None = None, **grid) -> Host:
    carbon = {"providers": ["neso", *more], "neso": {"url": api.base}}
    return Host(carbon, now, zone="GB", state_dir=state_dir, **grid)


def test_static_alone_works_with_nothing_set():
    host = Host({}, NOW)
    (value,) = host.collect()
    assert (value.grams_per_kwh, value.factor) == (473.05, Factor.LIFECYCLE)
    assert (value.provider, value.origin) == ("static", Origin.AVERAGE)
    assert "host.grid_zone is not set" in value.source
    assert host.problems == {"static": "unsupported"}, "the direct factor that was asked for"
    assert host.collect(later=300) == [], "it is said once in a year"
    assert len(host.collect(later=366 * DAY)) == 1


def test_china_gives_location_and_residual():
    host = Host({}, "2026-03-01T00:00", zone="CN-GD")
    assert [(v.basis, v.grams_per_kwh) for v in host.collect()] == [
        ("location", 441.9),
        ("market", 609.6),
    ]
    assert host.problems == {}


def test_nobody_named_is_absent():
    with pytest.raises(Absent):
        Host({"providers": []}, NOW).collect()


def test_only_what_is_new_is_given(api: GridApi):
    api.handler = lambda _asked: Reply(fixture("neso/intensity.json"))
    host = neso(api)
    assert len(host.collect()) == 3
    assert host.collect(later=299) == []
    assert len(api.asked) == 1, "not due yet"
    assert host.collect(later=1) == []
    changed = fixture("neso/intensity.json").replace(b'"actual":null', b'"actual":240')
    api.handler = lambda _asked: Reply(changed)
    (value,) = host.collect(later=300)
    assert (value.grams_per_kwh, value.origin) == (240, Origin.MEASURED)
    assert value.fetched_at == host.clock.at


def test_back_off_doubles_and_ends_with_an_answer(api: GridApi):
    api.handler = lambda _asked: Reply("gone", 503)
    host = neso(api, "static")
    asked = []
    for tick in range(32):
        host.collect(later=300 if tick else 0)
        asked.append(len(api.asked))
    # at 0, then 300, 600, 1200, 2400 s … later, an hour at most
    assert [t for t in range(32) if t == 0 or asked[t] > asked[t - 1]] == [0, 1, 3, 7, 15, 27]
    assert host.problems == {"neso": "http"}
    api.handler = lambda _asked: Reply(fixture("neso/intensity.json"))
    host.collect(later=3600)
    assert host.problems == {}
    host.collect(later=300)
    assert len(api.asked) == asked[-1] + 2, "from now on at every interval again"


@pytest.mark.parametrize("as_date", [False, True])
def test_retry_after_is_respected(api: GridApi, as_date: bool):
    date = datetime(2030, 1, 1, tzinfo=UTC)  # the server's clock, not ours
    later = format_datetime(date.replace(minute=40), usegmt=True)
    headers = {
        "Retry-After": later if as_date else "2400",
        "Date": format_datetime(date, usegmt=True),
    }
    api.handler = lambda _asked: Reply("slow down", 429, headers)
    host = neso(api)
    for later, asked in ((0, 1), (300, 1), (2000, 1), (101, 1), (300, 2)):
        with pytest.raises(Transient, match="asked too often"):
            host.collect(later=later)
        assert len(api.asked) == asked, later


def test_a_refused_key_is_not_shown_again_for_15_minutes(api: GridApi, tmp_path: Path):
    key = tmp_path / "key"
    key.write_text("wrong")
    api.handler = lambda _asked: Reply("no", 401)
    own = {"token_file": str(key), "url": api.url("/api")}
    host = Host({"providers": ["entsoe"], "entsoe": own}, NOW, zone="FR")
    for later, asked in ((0, 1), (300, 1), (599, 1), (301, 2)):
        with pytest.raises(Transient, match="refuses the key"):
            host.collect(later=later)
        assert len(api.asked) == asked, later


def test_the_first_that_answers_wins_and_keeps_its_name(api: GridApi, tmp_path: Path):
    key = tmp_path / "key"
    key.write_text("k")
    britain = Britain(api)
    neso_answer = britain.answer
    maps_down = True

    def answer(asked: Asked) -> Reply:
        if not asked.path.startswith("/v3"):
            return neso_answer(asked)
        if maps_down:
            return Reply("", 500)
        start = host.clock.at // 3600 * 3600
        hours = [
            {
                "carbonIntensity": 50,
                "datetime": text(start - 3600 * n),
                "emissionFactorType": "direct",
            }
            for n in range(24)
        ]
        return Reply(json.dumps({"history": hours}))

    api.handler = answer
    carbon = {
        "providers": ["electricitymaps", "neso"],
        "electricitymaps": {"token_file": str(key), "url": api.base},
        "neso": {"url": api.base},
    }
    host = britain.host = Host(carbon, NOW, zone="GB")
    assert {v.provider for v in host.collect()} == {"neso"}
    assert host.problems == {"electricitymaps": "http"}
    maps_down = False
    asked = len(api.asked)
    values = host.collect(later=300)
    assert {v.provider for v in values} == {"electricitymaps"}
    assert len(api.asked) == asked + 1, "the second is not asked while the first answers"
    maps_down = True
    later = host.collect(later=4 * 3600)
    covered = max(v.end for v in values)
    assert later
    assert {v.provider for v in later} == {"neso"}
    assert all(v.end > covered for v in later), "what the first has said stands"


def test_three_days_of_outage_are_filled_later(api: GridApi):
    britain = Britain(api)
    host = britain.host = neso(api, "static")
    first = host.clock.at
    book = {v.start: v for v in host.collect() if v.provider == "neso"}
    britain.down = True
    for _ in range(3 * 24):
        assert host.collect(later=3600) == []
    assert host.problems == {"neso": "http"}
    britain.down = False
    for _ in range(6):
        book |= {v.start: v for v in host.collect(later=1800)}
    measured = [v for v in book.values() if v.origin is Origin.MEASURED]
    starts = sorted(v.start for v in measured)
    assert starts[0] <= first - 0.9 * DAY
    assert starts[-1] >= host.clock.at - 2 * 3600
    assert {b - a for a, b in pairwise(starts)} == {1800.0}
    assert all(v.grams_per_kwh == Britain.true(v.start) for v in measured)


def test_a_restart_has_the_last_known_value_and_asks_for_the_hole(api: GridApi, tmp_path: Path):
    britain = Britain(api)
    host = britain.host = neso(api, state_dir=tmp_path)
    before = host.collect()
    newest = max(v.end for v in before if v.origin is Origin.MEASURED)
    britain.down = True
    host.restart()
    assert sorted(grams(host.collect(later=600))) == sorted(grams(before))
    host.clock.at += 3 * DAY
    britain.down = False
    host.restart()
    filled = host.collect()
    assert any(v.start == newest and v.origin is Origin.MEASURED for v in filled)
    assert text(newest) in api.paths()[-1]


def test_other_settings_do_not_get_what_was_kept(api: GridApi, tmp_path: Path):
    britain = Britain(api)
    host = britain.host = neso(api, state_dir=tmp_path)
    host.collect()
    britain.down = True
    host.zone = "GB-SCT"
    host.restart()
    with pytest.raises(Transient):
        host.collect(later=300)


def test_a_damaged_file_is_told_and_replaced(api: GridApi, tmp_path: Path):
    path = tmp_path / "carbon" / "neso.json"
    path.parent.mkdir()
    path.write_text('{"asks_for": "neso GB', encoding="utf-8")
    api.handler = lambda _asked: Reply(fixture("neso/intensity.json"))
    host = neso(api, state_dir=tmp_path)
    assert len(host.collect()) == 3
    assert "damaged" in host.whys
    assert len(json.loads(path.read_text())["values"]) == 3
    assert [p.name for p in path.parent.iterdir()] == ["neso.json"]


def test_a_full_disk_is_told_and_costs_no_value(api: GridApi, tmp_path: Path):
    (tmp_path / "carbon").write_text("a file where the folder should be")
    api.handler = lambda _asked: Reply(fixture("neso/intensity.json"))
    host = neso(api, state_dir=tmp_path)
    assert len(host.collect()) == 3
    assert "neso" in host.problems


def test_an_unchanged_answer_is_not_sent_again(api: GridApi, tmp_path: Path):
    key = tmp_path / "key"
    key.write_text("k")
    sent = []

    def answer(asked: Asked) -> Reply | None:
        if not asked.path.endswith("/history"):
            return Reply("{}", 404)
        sent.append(asked.headers.get("if-none-match"))
        if asked.headers.get("if-none-match") == '"a1"':
            return Reply("", 304)
        return Reply(fixture("electricitymaps/history.json"), headers={"ETag": '"a1"'})

    api.handler = answer
    own = {"token_file": str(key), "url": api.base}
    carbon = {"providers": ["electricitymaps"], "factor": "lifecycle", "electricitymaps": own}
    host = Host(carbon, "2024-03-06T19:10", zone="DE", state_dir=tmp_path)
    assert len(host.collect()) == 24
    assert host.collect(later=300) == []
    host.restart()
    assert len(host.collect(later=300)) == 24, "from the disk, and nothing new from the API"
    assert sent == [None, '"a1"', '"a1"']


def test_a_redirect_is_not_followed(api: GridApi):
    api.handler = lambda _asked: Reply("", 302, {"Location": api.url("/elsewhere")})
    with pytest.raises(Transient, match="not followed"):
        neso(api).collect()
    assert "/elsewhere" not in api.paths()


def test_a_silent_provider_does_not_hold_up_for_ever(api: GridApi):
    path = "/intensity/2024-01-14T01:00Z/2024-01-16T01:30Z"
    api.set("late", path, manner="hang")
    host = neso(api, "static", request_seconds=0.2)
    host.collect()
    assert host.problems == {"neso": "timeout"}
    api.release()


def test_a_deadline_in_the_second_question_loses_nothing(api: GridApi, tmp_path: Path):
    """What the first provider said, and the yearly figures, come with the next round."""
    key = tmp_path / "key"
    key.write_text("k")
    own = {"user": "me", "password_file": str(key), "region": "R", "url": api.base}
    api.set("late", "/login", manner="hang")
    britain = Britain(api)
    answer = britain.answer
    api.handler = lambda asked: None if asked.path == "/login" else answer(asked)
    carbon = {"providers": ["neso", "watttime", "static"], "neso": {"url": api.base}}
    host = britain.host = Host(carbon | {"watttime": own}, NOW, zone="GB")

    async def cut_off(collector: Grid) -> None:
        round_ = asyncio.ensure_future(collector.collect())
        await asyncio.to_thread(api.wait_for, 1, "/login")
        round_.cancel()
        await asyncio.gather(round_, return_exceptions=True)

    asyncio.run(cut_off(host.collector))
    api.release()
    values = host.collect(later=1)
    assert {v.provider for v in values} == {"neso", "static"}
    assert len(api.requests("/login")) == 1, "nor is it asked again at once"
