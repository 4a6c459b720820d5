"""MIG: the board's energy once, and its power shared out to slices when that is asked for."""

import pytest
from hardware.nvml import Quantity, Slice, a100, h100
from hardware.power import Constant
from hypothesis import given
from hypothesis import strategies as st
from unit.collectors.nvml_rig import (
    devices,
    energy,
    figures,
    inventory,
    pipes,
    power,
    rigs,
)

from agent.samples import Figure
from collectors.nvml_mig import attribute


@pytest.fixture
def make(tmp_path):
    yield from rigs(tmp_path)


def slices_of(samples):
    return {w: v for (f, w), v in figures(samples).items() if f is Figure.SLICE_POWER}


def split(*busy, power=400.0, model=h100):
    """Return a board with slices of 3, 2 and 1 of 7 and how busy their SMs are, %."""
    sizes = (3, 2, 1)
    slices = [
        Slice(f"{size}g", gpu_instance=n + 1, gpu_slices=size, gpm={2: percent})
        for n, (size, percent) in enumerate(zip(sizes, busy, strict=True))
    ]
    return model(0, power=Constant(power), slices=tuple(slices))


def test_energy_once_and_no_slice_unless_asked_for(make):
    rig = make(split(90.0, 10.0, 0.0))
    samples = rig.reads(3)
    uuid = rig.standin.boards[0].uuid
    assert {s.device for s in energy(samples)} == {uuid}
    assert {s.device for s in power(samples)} == {uuid}
    assert inventory(samples) == (uuid,)
    assert not slices_of(samples)
    assert not devices(samples), "utilisation is not supported under MIG: no sample, not 0"
    assert rig.standin.calls("nvmlDeviceGetMigMode") == 0


def test_by_size_without_gpm(make):
    rig = make(split(0, 0, 0, power=350.0, model=a100), mig="auto")
    found = slices_of(rig.reads(3))
    assert found == pytest.approx(
        dict(zip(uuids(rig), [150.0, 100.0, 50.0], strict=True)), abs=0.01
    )


def test_by_activity_above_idle(make):
    """70 W when nobody works; then 400 W with 3 slices at 60 % and 2 at 30 %.

    330 W go by 3 x 0.6 : 2 x 0.3 : 0 = 247.5 : 82.5 : 0, and 70 W by 3 : 2 : 1 of 7.
    """
    rig = make(split(0.0, 0.0, 0.0, power=70.0), mig="auto")
    board = rig.standin.boards[0].uuid
    idle = slices_of(rig.reads(3))
    three, two, one = uuids(rig)
    assert idle == pytest.approx({three: 30.0, two: 20.0, one: 10.0}, abs=0.01)
    rig.standin.set(board, Quantity.POWER, 400.0)
    rig.standin.set(three, Quantity.GPM + 2, 60.0)
    rig.standin.set(two, Quantity.GPM + 2, 30.0)
    busy = slices_of(rig.reads(3))
    assert busy == pytest.approx({three: 277.5, two: 102.5, one: 10.0}, abs=0.05)


def test_a_slice_that_does_not_tell_its_activity(make):
    rig = make(split(50.0, 50.0, 50.0, power=350.0), mig="auto")
    rig.reads(2)
    rig.standin.set(uuids(rig)[0], Quantity.GPM + 2, None)
    found = slices_of(rig.reads(2))
    assert list(found.values()) == pytest.approx([150.0, 100.0, 50.0], abs=0.01), "by size"


def test_slices_that_go_and_come(make):
    rig = make(split(50.0, 50.0, 50.0), mig="auto", slow_seconds=3.0)
    board = rig.standin.boards[0].uuid
    rig.reads(3)
    gone = uuids(rig)[2]
    rig.standin.board(board).slices[2].present = 0
    rig.reads(4)
    assert gone not in slices_of(rig.read())
    rig.standin.board(board).slices[2].present = 1
    rig.reads(4)
    assert gone in slices_of(rig.read())


def test_mig_switched_off_and_on(make):
    rig = make(split(50.0, 50.0, 50.0), mig="auto", slow_seconds=3.0)
    board = rig.standin.boards[0].uuid
    assert not devices(rig.read())
    rig.standin.board(board).mig = 0
    samples = rig.reads(8)
    assert devices(samples)[-1] == board, "utilisation is back"
    assert not slices_of(rig.read())
    rig.standin.board(board).mig = 1
    rig.reads(4)
    assert len(slices_of(rig.read())) == 3
    assert pipes(rig.reads(2))


@given(
    watts=st.floats(1.0, 1000.0),
    idle=st.floats(0.0, 1000.0),
    slices=st.lists(
        st.tuples(st.integers(1, 4), st.none() | st.floats(0.0, 1.0)), min_size=1, max_size=7
    ),
)
def test_parts_never_exceed_the_board(watts, idle, slices):
    total = max(7, sum(size for size, _ in slices))
    parts = attribute(watts, idle, total, slices)
    assert all(part >= 0.0 for part in parts)
    assert sum(parts) <= watts * (1 + 1e-9)


def uuids(rig):
    return rig.standin.slice_uuids(rig.standin.boards[0].uuid)
