"""What a board is, written into its part of the state; what it does is left out: curves."""

from hardware.nvml.boards import Board, Slice, make_uuid
from hardware.nvml.layout import QUANTITIES, SLICES, BoardState, SliceState

_MIB = 1 << 20


def describe_board(into: BoardState, number: int, board: Board) -> None:
    """Write a board, with nothing that it can tell of yet."""
    if len(board.slices) > min(SLICES, board.max_slices):
        raise ValueError(f"{board.name} has room for {board.max_slices} slices")
    into.uuid, into.name = board.uuid.encode(), board.name.encode()
    into.serial = f"16{number:011d}".encode()
    into.bus = f"{board.domain:08X}:{board.bus:02X}:00.0".encode()
    into.domain, into.bus_number, into.minor = board.domain, board.bus, number
    into.pci_device_id = board.pci_device_id
    into.cores, into.architecture = board.cores, board.architecture
    into.major, into.minor_capability = board.capability
    into.has_energy, into.has_average = board.has_energy, board.has_average
    into.usage_is_average, into.has_gpm = board.has_average, board.gpm is not None
    into.has_module_energy, into.links = board.has_module_energy, board.links
    into.max_slices, into.sample_count = board.max_slices, board.sample_count
    into.memory_bytes = board.memory_mib * _MIB
    into.reserved_bytes = board.reserved_mib * _MIB
    lowest, default, highest = board.limits_watts
    into.min_limit_watts, into.default_limit_watts = lowest, default
    into.max_limit_watts = highest
    into.refresh_seconds = board.refresh_seconds
    into.refresh_phase = 0.0137 * number % board.refresh_seconds
    into.instant_seconds = board.instant_seconds
    into.power_gain = into.energy_gain = 1.0
    into.curves[:] = [-1] * QUANTITIES
    into.present, into.mig = board.present, bool(board.slices)


def describe_slice(into: SliceState, board: Board, each: Slice) -> str:
    """Write a slice and return its UUID."""
    uuid = each.uuid or make_uuid("MIG", f"{board.uuid} {each.gpu_instance}")
    into.uuid, into.name = uuid.encode(), f"{board.name} MIG {each.profile}".encode()
    into.gpu_instance, into.compute_instance = each.gpu_instance, 0
    into.gpu_slices = into.compute_slices = each.gpu_slices
    into.multiprocessors, into.memory_bytes = each.multiprocessors, each.memory_mib * _MIB
    into.curves[:] = [-1] * QUANTITIES
    into.present = 1
    return uuid
