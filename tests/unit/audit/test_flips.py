"""Any single bit flipped in any record of a ledger or an export is found. See campaign.py."""

import random
import shutil
import sqlite3
from contextlib import closing

from unit.audit import handing
from unit.audit.flips import TABLES, contents, flip_in_file, is_named, trials
from unit.audit.made import checked, said

SQL_TRIALS = 66
"""6 of each table; docs/audit.md has 10,000 of each kind."""
FILE_TRIALS = 40
EXPORT_TRIALS = 30


def test_a_bit_in_any_value_of_any_table_is_found_and_named(state_dir):
    with closing(sqlite3.connect(state_dir / "ledger.db", isolation_level=None)) as db:
        tried = list(trials(db, SQL_TRIALS, 20260101))
        assert {one.table for one, _ in tried} == set(TABLES)
        unnamed = [(one, said(verdict)) for one, verdict in tried if not is_named(one, verdict)]
    assert unnamed == []
    assert said(checked(state_dir)) == []  # and nothing is left of them


def test_a_bit_anywhere_in_the_file_never_gives_a_clean_verdict_of_other_contents(
    original, tmp_path
):
    dice = random.Random(7)
    before = repr(contents(original / "ledger.db"))
    path = tmp_path / "ledger.db"
    outcomes = set()
    for _ in range(FILE_TRIALS):
        shutil.copyfile(original / "ledger.db", path)
        bit = flip_in_file(path, dice)
        try:
            found = said(checked(tmp_path))
        except sqlite3.Error as error:
            found = [str(error)]
        changed = repr(contents(path)) != before
        assert found or not changed, bit
        outcomes.add((bool(found), changed))
    assert {(True, True), (False, False)} <= outcomes  # both kinds were tried


def test_a_bit_in_any_file_of_an_export_is_found_and_its_file_named(handed, tmp_path):
    directory = handing.copied(handed, tmp_path / "export")
    dice = random.Random(11)
    for _ in range(EXPORT_TRIALS):
        path, bit = handing.flip_one(directory, dice)
        verdict = handing.checked(directory)
        assert handing.is_named(path, verdict), (path.name, bit, said(verdict))
        handing.toggle(path, bit)
    assert said(handing.checked(directory)) == []
