"""Users and passwords: who comes in, what it costs, and what nobody can learn."""

import asyncio
import base64

import bcrypt
import pytest

from exporters import web_users
from exporters.web_users import FREE_FAILURES, MAX_WAITING, Failures, Users, Verdict

COST = 4
HASHES = {
    name: bcrypt.hashpw(password, bcrypt.gensalt(COST)).decode()
    for name, password in (("alice", b"sesame"), ("björn", "grün".encode()), ("long", b"x" * 72))
}
HASHES["apache"] = HASHES["alice"].replace("$2b$", "$2y$")


def basic(name, password):
    raw = name.encode() + b":" + (password if isinstance(password, bytes) else password.encode())
    return f"Basic {base64.b64encode(raw).decode()}"


@pytest.fixture
def looks(monkeypatch):
    """The hashes that passwords were held against."""
    seen = []
    fits = web_users._fits

    def counted(password, hashed):
        seen.append(hashed)
        return fits(password, hashed)

    monkeypatch.setattr(web_users, "_fits", counted)
    return seen


def run(scenario):
    async def whole():
        users = Users()
        users.use(HASHES)
        try:
            return await scenario(users)
        finally:
            users.close()

    return asyncio.run(whole())


@pytest.mark.parametrize(
    ("header", "verdict"),
    [
        (basic("alice", "sesame"), Verdict.RIGHT),
        (basic("alice", "sesame").replace("Basic", "bASIC"), Verdict.RIGHT),
        (basic("björn", "grün"), Verdict.RIGHT),
        (basic("apache", "sesame"), Verdict.RIGHT),
        (basic("long", "x" * 72 + "more, which bcrypt does not look at"), Verdict.RIGHT),
        (basic("alice", "Sesame"), Verdict.WRONG),
        (basic("alice", ""), Verdict.WRONG),
        (basic("alice", b"sesame\0"), Verdict.WRONG),
        (basic("alice", b"\xff\xfe"), Verdict.WRONG),
        (basic("bob", "sesame"), Verdict.WRONG),
        (basic("", ""), Verdict.WRONG),
        ("Basic", Verdict.WRONG),
        ("Basic ???", Verdict.WRONG),
        ("Basic " + base64.b64encode(b"no colon").decode(), Verdict.WRONG),
        ("Basic " + base64.b64encode(b"\xff:x").decode(), Verdict.WRONG),
        ("Basic " + "A" * 10_000, Verdict.WRONG),
        ("Bearer x", Verdict.WRONG),
    ],
)
def test_who_comes_in(header, verdict):
    async def scenario(users):
        return await users.look(header, "192.0.2.1")

    assert run(scenario) is verdict


def test_what_was_right_is_remembered_until_the_hash_changes(looks):
    async def scenario(users):
        for _ in range(3):
            assert await users.look(basic("alice", "sesame"), "a") is Verdict.RIGHT
        assert len(looks) == 1
        users.use(HASHES)
        assert await users.look(basic("alice", "sesame"), "a") is Verdict.RIGHT
        assert len(looks) == 1
        assert await users.look(basic("alice", "wrong"), "a") is Verdict.WRONG
        assert await users.look(basic("alice", "wrong"), "a") is Verdict.WRONG
        assert len(looks) == 3  # what was wrong is not
        users.use(HASHES | {"alice": HASHES["long"]})
        assert await users.look(basic("alice", "sesame"), "a") is Verdict.WRONG
        assert await users.look(basic("alice", "x" * 72), "a") is Verdict.RIGHT
        users.use({"long": HASHES["long"]})
        assert await users.look(basic("alice", "x" * 72), "a") is Verdict.WRONG

    run(scenario)


def test_an_unknown_user_costs_what_a_wrong_password_costs(looks):
    async def scenario(users):
        await users.look(basic("nobody", "x"), "a")

    run(scenario)
    assert [hashed.split("$")[2] for hashed in looks] == [f"{COST:02}"]
    assert looks[0] not in HASHES.values()


def test_many_with_the_same_password_are_one_look(looks):
    async def scenario(users):
        header = basic("alice", "sesame")
        return await asyncio.gather(*(users.look(header, "a") for _ in range(500)))

    assert set(run(scenario)) == {Verdict.RIGHT}
    assert len(looks) == 1


def test_no_more_wait_than_fit_and_the_rest_is_asked_to_come_again(looks):
    async def scenario(users):
        looked = (users.look(basic("alice", f"{n}"), f"{n}") for n in range(MAX_WAITING + 20))
        found = await asyncio.gather(*looked)
        assert await users.look(basic("alice", "sesame"), "b") is Verdict.RIGHT
        return found

    found = run(scenario)
    assert found.count(Verdict.BUSY) == 20
    assert found.count(Verdict.WRONG) == len(looks) - 1 == MAX_WAITING


def test_who_is_often_wrong_has_to_wait_and_others_do_not(looks, monkeypatch):
    now = [1000.0]
    monkeypatch.setattr(web_users.time, "monotonic", lambda: now[0])

    async def scenario(users):
        assert await users.look(basic("alice", "sesame"), "192.0.2.1") is Verdict.RIGHT
        for n in range(FREE_FAILURES):
            assert await users.look(basic("alice", f"{n}"), "192.0.2.1") is Verdict.WRONG
        before = len(looks)
        assert await users.look(basic("alice", "x"), "192.0.2.1") is Verdict.TOO_OFTEN
        assert len(looks) == before
        # whoever is known already comes in from there all the same
        assert await users.look(basic("alice", "sesame"), "192.0.2.1") is Verdict.RIGHT
        assert await users.look(basic("björn", "grün"), "192.0.2.2") is Verdict.RIGHT
        now[0] += 1.5
        assert await users.look(basic("long", "x" * 72), "192.0.2.1") is Verdict.RIGHT

    run(scenario)


def test_failures_are_counted_by_network_and_bounded(monkeypatch):
    now = [1000.0]
    monkeypatch.setattr(web_users.time, "monotonic", lambda: now[0])
    failures = Failures()
    for n in range(FREE_FAILURES):
        failures.add(f"2001:db8::{n:x}")
    assert failures.too_many("2001:db8::ffff")
    assert not failures.too_many("2001:db8:0:1::1")
    assert not failures.too_many("not an address")
    for n in range(5000):
        failures.add(f"10.0.{n // 256}.{n % 256}")
    assert len(failures._levels) == web_users.MAX_ADDRESSES
    now[0] += FREE_FAILURES
    assert failures._level("10.0.19.135") == 0


def test_nothing_of_a_password_stays_in_memory_in_clear():
    async def scenario(users):
        assert await users.look(basic("alice", "sesame"), "a") is Verdict.RIGHT
        return repr(vars(users))

    assert "sesame" not in run(scenario)
