"""What is measured: held down, missing, estimated, disagreeing."""

from typing import Final

from agent.alerts import Limits
from dashboards.rules.model import Alert, Group
from dashboards.rules.record_energy import HOST_HOUR
from dashboards.rules.record_hosts import POWER
from dashboards.rules.record_quality import (
    BRAKE,
    GPU_THROTTLED,
    PART_THROTTLED,
    POWER_LIMIT,
    THERMAL,
)
from dashboards.rules.words import HOSTS, located, matching, number

_ESTIMATED: Final = "instance:wattlas_host_energy_estimated:ratio_increase1h"
_QUALITY: Final = "instance_quality:wattlas_host_energy_joules:increase1h"
_GAP: Final = "instance:wattlas_host_energy_gap_seconds:increase1h"
_WHO: Final = "{{ $labels.host }} ({{ $labels.instance }})"
_RACK: Final = "{{ if $labels.rack }} in rack {{ $labels.rack }}{{ end }}"
_DEVICE: Final = (
    "{{ if $labels.uuid }}accelerator {{ $labels.gpu }} ({{ $labels.uuid }})"
    "{{ else }}{{ $labels.component }} {{ $labels.device }}{{ end }}"
)


def measuring_alerts(limits: Limits, where: str) -> Group:
    """Return them."""
    return Group(
        "wattlas_alerts_measuring",
        "1m",
        (
            *_throttled(limits, where),
            _capped(limits, where),
            *_missing(limits, where),
            _estimated(limits, where),
            *_disagreeing(limits, where),
        ),
    )


def _throttled(limits: Limits, where: str) -> tuple[Alert, Alert]:
    """Return throttling that is a fault.

    The others are ordinary: sw_power_cap (any accelerator at full load), sync_boost (waits for
    another one), low_utilization, board_limit, reliability (the most that the silicon does).
    """
    limit = number(limits.throttled_ratio)
    heat = matching(where, f'reason=~"{THERMAL}"')
    brake = matching(where, f'reason=~"{BRAKE}"')
    return (
        Alert(
            name="WattlasThrottledThermal",
            expression=f"({GPU_THROTTLED}{heat} or {PART_THROTTLED}{heat}) > {limit}",
            for_="5m",
            keep_firing_for="15m",
            severity="warning",
            summary="Heat holds a device down",
            description=(
                f"Heat holds {_DEVICE} of {_WHO}{_RACK} down for"
                " {{ $value | humanizePercentage }} of the time ({{ $labels.reason }}). Look at"
                " the temperatures of its neighbours: one device means its fan, heat sink or dust;"
                " a rack means the air; a site means the cooling."
            ),
            runbook="throttling",
        ),
        Alert(
            name="WattlasThrottledPower",
            expression=f"{GPU_THROTTLED}{brake} > {limit}",
            for_="5m",
            keep_firing_for="15m",
            severity="critical",
            summary="A power brake halves an accelerator's clocks",
            description=(
                f"The power brake is on for {{{{ $value | humanizePercentage }}}} of the time at"
                f" {_DEVICE} of {_WHO}{_RACK}. The server's power supplies"
                " or the rack's feed pull it: look for a failed supply or feed in the BMC's log"
                " before the next one fails."
            ),
            runbook="throttling",
        ),
    )


def _capped(limits: Limits, where: str) -> Alert:
    here = matching(where)
    capped = matching(where, 'reason="sw_power_cap"')
    return Alert(
        name="WattlasPowerCapped",
        expression=(
            f"(1 - {POWER_LIMIT}{here} / {POWER_LIMIT}{here} offset 1d)"
            f" > {number(limits.power_limit_drop_ratio)}\n"
            "and on (job, instance)\n"
            f"instance_reason:wattlas_throttled:ratio_rate10m{capped}"
            f" > {number(limits.throttled_ratio)}"
        ),
        for_="15m",
        severity="info",
        summary="Accelerators run against a power limit that was lowered",
        description=(
            f"The power limits of the accelerators of {_WHO} are"
            " {{ $value | humanizePercentage }} lower than a day ago, and they run against them."
            " If nobody lowered them on purpose, set them back (NVIDIA: `nvidia-smi -q -d POWER`"
            " shows the default, `nvidia-smi -pl` sets it); a reboot may have lost them."
        ),
        runbook="throttling",
    )


