"""Which sensors are the whole server's input, by name. A sensor whose name is not here is not used.

Names as `ipmitool sdr elist` shows them (16 characters at most, IPMI 2.0 section 43.15), where they
were seen, and why they are the input:

- `Pwr Consumption`: Dell iDRAC 6 and later (github.com/ateodorescu/home-assistant-ipmi issue 13);
  Dell's own omreport calls it "System Board Pwr Consumption";
- `System Level`: Dell iDRAC 6 on 11th generation (same repository, issue 27: R710);
- `Power Meter`: HP and HPE iLO (github.com/collectd/collectd issue 819: DL380). iLO's `PS n Input`
  is not used: it was seen to say 2550 W, all bits set times ten, beside a meter of 240 W;
- `Sys Power`: Lenovo XCC, beside `CPU Power` and `Mem Power` (seen in others' programs, not in a
  record: the least sure of these names);
- `Total_Power`: Inspur (296 W beside 136 + 128 W of PSU output: tests/fixtures/ipmi/inspur);
  `Total Power`: Fujitsu iRMC, beside `Total Power Out` (its Redfish page: mrlhansen/idrac_exporter
  issue 121); `total_power`: OpenBMC (phosphor-host-ipmid issue 167);
- `POWER_USAGE`: Cisco CIMC, equal to `PSU1_PIN` (tests/fixtures/ipmi/cisco-ucs-sensors);
- `Power`: Huawei iBMC, where `Power1`, `Power2`, … are beside it and add up to it
  (github.com/bougou/go-ipmi issue 33: 168 = 90 + 78);
- PSU inputs, summed: `PS1 Input Power` (Intel S2600WTTR, home-assistant-ipmi issue 27), `PS1 Power
  In` (IBM System x, issue 13 there), `PSU1_PIN` (Cisco, AMI), `ps0_input_power` (OpenBMC on IBM).
"""

import re
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from agent.quantities import Watts
from collectors.ipmi_parse import NOTHING_ASSERTED, Sensor

SUM_DEVICE: Final = "psu_inputs"
_WHOLE: Final = (
    "pwr consumption",
    "system level",
    "power meter",
    "sys power",
    "total_power",
    "total power",
    "power_usage",
)
_INPUT: Final = re.compile(r"PSU?[ _]?(\d+)[ _](?:Input[ _]Power|Power[ _]In|PIN)", re.IGNORECASE)
_STATUS: Final = re.compile(
    r"(?:PSU?|Power Supply)[ _]?(\d+)(?:[ _](?:Status|Presence|State))?", re.IGNORECASE
)


class Plan(NamedTuple):
    """Which sensors to read, and what to call them."""

    device: str
    inputs: tuple[Sensor, ...]
    """As they were when they were found."""
    statuses: tuple[Sensor, ...] = ()
    """Power supplies' own states: whether each is there."""


class Missing(Exception):
    """Not all of it can be read, so there is no figure."""


def choose(sensors: Sequence[Sensor], wanted: str = "") -> Plan | None:
    """Return what to read. `wanted`: the one sensor that the settings name. None: nothing known."""
    powers = [sensor for sensor in sensors if sensor.unit == "W" or sensor.watts is not None]
    if wanted:
        found = [sensor for sensor in sensors if sensor.name == wanted]
        return Plan(wanted, (found[0],)) if found else None
    by_name = {sensor.name.lower(): sensor for sensor in reversed(powers)}
    for name in _WHOLE:
        if name in by_name:
            return Plan(by_name[name].name, (by_name[name],))
    if "power" in by_name and "power1" in by_name:
        return Plan(by_name["power"].name, (by_name["power"],))
    # One that gives no value now has no unit either, so they are looked for among all.
    inputs = tuple(sensor for sensor in sensors if _INPUT.fullmatch(sensor.name))
    if not any(sensor.watts is not None for sensor in inputs):
        return None
    statuses = tuple(sensor for sensor in sensors if _STATUS.fullmatch(sensor.name))
    return Plan(SUM_DEVICE, inputs, statuses)


def total(plan: Plan, sensors: Sequence[Sensor]) -> Watts:
    """Return the figure of a plan, W. Raises `Missing` when a part of it gives no value.

    A power supply that is not in its bay is left out; one of which that is not known is not.
    """
    now = {sensor.name: sensor for sensor in sensors}
    absent = {
        found.group(1)
        for status in plan.statuses
        if (found := _STATUS.fullmatch(status.name)) and _is_absent(now, status.name)
    }
    watts = 0.0
    for sensor in plan.inputs:
        reading = now.get(sensor.name)
        found = _INPUT.fullmatch(sensor.name)
        if reading is not None and reading.watts is not None:
            watts += reading.watts
        elif not (plan.statuses and found and found.group(1) in absent):
            raise Missing(f"sensor {sensor.name} gives no value in watts")
    if watts <= 0.0:
        names = ", ".join(sensor.name for sensor in plan.inputs)
        raise Missing(f"{names}: 0 W, which no running server draws")
    return Watts(watts)


def _is_absent(now: Mapping[str, Sensor], name: str) -> bool:
    status = now.get(name)
    if status is None:
        return False
    said = status.states
    return said == NOTHING_ASSERTED or "absent" in said or "not present" in said
