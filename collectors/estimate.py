"""The estimator as a collector: a figure for every server, marked `estimated`, with its bounds.

Devices: `package-N` for each socket (one, `package-0`, in a VM), `all` for memory and platform,
the kernel's name for each drive. The meter prefers a counter or a sensor where there is one.

Utilisation comes from the `host` collector; where none has reported, from /proc/stat here. The
clock is left out: the kernel tells every core's, and the idle ones make the mean meaningless.
"""

from collections.abc import Sequence

from agent.collector import BlockingCollector, CollectorSettings, Context, Transient
from agent.estimate.machine import Activity, Machine
from agent.estimate.model import Coefficients, evaluate, prepare
from agent.quantities import Component, Quality, Ratio
from agent.samples import PowerReading, Sample
from collectors.machine import detect

NAME = "estimate"
_NOT_BUSY = (3, 4, 7)
"""idle, iowait and steal in the first line of /proc/stat (proc_stat(5))."""
_COUNTED = 8
"""guest and guest_nice follow; they are already inside user and nice."""


class Estimate(BlockingCollector):
    """Power by a model of the hardware found here, without a sensor."""

    def __init__(self, settings: CollectorSettings, context: Context) -> None:
        super().__init__(settings, context)
        self._machine: Machine | None = None
        self._coefficients: Coefficients | None = None
        self._previous: tuple[int, int] | None = None

    def read(self) -> Sequence[Sample]:
        """Return one reading per device; none at first, until the load is known."""
        if self._coefficients is None:
            paths = self.context.paths
            self._machine = detect(paths.procfs, paths.sysfs)
            self._coefficients = prepare(self._machine)
        at = self.context.clock.boottime()
        utilization = self.context.latest_utilization(Component.CPU, "all")
        if utilization is None:
            utilization = self._own_utilization()
        if utilization is None:
            return ()
        activity = Activity(
            utilization,
            package_utilization=self._known(Component.CPU, self._coefficients.packages),
            disk_utilization=self._known(
                Component.STORAGE, [device for device, _ in self._coefficients.disks]
            ),
        )
        return [
            PowerReading(
                NAME,
                part.component,
                part.device,
                at,
                part.watts_best,
                Quality.ESTIMATED,
                part.watts_low,
                part.watts_high,
            )
            for part in evaluate(self._coefficients, activity)
        ]

    def _known(self, component: Component, devices: Sequence[str]) -> dict[str, Ratio]:
        if component is Component.CPU and self._machine is not None and self._machine.virtual:
            return {}  # a VM's sockets are made up
        found = {}
        for device in devices:
            ratio = self.context.latest_utilization(component, device)
            if ratio is None and device.startswith("nvme"):  # its first namespace
                ratio = self.context.latest_utilization(component, f"{device}n1")
            if ratio is not None:
                found[device] = ratio
        return found

    def _own_utilization(self) -> Ratio | None:
        """Busy share of all CPUs since the last call; None at the first."""
        path = self.context.paths.procfs / "stat"
        try:
            with path.open(encoding="ascii") as stream:
                fields = stream.readline().split()
            ticks = [int(field) for field in fields[1 : 1 + _COUNTED]]
        except OSError as error:
            raise Transient(f"{path}: {error.strerror or error}") from None
        except ValueError:
            raise Transient(f"{path}: first line is not understood", "garbage") from None
        if fields[:1] != ["cpu"] or len(ticks) <= _NOT_BUSY[1]:
            raise Transient(f"{path}: first line is not understood", "garbage")
        everything = sum(ticks)
        busy = everything - sum(ticks[index] for index in _NOT_BUSY if index < len(ticks))
        previous, self._previous = self._previous, (busy, everything)
        if previous is None or everything <= previous[1]:
            return None
        share = (busy - previous[0]) / (everything - previous[1])
        return Ratio(min(max(share, 0.0), 1.0))
