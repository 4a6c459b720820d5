"""SNMPv3 against a real snmpd: each protocol, wrong secrets, reboots and forged answers."""

import asyncio
from random import Random

import pytest
from hardware.snmp.agent import USERS, Agent, available
from hardware.snmp.peers import Between, Silent
from hardware.snmp.rig import collector, loop, meter, poll, run
from pyasn1.codec.ber.decoder import decode
from pyasn1.codec.ber.encoder import encode
from pysnmp.proto.mpmod.rfc3412 import SNMPv3Message

from agent.collector import Transient

pytestmark = pytest.mark.skipif(not available(), reason="snmpd is not installed")
__all__ = ["loop"]
ENERGY = "1.3.6.1.4.1.99999.1.0"
TREE = f"{ENERGY}|70|1000\n"
NAMES = {
    "": "none",
    "MD5": "md5",
    "SHA": "sha",
    "SHA-224": "sha224",
    "SHA-256": "sha256",
    "SHA-384": "sha384",
    "SHA-512": "sha512",
    "DES": "des",
    "AES": "aes",
    "AES-192": "aes192",
    "AES-256": "aes256",
}


@pytest.fixture(scope="module")
def agent(tmp_path_factory):
    with Agent(tmp_path_factory.mktemp("snmpd"), TREE) as running:
        yield running


def described(agent, user="full", host="", **keys):
    auth, auth_passphrase, privacy, privacy_passphrase = USERS.get(user, USERS["full"])
    keys = {
        "auth": NAMES[auth],
        "auth_file": agent.secret(auth_passphrase) if auth else "",
        "privacy": NAMES[privacy],
        "privacy_file": agent.secret(privacy_passphrase) if privacy else "",
        **keys,
    }
    return meter(host or agent.host, version="3", user=user, energy_oid=ENERGY, **keys)


def made(agent, user="full", host="", **keys):
    return collector(described(agent, user, host, **keys))


def joules(read):
    (sample,) = poll(read)
    return sample.total


def fails(read):
    with pytest.raises(Transient) as caught:
        poll(read)
    failure = caught.value
    for _, auth_passphrase, _, privacy_passphrase in USERS.values():
        for secret in (auth_passphrase, privacy_passphrase, "wrong-passphrase"):
            assert not secret or secret not in f"{failure.why} {failure.remedy} {failure.args}"
    return failure


def test_each_protocol_is_spoken(agent):
    """All users at once, through one engine."""
    read = collector(*(described(agent, user, name=user) for user in USERS))

    async def all_of_them():
        return await asyncio.gather(*map(read.poll, read.meters))

    for _ in range(2):
        assert [value.number for (value,) in run(all_of_them())] == [1000] * len(USERS)


def test_without_cryptography_the_remedy_is_named(agent, monkeypatch):
    """pysnmp keeps in these names that cryptography could not be imported."""
    read = made(agent)
    monkeypatch.setattr("pysnmp.proto.secmod.rfc3826.priv.aes.PysnmpCryptoError", True)
    failure = fails(read)
    assert failure.why == "aes cannot be used: the package cryptography is missing or too old"
    assert failure.remedy == "pip install 'wattlas[site]'"


@pytest.mark.parametrize(
    ("user", "keys", "reason", "says"),
    [
        ("full", {"auth_file": "wrong"}, "permission", "refuses the signature of user 'full'"),
        ("full", {"auth": "sha512"}, "permission", "refuses the signature of user 'full'"),
        ("stranger", {}, "permission", "knows no SNMPv3 user 'stranger'"),
        ("full", {"privacy_file": "wrong"}, "timeout", "a wrong privacy passphrase or protocol"),
        ("full", {"privacy": "des"}, "timeout", "a wrong privacy passphrase or protocol"),
        ("short", {"privacy": "aes256c"}, "timeout", "a wrong privacy passphrase or protocol"),
        ("full", {"privacy": "none"}, "permission", "does not let this user or community read"),
        ("signed", {"privacy": "aes", "privacy_file": "wrong"}, "permission", "does not let user"),
        (
            "full",
            {"auth": "none", "auth_file": "", "privacy_file": ""},
            "permission",
            "does not let",
        ),
        ("", {}, "settings", "version 3 needs a user"),
        ("u" * 33, {}, "settings", "is too long"),
        ("full", {"auth_file": ""}, "settings", "auth_file is not set"),
        ("full", {"privacy_file": ""}, "settings", "privacy_file is not set"),
        ("full", {"auth": "none"}, "settings", 'a passphrase is named, but auth is "none"'),
    ],
)
def test_who_may_not_read_is_told_why(agent, user, keys, reason, says):
    keys = {k: agent.secret("wrong-passphrase") if v == "wrong" else v for k, v in keys.items()}
    keys["timeout_seconds"] = 1.0 if reason == "timeout" else 10.0
    failure = fails(made(agent, user, **keys))
    assert says in failure.why
    assert failure.reason == reason
    assert failure.remedy


