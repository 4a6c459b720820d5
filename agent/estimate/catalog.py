"""The CPU catalogue: finds a part by name, or the nearest stand-in, and describes a machine.

Parts: cpus.csv. Microarchitectures: microarchitectures.csv. Both are read once, when first asked.
"""

import csv
import math
import re
from collections.abc import Iterator
from functools import lru_cache
from importlib.resources import files

from agent.estimate.model import CpuPart, Disk, Machine, Microarchitecture
from agent.estimate.naming import clock_mhz, family, plain, squashed
from agent.quantities import Ratio

DEFAULT_CPU_MODEL = "unknown"
_UNOFFICIAL = {"aws-cpu-teads"}
"""Sources whose TDP no maker has confirmed."""

_SMALLEST_SERVER_CORES = 4
"""An unknown server part with fewer cores than this is taken for a VM's slice of a whole one."""


def _rows(name: str) -> Iterator[dict[str, str]]:
    with (files("agent.estimate") / name).open(encoding="utf-8") as stream:
        yield from csv.DictReader(stream)


@lru_cache(maxsize=1)
def microarchitectures() -> dict[str, Microarchitecture]:
    """All microarchitectures by name."""
    return {
        row["name"]: Microarchitecture(
            name=row["name"],
            vendor=row["vendor"],
            memory=row["memory"],
            server=row["server"] == "1",
            smt=int(row["smt"]),
            idle_socket_watts=float(row["idle_socket_watts"]),
            idle_core_watts=float(row["idle_core_watts"]),
            core_watts_per_ghz2=float(row["core_watts_per_ghz2"]),
            curve=float(row["curve"]),
            sustained_share=float(row["sustained_share"]),
            typical_cores=int(row["typical_cores"]),
            typical_base_mhz=float(row["typical_base_mhz"]),
            typical_turbo_mhz=float(row["typical_turbo_mhz"]),
            typical_tdp_watts=float(row["typical_tdp_watts"]),
            basis=row["basis"],
            source=row["source"],
        )
        for row in _rows("microarchitectures.csv")
    }


@lru_cache(maxsize=1)
def parts() -> dict[str, CpuPart]:
    """All parts by squashed name ("xeonplatinum8259cl")."""
    architectures = microarchitectures()
    return {
        squashed(row["name"]): CpuPart(
            name=row["name"],
            microarchitecture=architectures[row["microarchitecture"]],
            cores=int(row["cores"]),
            threads=int(row["threads"]),
            base_mhz=float(row["base_mhz"]),
            turbo_mhz=float(row["turbo_mhz"]),
            tdp_watts=float(row["tdp_watts"]),
            tdp_official=row["source"] not in _UNOFFICIAL,
        )
        for row in _rows("cpus.csv")
    }


@lru_cache(maxsize=1)
def _by_number() -> dict[str, CpuPart]:
    """Parts by model number alone ("8259cl", "e52620v3"), where only one part has it."""
    found: dict[str, list[CpuPart]] = {}
    for part in parts().values():
        number = re.sub(
            r"^(?:xeonplatinum|xeongold|xeonsilver|xeonbronze|xeonmax|xeon|core|epyc|"
            r"ryzenthreadripperpro|ryzenthreadripper|ryzen[3579]pro|ryzen[3579]|ampere)",
            "",
            squashed(part.name),
        )
        if len(number) >= 4:
            found.setdefault(number, []).append(part)
    return {number: some[0] for number, some in found.items() if len(some) == 1}


def _lookup(key: str) -> CpuPart | None:
    return parts().get(key) or _by_number().get(key)


def find(cpu_model: str) -> CpuPart | None:
    """The part of that name, however it is written; None when the catalogue has none.

    A variant that only adds a letter (Gold 6230N) is taken for the plain part.
    """
    key = squashed(cpu_model)
    part = _lookup(key)
    if part is None:
        shorter = re.sub(r"(?<=\d)(?:[a-z]{1,2}|\+)$", "", key)
        if shorter != key and not re.search(r"v$", shorter):
            part = _lookup(shorter)
    if part is None and key and key[-1].isdigit():
        part = _lookup(key + "+")  # "8480" for "8480+"
    if part is None:
        for word in plain(cpu_model).split():
            number = re.sub(r"[^a-z0-9+]", "", word)
            if len(number) >= 4 and number in _by_number():
                return _by_number()[number]
    return part


def stand_in(
    cpu_model: str,
    cores: int | None = None,
    frequency_mhz: float | None = None,
    architecture: str | None = None,
) -> CpuPart:
    """What is assumed of a part that the catalogue lacks.

    The name, or `architecture`, gives the microarchitecture. `cores` per socket and
    `frequency_mhz` (the clock in the name goes first) replace its typical values; TDP grows with
    cores^0.7, because parts with fewer cores are given more watts for each.
    """
    arch = microarchitectures()[architecture or family(cpu_model)]
    own = cores or arch.typical_cores
    base = clock_mhz(cpu_model) or frequency_mhz or arch.typical_base_mhz
    base = min(max(base, 0.5 * arch.typical_base_mhz), 1.3 * arch.typical_turbo_mhz)
    tdp = arch.typical_tdp_watts * (own / arch.typical_cores) ** 0.7
    return CpuPart(
        name=cpu_model.strip() or DEFAULT_CPU_MODEL,
        microarchitecture=arch,
        cores=own,
        threads=own * arch.smt,
        base_mhz=base,
        turbo_mhz=max(arch.typical_turbo_mhz, base),
        tdp_watts=tdp,
        known=False,
    )


def share_of(cores: int | None, sockets: int, part: CpuPart) -> float:
    """Share of the host that `cores` cores are, 0 to 1.

    All its cores, all its threads, or (with several sockets) one socket's cores are the whole
    machine. Between cores and threads, threads are meant. Fewer are a VM's share.
    """
    whole, threads = sockets * part.cores, sockets * part.threads
    if cores is None or cores >= threads or cores in {whole, part.cores if sockets > 1 else whole}:
        return 1.0
    return cores / (whole if cores < whole else threads)


def describe(
    cpu_model: str = DEFAULT_CPU_MODEL,
    *,
    sockets: int | None = None,
    cores: int | None = None,
    frequency_mhz: float | None = None,
    memory_gb: float | None = None,
    disks: tuple[Disk, ...] | None = None,
    virtual: bool = False,
    architecture: str | None = None,
) -> Machine:
    """Describe a machine from what is known of it; every argument has a sensible default.

    `cores`: physical cores of the host in total (`share_of` says how it is read). `sockets`
    defaults to as many as those cores need. A VM's `cores` are its own.
    """
    part = find(cpu_model)
    if part is not None:
        if sockets is None:
            sockets = max(math.ceil((cores or 1) / part.cores), 1)
            if cores == part.threads and not virtual:
                sockets = cores // part.cores if part.threads > part.cores else 1
        share = share_of(cores, sockets, part)
    else:
        arch = microarchitectures()[architecture or family(cpu_model)]
        if sockets is None:
            sockets = math.ceil((cores or 1) / arch.typical_cores) if virtual else 1
        slice_of_host = virtual or (
            arch.server and cores is not None and cores < _SMALLEST_SERVER_CORES
        )
        own = None if cores is None or slice_of_host else math.ceil(cores / sockets)
        part = stand_in(cpu_model, own, frequency_mhz, architecture)
        share = share_of(cores, sockets, part) if slice_of_host else 1.0
    return Machine(
        part=part,
        sockets=sockets,
        cpu_share=Ratio(share),
        memory_gb=memory_gb,
        disks=disks,
        virtual=virtual or share < 1,
    )
