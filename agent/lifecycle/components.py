"""What making a part of a server emits: published formulas and the range around them. Pure.

CPU, memory, SSD, HDD, motherboard, power supply, case and assembly: formulas and constants of
Boavizta's documentation (doc.api.boavizta.org, Explanations/components), which takes them from
Umweltbundesamt, Green Cloud Computing, Texte 94/2021. They give production with its raw materials
in one figure, so it stands under `manufacturing`; transport and end of life are not in them.
GPU: Boavizta's documentation (Explanations/components/gpu), which has both.

All results are kg CO2e. Single figures are the formula's; spans are ours, each says how.
"""

import math
from typing import Final

from agent.carbon.words import Stage
from agent.lifecycle.hardware import Board, Chassis
from agent.lifecycle.span import Footprint, Span

CPU_PER_MM2: Final = 0.0197
CPU_BASE: Final = 9.14
RAM_PER_CM2: Final = 2.20
RAM_BASE: Final = 5.22
SSD_PER_CM2: Final = 2.20
SSD_BASE: Final = 6.34
HDD: Final = 31.11
MOTHERBOARD: Final = 66.10
PSU_PER_KG: Final = 24.30
PSU_KG: Final = (1.0, 2.99, 5.0)
"""Weight of a power supply: Boavizta's default and its range (documentation, power_supply)."""
RACK_CASE: Final = 150.0
BLADE_CASE: Final = 30.9 + 880 / 16
"""A blade and its sixteenth of the enclosure."""
ASSEMBLY: Final = 6.68

GPU_CASING_PER_KG: Final = 8.2542
GPU_HEATSINK_PER_KG: Final = 5.7412
GPU_BOARD_PER_CM2: Final = 0.032549
GPU_DIE_PER_MM2: Final = 0.042592
GPU_MEMORY_PER_MM2: Final = 0.18379
GPU_MEMORY_MM2_PER_GB: Final = 15.5
GPU_INBOUND_PER_KG: Final = 0.25955
GPU_BOAT_PER_KG_KM: Final = 1.33e-5
GPU_TRUCK_PER_KG_KM: Final = 5.04e-5
GPU_PLANE_PER_KG_KM: Final = 0.00211
GPU_END_PER_KG: Final = 1.5062
GPU_BOAT_KM: Final = 19_000.0
GPU_TRUCK_KM: Final = 1_000.0
"""From the maker to Europe, as in Boavizta's list of GPUs."""

H100_PUBLISHED: Final = (164.0, 225.0, 273.0, 575.2)
"""kg of one H100 SXM: NVIDIA's PCF of the HGX H100 over eight; Morand 2026; Lees-Perasso for ADEME;
Boavizta's formula. The spread of what is known of one product."""
GPU_LOW: Final = H100_PUBLISHED[0] / H100_PUBLISHED[3]
GPU_BEST: Final = (H100_PUBLISHED[1] + H100_PUBLISHED[2]) / 2 / H100_PUBLISHED[3]
"""Median of the four over the formula's. On the A100 SXM 40 GB it gives 118 kg; an LCA that took
one apart found 127.6 (arXiv:2509.00093)."""

RAM_DENSITIES: Final = {
    "DDR3": (1.25, 0.875, 0.625),
    "DDR4": (3.09, 1.79, 1.25),
    "DDR5": (4.5, 3.01, 1.79),
}
"""GB per cm2 of die: most, typical, least; the most makes the low bound.

DDR3 and DDR4's least: Boavizta's list by process; 1.79: the modules of the Dell R740 LCA; 3.09 and
3.01: Micron's D1z dies of 0.247 and 0.241 Gb/mm2 (TechInsights, micron-ddr5-dimm-technology).
DDR5's most is assumed: half as dense again, for later processes."""
RAM_UNKNOWN: Final = (3.09, 1.79, 1.25)

SSD_DENSITY_MOST: Final = 128.0
SSD_DENSITY: Final = 50.6
SSD_HIGH_PER_GB: Final = 0.16
"""kg per GB, mean of 94 LCAs (Tannu and Nair, The Dirty Secret of SSDs, arXiv:2207.10793)."""

CONSTANT_LOW: Final = 0.7
CONSTANT_HIGH: Final = 1.3
"""Assumed of what is one number for all sizes: HDD, motherboard, case, assembly."""
DIE_LOW: Final = 0.8
"""Assumed: die areas are mostly measured on photographs."""

CPU_MM2_PER_CORE: Final = (8.0, 24.0, 65.0)
"""Of an unknown CPU: the least, the median and the most of cpu_dies.csv."""

_WAFER_MM2: Final = math.pi * 150**2
_DEFECTS_PER_CM2: Final = 0.1
_SCRIBE_MM: Final = 0.2


def cpu_kilograms(die_mm2: float) -> float:
    """Return what one CPU with so much bare die takes."""
    return die_mm2 * CPU_PER_MM2 + CPU_BASE


def ram_kilograms(gigabytes: float, density: float) -> float:
    """Return what one module takes; density in GB per cm2 of die."""
    return gigabytes / density * RAM_PER_CM2 + RAM_BASE


def ssd_kilograms(gigabytes: float, density: float = SSD_DENSITY) -> float:
    """Return what one drive takes; density in GB per cm2 of die."""
    return gigabytes / density * SSD_PER_CM2 + SSD_BASE


