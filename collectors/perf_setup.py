"""What of a plan this host can count: PMUs in sysfs, counters that fit, the kernel's refusals."""

import errno
import os
from pathlib import Path
from typing import Final, NoReturn

import msgspec

from agent.collector import Absent, Transient
from collectors.perf_events import CORE, Group, Plan, cpu_list, identify, linux_version, plan_for
from collectors.perf_syscall import Counters, perf_event_open
from collectors.sysfs import optional_int, optional_text

PMUS: Final = "bus/event_source/devices"
_TYPE_RAW: Final = 4
"""PERF_TYPE_RAW: the core PMU, where sysfs does not say its own number."""
_SPARE_FILES: Final = 256
"""Descriptors left to the rest of the agent."""
_LOOK_AGAIN_SECONDS: Final = 300.0

REMEDY_PERMISSION: Final = (
    "let the service count, and nothing else: sudo wattlas install --drop-in perf; "
    "outside of the service: sudo sysctl kernel.perf_event_paranoid=0; "
    "in a container its seccomp profile must allow perf_event_open"
)
REMEDY_FILES: Final = "raise LimitNOFILE= of wattlas.service (sudo systemctl edit wattlas)"
REMEDY_MULTIPLEX: Final = (
    "to count all the same, set multiplex = true in [collectors.perf], and let the counters take "
    "turns seldom: echo 1000 | sudo tee /sys/bus/event_source/devices/cpu/"
    "perf_event_mux_interval_ms; or switch hyper-threading off"
)


class Pmu(msgspec.Struct, frozen=True):
    """One kind of cores and what is counted on them."""

    type: int
    """As perf_event_attr.type."""
    cpus: frozenset[int] | None
    """None: all."""
    groups: tuple[Group, ...]


def choose(procfs: Path) -> Plan:
    """Return how to count on this CPU; raises `Absent` where that is not known."""
    cpu = identify(procfs)
    plan = plan_for(cpu) if cpu else None
    if plan is None:
        what = str(cpu) if cpu else "this CPU (not x86, or /proc/cpuinfo is unreadable)"
        raise Absent(f"no counter of retired floating-point operations is known for {what}")
    if plan.since_linux > (linux_version(procfs) or (0, 0)):
        since = ".".join(map(str, plan.since_linux))
        raise Absent(f"Linux before {since} counts floating-point operations of {cpu} wrongly")
    return plan


def fitting(plan: Plan, sysfs: Path, first: int, *, multiplex: bool) -> list[Pmu]:
    """Return the PMUs of a host whose lowest CPU is `first`, with groups that they can count.

    Raises `Absent` or `Transient` as `refused` does.
    """
    found: list[Pmu] = []
    for name, wanted in plan.pmus.items():
        folder = sysfs / PMUS / name
        number = optional_int(sysfs, folder / "type")
        cpus = None if name == CORE else _cpus_of(sysfs, folder)
        if name != CORE and (number is None or not cpus):
            continue  # a hybrid part without its small cores, or they are switched off
        pmu_type = _TYPE_RAW if number is None else number
        probe = min(cpus) if cpus else first
        groups = _that_fit(plan, wanted, pmu_type, probe, multiplex=multiplex)
        found.append(Pmu(pmu_type, cpus, groups))
    if not found:
        raise Absent(f"no PMU of {', '.join(plan.pmus)} below {sysfs / PMUS}")
    return found


def _that_fit(
    plan: Plan, groups: tuple[Group, ...], pmu_type: int, cpu: int, *, multiplex: bool
) -> tuple[Group, ...]:
    """Return the groups that a CPU can count without taking turns.

    The kernel refuses a group that its counters could not hold at once, so one that has all
    events tells (arch/x86/events/core.c, validate_group).
    """
    configs = [event.config for group in groups for event in group.events]
    try:
        # First one alone: whether there is anything to count with, and whether we may.
        os.close(perf_event_open(pmu_type, configs[0], cpu))
    except OSError as error:
        refused(error)
    try:
        Counters(pmu_type, configs, cpu).close()
    except OSError as error:
        if error.errno != errno.EINVAL:
            refused(error)
    else:
        return groups
    if plan.few:
        return plan.few
    if multiplex:
        return groups
    raise Absent(
        f"{len(configs)} events are needed and the CPUs have fewer counters; taking turns "
        "would wake idle CPUs hundreds of times a second",
        REMEDY_MULTIPLEX,
    )


def _cpus_of(sysfs: Path, folder: Path) -> frozenset[int]:
    """Return the CPUs of one of a hybrid part's PMUs."""
    try:
        return frozenset(cpu_list(optional_text(sysfs, folder / "cpus") or ""))
    except ValueError:
        return frozenset()


def allow_files(wanted: int) -> None:
    """Raise this process's soft limit of descriptors as far as it needs and may."""
    import resource  # noqa: PLC0415 - only where there is something to count

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    enough = wanted + _SPARE_FILES
    if soft != resource.RLIM_INFINITY and soft < enough:
        allowed = enough if hard == resource.RLIM_INFINITY else min(enough, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, allowed), hard))


def refused(error: OSError) -> NoReturn:
    """Say what the kernel's answer to perf_event_open means (its manual page, ERRORS)."""
    number = error.errno or 0
    said = f"perf_event_open: {error.strerror} ({errno.errorcode.get(number, number)})"
    if number in {errno.EACCES, errno.EPERM}:
        raise Absent(
            f"not allowed to count for all processes: {said}",
            REMEDY_PERMISSION,
            again_seconds=_LOOK_AGAIN_SECONDS,
        )
    if number in {errno.ENOENT, errno.EOPNOTSUPP, errno.ENODEV, errno.ENXIO}:
        raise Absent(
            f"the CPU shows no performance counters: {said}; a VM mostly has none",
            "on bare metal: check that no kernel option or firmware setting hides the PMU; in a VM "
            "the host must give it a virtual PMU",
        )
    if number == errno.ENOSYS:
        raise Absent(f"this kernel or sandbox has no performance counters: {said}")
    if number in {errno.EMFILE, errno.ENFILE}:
        raise Absent(f"too few file descriptors for every CPU: {said}", REMEDY_FILES)
    raise Transient(said, "io")
