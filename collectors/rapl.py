"""RAPL energy counters of CPU packages and DRAM, through powercap in sysfs.

Reads `class/powercap/intel-rapl:*` (Documentation/power/powercap/powercap.rst). The driver serves
Intel parts since Sandy Bridge and AMD parts since family 17h, under the same names.

What counts: each package once (`cpu`), each DRAM zone once (`dram`). Traps, with sources:

- `core` and `uncore` are inside package and not emitted; `psys` (`psys-N` on other sockets)
  contains package, so it is a cross-check and counts only where there is no package zone;
- `intel-rapl-mmio` shows the same package through other registers: ignored under any name
  (codecarbon #950: it doubled the sum);
- zone indices are hexadecimal (`intel-rapl:a`): the name file says what a zone is, not the index;
- packages of several dies have `package-N-die-M` zones. Where each die counts for itself (Cascade
  Lake AP) all count; where every die mirrors one counter of the socket (Threadripper and EPYC of
  Zen 1 and 2, codecarbon #1274) one counts: see `collectors/rapl_dies.py`;
- a counter turns over. `energy_uj` is a 32-bit register times a unit and `max_energy_range_uj`
  is (2^32 - 1) units, both truncated to uJ (drivers/powercap/intel_rapl_common.c,
  get_max_energy_counter and rapl_unit_xlate): the modulus is that range plus one unit,
  which is range / (2^32 - 1): 61 uJ on many Intel parts, 15.3 uJ on EPYC;
- the counter refreshes about once in 1 ms and carries no time: the clock is read on both sides;
- `energy_uj` is readable by root only since Linux 5.10 (CVE-2020-8694); it may answer EINVAL or
  EIO (node_exporter #2269) or ENODATA: that zone gives no sample, the others go on.
"""

from collections.abc import Sequence
from typing import ClassVar, Final

from agent.collector import (
    Absent,
    BlockingCollector,
    CollectorSettings,
    Context,
    Problem,
    Transient,
)
from agent.quantities import Joules, Seconds
from agent.samples import EnergyCounter, Sample
from collectors.rapl_dies import Group, Reading
from collectors.rapl_zones import CLASS, Zone, listing, scan
from collectors.sysfs import Rescan, Unreadable, close_all

REMEDY_PERMISSION: Final = (
    "let the group wattlas read these counters and nothing else: "
    "printf '%s\\n' 'z /sys/class/powercap/intel-rapl:*/energy_uj 0440 root wattlas' "
    "'z /sys/class/powercap/intel-rapl:*/intel-rapl:*/energy_uj 0440 root wattlas' "
    "| sudo tee /etc/tmpfiles.d/wattlas-rapl.conf && "
    "sudo systemd-tmpfiles --create /etc/tmpfiles.d/wattlas-rapl.conf; "
    "for a quick try, run wattlas as root"
)
REMEDY_MODULE: Final = (
    "on bare metal: sudo modprobe intel_rapl_common && sudo modprobe intel_rapl_msr "
    "(AMD and Intel); in a VM the host must do the measuring"
)