def test_a_right_passphrase_works_after_a_wrong_one(agent, tmp_path):
    path = tmp_path / "passphrase"
    path.write_text("wrong-passphrase\n")
    read = made(agent, auth_file=str(path))
    assert fails(read).reason == "permission"
    path.write_text(USERS["full"][1] + "\n")
    assert joules(read) == 1000 * 3600


def test_users_of_one_name_may_have_a_passphrase_for_each_device(agent):
    """pysnmp's table has one row for a name: the one must not take the other's keys."""
    wrong = agent.secret("wrong-passphrase")
    read = collector(
        described(agent),
        described(agent, name="other", auth_file=wrong),
        described(agent, "sha1", name="third"),
    )

    async def together():
        return await asyncio.gather(*map(read.poll, read.meters), return_exceptions=True)

    for _ in range(3):
        (good,), refused, (third,) = run(together())
        assert good.number == third.number == 1000
        assert "refuses the signature of user 'full'" in refused.why


def test_a_silent_device_does_not_delay_another(agent):
    async def look(silent):
        hanging = described(agent, host=silent.host, name="hangs", timeout_seconds=20.0)
        both = collector(hanging, described(agent))
        waiting = asyncio.create_task(both.poll(hanging))
        found = [await both.poll(both.meters[1]) for _ in range(3)]
        assert not waiting.done()
        waiting.cancel()
        await asyncio.wait([waiting])
        return found

    with Silent() as silent:
        assert [value.number for (value,) in run(look(silent))] == [1000] * 3


def test_a_device_that_restarted_or_was_replaced_is_read_at_once(tmp_path):
    """usmStatsNotInTimeWindows, then usmStatsUnknownEngineIDs."""
    with Agent(tmp_path, TREE) as own:
        read = made(own, timeout_seconds=3.0)
        assert joules(read) == 1000 * 3600
        own.stop()
        own.set(f"{ENERGY}|70|1001\n")
        own.start()
        assert joules(read) == 1001 * 3600
        own.stop()
        own.start(forget=True)
        assert joules(read) == 1001 * 3600


def test_a_device_without_v3_is_told(agent):
    with Silent() as silent:
        failure = fails(made(agent, host=silent.host, timeout_seconds=0.5))
    assert failure.reason == "timeout"
    assert "whether SNMPv3 is switched on" in failure.remedy


@pytest.mark.parametrize(
    "forge",
    [
        pytest.param(lambda answer: answer[:-1] + bytes([answer[-1] ^ 1]), id="changed"),
        pytest.param(lambda answer: answer[: len(answer) // 2], id="half"),
    ],
)
def test_a_forged_answer_is_not_believed(agent, forge):
    """The first exchange tells the engine id and is not signed; then each answer is changed."""
    with Between(agent.port, lambda n, answer: [forge(answer) if n else answer]) as between:
        failure = fails(made(agent, host=between.host, timeout_seconds=1.0))
    assert failure.reason == "timeout"
    with Between(agent.port, lambda n, answer: [forge(answer), answer] if n else [answer]) as both:
        assert joules(made(agent, host=both.host)) == 1000 * 3600


@pytest.mark.parametrize("seed", range(4))
def test_answers_with_a_wrong_byte_are_not_believed_and_break_nothing(agent, seed):
    random = Random(seed)

    def wrong(answer):
        place = random.randrange(len(answer))
        return (
            answer[:place] + bytes([answer[place] ^ random.randrange(1, 256)]) + answer[place + 1 :]
        )

    def mangle(n, answer):
        return [*(wrong(answer) for _ in range(40)), answer] if n else [answer]

    with Between(agent.port, mangle) as between:
        assert joules(made(agent, host=between.host)) == 1000 * 3600


def test_an_answer_without_a_signature_is_not_believed(agent):
    """What the agent tells an open user must not pass for what a signed request asked for."""
    unsigned = []
    with Between(agent.port, lambda _, answer: [unsigned.append(answer) or answer]) as between:
        joules(made(agent, "open", between.host))

    def with_id_of(answer):
        """Return the unsigned answer with the message id of the signed one."""
        forged, signed = (
            decode(data, asn1Spec=SNMPv3Message())[0] for data in (unsigned[-1], answer)
        )
        forged[1][0] = signed[1][0]
        return encode(forged)

    with Between(agent.port, lambda n, a: [with_id_of(a)] if n else [a]) as between:
        failure = fails(made(agent, host=between.host, timeout_seconds=1.0))
    assert failure.reason == "timeout"
