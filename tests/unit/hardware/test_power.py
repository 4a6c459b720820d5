"""The scripts of power: the energy is the integral of the power."""

import pytest
from hardware.power import Constant, Linear, Pieces, Power, Scaled, Sine, Steps, Sum, busy, noise

SCRIPTS: dict[str, Power] = {
    "constant": Constant(120.0),
    "linear": Linear(50.0, 0.25),
    "sine": Sine(100.0, 40.0, 7.0, 0.3),
    "steps": Steps((10.0, 200.0, 30.0), 2.0),
    "noise": noise(7, 25.0, 0.5, 64),
    "sum": Sum((Constant(80.0), Sine(0.0, 20.0, 11.0))),
    "scaled": Scaled(Linear(10.0, 1.0), 0.4),
    "pieces": Pieces([(0.0, Constant(90.0)), (10.0, Sine(100, 50, 9)), (31.5, Linear(5, 1))]),
    "busy": busy(45.0, 150.0, 1),
}


@pytest.mark.parametrize("name", SCRIPTS)
def test_joules_are_the_integral_of_watts(name: str) -> None:
    power = SCRIPTS[name]
    step = 1 / 1024  # every edge of the scripts lies on this grid
    middles = (step * (n + 0.5) for n in range(60 * 1024))
    assert power.joules(60.0) == pytest.approx(sum(map(power.watts, middles)) * step, rel=1e-6)
    assert power.joules(0.0) == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize("name", SCRIPTS)
def test_energy_is_additive(name: str) -> None:
    power = SCRIPTS[name]
    parts = sum(power.joules(t + 1.3) - power.joules(t) for t in (n * 1.3 for n in range(1000)))
    assert parts == pytest.approx(power.joules(1300.0), rel=1e-9)


def test_noise_is_the_same_for_one_seed() -> None:
    assert noise(3, 10.0) == noise(3, 10.0)
    assert noise(3, 10.0) != noise(4, 10.0)


def test_busy_stays_between_idle_and_peak() -> None:
    power = busy(45.0, 150.0, 5)
    assert all(45.0 <= power.watts(t / 3) <= 150.0 for t in range(5000))


def test_pieces_must_start_at_zero_and_go_on_in_order() -> None:
    for starts in ([], [1.0], [0.0, 5.0, 5.0], [0.0, 9.0, 5.0]):
        with pytest.raises(ValueError):
            Pieces([(start, Constant(1.0)) for start in starts])