def psu_kilograms(weight_kg: float = PSU_KG[1]) -> float:
    """Return what one power supply of that weight takes."""
    return weight_kg * PSU_PER_KG


def effective_mm2(die_mm2: float) -> float:
    """Return the wafer area that one good die takes: with the edge, the cuts and the bad ones.

    Square dies on a 300 mm wafer, 0.1 defects per cm2, yield exp(-sqrt(area x defects)) (Boavizta).
    """
    area = (math.sqrt(die_mm2) + _SCRIBE_MM) ** 2
    dies = _WAFER_MM2 / area - math.pi * 300 / math.sqrt(2 * area)
    return _WAFER_MM2 / dies / math.exp(-math.sqrt(area / 100 * _DEFECTS_PER_CM2))


def gpu_kilograms(
    board: Board, boat_km: float = GPU_BOAT_KM, truck_km: float = GPU_TRUCK_KM, plane_km: float = 0
) -> dict[Stage, float]:
    """Return what one GPU card takes, by stage: Boavizta's formula as it stands."""
    memory = effective_mm2(board.memory_gb * GPU_MEMORY_MM2_PER_GB / board.memory_dies)
    distribution = (
        GPU_BOAT_PER_KG_KM * boat_km
        + GPU_TRUCK_PER_KG_KM * truck_km
        + GPU_PLANE_PER_KG_KM * plane_km
    )
    return {
        Stage.MANUFACTURING: (
            GPU_CASING_PER_KG * board.casing_kg
            + GPU_HEATSINK_PER_KG * board.heatsink_kg
            + GPU_BOARD_PER_CM2 * board.board_cm2
            + GPU_DIE_PER_MM2 * board.effective_mm2
            + GPU_MEMORY_PER_MM2 * memory * board.memory_dies
        ),
        Stage.PACKAGING_TRANSPORT: board.mass_kg * (GPU_INBOUND_PER_KG + distribution),
        Stage.RECYCLING: board.mass_kg * GPU_END_PER_KG,
    }


def _made(low: float, best: float, high: float) -> Footprint:
    return {Stage.MANUFACTURING: Span(low, best, high)}


def cpu(dies_mm2: tuple[float, ...]) -> Footprint:
    """Return one CPU of these dies.

    Low: a fifth less die. High: its dies at the factor that GPU dies have, with losses: what newer
    processes are said to take.
    """
    bare = sum(dies_mm2)
    high = CPU_BASE + GPU_DIE_PER_MM2 * sum(map(effective_mm2, dies_mm2))
    return _made(cpu_kilograms(bare * DIE_LOW), cpu_kilograms(bare), high)


def cpu_unknown(cores: int) -> Footprint:
    """Return one CPU of which only the cores are known: by the range of die area per core."""
    return _made(*(cpu_kilograms(cores * area) for area in CPU_MM2_PER_CORE))


def memory(gigabytes: float, kind: str = "") -> Footprint:
    """Return one module; kind as DDR4. The bounds are those of the dies' density."""
    densities = RAM_DENSITIES.get(kind, RAM_UNKNOWN)
    return _made(*(ram_kilograms(gigabytes, density) for density in densities))


def ssd(gigabytes: float) -> Footprint:
    """Return one SSD. Low: the densest flash in Boavizta's list. High: the mean of 94 LCAs."""
    best = ssd_kilograms(gigabytes)
    high = max(best, gigabytes * SSD_HIGH_PER_GB)
    return _made(ssd_kilograms(gigabytes, SSD_DENSITY_MOST), best, high)


def _constant(kilograms: float) -> Footprint:
    return _made(kilograms * CONSTANT_LOW, kilograms, kilograms * CONSTANT_HIGH)


def hdd() -> Footprint:
    """Return one hard disk of any size, 30 % either way."""
    return _constant(HDD)


def motherboard() -> Footprint:
    """Return one motherboard, 30 % either way."""
    return _constant(MOTHERBOARD)


def case(chassis: Chassis) -> Footprint:
    """Return one case, 30 % either way. What is not a blade is taken for a rack server."""
    return _constant(BLADE_CASE if chassis is Chassis.BLADE else RACK_CASE)


def assembly() -> Footprint:
    """Return putting one server together, 30 % either way."""
    return _constant(ASSEMBLY)


def psu() -> Footprint:
    """Return one power supply: 1, 2.99 or 5 kg of it."""
    return _made(*(psu_kilograms(weight) for weight in PSU_KG))


def gpu(board: Board) -> Footprint:
    """Return one GPU: the formula is the upper bound, the published spread of H100 does the rest.

    Boavizta's result for H100 is the highest of four that are published, 3.5 times the lowest.
    Making, where they differ, is scaled; transport and end of life, a few kg, are left as they are.
    """
    formula = gpu_kilograms(board)
    made = formula.pop(Stage.MANUFACTURING)
    rest = {stage: _same(kilograms) for stage, kilograms in formula.items()}
    return {Stage.MANUFACTURING: Span(made * GPU_LOW, made * GPU_BEST, made), **rest}


def gpu_from_pcf(kilograms: float) -> Footprint:
    """Return one GPU of which only the maker's cradle-to-gate footprint is known.

    NVIDIA's is the low end of what is published of H100; the same spread is put above it here.
    """
    high = kilograms / GPU_LOW
    return _made(kilograms, high * GPU_BEST, high)


def _same(kilograms: float) -> Span:
    return Span(kilograms, kilograms, kilograms)