class RaplSettings(CollectorSettings, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[collectors.rapl]`."""

    rescan_seconds: float = 60.0
    """Seconds between looks for zones that came or went (CPU hotplug, a module loaded late)."""


class Rapl(BlockingCollector):
    """Energy counters of packages and DRAM; psys as a cross-check."""

    Settings: ClassVar[type[CollectorSettings]] = RaplSettings
    settings: RaplSettings

    def __init__(self, settings: RaplSettings, context: Context) -> None:
        super().__init__(settings, context)
        self._root = context.paths.sysfs
        self._zones: tuple[Zone, ...] = ()
        self._groups: tuple[Group, ...] = ()
        self._scan_problems: tuple[Problem, ...] = ()
        self._problems: tuple[Problem, ...] = ()
        self._rescan = Rescan(settings.rescan_seconds)
        self._listed: tuple[str, ...] = ()
        self._seen = False

    def read(self) -> Sequence[Sample]:
        """Return one reading of every zone. Raises as `Collector.collect` does."""
        boottime = self.context.clock.boottime
        before = boottime()
        if self._rescan.is_due(before):
            self._look()
            before = boottime()
            self._rescan.looked(before, complete=not self._scan_problems)
        readings: dict[Zone, Reading] = {}
        problems = list(self._scan_problems)
        for zone in self._zones:
            try:
                energy = zone.read()
            except Unreadable as error:
                if error.reason == "gone":
                    self._rescan.soon()
                problems.append(_problem(zone, error))
                before = boottime()
                continue
            after = boottime()
            # The middle: the read itself may have waited for another core.
            at = Seconds((before + after) / 2)
            readings[zone] = Reading(at, Joules(energy / 1e6), Seconds(after - before))
            before = after
        self._problems = tuple(problems)
        if not readings:
            self._raise_nothing()
        samples: list[Sample] = []
        packages = any(zone.kind == "package" for zone in self._zones)
        for group in self._groups:
            counted = group.zones[0].kind != "psys" or not packages
            for zone, device, reading in group.take(readings):
                samples.append(_sample(zone, device, reading, counted=counted))
        return samples

    def problems(self) -> Sequence[Problem]:
        """Return the zones that are there but gave no value at the last `collect`."""
        return self._problems

    def close(self) -> None:
        """End the thread and close the zones' files."""
        super().close()
        close_all(zone.energy for zone in self._zones)

    def _look(self) -> None:
        """Look for zones; quickly, if the class lists what it did and nothing has gone wrong.

        A zone that was taken away and put back answered ENODEV, which is `gone`, before.
        """
        listed = listing(self._root)
        if not self._rescan.forced and not self._scan_problems and listed == self._listed:
            return
        self._listed = listed
        found = scan(self._root)
        kept = {zone.key: zone for zone in self._zones}
        zones = tuple(kept.pop(zone.key, zone) for zone in found.zones)
        close_all(zone.energy for zone in kept.values())
        self._scan_problems = found.problems
        if zones != self._zones:
            groups = {group.key: group for group in self._groups}
            self._groups = tuple(
                old if (old := groups.get(new.key)) and old.zones == new.zones else new
                for new in Group.of(zones)
            )
            self._zones = zones
        if not zones and not self._scan_problems and not self._seen:
            raise Absent(_why_absent(self._root, mmio=found.mmio), REMEDY_MODULE)
        self._seen = True

    def _raise_nothing(self) -> None:
        """Say why not one zone gave a value."""
        if not self._problems:
            self._rescan.soon()
            raise Transient("the RAPL zones are gone", "gone", REMEDY_MODULE)
        first = self._problems[0]
        for problem in self._problems:
            if problem.reason == "permission":
                why = f"no permission to read the RAPL counters: {problem.why}"
                raise Transient(why, "permission", REMEDY_PERMISSION)
        raise Transient(f"no RAPL zone can be read: {first.why}", first.reason, first.remedy)


def _sample(zone: Zone, device: str, reading: Reading, *, counted: bool) -> EnergyCounter:
    return EnergyCounter(
        collector="rapl",
        component=zone.component,
        device=device,
        at=reading.at,
        joules=reading.joules,
        wraps_at=zone.wraps_at,
        max_watts=zone.max_watts,
        counted=counted,
    )


def _problem(zone: Zone, error: Unreadable) -> Problem:
    problem = error.problem(zone.device)
    if error.reason == "permission":
        return Problem(problem.what, problem.why, REMEDY_PERMISSION, problem.reason)
    return problem


def _why_absent(root: object, *, mmio: bool) -> str:
    where = f"no powercap zones below {root}/{CLASS}"
    if mmio:
        return f"{where} but the intel-rapl-mmio twin: the intel_rapl_msr module is not loaded"
    return f"{where}: a VM hides RAPL, or the intel_rapl_msr module is not loaded"
