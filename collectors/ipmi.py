"""Wall power of this server by IPMI: DCMI "Get Power Reading", else sensors that are known by name.

Through `ipmi-dcmi` and `ipmi-sensors` (FreeIPMI) or `ipmitool`, in band (/dev/ipmi0) or over the
network (`host`). Which way works is found at the first reading and kept: the device's label does
not change while the agent runs. Facts that are not obvious:

- 0 W, and "power measurement not available", are how many BMCs say that they have no figure
  (openbmc/phosphor-host-ipmid issue 167): no value, and sensors are looked for instead;
- reading all sensor records of a BMC in band takes many seconds, once: that runs on while readings
  fail, and is cached;
- after a refused password nothing is tried for 15 minutes, or until the password file changes: a
  BMC locks an account after a few refusals;
- in enclosures of several nodes each node's BMC answers for its node; fans and power supplies of
  the enclosure are in no node's figure.

Accuracy: power supplies measure their input within 5 % from 200 W on and within 10 W below (Intel
Server System R2000IP, technical product specification, table 33); no BMC says what it has.
"""

import asyncio
import shutil
import tempfile
from collections.abc import Sequence
from typing import ClassVar, Final

from agent.collector import Absent, Context, Problem, Transient
from agent.quantities import Component, Quality, Ratio, Seconds, Watts
from agent.samples import PowerReading, Sample
from collectors import ipmi_parse
from collectors.ipmi_commands import (
    Commands,
    Family,
    Unsupported,
    has_no_records,
    judge,
    secrets,
)
from collectors.ipmi_names import Missing, Plan, choose, total
from collectors.ipmi_parse import DcmiReading, Sensor
from collectors.ipmi_refusal import Refusal
from collectors.ipmi_settings import IpmiSettings
from collectors.tool import Output, Runner, find

NAME: Final = "ipmi"
LOOK_AGAIN_SECONDS: Final = 300.0
LISTING_SECONDS: Final = 120.0
"""How long the first listing of all sensors may take: some 300 records at 0.2 s each."""
LIST_AGAIN_READINGS: Final = 6
"""After so many readings that lacked a sensor, the BMC's records may be others: it was updated."""
STANDS_STILL_READINGS: Final = 6
MARGIN_SECONDS: Final = 0.25
"""A tool's deadline is so much before the collector's, for its message to come through."""
DCMI: Final = "dcmi"
ACCURACY: Final = 0.05
ACCURACY_WATTS: Final = 10.0
REMEDY_MODULES: Final = "modprobe ipmi_devintf ipmi_si, then look for /dev/ipmi0; or set host"
REMEDY_TOOL: Final = (
    "apt-get install freeipmi-tools (Debian, Ubuntu), dnf install freeipmi (RHEL); or ipmitool"
)
REMEDY_HANGS: Final = (
    "the BMC does not answer: look at dmesg, and restart it (ipmitool mc reset cold) if it stays so"
)
REMEDY_INACTIVE: Final = (
    "activate power measurement in the BMC, or name the wall's sensor in collectors.ipmi.sensor"
)
_DEVICES: Final = ("ipmi0", "ipmi/0", "ipmidev/0")


