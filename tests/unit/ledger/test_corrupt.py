"""A file that is not what was written is set aside, never deleted, and measuring goes on."""

import os
import random
import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs
from unit.ledger.rig import LEVELS, STREAMS, Day, begun, lived, posting, sums

from agent.ledger import Ledger
from agent.ledger.batch import Batch
from agent.ledger.opening import MAX_ASIDE


def aside(state_dir: Path) -> list[Path]:
    found = state_dir.glob("ledger.db.corrupt-*")
    return sorted(path for path in found if not path.name.endswith(("-wal", "-shm")))


def overwrite(path: Path, offset: int, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY)
    os.pwrite(descriptor, data, offset)
    os.close(descriptor)


def goes_on(state_dir: Path, ticks: int = 4) -> tuple[Day, list[dict[str, object]]]:
    """Live on a ledger for a while; it must end well and hold what was handed over."""
    day = Day(state_dir)
    day.tick_seconds = 31.0  # the whole file is checked a minute after the start
    with capture_logs() as logs:
        lived(day, lambda d: d.tick(ticks))
    assert day.writer.status().up, day.writer.status()
    ledger = Ledger.open(state_dir)
    identities, state = ledger.load()
    ledger.check()
    ledger.close()
    assert (identities, state) == (STREAMS, b"%d" % day.joules)
    return day, list(logs)


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a killed agent leaves: a main file and a WAL, both with something in them."""
    root = tmp_path_factory.mktemp("killed")
    begun(root / "live", minutes=600)
    ledger = Ledger.open(root / "live")
    ledger.load()
    for minute in range(600, 700):
        ledger.commit([], b"state", Batch([posting(minute, stream) for stream in range(3)]))
    shutil.copytree(root / "live", root / "left")
    ledger.close()
    return root / "left"


@pytest.fixture
def left(killed: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(killed, tmp_path / "state"))


def test_the_rig_leaves_a_good_ledger(left):
    _, logs = goes_on(left)
    assert (aside(left), logs) == ([], [])
    assert sums(left) == dict.fromkeys(LEVELS, 904.0)


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda p: overwrite(p, 0, os.urandom(100)), id="no header"),
        pytest.param(lambda p: p.write_bytes(b"This is no database.\n" * 999), id="other file"),
        pytest.param(lambda p: overwrite(p, 0, os.urandom(p.stat().st_size)), id="all random"),
        pytest.param(lambda p: overwrite(p, 4096, bytes(p.stat().st_size - 4096)), id="zeros"),
        pytest.param(lambda p: os.truncate(p, p.stat().st_size // 2), id="half"),
        pytest.param(lambda p: os.truncate(p, 5000), id="no whole page"),
    ],
)
def test_a_spoilt_file_is_set_aside_as_it_was(left, damage):
    (left / "ledger.db-wal").unlink()
    damage(left / "ledger.db")
    spoilt = (left / "ledger.db").read_bytes()
    _, logs = goes_on(left)
    (kept,) = aside(left)
    assert kept.read_bytes() == spoilt
    (corrupt,) = [line for line in logs if line["event"] == "ledger_corrupt"]
    assert corrupt["log_level"] == "error"
    assert corrupt["set_aside_as"] == str(kept)
    assert str(left / "ledger.db") in str(corrupt["why"])


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    name=st.sampled_from(["ledger.db", "ledger.db-wal", "ledger.db-shm"]),
    where=st.floats(0, 1),
    data=st.binary(min_size=1, max_size=64) | st.just(b"\xff" * 9000),
    cut=st.booleans(),
)
def test_garbage_anywhere_ends_in_a_good_ledger(killed, tmp_path_factory, name, where, data, cut):
    state_dir = Path(shutil.copytree(killed, tmp_path_factory.mktemp("garbage") / "state"))
    path = state_dir / name
    offset = int(where * path.stat().st_size)
    overwrite(path, offset, data)
    if cut:
        os.truncate(path, offset + len(data))
    goes_on(state_dir)
    shutil.rmtree(state_dir.parent)


def test_spoilt_while_it_is_open_no_total_is_lost(tmp_path):
    begun(tmp_path, minutes=600)

    async def life(day: Day) -> None:
        await day.tick(3)
        size = (tmp_path / "ledger.db").stat().st_size
        day.writer.keeper.ledger._checkpoint()
        overwrite(tmp_path / "ledger.db", 4096, random.Random(1).randbytes(size - 4096))
        day.writer.keeper.ledger._db.execute("PRAGMA shrink_memory")
        await day.tick(3)
        assert day.writer.status().up

    day = Day(tmp_path)
    with capture_logs() as logs:
        lived(day, life)
    assert [line["event"] for line in logs] == ["ledger_corrupt"]
    assert len(aside(tmp_path)) == 1
    ledger = Ledger.open(tmp_path)
    assert ledger.load() == (STREAMS, b"6")
    ledger.close()
    assert len(set(sums(tmp_path).values())) == 1


def test_spoilt_where_only_the_check_looks(tmp_path):
    begun(tmp_path, minutes=2000)
    with (tmp_path / "ledger.db").open("rb") as file:
        pages = file.read()
    page = next(  # a leaf of the old minutes, that nobody reads
        number for number in range(5, len(pages) // 4096) if pages[number * 4096] == 10
    )
    overwrite(tmp_path / "ledger.db", page * 4096, b"\xff" * 4096)
    day, logs = goes_on(tmp_path)
    assert [line["event"] for line in logs] == ["ledger_corrupt"]
    assert len(aside(tmp_path)) == 1
    assert day.writer.status().failures == 1


def test_a_state_that_nobody_understands_is_set_aside(tmp_path):
    begun(tmp_path)
    day = Day(tmp_path)

    async def life(day: Day) -> None:
        day.writer.disown("the saved state is not understood")
        await day.tick()

    with capture_logs() as logs:
        lived(day, life)
    assert [line["event"] for line in logs] == ["ledger_corrupt"]
    (kept,) = aside(tmp_path)
    shutil.copy(kept, tmp_path / "ledger.db")
    ledger = Ledger.open(tmp_path)
    assert ledger.load() == (STREAMS, b"state")
    ledger.close()


def test_a_ledger_that_spoils_again_and_again_does_not_fill_the_disk(tmp_path):
    for number in range(7):
        if number == 1:  # as if it had gone on like this for long: each life takes half a second
            (first,) = aside(tmp_path)
            for more in range(1, MAX_ASIDE - 3):
                shutil.copy(first, f"{first}.{more}")
        tmp_path.joinpath("ledger.db").write_text(f"no database {number}")
        day = Day(tmp_path)
        with capture_logs() as logs:
            lived(day, lambda d: d.tick())
    assert len(aside(tmp_path)) == MAX_ASIDE
    assert "check the disk and the memory" in day.writer.status().why
    assert [line["event"] for line in logs] == ["ledger_failing"]
    assert day.writer.status().unsaved == 1
