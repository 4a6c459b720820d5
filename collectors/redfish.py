"""Wall power of this server from its BMC, over Redfish.

Who is asked how: `collectors/redfish_http.py` and `redfish_login.py`; which chassis is this host's:
`redfish_find.py`; which of its figures is the wall's, with sources: `redfish_power.py`.

What was found out is kept, and looked at anew every hour or when the figure is gone. A BMC that is
too slow to be searched within one deadline goes on at the next reading: what it has said is kept.
"""

import asyncio
from collections.abc import Sequence
from typing import ClassVar, Final

from agent.collector import Absent, CollectorSettings, Context, Problem, Transient
from agent.quantities import Component, Quality, Ratio, Seconds, Watts
from agent.samples import PowerReading, Sample
from collectors.redfish_find import Get, Place, find
from collectors.redfish_http import Client, Document
from collectors.redfish_login import Login
from collectors.redfish_power import Choice, Meter
from collectors.redfish_settings import RedfishSettings, check, is_loopback

NAME: Final = "redfish"
SHARE_OF_TIMEOUT: Final = 0.9
"""The reading gives up this much before the collector's deadline: its message names the BMC."""
RECHECK_SECONDS: Final = 3600.0
"""So often all figures are compared again."""
PAUSE_SECONDS: Final = 60.0
"""A BMC without a figure for this host is searched again after so long."""
ACCURACY: Final = 0.05
"""What supplies must keep above 20 % of their load (Intel S5500WB TPS 3.8.4, READ_PIN)."""
SHARED_ACCURACY: Final = 0.15
"""A node's own sensor is behind the enclosure's supplies and fans, which take some 5 to 20 %."""


class Redfish:
    """One BMC."""

    Settings: ClassVar[type[CollectorSettings]] = RedfishSettings

    def __init__(self, settings: RedfishSettings, context: Context) -> None:
        self._settings = settings
        self._clock = context.clock
        self._sysfs = context.paths.sysfs
        self._client: Client | None = None
        self._login: Login | None = None
        self._said: dict[str, Document | None] = {}
        """What was said during a search that is not over."""
        self._place: Place | None = None
        self._meter: Meter | None = None
        self._choice: Choice | None = None
        self._chosen_at = float("-inf")
        self._paused: tuple[Transient, float] | None = None
        """Why nothing is asked, and until when (CLOCK_MONOTONIC)."""

    async def collect(self) -> Sequence[Sample]:
        """Return the power of this host. Raises as `Collector.collect` does."""
        settings = self._settings
        if not settings.url:
            raise Absent(
                "no BMC is set in [collectors.redfish]",
                "set url (`ipmitool lan print` tells the BMC's address), user and password_file;"
                " see docs/bmc.md",
            )
        check(settings)
        limit = settings.timeout_seconds * SHARE_OF_TIMEOUT
        try:
            async with asyncio.timeout(limit):
                return [await self._read()]
        except TimeoutError:
            raise Transient(
                f"{self._ask().where} did not answer within {limit:.3g} s",
                "timeout",
                "look whether the BMC hangs (a reset of it helps), or set a longer timeout_seconds",
            ) from None
        except Absent:
            self._forget()
            raise
        except Transient as error:
            self._said = {}
            if error.reason not in {"refused", "io", "tls"}:
                self._forget()
            if self._paused is None and error.reason in {"settings", "empty"}:
                self._paused = error, self._clock.monotonic() + PAUSE_SECONDS
            raise

    def problems(self) -> Sequence[Problem]:
        """Return what the operator should know though there is a figure."""
        return tuple(self._problems())

    def close(self) -> None:
        """End the session and hang up."""
        if self._login is not None:
            self._login.leave()
        if self._client is not None:
            self._client.close()

    # -- inside -------------------------------------------------------------------------------

    async def _read(self) -> PowerReading:
        if self._paused is not None:
            error, until = self._paused
            if self._clock.monotonic() < until:
                raise Transient(error.why, error.reason, error.remedy)
            self._paused = None
        get = self._ask_as().get
        at, power = await self._timed(get)
        if power is None:
            await self._choose()
            at, power = await self._timed(get)
        if power is None or self._place is None:
            raise self._nothing()
        accuracy = SHARED_ACCURACY if self._place.shared else ACCURACY
        if self._settings.accuracy is not None:
            accuracy = self._settings.accuracy
        return PowerReading(
            collector=NAME,
            component=Component.HOST,
            device=self._place.device,
            at=at,
            watts=Watts(power),
            quality=Quality.INTEGRATED,
            accuracy=Ratio(accuracy),
        )

    async def _timed(self, get: Get) -> tuple[Seconds, float | None]:
        """Return the figure that was chosen and when it was read; None: choose (anew)."""
        before = self._clock.boottime()
        power: float | None = None
        recent = self._clock.monotonic() - self._chosen_at < RECHECK_SECONDS
        if self._meter is not None and self._choice is not None and recent:
            power = await self._meter.read(get, self._choice.source)
        return Seconds((before + self._clock.boottime()) / 2), power

    async def _choose(self) -> None:
        """Find this host's chassis, if it is not known, and the figure to take."""
        self._choice = None
        if self._place is None or self._meter is None:
            settings = self._settings
            self._place = await find(
                self._remembered,
                self._ask().where,
                system=settings.system,
                chassis=settings.chassis,
                sysfs=self._sysfs,
            )
            self._meter = Meter(self._place)
        self._choice = await self._meter.choose(self._remembered)
        self._chosen_at = self._clock.monotonic()
        self._said = {}

    async def _remembered(self, path: str, *, optional: bool = False) -> Document | None:
        """Return a resource, only once asked for during a search."""
        if path not in self._said:
            self._said[path] = await self._ask_as().get(path, optional=optional)
        return self._said[path]

    def _nothing(self) -> Transient:
        where = self._ask().where
        chassis = f"chassis {self._place.device!r} of {where}" if self._place else where
        return Transient(
            f"the {chassis} has no power reading",
            "empty",
            "look whether the BMC's own web page shows power (some need a licence), or use the"
            " ipmi collector",
        )

    def _forget(self) -> None:
        """Search anew at the next reading."""
        self._place = self._meter = self._choice = None
        self._said = {}

    def _ask(self) -> Client:
        if self._client is None:
            self._client = Client(self._settings)
        return self._client

    def _ask_as(self) -> Login:
        if self._login is None:
            self._login = Login(self._ask(), self._settings, self._clock)
        return self._login

    def _problems(self) -> list[Problem]:
        found: list[Problem] = []
        if self._settings.url.startswith("https:") and not self._settings.tls_verify:
            why = "tls_verify is false: who sits in between can read the BMC's password"
            remedy = "name the PEM file of the BMC's certificate in ca_file, and drop tls_verify"
            found.append(Problem("TLS", why, remedy, "unsupported"))
        if self._settings.url.startswith("http:") and not is_loopback(self._settings.url):
            why = "url is http: who sits in between can read the BMC's password"
            found.append(Problem("TLS", why, "use https", "unsupported"))
        if self._place is not None and self._place.shared:
            why = (
                f"{self._place.device} is a node in an enclosure: losses of the shared power"
                " supplies and shared fans are not in its figure"
            )
            found.append(Problem(self._place.device, why, "", "unsupported"))
        if self._choice is not None and self._choice.note:
            found.append(Problem("power supplies", self._choice.note, "", "unsupported"))
        return found
