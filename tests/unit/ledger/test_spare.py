"""What was shown last, kept beside the ledger, and when a restart goes on from it."""

import asyncio
import os
from pathlib import Path

import msgspec
import pytest
from structlog.testing import capture_logs
from unit.collectors.trees import Clock
from unit.ledger.rig import LEVELS, STREAMS, posting, sums, writer

from agent.ledger import Ledger
from agent.ledger.batch import Batch
from agent.ledger.saved import AgentState
from agent.ledger.spare import PLACE_BYTES, Spare
from agent.meter import MeterState, StreamState
from agent.resume import resume

BOOT = "7d6f3a52-0000-4000-8000-000000000001"


def test_what_was_written_last_is_read(tmp_path):
    spare = Spare(tmp_path / "spare", tmp_path)
    assert spare.read() is None
    for number in range(5):
        spare.write(STREAMS[:2] if number < 3 else STREAMS, b"%d" % number)
    assert Spare(tmp_path / "spare", tmp_path).read() == (STREAMS, b"4")
    again = Spare(tmp_path / "spare", tmp_path)
    again.read()
    again.write(STREAMS[:1], b"5")
    assert Spare(tmp_path / "spare", tmp_path).read() == (STREAMS[:1], b"5")
    assert (tmp_path / "spare").stat().st_mode & 0o777 == 0o600


def test_the_one_before_is_read_where_the_last_is_not_whole(tmp_path):
    spare = Spare(tmp_path / "spare", tmp_path)
    for body in (b"first", b"second"):
        spare.write(STREAMS, body)
    with (tmp_path / "spare").open("r+b") as file:
        file.seek(30)  # the second is at the first place
        file.write(b"\xff" * 9)
    assert Spare(tmp_path / "spare", tmp_path).read() == (STREAMS, b"first")
    os.truncate(tmp_path / "spare", PLACE_BYTES)
    assert Spare(tmp_path / "spare", tmp_path).read() is None


def test_of_another_ledger_it_is_none(tmp_path):
    Spare(tmp_path / "spare", tmp_path / "one").write(STREAMS, b"1")
    assert Spare(tmp_path / "spare", tmp_path / "two").read() is None


def test_a_place_that_cannot_be_written_is_said_once(tmp_path):
    spare = Spare(tmp_path / "none/spare", tmp_path)
    with capture_logs() as logs:
        spare.write(STREAMS, b"1")
        spare.write(STREAMS, b"2")
    assert [line["event"] for line in logs] == ["no_spare_state"]
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    Spare(tmp_path / "link", tmp_path).write(STREAMS, b"1")
    assert not (tmp_path / "elsewhere").exists()  # nobody can have us write into another file


def state(boottime: float, joules: float, boot: str = BOOT, held: float = 0.0) -> bytes:
    """Return a state of one stream, `held` joules of it not in the tables yet."""
    stream = StreamState(at=boottime, value=1.0, joules=joules, seconds=boottime)
    meter = MeterState(boot, 1_767_225_600.0 + boottime, boottime, [stream])
    if held:
        meter.open_minutes = {29_453_760: {0: [held, 5.0, 0.0]}}
    return msgspec.msgpack.encode(AgentState(meter))


def begin(state_dir: Path, body: bytes, joules: float) -> None:
    """Make a ledger with a state and that much energy in its tables."""
    ledger = Ledger.open(state_dir)
    ledger.commit([(0, STREAMS[0])], body, Batch([posting(29_453_760, joules=joules)]))
    ledger.close()


def resumed(state_dir: Path, spare: Path, boot: str = BOOT) -> tuple[float, float]:
    """Return the joules of a life that goes on, and what its ledger has after one write."""

    async def life() -> float:
        made = writer(state_dir, Clock(), spare=spare)
        found = resume(made, {}, lambda _: {}, {}, boot)
        assert found is not None
        accounts, agent_state = found
        made.submit(accounts.meter.identities, msgspec.msgpack.encode(agent_state), Batch())
        await made.close()
        return accounts.meter.state.streams[0].joules

    joules = asyncio.run(life())
    found = set(sums(state_dir).values())
    assert len(found) == 1, LEVELS
    return joules, found.pop()


@pytest.mark.parametrize(
    ("newer", "goes_on_at", "in_tables"),
    [
        # 400 J more, of which 30 J are of a minute that is still open: 370 J are owed
        pytest.param(state(200.0, 500.0, held=30.0), 500.0, 470.0, id="later in this boot"),
        pytest.param(state(100.0, 100.0), 100.0, 100.0, id="the same"),
        pytest.param(state(90.0, 95.0), 100.0, 100.0, id="earlier"),
        pytest.param(state(900.0, 500.0, boot="other"), 100.0, 100.0, id="of another boot"),
        pytest.param(b"\xc1 nonsense", 100.0, 100.0, id="not understood"),
    ],
)
def test_a_life_goes_on_from_what_was_shown(tmp_path, newer, goes_on_at, in_tables):
    begin(tmp_path / "state", state(100.0, 100.0), joules=100.0)
    Spare(tmp_path / "spare", tmp_path / "state").write(STREAMS[:1], newer)
    assert resumed(tmp_path / "state", tmp_path / "spare") == pytest.approx((goes_on_at, in_tables))


def test_a_spoilt_ledger_is_set_aside_and_totals_go_on(tmp_path):
    begin(tmp_path / "state", state(100.0, 100.0), joules=100.0)
    (tmp_path / "state/ledger.db").write_bytes(b"no database")
    Spare(tmp_path / "spare", tmp_path / "state").write(STREAMS[:1], state(200.0, 500.0))
    assert resumed(tmp_path / "state", tmp_path / "spare") == (500.0, 0.0)
    assert list((tmp_path / "state").glob("ledger.db.corrupt-*"))


def test_a_ledger_that_was_deleted_takes_it_along(tmp_path):
    Spare(tmp_path / "spare", tmp_path / "state").write(STREAMS[:1], state(200.0, 500.0))
    made = writer(tmp_path / "state", Clock(), spare=tmp_path / "spare")
    assert made.open() == ([], None)
    assert made.open_spare() == ([], None)
    assert not (tmp_path / "spare").exists()
    asyncio.run(made.close())


def test_what_hung_is_not_shown_after_what_is_newer(tmp_path, monkeypatch):
    """A write that comes back late must not take shown counters back to its own time."""
    shown: list[int] = []

    async def life() -> None:
        clock = Clock()
        made = writer(tmp_path, clock)
        made.open()
        back = asyncio.Event()
        run = made._worker.run

        async def hangs(function):
            await back.wait()
            return await run(function)

        monkeypatch.setattr(made._worker, "run", hangs)
        for number in range(10):
            made.submit(STREAMS, b"%d" % number, Batch(), lambda n=number: shown.append(n))
            await asyncio.sleep(0)
            clock.now += 1.0
        back.set()
        assert made._task is not None
        await made._task
        await made.close()

    asyncio.run(life())
    assert shown == sorted(shown)
    assert shown[-1] == 9
