"""Records that are missing, inserted, swapped, cut off or written anew; whose keys they have."""

import sqlite3
from contextlib import closing

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from unit.audit.made import KEY, valid

from agent.audit.canonical import pack, unpack
from agent.audit.keys import public_of
from agent.audit.record import FIRST, Record, digest, to_sign
from agent.audit.verdict import sentence
from agent.audit.walk import Walk
from agent.ledger.links import records as stored

OTHER = Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33)))
TRUSTED = [public_of(KEY)]


@pytest.fixture(scope="module")
def chain(original):
    with closing(sqlite3.connect(original / "ledger.db")) as db:
        return list(stored(db))


def walked(records, as_of=None, **more):
    walk = Walk(valid, **more)
    for record in records:
        walk.take(record)
    last = max((r.sealed_at for r in records), default=0.0)
    walk.finish(last if as_of is None else as_of)
    return [sentence(finding) for finding in walk.findings]


def rewritten(records, key=None):
    """Bind these records anew as a forger would, signed with the key that he has."""
    made, previous = [], FIRST
    for number, record in enumerate(records, start=1):
        one = record._replace(number=number)
        previous = digest(previous, one)
        signature = key.sign(to_sign(previous)) if key else record.signature
        made.append(one._replace(hash=previous, signature=signature))
    return made


def with_body(record, **changes):
    return record._replace(body=pack(unpack(record.body) | changes))


def test_a_whole_chain_is_whole(chain):
    assert walked(chain, trusted=TRUSTED, expected=chain[9].hash) == []


@pytest.mark.parametrize(
    ("gone", "said"),
    [
        (slice(4, 5), "record 5: record 5 is missing"),
        (slice(4, 7), "record 5: records 5 to 7 are missing"),
        (slice(0, 1), "record 1: record 1 is missing"),
    ],
)
def test_missing_records_are_named(chain, gone, said):
    assert said in walked([r for r in chain if r not in chain[gone]])


def test_a_record_that_is_there_twice_is_named(chain):
    assert walked([*chain[:6], chain[5], *chain[6:]]) == [
        "record 6, hour 2025-12-31T23:00Z: is there twice"
    ]


def test_swapped_records_are_named(chain):
    found = walked([*chain[:5], chain[6], chain[5], *chain[7:]])
    assert "record 6: record 6 is missing" in found
    assert any(line.startswith("record 6,") and "stands where" in line for line in found)


def test_an_inserted_record_is_named_whatever_it_says(chain):
    forged = with_body(chain[8], energy=[])._replace(number=10)
    later = [r._replace(number=r.number + 1) for r in chain[9:]]
    found = walked([*chain[:9], forged, *later])
    assert any(line.startswith("record 10,") and "was changed" in line for line in found)


def test_a_changed_body_is_named_once(chain):
    changed = with_body(chain[8], energy=[[0, 1.0, 3600.0, 0.0]])
    assert walked([*chain[:8], changed, *chain[9:]]) == [
        "record 9, hour 2026-01-01T01:00Z: was changed: its hash is not that of its content"
    ]


def test_a_changed_hash_is_named_and_not_the_next_record(chain):
    changed = chain[8]._replace(hash=bytes(32))
    found = walked([*chain[:8], changed, *chain[9:]])
    assert len(found) == 1
    assert found[0].startswith("record 9,")


def test_a_chain_written_anew_without_the_key_is_found(chain):
    changed = with_body(chain[8], energy=[[0, 1.0, 3600.0, 0.0]])
    found = walked(rewritten([*chain[:8], changed, *chain[9:]]))
    assert f"record {len(chain)}" in "".join(found)
    assert sum("its signature is not of the host's key" in line for line in found) >= 20


def test_a_chain_written_anew_with_another_key_is_found_by_the_public_key(chain):
    """Without one it cannot be: nothing in it is wrong. `verify` says so."""
    key = unpack(chain[2].body) | {"public_key": public_of(OTHER).hex()}
    forged = rewritten([*chain[:2], chain[2]._replace(body=pack(key)), *chain[3:]], OTHER)
    assert chain[2].kind == "key"
    assert walked(forged) == []
    assert walked(forged, trusted=TRUSTED) == [
        "record 1: from record 1 on nothing is signed with a key that you trust"
    ]
    assert "no record has the hash" in walked(forged, expected=chain[-1].hash)[0]


def test_newest_records_cut_off_are_found_by_what_is_expected(chain):
    assert walked(chain[:-3]) == []
    (said,) = walked(chain[:-3], expected=chain[-1].hash)
    assert "the chain was cut off before it, or written anew" in said


def test_removed_signatures_are_found(chain):
    bare = [r._replace(signature=None) for r in chain]
    assert walked([*chain[:4], bare[4], *chain[5:]]) == [
        "record 5: has no signature, though a later record has one: it was removed"
    ]
    (said,) = walked(bare, as_of=chain[-1].sealed_at)
    assert said.startswith(f"record 1: records 1 to {len(chain) - 4} are not signed")


def test_the_newest_records_may_wait_for_their_signature(chain):
    waiting = [*chain[:-1], chain[-1]._replace(signature=None)]
    assert walked(waiting, trusted=TRUSTED) == []
    assert walked(waiting, as_of=chain[-1].sealed_at + 7300.0) != []


def key_record(number, new, old):
    body = {"algorithm": "Ed25519", "public_key": new, "replaces": old}
    return Record(number, "key", 490_920, 1767315000.0, pack(body), b"", None)


def bound(records, record, key):
    hashed = digest(records[-1].hash, record)
    return record._replace(hash=hashed, signature=key.sign(to_sign(hashed)))


def test_a_key_that_the_old_one_signed_takes_over(chain):
    new = key_record(len(chain) + 1, public_of(OTHER).hex(), public_of(KEY).hex())
    longer = [*chain, bound(chain, new, KEY)]
    after = chain[-1]._replace(number=len(longer) + 1)
    longer.append(bound(longer, after, OTHER))
    assert walked(longer, trusted=TRUSTED) == []
    assert walked(longer, trusted=[public_of(OTHER)]) == []  # its records bind those before
    stale = [*longer, bound(longer, after._replace(number=len(longer) + 1), KEY)]
    assert "its signature is not of the host's key" in walked(stale)[0]  # the old one is over


def test_a_key_that_the_old_one_did_not_sign_is_said(chain):
    new = key_record(len(chain) + 1, public_of(OTHER).hex(), public_of(KEY).hex())
    longer = [*chain, bound(chain, new, OTHER)]
    (said,) = walked(longer)
    assert said.startswith(f"record {len(longer)}: a new key that the one before it did not sign")
    assert walked(longer, trusted=[*TRUSTED, public_of(OTHER)]) == []


def test_what_the_agent_found_itself_is_said_for_ever(chain):
    body = {"span": "hour", "found": ["energy: x is missing"]}
    record = Record(len(chain) + 1, "mismatch", 490_900, 1767315000.0, pack(body), b"", None)
    (said,) = walked([*chain, bound(chain, record, KEY)])
    assert said.endswith("the agent itself found something changed: energy: x is missing")
    assert f"record {len(chain) + 1}, hour 2026-01-01T04:00Z" in said


def test_an_unknown_kind_and_a_second_beginning_are_said(chain):
    for kind in ("other", "begin"):
        record = chain[0]._replace(number=len(chain) + 1, kind=kind)
        assert len(walked([*chain, bound(chain, record, KEY)])) == 1
