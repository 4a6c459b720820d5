"""The commands in this process: what they print, refuse and exit with."""

import json
import sqlite3
import sys
from contextlib import closing

import pytest
from cryptography.hazmat.primitives import serialization
from unit.audit.made import FIRST_HOUR, KEY, Life

from agent.audit import signer
from agent.cli import main


@pytest.fixture
def run(capsys, monkeypatch, tmp_path):
    """Run a command; returns status, stdout and stderr."""
    monkeypatch.chdir(tmp_path)

    def ran(*arguments):
        monkeypatch.setattr(sys, "argv", ["wattlas", "ledger", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            main()
        out, err = capsys.readouterr()
        return end.value.code, out, err

    return ran


@pytest.fixture
def keyed(state_dir):
    """A ledger with its key beside it."""
    (state_dir / "host.key").write_bytes(
        KEY.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    signer.publish(state_dir / "host.pub", KEY.public_key())
    return state_dir


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (("verify", "/nowhere"), 1, "there is no ledger; name its directory with --state-dir"),
        (("verify", "--public-key", "/nowhere"), 2, "--public-key"),
        (("verify", "--expect", "12"), 2, "is no hash of 64 hexadecimal digits and no manifest"),
        (("verify", "a", "--state-dir", "b"), 2, "name FILE|DIR or --state-dir, not both"),
        (("export",), 2, "name a new directory with --output"),
        (("export", "--from", "soon"), 2, "is no date; write 2026-01-31"),
        (("export", "--from", "2026-02-01", "--to", "2026-01-01"), 2, "--to is not after --from"),
        (("export", "--openmetrics", "--label", "job"), 2, "--label: write name=value"),
        (("export", "--output", "x", "--state-dir", "/nowhere"), 1, "there is no ledger"),
        (("rotate-key", "--state-dir", "/nowhere"), 1, "cannot be read"),
    ],
)
def test_what_a_user_gets_wrong_ends_in_a_sentence(run, arguments, status, said):
    code, _, err = run(*arguments)
    assert (code, said in err) == (status, True), err
    assert len(err.strip().splitlines()) == 1


def test_a_file_that_is_no_ledger_or_another_version_is_said(run, state_dir, tmp_path):
    (tmp_path / "junk.db").write_bytes(b"no database" * 1000)
    code, _, err = run("verify", tmp_path / "junk.db")
    assert (code, "cannot be read (file is not a database)" in err) == (1, True), err
    for version, said in ((4, "an older Wattlas"), (99, "a newer Wattlas")):
        with closing(sqlite3.connect(state_dir / "ledger.db")) as db:
            db.execute(f"PRAGMA user_version = {version}")
        code, _, err = run("verify", state_dir)
        assert (code, said in err) == (1, True), err


def test_verify_says_what_is_there_and_what_nobody_can_find(run, keyed):
    code, out, err = run("verify", keyed)
    assert (code, err) == (0, "")
    assert "33 records, 28 hours from 2025-12-31T20:00Z to 2026-01-01T23:00Z" in out
    assert "Without an anchor from elsewhere" in out
    assert out.endswith("All is as it was sealed.\n")
    _, out, _ = run("verify", keyed, "--json")
    head = json.loads(out)["head"]["hash"]
    _, out, _ = run("verify", keyed, "--public-key", keyed / "host.pub", "--expect", head)
    assert "Without an anchor" not in out


def test_what_is_wrong_with_many_hours_is_said_once(run, state_dir):
    with closing(sqlite3.connect(state_dir / "ledger.db")) as db, db:
        db.execute("DELETE FROM minute")
    code, out, _ = run("verify", state_dir)
    assert code == 1
    assert out.count("WRONG") == 1
    assert "hour 2025-12-31T20:00Z: minutes: all rows are missing (and 27 more" in out
    assert "28 things are wrong." in out


def test_an_expected_hash_that_is_not_there_is_said(run, state_dir):
    code, out, _ = run("verify", state_dir, "--expect", "ab" * 32, "--json")
    (finding,) = json.loads(out)["findings"]
    assert (code, "no record has the hash abab" in finding["what"]) == (1, True)


def test_export_verify_and_the_same_again(run, keyed, tmp_path):
    words = ("--title", "t", "--owner", "us", "--classification", "public")
    code, out, err = run("export", "--state-dir", keyed, "--output", "x", *words)
    assert (code, err) == (0, "")
    assert "energy_hour.csv" in out
    manifest = json.loads((tmp_path / "x/manifest.json").read_text())
    asset = manifest["data_asset"]
    assert (asset["title"], asset["owner"], asset["classification"]) == ("t", "us", "public")
    assert run("verify", "x", "--public-key", keyed / "host.pub")[0] == 0
    assert run("verify", keyed, "--expect", "x")[0] == 0
    code, _, err = run("export", "--state-dir", keyed, "--output", "x")
    assert (code, "is there already; name a new directory" in err) == (1, True)
    period = ("--from", "2026-01-01", "--to", "2026-01-01T06:00", "--format", "parquet")
    code, out, _ = run("export", "--state-dir", keyed, "--output", "y", *period, "--json")
    assert code == 0
    assert json.loads(out)["period"] == {"from": "2026-01-01T00:00Z", "to": "2026-01-01T06:00Z"}
    assert run("verify", "y")[0] == 0


def test_a_ledger_in_which_something_is_wrong_is_handed_over_only_on_demand(run, keyed, tmp_path):
    with closing(sqlite3.connect(keyed / "ledger.db")) as db, db:
        db.execute("UPDATE quarter SET amount = 1 WHERE quarter % 40 = 0")
    code, _, err = run("export", "--state-dir", keyed, "--output", "x")
    assert (code, "things are wrong with the ledger, first: record" in err) == (1, True)
    assert not (tmp_path / "x").exists()
    assert run("export", "--state-dir", keyed, "--output", "x", "--even-if-wrong")[0] == 0
    code, out, _ = run("verify", "x")
    assert (code, "this was wrong with the ledger: record" in out) == (1, True)


def test_without_the_key_the_manifest_is_not_signed_and_says_so(run, state_dir):
    code, _, err = run("export", "--state-dir", state_dir, "--output", "x")
    assert (code, "the manifest is not signed" in err) == (0, True)
    code, out, _ = run("verify", "x")
    assert (code, "The manifest is not signed" in out) == (0, True)


def test_a_ledger_without_a_sealed_hour_has_nothing_to_hand_over(run, tmp_path):
    life = Life(tmp_path / "state")
    life.post(FIRST_HOUR, 0)
    life.seal(FIRST_HOUR * 3600.0 + 60)
    life.close()
    code, _, err = run("export", "--state-dir", tmp_path / "state", "--output", "x")
    assert (code, "no hour is sealed yet" in err) == (1, True)


def test_a_new_key_is_made_beside_the_old_one(run, keyed):
    assert run("rotate-key", "--state-dir", keyed)[0] == 0
    assert (keyed / "host.key.next").stat().st_mode & 0o777 == 0o600
    code, _, err = run("rotate-key", "--state-dir", keyed)
    assert (code, "is there already" in err) == (1, True)


def test_openmetrics_goes_through_the_same_command(run, keyed, tmp_path):
    code, _, err = run(
        *("export", "--state-dir", keyed, "--openmetrics", "--label", "job=wattlas"),
        *("--output", "e.om"),
    )
    assert code == 0, err
    text = (tmp_path / "e.om").read_text()
    assert text.endswith("# EOF\n")
    assert 'job="wattlas"' in text


def test_help_has_examples(run, state_dir):
    del state_dir
    for command in ("verify", "export", "rotate-key"):
        code, out, _ = run(command, "--help")
        assert (code, "Example" in out) == (0, True)
