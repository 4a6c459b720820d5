"""The audit as a user and an auditor see it: a real agent, the commands, and a script of docs/."""

import json
import re
import shutil
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from e2e.agents import Agent, settings, until, wattlas
from unit.audit.made import Life
from unit.ledger.rig import rows

from agent.audit import signer

pytestmark = [pytest.mark.e2e, pytest.mark.parallel]

DOCS = Path(__file__).parents[2] / "docs"
HOURS = 6


class Lived(NamedTuple):
    """What an agent left, and what was seen while it ran."""

    state_dir: Path
    config: Path
    first_public: Path
    """Of the key that was there first."""
    live: "subprocess.CompletedProcess[str]"
    """`verify` beside the agent."""
    shown: float
    """wattlas_ledger_records_total."""


@pytest.fixture(scope="module")
def lived(tmp_path_factory, machine):
    """A ledger of today without a chain, that a real agent adopts, signs, and gives a new key."""
    folder = tmp_path_factory.mktemp("audit")
    state_dir = folder / "state"
    life = Life(state_dir, signed=False)
    life.hour = int(time.time() // 3600) - HOURS - 1
    life.seal = lambda: None
    life.bill(10.0, 20.0)
    life.live(HOURS)
    life.close()
    with closing(sqlite3.connect(state_dir / "ledger.db")) as db, db:
        db.execute("UPDATE unsealed SET how = 'adopted'")
    signer.publish(folder / "first.pub", signer.make(state_dir / "host.key").public_key())
    signer.make(state_dir / "host.key.next")
    config = settings(folder / "wattlas.toml", root=machine)
    with Agent(config) as agent:
        until("all is adopted and signed", lambda: _is_done(state_dir / "ledger.db"))
        live = wattlas("ledger", "verify", "--config", config)
        shown = agent.metrics().total("wattlas_ledger_records")
        assert agent.stop() == 0
    return Lived(state_dir, config, folder / "first.pub", live, shown)


def _is_done(path: Path) -> bool:
    ((records, signed),) = rows(path, "SELECT count(*), count(signature) FROM chain")
    ((keys,),) = rows(path, "SELECT count(*) FROM chain WHERE kind = 'key'")
    ((adopted,),) = rows(path, "SELECT count(*) FROM chain WHERE kind = 'adopted'")
    return records == signed and keys == 2 and adopted == HOURS


def verified(*arguments: object) -> dict[str, Any]:
    result = wattlas("ledger", "verify", *arguments, "--json")
    document: dict[str, Any] = json.loads(result.stdout)
    assert result.returncode == (0 if document["clean"] else 1), result
    return document


@pytest.fixture(scope="module")
def handed(lived, tmp_path_factory):
    directory = tmp_path_factory.mktemp("handed") / "export"
    result = wattlas(
        "ledger", "export", "--config", lived.config, "--output", directory, "--owner", "us"
    )
    assert (result.returncode, result.stderr) == (0, ""), result
    return directory


def test_it_verifies_beside_a_running_agent(lived):
    assert lived.live.returncode == 0, lived.live
    assert "All is as it was sealed." in lived.live.stdout
    assert f"{HOURS} hours were there before the chain" in lived.live.stdout
    assert lived.shown >= HOURS + 3  # a beginning and two keys


def test_the_old_key_vouches_for_the_new_one_and_an_export_for_what_was(lived, handed):
    document = verified(
        "--config", lived.config, "--public-key", lived.first_public, "--expect", handed
    )
    assert document["clean"], document
    assert len(document["keys"]) == 2
    assert document["signed"] == document["records"]
    assert (
        not (lived.state_dir / "host.key.next").exists() or (lived.state_dir / "host.pub").exists()
    )


def test_an_export_is_verified_elsewhere(handed, lived):
    document = verified(handed, "--public-key", lived.first_public)
    assert document["clean"], document
    assert document["hours"] == HOURS
    manifest = json.loads((handed / "manifest.json").read_text())
    assert manifest["data_asset"]["owner"] == "us"
    assert manifest["provenance"]["adopted_hours"] == HOURS


def script_of_docs() -> str:
    blocks = re.findall(r"```python\n(.*?)```", (DOCS / "audit.md").read_text(), re.DOTALL)
    (script,) = [block for block in blocks if "wattlas ledger record 1" in block]
    return str(script)


def independent(directory: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-I", "-W", "ignore", "-c", script_of_docs(), directory],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_script_of_the_documentation_finds_what_ours_finds(handed, tmp_path):
    result = independent(handed)
    newest = json.loads((handed / "manifest.json").read_text())["chain"]["head"]["hash"]
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip().endswith(f"newest {newest}")
    for name, old, new in (
        ("energy_hour.csv", ",239.6,", ",239.7,"),
        ("chain.csv", ",adopted,", ",hour,"),
    ):
        spoilt = Path(shutil.copytree(handed, tmp_path / name))
        text = (spoilt / name).read_text()
        assert old in text
        (spoilt / name).write_text(text.replace(old, new, 1))
        result = independent(spoilt)
        assert result.returncode == 1
        assert "was changed" in result.stderr
        assert not verified(spoilt)["clean"]


def test_tampering_is_named_and_an_export_refused(lived, tmp_path):
    state_dir = Path(shutil.copytree(lived.state_dir, tmp_path / "state"))
    with closing(sqlite3.connect(state_dir / "ledger.db")) as db, db:
        db.execute(
            "UPDATE hour SET joules = joules * 0.9 WHERE hour = (SELECT min(hour) FROM hour)"
        )
    result = wattlas("ledger", "verify", state_dir)
    assert result.returncode == 1
    begin = time.strftime("%Y-%m-%dT%H:00Z", time.gmtime(_first_hour(state_dir) * 3600))
    assert re.search(rf"WRONG  record \d+, hour {begin}: energy: rapl cpu package-0", result.stdout)
    refused = wattlas("ledger", "export", "--state-dir", state_dir, "--output", tmp_path / "no")
    assert refused.returncode == 1
    assert "things are wrong with the ledger, first: record" in refused.stderr
    assert not (tmp_path / "no").exists()


def _first_hour(state_dir: Path) -> int:
    return int(rows(state_dir / "ledger.db", "SELECT min(hour) FROM hour")[0][0])