class Ipmi:
    """This server's BMC."""

    Settings: ClassVar[type[IpmiSettings]] = IpmiSettings

    def __init__(self, settings: IpmiSettings, context: Context) -> None:
        self.settings = settings
        self._clock = context.clock
        self._dev = context.paths.sysfs.parent / "dev"
        self._runner = Runner(REMEDY_HANGS)
        self._commands: Commands | None = None
        self._folder = ""
        self._has_dcmi: bool | None = False if settings.sensor else None
        """None: not known yet. True: it has given a figure, and is kept to."""
        self._plan: Plan | None = None
        self._knows_sensors = False
        self._listing: asyncio.Task[list[Sensor]] | None = None
        self._inactive: Transient | None = None
        """What to say of a BMC that has DCMI without a figure, and no sensor either."""
        self._missing = 0
        self._refusal = Refusal(settings.password_file, context.clock)
        self._last: DcmiReading | None = None
        self._still = 0

    async def collect(self) -> Sequence[Sample]:
        """Return one reading. Raises as `Collector.collect` does."""
        commands = self._prepare()
        self._refusal.check()
        deadline = self._clock.monotonic() + self.settings.timeout_seconds - MARGIN_SECONDS
        before = self._clock.boottime()
        try:
            device, watts = await self._read(commands, deadline)
        except Transient as failure:
            self._refusal.note(failure)
            raise
        at = Seconds((before + self._clock.boottime()) / 2)
        return [
            PowerReading(
                collector=NAME,
                component=Component.HOST,
                device=device,
                at=at,
                watts=watts,
                quality=Quality.INTEGRATED,
                accuracy=Ratio(max(ACCURACY, ACCURACY_WATTS / watts)),
            )
        ]

    def problems(self) -> Sequence[Problem]:
        """Nothing: one BMC answers or it does not."""
        return ()

    def close(self) -> None:
        """End what runs, and forget the sensor records."""
        if self._listing is not None and not self._listing.cancel() and self._listing.done():
            self._listing.exception()  # seen: asyncio would complain that nobody looked
        self._runner.close()
        if self._folder:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = ""

    def _prepare(self) -> Commands:
        """Return the commands. Raises `Absent` without a BMC or a tool; that costs three stats."""
        device = ""
        if not self.settings.host:
            paths = (self._dev / name for name in _DEVICES)
            found = next((path for path in paths if path.exists()), None)
            if found is None:
                raise Absent(
                    f"no IPMI device below {self._dev}",
                    REMEDY_MODULES,
                    again_seconds=LOOK_AGAIN_SECONDS,
                )
            device = str(found)
        if self._commands is None:
            self._commands = Commands(self._family(), self.settings, device)
        return self._commands

    def _family(self) -> Family:
        wanted = self.settings.tool
        for tool in ("ipmi-dcmi", "ipmitool") if wanted == "auto" else (wanted,):
            if find(tool):
                return "freeipmi" if tool == "ipmi-dcmi" else "ipmitool"
        name = "neither ipmi-dcmi nor ipmitool is" if wanted == "auto" else f"{wanted} is not"
        raise Absent(f"{name} installed", REMEDY_TOOL, again_seconds=LOOK_AGAIN_SECONDS)

    async def _read(self, commands: Commands, deadline: float) -> tuple[str, Watts]:
        """Return the device's label and its power, W."""
        # One process at a time: while the sensors are listed, DCMI is not asked.
        if self._has_dcmi is not False and self._listing is None:
            self._inactive = None
            try:
                return DCMI, await self._read_dcmi(commands, deadline)
            except Unsupported as error:
                if self._has_dcmi:
                    raise Transient(f"the BMC does not know DCMI just now: {error}", "io") from None
                self._has_dcmi = False
            except Transient as error:
                if self._has_dcmi or error.reason != "inactive":
                    raise
                self._inactive = error
        if not self._knows_sensors:
            await self._list(commands, deadline)
        if self._plan is not None:
            self._has_dcmi = False
            return self._plan.device, await self._read_sensors(commands, self._plan, deadline)
        if self._inactive is not None:
            raise self._inactive
        self._has_dcmi = False if self.settings.sensor else None
        self._knows_sensors = False
        raise Absent(*self._no_sensor(), again_seconds=3600.0)

    def _no_sensor(self) -> tuple[str, str]:
        if self.settings.sensor:
            return (
                f"the BMC has no sensor {self.settings.sensor!r}",
                "ipmitool sdr elist lists them",
            )
        return (
            "the BMC has neither DCMI power readings nor a sensor known to be the server's input",
            "name the one that is in collectors.ipmi.sensor; ipmitool sdr elist lists them",
        )

    async def _read_dcmi(self, commands: Commands, deadline: float) -> Watts:
        """Return DCMI's figure, W. Raises `Unsupported`, or `Transient` with `inactive`."""
        output = await self._run(commands, "dcmi", deadline)
        reading = ipmi_parse.dcmi(output.text)
        if reading is None:
            if not output.errors.strip() and not output.status:
                raise Transient("the tool's answer broke off", "garbage")
            judge(output)
        if reading.watts <= 0 or not (reading.is_active or self.settings.accept_inactive):
            raise Transient(
                f"the BMC says that it does not measure power now (it gives {reading.watts:g} W)",
                "inactive",
                REMEDY_INACTIVE,
            )
        if reading.watts >= ipmi_parse.UNREADABLE_WATTS:
            raise Transient(f"the BMC gives {reading.watts:g} W, which is no figure", "garbage")
        self._still = self._still + 1 if ipmi_parse.stands_still(reading, self._last) else 0
        self._last = reading
        if self._still >= STANDS_STILL_READINGS:
            why = f"the BMC gives one and the same reading since {reading.stamp}: it stands still"
            raise Transient(why, "stale", "restart the BMC: ipmitool mc reset cold")
        self._has_dcmi = True
        return reading.watts

    async def _list(self, commands: Commands, deadline: float) -> None:
        """Find the sensors to read. Goes on by itself where it takes longer than one reading."""
        if not commands.folder:
            commands.folder = self._folder = tempfile.mkdtemp(prefix="wattlas-ipmi-")
        if self._listing is None:
            self._listing = asyncio.ensure_future(self._all_sensors(commands))
        left = max(0.0, deadline - self._clock.monotonic())
        await asyncio.wait({self._listing}, timeout=left)
        if not self._listing.done():
            raise Transient(
                "the BMC's list of sensors is still being read, which it does once", "timeout"
            )
        listing, self._listing = self._listing, None
        self._plan = choose(listing.result(), self.settings.sensor)
        self._knows_sensors = True

    async def _all_sensors(self, commands: Commands) -> list[Sensor]:
        deadline = self._clock.monotonic() + LISTING_SECONDS
        if commands.family == "ipmitool":
            dumped = await self._run(commands, "dump", deadline)
            if dumped.status:
                judge(dumped)
        output = await self._run(commands, "sensors", deadline)
        if commands.family == "ipmitool":
            found = ipmi_parse.elist(output.text)
        else:
            found = ipmi_parse.ipmi_sensors(output.text)
        if not found and not has_no_records(output):
            judge(output)
        return found

    async def _read_sensors(self, commands: Commands, plan: Plan, deadline: float) -> Watts:
        """Return the figure of the chosen sensors, W."""
        output = await self._run(commands, "sensors", deadline, plan)
        if commands.family == "ipmitool":
            found = ipmi_parse.sdr_get(output.text)
        else:
            found = ipmi_parse.ipmi_sensors(output.text)
        if not found and "not found" not in output.errors and "Unable to find" not in output.errors:
            judge(output)
        try:
            watts = total(plan, found)
        except Missing as error:
            self._missing += 1
            if self._missing >= LIST_AGAIN_READINGS:
                self._missing = 0
                self._knows_sensors = False
                commands.drop_cache()
            raise Transient(str(error), "io", "look at the BMC's own page of sensors") from None
        self._missing = 0
        return watts

    async def _run(
        self, commands: Commands, what: str, deadline: float, plan: Plan | None = None
    ) -> Output:
        with secrets(commands.family, self.settings) as (secret, descriptors):
            if what == "dcmi":
                command = commands.dcmi(secret)
            elif what == "dump":
                command = commands.dump(secret)
            else:
                wanted = (*plan.inputs, *plan.statuses) if plan else ()
                records = tuple(sensor.record for sensor in wanted)
                names = tuple(sensor.name for sensor in wanted)
                command = commands.sensors(secret, records, names)
            tool = find(command[0])
            if tool is None:
                raise Transient(f"{command[0]} is not installed any more", "gone", REMEDY_TOOL)
            left = deadline - self._clock.monotonic()
            return await self._runner.run(
                [tool, *command[1:]], seconds=left, descriptors=descriptors
            )
