"""A simulated server's GPUs: what each of their figures is, from how busy they are.

All of it is linear in the load, so that power, activity and work belong together at any moment. A
held-down GPU has lower clocks and limit, is as busy as before, and gets less done.
"""

from dataclasses import dataclass

from hardware.nvml.boards import Board, Slice, a100, h100, make_uuid
from hardware.nvml.layout import Quantity
from hardware.power import Constant, Power, Scaled, Sum

_BITS_POWER_CAP, _BITS_THERMAL = 4.0, 32.0
"""nvml.h: ClocksEventReasonSwPowerCap, …SwThermalSlowdown."""
TENSOR, SM, OCCUPANCY, GRAPHICS, FP16_TENSOR, DRAM, FP32, FP16 = 5, 2, 3, 1, 7, 10, 12, 13


@dataclass(frozen=True)
class Model:
    """What one kind of board does between idle and full load."""

    idle_watts: float
    full_watts: float
    limit_watts: float
    sm_megahertz: float


MODELS = {"h100": Model(72.0, 660.0, 700.0, 1980.0), "a100": Model(54.0, 385.0, 400.0, 1410.0)}


def line(base: Power, at_idle: float, at_full: float) -> Power:
    """Return what is `at_idle` at a load of 0 and `at_full` at 1."""
    return Sum((Constant(at_idle), Scaled(base, at_full - at_idle)))


def power_of(model: Model, load: Power, factor: float = 1.0) -> Power:
    """Return what a board draws, W, at a load whose power it has `factor` times."""
    full = model.idle_watts + (model.full_watts - model.idle_watts) * factor
    return line(load, model.idle_watts, full)


def figures(
    model: Model, busy: Power, done: Power, held: Power | None, reason: Quantity
) -> dict[int, Power]:
    """Return a board's figures but its power, by quantity.

    `busy`: how busy it seems, 0 to 1. `done`: what it gets done, of its capacity. `held`: share of
    the time for which it is held down, for which `reason`.
    """
    held = held or Constant(0.0)
    limit, clock = model.limit_watts, model.sm_megahertz
    found: dict[int, Power] = {
        Quantity.UTILIZATION: line(busy, 2.0, 99.0),
        Quantity.MEMORY_UTILIZATION: line(busy, 1.0, 68.0),
        Quantity.TEMPERATURE: line(busy, 31.0, 74.0),
        Quantity.MEMORY_TEMPERATURE: line(busy, 38.0, 86.0),
        Quantity.POWER_LIMIT: line(held, limit, 0.65 * limit),
        Quantity.SM_CLOCK: line(held, clock, 0.72 * clock),
        Quantity.GRAPHICS_CLOCK: line(held, clock, 0.72 * clock),
        Quantity.EVENT_REASONS: Scaled(
            held, _BITS_POWER_CAP if reason is Quantity.THROTTLED_POWER else _BITS_THERMAL
        ),
        reason: held,
        Quantity.PCIE_SENT: line(done, 1e6, 2e9),
        Quantity.PCIE_RECEIVED: line(done, 1e6, 5e9),
        Quantity.NVLINK_SENT: line(done, 1e5, 9e10),
        Quantity.NVLINK_RECEIVED: line(done, 1e5, 9e10),
    }
    full = {GRAPHICS: 98.0, SM: 90.0, OCCUPANCY: 45.0, TENSOR: 42.0, FP16_TENSOR: 42.0}
    full |= {DRAM: 62.0, FP32: 7.0, FP16: 2.0}
    found.update({Quantity.GPM + metric: Scaled(done, at_full) for metric, at_full in full.items()})
    return found


def make_board(
    name: str, index: int, model: str, power: Power, quantities: dict[int, Power], slices: int
) -> Board:
    """Return a board of a server; `slices`: how many MIG devices it is cut into."""
    make = h100 if model == "h100" else a100
    gpm = {key - Quantity.GPM: value for key, value in quantities.items() if key >= Quantity.GPM}
    rest = {Quantity(k): value for k, value in quantities.items() if k < Quantity.GPM}
    memory_bytes = (81559 if model == "h100" else 81920) * 0.8 * (1 << 20)
    plain = make(index)
    board = plain.but(
        power=power,
        uuid=make_uuid("GPU", f"{name} {index}"),
        quantities={**rest, Quantity.MEMORY_USED: memory_bytes},
    )
    if model == "h100":
        board = board.but(gpm={**(plain.gpm or {}), **gpm})
    if slices:
        board = board.but(slices=tuple(_slice(n, gpm) for n in range(slices)))
    return board


def _slice(number: int, gpm: dict[int, Power]) -> Slice:
    share = (0.7, 0.3, 0.2, 0.1)[number % 4]
    mine = {metric: Scaled(value, share) for metric, value in gpm.items()}
    return Slice(
        "3g.40gb",
        gpu_instance=1 + number,
        gpu_slices=3,
        multiprocessors=60,
        memory_mib=40448,
        gpm=mine,
    )