def _missing(limits: Limits, where: str) -> tuple[Alert, Alert]:
    """Return power that is missing while its agent is there.

    A host that was off comes back with that time as a gap: it says nothing, so the time for which
    the agent was not seen is taken off, and who was not there an hour ago is not judged.
    """
    here = matching(where)
    return (
        Alert(
            name="WattlasHostPowerMissing",
            expression=(
                f"{_GAP}{here}\n"
                "and on (job, instance)\n"
                f"({HOSTS}{here} unless on (job, instance) {POWER}{here})"
            ),
            for_="15m",
            severity="warning",
            summary="The power of a host is unknown",
            description=(
                f"The agent of {_WHO} answers, but its host's power is unknown now and was for"
                " {{ $value | humanizeDuration }} of the last hour: at least one part has no"
                " figure from any source, and there is no wall meter. Run `wattlas check` there:"
                " it names the sensor and the command that mends it."
            ),
            runbook="host-power-missing",
        ),
        Alert(
            name="WattlasHostPowerGaps",
            expression=(
                "(\n"
                f"  {_GAP}{here}\n"
                "  - on (job, instance) group_left ()\n"
                "  (3600 - 60 * max by (job, instance)"
                f" (clamp_max(count_over_time({HOSTS}{here}[1h]), 60)))\n"
                f") / 3600 > {number(limits.power_missing_ratio)}\n"
                "and on (job, instance)\n"
                f"{HOSTS}{here} offset 70m\n"
                "and on (job, instance)\n"
                "increase(wattlas_host_energy_gap_seconds_total[15m]) > 0"
            ),
            for_="20m",
            severity="warning",
            summary="The power of a host is lost again and again",
            description=(
                f"The power of {_WHO} was unknown for {{{{ $value | humanizePercentage }}}} of the"
                " last hour, in pieces. Its collectors' failures on the data quality dashboard"
                " show which source drops out; `journalctl -u wattlas` says why."
            ),
            runbook="host-power-missing",
        ),
    )


def _estimated(limits: Limits, where: str) -> Alert:
    """Return what looks like a lost sensor.

    A host that is idle today and was busy yesterday has a larger estimated share too, though
    nothing is lost: so the estimated energy itself must have risen.
    """
    here, rise = matching(where), number(limits.estimated_rise_ratio)
    joules = _QUALITY + matching(where, 'quality="estimated"')
    known = f"0 * ({HOST_HOUR}{here} offset 1d > 0)"
    return Alert(
        name="WattlasEstimatedShareRising",
        expression=(
            f"{_ESTIMATED}{here}\n"
            "- on (job, instance) group_left ()\n"
            f"({_ESTIMATED}{here} offset 1d or on (job, instance) {known})\n"
            f"> {rise}\n"
            "and on (job, instance)\n"
            f"{joules}\n"
            "> on (job, instance)\n"
            f"(1 + {rise}) * ({joules} offset 1d or on (job, instance) {known})"
        ),
        for_="30m",
        severity="warning",
        summary="More of a host's energy is estimated than a day ago",
        description=(
            f"The estimated share of the energy of {_WHO} is"
            " {{ $value | humanizePercentage }} (of the whole) larger than at this hour a day ago:"
            " a sensor is gone and a model stands in. Run `wattlas check` there: it names what"
            " cannot be read and the command that mends it."
        ),
        runbook="estimated-share",
    )


def _disagreeing(limits: Limits, where: str) -> tuple[Alert, Alert]:
    ratio = "wattlas_crosscheck_energy_ratio"
    most, least = number(1 + limits.crosscheck_ratio), number(1 - limits.crosscheck_ratio)
    return (
        Alert(
            name="WattlasCounterDisagrees",
            expression=located(f"({ratio} > {most} or {ratio} < {least})", where),
            for_="30m",
            severity="info",
            summary="A device's energy counter and its power sensor disagree",
            description=(
                "{{ $labels.component }} {{ $labels.device }} ({{ $labels.source }}) of"
                f" {_WHO} counts {{{{ $value | humanizePercentage }}}} of what its own power"
                " sensor adds up to. One of the two is wrong: compare with the server's wall"
                " meter, then calibrate or report the device."
            ),
            runbook="cross-checks",
        ),
        Alert(
            name="WattlasPartsExceedWall",
            expression=located("(wattlas_host_parts_exceed_wall == 1)", where),
            for_="15m",
            severity="warning",
            summary="A host's parts draw more than the whole host",
            description=(
                f"The parts of {_WHO} have drawn more than its wall meter, beyond the uncertainty"
                " of both, in every minute (flag: {{ $value }}). A sensor is wrong or counted"
                " twice, or the meter is another server's: compare the stacked parts with the wall"
                " on the server dashboard."
            ),
            runbook="cross-checks",
        ),
    )
