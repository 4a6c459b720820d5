"""Which servers a simulated site has: what each is, how busy it is and what it works on."""

from dataclasses import dataclass, field, replace
from typing import Final, Literal

from hardware.site.rhythm import Rhythm

SITE: Final = "gz-1"
FEWEST_HOSTS: Final = 6


@dataclass(frozen=True)
class Job:
    """The useful work of a server, in proportion to how busy it is."""

    workload: str
    unit: str
    per_second: float
    """Units a second at full load."""
    flop: float = 0.0
    """Floating-point operations of one unit; 0: it does not say."""
    precision: str = "fp16_tensor"
    device: str = "gpu"
    """Whose energy it takes; "": the whole host's."""


@dataclass(frozen=True)
class Plan:
    """One server."""

    name: str
    rack: str
    preset: str
    rhythm: Rhythm
    gpus: int = 0
    model: Literal["h100", "a100"] = "h100"
    slices: int = 0
    """MIG slices of its first GPU."""
    bmc: str = ""
    """The vendor's tree of its BMC, a folder of tests/fixtures/redfish; "": it has none."""
    job: Job | None = None
    capped: bool = False
    """Now and then a power limit holds its GPUs down."""
    hot: bool = False
    """Its last GPU sits in warm air: it is held down for its temperature, 15 % of the time."""
    budget_kwh: float = 0.0
    """Of a calendar month."""
    budget_kilograms: float = 0.0
    in_service: str = "2025-03-01"
    site_meters: bool = False
    """Whether its agent also reads the site's meters."""
    links: bool = field(default=False)
    """Whether its agent reads the traffic over PCIe and NVLink."""


def _tokens(gpus: int) -> Job:
    """Llama 70B: 2 x 70e9 operations a token; a third of the peak at full load."""
    return Job("llama-70b", "generated_tokens", 2400.0 * gpus, 1.4e11)


def _steps(gpus: int) -> Job:
    return Job("train", "steps", 0.125 * gpus, 1.0e15)


_HOSTS: Final = (
    Plan(
        "gz1-r01-n01", "r01", "xeon_2s", Rhythm(0.62, 0.20, 0.06, seed=11), gpus=8,
        bmc="lenovo-sr670v2-xcc", job=_tokens(8), links=True,
        budget_kwh=4200.0, budget_kilograms=2100.0,
    ),
    Plan(
        "gz1-r01-n02", "r01", "epyc_2s", Rhythm(0.58, 0.18, 0.05, seed=12), gpus=4,
        bmc="supermicro-x13deg-oad", job=_tokens(4),
        budget_kwh=1500.0, budget_kilograms=700.0,
    ),
    Plan(
        "gz1-r01-n03", "r01", "epyc_2s", Rhythm(0.45, 0.22, 0.12, seed=13),
        bmc="hpe-dl385-gen10plus-ilo5",
        job=Job("web-search", "requests", 900.0, device=""),
        budget_kwh=400.0, budget_kilograms=200.0, in_service="2023-06-01",
    ),
    Plan(
        "gz1-r02-n01", "r02", "xeon_2s", Rhythm(0.92, 0.0, 0.0, seed=21), gpus=4, model="a100",
        bmc="dell-r750-idrac9", job=_steps(4), capped=True, hot=True,
        budget_kwh=1700.0, budget_kilograms=900.0, in_service="2024-01-15",
    ),
    Plan(
        "gz1-r02-n02", "r02", "grace_2s", Rhythm(0.04, 0.01, 0.0, 0.01, 0.01, seed=22), gpus=2,
        slices=2, bmc="lenovo-sr670v2-xcc-power",
        budget_kwh=500.0, budget_kilograms=250.0,
    ),
    Plan(
        "gz1-r02-n03", "r02", "cloud_vm", Rhythm(0.30, 0.15, 0.05, seed=23),
        budget_kwh=60.0, budget_kilograms=30.0,
    ),
)  # fmt: skip
_SITE_HOST: Final = Plan(
    "gz1-r02-mgmt", "r02", "xeon_2s", Rhythm(0.12, 0.04, 0.02, seed=31), site_meters=True,
    budget_kwh=250.0, budget_kilograms=130.0, in_service="2022-09-01",
)  # fmt: skip


def plans(hosts: int = FEWEST_HOSTS) -> list[Plan]:
    """Return so many servers and, after them, the one whose agent reads the site's meters.

    More than six: the GPU servers again, with another seed, in racks r03 and so on, four in each.
    """
    if hosts < FEWEST_HOSTS:
        raise ValueError(f"a simulated site has at least {FEWEST_HOSTS} servers")
    found = list(_HOSTS)
    kinds = [plan for plan in _HOSTS if plan.job is not None]
    for number in range(hosts - FEWEST_HOSTS):
        kind, rack, place = kinds[number % len(kinds)], 3 + number // 4, 1 + number % 4
        found.append(
            replace(
                kind,
                name=f"gz1-r{rack:02}-n{place:02}",
                rack=f"r{rack:02}",
                rhythm=replace(kind.rhythm, seed=100 + number),
            )
        )
    return [*found, _SITE_HOST]
